"""The detector of hands: what it learns, its files of boxes, what other models do with them."""

# ruff: noqa: E402 (what follows the check needs torch)

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: .[baselines]")
pytest.importorskip("accelerate", reason="accelerate is not installed: .[baselines]")

from torch.utils.data import default_collate

import hand_bench
from hand_baselines.augmentation import Ranges
from hand_baselines.commands import app
from hand_baselines.detector.boxes import BoxSet, read_boxes, with_boxes, write_boxes
from hand_baselines.detector.data import (
    GIVEN,
    PRESENCE,
    VARIED,
    WholePictures,
    known_sides,
    true_boxes,
)
from hand_baselines.detector.measures import BoxMeasures, measure, overlaps
from hand_baselines.detector.model import DetectorOutput, best_boxes, corner_shift
from hand_baselines.detector.model import losses as detector_losses
from hand_baselines.detector.model import targets as detector_targets
from hand_baselines.detector.predict import detect, look_at
from hand_baselines.detector.predict import main as detect_main
from hand_baselines.detector.task import training_set
from hand_baselines.models import find_model
from hand_baselines.pictures import Pictures
from hand_baselines.prediction import main as predict_main
from hand_baselines.prediction import predict
from hand_baselines.resnet import parameter_count
from hand_baselines.runs import main as train_main
from hand_baselines.samples import picture_root
from hand_baselines.tables import training_table
from hand_baselines.tasks import given_options
from hand_baselines.weights import Loaded, load_weights, save_weights
from hand_bench.annotations import AnnotationBatch, encode
from hand_bench.data import open_annotations
from hand_bench.errors import BaselineError, HandBenchError
from hand_bench.predictions import read_predictions
from hand_bench.tracks import find_track

ARCTIC, EPIC, EGO4D = "handsim-arctic-ego", "handsim-epic-handkps", "handsim-ego4d"


@pytest.fixture
def tiny(monkeypatch):
    """Presets "tiny" of the detector, WildHands and ArcticNet: networks of milliseconds."""
    from hand_baselines.arcticnet import config as arcticnet
    from hand_baselines.detector import config
    from hand_baselines.wildhands import config as wildhands

    small = replace(config.PRESETS["small"], width=0.125, input_size=96, features=16, hidden=16)
    monkeypatch.setitem(config.PRESETS, "tiny", small)
    changes = {"width": 0.125, "input_size": 64, "padding": (1, 1), "hidden": 32, "head": 32}
    changes |= {"channels": (16, 16, 16), "grasp": (16,), "mask_size": 32}
    for module in (wildhands, arcticnet):
        monkeypatch.setitem(module.PRESETS, "tiny", replace(module.PRESETS["small"], **changes))


def views(name: str, size: int = 96, ranges: Ranges | None = None) -> WholePictures:
    opened = training_table(name)
    table = opened.table([*GIVEN, *PRESENCE]).combine_chunks().to_batches()[0]
    return WholePictures(table, Pictures(picture_root(opened)), size, ranges)


def batch_of(data: WholePictures, places) -> dict[str, torch.Tensor]:
    return default_collate([data[(0, int(place))] for place in places])


def saved(folder, name: str = "detector", *, sure: bool = False):
    torch.manual_seed(0)
    model = find_model(name)
    network = model.network_class()(model.preset("tiny"))
    if sure:
        torch.nn.init.constant_(network.heat[-1].bias, 3.0)
    save_weights(folder / name, model, "tiny", network, {})
    return folder / name


def made(boxes, kind: str | None = None) -> AnnotationBatch:
    """Rows of annotations with boxes (n, 2, 4) and a type of hands."""
    boxes = np.asarray(boxes, float)
    empty = np.isnan(boxes).any(axis=-1)
    columns = {"sample_id": [str(k) for k in range(len(boxes))], "hand_type": [kind] * len(boxes)}
    sides = zip(("right", "left"), range(2), strict=True)
    columns |= {f"{side}_bbox": (boxes[:, k], empty[:, k]) for side, k in sides}
    return AnnotationBatch(0, encode(columns))


def run(*arguments: object) -> None:
    app([str(argument) for argument in arguments])


# The network ------------------------------------------------------------------------------------


