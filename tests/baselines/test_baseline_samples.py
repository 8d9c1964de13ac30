"""Samples: pictures by their place, labels as annotated, crops, and the order of an epoch."""

# ruff: noqa: E402 (what follows the check needs torch)

import pickle
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: .[baselines]")

from PIL import Image

from hand_baselines.augmentation import INTERNET
from hand_baselines.pictures import Pictures, hands_of, split_place, touched_outlines
from hand_baselines.samples import (
    INPUTS,
    LABELS,
    Crops,
    HandCrops,
    Order,
    picture_root,
    read_sample,
    read_table,
)
from hand_bench import annotations, shards
from hand_bench.annotations import AnnotationBatch, Annotations
from hand_bench.errors import DatasetError
from hand_bench.geometry import project, square_box

CROPS = Crops(partial(square_box, expansion=1.25), 32)
RANDOM = Crops(CROPS.box, 32, INTERNET)


@pytest.fixture
def train(mini_world) -> Annotations:
    return Annotations.open(mini_world / "handsim-interhand26m/train/annotations.parquet")


def crops(train, kind=CROPS, **options) -> HandCrops:
    return HandCrops(read_table(train), Pictures(picture_root(train)), kind, **options)


def row_of(path, **columns) -> AnnotationBatch:
    """One row of a written annotations file."""
    base = {"sample_id": ["a"], "image": ["a.png"], "width": [40], "height": [30]}
    annotations.write(path, base | columns)
    return next(Annotations.open(path).batches([*INPUTS, *LABELS]))


def test_places_are_files_or_rows_of_shards():
    assert split_place("data/x.parquet#17") == ("data/x.parquet", 17)
    assert split_place("Capture#1/cam.jpg") == ("Capture#1/cam.jpg", None)


def test_pictures_of_shards_are_those_that_shards_give(train):
    pictures = Pictures(picture_root(train), memory=1)  # every group pushes out the one before
    places = read_table(train).column("image").to_pylist()
    for place in [*places[::20], places[0]]:
        name, row = split_place(place)
        assert np.array_equal(
            pictures.read(place), shards.read_picture(picture_root(train) / name, row)
        )
        assert len(pictures._groups) == 1


def test_a_row_group_is_read_once_while_it_is_remembered(train, monkeypatch):
    pictures, reads = Pictures(picture_root(train)), []
    from hand_baselines import pictures as module

    read = module._read_group
    monkeypatch.setattr(module, "_read_group", lambda *where: reads.append(where) or read(*where))
    for place in read_table(train).column("image").to_pylist()[:40] * 2:
        pictures.read(place)
    assert 0 < len(reads) == len(set(reads))
    again = pickle.loads(pickle.dumps(pictures))  # noqa: S301 (as a worker process gets it)
    assert not again._groups and again.root == pictures.root


def test_picture_files_are_read_as_colours(tmp_path):
    Image.fromarray(np.full((4, 6), 7, np.uint8)).save(tmp_path / "grey.png")
    image = Pictures(tmp_path).read("grey.png")
    assert image.shape == (4, 6, 3) and (image == 7).all()


@pytest.mark.parametrize("place", ["none.png", "none.parquet#3"])
def test_a_picture_that_is_not_there_is_named(tmp_path, place):
    with pytest.raises(DatasetError, match=f"HB202 .*{place.split('#')[0]}"):
        Pictures(tmp_path).read(place)


def test_a_damaged_picture_and_a_row_beyond_the_end_are_named(train, tmp_path):
    (tmp_path / "bad.jpg").write_bytes(b"no picture")
    with pytest.raises(DatasetError, match="HB203"):
        Pictures(tmp_path).read("bad.jpg")
    name = split_place(read_table(train).column("image")[0].as_py())[0]
    with pytest.raises(DatasetError, match="HB202"):
        Pictures(picture_root(train)).read(f"{name}#100000")


def test_masks_of_shards_tell_the_hands_apart(train):
    pictures, table = Pictures(picture_root(train)), train.table(["image", "mask", "width"])
    for row in table.slice(0, 20).to_pylist():
        parts = pictures.read_parts(row["mask"])
        name, number = split_place(row["mask"])
        stored = shards.read_picture(picture_root(train) / name, number, "mask")
        assert parts.dtype == np.uint8 and np.array_equal(parts, stored)
        right, left = pictures.read_hands(row["mask"])
        assert np.array_equal(right, (stored >= 1) & (stored <= 16))
        assert np.array_equal(left, (stored >= 17) & (stored <= 32))
        assert parts.shape == pictures.read(row["image"]).shape[:2]


