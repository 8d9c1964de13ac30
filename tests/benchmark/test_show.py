"""One sample as a picture, from every layout of predictions, with and without its image."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from hand_bench import data, predictions
from hand_bench.errors import DatasetError, SubmissionError
from hand_bench.evaluator import evaluate
from hand_bench.geometry import project
from hand_bench.predictions import open_predictions
from hand_bench.show import read_samples, sample_figure, show
from hand_bench.skeleton_world import SkeletonWorld, write_interhand26m
from hand_bench.tracks import TRACKS

WORLD = SkeletonWorld(captures=1, sequences=3, cameras=2, frames=4, seed=3)
DEMO = TRACKS["demo"]
OFFSET = np.array([3.0, 0, 0], np.float32)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> tuple[Path, Path]:
    """The official tree with its images, and the data folder where it is prepared."""
    root, home = tmp_path_factory.mktemp("official"), tmp_path_factory.mktemp("home")
    write_interhand26m(root, WORLD, images="all")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HAND_BENCH_HOME", str(home))
        data.prepare("demo", root, split="test")
    return root, home


@pytest.fixture
def truth(prepared, monkeypatch):
    """Every column of the annotations as one batch, with the data folder in use."""
    monkeypatch.setenv("HAND_BENCH_HOME", str(prepared[1]))
    annotations = data.open_annotations(DEMO)
    names = [f"{s}_{kind}" for s in ("right", "left") for kind in ("joints", "valid", "in_view")]
    columns = ["sample_id", "image", "width", "height", "K", "hand_type", *names]
    return annotations, next(annotations.batches(columns))


def hands(batch) -> dict[str, np.ndarray]:
    """Predictions of every hand: 3 mm to the right of the truth, the thumb's tip 20 mm deeper."""
    made = {}
    for side in ("right", "left"):
        joints = batch[f"{side}_joints"] + OFFSET
        joints[:, 4, 2] += 20
        joints[~batch.present(side)] = np.nan
        made[f"{side}_joints"] = joints
    return made


def in_samples(batch) -> pa.Table:
    return predictions.predictions_table(batch.sample_id.to_pylist(), **hands(batch))


def in_crops(batch) -> pa.Table:
    ids = batch.sample_id.to_pylist()
    rows = [
        {"sample_id": ids[k], "hand_side": side, "joints": joints.ravel()}
        for side in ("left", "right")
        for k, joints in enumerate(hands(batch)[f"{side}_joints"])
        if batch.present(side)[k]
    ]
    return pa.Table.from_pylist(rows)


def in_image_space(batch) -> pa.Table:
    columns = {"sample_id": batch.sample_id}
    for side in ("right", "left"):
        joints = np.nan_to_num(hands(batch)[f"{side}_joints"].astype(float), nan=1000.0)
        uv = project(joints, batch["K"]).reshape(len(joints), -1)
        depth = joints[..., 2] - joints[:, :1, 2]
        present = batch.present(side)
        for name, values in ((f"{side}_uv", uv), (f"{side}_depth", depth)):
            rows = [row.tolist() if p else None for row, p in zip(values, present, strict=True)]
            columns[name] = pa.array(rows, pa.list_(pa.float32()))
        columns[f"{side}_root_depth"] = pa.array(joints[:, 0, 2], pa.float32())
    return pa.table(columns)


def first(batch, hand_type: str) -> str:
    return batch.sample_id[int((batch["hand_type"] == hand_type).argmax())].as_py()


@pytest.mark.parametrize("layout", [in_samples, in_crops, in_image_space])
def test_every_layout_gives_the_same_hands_and_errors(truth, layout):
    annotations, batch = truth
    source = open_predictions(layout(batch))
    names = [first(batch, "interacting"), first(batch, "right")]
    both, single = read_samples(source, annotations, DEMO, names)
    assert [both.sample_id, single.sample_id] == names
    assert [hand.found for hand in single.hands] == [True, False]
    for hand in both.hands:
        expected = hand.gt + OFFSET
        expected[4, 2] += 20
        shown = hand.annotated
        np.testing.assert_allclose(hand.pred[shown], expected[shown], atol=0.01)


def test_errors_are_those_of_the_evaluation(truth, tmp_path):
    import pyarrow.parquet as pq

    annotations, batch = truth
    table = in_samples(batch)
    evaluate(table, track="demo", errors=tmp_path / "errors.parquet")
    rows = {row["sample_id"]: row for row in pq.read_table(tmp_path / "errors.parquet").to_pylist()}
    names = batch.sample_id.to_pylist()[::3]
    for sample in read_samples(open_predictions(table), annotations, DEMO, names):
        for hand in sample.hands:
            for kind in ("mpjpe", "pa_mpjpe", "mepe"):
                assert getattr(hand, kind) == rows[sample.sample_id][f"{hand.side}_{kind}"]


