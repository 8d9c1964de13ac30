"""The hand layer: laws of posing, an independent plain loop, smplx, and files that are damaged."""

import numpy as np
import pytest

from benchmark.official.mano import (
    make_hand,
    plain_hand,
    plain_rotation,
    skeleton,
    write_npz,
    write_pickle,
)
from hand_bench.errors import DatasetError
from hand_bench.hand_model import (
    HandModel,
    find_mano,
    rotmat_to_rotvec,
    rotvec_to_rotmat,
    to_camera,
)

RNG = np.random.default_rng


@pytest.fixture(scope="module")
def hand():
    return make_hand()


@pytest.fixture(scope="module")
def model(hand, tmp_path_factory) -> HandModel:
    return HandModel.load(write_npz(tmp_path_factory.mktemp("hand") / "hand.npz", hand))


def random_pose(count: int, seed: int = 0) -> dict[str, np.ndarray]:
    rng = RNG(seed)
    return {
        "rotvec": rng.normal(0, 0.5, (count, 16, 3)),
        "betas": rng.normal(0, 1, (count, 10)),
        "translation": rng.normal(0, 300, (count, 3)),
    }


def test_zero_pose_gives_the_joints_of_the_template(hand, model):
    joints = model.joints(rotvec=np.zeros((1, 16, 3)), betas=np.zeros(10), flat_hand_mean=True)[0]
    assert np.allclose(joints[:16], hand["J_regressor"] @ hand["v_template"] * 1000)
    assert np.allclose(joints[16:], hand["v_template"][hand["tips"]] * 1000)


def test_the_order_is_mano21_with_the_tip_of_the_thumb_first(model):
    joints = model.joints(rotvec=np.zeros((1, 16, 3)), betas=np.zeros(10), flat_hand_mean=True)[0]
    bones, tips = skeleton()
    assert np.allclose(joints, np.concatenate([bones, tips]) * 1000, atol=15)
    last_joints = [15, 3, 6, 12, 9]
    for tip, joint in zip(range(16, 21), last_joints, strict=True):
        distances = np.linalg.norm(joints[:16] - joints[tip], axis=1)
        assert distances.argmin() == joint


@pytest.mark.parametrize("flat", [True, False])
def test_joints_and_vertices_are_those_of_a_plain_loop(hand, model, flat):
    pose = random_pose(3)
    joints = model.joints(**pose, flat_hand_mean=flat)
    vertices = model.vertices(**pose, flat_hand_mean=flat)
    for k in range(3):
        parts = (pose[name][k] for name in ("rotvec", "betas"))
        trans = pose["translation"][k] / 1000
        expected = plain_hand(hand, *parts, trans, flat_hand_mean=flat)
        assert np.allclose(joints[k], expected[0] * 1000, atol=1e-9)
        assert np.allclose(vertices[k], expected[1] * 1000, atol=1e-9)


def test_tips_are_vertices(hand, model):
    pose = random_pose(4)
    vertices = model.vertices(**pose, flat_hand_mean=False)
    joints = model.joints(**pose, flat_hand_mean=False)
    assert np.allclose(joints[:, 16:], vertices[:, hand["tips"]])


def test_the_global_rotation_turns_the_hand_about_its_root_joint(model):
    pose = random_pose(1, seed=2)
    turned = {k: v.copy() for k, v in pose.items()}
    pose["rotvec"][:, 0] = 0
    R = plain_rotation(turned["rotvec"][0, 0])
    before = model.joints(**pose, flat_hand_mean=True)[0]
    after = model.joints(**turned, flat_hand_mean=True)[0]
    assert np.allclose(after, (before - before[0]) @ R.T + before[0])
    assert np.allclose(before[0], model.root(pose["betas"])[0] + pose["translation"][0])


def test_translation_is_added(model):
    pose = random_pose(2)
    shift = np.array([10.0, 20, 30])
    before = model.vertices(**pose, flat_hand_mean=True)
    pose["translation"] += shift
    assert np.allclose(model.vertices(**pose, flat_hand_mean=True), before + shift)
    assert np.allclose(
        model.joints(
            rotvec=pose["rotvec"], betas=pose["betas"], translation=np.ones(3), flat_hand_mean=True
        ),
        model.joints(rotvec=pose["rotvec"], betas=pose["betas"], flat_hand_mean=True) + 1,
    )


def test_matrices_give_what_vectors_give_and_never_get_the_mean_pose(model):
    pose = random_pose(5)
    rotmat = rotvec_to_rotmat(pose.pop("rotvec"))
    flat = model.joints(rotvec=rotmat_to_rotvec(rotmat), **pose, flat_hand_mean=True)
    for flat_hand_mean in (True, False):
        assert np.allclose(model.joints(rotmat=rotmat, **pose, flat_hand_mean=flat_hand_mean), flat)


