"""What networks of one crop share: rotations by columns, where answers start, what is refused."""

# ruff: noqa: E402 (what follows the check needs torch)

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: .[baselines]")

from baselines.crop_networks import are_rotations, hidden_targets
from hand_baselines.hand_layer import rotation_6d_to_rotmat
from hand_baselines.parameters import (
    Colours,
    ParameterHead,
    check_crops,
    columns_to_rotmats,
)


def test_six_values_give_a_rotation_by_its_first_two_columns():
    matrices = hidden_targets().rotations
    six = matrices[..., :2].mT.flatten(-2) * torch.tensor([3, 3, 3, 0.5, 0.5, 0.5])
    assert torch.allclose(columns_to_rotmats(six.flatten(-2)), matrices, atol=1e-5)
    assert not torch.allclose(rotation_6d_to_rotmat(six), matrices, atol=0.1)


def test_any_six_values_give_rotations():
    six = torch.randn(5, 96, generator=torch.Generator().manual_seed(1))
    assert are_rotations(columns_to_rotmats(six))


def test_a_new_head_answers_close_to_its_start():
    head = ParameterHead(8, identity=True, camera=(3.0, 0.0, 0.1))
    rotations, betas, camera = head(torch.zeros(2, 8))
    assert torch.equal(rotations, torch.eye(3).expand(2, 16, 3, 3)) and not betas.any()
    assert camera.tolist() == [pytest.approx([3.0, 0.0, 0.1])] * 2
    assert (head(torch.randn(2, 8)).camera - camera).abs().max() < 0.2


def test_hands_are_said_in_single_precision():
    head = ParameterHead(8, identity=True, camera=(3.0, 0.0, 0.0)).to(torch.bfloat16)
    parts = head(torch.randn(2, 8, dtype=torch.bfloat16))
    assert [part.dtype for part in parts] == [torch.float32] * 3


def test_colours_are_those_of_imagenet():
    grey = Colours()(torch.full((1, 3, 1, 1), 0.5)).flatten()
    assert grey.tolist() == pytest.approx([0.015 / 0.229, 0.044 / 0.224, 0.094 / 0.225])


def test_what_does_not_fit_is_refused():
    crops, encoding = torch.zeros(2, 3, 32, 32), torch.zeros(2, 80)
    check_crops(crops, encoding, size=32, kpe=True)
    check_crops(crops, None, size=32, kpe=False)
    with pytest.raises(ValueError, match=r"\(2, 3, 32, 32\) are not \(n, 3, 64, 64\)"):
        check_crops(crops, None, size=64, kpe=False)
    with pytest.raises(ValueError, match="needs an encoding"):
        check_crops(crops, None, size=32, kpe=True)
    with pytest.raises(ValueError, match="takes no encoding"):
        check_crops(crops, encoding, size=32, kpe=False)
    with pytest.raises(ValueError, match=r"\(1, 80\) is not \(2, 80\)"):
        check_crops(crops, encoding[:1], size=32, kpe=True)