def test_the_small_one_is_small():
    counts = {}
    model = find_model("detector")
    for name in model.presets():
        with torch.device("meta"):
            counts[name] = parameter_count(model.network_class()(model.preset(name)))
    assert counts == {"small": 1_710_946, "paper": 26_265_162}
    with pytest.raises(ValueError, match="250 pixels are no multiple of 32"):
        replace(model.preset("small"), input_size=250)
    with pytest.raises(ValueError, match="an overlap of 1"):
        replace(model.preset("small"), overlap=1)


def test_maps_are_a_quarter_of_the_picture(tiny):
    model = find_model("detector")
    output = model.network_class()(model.preset("tiny")).eval()(torch.rand(3, 3, 96, 96))
    assert output.heat.shape == (3, 2, 24, 24)
    assert output.size.shape == output.offset.shape == (3, 2, 2, 24, 24)
    assert abs(output.heat.sigmoid().mean().item() - 0.1) < 0.02
    assert torch.allclose(output.size.exp() * 4, torch.tensor(64.0), rtol=0.1)


def truth_of(batch, cells: int = 24) -> tuple[DetectorOutput, object]:
    """Return the outputs that say the truth, and the targets."""
    aims = detector_targets(batch, cells, 0.7)
    heat = torch.where(aims.heat == 1, 20.0, -20.0)
    shape = (*aims.heat.shape[:2], 2, cells, cells)
    size, offset = (part[..., None, None].expand(shape) for part in (aims.size, aims.offset))
    return DetectorOutput(heat, size, offset), aims


def test_outputs_of_the_truth_give_the_boxes_back(wild_worlds, tiny):
    batch = batch_of(views(ARCTIC), range(8))
    output, aims = truth_of(batch)
    boxes, scores = best_boxes(output)
    there = batch["there"]
    assert there.all() and (scores[there] > 0.99).all()
    assert (boxes - batch["boxes"])[there].abs().max() < 1e-3
    assert detector_losses(output, aims).total < 1e-5
    network = find_model("detector").network_class()(find_model("detector").preset("tiny"))
    rows = AnnotationBatch(0, views(ARCTIC).table.slice(0, 8))
    assert np.abs(network.decode(output, batch).boxes.numpy() - true_boxes(rows)).max() < 1e-2


def test_what_differs_from_the_truth_costs(wild_worlds, tiny):
    batch = batch_of(views(ARCTIC), range(4))
    output, aims = truth_of(batch)
    assert detector_losses(output._replace(size=output.size + 0.5), aims).size == pytest.approx(1)
    moved = output._replace(offset=output.offset + 0.25)
    assert detector_losses(moved, aims).offset == pytest.approx(0.5)
    exchanged = output._replace(heat=output.heat.flip(1))
    assert detector_losses(exchanged, aims).heat > 10
    near = torch.where(aims.heat > 0.8, 20.0, -20.0)
    far = torch.where(aims.heat.roll(8, dims=-1) > 0.8, 20.0, -20.0)
    costs = [detector_losses(output._replace(heat=heat), aims).heat for heat in (near, far)]
    assert costs[0] < costs[1] / 20


def test_hands_that_are_not_known_cost_nothing():
    batch = {
        "boxes": torch.zeros(1, 2, 4),
        "there": torch.zeros(1, 2, dtype=torch.bool),
        "known": torch.tensor([[True, False]]),
    }
    aims = detector_targets(batch, 8, 0.7)
    output = DetectorOutput(
        torch.zeros(1, 2, 8, 8, requires_grad=True),
        torch.zeros(1, 2, 2, 8, 8),
        torch.zeros(1, 2, 2, 8, 8),
    )
    terms = detector_losses(output, aims)
    assert terms.size == terms.offset == 0 and terms.total.isfinite()
    terms.total.backward()
    assert output.heat.grad[0, 0].all() and not output.heat.grad[0, 1].any()


def test_a_box_that_moves_by_the_shift_still_overlaps_so_much():
    extents = torch.tensor([[10.0, 10.0], [4.0, 30.0], [1.5, 2.0]])
    shift = corner_shift(extents, 0.7).numpy()
    boxes = np.concatenate([np.zeros((3, 2)), extents.numpy()], axis=1)
    moved = boxes + np.stack([shift, shift, 0 * shift, 0 * shift], axis=1)
    assert np.allclose(overlaps(boxes, moved), 0.7, atol=1e-5)


