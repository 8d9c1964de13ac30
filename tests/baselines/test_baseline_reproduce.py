"""Tables of papers made again: effects, what cells are trained on, what is kept."""

# ruff: noqa: E402 (what follows the check needs torch)

import json
from dataclasses import replace
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: .[baselines]")
pytest.importorskip("accelerate", reason="accelerate is not installed: .[baselines]")

from hand_baselines import runs
from hand_baselines.models import find_model
from hand_baselines.presets import changed
from hand_baselines.reproduce import papers, rendering, reporting, sizes, wildhands
from hand_baselines.reproduce.claims import Prediction, verdict
from hand_baselines.reproduce.commands import app
from hand_baselines.reproduce.effects import Effect, effect, seeds_add
from hand_baselines.reproduce.papers import CLAIMS
from hand_baselines.reproduce.tables import Column, make
from hand_baselines.reproduce.trainings import Answers, Size, Training, Workshop
from hand_baselines.reproduce.wildhands import TABLES
from hand_baselines.tables import training_place
from hand_baselines.training_options import Options
from hand_bench import cli, zero_shot
from hand_bench.errors import BaselineError, SubmissionError, TrackError
from hand_bench.errors_file import schema
from hand_bench.tracks import find_track

ARCTIC, EPIC = "handsim-arctic-ego", "handsim-epic-handkps"
TRACK = find_track(ARCTIC)


def errors_file(path, mpjpe, clusters, mrrpe=None):
    """Write an errors file whose right hands have these values, in these clusters."""
    count = len(mpjpe)
    names = schema(TRACK)
    columns = {name: [None] * count for name in names.names}
    columns |= {"sample_id": [f"{k:03d}" for k in range(count)], "cluster": list(clusters)}
    columns |= {"right_mpjpe": list(mpjpe), "mrrpe": list(mrrpe or [None] * count)}
    for side in ("right", "left"):
        columns |= {f"{side}_{what}": [side == "right"] * count for what in ("true", "found")}
        columns[f"{side}_joints"] = [20 if side == "right" else 0] * count
    table = pa.table({n: pa.array(v, names.field(n).type) for n, v in columns.items()}, names)
    pq.write_table(table, path)
    return path


@pytest.fixture
def files(tmp_path):
    clusters = np.repeat([f"s{k}" for k in range(8)], 4)
    rng = np.random.default_rng(0)
    base = rng.normal(40, 5, 32)

    def made(name, shift, noise=0.0, seed=0):
        values = base + shift + np.random.default_rng(seed).normal(0, noise, 32)
        return errors_file(tmp_path / f"{name}.parquet", values, clusters, (values * 2).tolist())

    return made


# Effects ----------------------------------------------------------------------------------------


def test_a_constant_difference_has_an_interval_of_no_width(files):
    found = effect([files("a", 0)], [files("b", -3)], TRACK, "MPJPE")
    assert found.difference == pytest.approx(-3, abs=1e-4) and found.clusters == 8
    assert found.ci95 == pytest.approx((-3, -3), abs=1e-4)
    assert found.clear and found.better == "B" and found.n == 32
    assert found.b - found.a == pytest.approx(-3, abs=1e-4)
    assert found.text() == "-3.00 (-3.00 to -3.00)"


def test_pictures_have_an_effect_of_their_own(files):
    found = effect([files("a", 0)], [files("b", 4)], TRACK, "MRRPE")
    assert found.difference == pytest.approx(8, abs=1e-4) and found.better == "A"


def test_one_seed_is_what_the_paired_comparison_says(files):
    from hand_bench import compare

    pair = files("a", 0, 4, 1), files("b", 1, 4, 2)
    ours = effect([pair[0]], [pair[1]], TRACK, "MPJPE")
    theirs = next(
        d
        for d in compare(*pair, track=TRACK).differences
        if (d.metric, d.subset) == ("MPJPE", "all")
    )
    assert ours.difference == pytest.approx(theirs.difference)
    assert ours.ci95 == pytest.approx(theirs.ci95) and ours.better == "tie" == theirs.better


def test_seeds_that_disagree_make_an_effect_less_sure(files):
    a = [files(f"a{k}", 0, 1, k) for k in range(3)]
    agree = [files(f"b{k}", -2, 1, 10 + k) for k in range(3)]
    differ = [files(f"c{k}", shift, 1, 10 + k) for k, shift in enumerate((-8, -2, 4))]
    sure, unsure = effect(a, agree, TRACK, "MPJPE"), effect(a, differ, TRACK, "MPJPE")
    assert sure.difference == pytest.approx(unsure.difference, abs=1e-4)
    assert sure.clear and not unsure.clear
    assert len(unsure.seeds) == 3 and unsure.seeds[0] < -5 < unsure.seeds[2]


