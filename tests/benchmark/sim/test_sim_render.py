"""The rasteriser against pictures drawn by hand and ray casting; laws of the renderer."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from hand_bench.sim import backgrounds, shading, solids
from hand_bench.sim.rasteriser import NO_FACE, rasterise
from hand_bench.sim.render import (
    BACKGROUNDS,
    hand_window,
    project,
    random_look,
    render,
    visible_fraction,
)
from hand_bench.sim.scene import LEFT_HAND, OBJECT, OBJECT_PART, RIGHT_HAND, Look, Mesh, View

K = np.array([[100.0, 0, 31.5], [0, 100, 23.5], [0, 0, 1]])
QUIET = Look(seed=3, noise=0.0, background="plain#1")
LENS = np.array([-0.25, 0.08, 0.002, -0.003, 0.01, 0.02, 0.003, 0.001])


def camera(width=64, height=48, K=K, **options) -> View:
    """A camera at (0, 0, 1000) that looks along -z, upright."""
    pose = np.diag([1.0, -1.0, -1.0, 1.0])
    pose[2, 3] = 1000
    return View("front", width, height, K, pose, **options)


def thing(solid, at=(0, 0, 0), instance=RIGHT_HAND, part=1) -> Mesh:
    parts = np.full(len(solid.faces), part)
    return Mesh(solid.vertices + at, solid.faces, solid.colours, parts, instance)


def sphere(at, size=80.0, instance=RIGHT_HAND, part=1) -> Mesh:
    return thing(solids.ball((size,) * 3, (0.8, 0.6, 0.5), 24, 32), at, instance, part)


def scene() -> list[Mesh]:
    slab = thing(solids.box((60, 300, 20), (0.2, 0.4, 0.9)), (20, 0, 60), OBJECT, OBJECT_PART)
    return [sphere((-60, 20, 0)), sphere((60, -10, -40), 90, LEFT_HAND, 17), slab]


def test_a_triangle_by_hand():
    pixels = np.array([[1, 1], [1, 7], [7, 1]])
    small = np.array([[10.0, 0, 4], [0, 10, 4], [0, 0, 1]])
    corners = np.column_stack([(pixels - 4) * 100.0, np.full(3, 1000)])
    drawn = rasterise(corners, np.array([[0, 1, 2]]), small, 9, 9)
    v, u = np.mgrid[:9, :9]
    inside = (u >= 1) & (v >= 1) & (u + v <= 8)
    np.testing.assert_array_equal(drawn.face, np.where(inside, 0, NO_FACE))
    np.testing.assert_allclose(drawn.inverse_depth[inside], 1e-3, rtol=1e-6)
    np.testing.assert_allclose(drawn.second[inside], (v[inside] - 1) / 6, atol=1e-6)
    reversed_ = rasterise(corners, np.array([[0, 2, 1]]), small, 9, 9)
    assert (reversed_.face == NO_FACE).all()


def test_neighbouring_triangles_leave_no_cracks():
    rng = np.random.default_rng(0)
    n = 30
    x, y = np.meshgrid(np.linspace(-500, 500, n), np.linspace(-500, 500, n))
    wobble = rng.normal(0, 8, (2, n, n))
    vertices = np.stack([x + wobble[0], y + wobble[1], 900 + 0.3 * x], axis=-1).reshape(-1, 3)
    a = (np.arange(n - 1)[:, None] * n + np.arange(n - 1)).ravel()
    faces = np.concatenate([np.stack([a, a + n, a + 1], 1), np.stack([a + 1, a + n, a + n + 1], 1)])
    drawn = rasterise(vertices, faces, K, 64, 48)
    assert (drawn.face != NO_FACE).all()


def test_depth_is_that_of_the_ray_even_through_the_near_plane():
    # A floor 100 mm below the camera that begins far behind it.
    corners = np.array([[-5e3, 100, -3e3], [5e3, 100, -3e3], [5e3, 100, 9e3], [-5e3, 100, 9e3]])
    drawn = rasterise(corners, np.array([[0, 1, 2], [0, 2, 3]]), K, 64, 48)
    v = np.mgrid[:48, :64][0]
    expected = np.where(v > 23.5, (v - 23.5) / 100 / 100, 0)
    expected[expected < 1 / 9e3] = 0
    np.testing.assert_allclose(drawn.inverse_depth, expected, rtol=1e-5)


def test_a_known_vertex_falls_on_its_pixel():
    point = np.array([[100.0, 50.0, 0.0]])
    pixels, depth = project(point, camera())
    np.testing.assert_allclose(pixels, [[41.5, 18.5]])
    np.testing.assert_allclose(depth, 1000)
    picture = render([sphere(point[0] + [5, 5, 0], 4.0)], camera(), QUIET)
    assert np.argwhere(picture.instance).tolist() == [[18, 42]]


def test_the_nearer_thing_hides_the_other_whatever_the_order():
    near, far = sphere((0, 0, 100)), sphere((0, 0, -100), 120, LEFT_HAND)
    first, second = render([near, far], camera(), QUIET), render([far, near], camera(), QUIET)
    np.testing.assert_array_equal(first.instance, second.instance)
    np.testing.assert_array_equal(first.depth, second.depth)
    assert first.instance[23, 31] == RIGHT_HAND
    assert first.depth[23, 31] == pytest.approx(860, abs=2)


def test_masks_and_depth_say_the_same():
    picture = render(scene(), camera(), QUIET)
    for mask in (picture.instance, picture.part):
        np.testing.assert_array_equal(mask > 0, picture.depth > 0)
    assert set(np.unique(picture.instance)) == {0, RIGHT_HAND, LEFT_HAND, OBJECT}
    expected = {0: 0, RIGHT_HAND: 1, LEFT_HAND: 17, OBJECT: OBJECT_PART}
    parts = np.vectorize(expected.get)(picture.instance)
    np.testing.assert_array_equal(picture.part, parts)


def test_grey_is_three_equal_channels():
    look = replace(QUIET, noise=6.0, background="clutter#2")
    image = render(scene(), camera(grey=True), look).image
    assert image.std() > 5
    np.testing.assert_array_equal(image[..., 0], image[..., 1])
    np.testing.assert_array_equal(image[..., 0], image[..., 2])


def test_same_bytes_alone_after_others_and_in_threads():
    looks = [random_look(np.random.default_rng(k), kind) for k, kind in enumerate(BACKGROUNDS)]
    alone = [render(scene(), camera(), look).image.tobytes() for look in looks]
    with ThreadPoolExecutor(2) as pool:
        threads = pool.map(lambda look: render(scene(), camera(), look), looks[::-1] * 2)
        assert [picture.image.tobytes() for picture in threads] == alone[::-1] * 2
    assert len(set(alone)) == len(looks)


def test_a_window_is_a_crop():
    view = camera(192, 144, K * [[3], [3], [1]] + [[0, 0, 1], [0, 0, 1], [0, 0, 0]])
    whole = render(scene(), view, QUIET)
    window = render(scene(), view.window(50, 40, 60, 60), QUIET)
    crop = np.s_[40:100, 50:110]
    np.testing.assert_array_equal(window.instance, whole.instance[crop])
    np.testing.assert_allclose(window.depth, whole.depth[crop], atol=1e-3)
    # Three times as fine, every third pixel is one of the whole picture.
    finer = render(scene(), view.window(50, 40, 60, 180), QUIET)
    np.testing.assert_array_equal(finer.instance[1::3, 1::3], whole.instance[crop])
    np.testing.assert_allclose(finer.depth[1::3, 1::3], whole.depth[crop], atol=1e-3)


def test_a_shifted_principal_point_shifts_the_picture():
    shifted = K + np.array([[0, 0, 5], [0, 0, -3], [0, 0, 0]])
    first, second = (render(scene(), camera(K=matrix), QUIET) for matrix in (K, shifted))
    np.testing.assert_allclose(second.depth[:-3, 5:], first.depth[3:, :-5], atol=1e-3)


def opencv(x, y, lens):
    """OpenCV's rational model as its documentation writes it."""
    k1, k2, p1, p2, k3, k4, k5, k6 = lens
    r2 = x**2 + y**2
    radial = (1 + k1 * r2 + k2 * r2**2 + k3 * r2**3) / (1 + k4 * r2 + k5 * r2**2 + k6 * r2**3)
    bent_x = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x**2)
    return bent_x, y * radial + p1 * (r2 + 2 * y**2) + 2 * p2 * x * y


