"""Training: the same result after a kill at any step, what a run leaves, what it refuses."""

# ruff: noqa: E402 (what follows the check needs torch)

import csv
import json
import math
import os
import signal
import subprocess
import sys
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: .[baselines]")
pytest.importorskip("accelerate", reason="accelerate is not installed: .[baselines]")

from hand_baselines import runs, tables, training
from hand_baselines.models import find_model
from hand_baselines.training import Job, train
from hand_baselines.training_log import read_log
from hand_baselines.training_options import Options
from hand_baselines.training_step import parameter_groups
from hand_baselines.weights import load_weights
from hand_bench.errors import BaselineError
from hand_bench.tracks import find_track

STEPS = 7
OPTIONS = Options(
    steps=STEPS,
    batch=2,
    warmup=3,
    schedule="cosine",
    workers=0,
    save_every=2,
    log_every=3,
    evaluate_every=4,
)


class Killed(BaseException):
    """What nobody catches."""


def make_job(options: Options = OPTIONS, *, evaluate=None) -> Job:
    """A tiny network on the mini world."""
    from hand_baselines.pictures import Pictures
    from hand_baselines.samples import HandCrops, Order, picture_root, read_table

    model = find_model("internet")
    opened = tables.open_table(find_track("handsim-interhand26m"), "train")
    table = read_table(opened)
    torch.manual_seed(options.seed)
    network = model.network_class()(model.preset("tiny"))
    crops = model.crops(network.config, 1.0)
    data = HandCrops(table, Pictures(picture_root(opened)), crops, seed=options.seed)
    facts = {"root_depth": tables.mean_root_depth(table)}
    return Job(model, "tiny", network, data, Order.of(table), facts, evaluate=evaluate)


def weight_sum(network) -> tuple[float, dict[str, float]]:
    """A stand-in for a score."""
    return float(network.backbone.conv1.weight.detach().sum()), {"MPJPE": 1.0}


def run(out, options: Options = OPTIONS, *, kill: int = 0, **changes):
    def after(step: int) -> None:
        if step == kill:
            raise Killed

    return train(make_job(options, evaluate=weight_sum), out, options, after_step=after, **changes)


def weights_of(out) -> dict:
    return torch.load(out / "state.pt", weights_only=True)["network"]


def same(a: dict, b: dict) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def losses_of(out) -> list:
    kept = ("step", "loss", "pose", "root_depth", "presence", "gradient", "score")
    return [[row.get(name) for name in kept] for row in read_log(out)]


@pytest.fixture(scope="module")
def whole(_mini_home, tmp_path_factory):
    """A run that nothing interrupted."""
    from hand_baselines.internet import config

    out = tmp_path_factory.mktemp("whole")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HAND_BENCH_HOME", str(_mini_home))
        tiny = config.InterNetConfig(
            18, 0.125, input_size=32, bins=8, hidden=8, branch_hidden=16, sigma=1.0
        )
        patch.setitem(config.PRESETS, "tiny", tiny)
        run(out)
    torch.set_num_threads(before)
    return out


def test_a_kill_at_any_step_changes_nothing(whole, mini_world, tiny_preset, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "plot", lambda *_: None)
    for step in range(1, STEPS):
        out = tmp_path / str(step)
        with pytest.raises(Killed):
            run(out, kill=step)
        record = run(out)
        assert same(weights_of(out), weights_of(whole)), step
        assert losses_of(out) == losses_of(whole), step
        assert record["resumed"] == (step >= OPTIONS.save_every) and record["steps"] == STEPS


def test_two_kills_and_one_while_the_state_is_written(
    whole, mini_world, tiny_preset, tmp_path, monkeypatch
):
    with pytest.raises(Killed):
        run(tmp_path, kill=3)

    def half(_whole, path) -> None:
        path.write_bytes(b"half a sta")
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(training.torch, "save", half)
        with pytest.raises(Killed):
            run(tmp_path)
    run(tmp_path)
    assert same(weights_of(tmp_path), weights_of(whole))
    assert losses_of(tmp_path) == losses_of(whole)
    assert not list(tmp_path.glob(".state*"))