def test_an_effect_of_unknown_names_or_of_nothing_is_refused(files, tmp_path):
    a, b = files("a", 0), files("b", 1)
    with pytest.raises(TrackError, match=r"HB301.*metric"):
        effect([a], [b], TRACK, "MPJP")
    with pytest.raises(TrackError, match=r"HB301.*subset"):
        effect([a], [b], TRACK, "MPJPE", "rihgt")
    table = pq.read_table(b)
    renamed = table.set_column(0, "sample_id", pa.array([f"x{k}" for k in range(len(table))]))
    pq.write_table(renamed, tmp_path / "x.parquet")
    with pytest.raises(SubmissionError, match="HB104"):
        effect([a], [tmp_path / "x.parquet"], TRACK, "MPJPE")


def test_few_clusters_give_no_interval(tmp_path):
    a = errors_file(tmp_path / "a.parquet", [1.0, 2, 3, 4], "ssuu")
    b = errors_file(tmp_path / "b.parquet", [2.0, 3, 4, 5], "ssuu")
    found = effect([a], [b], TRACK, "MPJPE")
    assert found.difference == 1 and found.ci95 is None and found.better == "?"


def test_the_interval_of_a_mean_over_seeds_is_wider_by_what_they_differ():
    assert seeds_add([3.0], [(2.0, 5.0)]) == (2.0, 5.0)
    assert seeds_add([3.0, 3.0, 3.0], [(2.0, 4.0)] * 3) == pytest.approx((2, 4))
    # Student's t of two degrees of freedom, a standard error of 1 / sqrt(3).
    low, high = seeds_add([2.0, 3.0, 4.0], [(2.0, 4.0)] * 3)
    assert (high - low) / 2 == pytest.approx(np.hypot(1, 4.303 / np.sqrt(3)), rel=1e-3)
    assert seeds_add([1.0, 2.0], [(0.0, 1.0)]) is None


# The tables as data -----------------------------------------------------------------------------


def cells(table):
    for row in table.rows:
        for column in table.columns:
            yield row, column, row.training(column)


@pytest.mark.parametrize("name", TABLES)
def test_no_cell_is_trained_on_the_dataset_of_its_column(name):
    for _, column, training in cells(TABLES[name]):
        if training is not None:
            assert column.track not in training.data and training.data[0] == ARCTIC


@pytest.mark.parametrize("name", TABLES)
def test_the_zero_shot_rule_agrees(name):
    for _, column, training in cells(TABLES[name]):
        if training is not None:
            real = [one.removeprefix("handsim-").removesuffix("-ego") for one in training.data]
            tracks = column.track.removeprefix("handsim-")
            assert zero_shot.status(real, tracks).wildhands == zero_shot.ZERO_SHOT


@pytest.mark.parametrize("name", TABLES)
def test_every_cell_stands_beside_the_papers_own(name):
    table = TABLES[name]
    for row, column, training in cells(table):
        assert (training is None) == (table.printed(row, column) is None), (row, column)
    assert {name for pair in table.pairs for name in pair} <= {row.name for row in table.rows}


def test_the_papers_numbers_are_those_of_table_1():
    table = TABLES["wildhands-table1"]
    printed = [table.printed(table.row("WildHands"), column) for column in table.columns]
    assert printed == ["31.08", "49.49", "84.91", "164.90", "55.84", "11.05"]


def test_an_unknown_row_size_or_table_is_refused():
    with pytest.raises(BaselineError, match="HB301 there is no row"):
        TABLES["wildhands-table1"].row("HandNett")
    with pytest.raises(BaselineError, match="HB301 there is no size"):
        TABLES["wildhands-table1"].size("tiny-one")
    with pytest.raises(BaselineError, match="HB301 there is no table or claim"):
        app(["wildhands-tabel1"])


def test_the_command_line_offers_the_tables(capsys):
    assert cli.OUTER["reproduce"][0] == "baselines"
    app(["ls", "--json"])
    listed = json.loads(capsys.readouterr().out)
    rows = listed["tables"]["wildhands-table1"]["rows"]
    assert rows == ["ArcticNet-SF", "HandNet", "WildHands"]
    assert listed["claims"]["IH-2"]["predictions"] == ["Relative against two absolute depths"]
    app(["ls"])
    assert "Table 6" in capsys.readouterr().out


def test_the_list_of_claims_that_the_site_reads_is_in_step(capsys):
    app(["ls", "--json"])
    command = "hand-bench reproduce ls --json > baselines/reproduced/claims.json"
    stored = (reporting.RESULTS / "claims.json").read_text("utf-8")
    assert stored == capsys.readouterr().out, command


# The claims as data -----------------------------------------------------------------------------


def trainings_of(answers):
    """Every training that answers need."""
    found = [answers.training, *([answers.training.initial] if answers.training.initial else [])]
    for value in answers.options.values():
        if isinstance(value, Training):
            found.append(value)
        elif isinstance(value, Answers):
            found += trainings_of(value)
    return found


