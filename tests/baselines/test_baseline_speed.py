"""The bench of all networks runs; nothing is said of its times."""

# ruff: noqa: E402 (what follows the check needs torch)

import importlib
import json
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: .[baselines]")
pytest.importorskip("accelerate", reason="accelerate is not installed: .[baselines]")

from hand_baselines.models import MODELS

SPEED = Path(__file__).parents[1] / "speed"


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(str(SPEED))
    made = importlib.import_module("bench_networks")
    monkeypatch.setattr(made, "SECONDS", 0)
    return made


def test_every_model_has_data(bench):
    assert set(bench.DATA) == set(MODELS)


def test_a_model_is_measured_in_both_forms(bench, mini_world, tmp_path, capsys):
    numbers = tmp_path / "numbers.json"
    given = ["--models", "rootnet", "--device", "cpu", "--precision", "no", "--threads", "1"]
    given += ["--passes", "1", "--home", str(mini_world), "--json", str(numbers)]
    assert bench.main(given) == 0
    (line,) = json.loads(numbers.read_text())["models"]
    assert (line["name"], line["batch"], line["data"]) == ("rootnet", 16, "handsim-interhand26m")
    assert min(line["times_faster"].values()) > 0
    assert sum(line["shares"].values()) == pytest.approx(1)
    assert "samples per second" in capsys.readouterr().out


class Broken:
    """A process in which nothing works."""

    def __init__(self, failure):
        self.failure, self.closed = failure, False

    def ask(self, *_):
        raise self.failure

    def close(self):
        self.closed = True


def test_a_model_that_cannot_be_measured_is_named(bench, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(bench, "make_worlds", lambda *_: None)
    broken = Broken(bench.Failed("out of memory"))
    monkeypatch.setattr(bench, "Worker", lambda *_: broken)
    assert bench.main(["--models", "msg3d", "--device", "cpu", "--home", str(tmp_path)]) == 1
    assert "out of memory" in capsys.readouterr().out and broken.closed


def test_a_step_waits_for_what_its_workers_do_not_finish(bench):
    step = bench.Times({"step": 4.0}, {"forward": 0.5, "backward": 1.0, "optimiser": 0.5})
    for workers, waiting in ((0, 3 / 5), (1, 1 / 3), (2, 0)):
        line = bench.Line("internet", workers=workers, read=3.0, train=step)
        assert line.shares()["waiting"] == pytest.approx(waiting)


def test_the_default_layout_is_what_networks_get_in_a_plain_loop(bench):
    from network_forms import default_layout

    images = torch.rand(2, 3, 4, 5)
    by_pixels = images.contiguous(memory_format=torch.channels_last)
    with default_layout():
        assert images.contiguous(memory_format=torch.channels_last).is_contiguous()
    assert not by_pixels.is_contiguous()
