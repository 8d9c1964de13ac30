"""Heads: sizes, initialisation, targets, and how places are read out of volumes."""

# ruff: noqa: E402 (what follows the check needs torch)

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: .[baselines]")

from hand_baselines.heads import (
    DepthBranch,
    PoseHead,
    PresenceBranch,
    argmax_3d,
    gaussian_heatmaps,
    heatmap_errors,
    refined_argmax_3d,
    soft_argmax_1d,
    soft_argmax_2d,
    soft_argmax_3d,
)
from hand_baselines.resnet import parameter_count


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_the_heads_have_the_sizes_of_the_paper():
    with torch.device("meta"):
        pose, root, presence = PoseHead(2048, 21, 64), DepthBranch(2048, 64), PresenceBranch(2048)
        counts = [parameter_count(head) for head in (pose, root, presence)]
        assert counts == [10_832_704, 1_081_920, 1_050_114]
        assert pose(torch.empty(2, 2048, 8, 8)).shape == (2, 21, 64, 64, 64)
        assert root(torch.empty(2, 2048)).shape == (2,)
        assert presence(torch.empty(2, 2048)).shape == (2, 2)


def test_channels_are_joint_times_bins_plus_depth_bin():
    head = PoseHead(4, joints=3, bins=8, hidden=4).eval()
    features = noise(1, 4, 1, 1)
    flat = head.convolution(head.upsampler(features))
    assert torch.equal(head(features)[0, 2, 5], flat[0, 2 * 8 + 5])


def test_new_layers_are_drawn_as_in_the_official_code():
    torch.manual_seed(0)
    pose, root = PoseHead(64, 21, 16, hidden=64), DepthBranch(64, 64)
    for layer, deviation in (
        (pose.upsampler[0], 0.001),
        (pose.convolution, 0.001),
        (root.layers[0], 0.01),
    ):
        assert abs(layer.weight.std().item() / deviation - 1) < 0.05
    assert pose.upsampler[0].bias is None
    assert not pose.convolution.bias.any() and not root.layers[2].bias.any()


def test_a_target_is_255_times_a_gaussian_of_2_5_bins():
    centre = torch.tensor([3.0, 5.5, 4.25])
    volume = gaussian_heatmaps(centre, (8, 9, 10))
    assert volume.shape == (8, 9, 10)
    for z, y, x in ((4, 5, 3), (0, 8, 9), (7, 0, 0)):
        square = (x - 3) ** 2 + (y - 5.5) ** 2 + (z - 4.25) ** 2
        expected = 255 * torch.exp(torch.tensor(-square / (2 * 2.5**2)))
        assert torch.allclose(volume[z, y, x], expected)


def test_errors_of_heatmaps_are_those_of_the_plain_formula():
    volumes, centres = 100 * noise(2, 3, 5, 6, 7), 2 + noise(2, 3, 3, seed=1)
    plain = (volumes - gaussian_heatmaps(centres, (5, 6, 7), 1.5)).square().mean(dim=(2, 3, 4))
    assert torch.allclose(heatmap_errors(volumes, centres, 1.5), plain)
    volumes = noise(2, 2, 3, 3).double().requires_grad_()
    centres = torch.rand(2, 3).double()
    assert torch.autograd.gradcheck(lambda v: heatmap_errors(v, centres, 1.0, 2.0), volumes)


def test_argmax_finds_the_bin_of_a_target():
    centres = torch.tensor([[[1.0, 2.0, 3.0], [9.0, 0.0, 7.0]]])
    assert torch.equal(argmax_3d(gaussian_heatmaps(centres, (8, 9, 10))), centres)


def test_argmax_equals_the_maximum_over_all_voxels():
    volumes = noise(4, 3, 5, 6, 7)
    flat = volumes.flatten(2).argmax(-1)
    expected = torch.stack([flat % 7, flat // 7 % 6, flat // 42], dim=-1)
    assert torch.equal(argmax_3d(volumes), expected.float())


def test_soft_argmax_is_the_expectation():
    logits = torch.tensor([0.0, torch.log(torch.tensor(3.0)), -torch.inf])
    assert torch.allclose(soft_argmax_1d(logits), torch.tensor(0.75))
    volume = torch.full((4, 5, 6), -torch.inf)
    volume[1, 2, 3] = volume[3, 2, 5] = 0.0
    assert torch.allclose(soft_argmax_3d(volume), torch.tensor([4.0, 2.0, 2.0]))
    assert torch.allclose(soft_argmax_2d(volume[1]), torch.tensor([3.0, 2.0]))


def test_soft_argmax_and_its_gradient_are_those_of_the_plain_formula():
    volumes = noise(2, 3, 4, 5, 6).double().requires_grad_()
    shares = volumes.flatten(2).softmax(-1).view(volumes.shape)
    x, y, z = (torch.arange(n).double() for n in (6, 5, 4))
    plain = [(shares.sum((-3, -2)) * x), (shares.sum((-3, -1)) * y), (shares.sum((-2, -1)) * z)]
    assert torch.allclose(soft_argmax_3d(volumes), torch.stack([p.sum(-1) for p in plain], -1))
    assert torch.autograd.gradcheck(soft_argmax_3d, volumes)


def test_soft_argmax_of_half_precision_is_as_good_as_its_volumes():
    volumes = (4 * noise(8, 42, 32, 32, 32)).bfloat16()
    exact = soft_argmax_3d(volumes.float())
    found = soft_argmax_3d(volumes)
    assert found.dtype == torch.float32 and (found - exact).abs().max() < 0.03


def test_soft_argmax_of_a_flat_volume_is_its_middle():
    assert torch.allclose(
        soft_argmax_3d(torch.zeros(2, 64, 32, 16)), torch.tensor([7.5, 15.5, 31.5])
    )


@pytest.mark.parametrize("sigma", [1.0, 1.25, 2.5])
def test_the_refined_maximum_of_a_gaussian_is_exact(sigma):
    centres = torch.tensor([[10.3, 12.8, 9.4], [15.0, 8.6, 20.1]])
    volumes = gaussian_heatmaps(centres, (30, 31, 32), sigma)
    assert torch.allclose(refined_argmax_3d(volumes), centres, atol=1e-3)
    assert (argmax_3d(volumes) - centres).abs().max() > 0.39


def test_nothing_is_refined_at_the_border_or_without_positive_values():
    border = gaussian_heatmaps(torch.tensor([0.3, 4.3, 7.0]), (8, 9, 10), 1.0)
    assert torch.allclose(refined_argmax_3d(border), torch.tensor([0.0, 4.3, 7.0]), atol=1e-3)
    volume = -torch.ones(6, 6, 6)
    volume[1, 2, 3] = -0.5
    assert torch.equal(refined_argmax_3d(volume), torch.tensor([3.0, 2.0, 1.0]))


def test_the_refined_maximum_stays_within_half_a_bin():
    volumes = noise(200, 6, 7, 8)
    assert (refined_argmax_3d(volumes) - argmax_3d(volumes)).abs().max() <= 0.5