def test_distortion_moves_pixels_as_opencv_does():
    view = camera(distortion=LENS)
    points = np.random.default_rng(0).uniform([-200, -150, -50], [200, 150, 50], (9, 3))
    inside = (points - [0, 0, 1000]) * [1, -1, -1]
    x, y = opencv(*(inside[:, :2] / inside[:, 2:]).T, LENS)
    expected = np.column_stack([100 * x + 31.5, 100 * y + 23.5])
    np.testing.assert_allclose(project(points, view)[0], expected)
    drawn = render([sphere(points[0], 20.0)], view, QUIET)
    middle = np.argwhere(drawn.instance)[:, ::-1].mean(axis=0)
    np.testing.assert_allclose(middle, expected[0], atol=0.5)


def test_a_hand_in_front_is_seen_and_one_behind_is_not():
    joints = np.array([[-60.0, 20, 25], [-60, 30, 20], [20, 0, 0], [500, 0, 0]])
    picture = render(scene(), camera(), QUIET)
    seen = visible_fraction(picture, joints, camera(), RIGHT_HAND)
    np.testing.assert_array_equal(seen, [1, 1, 0, 0])
    # The other hand is at none of these places.
    assert not visible_fraction(picture, joints, camera(), LEFT_HAND).any()
    # A slab before half of the joint hides half of it.
    half = [sphere((0, 0, 0)), thing(solids.box((100, 300, 10), (0, 0, 1)), (50, 0, 90), OBJECT)]
    fine = camera(640, 480, K * [[10], [10], [1]])
    seen = visible_fraction(render(half, fine, QUIET), np.array([[0.0, 0, 20]]), fine, RIGHT_HAND)
    assert 0.3 < seen[0] < 0.7


