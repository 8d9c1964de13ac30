"""One step of a training: the plain loop's numbers, and what CUDA devices get besides."""

# ruff: noqa: E402 (what follows the check needs torch)

from copy import deepcopy
from types import SimpleNamespace
from typing import NamedTuple
from unittest.mock import Mock

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: .[baselines]")
pytest.importorskip("accelerate", reason="accelerate is not installed: .[baselines]")

from torch import nn

from hand_baselines.feeding import moved
from hand_baselines.training import MEASURED, State, _is_counted, _steps_for
from hand_baselines.training_options import Options
from hand_baselines.training_step import Step, make_accelerator, parameter_groups

OPTIONS = Options(steps=3, learning_rate=1e-2, clip=0.5)


class Terms(NamedTuple):
    total: torch.Tensor


class Network(nn.Module):
    """A convolution and a head."""

    HEADS = ("head",)

    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4, 1)

    def forward(self, images):
        return self.head(self.body(images).relu().mean((2, 3)))

    def targets(self, batch):
        return batch["target"]

    def losses(self, output, targets):
        return Terms((output - targets).square().mean())


def fed(batch):
    return (batch["image"],)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return Network()


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(1)
    image = torch.rand(5, 3, 8, 8, generator=generator)
    return {"image": image, "target": torch.rand(5, 1, generator=generator)}


def test_steps_give_what_a_plain_loop_gives(network, batch):
    accelerator = make_accelerator(OPTIONS)
    if accelerator.device.type != "cpu":
        pytest.skip("accelerate computes on a GPU here, whose sums have no fixed order")
    plain = deepcopy(network).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(parameter_groups(plain, OPTIONS), OPTIONS.learning_rate)
    step = Step.of(network, OPTIONS, accelerator, fed)
    for _ in range(3):
        terms, norm = step(batch)
        loss = plain.losses(plain(*fed(batch)), plain.targets(batch)).total
        optimizer.zero_grad()
        loss.backward()
        assert norm == nn.utils.clip_grad_norm_(plain.parameters(), OPTIONS.clip)
        optimizer.step()
        assert terms.total == loss
    for mine, other in zip(network.parameters(), plain.parameters(), strict=True):
        assert torch.equal(mine, other)


@pytest.mark.parametrize(("device", "fused"), [("cpu", None), ("cuda", True)])
def test_weights_are_changed_in_one_go_on_cuda_alone(network, device, fused):
    accelerator = SimpleNamespace(device=torch.device(device), prepare=lambda *parts: parts)
    for optimizer in ("adam", "sgd"):
        options = Options(steps=1, optimizer=optimizer)
        step = Step.of(network, options, accelerator, fed)
        assert step.optimizer.defaults["fused"] is fused


@pytest.mark.parametrize(("device", "aside"), [("cpu", False), ("cuda", True)])
def test_nobody_waits_for_a_copy_to_cuda(device, aside):
    value, place = Mock(), torch.device(device)
    moved({"image": value}, place)
    value.to.assert_called_once_with(place, non_blocking=aside)


def test_every_training_of_a_process_has_its_own_precision():
    for precision in ("no", "bf16", "no"):
        accelerator = make_accelerator(Options(steps=1, precision=precision), cpu=True)
        assert accelerator.mixed_precision == precision


def test_the_number_of_steps_follows_the_minutes_and_is_corrected_after_a_quarter():
    timed, state = Options(minutes=10), State(total=None)
    state.step, state.seconds, state.images_seconds = MEASURED, 40 * 0.1, 8 * 0.1
    assert _is_counted(timed, state) and not _is_counted(Options(steps=50), state)
    state.total = _steps_for(timed, state)
    assert state.total == 6000
    # What was ready is used up: from here a step takes a second.
    state.step, state.seconds = 1500, 1500.0
    assert _is_counted(timed, state)
    assert _steps_for(timed, state) == state.step + 1, "the time is over"
    state.step, state.seconds = 1500, 300.0
    assert 2900 < _steps_for(timed, state) < 3100
