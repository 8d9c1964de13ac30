"""HandSim's hand: a human skeleton, a closed skin, MANO's layout."""

from dataclasses import replace

import numpy as np
import pytest

from hand_bench.hand_model import HandModel, rotvec_to_rotmat
from hand_bench.sim import anatomy, hand, poses, rigging, skin, surface
from hand_bench.sim.remeshing import edges_of, is_closed, remesh
from hand_bench.sim.scene import FOREARM_PART, LEFT_HAND, RIGHT_HAND

RIGHT, LEFT = hand.models()
ZERO = np.zeros(10)
SHAPES = np.random.default_rng(4).uniform(-2, 2, (50, 10))
BENT = np.concatenate([np.zeros((40, 1, 3)), poses.sample_pose(np.random.default_rng(5), 40)], 1)


def joints(model=RIGHT, rotvec=None, betas=ZERO, **options):
    rotvec = np.zeros((1, 16, 3)) if rotvec is None else rotvec
    return model.joints(rotvec=rotvec, betas=betas, flat_hand_mean=True, **options)


def vertices(model=RIGHT, rotvec=None, betas=ZERO):
    rotvec = np.zeros((1, 16, 3)) if rotvec is None else rotvec
    return model.vertices(rotvec=rotvec, betas=betas, flat_hand_mean=True)


def bones(places):
    """Lengths of all 20 bones (hands, 5 fingers, 4), tips last."""
    first = 1 + 3 * np.arange(5)
    tips = [16 + anatomy.TIP_FINGERS.index(finger) for finger in anatomy.FINGERS]
    chain = np.stack([0 * first, first, first + 1, first + 2, np.array(tips)], axis=1)
    return np.linalg.norm(np.diff(places[:, chain], axis=2), axis=-1)


def volume(points, faces):
    a, b, c = np.moveaxis(points[faces], 1, 0)
    return np.einsum("fi,fi->", a, np.cross(b, c)) / 6


def test_joints_of_any_shape_are_those_of_the_skeleton():
    for betas in SHAPES[:10]:
        wanted = anatomy.skeleton(betas)
        found = joints(betas=betas)[0]
        np.testing.assert_allclose(found[:16], wanted.joints, atol=1e-3)
        np.testing.assert_allclose(found[16:], wanted.tips, atol=1e-3)


def test_bones_keep_their_length_in_every_pose():
    np.testing.assert_allclose(bones(joints(rotvec=BENT)), bones(joints()).repeat(40, 0), atol=1e-2)


def test_bones_stay_within_four_standard_deviations_of_people():
    found = bones(joints(rotvec=np.zeros((50, 16, 3)), betas=SHAPES))[:, :, 1:]
    mean = np.array([anatomy.LENGTHS[finger] for finger in anatomy.FINGERS])
    spread = np.array([anatomy.DEVIATIONS[finger] for finger in anatomy.FINGERS])
    assert np.all(np.abs(found - mean) < 4 * spread)


def test_hand_length_and_breadth_are_human():
    at_rest = vertices()[0]
    tip = joints()[0, 16 + 2]
    assert 175 < np.linalg.norm(tip - anatomy.WRIST) < 195
    knuckles = at_rest[(np.abs(at_rest[:, 0] - 12) < 6) & (at_rest[:, 2] < 45)]
    assert 74 < np.ptp(knuckles[:, 2]) < 92
    assert 180 < volume(at_rest, RIGHT.faces) / 1000 < 450


def test_skin_is_one_closed_surface_without_degenerate_faces():
    count, faces = len(RIGHT.v_template), RIGHT.faces
    assert 800 <= count <= 2000
    assert is_closed(faces)
    assert count - len(edges_of(faces)) + len(faces) == 2
    a, b, c = np.moveaxis(vertices()[0][faces], 1, 0)
    assert np.linalg.norm(np.cross(b - a, c - a), axis=1).min() > 0.5