def test_the_picture_shows_image_and_hands(truth, tmp_path):
    _, batch = truth
    sample = first(batch, "interacting")
    path = show(in_samples(batch), track="demo", sample=sample, out=tmp_path / "a.png")
    with Image.open(path) as picture:
        picture.load()
        assert picture.format == "PNG" and picture.width > 1000


def test_the_figure_has_the_image_both_hands_twice_and_the_errors(truth):
    annotations, batch = truth
    name = first(batch, "interacting")
    (sample,) = read_samples(open_predictions(in_samples(batch)), annotations, DEMO, [name])
    figure = sample_figure(sample, "demo")
    over_image, aligned, absolute = figure.axes
    assert sample.picture().shape == (sample.size[1], sample.size[0], 3)
    np.testing.assert_array_equal(over_image.images[0].get_array(), sample.picture())
    assert not over_image.texts
    for axes in figure.axes:
        assert len(axes.lines) == 4 * 5  # truth and prediction of two hands
    title = figure.get_suptitle()
    assert title.startswith(f"{name}  (demo)\nright hand: MPJPE ")
    assert title.count("PA-MPJPE") == title.count("MEPE") == 2
    wrists = [[np.array(line.get_data_3d())[:, 0] for line in a.lines] for a in (aligned, absolute)]
    np.testing.assert_allclose(wrists[0][0], wrists[0][5], atol=1e-3)
    np.testing.assert_allclose(wrists[1][5] - wrists[1][0], [3, 0, 0], atol=1e-3)


def test_without_the_image_the_background_is_plain_and_says_so(truth, prepared, tmp_path):
    annotations, batch = truth
    (sample,) = read_samples(
        open_predictions(in_samples(batch)), annotations, DEMO, [first(batch, "right")]
    )
    moved = sample.image.rename(tmp_path / "elsewhere.jpg")
    try:
        axes = sample_figure(sample).axes[0]
    finally:
        moved.rename(sample.image)
    (text,) = axes.texts
    assert text.get_text() == f"the picture is not on this machine:\n{sample.image.name}"
    assert axes.get_xlim() == (-0.5, sample.size[0] - 0.5)
    assert axes.get_ylim() == (sample.size[1] - 0.5, -0.5)


def test_root_relative_predictions_are_drawn_at_the_true_wrist(truth):
    annotations, batch = truth
    joints = {side: values - values[:, :1] for side, values in hands(batch).items()}
    table = predictions.predictions_table(
        batch.sample_id.to_pylist(), **joints,
        declared=predictions.Declaration(frame="root-relative"),
    )  # fmt: skip
    (sample,) = read_samples(open_predictions(table), annotations, DEMO, [first(batch, "right")])
    right = sample.hands[0]
    assert right.mepe is None and right.mpjpe is not None
    over_image, aligned, absolute = sample_figure(sample).axes
    np.testing.assert_allclose(
        over_image.lines[0].get_xydata()[0], over_image.lines[5].get_xydata()[0], atol=1e-3
    )
    assert (len(aligned.lines), len(absolute.lines)) == (10, 5)
    assert absolute.get_title() == "root-relative: no place in camera space"


def test_a_hand_that_is_answered_with_null_is_shown_as_such(truth):
    annotations, batch = truth
    table = predictions.predictions_table(batch.sample_id.to_pylist())
    (sample,) = read_samples(open_predictions(table), annotations, DEMO, [first(batch, "left")])
    assert [hand.text() for hand in sample.hands] == [
        "right hand: not annotated",
        "left hand: no prediction",
    ]
    assert len(sample_figure(sample).axes[0].lines) == 5


def test_stated_units_are_converted(truth, tmp_path):
    _, batch = truth
    metres = {side: joints / 1000 for side, joints in hands(batch).items()}
    table = predictions.predictions_table(batch.sample_id.to_pylist(), **metres)
    sample, out = first(batch, "right"), tmp_path / "a.png"
    with pytest.raises(SubmissionError, match=r"HB120.*hand length"):
        show(table, track="demo", sample=sample, out=out)
    assert not out.exists()
    assert show(table, track="demo", sample=sample, out=out, units="m") == out


def test_an_unknown_sample_is_named_with_ids_that_exist(truth, tmp_path):
    _, batch = truth
    wanted = r"HB208.*no sample 'nowhere'.\n +The nearest ids are test/"
    with pytest.raises(DatasetError, match=wanted):
        show(in_samples(batch), track="demo", sample="nowhere", out=tmp_path / "a.png")


def test_a_sample_without_a_row_is_named(truth, tmp_path):
    _, batch = truth
    name = batch.sample_id[0].as_py()
    with pytest.raises(SubmissionError, match=rf"HB104 predictions: has no row for sample {name}."):
        show(in_samples(batch).slice(1), track="demo", sample=name, out=tmp_path / "a.png")
