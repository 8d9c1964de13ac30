"""HTT's network: sizes, losses and decoding by hand, and laws of its parts."""

# ruff: noqa: E402 (what follows the check needs torch)

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: .[baselines]")

from hand_baselines.backbone.weights import start_from
from hand_baselines.htt.config import PRESETS, HTTConfig, preset
from hand_baselines.htt.model import (
    HTT,
    HTTOutput,
    HTTTargets,
    decode,
    frame_mean,
    losses,
)
from hand_baselines.htt.task import example
from hand_baselines.htt.transformer import Encoder, sine_places
from hand_baselines.models import find_model
from hand_baselines.presets import changed
from hand_baselines.resnet import parameter_count
from hand_baselines.weights import save_weights
from hand_bench.errors import BaselineError


def targets_like(config: HTTConfig, valid: torch.Tensor) -> HTTTargets:
    """Random targets of clips."""
    shape = (*valid.shape, config.shows.joints)
    known = valid[..., None].expand(shape)
    pixels, depth = 200 * torch.rand(*shape, 2), 0.3 + torch.rand(shape)
    classes = torch.arange(len(valid))
    return HTTTargets(pixels, depth, known, valid, torch.full(valid.shape, 238.7), classes, classes)


def make(config: HTTConfig, **changes) -> HTT:
    torch.manual_seed(0)
    return HTT(replace(config, **changes))


def clips_of(config: HTTConfig, lengths=(5, 16)) -> tuple[torch.Tensor, torch.Tensor]:
    """Random clips of some lengths; padding is noise."""
    torch.manual_seed(1)
    width, height = config.picture_size
    valid = torch.arange(config.clip) < torch.tensor(lengths)[:, None]
    return torch.rand(len(lengths), config.clip, 3, height, width), valid


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("paper", 25_498_858),
        ("paper-fpha", 25_468_102),
        ("small", 2_409_634),
        ("small-fpha", 2_401_918),
    ],
)
def test_parameter_counts_and_shapes(name, count):
    config = preset(name)
    width, height = config.picture_size
    with torch.device("meta"):
        network = HTT(config)
        features = network.features(torch.empty(2, 3, height, width))
        output = network.look(torch.empty(2, 128, config.tokens), torch.ones(2, 128) > 0)
    assert parameter_count(network) == count and features.shape == (2, config.tokens)
    assert output.joints.shape == (2, 128, config.shows.joints, 3)
    assert output.objects.shape == (2, 128, config.shows.objects)
    assert output.action.shape == (2, len(config.shows.actions))


def test_each_part_has_the_released_number_of_parameters():
    with torch.device("meta"):
        network = HTT(preset("paper"))
    parts = {name: parameter_count(part) for name, part in network.named_children()}
    assert parts["backbone"] == 11_176_512
    assert parts["pose_block"] == parts["action_block"] == 6_305_792
    assert parts["joints"] == 589_950 and parts["objects"] == 262_656 + 4_104
    assert parts["told"] == 43_520 + 4_608 + 786_944 and parts["action"] == 18_468


@pytest.mark.parametrize("window", [1, 8, 16, 32, 64, 128])
def test_windows_of_table_4(window):
    with torch.device("meta"):
        network = HTT(changed(preset("small"), [f"window={window}"]))
    assert network.config.window == window


@pytest.mark.parametrize("clip", [16, 32, 64, 128])
@pytest.mark.parametrize("inputs", ["feature,pose", "feature,object", "pose,object", "feature"])
def test_clips_and_action_inputs_of_table_5(tiny_htt, clip, inputs):
    config = changed(tiny_htt, [f"clip={clip}", f"action_inputs={inputs}"])
    network = HTT(config)
    output = network(*example(config, 6))
    assert output.action.shape == (1, 36) and network.told is not None
    assert network.told.mix.in_features == (inputs.count(",") + 1) * config.tokens


def test_configurations_that_do_not_fit_are_named(tiny_htt):
    for given in (["window=48"], ["clip=100"], ["taxonomy=assembly"], ["voting=loud"]):
        with pytest.raises(BaselineError, match="does not fit"):
            changed(preset("paper"), given)
    with pytest.raises(BaselineError, match="HB301"):
        changed(preset("paper"), ["windows=16"])
    for given in ("window=x", "window=true", "cascade=1", "window"):
        with pytest.raises(BaselineError, match="HB302"):
            changed(preset("paper"), [given])
    with pytest.raises(ValueError, match="no token"):
        HTT(replace(tiny_htt, pooling="mean"))
    with pytest.raises(BaselineError, match="no preset of HTT"):
        preset("large")