SCRIPT = """
import os, signal, sys
import torch
torch.set_num_threads(1)
from hand_baselines.internet import config
config.PRESETS["tiny"] = config.InterNetConfig(
    18, 0.125, input_size=32, bins=8, hidden=8, branch_hidden=16, sigma=1.0
)
sys.path.insert(0, sys.argv[2])
import test_baseline_training as tests
from hand_baselines.training import train
job = tests.make_job(evaluate=tests.weight_sum)
def after(step):
    if step == 5:
        os.kill(os.getpid(), signal.SIGKILL)
train(job, sys.argv[1], tests.OPTIONS, after_step=after)
"""


def test_a_process_that_is_killed_goes_on_with_the_same_result(
    whole, mini_world, tiny_preset, tmp_path
):
    here = os.path.dirname(__file__)  # noqa: PTH120
    done = subprocess.run([sys.executable, "-c", SCRIPT, str(tmp_path), here], timeout=120)
    assert done.returncode == -signal.SIGKILL
    assert torch.load(tmp_path / "state.pt", weights_only=True)["state"]["step"] == 4
    run(tmp_path)
    assert same(weights_of(tmp_path), weights_of(whole))
    assert losses_of(tmp_path) == losses_of(whole)


def test_worker_processes_change_nothing(whole, mini_world, tiny_preset, tmp_path):
    run(tmp_path, replace(OPTIONS, workers=1))
    assert same(weights_of(tmp_path), weights_of(whole))


def test_a_run_leaves_weights_log_plot_and_record(whole):
    rows = list(csv.DictReader((whole / "log.csv").read_text().splitlines()))
    assert [int(row["step"]) for row in rows] == [3, 4, 6, 7]
    assert [row["step"] for row in read_log(whole)] == [3, 4, 6, 7]
    assert sum(bool(row["score"]) for row in rows) == 2
    record = json.loads((whole / "record.json").read_text())
    assert record["steps"] == STEPS and record["images_per_second"] > 0
    assert record["options"]["seed"] == 0 and record["versions"]["torch"] == torch.__version__
    assert str(whole) not in json.dumps(record)
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: .[plot]")
    assert (whole / "loss.png").stat().st_size > 1000


def test_the_best_and_the_last_weights_are_kept(whole):
    scores = {row["step"]: row["score"] for row in read_log(whole) if "score" in row}
    best, last = load_weights(whole / "best"), load_weights(whole / "last")
    assert same(last.network.state_dict(), weights_of(whole))
    assert weight_sum(best.network)[0] == pytest.approx(max(scores.values()), abs=1e-5)


def test_a_finished_run_is_left_as_it_is(whole, mini_world, tiny_preset):
    before = (whole / "last/model.safetensors").read_bytes()
    record = run(whole, kill=STEPS + 1)
    assert (whole / "last/model.safetensors").read_bytes() == before and record["steps"] == STEPS


def test_another_run_in_the_same_folder_is_refused(whole, mini_world, tiny_preset):
    with pytest.raises(BaselineError, match="another model, data or options"):
        run(whole, replace(OPTIONS, seed=1))


def test_a_damaged_state_is_named(mini_world, tiny_preset, tmp_path):
    (tmp_path / "state.pt").write_bytes(b"PK nothing")
    with pytest.raises(BaselineError, match=r"HB402 .*state.pt cannot be read"):
        run(tmp_path)


def test_a_loss_that_is_not_finite_stops_the_run(mini_world, tiny_preset, tmp_path):
    job = make_job()
    with torch.no_grad():
        job.network.backbone.conv1.weight.fill_(math.nan)
    with pytest.raises(BaselineError, match="not finite"):
        train(job, tmp_path, OPTIONS)