# What it is trained on --------------------------------------------------------------------------


def test_mirrored_pictures_exchange_the_hands(wild_worlds):
    still = views(ARCTIC)[3]
    only_mirrored = Ranges(0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    mirrored = views(ARCTIC, ranges=only_mirrored)[(0, 3)]
    boxes = still["boxes"].flip(0)
    boxes[:, 0] = 96 - boxes[:, 0] - boxes[:, 2]
    assert still["there"].all() and torch.allclose(mirrored["boxes"], boxes, atol=1e-3)
    picture = still["image"].flip(-1)[..., :-1].float()
    away, unlike = (
        (one["image"][..., 1:].float() - picture).abs().mean() for one in (mirrored, still)
    )
    assert away < 2 and unlike > 5 * away


def test_random_views_move_boxes_with_the_picture(wild_worlds):
    data, still = views(ARCTIC, ranges=VARIED), views(ARCTIC)
    truth = true_boxes(AnnotationBatch(0, still.table))
    flipped, checked = 0, 0
    for index in range(24):
        sample = data[(1, index)]
        linear, shift = sample["affine"][:, :2].double(), sample["affine"][:, 2].double()
        hands = truth[index][::-1] if linear[0, 0] < 0 else truth[index]
        flipped += int(linear[0, 0] < 0)
        for box, given, there in zip(sample["boxes"], hands, sample["there"], strict=True):
            start = torch.tensor(given[:2].astype(float)) @ linear.T + shift
            end = torch.tensor((given[:2] + given[2:]).astype(float)) @ linear.T + shift
            low, high = torch.minimum(start, end), torch.maximum(start, end)
            if there and (low > 0).all() and (high < 95).all():
                assert torch.allclose(box.double(), torch.cat([low, high - low]), atol=1e-2)
                checked += 1
    assert 4 < flipped < 20 and checked > 15


def test_hands_without_a_box_are_known_where_the_annotations_agree():
    nothing, box = [np.nan] * 4, [10, 10, 30, 30]
    assert known_sides(made([[box, nothing]])).tolist() == [[True, True]]
    assert known_sides(made([[box, nothing]], "right")).tolist() == [[True, True]]
    assert known_sides(made([[box, nothing]], "interacting")).tolist() == [[True, False]]
    assert np.isnan(true_boxes(made([[[1, 1, 0, 5], box]]))[0]).tolist() == [
        [True] * 4,
        [False] * 4,
    ]


def test_hands_that_leave_the_view_are_clipped_or_not_known(wild_worlds):
    data = views(ARCTIC)
    for shift, there in ((20.0, True), (45.0, False), (200.0, False)):
        with pytest.MonkeyPatch.context() as patch:
            # The left hand ends within 30 px of the square's left border.
            affine = np.array([[96 / 336, 0, -shift], [0, 96 / 336, 13.7]])
            patch.setattr("hand_baselines.detector.data.crop_affine", lambda *_, a=affine: a)
            samples = [data[k] for k in range(6)]
        for sample in samples:
            hull = sample["boxes"][sample["there"]]
            assert (hull[:, :2] >= -0.5).all() and (hull[:, :2] + hull[:, 2:] <= 95.5).all()
        if there is False and shift > 100:
            assert not any(s["there"].any() for s in samples)
            assert all(s["known"].all() for s in samples)  # nothing of them is left: no hands


def test_tables_of_all_kinds_are_trained_on_together(wild_worlds, tiny):
    model = find_model("detector")
    opened = [training_table(name) for name in (ARCTIC, EPIC, EGO4D)]
    made_of = training_set(model, model.preset("tiny"), opened)
    assert len(made_of.data) == len(made_of.order.neighbours) > 90
    batch = batch_of(made_of.data, [0, 40, 100])
    assert batch["image"].shape == (3, 3, 96, 96) and batch["known"].any(dim=1).all()


def test_a_batch_is_learned_and_its_boxes_are_found(wild_worlds, tiny):
    model = find_model("detector")
    torch.manual_seed(0)
    network = model.network_class()(model.preset("tiny")).train()
    data = views(ARCTIC)
    batch = batch_of(data, [0, 9, 18, 27])
    optimiser = torch.optim.Adam(network.parameters(), 5e-3)
    costs = []
    for _ in range(80):
        terms = network.losses(network(batch["image"]), network.targets(batch))
        optimiser.zero_grad()
        terms.total.backward()
        optimiser.step()
        costs.append(terms.total.item())
    assert costs[-1] < 0.1 * costs[0]
    with torch.no_grad():
        found = network.decode(network(batch["image"]), batch)
    rows = AnnotationBatch(0, data.table.take(pa.array([0, 9, 18, 27])))
    measures = measure(true_boxes(rows), np.ones((4, 2), bool), *(v.numpy() for v in found))
    assert measures.ap50 > 0.85 and measures.mean_iou > 0.7 and measures.sides_right == 1


def test_a_run_chooses_weights_by_its_own_measure(wild_worlds, tiny, tmp_path):
    out = tmp_path / "run"
    given = ["--data", EPIC, EGO4D, "--preset", "tiny", "--steps", "2", "--batch", "4"]
    train_main("detector", [*given, "--workers", "0", "--validated", "8", "-o", str(out)])
    assert (out / "best/model.safetensors").is_file() and not (out / "result.json").exists()
    record = json.loads((out / "record.json").read_text())
    assert 0 <= record["best_validation_score"] <= 1
    assert "recall" in (out / "log.csv").read_text().splitlines()[0]


# Measures ---------------------------------------------------------------------------------------

NOTHING = [np.nan] * 4


def measured(truth, boxes, scores, known=None, **options) -> BoxMeasures:
    truth = np.array(truth, float)
    known = np.ones(truth.shape[:2], bool) if known is None else np.array(known)
    return measure(truth, known, np.array(boxes, float), np.array(scores, float), **options)


def test_overlaps_by_hand():
    box = np.array([0.0, 0, 10, 10])
    assert overlaps(box, box) == 1 and overlaps(box, np.array(NOTHING)) == 0
    assert overlaps(box, np.array([5.0, 0, 10, 10])) == pytest.approx(1 / 3)
    assert overlaps(box, np.array([20.0, 0, 10, 10])) == 0


def test_measures_by_hand():
    one, two, away = [0, 0, 10, 10], [50, 0, 10, 10], [80, 80, 10, 10]
    near = [0, 0, 10, 8]
    truth = [[one, two], [one, two], [one, NOTHING], [NOTHING, NOTHING]]
    boxes = [[near, two], [two, one], [away, away], [away, NOTHING]]
    scores = [[0.9, 0.8], [0.7, 0.6], [0.5, 0.4], [0.95, np.nan]]
    found = measured(truth, boxes, scores)
    # Right: false, hit, false, false over 3 hands; left: hit, false, false over 2.
    assert found.ap50 == pytest.approx((1 / 2 / 3 + 1 / 2) / 2)
    assert found.recall == pytest.approx(2 / 5) and found.precision == pytest.approx(2 / 7)
    assert found.mean_iou == pytest.approx(0.9) and found.hands == 5
    assert found.confusion == ((1, 1, 1), (1, 1, 0)) and found.sides_right == 0.5
    assert "right           1      1      1" in str(found)


def test_unknown_hands_and_unsure_boxes_do_not_count():
    one, two = [0, 0, 10, 10], [50, 0, 10, 10]
    truth, boxes = [[one, NOTHING]], [[one, two]]
    sure = measured(truth, boxes, [[0.9, 0.95]])
    unknown = measured(truth, boxes, [[0.9, 0.95]], known=[[True, False]])
    assert (sure.precision, unknown.precision) == (0.5, 1.0)
    unsure = measured(truth, boxes, [[0.2, 0.95]], least=0.3)
    assert unsure.recall == 0 and unsure.to_json()["mean_iou"] is None
    assert "recall 0.000  precision 0.000  mean IoU n/a" in str(unsure)


def test_true_boxes_are_perfect(wild_worlds):
    boxes = true_boxes(AnnotationBatch(0, views(EGO4D).table))
    found = measured(boxes, boxes, np.where(np.isnan(boxes[..., 0]), np.nan, 1))
    assert found.ap50 == found.recall == found.precision == found.mean_iou == 1


# Files of boxes ---------------------------------------------------------------------------------


def truth_file(track: str, path, **changes) -> BoxSet:
    """Write the true boxes of a track."""
    rows = next(open_annotations(find_track(track), None).batches(["sample_id", *GIVEN]))
    boxes = true_boxes(rows)
    scores = np.where(np.isnan(boxes[..., 0]), np.nan, 1).astype(np.float32)
    found = replace(BoxSet(rows.sample_id, boxes, scores), **changes)
    write_boxes(path, found)
    return found


def test_boxes_are_written_and_read(tmp_path):
    boxes = np.array([[[1, 2, 3, 4], NOTHING], [[5, 6, 7, 8], [1.5, 2.25, 3, 4]]], np.float32)
    scores = np.array([[0.5, np.nan], [0.25, 0.75]], np.float32)
    found = BoxSet(pa.array(["a", "b"]), boxes, scores)
    write_boxes(tmp_path / "boxes.parquet", found)
    again = read_boxes(tmp_path / "boxes.parquet")
    assert again.ids.to_pylist() == ["a", "b"] and len(again.source) == 64
    assert np.array_equal(again.boxes, boxes, equal_nan=True)
    assert np.array_equal(again.scores, scores, equal_nan=True)
    assert np.isnan(again.sure(0.3).boxes[..., 0]).tolist() == [[False, True], [True, False]]


def test_files_of_others_may_have_lists_and_no_scores(tmp_path):
    path = tmp_path / "boxes.parquet"
    columns = {"sample_id": ["a", "b"], "right_bbox": [[1, 2, 3, 4], None], "left_bbox": [None] * 2}
    pq.write_table(pa.table(columns), path)
    found = read_boxes(path)
    assert found.boxes[0, 0].tolist() == [1, 2, 3, 4] and np.isnan(found.boxes[:, 1]).all()
    assert np.array_equal(found.scores, [[1, np.nan], [np.nan, np.nan]], equal_nan=True)


BOX = [1.0, 2.0, 3.0, 4.0]
FAULTS = [
    ({"left_bbox": ...}, "HB110 .*has no column left_bbox"),
    ({"sample_id": ..., "left_bbox": ...}, "HB110 .*no column sample_id, left_bbox"),
    ({"sample_id": [1, 2]}, "HB111 .*sample_id holds whole numbers, where texts belong"),
    ({"right_bbox": ["a", "b"]}, "HB111 .*right_bbox holds texts, where 4 numbers belong"),
    ({"left_score": ["a", "b"]}, "HB111 .*left_score holds texts, where numbers belong"),
    ({"right_bbox": [BOX, BOX[:3]]}, "HB112 .*1 boxes of right_bbox do not have 4 numbers"),
    ({"right_bbox": [BOX, [1, None, 2, 3]]}, "HB125 .*1 boxes of right_bbox have nulls inside"),
    ({"right_bbox": [BOX, [1, 2, np.nan, 3]]}, "HB123 .*right_bbox are not finite, e.g. b"),
    ({"left_bbox": [[1, 2, 0, 4], BOX]}, "HB302 .*1 boxes of left_bbox have no area, e.g. a"),
    ({"sample_id": ["a", "a"]}, "HB106 .*1 ids occur more than once, e.g. a"),
    ({"sample_id": ["a", None]}, "HB107 .*1 ids are null, the first one in row 1"),
]


@pytest.mark.parametrize(("changes", "message"), FAULTS, ids=[text[:5] for _, text in FAULTS])
def test_what_is_wrong_with_a_file_is_named(tmp_path, changes, message):
    columns = {"sample_id": ["a", "b"], "right_bbox": [BOX, None], "left_bbox": [BOX, BOX]}
    columns = {k: v for k, v in (columns | changes).items() if v is not ...}
    pq.write_table(pa.table(columns), tmp_path / "boxes.parquet")
    with pytest.raises(BaselineError, match=message):
        read_boxes(tmp_path / "boxes.parquet")


def test_files_that_are_none_are_named(tmp_path):
    (tmp_path / "boxes.parquet").write_text("no table")
    for name in ("boxes.parquet", "nothing.parquet"):
        with pytest.raises(BaselineError, match=r"HB402 .*cannot be read"):
            read_boxes(tmp_path / name)


def test_unknown_and_missing_ids_are_counted_together(wild_worlds, tmp_path):
    opened = open_annotations(find_track(ARCTIC), None)
    ids = opened.ids().combine_chunks()
    changed = pa.array([*ids.to_pylist()[:-2], "strange", "stranger"])
    truth_file(ARCTIC, tmp_path / "boxes.parquet", ids=changed)
    with pytest.raises(BaselineError) as raised:
        read_boxes(tmp_path / "boxes.parquet", opened)
    unknown, missing = raised.value.problems
    assert unknown.code == "HB105" and "2 ids are unknown, e.g. strange." in unknown.what
    assert missing.code == "HB104" and "2 of 24 samples have no row" in missing.what


def test_rows_take_other_boxes():
    rows = made([[BOX, BOX], [BOX, NOTHING]])
    boxes = np.array([[NOTHING, [9, 9, 9, 9]], [BOX, BOX]], np.float32)
    assert np.array_equal(true_boxes(with_boxes(rows, boxes)), boxes, equal_nan=True)
    lacking = BoxSet(pa.array(["0"]), boxes[:1], np.ones((1, 2)))
    with pytest.raises(BaselineError, match=r"HB104 boxes: 1 of 2 samples have no row, e\.g\. 1"):
        lacking.of(rows)


# What others do with boxes ----------------------------------------------------------------------


def held(name: str) -> Loaded:
    model = find_model(name)
    torch.manual_seed(0)
    network = model.network_class()(model.preset("tiny")).eval()
    return Loaded("tiny", model, "tiny", network, {}, "sha")


def answered(path) -> tuple[list, list[str]]:
    table = pq.read_table(path)
    names = [n for n in table.schema.names if n.endswith(("_joints", "_joints_2d"))]
    assert names
    return [table[name].to_pylist() for name in names], json.loads(table.schema.metadata[b"inputs"])


@pytest.mark.parametrize(
    ("track", "boxes", "K"), [(ARCTIC, "standard", "gt"), (EPIC, "detected", "assumed")]
)
def test_true_boxes_in_a_file_change_nothing(wild_worlds, tiny, tmp_path, track, boxes, K):
    truth_file(track, tmp_path / "boxes.parquet")
    paths = [tmp_path / "given.parquet", tmp_path / "own.parquet"]
    for path, own in zip(paths, (None, tmp_path / "boxes.parquet"), strict=True):
        predict(held("wildhands"), track, path, workers=0, boxes=own)
        hand_bench.evaluate(path, track=track, resamples=0, **UNITS[track])
    (given, first), (own, second) = map(answered, paths)
    assert first == [f"boxes:{boxes}", f"K:{K}"] and second == ["boxes:own", f"K:{K}"]
    assert given == own and any(value is not None for value in own[0])


UNITS = {ARCTIC: {"units": "mm"}, EPIC: {}}


def test_other_boxes_change_the_answers(wild_worlds, tiny, tmp_path):
    opened = open_annotations(find_track(ARCTIC), None)
    truth = true_boxes(next(opened.batches(["sample_id", *GIVEN])))
    moved = truth + np.array([20, 10, 0, 0], np.float32)
    moved[3, 1] = np.nan
    truth_file(ARCTIC, tmp_path / "boxes.parquet", boxes=moved)
    out = tmp_path / "preds.parquet"
    for boxes in (None, tmp_path / "boxes.parquet"):
        predict(held("wildhands"), ARCTIC, out, workers=0, boxes=boxes)
        found = read_predictions(out)
        there = np.isfinite(found.left_joints).all(axis=(1, 2))
        assert there.all() if boxes is None else there.tolist() == [k != 3 for k in range(24)]


def test_boxes_are_part_of_what_a_prediction_goes_on_with(wild_worlds, tiny, tmp_path):
    task, opened = find_model("wildhands").task(), open_annotations(find_track(ARCTIC), None)
    truth_file(ARCTIC, tmp_path / "boxes.parquet")
    origins = [
        task.answers(held("wildhands"), opened, boxes=boxes).origin
        for boxes in (None, tmp_path / "boxes.parquet", saved(tmp_path))
    ]
    assert "boxes" not in origins[0] and origins[1]["boxes"] != origins[2]["boxes"]


@pytest.mark.parametrize("track", [ARCTIC, EPIC])
def test_a_detectors_boxes_are_taken_and_declared(wild_worlds, tiny, tmp_path, track):
    out = tmp_path / "preds.parquet"
    save_weights(tmp_path / "wild", find_model("wildhands"), "tiny", held("wildhands").network, {})
    given = [str(tmp_path / "wild"), "--track", track, "-o", str(out), "--workers", "0"]
    predict_main("wildhands", [*given, "--boxes", str(saved(tmp_path, sure=True))])
    _, declared = answered(out)
    assert declared[0] == "boxes:own"
    assert (
        hand_bench.evaluate(out, track=track, resamples=0, **UNITS[track]).primary.value is not None
    )
    # An untrained detector is sure of nothing.
    predict_main("wildhands", [*given, "--boxes", str(saved(tmp_path))])
    assert all(value is None for column in answered(out)[0] for value in column)


def test_models_that_take_no_boxes_say_so(wild_worlds, tiny, tmp_path):
    truth_file(ARCTIC, tmp_path / "boxes.parquet")
    out, boxes = tmp_path / "preds.parquet", tmp_path / "boxes.parquet"
    with pytest.raises(BaselineError, match="HB302 --boxes: arcticnet looks at no crops"):
        predict(held("arcticnet"), ARCTIC, out, boxes=boxes)
    with pytest.raises(BaselineError, match="HB302 --boxes: is nothing that detector takes"):
        given_options("detector", {"boxes": boxes}, find_model("detector").task().options)
    with pytest.raises(BaselineError, match="HB302 wildhands: are weights of wildhands, which"):
        predict(held("wildhands"), ARCTIC, out, boxes=saved(tmp_path, "wildhands"))
    with pytest.raises(BaselineError, match=r"(?s)HB302 handsim-arctic-ego.*baselines detect"):
        predict(held("detector"), ARCTIC, out)


# Commands ---------------------------------------------------------------------------------------


def test_the_command_writes_boxes_and_measures_them(wild_worlds, tiny, tmp_path, capsys):
    weights, out = saved(tmp_path), tmp_path / "boxes.parquet"
    run("detect", weights, "--track", EPIC, "-o", out, "--least", 0, "--workers", 0)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "96 hands in 48 pictures" and lines[-1] == str(out)
    found = read_boxes(out, open_annotations(find_track(EPIC), None))
    assert np.isfinite(found.boxes).all() and (found.boxes[..., 2:] > 0).all()
    run("detect", out, "--track", EPIC, "--least", 0, "--json")
    again = json.loads(capsys.readouterr().out)
    assert again["hands"] == 96 and f"AP50 {again['ap50']:.3f}" in lines[1]
    detect_main([str(weights), "--track", EPIC, "--workers", "0", "--least", "0"])
    assert capsys.readouterr().out.splitlines() == lines[:-1]


def test_the_true_boxes_of_a_track_are_measured_as_such(wild_worlds, tmp_path):
    truth_file(EPIC, tmp_path / "boxes.parquet")
    found = detect(tmp_path / "boxes.parquet", EPIC)
    assert found.ap50 == found.sides_right == 1 and found.hands == 96


def test_the_command_names_what_it_cannot_look_at(wild_worlds, tiny, tmp_path):
    for arguments, message in (
        ((saved(tmp_path, "wildhands"), "--track", ARCTIC), "HB302 wildhands: .* finds no boxes"),
        (("nothing", "--track", ARCTIC), "HB301"),
        ((saved(tmp_path), "--track", "handsim-h2o-action"), "HB201|no single pictures"),
    ):
        with pytest.raises(HandBenchError, match=message):
            run("detect", *arguments)


def test_one_picture_is_looked_at_as_those_of_a_table(wild_worlds, tiny, tmp_path):
    loaded = load_weights(saved(tmp_path))
    data = views(ARCTIC)
    image = data.pictures.read(data.table.column("image")[5].as_py())
    boxes, scores = look_at(loaded, image, "cpu")
    opened = training_table(ARCTIC)
    answers = loaded.model.task().answers(loaded, opened, device="cpu")
    expected = answers.columns(AnnotationBatch(0, data.table.slice(5, 1)))
    assert np.allclose(boxes[0], expected["right_bbox"][0], atol=1e-3)
    assert np.allclose(scores[1], expected["left_score"][0], atol=1e-6)