def test_the_mean_pose_is_added_to_fingers_only(hand, model):
    pose = random_pose(2)
    bent = pose["rotvec"].copy()
    bent[:, 1:] += hand["hands_mean"].reshape(15, 3)
    curved = model.joints(**pose, flat_hand_mean=False)
    pose["rotvec"] = bent
    assert np.allclose(curved, model.joints(**pose, flat_hand_mean=True))


def test_the_given_pose_is_not_changed(model):
    pose = random_pose(2)
    kept = pose["rotvec"].copy()
    model.joints(**pose, flat_hand_mean=False)
    assert np.array_equal(kept, pose["rotvec"])


def test_parameters_in_another_frame_give_the_hand_in_that_frame(model):
    pose = random_pose(6)
    R = rotvec_to_rotmat(RNG(3).normal(0, 1.5, (6, 3)))
    T = RNG(4).normal(0, 500, (6, 3))
    world = model.vertices(**pose, flat_hand_mean=False)
    rot, trans = to_camera(
        pose["rotvec"][:, 0], pose["translation"], R, T, model.root(pose["betas"])
    )
    pose["rotvec"][:, 0], pose["translation"] = rot, trans
    seen = model.vertices(**pose, flat_hand_mean=False)
    assert np.allclose(seen, world @ R.swapaxes(1, 2) + T[:, None])


def test_one_shape_serves_all_hands(model):
    pose = random_pose(3)
    pose["betas"] = pose["betas"][0]
    several = model.joints(**pose, flat_hand_mean=True)
    pose["betas"] = np.stack([pose["betas"]] * 3)
    assert np.allclose(several, model.joints(**pose, flat_hand_mean=True))


@pytest.mark.parametrize("angle", [0, 1e-9, 1e-4, 1, 3, np.pi - 1e-7, np.pi])
def test_rotation_vectors_and_matrices_are_inverse(angle):
    axes = RNG(0).normal(size=(50, 3))
    vectors = axes / np.linalg.norm(axes, axis=1, keepdims=True) * angle
    rotmat = rotvec_to_rotmat(vectors)
    assert np.allclose(rotmat, [plain_rotation(vector) for vector in vectors], atol=1e-12)
    assert np.allclose(rotmat @ rotmat.swapaxes(1, 2), np.eye(3))
    assert np.allclose(rotvec_to_rotmat(rotmat_to_rotvec(rotmat)), rotmat, atol=1e-9)
    if angle < 3.1:
        assert np.allclose(rotmat_to_rotvec(rotmat), vectors, atol=1e-9)


def test_many_hands_are_posed_in_blocks(model):
    pose = random_pose(600)
    every = model.vertices(**pose, flat_hand_mean=True)
    assert np.allclose(every[-3:], model.vertices(**{k: v[-3:] for k, v in pose.items()},
                                                  flat_hand_mean=True))  # fmt: skip


@pytest.mark.parametrize(
    ("pose", "message"),
    [
        ({}, "as rotvec or as rotmat"),
        ({"rotvec": np.zeros((1, 16, 3)), "rotmat": np.zeros((1, 16, 3, 3))}, "rotvec or as"),
        ({"rotvec": np.zeros((1, 48))}, "a pose is"),
        ({"rotmat": np.zeros((1, 15, 3, 3))}, "a pose is"),
    ],
)
def test_a_pose_of_another_shape_is_refused(model, pose, message):
    with pytest.raises(ValueError, match=message):
        model.joints(**pose, betas=np.zeros(10), flat_hand_mean=True)


@pytest.mark.parametrize("protocol", [1, 2])
def test_the_original_pickles_read_without_chumpy_and_scipy(tmp_path, protocol):
    hand = make_hand(778, seed=1)
    read = HandModel.load(write_pickle(tmp_path / "MANO_RIGHT.pkl", hand, protocol=protocol))
    for name in ("v_template", "shapedirs", "posedirs", "J_regressor", "weights", "hands_mean"):
        assert np.array_equal(getattr(read, name), hand[name]), name
    assert read.parents == (-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 0, 10, 11, 0, 13, 14)
    assert read.tips == (744, 320, 443, 554, 671)
    assert read.faces.shape == (1556, 3)


