"""Soft silhouettes: equal to all pixels and all faces, and able to move a hand onto a mask."""

# ruff: noqa: E402 (what follows the check needs torch)

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: .[baselines]")

from hand_baselines import silhouette, silhouette_pairs
from hand_baselines.hand_layer import HandLayer
from hand_baselines.lifting import project
from hand_baselines.silhouette import (
    WILDHANDS_SIGMA,
    dense_silhouette,
    mask_loss,
    silhouette_of_points,
    soft_silhouette,
)
from hand_bench.sim.hand import models

KNOWN = torch.tensor([True])
PLACE = torch.tensor([[-20.0, 20.0, 450.0]])


@pytest.fixture(scope="module")
def layers() -> dict[str, HandLayer]:
    return dict(zip(("right", "left"), map(HandLayer, models()), strict=True))


def camera(side: int) -> torch.Tensor:
    """A camera whose square pictures HandSim's hand at `PLACE` fills by two thirds."""
    return torch.tensor(
        [[1.5 * side, 0, side / 2 - 0.5], [0, 1.5 * side, side / 2 - 0.5], [0, 0, 1]]
    )


def palm(seed: int = 0, spread: float = 0.2) -> torch.Tensor:
    """A pose that shows the palm, the joints bent at random."""
    pose = torch.randn(1, 16, 3, generator=torch.Generator().manual_seed(seed)) * spread
    pose[0, 0] = torch.tensor([1.2, 0.3, 0.2])
    return pose


def hand(layer, pose, translation=PLACE) -> tuple[torch.Tensor, torch.Tensor]:
    return layer(
        rotvec=pose, betas=pose.new_zeros(10), translation=translation, flat_hand_mean=False
    )


def mask_of(vertices, faces, side) -> torch.Tensor:
    return soft_silhouette(vertices, faces, camera(side), (side, side), sigma=0.01, reach=1) > 0.5


def of_triangle(corners, size, depth=100.0, **options) -> torch.Tensor:
    points = torch.as_tensor(corners, dtype=torch.float64)[None]
    depths, faces = torch.full((1, len(corners)), depth), torch.tensor([[0, 1, 2]])
    return silhouette_of_points(points, depths, faces, size, **options)[0]


@pytest.mark.parametrize(("side", "hand_side"), [(32, "right"), (32, "left"), (64, "right")])
def test_pairs_give_what_all_pixels_and_faces_give(layers, side, hand_side):
    layer = layers[hand_side]
    _, vertices = hand(layer, palm())
    arguments = (vertices, layer.faces, camera(side), (side, side))
    with torch.no_grad():
        found, expected = soft_silhouette(*arguments), dense_silhouette(*arguments)
    assert (found - expected).abs().max() < 1e-3
    assert found.max() == 1 and found.min() == 0


@pytest.mark.parametrize("options", [{"sigma": WILDHANDS_SIGMA}, {"sigma": 9.0, "reach": 4.0}])
def test_blur_and_reach_mean_the_same_in_both(layers, options):
    layer = layers["right"]
    vertices = hand(layer, palm())[1]
    arguments = (vertices, layer.faces, camera(32), (32, 40))
    with torch.no_grad():
        found, expected = (f(*arguments, **options) for f in (soft_silhouette, dense_silhouette))
    assert (found - expected).abs().max() < 1e-3


def test_gradients_are_those_of_all_pixels_and_faces(layers):
    layer, gradients = layers["right"], []
    weights = torch.rand(32, 32, generator=torch.Generator().manual_seed(1))
    for render in (soft_silhouette, dense_silhouette):
        vertices, K = hand(layer, palm())[1].requires_grad_(), camera(32).requires_grad_()
        (render(vertices, layer.faces, K, (32, 32)) * weights).sum().backward()
        gradients.append((vertices.grad, K.grad))
    for found, expected in zip(*gradients, strict=True):
        assert (found - expected).abs().max() < 1e-2 * expected.abs().max()


