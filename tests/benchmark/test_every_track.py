"""Every track from its official files on: prepare, template, validate, evaluate, describe."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from benchmark.official import (
    arctic,
    assemblyhands,
    egoexo4d,
    epic_handkps,
    fpha,
    h2o,
    multiview,
    rhd,
    stb,
)
from hand_bench import data, evaluate, validate
from hand_bench.annotations import Annotations
from hand_bench.cli import main
from hand_bench.errors import DatasetError, SubmissionError
from hand_bench.model_inputs import inputs, template, views
from hand_bench.predictions import clips_table, predictions_table
from hand_bench.tracks import TRACKS, Track


def write_verbs(root: Path) -> None:
    """Write AssemblyHands' val split and Assembly101's segments of it."""
    made = assemblyhands.write_split(root, "val")
    names = tuple(r.name for r in made)
    assemblyhands.write_verbs(root / "CSVs", "train", names)
    assemblyhands.write_actions(root / "CSVs")


def write_arctic(root: Path) -> None:
    """Write both protocols' split files."""
    world = arctic.World()
    arctic.write_meta(root, world)
    arctic.write_splits(root, world)


OFFICIAL: dict[str, Callable[[Path], object]] = {
    "assemblyhands": lambda root: assemblyhands.write_split(root, "val"),
    "assemblyhands-test": lambda root: assemblyhands.write_split(root, "test", truth="absent"),
    "assemblyhands-two-hand": assemblyhands.write_hands2023,
    "assemblyhands-annotation": multiview.write_multiview,
    "desktop-activities": multiview.write_multiview,
    "assemblyhands-verbs": write_verbs,
    **dict.fromkeys(("h2o-pose", "h2o-pose-val", "h2o-action", "h2o-action-val"), h2o.write_h2o),
    **dict.fromkeys(("fpha-pose", "fpha-action"), fpha.write_fpha),
    **dict.fromkeys(("arctic-ego", "arctic-ego-test", "arctic-allo"), write_arctic),
    "egoexo4d-hand": egoexo4d.write,
    "egoexo4d-hand-test": lambda root: egoexo4d.write(root, "test"),
    "epic-handkps": epic_handkps.write,
    "stb": stb.write,
    "rhd": rhd.write,
}
NAMES = list(OFFICIAL)


def prepared(name: str, root: Path) -> tuple[Track, Annotations]:
    """Write a track's official files and prepare them."""
    track = TRACKS[name]
    OFFICIAL[name](root)
    data.prepare(track.dataset, root, split=track.table)
    return track, data.open_annotations(track)


def truth_of(track: Track, annotations: Annotations) -> dict:
    """Predictions that are the truth itself; nothing where it is withheld."""
    kind = "joints_2d" if track.kind == "pose-2d" else "joints"
    names = ["label"] if track.kind == "action" else [f"{s}_{kind}" for s in ("right", "left")]
    found: dict[str, list] = {"sample_id": [], **{name: [] for name in names}}
    for batch in annotations.batches(["sample_id", *names]):
        found["sample_id"] += batch.sample_id.to_pylist()
        for name in names:
            values, given = batch[name], batch.given(name)
            absent = 0 if name == "label" else np.nan
            found[name].append(
                np.where(given.reshape(-1, *[1] * (values.ndim - 1)), values, absent)
            )
    return {n: v if n == "sample_id" else np.concatenate(v) for n, v in found.items()}


def table_of(track: Track, preds: dict):
    return (clips_table if track.kind == "action" else predictions_table)(**preds)


def test_no_track_is_forgotten():
    others = {name for name in TRACKS if name.startswith("handsim-")}  # see test_sim_worlds
    assert set(TRACKS) - set(OFFICIAL) - others == {"interhand26m", "interhand26m-val", "demo"}