def test_a_joint_deep_below_its_own_hand_is_hidden():
    ball = [sphere((0, 0, 0), 120)]
    joints = np.array([[0.0, 0, 45], [0, 0, -45]])
    picture = render(ball, camera(), QUIET)
    np.testing.assert_array_equal(visible_fraction(picture, joints, camera(), RIGHT_HAND), [1, 0])


def test_the_hand_window_holds_the_hands():
    points = np.random.default_rng(0).normal(0, 60, (42, 3))
    view = camera(640, 480, K * [[10], [10], [1]], grey=True, distortion=LENS)
    window = hand_window(view, points, margin=0.1, pixels=128)
    assert (window.width, window.height, window.grey) == (128, 128, True)
    places = project(points, window)[0]
    extent = np.ptp(places, axis=0).max()
    assert extent == pytest.approx(128 / 1.2)
    np.testing.assert_allclose((places.min(axis=0) + places.max(axis=0)) / 2, [63.5, 63.5])
    with pytest.raises(ValueError, match="before the camera 'front'"):
        hand_window(view, points + np.array([0, 0, 2000]))


def test_a_room_is_one_of_the_world():
    look = Look(seed=1, noise=0.0, background="clutter#5")
    first = render([], camera(grey=True), look)
    again = render([], camera(grey=True), replace(look, seed=2))
    np.testing.assert_array_equal(first.image, again.image)
    other = render([], camera(grey=True), replace(look, background="clutter#6"))
    assert (first.image != other.image).mean() > 0.5
    assert not first.depth.any()
    # Without a number the seed is the number.
    alone = [render([], camera(), Look(seed=s, background="clutter")).image for s in (1, 2)]
    assert (alone[0] != alone[1]).mean() > 0.5


def test_an_unknown_background_is_refused():
    with pytest.raises(ValueError, match=r"'beach' is none of plain, studio"):
        render([], camera(), Look(seed=0, background="beach"))


def test_noise_is_as_strong_as_asked():
    look = Look(seed=9, noise=0.0, background="plain#4")
    quiet = render([], camera(), look).image.astype(float)
    noisy = render([], camera(), replace(look, noise=8.0)).image.astype(float)
    middle = (quiet > 40) & (quiet < 215)
    assert middle.mean() > 0.5
    assert (noisy - quiet)[middle].std() == pytest.approx(8, abs=0.3)


def test_blur_is_gaussian_and_keeps_the_border():
    image = np.random.default_rng(0).random((20, 30, 3), np.float32)
    kernel = shading._kernel(1.0)
    full = np.concatenate([kernel[:0:-1], kernel])
    padded = np.pad(image, ((2, 2), (2, 2), (0, 0)), mode="edge")
    down = sum(w * padded[k : k + 20] for k, w in enumerate(full))
    expected = sum(w * down[:, k : k + 30] for k, w in enumerate(full))
    np.testing.assert_allclose(shading._blurred(image, kernel), expected, atol=1e-6)
    assert full.sum() == pytest.approx(1)


def test_things_cast_shadows_on_the_table():
    pose = np.diag([1.0, -1.0, -1.0, 1.0])
    pose[:3, :3] = [[1, 0, 0], [0, 0, -1], [0, 1, 0]]
    pose[:3, 3] = [0, 800, 0]
    view = View("above", 64, 48, K, pose)
    look = Look(seed=0, noise=0.0, background="table#2", light=np.array([0.6, 0.8, 0.0]))
    slab = thing(solids.box((80, 10, 80), (0.5, 0.5, 0.5)), (0, 200, 0))
    bare, shaded = render([], view, look), render([slab], view, look)
    darker = shaded.image.astype(int).sum(axis=2) < 0.8 * bare.image.astype(int).sum(axis=2)
    darker &= shaded.depth == 0
    # The light comes from +x at 0.8 / 0.6: the shadow is 150 mm towards -x.
    place = project(np.array([[-150.0, 0, 0]]), view)[0][0]
    np.testing.assert_allclose(np.argwhere(darker)[:, ::-1].mean(axis=0), place, atol=1.5)


def test_every_kind_of_room_is_finite_from_anywhere():
    rng = np.random.default_rng(0)
    for kind in BACKGROUNDS:
        assert np.isfinite(backgrounds.room(kind, 3).colours).all()
        view = camera(distortion=LENS * 5)
        pose = view.T_world_from_camera.copy()
        pose[:3, 3] = rng.uniform(-6000, 6000, 3)
        image = render([], replace(view, T_world_from_camera=pose), random_look(rng, kind)).image
        assert image.shape == (48, 64, 3)