@pytest.mark.parametrize("block", [2**22, 1000])
def test_torch_finds_the_pairs_that_the_compiled_search_finds(layers, block, monkeypatch):
    monkeypatch.setattr(silhouette_pairs, "BLOCK", block)
    _, vertices = hand(layers["right"], torch.cat([palm(0), palm(1)]))
    points, depths = silhouette.project(vertices[:, ::4].double(), camera(32).double())
    faces = torch.randint(points.shape[1], (40, 3), generator=torch.Generator().manual_seed(2))
    seen = silhouette_pairs.seen_faces(points, depths, faces)
    (pairs, covered), (others, same) = (
        find(points, seen, (32, 40), 1.5, 3.0)
        for find in (silhouette_pairs.compiled_pairs, silhouette_pairs.torch_pairs)
    )
    assert torch.equal(covered, same) and covered.any() and not covered.all()
    assert all(torch.allclose(*each) for each in zip(pairs, others, strict=True))


def test_without_numba_torch_searches(layers, monkeypatch):
    layer = layers["right"]
    arguments = (hand(layer, palm())[1], layer.faces, camera(32), (32, 32))
    compiled = soft_silhouette(*arguments)
    monkeypatch.setattr(silhouette_pairs, "compiled", None)
    assert torch.allclose(soft_silhouette(*arguments), compiled, atol=1e-5)


def test_a_large_triangle_is_one_inside_half_at_its_edge_and_zero_far_off():
    picture = of_triangle([[8, 4], [8, 60], [64, 4]], (48, 48), sigma=0.8)
    assert picture[16, 20] == 1
    assert torch.allclose(picture[8:40, 8], torch.tensor(0.5).double())
    assert picture[16, 3] == 0 and picture[47, 47] == 0
    p = torch.sigmoid(torch.tensor([1.0, -1.0]).double() / 0.8)
    assert torch.allclose(picture[20, [9, 7]], p)  # a pixel inside, a pixel outside


def test_a_pixel_covered_by_two_faces_multiplies_what_they_leave():
    points = torch.tensor([[[4.0, -20], [4, 40], [30, 10], [31, 12]]]).double()
    faces = torch.tensor([[0, 1, 2], [0, 1, 3]])
    picture = silhouette_of_points(points, torch.ones(1, 4) * 9, faces, (20, 20), sigma=1.0)
    assert torch.allclose(picture[0, 10, 4], torch.tensor(0.75).double())


def test_the_orientation_of_a_face_does_not_matter():
    corners = [[3.2, 4.1], [9.7, 14.3], [15.1, 2.2]]
    assert torch.equal(of_triangle(corners, (16, 16)) > 0, of_triangle(corners[::-1], (16, 16)) > 0)
    turned = of_triangle(corners[::-1], (16, 16))
    assert torch.allclose(of_triangle(corners, (16, 16)), turned)


def test_the_inside_of_a_mesh_of_small_faces_is_covered(layers):
    layer = layers["right"]
    vertices = hand(layer, palm())[1]
    mask = mask_of(vertices, layer.faces, 224)
    deep = silhouette_pairs.covered_pixels(mask, 5.0)
    picture = soft_silhouette(vertices, layer.faces, camera(224), (224, 224))
    assert deep.sum() > 500 and (picture[deep] == 1).all()
    assert picture[mask].min() > 0.5


@pytest.mark.parametrize(
    ("corners", "depth"),
    [
        ([[2.0, 2], [12, 2], [2, 12]], -50.0),
        ([[2.0, 2], [12, 2], [2, 12]], 0.0),
        ([[2.0, 2], [12, 12], [7, 7]], 100.0),
        ([[2.0, 2], [2, 2], [2, 2]], 100.0),
        ([[2.0, 2], [float("nan"), 2], [2, 12]], 100.0),
        ([[2.0, 2], [float("inf"), 2], [2, 12]], 100.0),
        ([[-90.0, 2], [-80, 2], [-85, 12]], 100.0),
    ],
    ids=["behind", "at the camera", "line", "point", "NaN", "infinite", "beside the picture"],
)
def test_a_face_that_cannot_be_seen_gives_an_empty_picture(corners, depth, monkeypatch):
    picture = of_triangle(corners, (16, 16), depth)
    assert (picture == 0).all()
    monkeypatch.setattr(silhouette_pairs, "compiled", None)
    assert torch.equal(of_triangle(corners, (16, 16), depth), picture)