def test_joints_that_are_seen_lie_in_the_mask_of_their_hand(train):
    pictures, on = Pictures(picture_root(train)), []
    columns = ["mask", "K", *(f"{s}_{k}" for s in ("right", "left") for k in ("joints", "visible"))]
    for batch in train.batches(columns, 64):
        for row, place in enumerate(batch["mask"]):
            hands = pictures.read_hands(place)
            for side, hand in zip(("right", "left"), hands, strict=True):
                seen = batch[f"{side}_visible"][row, 1:] >= 0.75
                if batch.present(side)[row]:
                    joints = batch[f"{side}_joints"][row, 1:][seen].astype(float)
                    u, v = project(joints, batch["K"][row]).round().astype(int).T
                    inside = (u >= 0) & (v >= 0) & (u < hand.shape[1]) & (v < hand.shape[0])
                    on += hand[v[inside], u[inside]].tolist()
    assert len(on) > 100 and np.mean(on) > 0.85  # labels of train are noisy


def test_mask_files_are_numbers_of_parts(tmp_path):
    parts = np.array([[0, 1, 16, 17], [32, 33, 34, 255]], np.uint8)
    Image.fromarray(parts).save(tmp_path / "mask.png")
    right, left = Pictures(tmp_path).read_hands("mask.png")
    assert right.tolist() == [[False, True, True, False], [False] * 4]
    assert left.tolist() == [[False, False, False, True], [True, False, False, False]]


def test_masks_that_are_none_are_named(train, tmp_path):
    Image.fromarray(np.zeros((4, 6, 3), np.uint8)).save(tmp_path / "colours.png")
    with pytest.raises(DatasetError, match=r"HB203 .*its pixels are RGB, not numbers of parts"):
        Pictures(tmp_path).read_parts("colours.png")
    with pytest.raises(DatasetError, match=r"HB202 .*there is no such mask"):
        Pictures(tmp_path).read_hands("none.png")
    pq.write_table(pa.table({"image": [{"bytes": b"", "path": None}]}), tmp_path / "old.parquet")
    with pytest.raises(DatasetError, match=r"HB202 .*there is no such mask"):
        Pictures(tmp_path).read_hands("old.parquet#0")


def test_what_covers_a_hand_touches_its_outline():
    parts = np.zeros((9, 9), np.uint8)
    parts[2:5, 2:5] = 3
    assert np.array_equal(touched_outlines(parts), [0, np.nan], equal_nan=True)
    parts[2:5, 5] = 34
    assert touched_outlines(parts)[0] == 3 / 12
    parts[2:5, 1] = 20
    assert touched_outlines(parts).tolist() == [6 / 12, 3 / 8]
    assert hands_of(parts).sum(axis=(1, 2)).tolist() == [9, 3]


def test_labels_are_what_the_annotations_hold(train):
    data = crops(train)
    table = AnnotationBatch(0, data.table)
    for index in range(0, len(data), 17):
        sample = data.sample(index)
        there = table.present("right")[index]
        assert sample.present[0] == there == sample.valid[0].all()
        if there:
            assert np.array_equal(sample.joints[0], table["right_joints"][index].astype(float))
            assert np.allclose(sample.joints_2d[0], project(sample.joints[0], sample.K))
            assert np.array_equal(sample.in_view[0], table["right_in_view"][index])
        assert np.allclose(sample.bbox, table["bbox"][index])
        assert sample.image.shape == (table["height"][index], table["width"][index], 3)


def test_boxes_and_cameras_follow_a_picture_of_another_size(tmp_path):
    joints = np.array([[10.0, 5, 1000]] * 21)
    K = np.array([[1000.0, 0, 20], [0, 1000, 15], [0, 0, 1]])
    row = row_of(
        tmp_path / "a.parquet",
        K=K[None],
        bbox=np.array([[4.0, 6, 20, 10]]),
        right_joints=joints[None],
        right_valid=np.ones((1, 21), bool),
    )
    sample = read_sample(row, np.zeros((60, 80, 3), np.uint8))
    assert np.allclose(sample.joints_2d[0], [60, 40]) and np.allclose(sample.bbox, [8, 12, 40, 20])
    assert np.allclose(project(sample.joints[0], sample.K), sample.joints_2d[0])