def test_minutes_become_steps_that_stay(mini_world, tiny_preset, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "MEASURED", 3)
    monkeypatch.setattr(training, "WARMING", 1)
    timed = replace(OPTIONS, steps=None, minutes=0.005)
    with pytest.raises(Killed):
        run(tmp_path, timed, kill=4)
    total = torch.load(tmp_path / "state.pt", weights_only=True)["state"]["total"]
    assert total >= 4 and run(tmp_path, timed)["steps"] == total


def test_training_ends_by_steps_or_by_minutes():
    for given in ({}, {"steps": 3, "minutes": 1.0}):
        with pytest.raises(BaselineError, match="by steps, by minutes or by epochs"):
            Options(**given)


def test_the_rates_of_both_schedules():
    paper = Options(steps=100, learning_rate=1e-4, warmup=0)
    rates = [paper.rate(step, 100) for step in (0, 74, 75, 84, 85, 99)]
    assert rates == pytest.approx([1e-4, 1e-4, 1e-5, 1e-5, 1e-6, 1e-6])
    cosine = Options(steps=100, learning_rate=1.0, schedule="cosine", warmup=10)
    assert cosine.rate(0, 100) == pytest.approx(0.1) and cosine.rate(50, 100) == pytest.approx(0.5)
    assert cosine.rate(4, None) == 0.5  # before the end is known


def test_both_pose_losses_learn_a_picture(mini_world, tiny_preset):
    for pose_loss in ("heatmap", "integral"):
        job = make_job()
        batch = torch.utils.data.default_collate([job.data[0, k] for k in (0, 1)])
        optimizer = torch.optim.Adam(
            parameter_groups(job.network, replace(OPTIONS, head_rate=10.0)), 3e-3
        )
        for group in optimizer.param_groups:
            group["lr"] = 3e-3 * group["factor"]
        job.network.config = replace(job.network.config, pose_loss=pose_loss)
        values = []
        for _ in range(60):
            total = job.network.losses(
                job.network(batch["image"]), job.network.targets(batch)
            ).total
            optimizer.zero_grad()
            total.backward()
            optimizer.step()
            values.append(total.item())
        assert values[-1] < 0.6 * values[0], pose_loss


def test_epochs_are_steps_of_whole_batches(mini_world, tiny_preset, tmp_path):
    options = replace(OPTIONS, steps=None, epochs=0.1, evaluate_every=0)
    job = make_job(options)
    record = train(job, tmp_path, options)
    assert record["steps"] == round(0.1 * (len(job.order.neighbours) // 2)) > 1
    usual = runs._usual(find_model("internet"), "small", {})
    assert usual["minutes"] == 20
    assert "minutes" not in runs._usual(find_model("internet"), "small", {"steps": 3})


TWO = """
import sys
import torch
torch.set_num_threads(1)
from hand_baselines.internet import config
config.PRESETS["tiny"] = config.InterNetConfig(
    18, 0.125, input_size=32, bins=8, hidden=8, branch_hidden=16, sigma=1.0
)
from hand_baselines.runs import main
main("internet", sys.argv[1:])
"""


def test_two_processes_share_the_batches_and_go_on(mini_world, tmp_path):
    script, out = tmp_path / "two.py", tmp_path / "run"
    script.write_text(TWO)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    launcher += ["--standalone"]
    given = [str(script), "--data", "handsim-interhand26m", "--preset", "tiny", "--workers", "0"]
    given += ["--steps", "4", "--batch", "2", "--save-every", "2", "--no-score", "-o", str(out)]
    cpu = os.environ | {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    for validated in ("0", "8"):  # the second one finds the first one's state, at its end
        done = subprocess.run(
            [*launcher, *given, "--validated", validated], env=cpu, capture_output=True, timeout=300
        )
        assert done.returncode == 0, done.stderr.decode()[-2000:]
    record = json.loads((out / "record.json").read_text())
    assert (record["devices"], record["steps"], record["resumed"]) == (2, 4, 1)