def test_shapes_and_poses_keep_the_skin_right_side_out():
    posed = vertices(rotvec=BENT, betas=np.tile(SHAPES[:20], (2, 1)))
    assert all(150 < volume(one, RIGHT.faces) / 1000 < 700 for one in posed)
    at_rest = vertices()[0]
    outside = at_rest + surface.gradient(surface.cones(anatomy.skeleton()), at_rest)
    corners = at_rest[RIGHT.faces]
    flat = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    away = (outside - at_rest)[RIGHT.faces].mean(axis=1)
    assert np.mean(np.einsum("fi,fi->f", flat, away) > 0) > 0.995


def test_zero_pose_is_the_template():
    np.testing.assert_allclose(vertices()[0], RIGHT.v_template * 1000, atol=1e-3)


def test_weights_are_shares_of_at_most_four_bones():
    np.testing.assert_allclose(RIGHT.weights.sum(axis=1), 1, atol=1e-6)
    assert RIGHT.weights.min() >= 0
    assert (RIGHT.weights > 0).sum(axis=1).max() <= rigging.BONES
    tips = RIGHT.weights[list(RIGHT.tips), [15, 3, 6, 12, 9]]
    np.testing.assert_allclose(tips, 1, atol=1e-6)


def test_left_hand_is_the_mirror_image():
    mirror = np.array([-1.0, 1.0, 1.0])
    turned = BENT.copy()
    turned[:, 0] = np.random.default_rng(3).normal(0, 1, (40, 3))
    right = vertices(rotvec=turned, betas=SHAPES[:40])
    left = vertices(LEFT, poses.mirror(turned), SHAPES[:40])
    np.testing.assert_allclose(left, right * mirror, atol=1e-6)
    assert volume(left[0], LEFT.faces) > 0
    mean = np.zeros((1, 16, 3))
    relaxed = [m.joints(rotvec=mean, betas=ZERO, flat_hand_mean=False) for m in (RIGHT, LEFT)]
    np.testing.assert_allclose(relaxed[1], relaxed[0] * mirror, atol=1e-6)


@pytest.mark.parametrize("finger", anatomy.FINGERS)
def test_flexion_brings_the_tip_towards_the_palm(finger):
    tip = 16 + anatomy.TIP_FINGERS.index(finger)
    pad = -anatomy.finger_frame(finger)[:, 1]
    for joint in range(3):
        angles = np.zeros((15, 3))
        angles[anatomy.first_joint(finger) - 1 + joint, poses.FLEXION] = 30
        rotvec = np.concatenate([np.zeros((1, 3)), poses.rotvec_of(angles)])[None]
        assert (joints(rotvec=rotvec)[0, tip] - joints()[0, tip]) @ pad > 4


def test_fingers_lie_along_minus_x_and_the_thumb_on_plus_z():
    found = joints()[0]
    assert found[18, 0] < found[0, 0] - 170
    assert found[16, 2] > 60 and found[20, 2] < -40
    palm = skin.regions()[:, 1] > 0.9
    back = skin.regions()[:, 1] < 0.1
    at_rest = vertices()[0]
    assert at_rest[palm, 1].mean() < at_rest[back, 1].mean() - 8


def test_file_is_what_anatomy_makes():
    """A whole `build` takes long: its parts are compared, on the file's own mesh."""
    skeleton = anatomy.skeleton()
    at_rest, tips = RIGHT.v_template * 1000, np.array(RIGHT.tips)
    off = np.abs(surface.field(surface.cones(skeleton), at_rest))
    assert off[tips].max() < 0.7 and np.delete(off, tips).max() < 0.3
    weights = rigging.skinning_weights(at_rest, RIGHT.faces, skeleton)
    np.testing.assert_allclose(weights, RIGHT.weights, atol=1e-6)
    unit = anatomy.skeleton(np.eye(10)[2])
    stretched = surface.project(surface.cones(unit), rigging.stretch(at_rest, weights, unit))
    stretched[tips] = unit.tips
    moved = at_rest + RIGHT.shapedirs[:, :, 2] * 1000
    assert np.abs(stretched - moved).max() < 0.5
    np.testing.assert_allclose(
        RIGHT.hands_mean, poses.rotvec_of(poses.named("relaxed")).ravel(), atol=1e-6
    )