def test_the_backbone_of_small_starts_from_the_shared_one(tmp_path):
    model = find_model("backbone")
    shared = model.network_class()(model.preset("small"))
    save_weights(tmp_path, model, "small", shared, {})
    network = HTT(preset("small"))
    start_from(network, tmp_path)
    assert torch.equal(network.backbone.conv1.weight, shared.backbone.conv1.weight)


def test_losses_by_hand():
    # One clip of two frames, the second one padding; J joints all alike.
    config, joints = PRESETS["paper"], 42
    raw = torch.tensor([0.1, -0.2, 2.0]).expand(1, 2, joints, 3)
    output = HTTOutput(raw, torch.zeros(1, 2, 8), torch.zeros(1, 36))
    valid = torch.tensor([[True, False]])
    focal = torch.tensor([[250.0, 250.0]])
    pixels = torch.tensor([253.0, 110.0]).expand(1, 2, joints, 2)
    depth = torch.full((1, 2, joints), 0.47)
    known = valid[..., None].expand(1, 2, joints)
    one = torch.tensor([3])
    found = losses(output, HTTTargets(pixels, depth, known, valid, focal, one, one), config)
    # u = 250, v = 115: (3 + 5) / 2; Z = 250 * 1e-4 * 2 + 0.4 = 0.45; ln 8; ln 36.
    assert [round(float(term), 4) for term in found] == [4.0, 2.0, 2.0794, 3.5835]
    assert float(found.total) == pytest.approx(11.6629, abs=1e-4)


def test_frames_are_averaged_over_the_batch_or_over_clips():
    values = torch.tensor([[1.0, 2.0, 3.0], [10.0, 0.0, 0.0]])
    known = torch.tensor([[True, True, True], [True, False, False]])
    assert frame_mean(values, known, "batch") == 4.0
    assert frame_mean(values, known, "clip") == 6.0
    assert frame_mean(values, known & False, "clip") == frame_mean(values, known & False, "batch")


def test_nothing_known_is_no_loss(tiny_htt):
    network = make(tiny_htt)
    images, valid = clips_of(tiny_htt)
    targets = targets_like(tiny_htt, valid)
    none = torch.full((2,), -1)
    targets = targets._replace(known=targets.known & False, object=none, action=none)
    assert network.losses(network(images, valid), targets).total == 0


def test_decoding_by_hand():
    K = torch.tensor([[238.7472, 0, 238.2315], [0, 238.5945, 137.5778], [0, 0, 1]])
    raw = torch.tensor([[[0.5, -0.25, 0.0], [0.0, 0.0, 10.0]]])
    found = decode(raw, K[None], "fx")[0]
    # u = 290, v = 110, Z = 400 mm.
    assert found[0].tolist() == pytest.approx([86.7336, -46.2042, 400.0], abs=1e-3)
    assert found[1, 2].item() == pytest.approx(400 + 238.7472, abs=1e-3)
    assert decode(raw, K[None], "fy")[0, 0, 1].item() == pytest.approx(-46.2338, abs=1e-3)


def test_positions_are_sines_and_cosines_in_turn():
    places = sine_places(20, 512)
    assert places[3, 0].item() == pytest.approx(0.14112, abs=1e-5)  # sin 3
    assert places[3, 1].item() == pytest.approx(-0.98999, abs=1e-5)  # cos 3
    assert places[7, 511].item() == pytest.approx(1.0, abs=1e-5)


def test_positions_order_tokens_and_values_hold_none():
    torch.manual_seed(0)
    encoder, one = Encoder(16, 2, 2, 32, 8), torch.randn(1, 1, 16)
    same = encoder(one.expand(1, 8, 16), torch.ones(1, 8) > 0)
    assert torch.allclose(same, same[:, :1], atol=1e-5)  # of equal values any mean is the same
    mixed, seen = torch.randn(1, 8, 16), torch.ones(1, 8) > 0
    swapped = encoder(mixed.flip(1), seen).flip(1)
    assert not torch.allclose(encoder(mixed, seen), swapped, atol=1e-3)