@cache
def has_backbone(model, config):
    """Whether a network takes the weights of a backbone."""
    return hasattr(find_model(model).network_class()(config), "backbone")


@pytest.mark.parametrize("name", CLAIMS)
def test_a_claims_trainings_can_be_built_at_every_size(name):
    claim = CLAIMS[name]
    for one in claim.predictions:
        assert one.a != one.b and one.a.track == one.b.track
        track = find_track(one.a.track)
        assert one.subset in [subset.name for subset in track.subsets]
        for size in claim.sizes.values():
            for training in (*trainings_of(size.of(one.a)), *trainings_of(size.of(one.b))):
                model = find_model(training.model)
                config = changed(model.preset(training.preset), training.config)
                assert all(training_place(name) for name in training.data)
                if training.preset == "small":
                    assert training.backbone is None or has_backbone(training.model, config)
                given = {k: v for k, v in training.options.items() if k != "validated"}
                Options(**{"steps": 1} | {k: v for k, v in given.items() if k not in runs.ENDS})
            assert find_model(one.a.training.model).task().fits(track)


def test_the_size_reaches_trainings_in_the_options_too():
    answers = CLAIMS["IH-2"].predictions[0].b
    sized = CLAIMS["IH-2"].size("claim").of(answers, seed=2)
    steps = [training.options["steps"] for training in trainings_of(sized)]
    assert steps == [sizes.STEPS["internet"], sizes.STEPS["rootnet"]]
    assert {training.seed for training in trainings_of(sized)} == {2}


def test_clips_are_learned_from_single_frames_where_networks_are_small():
    claim = CLAIMS["HT-1"]
    staged = claim.size("claim").of(claim.predictions[0].b, seed=1).training
    assert staged.options["steps"] == sizes.STEPS["htt"] and staged.initial is not None
    assert staged.initial.seed == 1 and staged.initial.options["steps"] == 1200
    assert claim.size("paper").of(claim.predictions[0].b).training.initial is None


def found(better, clear=True):
    """Return an effect by who is better; MPJPE: B less A is negative where B is."""
    difference = {"A": 3.0, "B": -3.0}[better]
    ends = (difference - 1, difference + 1) if clear else (-5.0, 5.0)
    return Effect("MPJPE", "all", 40, 40 + difference, difference, "mm", False, ends, [], 9, 9)


@pytest.mark.parametrize(
    ("predicted", "better", "clear", "outcome"),
    [
        ("better", "B", True, "consistent"),
        ("better", "B", False, "undecided"),
        ("better", "A", True, "inconsistent"),
        ("no worse", "A", False, "consistent"),
        ("no worse", "A", True, "inconsistent"),
        ("no worse", "B", True, "consistent"),
    ],
)
def test_an_outcome_follows_from_the_interval(predicted, better, clear, outcome):
    answers = Answers(Training("handnet", (ARCTIC,)), ARCTIC)
    one = Prediction("", answers, answers, "MPJPE", predicted=predicted)
    assert one.outcome(found(better, clear)) == outcome


def test_a_claim_is_as_sure_as_its_least_sure_prediction():
    assert verdict(["consistent"] * 3) == "consistent"
    assert verdict(["consistent", "undecided"]) == "undecided"
    assert verdict(["undecided", "inconsistent", "consistent"]) == "inconsistent"


# Making them ------------------------------------------------------------------------------------


@pytest.fixture
def small_table(wild_worlds, tiny_wild, monkeypatch):
    """Two columns and two rows of Table 1, on small worlds; made with networks of milliseconds."""
    columns = (
        Column("H2O MPJPE", "MPJPE", ARCTIC, "MPJPE", "recommended", "MPJPE"),
        Column("Epic-HandKps L2 Error", "L2", EPIC, "L2 error 2D", "wildhands", "L2 error 2D"),
    )

    def row(name, model):
        data = (ARCTIC, "handsim-ego4d")
        return replace(
            TABLES["wildhands-table1"].row(name), training=lambda column: Training(model, data)
        )

    rows = row("HandNet", "handnet"), row("WildHands", "wildhands")
    size = Size("tiny", None, {"steps": 2, "batch": 4, "workers": 0})
    sizes, pairs = {"small": size}, (("HandNet", "WildHands"),)
    made = replace(TABLES["wildhands-table1"], columns=columns, rows=rows, sizes=sizes, pairs=pairs)
    monkeypatch.setitem(wildhands.TABLES, "wildhands-table1", made)
    return made