def test_what_is_not_marked_as_seen_is_seen_inside_the_picture(tmp_path):
    joints = np.array([[0.0, 0, 1000]] * 20 + [[500.0, 0, 1000]])
    K = np.array([[1000.0, 0, 20], [0, 1000, 15], [0, 0, 1]])
    valid = np.ones((1, 21), bool)
    valid[0, 3] = False
    row = row_of(tmp_path / "a.parquet", K=K[None], left_joints=joints[None], left_valid=valid)
    sample = read_sample(row, np.zeros((30, 40, 3), np.uint8))
    assert sample.in_view[1].sum() == 19 and not sample.in_view[1, [3, 20]].any()
    assert sample.present.tolist() == [False, True] and sample.present_known
    assert not sample.valid[0].any() and np.isnan(sample.joints[0]).all()


def test_hands_of_the_plane_have_their_own_points(tmp_path):
    points = np.full((1, 21, 2), 12.0)
    row = row_of(
        tmp_path / "a.parquet", right_joints_2d=points, right_in_view=np.ones((1, 21), bool)
    )
    sample = read_sample(row, np.zeros((30, 40, 3), np.uint8))
    assert (sample.joints_2d[0] == 12).all() and sample.in_view[0].all()
    assert not sample.valid.any() and np.allclose(sample.bbox, [12, 12, 1, 1])


def test_types_that_are_not_trusted_are_not_trained_on(tmp_path):
    row = row_of(tmp_path / "a.parquet", hand_type=["interacting"], hand_type_valid=[False])
    sample = read_sample(row, np.zeros((30, 40, 3), np.uint8))
    assert sample.present.all() and not sample.present_known
    assert np.allclose(sample.bbox, [0, 0, 40, 30])  # nothing else is known


def test_without_labels_nothing_but_the_inputs_is_looked_at(train):
    batch = next(train.batches(INPUTS))
    data = HandCrops(batch.table, Pictures(picture_root(train)), CROPS, labels=False)
    blind, seeing = data[5], crops(train)[5]
    assert torch.equal(blind["image"], seeing["image"]) and torch.equal(blind["K"], seeing["K"])
    assert not blind["valid"].any() and blind["joints"].isnan().all()


def test_random_views_depend_on_seed_epoch_and_number_alone(train):
    data = crops(train, RANDOM, seed=4)
    first = data[2, 7]["image"]
    data[2, 8], data[0, 1]
    assert torch.equal(data[2, 7]["image"], first)
    assert not torch.equal(data[3, 7]["image"], first)
    assert not torch.equal(crops(train, RANDOM, seed=5)[2, 7]["image"], first)


def test_moved_joints_project_to_moved_points(train):
    data = crops(train, RANDOM)
    for index in range(0, 40, 3):
        view = {name: value.numpy() for name, value in data[1, index].items()}
        for side in np.flatnonzero(view["valid"].all(axis=1)):
            pixels = view["joints"][side] @ view["K"].T
            assert np.allclose(pixels[:, :2] / pixels[:, 2:], view["joints_2d"][side], atol=0.02)


@pytest.mark.parametrize(
    ("hands", "kinds"), [("single", {"right", "left"}), ("interacting", {"interacting"})]
)
def test_hands_choose_the_rows(train, hands, kinds):
    table = read_table(train, hands=hands)
    assert set(table.column("hand_type").to_pylist()) == kinds


def test_annotators_choose_the_rows_and_none_left_is_an_error(train):
    machine = read_table(train, annotators=("machine",))
    assert set(machine.column("annotator").to_pylist()) == {"machine"}
    assert len(machine) < len(read_table(train))
    with pytest.raises(DatasetError, match="no sample is left"):
        read_table(train, annotators=("nobody",))


def test_an_epoch_has_every_sample_once_and_its_own_order(train):
    order = Order.of(read_table(train), seed=1)
    first, second = order.epoch(0), order.epoch(1)
    assert order.sharded and sorted(first) == sorted(second) == list(range(len(first)))
    assert not np.array_equal(first, second) and np.array_equal(first, order.epoch(0))


def test_batches_from_a_step_on_are_those_of_the_whole_run(train):
    order = Order.of(read_table(train))
    whole = list(order.batches(20, 0, 12))
    assert list(order.batches(20, 5, 12)) == whole[5:]
    steps = order.steps_per_epoch(20)
    assert {epoch for epoch, _ in whole[steps]} == {1} and len(whole[steps]) == 20


def test_processes_share_a_step_without_overlap(train):
    order = Order.of(read_table(train))
    parts = [next(order.batches(5, 3, 4, part=k, parts=2)) for k in range(2)]
    assert [*parts[0], *parts[1]] == next(order.batches(10, 3, 4))


def test_a_batch_larger_than_the_data_is_an_error():
    with pytest.raises(ValueError, match="less than a batch"):
        Order(np.arange(3), True).steps_per_epoch(4)