def test_a_vertex_behind_the_camera_takes_only_its_faces_out():
    vertices = torch.tensor([[[-9.0, -9, 40], [9, -9, 40], [0, 9, 40], [0, -9, 0]]])
    vertices.requires_grad_()
    faces = torch.tensor([[0, 1, 2], [0, 1, 3]])
    pictures = [
        soft_silhouette(vertices, each, camera(32), (32, 32)) for each in (faces, faces[:1])
    ]
    assert torch.equal(*pictures) and pictures[0].max() == 1
    pictures[0].mean().backward()
    assert vertices.grad.isfinite().all() and (vertices.grad[0, 3] == 0).all()


@pytest.mark.parametrize("search", ["compiled", "torch"])
def test_no_faces_and_no_pictures_give_empty_results(search, monkeypatch):
    if search == "torch":
        monkeypatch.setattr(silhouette_pairs, "compiled", None)
    points, depths = torch.zeros(2, 3, 2, requires_grad=True), torch.ones(2, 3)
    faces = torch.zeros(0, 3, dtype=torch.long)
    picture = silhouette_of_points(points, depths, faces, (4, 6))
    assert picture.shape == (2, 4, 6) and (picture == 0).all()
    picture.sum().backward()
    assert (points.grad == 0).all()
    none = silhouette_of_points(points[:0], depths[:0], torch.tensor([[0, 1, 2]]), (4, 6))
    assert none.shape == (0, 4, 6)
    vertices = torch.zeros(0, 3, 3)
    assert dense_silhouette(vertices, faces, camera(4), (4, 6)).shape == (0, 4, 6)


def test_gradients_of_triangles_are_right():
    points = torch.tensor([[3.1, 2.3], [11.7, 4.2], [5.4, 12.9], [13.2, 13.6]]).double()
    points = torch.stack([points, points.flip(1) + 0.37]).requires_grad_()
    faces, depths = torch.tensor([[0, 1, 2], [2, 1, 3]]), torch.ones(2, 4) * 9

    def picture(points):
        return silhouette_of_points(points, depths, faces, (16, 16), sigma=1.5, reach=9)

    assert torch.autograd.gradcheck(picture, (points,))


def test_gradients_of_vertices_and_cameras_are_right():
    vertices = torch.tensor([[[-8.0, -9, 41], [9, -7, 38], [1, 9, 44]]]).double().requires_grad_()
    K = camera(24).double()[None].requires_grad_()

    def picture(vertices, K):
        return soft_silhouette(vertices, torch.tensor([[0, 1, 2]]), K, (24, 24), reach=9)

    assert torch.autograd.gradcheck(picture, (vertices, K), fast_mode=True)


@pytest.mark.parametrize("what", ["translation", "pose"])
def test_gradients_of_a_hand_are_finite_differences(what):
    layer = HandLayer(models()[0], torch.float64)
    weights = torch.rand(48, 48, generator=torch.Generator().manual_seed(1)).double()
    start = {"translation": PLACE.double(), "pose": palm().double()}
    direction = torch.randn(start[what].shape, generator=torch.Generator().manual_seed(3)).double()

    def value(step):
        moved = start | {what: start[what] + step * direction}
        vertices = hand(layer, moved["pose"], moved["translation"])[1]
        picture = soft_silhouette(vertices, layer.faces, camera(48).double(), (48, 48), reach=5)
        return (picture * weights).sum()

    step = torch.zeros((), dtype=torch.float64, requires_grad=True)
    value(step).backward()
    difference = (value(step.detach() + 1e-6) - value(step.detach() - 1e-6)) / 2e-6
    assert torch.isclose(step.grad, difference, rtol=1e-3)


def test_the_loss_is_over_the_samples_whose_mask_is_known():
    found = torch.tensor([[[0.5, 1.0]], [[0.2, 0.0]], [[0.9, 0.1]]], requires_grad=True)
    mask = torch.tensor([[[1.0, 0.0]], [[0.0, 0.0]], [[float("nan")] * 2]])
    known = torch.tensor([True, True, False])
    assert mask_loss(found, mask, known).item() == pytest.approx((0.75 + 0.1) / 2)
    assert mask_loss(found, mask, known, over="batch").item() == pytest.approx((0.75 + 0.1) / 3)
    mask_loss(found, mask, known).backward()
    assert found.grad.isfinite().all() and (found.grad[2] == 0).all()