def test_a_table_is_trained_answered_scored_and_written(small_table, tmp_path, capsys):
    out, work = tmp_path / "table.json", tmp_path / "work"
    app(["wildhands-table1", "--work", str(work), "-o", str(out)])
    shown = capsys.readouterr().out
    assert "WildHands less HandNet" in shown and "31.62" in shown
    made = json.loads(out.read_text("utf-8"))
    assert list(made["rows"]) == ["HandNet", "WildHands"] and made["columns"] == ["MPJPE", "L2"]
    assert all(cell["value"] > 0 for cells in made["rows"].values() for cell in cells)
    assert len(made["trainings"]) == 2
    assert {about["steps"] for about in made["trainings"].values()} == {2}
    text = out.with_suffix(".md").read_text("utf-8")
    assert "| WildHands |" in text and "Prakash et al. 2024, Table 1" in text
    assert out.with_suffix(".png").stat().st_size > 10_000


def test_what_was_made_is_not_made_again(small_table, tmp_path, monkeypatch):
    work = Workshop(tmp_path / "work")
    first = make(small_table, work, rows=["WildHands"])
    monkeypatch.setattr(runs, "run", None)
    monkeypatch.setattr("hand_baselines.reproduce.trainings.predict", None)
    again = make(small_table, work, rows=["WildHands"])
    assert again == first and not again.differences
    assert rendering.markdown(again) == rendering.markdown(first)


def test_a_claim_is_judged_and_written(small_table, tmp_path, monkeypatch, capsys):
    training = small_table.rows[0].training(small_table.columns[0])
    other = replace(training, model="wildhands")
    one = Prediction("KPE", *(Answers(t, ARCTIC) for t in (training, other)), "MPJPE")
    claim = replace(CLAIMS["WH-2"], predictions=(one,), sizes={"claim": small_table.size("small")})
    monkeypatch.setitem(papers.CLAIMS, "WH-2", claim)
    out = tmp_path / "WH-2.json"
    app(["WH-2", "--work", str(tmp_path / "work"), "--seeds", "2", "-o", str(out)])
    assert "on HandSim: " in capsys.readouterr().out
    made = json.loads(out.read_text("utf-8"))
    assert made["verdict"] in ("consistent", "inconsistent", "undecided") and made["seeds"] == 2
    effect = made["findings"][0]["effect"]
    assert effect["difference"] == pytest.approx(effect["b"] - effect["a"])
    assert len(effect["seeds"]) == 2 and len(made["trainings"]) == 4


def test_weights_and_predictions_of_other_trainings_are_made_first(small_table, tmp_path):
    training = small_table.rows[0].training(small_table.columns[0])
    work = Workshop(tmp_path / "work")
    size = small_table.size("small")
    sized = size.of(Answers(training, ARCTIC, {"meshes": True}))
    scored = work.scored(sized)
    assert scored.predictions.is_file() and scored.result.score("MPVPE").value > 0
    assert work._made(sized) == scored.predictions
    assert work._made(sized.training) == str(work.place(sized.training) / "run/last")


def test_a_training_starts_from_the_one_before_it(small_table, tmp_path):
    before = small_table.rows[0].training(small_table.columns[0])
    sized = small_table.size("small").sized(
        replace(before, initial=before, options={"weight_decay": 0.01})
    )
    work = Workshop(tmp_path / "work")
    run = work.weights(sized).parent
    assert (work.place(sized.initial) / "run" / "record.json").is_file()
    record = json.loads((run / "record.json").read_text("utf-8"))
    assert " tensors of last (sha256 " in record["initial_weights"]
    assert len({sized.key(), sized.initial.key(), replace(sized, initial=None).key()}) == 3


def test_every_answer_has_a_file_of_its_own(wild_worlds):
    def here(training):
        return replace(training, model="handnet", data=(ARCTIC,), initial=None)

    names = [one.changed(here).name for one in papers._rounds(ARCTIC)]
    assert len(set(names)) == 4


def test_every_seed_is_a_training_of_its_own(small_table, tmp_path):
    made = make(small_table, Workshop(tmp_path / "work"), seeds=2, rows=["HandNet"])
    cell = made.rows["HandNet"][0]
    assert len(set(cell.seeds)) == 2 and cell.value == pytest.approx(np.mean(cell.seeds))
    assert sorted(about["seed"] for about in made.trainings.values()) == [0, 1]


def test_the_name_of_a_training_follows_what_it_is(wild_worlds):
    one = Training("wildhands", (ARCTIC, EPIC))
    changed = [
        replace(one, **change)
        for change in (
            {"model": "handnet"},
            {"data": (ARCTIC,)},
            {"config": ("encoding=dense",)},
            {"options": {"steps": 7}},
            {"seed": 1},
            {"backbone": None},
        )
    ]
    keys = [training.key() for training in (one, *changed)]
    assert len(set(keys)) == len(keys) and keys[0] == Training("wildhands", (ARCTIC, EPIC)).key()
    assert Answers(one, EPIC, {"boxes": "x"}).name == f"{EPIC}-boxes=x"