def test_surface_nets_and_remeshing_keep_the_mesh_closed():
    shapes = [shape for shape in surface.cones(anatomy.skeleton()) if shape.group == "index"]
    points, faces = surface.surface_nets(shapes, 2.5)
    assert is_closed(faces)
    few, coarse = remesh(
        points, faces, spacing=lambda p: np.full(len(p), 6.0), project=lambda p: p, rounds=4
    )
    assert is_closed(coarse) and len(few) < 0.5 * len(points)
    assert len(few) - len(edges_of(coarse)) + len(coarse) == 2
    assert volume(few, coarse) > 0


@pytest.mark.parametrize("suffix", [".npz", ".pkl"])
@pytest.mark.parametrize("side", ["right", "left"])
def test_exported_file_loads_as_the_same_hand(tmp_path, side, suffix):
    read = HandModel.load(hand.export(tmp_path / f"MANO_{side.upper()}{suffix}", side))
    model = RIGHT if side == "right" else LEFT
    assert read.parents == model.parents and read.tips == model.tips
    for name in ("v_template", "shapedirs", "posedirs", "J_regressor", "weights", "hands_mean"):
        np.testing.assert_array_equal(getattr(read, name), getattr(model, name))
    np.testing.assert_array_equal(read.faces, model.faces)


def test_smplx_poses_an_exported_hand_alike(tmp_path):
    smplx = pytest.importorskip("smplx")
    torch = pytest.importorskip("torch")
    path = hand.export(tmp_path / "MANO_RIGHT.pkl", "right")
    layer = smplx.MANO(str(path), is_rhand=True, use_pca=False, flat_hand_mean=True)
    pose = torch.tensor(BENT[:1, 1:].reshape(1, 45), dtype=torch.float32)
    found = layer(hand_pose=pose).vertices[0].detach().numpy() * 1000
    np.testing.assert_allclose(found, vertices(rotvec=BENT[:1])[0], atol=1e-2)


def test_hand_mesh_has_a_part_for_every_face():
    subject = hand.sample_subject(np.random.default_rng(1), "anyone")
    for side, model, instance in (("right", RIGHT, RIGHT_HAND), ("left", LEFT, LEFT_HAND)):
        mesh = hand.hand_mesh(model, vertices(model)[0], subject, side)
        first = 1 if side == "right" else 17
        assert set(mesh.parts) == set(range(first, first + 16))
        assert mesh.instance == instance
        assert mesh.colours.min() >= 0 and mesh.colours.max() <= 1


def test_palm_is_paler_than_the_back_of_a_dark_hand():
    colours = skin.hand_colours(skin.TONES[-1])
    palm = skin.regions()[:, 1]
    assert colours[palm > 0.9].mean() > colours[palm < 0.1].mean() + 0.1


@pytest.mark.parametrize("side", ["right", "left"])
def test_forearm_is_closed_and_goes_on_from_the_wrist(side):
    subject = replace(
        hand.sample_subject(np.random.default_rng(1), "anyone"), sleeve=np.array([0.2, 0.3, 0.4])
    )
    R = rotvec_to_rotmat(np.array([0.3, -1.0, 0.4]))
    straight = R[:, 0] if side == "right" else -R[:, 0]
    wrist, elbow = np.array([10.0, 200.0, 30.0]), straight + np.array([0.2, -0.5, 0.3])
    arm, sleeve = hand.forearm_mesh(wrist, R, subject, side, towards=elbow)
    for mesh in (arm, sleeve):
        assert is_closed(mesh.faces)
        assert volume(mesh.vertices, mesh.faces) > 1e5
        assert set(mesh.parts) == {FOREARM_PART}
    assert (arm.vertices.mean(axis=0) - wrist) @ straight > 50
    assert (arm.vertices[-1] - wrist) @ elbow > 150 * np.linalg.norm(elbow)


def test_subjects_differ_and_repeat():
    draws = [hand.sample_subject(np.random.default_rng(seed), "s") for seed in (1, 1, 2)]
    np.testing.assert_array_equal(draws[0].betas, draws[1].betas)
    assert draws[0].style == draws[1].style != draws[2].style
    assert np.abs(draws[0].betas).max() <= 2
    assert draws[2].skin.min() >= 0 and draws[2].skin.max() <= 1


def test_unknown_side_is_refused():
    with pytest.raises(ValueError, match="neither right nor left"):
        hand.arrays("both")