def test_fixing_the_left_hand_negates_x_of_the_shape_space_only(tmp_path):
    path = write_npz(tmp_path / "left.npz", make_hand(side="left"))
    plain, fixed = HandModel.load(path), HandModel.load(path, fix_left=True)
    assert np.array_equal(fixed.shapedirs[:, 0], -plain.shapedirs[:, 0])
    assert np.array_equal(fixed.shapedirs[:, 1:], plain.shapedirs[:, 1:])
    assert np.array_equal(fixed.v_template, plain.v_template)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"posedirs": None}, "has no posedirs"),
        ({"weights": np.zeros((60, 15))}, r"weights of shape \(60, 15\), expected \(60, 16\)"),
        ({"shapedirs": np.zeros((59, 3, 10))}, "shapedirs of shape"),
        ({"v_template": np.array(["a"] * 60)}, "v_template of shape"),
        ({"kintree_table": np.full((2, 16), 5)}, "before its parent"),
        ({"tips": np.array([1, 2, 3, 4, 60])}, "has tips"),
        ({"tips": None}, "60 vertices, not MANO's 778, and no tips"),
        ({"f": np.zeros((3, 3))}, "expected .*integers"),
    ],
)
def test_a_damaged_model_is_named(tmp_path, hand, change, message):
    changed = {k: v for k, v in (hand | change).items() if v is not None}
    with pytest.raises(DatasetError, match=f"HB203 .*{message}"):
        HandModel.load(write_npz(tmp_path / "hand.npz", changed))


def test_files_that_are_no_models_are_named(tmp_path):
    (tmp_path / "hand.npz").write_bytes(b"not a zip")
    (tmp_path / "hand.pkl").write_bytes(b"not a pickle")
    for name in ("hand.npz", "hand.pkl"):
        with pytest.raises(DatasetError, match=f"HB203 .*{name}"):
            HandModel.load(tmp_path / name)
        with pytest.raises(DatasetError, match="HB202"):
            HandModel.load(tmp_path / "no" / name)


def test_mano_is_found_where_it_was_put(tmp_path, home, monkeypatch):
    monkeypatch.delenv("HAND_BENCH_MANO", raising=False)
    hand = make_hand()
    at_home = write_npz(home / "mano/MANO_RIGHT.npz", hand)
    assert find_mano("right") == at_home
    unpacked = write_pickle(tmp_path / "env/mano_v1_2/models/MANO_RIGHT.pkl", hand)
    monkeypatch.setenv("HAND_BENCH_MANO", str(tmp_path / "env"))
    assert find_mano("right") == unpacked
    here = write_pickle(tmp_path / "here/MANO_RIGHT.pkl", hand)
    assert find_mano("right", tmp_path / "here") == here


def test_where_mano_is_to_be_had_is_said(tmp_path, home, monkeypatch):
    monkeypatch.delenv("HAND_BENCH_MANO", raising=False)
    write_npz(home / "mano/MANO_RIGHT.npz", make_hand())
    with pytest.raises(DatasetError, match=r"HB202 MANO_LEFT\.pkl: .*mano") as error:
        find_mano("left")
    assert "https://mano.is.tue.mpg.de" in str(error.value)
    assert "MANO v1.2" in str(error.value) and "HAND_BENCH_MANO" in str(error.value)
    with pytest.raises(DatasetError, match="HB202"):
        find_mano("right", tmp_path)
    with pytest.raises(ValueError, match="neither right nor left"):
        find_mano("both")


@pytest.mark.parametrize("flat", [True, False])
def test_smplx_gives_the_same_hand(tmp_path, flat):
    smplx = pytest.importorskip("smplx", reason="smplx (research licence) is not installed")
    torch = pytest.importorskip("torch", reason="torch is not installed")
    hand = make_hand(778, seed=4)
    hand["hands_components"] = np.eye(45)
    model = HandModel.load(write_npz(tmp_path / "hand.npz", hand))
    layer = smplx.MANO(
        str(_smplx_pickle(tmp_path / "MANO_RIGHT.pkl", hand)),
        use_pca=False,
        flat_hand_mean=flat,
        is_rhand=True,
        dtype=torch.float64,
    )
    pose = random_pose(4)
    found = layer(
        global_orient=torch.tensor(pose["rotvec"][:, 0]),
        hand_pose=torch.tensor(pose["rotvec"][:, 1:].reshape(4, 45)),
        betas=torch.tensor(pose["betas"]),
        transl=torch.tensor(pose["translation"] / 1000),
    )
    vertices = found.vertices.detach().numpy() * 1000
    joints = found.joints.detach().numpy() * 1000
    assert np.allclose(model.vertices(**pose, flat_hand_mean=flat), vertices, atol=1e-4)
    ours = model.joints(**pose, flat_hand_mean=flat)
    assert np.allclose(ours[:, :16], joints[:, :16], atol=1e-4)
    assert np.allclose(ours[:, 16:], vertices[:, [744, 320, 443, 554, 671]], atol=1e-4)


def _smplx_pickle(path, hand):
    """A file for smplx, which wants no chumpy if there is none."""
    import pickle

    path.write_bytes(pickle.dumps(hand | {"J": hand["J_regressor"] @ hand["v_template"]}))
    return path