def test_the_loss_without_a_known_mask_is_zero():
    found = torch.rand(2, 3, 4, requires_grad=True)
    loss = mask_loss(found, found.detach() > 0.5, torch.tensor([False, False]))
    loss.backward()
    assert loss == 0 and (found.grad == 0).all()


def test_what_cannot_be_is_refused():
    points, faces = torch.zeros(1, 3, 2), torch.tensor([[0, 1, 2]])
    with pytest.raises(ValueError, match=r"\(1, 4\)"):
        silhouette_of_points(points, torch.ones(1, 4), faces, (4, 4))
    with pytest.raises(ValueError, match="above 0, not 0"):
        silhouette_of_points(points, torch.ones(1, 3), faces, (4, 4), sigma=0)
    with pytest.raises(ValueError, match="but masks"):
        mask_loss(torch.zeros(1, 4, 4), torch.zeros(4, 4), KNOWN)


def errors(joints, expected, side) -> tuple[float, float]:
    """Mean distance of joints in the picture, px, and in space, mm."""
    in_picture = project(joints, camera(side)) - project(expected, camera(side))
    return tuple(each.norm(dim=-1).mean().item() for each in (in_picture, joints - expected))


def fit(layer, value, move, mask, *, rate, steps) -> None:
    """Descend from a value by the loss of a mask alone."""
    optimizer = torch.optim.Adam([value.requires_grad_()], rate)
    side = mask.shape[-1]
    for _ in range(steps):
        vertices = move(value)[1]
        picture = soft_silhouette(vertices, layer.faces, camera(side), (side, side))
        optimizer.zero_grad()
        mask_loss(picture, mask, KNOWN).backward()
        optimizer.step()


@pytest.mark.parametrize("hand_side", ["right", "left"])
@pytest.mark.parametrize("shift", [[16.0, -12, 0], [-12, 12, 40]])
def test_a_mask_moves_a_displaced_hand_back(layers, hand_side, shift):
    layer, pose = layers[hand_side], palm(spread=0)
    place = PLACE * torch.tensor([1.0 if hand_side == "right" else -1, 1, 1])
    joints, vertices = hand(layer, pose, place)
    translation = place + torch.tensor([shift])

    def error():
        return errors(hand(layer, pose, translation)[0], joints, 96)[0]

    before = error()
    mask = mask_of(vertices, layer.faces, 96)
    fit(layer, translation, lambda t: hand(layer, pose, t), mask, rate=1.5, steps=60)
    assert before > 5 and error() < 1


@pytest.mark.parametrize("hand_side", ["right", "left"])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_mask_bends_fingers_back(layers, hand_side, seed):
    """Sideways: how far a finger bends towards the camera is hardly seen in a mask."""
    layer, place = (
        layers[hand_side],
        PLACE * torch.tensor([1.0 if hand_side == "right" else -1, 1, 1]),
    )
    joints, vertices = hand(layer, palm(spread=0), place)
    bends = torch.randn(15, generator=torch.Generator().manual_seed(seed)) * 0.25

    def bent(bends):
        sideways = torch.cat([torch.zeros(1), bends])[:, None] * torch.tensor([0.0, 1, 0])
        return hand(layer, palm(spread=0) + sideways, place)

    before = errors(bent(bends)[0], joints, 96)
    fit(layer, bends, bent, mask_of(vertices, layer.faces, 96), rate=0.02, steps=40)
    after = errors(bent(bends)[0], joints, 96)
    assert before[1] > 6 and all(b < 0.6 * a for a, b in zip(before, after, strict=True))


def test_a_wide_blur_draws_what_is_clear_of_its_mask():
    mask = torch.zeros(1, 64, 96, dtype=torch.bool)
    mask[:, 24:40, 47:59] = True

    def pull(shift, **options):
        corners = torch.tensor([[[30.0, 26], [41, 25], [35, 37]]]) + torch.tensor([shift, 0])
        points, depths = corners.requires_grad_(), torch.ones(1, 3) * 9
        picture = silhouette_of_points(
            points, depths, torch.tensor([[0, 1, 2]]), (64, 96), **options
        )
        mask_loss(picture, mask, KNOWN).backward()
        return -points.grad[0, :, 0].sum().item()

    wide, narrow = ([pull(x, **o) for x in (0, 0.3, 0.6)] for o in ({"sigma": 40.0}, {}))
    assert min(wide) > 2 * max(map(abs, narrow))
