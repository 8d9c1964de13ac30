"""ResNet: sizes of the literature, torchvision's names, and the same numbers as transformers."""

# ruff: noqa: E402 (what follows the check needs torch)

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: .[baselines]")

from hand_baselines.resnet import ResNet, parameter_count
from hand_bench.errors import BaselineError


@pytest.mark.parametrize(("depth", "count"), [(18, 11_176_512), (34, 21_284_672), (50, 23_508_032)])
def test_parameter_counts_without_the_classifier(depth, count):
    with torch.device("meta"):
        assert parameter_count(ResNet(depth)) == count


@pytest.mark.parametrize(
    ("depth", "channels"), [(18, (64, 128, 256, 512)), (50, (256, 512, 1024, 2048))]
)
def test_stages_have_strides_4_to_32(depth, channels):
    with torch.device("meta"):
        stages = ResNet(depth).stages(torch.empty(2, 3, 256, 192))
    assert [tuple(s.shape) for s in stages] == [
        (2, c, 256 // stride, 192 // stride)
        for c, stride in zip(channels, (4, 8, 16, 32), strict=True)
    ]


def test_half_width_has_half_the_channels():
    with torch.device("meta"):
        network = ResNet(18, width=0.5)
        assert network.out_channels == 256
        assert parameter_count(network) == 2_798_880


def test_names_are_those_of_torchvision():
    with torch.device("meta"):
        names = set(ResNet(50).state_dict())
    assert {
        "conv1.weight",
        "bn1.running_mean",
        "layer1.0.conv3.weight",
        "layer1.0.downsample.0.weight",
        "layer1.0.downsample.1.bias",
        "layer4.2.bn3.weight",
    } <= names
    assert not any(name.startswith(("fc", "relu", "layer1.1.downsample")) for name in names)


def test_weights_of_a_classifier_load_and_colour_weights_fit_a_grey_network():
    colour, grey = ResNet(18, width=0.125).eval(), ResNet(18, width=0.125, in_channels=1).eval()
    state = {**colour.state_dict(), "fc.weight": torch.zeros(1000, 64), "fc.bias": torch.zeros(1)}
    grey.load_backbone(state)
    picture = torch.rand(1, 1, 64, 64)
    with torch.no_grad():
        assert torch.allclose(grey(picture), colour(picture.expand(-1, 3, -1, -1)), atol=1e-5)


def test_weights_of_another_width_are_refused():
    with pytest.raises(BaselineError, match="HB402 backbone weights"):
        ResNet(18, width=0.125).load_backbone(ResNet(18, width=0.25).state_dict())


def test_unknown_depths_and_broken_widths_are_refused():
    with pytest.raises(BaselineError, match=r"no ResNet '51'.\s+Known: 18, 34, 50"):
        ResNet(51)
    with pytest.raises(ValueError, match="not a whole number"):
        ResNet(18, width=0.3)


@pytest.mark.parametrize("depth", [18, 50])
def test_the_numbers_are_those_of_transformers(depth):
    transformers = pytest.importorskip(
        "transformers", reason="transformers, the other implementation, is not installed"
    )
    ours, theirs = _twins(transformers, depth)
    pictures = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(ours(pictures), theirs(pictures).last_hidden_state)


def _twins(transformers, depth: int):
    """Both networks with the same random weights: their tensors come in the same order but for
    shortcuts, which transformers has before a block's layers."""
    kind = "bottleneck" if depth == 50 else "basic"
    sizes = [256, 512, 1024, 2048] if depth == 50 else [64, 128, 256, 512]
    blocks = [3, 4, 6, 3] if depth == 50 else [2, 2, 2, 2]
    config = transformers.ResNetConfig(depths=blocks, hidden_sizes=sizes, layer_type=kind)
    theirs = transformers.ResNetModel(config).eval()
    ours = ResNet(depth).eval()
    generator = torch.Generator().manual_seed(1)
    for name, value in theirs.state_dict().items():
        if "num_batches" not in name:
            spread = 0.05 if value.dim() > 1 else 0.5
            value.copy_(torch.randn(value.shape, generator=generator).abs() * spread)
    renamed = {_torchvision_name(name): value for name, value in theirs.state_dict().items()}
    ours.load_backbone(renamed)
    return ours, theirs


def _torchvision_name(name: str) -> str:
    parts = name.split(".")
    kind = {"convolution": "conv", "normalization": "bn"}
    if parts[0] == "embedder":
        return f"{kind[parts[2]]}1.{parts[3]}"
    _, _, stage, _, block, where, *rest = parts
    prefix = f"layer{int(stage) + 1}.{block}"
    if where == "shortcut":
        return f"{prefix}.downsample.{0 if rest[0] == 'convolution' else 1}.{rest[1]}"
    return f"{prefix}.{kind[rest[1]]}{int(rest[0]) + 1}.{rest[2]}"
