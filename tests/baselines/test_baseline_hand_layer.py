"""The hand layer in torch: equal to its NumPy twin, and differentiable."""

# ruff: noqa: E402 (what follows the check needs torch)

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: .[baselines]")

from benchmark.official.mano import make_hand, write_npz
from hand_baselines.hand_layer import HandLayer, rotation_6d_to_rotmat, rotvec_to_rotmat
from hand_bench import hand_model
from hand_bench.hand_model import HandModel

RNG = np.random.default_rng


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> HandModel:
    return HandModel.load(write_npz(tmp_path_factory.mktemp("hand") / "hand.npz", make_hand()))


def pose(count: int = 5, seed: int = 0) -> dict[str, np.ndarray]:
    rng = RNG(seed)
    return {
        "rotvec": rng.normal(0, 0.5, (count, 16, 3)),
        "betas": rng.normal(0, 1, (count, 10)),
        "translation": rng.normal(0, 300, (count, 3)),
    }


def tensors(arrays: dict[str, np.ndarray], dtype) -> dict:
    return {name: torch.as_tensor(array, dtype=dtype) for name, array in arrays.items()}


@pytest.mark.parametrize("flat_hand_mean", [True, False])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 2e-3), ("float64", 1e-9)])
def test_it_equals_the_numpy_hand(model, flat_hand_mean, dtype, tolerance):
    dtype, arrays = getattr(torch, dtype), pose()
    layer = HandLayer(model, dtype)
    joints, vertices = layer(**tensors(arrays, dtype), flat_hand_mean=flat_hand_mean)
    expected = model.joints(**arrays, flat_hand_mean=flat_hand_mean)
    assert np.abs(joints.numpy() - expected).max() < tolerance  # mm, of some hundred
    expected = model.vertices(**arrays, flat_hand_mean=flat_hand_mean)
    assert np.abs(vertices.numpy() - expected).max() < tolerance


def test_joints_alone_are_the_same_joints(model):
    layer, arguments = HandLayer(model, torch.float64), tensors(pose(), torch.float64)
    both, _ = layer(**arguments, flat_hand_mean=True)
    assert torch.allclose(layer.joints(**arguments, flat_hand_mean=True), both)


def test_matrices_pose_like_rotation_vectors_and_know_no_mean_pose(model):
    layer, arguments = HandLayer(model, torch.float64), tensors(pose(), torch.float64)
    vectors = layer.joints(**arguments, flat_hand_mean=True)
    rotmat = rotvec_to_rotmat(arguments.pop("rotvec"))
    for flat in (True, False):
        matrices = layer.joints(**arguments, rotmat=rotmat, flat_hand_mean=flat)
        assert torch.allclose(matrices, vectors)


def test_one_shape_and_no_translation_serve_all_hands(model):
    layer, arrays = HandLayer(model, torch.float64), pose()
    rotvec = torch.as_tensor(arrays["rotvec"])
    ours = layer.joints(rotvec=rotvec, betas=torch.zeros(10).double(), flat_hand_mean=True)
    theirs = model.joints(rotvec=arrays["rotvec"], betas=np.zeros(10), flat_hand_mean=True)
    assert np.allclose(ours.numpy(), theirs)


def test_gradients_are_right(model):
    layer, arguments = HandLayer(model, torch.float64), tensors(pose(1), torch.float64)

    def wrist_and_tips(rotvec, betas, translation):
        joints = layer.joints(
            rotvec=rotvec, betas=betas, translation=translation, flat_hand_mean=False
        )
        return joints[:, [0, 3, 16, 20]]

    values = tuple(value.requires_grad_() for value in arguments.values())
    assert torch.autograd.gradcheck(wrist_and_tips, values, fast_mode=True)


def test_the_flat_hand_has_finite_gradients(model):
    layer = HandLayer(model)
    rotvec, betas = torch.zeros(1, 16, 3, requires_grad=True), torch.zeros(10, requires_grad=True)
    layer(rotvec=rotvec, betas=betas, flat_hand_mean=True)[1].sum().backward()
    assert torch.isfinite(rotvec.grad).all() and rotvec.grad.abs().max() > 0
    assert torch.isfinite(betas.grad).all()


def test_rotation_vectors_equal_the_cores():
    vectors = np.concatenate(
        [RNG(1).normal(0, 1, (6, 3)), [[0, 0, 0], [1e-9, 0, 0], [0, np.pi, 0]]]
    )
    ours = rotvec_to_rotmat(torch.as_tensor(vectors))
    assert np.allclose(ours.numpy(), hand_model.rotvec_to_rotmat(vectors), atol=1e-12)


def test_six_values_give_a_rotation_by_its_first_two_rows():
    matrices = hand_model.rotvec_to_rotmat(RNG(2).normal(0, 1, (5, 3)))
    six = torch.as_tensor(matrices[:, :2].reshape(5, 6) * [3, 3, 3, 0.5, 0.5, 0.5])
    assert np.allclose(rotation_6d_to_rotmat(six).numpy(), matrices)


def test_the_layer_keeps_the_model_out_of_checkpoints(model):
    layer = HandLayer(model)
    assert not layer.state_dict() and layer.faces.shape[1] == 3


def test_a_pose_of_another_shape_is_refused(model):
    layer, betas = HandLayer(model), torch.zeros(10)
    with pytest.raises(ValueError, match=r"not \(1, 48\)"):
        layer(rotvec=torch.zeros(1, 48), betas=betas, flat_hand_mean=True)
    with pytest.raises(ValueError, match="rotvec or as rotmat"):
        layer(betas=betas, flat_hand_mean=True)