@pytest.mark.parametrize("name", [n for n in NAMES if TRACKS[n].truth != "hidden"])
def test_the_truth_itself_scores_perfectly(name, tmp_path, home):
    track, annotations = prepared(name, tmp_path)
    preds = truth_of(track, annotations)
    checked = validate(table_of(track, preds), track=name)
    assert checked.rows == annotations.rows and checked.hands > 0
    result = evaluate(table_of(track, preds), track=name, resamples=50)
    assert result.coverage["found"] == annotations.rows
    assert any(s.value is not None for s in result if s.protocol != "recommended")
    assert result.primary.value == pytest.approx(1.0, abs=1e-6)
    for score in result:
        best = 100.0 if score.unit == "%" else 1.0
        perfect = best if score.higher_is_better else 0.0
        if score.metric == "L2 error 2D" and score.protocol == "wildhands":
            assert 0.5 < score.value < 1.2  # true points are truncated to pixels plus one
        elif score.value is not None and score.metric != "handedness accuracy":
            assert score.value == pytest.approx(perfect, abs=2e-3), score


@pytest.mark.parametrize("name", [n for n in NAMES if TRACKS[n].truth == "hidden"])
def test_hidden_truth_is_validated_but_not_scored(name, tmp_path, home):
    track, annotations = prepared(name, tmp_path)
    ids = annotations.ids().to_pylist()
    if track.kind == "action":
        table = clips_table(ids, np.zeros(len(ids), int))
    else:
        hand = np.random.default_rng(0).normal([0, 0, 600], 60, (len(ids), 21, 3))
        table = predictions_table(ids, hand, hand)
    assert validate(table, track=name).rows == len(ids)
    with pytest.raises(DatasetError, match=f"HB209 {name}: cannot be scored here"):
        evaluate(table, track=name)


@pytest.mark.parametrize("name", NAMES)
def test_the_template_asks_for_every_sample_and_is_refused_empty(name, tmp_path, home):
    track, annotations = prepared(name, tmp_path)
    path = tmp_path / "template.parquet"
    assert template(track, path) == annotations.rows
    assert pq.read_table(path).column("sample_id").to_pylist() == annotations.ids().to_pylist()
    with pytest.raises(SubmissionError, match="HB127"):
        validate(path, track=name)
    given = inputs(track)
    assert given.num_rows == annotations.rows == len(set(given.column("sample_id").to_pylist()))
    if track.several_views:
        instants = set(
            zip(*(given.column(c).to_pylist() for c in ("sequence", "frame")), strict=True)
        )
        seen = views(track)
        assert seen.column("K").null_count == 0
        found = set(zip(*(seen.column(c).to_pylist() for c in ("sequence", "frame")), strict=True))
        assert found <= instants or instants <= found


@pytest.mark.parametrize("name", NAMES)
def test_hashed_ids_validate_where_the_data_is_not(name, tmp_path, home, monkeypatch, capsys):
    track, annotations = prepared(name, tmp_path)
    ids = tmp_path / "ids"
    main(["data", "prepare", track.dataset, str(tmp_path), "--split", track.table,
          "--export-ids", str(ids)])  # fmt: skip
    (listed,) = ids.iterdir()
    capsys.readouterr()
    preds = truth_of(track, annotations)
    if track.truth == "hidden" and track.kind != "action":
        preds["right_joints"] = np.random.default_rng(0).normal(
            [0, 0, 600], 60, (annotations.rows, 21, 3)
        )
    table = table_of(track, preds)
    monkeypatch.setenv("HAND_BENCH_HOME", str(tmp_path / "elsewhere"))
    assert validate(table, track=name, ids=listed).coverage["missing"] == 0
    if annotations.rows > 1:
        with pytest.raises(SubmissionError, match=r"HB104 .*1 of .* the one whose hash is"):
            validate(table.slice(1), track=name, ids=listed)


@pytest.mark.parametrize("name", NAMES)
def test_a_track_is_described_fully(name, capsys):
    track = TRACKS[name]
    main(["tracks", "show", name])
    shown = capsys.readouterr().out
    for text in (track.predicts, track.split_rule, track.counts, track.source, track.licence):
        assert text and text in shown
    for text in (track.obtain, track.truth, *(p.name for p in track.protocols)):
        assert text in shown
    wanted = {"pose": "mm", "pose-2d": "pixels", "action": f"{len(track.classes) - 1} "}
    assert wanted[track.kind] in shown and (track.kind == "action" or track.joint_set in shown)