def test_padding_has_no_influence(tiny_htt):
    network = make(tiny_htt).eval()
    images, valid = clips_of(tiny_htt)
    other = images.clone()
    other[~valid] = torch.rand_like(other[~valid])
    with torch.no_grad():
        one, two = network(images, valid), network(other, valid)
        short = network(images[:1, :5], valid[:1, :5])
    for a, b, c in zip(one, two, short, strict=True):
        assert torch.equal(a, b)
        assert torch.allclose(a[0, :5] if a.dim() > 2 else a[0], c[0], atol=1e-5)


def test_windows_one_by_one_are_the_clip(tiny_htt):
    network = make(tiny_htt).eval()
    images, valid = clips_of(tiny_htt, (14,))
    with torch.no_grad():
        whole = network(images, valid).joints[0, :14]
        parts = [network.features(images[0, k : min(k + 4, 14)]) for k in range(0, 16, 4)]
        seen = [torch.ones(1, len(part)) > 0 for part in parts]
        single = [network.poses(p[None], s).joints[0] for p, s in zip(parts, seen, strict=True)]
    assert torch.allclose(whole, torch.cat(single), atol=1e-5)


def test_a_window_of_one_frame_knows_no_other(tiny_htt):
    network = make(tiny_htt, window=1).eval()
    images, valid = clips_of(tiny_htt, (6,))
    with torch.no_grad():
        whole = network(images, valid).joints[0, :6]
        alone = network(images[:, 3:4], valid[:, 3:4]).joints[0, 0]
    assert torch.allclose(whole[3], alone, atol=1e-5)


def test_checkpoints_change_nothing(tiny_htt):
    gradients = []
    for again in (False, True):
        network = make(tiny_htt, checkpoint=again)
        images, valid = clips_of(tiny_htt)
        network.losses(network(images, valid), targets_like(tiny_htt, valid)).total.backward()
        gradients.append([parameter.grad for parameter in network.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))


def reached(network: HTT, tiny) -> set[str]:
    """Parts that the action's loss reaches."""
    images, valid = clips_of(tiny)
    network(images, valid).action.square().sum().backward()
    return {
        name
        for name, part in network.named_children()
        if any(p.grad is not None and p.grad.any() for p in part.parameters())
    }


def test_the_action_looks_at_what_it_is_told(tiny_htt):
    shared = {"backbone", "pool", "action_block", "action"}
    poses = {"pose_block", "joints", "objects", "told"}
    assert reached(make(tiny_htt), tiny_htt) == shared | poses
    assert reached(make(tiny_htt, cascade=False), tiny_htt) == shared
    told = make(tiny_htt, action_inputs=("feature", "object"))
    assert reached(told, tiny_htt) == shared | poses - {"joints"}
    told = make(tiny_htt, action_inputs=("feature", "pose"))
    assert reached(told, tiny_htt) == shared | poses - {"objects"}


def test_statistics_are_frozen_and_scales_learn(tiny_htt):
    network = make(tiny_htt).train()
    mean, scale = network.backbone.bn1.running_mean.clone(), network.backbone.bn1.weight
    images, valid = clips_of(tiny_htt)
    network.losses(network(images, valid), targets_like(tiny_htt, valid)).total.backward()
    assert torch.equal(network.backbone.bn1.running_mean, mean)
    assert scale.grad is not None and scale.grad.any()


def test_two_steps_of_paper():
    network = HTT(preset("paper")).train()
    optimizer = torch.optim.Adam(network.parameters(), 3e-5)
    images, valid = torch.zeros(1, 128, 3, 270, 480, dtype=torch.uint8), torch.zeros(1, 128) > 0
    valid[:, :3] = True
    images[:, :3] = torch.randint(0, 256, (3, 3, 270, 480), dtype=torch.uint8)
    targets, seen = targets_like(network.config, valid), []
    for _ in range(2):
        terms = network.losses(network(images, valid), targets)
        optimizer.zero_grad()
        terms.total.backward()
        optimizer.step()
        seen.append(float(terms.total.detach()))
    assert seen[1] < seen[0]
