"""Files of other formats that are damaged, malicious or not what they claim to be."""

import csv
import io
import json
import pickle
import re
import stat
import zipfile
from pathlib import Path

import numpy as np
import pytest

from benchmark.test_formats import (
    CAMERAS,
    SEQUENCE,
    convert_from,
    crop,
    hands_of,
    mano,
    place,
    random_hands,
    rewrite,
    tables,
    there_and_back,
    write_actions,
    write_hands,
    write_mano,
    written,
)
from hand_bench import annotations
from hand_bench.cli import main
from hand_bench.errors import DatasetError, HandBenchError, SubmissionError
from hand_bench.formats import archives, tensors
from hand_bench.formats.conversion import convert
from hand_bench.predictions import write_predictions

__all__ = ["mano", "place", "written"]  # fixtures

HAND = random_hands(1)[0].tolist()
NAN, INF = float("nan"), float("inf")
BROKEN = [[NAN, 1, 2], *HAND[1:]]


class Bomb:
    """A pickle that would run code."""

    def __reduce__(self):
        return Path.touch, (Path("executed"),)


def refused(place: Path, track: str, name: str, file: str, message: str, **options) -> None:
    """Reading fails with the message, and writes nothing."""
    with pytest.raises(SubmissionError, match=re.escape(message)):
        convert_from(place, track, name, file, **options)
    assert not (place / "out.parquet").exists()


def refused_json(place: Path, track: str, name: str, content, message: str, **options) -> None:
    text = content if isinstance(content, str) else json.dumps(content)
    (place / "p.json").write_text(text)
    refused(place, track, name, "p.json", message, **options)


def instants(**frames) -> dict:
    return {"annotations": {SEQUENCE: {k[1:]: {"world_coord": v} for k, v in frames.items()}}}


JSON_FORMATS = [
    ("assemblyhands-two-hand", "assemblyhands2023"),
    ("assemblyhands", "assemblyhands2024"),
    ("h2o-pose", "h2o-poses"),
    ("h2o-action", "h2o-actions"),
    ("egoexo4d-hand-test", "egoexo4d"),
    ("assemblyhands", "hamer"),
    ("assemblyhands", "json"),
]


@pytest.mark.parametrize(("track", "name"), JSON_FORMATS)
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "HB130 p.json: is empty"),
        ('{"a": [1, 2', "HB130 p.json: is no JSON (Expecting"),
        ("[" * 200_000, "HB130 p.json: is nested too deeply"),
        ('{"a": {}, "a": {}}', "HB132 p.json: has the key 'a' twice in one object."),
        ("3", "HB130 p.json:"),
        ('{"a": ' + "9" * 5000 + "}", "HB130 p.json: is no JSON (Exceeds the limit"),
    ],
)
def test_json_that_is_none_is_a_problem_and_no_crash(place, track, name, text, message):
    refused_json(place, track, name, text, message)


@pytest.mark.parametrize(("track", "name"), JSON_FORMATS)
def test_a_file_that_is_not_there_is_named(place, track, name):
    refused(place, track, name, "nothing.json", "nothing.json: does not exist.")
    (place / "folder.json").mkdir()
    refused(place, track, name, "folder.json", "folder.json: is a folder, not a file.")


def test_bytes_that_are_no_text_are_a_problem(place):
    (place / "p.json").write_bytes(b"\xff\xfe\x00\xd8\x00")
    refused(place, "egoexo4d-hand-test", "egoexo4d", "p.json", "HB130 p.json: is no JSON")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"preds": {}}, 'HB130 p.json: has no key "annotations"; its keys are: preds.'),
        ({"annotations": []}, 'HB130 p.json: has list where "annotations" should be.'),
        ({"annotations": {SEQUENCE: 3}}, "HB130 p.json: has int where the frames of"),
        (
            {"annotations": {"elsewhere": {"000520": {"world_coord": HAND * 2}}}},
            "HB105 p.json: frames that the track does not have: elsewhere, frame 000520.",
        ),
        (
            instants(_000521=HAND * 2, _000523=HAND * 2, _x=HAND * 2),
            f"HB105 p.json: frames that the track does not have: {SEQUENCE}, frame 000521 (2 more",
        ),
        (
            instants(_520=HAND * 2, _000520=HAND * 2),
            "HB106 p.json: frames that occur more than once, padded and not",
        ),
        ({"annotations": {SEQUENCE: {"520": {}}}}, 'HB110 p.json: frames without "world_coord"'),
        (instants(_520=HAND), "HB112 p.json: not 42 x 3 numbers"),
        (instants(_520=[*HAND, *HAND[:20], [1, 2]]), "HB112 p.json: lists of different lengths"),
        (instants(_520=[["1", "2", "3"]] * 42), "HB111 p.json: texts where numbers should be"),
        (instants(_520=[[None] * 3] * 42), "HB111 p.json: nulls or other values where numbers"),
        (instants(_520=HAND + BROKEN), "HB123 p.json: numbers that are NaN or infinite"),
        (instants(_520=[*HAND, [INF] * 3, *HAND[1:]]), "left, 3 of 63"),
        (instants(_520=HAND + [[5.0] * 3] * 21), "HB122 p.json: a hand has all its joints at one"),
        ({"annotations": {}}, "HB103 p.json: has no answer for any sample of the track."),
    ],
)
def test_assemblyhands2023_problems(place, content, message):
    refused_json(place, "assemblyhands-two-hand", "assemblyhands2023", content, message)


def views(hand, camera=CAMERAS[0], frame="522", pair="HMC_84346135+HMC_84355350", more=None):
    pairs = {pair: {SEQUENCE: {camera: {frame: hand}}}} | (more or {})
    return {"info": {}, "annotations": pairs}


ELSEWHERE = {SEQUENCE: {CAMERAS[0]: {"522": random_hands(1, 9)[0].tolist()}}}
OTHER = {"HMC_84346135+HMC_84358933": ELSEWHERE}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (views(HAND, camera="HMC_0"), "HB105 p.json: images that the track does not have"),
        (views(HAND * 2), "HB112 p.json: not 21 x 3 numbers"),
        (views(HAND, more=OTHER), "HB106 p.json: images whose answer differs from pair to pair"),
        (
            views(HAND, frame="520"),
            "HB114 p.json: images of two hands, and the form does not say which one is meant: "
            f"val/{SEQUENCE}/{CAMERAS[0]}/000520.\n      `--hand-side right`",
        ),
        (
            views(HAND)
            | {"annotations": {"a+b": {SEQUENCE: {CAMERAS[0]: {"522": HAND, "0522": HAND}}}}},
            "HB106 p.json: images that occur more than once in a pair",
        ),
    ],
)
def test_assemblyhands2024_problems(place, content, message):
    refused_json(place, "assemblyhands", "assemblyhands2024", content, message)


def test_two_hands_in_an_image_need_a_choice_to_be_written(place):
    source = write_hands(place, "assemblyhands")
    message = "HB133 assemblyhands.parquet: 2 images have two hands, e.g. val/"
    with pytest.raises(SubmissionError, match=message):
        convert(source, place / "p.json", track="assemblyhands", to_format="assemblyhands2024",
                annotations=place / "assemblyhands.annotations")  # fmt: skip


def test_a_hand_side_is_right_or_left_and_only_where_it_means_something(place):
    source = write_hands(place, "h2o-pose")
    given = {"track": "h2o-pose", "annotations": place / "h2o-pose.annotations"}
    with pytest.raises(SubmissionError, match="HB114 --hand-side: hand side 'up' is neither"):
        convert(source, place / "p.npz", to_format="htt", hand_side="up", **given)
    with pytest.raises(SubmissionError, match="HB113 --hand-side: has no meaning for hand-bench"):
        convert(source, place / "p.npz", to_format="htt", hand_side="left", **given)


BOTH = (np.array(HAND * 2) / 1000).ravel().tolist()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"modality": 3, "subject4/h1/0": {"33": BOTH}}, 'HB130 p.json: has int as "modality"'),
        ({"subject4/h1/9": {"33": BOTH}}, "HB105 p.json: frames that the track does not have"),
        ({"subject4/h1/0": {"33": BOTH, "000033": BOTH}}, "HB106 p.json: frames that occur more"),
        (
            {"subject4/h1/0": {"33": BOTH}, "subject4/h1/0/cam4": {"33": BOTH}},
            "HB106 p.json: frames that occur more than once",
        ),
        ({"subject4/h1/0": {"33": BOTH[:63]}}, "HB112 p.json: not 126 numbers"),
        ({"subject4/h1/0": {"33": [0] * 63 + BOTH[:63]}}, "HB122 p.json: a hand has all its"),
        ({"subject4/h1/0": {"33": [*BOTH[:125], NAN]}}, "HB123 p.json: numbers that are NaN"),
    ],
)
def test_h2o_poses_problems(place, content, message):
    refused_json(place, "h2o-pose", "h2o-poses", content, message)


def test_h2o_poses_need_both_hands(place):
    left = hands_of("h2o-pose")["left_joints"]
    left[1] = np.nan
    source = write_hands(place, "h2o-pose", left_joints=left)
    with pytest.raises(SubmissionError, match=r"HB133 .* 1 left hands are null, e.g. of test/subj"):
        convert(source, place / "p.json", track="h2o-pose", to_format="h2o-poses",
                annotations=place / "h2o-pose.annotations")  # fmt: skip


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            {"1": 0, "2": 0, "3": 5},
            "HB128 p.json: actions that are 0, the background: clip 1 has 0",
        ),
        ({"1": 37}, "HB128 p.json: actions outside 1 to 36: clip 1 has 37."),
        ({"1": "5"}, "HB111 p.json: actions that are no whole number from 1 to 36: clip 1 has '5'"),
        ({"1": True}, "HB111 p.json: actions that are no whole number"),
        ({"1": 2.0}, "HB111 p.json: actions that are no whole number"),
        ({"1": 3, "243": 4}, "HB105 p.json: keys that are no clip of the track: 243."),
        ({"1": 3, "01": 4}, "HB106 p.json: clips that occur more than once, padded and not: 01."),
        ('{"1": 3, "2": 4, "1": 5}', "HB132 p.json: has the key '1' twice in one object."),
    ],
)
def test_h2o_actions_problems(place, content, message):
    refused_json(place, "h2o-action", "h2o-actions", content, message)


def test_missing_clips_are_said_and_have_no_row(place):
    (place / "p.json").write_text('{"modality": "hand", "1": 3}')
    done = convert_from(place, "h2o-action", "h2o-actions", "p.json")
    assert done.rows == 1
    assert any("2 of 3 samples of h2o-action are not in the file" in n for n in done.notes)


METRES = (random_hands(1)[0] / 1000).tolist()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"take-x": {"7": {}}}, "HB105 p.json: frames that the track does not have: take-x"),
        ({"take-a": {"8": {}}}, "HB105 p.json: frames that the track does not have: take-a, fra"),
        ({"take-a": {"7": []}}, "HB130 p.json: has list where the hands of take-a, frame 7"),
        (
            {"take-a": {"7": {"left_hand_3d": []}}},
            'HB110 p.json: frames without "right_hand_3d": take-a, frame 7.',
        ),
        (
            {"take-a": {"7": {"left_hand_3d": METRES[:20], "right_hand_3d": []}}},
            "HB112 p.json: not 21 x 3 numbers: take-a, frame 7, left_hand_3d is 20 x 3.",
        ),
        (
            {"take-a": {"7": {"left_hand_3d": [[NAN] * 3, *METRES[1:]], "right_hand_3d": []}}},
            "HB123 p.json: numbers that are NaN or infinite: take-a, frame 7, left_hand_3d, 3 of",
        ),
        (
            {"take-a": {k: {"left_hand_3d": [], "right_hand_3d": []} for k in ("7", "007")}},
            "HB106 p.json: frames that occur more than once",
        ),
    ],
)
def test_egoexo4d_problems(place, content, message):
    refused_json(place, "egoexo4d-hand-test", "egoexo4d", content, message)


def test_all_problems_of_a_file_come_together(place):
    frames = {"8": {}, "7": {"left_hand_3d": METRES[:20], "right_hand_3d": [["x"] * 3] * 21}}
    (place / "p.json").write_text(json.dumps({"take-a": frames}))
    with pytest.raises(SubmissionError) as caught:
        convert_from(place, "egoexo4d-hand-test", "egoexo4d", "p.json")
    assert [p.code for p in caught.value.problems] == ["HB105", "HB111", "HB112"]


# Writing


@pytest.mark.parametrize(
    ("track", "name"),
    [
        ("assemblyhands-two-hand", "assemblyhands2023"),
        ("h2o-pose", "h2o-poses"),
        ("egoexo4d-hand-test", "egoexo4d"),
    ],
)
def test_rows_that_are_missing_unknown_or_repeated_stop_an_official_file(place, track, name):
    ids, hands = tables()[track]["sample_id"], random_hands(3)
    given = {"track": track, "to_format": name, "annotations": place / f"{track}.annotations"}
    for named, message in (
        ([ids[0], ids[1], "other"], "HB105 p.parquet: ids that are not in track .*: other"),
        ([ids[0], ids[1], ids[1]], f"HB106 p.parquet: samples that have more .*: {ids[1]}"),
    ):
        write_predictions(place / "p.parquet", named, hands, hands, track=track)
        with pytest.raises(SubmissionError, match=message) as caught:
            convert(place / "p.parquet", place / "p.json", **given)
        assert f"HB104 p.parquet: 1 of 3 samples of track {track} have no row" in str(caught.value)
        assert not (place / "p.json").exists()


def test_rows_are_found_repeated_across_blocks(place, monkeypatch):
    monkeypatch.setattr("hand_bench.formats.rows.BLOCK", 1)
    ids = tables()["egoexo4d-hand-test"]["sample_id"]
    records = [{"sample_id": k, "right": HAND, "left": None} for k in (*ids, ids[0])]
    (place / "p.json").write_text(json.dumps(records))
    given = {"track": "egoexo4d-hand-test", "annotations": place / "egoexo4d-hand-test.annotations"}
    with pytest.raises(SubmissionError, match=r"HB106 p.json: samples that have more than one row"):
        convert(
            place / "p.json", place / "o.json", from_format="json", to_format="egoexo4d", **given
        )


def test_a_format_that_does_not_fit_the_track_is_refused(place):
    source = write_hands(place, "h2o-pose")
    with pytest.raises(SubmissionError, match="HB113 arctic: is no format of track h2o-pose"):
        convert(source, place / "p.zip", track="h2o-pose", to_format="arctic")


def test_unknown_formats_list_the_known_ones(place, capsys):
    with pytest.raises(SystemExit) as stop:
        main(
            ["convert", str(write_hands(place, "h2o-pose")), "o", "--to", "hamr", "--track", "demo"]
        )
    err = capsys.readouterr().err
    assert stop.value.code == 1
    assert "HB301 there is no format 'hamr'.\n      Did you mean 'hamer'?" in err


def test_annotations_that_are_not_prepared_are_named(place):
    source = write_hands(place, "h2o-pose")
    with pytest.raises(DatasetError, match="HB201 h2o pose-test: is not prepared"):
        convert(source, place / "p.json", track="h2o-pose", to_format="h2o-poses")


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"frame": "world"}, "HB113 p.parquet: is in the frame 'world', egoexo4d-hand-test in"),
        ({"frame": "root-relative"}, "HB113 p.parquet: is in the frame 'root-relative'"),
        ({"track": "demo"}, "HB113 p.parquet: is for track demo, not egoexo4d-hand-test."),
    ],
)
def test_declarations_that_contradict_the_track_are_refused(place, metadata, message):
    hands = random_hands(3)
    write_predictions(place / "p.parquet", list("abc"), hands, hands, **metadata)
    refused(place, "egoexo4d-hand-test", "hand-bench", "p.parquet", message)


def test_a_file_in_several_possible_formats_must_be_named(place):
    np.savez(place / "p.npz", scores=np.eye(36)[:1], sample_id=np.array(["x"]))
    message = "HB130 p.npz: could be in several formats of h2o-action, or in none: htt, npz."
    with pytest.raises(SubmissionError, match=message):
        convert(place / "p.npz", place / "o.parquet", track="h2o-action")
    (place / "p.txt").write_text("x")
    with pytest.raises(SubmissionError, match=r"in none: none of this ending\."):
        convert(place / "p.txt", place / "o.parquet", track="h2o-action")


def test_the_target_must_be_writable_before_anything_is_read(place):
    source = write_hands(place, "h2o-pose")
    (place / "file").write_text("x")
    with pytest.raises(HandBenchError, match="HB402"):
        convert(source, place / "file" / "o.csv", track="h2o-pose", to_format="csv")


# Plain forms


def save(place: Path, **arrays) -> None:
    np.savez(place / "p.npz", **arrays)


IDS, HANDS = np.array(["a", "b"]), random_hands(2)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"right_joints": HANDS}, "HB110 p.npz: lacks sample_id."),
        ({"sample_id": IDS, "joints": HANDS}, "HB110 p.npz: lacks right_joints or left_joints. It"),
        ({"sample_id": np.arange(2), "right_joints": HANDS}, "HB111 p.npz: sample_id is int64"),
        ({"sample_id": IDS, "right_joints": HANDS[:1]}, "HB112 p.npz: right_joints has shape (1"),
        ({"sample_id": IDS, "right_joints": HANDS[:, :20]}, "not (2, 21, 3)."),
        ({"sample_id": IDS, "right_joints": HANDS.astype(str)}, "HB111 p.npz: right_joints holds"),
        ({"sample_id": IDS[:0], "right_joints": HANDS[:0]}, "HB103 p.npz: has no rows."),
        (
            {"sample_id": IDS, "right_joints": np.where(np.arange(3) < 1, NAN, HANDS)},
            "HB123 p.npz: right_joints holds NaN or infinite values: row 0 (a), 21 of 63 (1 more",
        ),
        (
            {"sample_id": IDS, "right_joints": np.full((2, 21, 3), INF)},
            "HB123 p.npz: right_joints holds NaN or infinite values: row 0 (a), 63 of 63",
        ),
    ],
)
def test_plain_npz_problems(place, arrays, message):
    save(place, **arrays)
    refused(place, "egoexo4d-hand-test", "npz", "p.npz", message)


@pytest.mark.parametrize(("track", "name"), [("egoexo4d-hand-test", "npz"), ("h2o-pose", "htt"),
                                             ("h2o-pose", "hamer")])  # fmt: skip
def test_pickles_in_npz_are_never_loaded(place, track, name, monkeypatch):
    monkeypatch.chdir(place)
    objects = np.empty(1, object)
    objects[0] = Bomb()
    np.savez(place / "p.npz", sample_id=IDS[:1], right_joints=objects, joints=objects,
             pred_keypoints_3d=objects)  # fmt: skip
    refused(place, track, name, "p.npz", "of Python objects, which are pickles and never loaded")
    assert not (place / "executed").exists()


def test_npz_that_is_cut_off_or_damaged_is_a_problem(place):
    save(place, sample_id=IDS, right_joints=HANDS)
    whole = (place / "p.npz").read_bytes()
    (place / "p.npz").write_bytes(whole[: len(whole) // 2])
    refused(place, "egoexo4d-hand-test", "npz", "p.npz", "HB130 p.npz: is no zip archive, or its")
    at = whole.index(HANDS.tobytes()[:40])
    (place / "p.npz").write_bytes(whole[:at] + b"\x00" * 40 + whole[at + 40 :])
    refused(place, "egoexo4d-hand-test", "npz", "p.npz", "HB130 p.npz: has a damaged array 'right")
    (place / "p.npz").write_bytes(b"no zip")
    refused(place, "egoexo4d-hand-test", "npz", "p.npz", "HB130 p.npz: is no .npz archive.")


def test_an_npz_header_that_promises_more_than_there_is(place):
    stream = io.BytesIO()
    header = {"descr": "<f4", "fortran_order": False, "shape": (2, 21, 3)}
    np.lib.format.write_array_header_1_0(stream, header)
    save(place, sample_id=IDS)
    with zipfile.ZipFile(place / "p.npz", "a") as archive:
        archive.writestr("right_joints.npy", stream.getvalue() + b"\x00" * 100)
    refused(place, "egoexo4d-hand-test", "npz", "p.npz", "has an array 'right_joints' that is cut")


def test_an_array_that_is_loaded_whole_must_be_there_as_a_whole(place):
    stream = io.BytesIO()
    header = {"descr": "<f4", "fortran_order": False, "shape": (10**12, 42, 3)}
    np.lib.format.write_array_header_1_0(stream, header)
    save(place, sample_id=IDS)
    with zipfile.ZipFile(place / "p.npz", "a") as archive:
        archive.writestr("joints.npy", stream.getvalue())
    refused(place, "h2o-pose", "htt", "p.npz", "has an array 'joints' that is cut off.")


def test_clips_without_official_ids_cannot_be_written(place):
    columns = {k: v for k, v in tables()["h2o-action"].items() if k != "annotation_id"}
    annotations.write(place / "bare.annotations", columns)
    source = write_actions(place, label=[0, 1, 2])
    with pytest.raises(SubmissionError, match=r"HB133 .* the annotations have no official ids"):
        convert(
            source,
            place / "p.json",
            track="h2o-action",
            to_format="h2o-actions",
            annotations=place / "bare.annotations",
        )


def write_csv(place: Path, rows: list[list], columns: list[str] | None = None) -> None:
    names = [f"right_joints_{k}" for k in range(63)]
    with (place / "p.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows(
            [["sample_id", *(names if columns is None else columns)], *rows]
        )


FLAT = np.ravel(HAND).tolist()


@pytest.mark.parametrize(
    ("rows", "columns", "message"),
    [
        ([["a", *FLAT[:62], "x"]], None, "HB111 p.csv: holds something that is no number"),
        ([["a", *FLAT[:62]]], None, "HB130 p.csv: cannot be read as CSV"),
        ([["a", *FLAT[:62], ""]], None, "HB123 p.csv: right_joints holds NaN or infinite values"),
        ([["a", *FLAT[:62], "inf"]], None, "HB123 p.csv: right_joints holds NaN or infinite"),
        ([["a", 1]], ["right_joints_0"], "HB110 p.csv: columns are lacking: right_joints_1 (61"),
        ([["a", 1]], ["x"], "HB110 p.csv: lacks right_joints or left_joints. It has: sample_id, x"),
        ([], None, "HB103 p.csv: has no rows."),
    ],
)
def test_plain_csv_problems(place, rows, columns, message):
    write_csv(place, rows, columns)
    refused(place, "egoexo4d-hand-test", "csv", "p.csv", message)


def test_csv_columns_that_repeat_or_lack_the_id(place):
    names = [f"right_joints_{k}" for k in range(63)]
    write_csv(place, [["a", *FLAT, 1]], [*names, "right_joints_0"])
    refused(place, "egoexo4d-hand-test", "csv", "p.csv", "columns that occur more than once")
    (place / "p.csv").write_text(",".join(names) + "\n" + ",".join(map(str, FLAT)) + "\n")
    refused(place, "egoexo4d-hand-test", "csv", "p.csv", "columns are lacking: sample_id.")
    (place / "p.csv").write_bytes(b"")
    refused(place, "egoexo4d-hand-test", "csv", "p.csv", "HB130 p.csv: cannot be read as CSV")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"a": 3}, "HB130 p.json: records that are no objects: a."),
        ([{"right": HAND}], "HB110 p.json: records without a sample_id: record 0."),
        ({"a": {"x": HAND}}, "HB110 p.json: lacks right_joints or left_joints. It has: x."),
        ({"a": {"right": HAND[:20]}}, "HB112 p.json: not 21 x 3 numbers: a, right_joints is 20 x"),
        ({"a": {"right": [["1"] * 3] * 21}}, "HB111 p.json: texts where numbers should be"),
        ({"a": {"right": BROKEN}}, "HB123 p.json: right_joints holds NaN or infinite values"),
        ({"a": {"right": HAND, "right_score": "high"}}, "HB111 p.json: texts where numbers"),
        ([], "HB103 p.json: has no answer for any sample of the track."),
    ],
)
def test_plain_json_problems(place, content, message):
    refused_json(place, "egoexo4d-hand-test", "json", content, message)


@pytest.mark.parametrize("label", [36, -1, 2.5])
def test_labels_that_are_no_class_are_refused_in_every_plain_form(place, label):
    (place / "p.csv").write_text(f"sample_id,label\na,3\nb,{label}\n")
    message = (
        f"HB128 p.csv: labels that are no class of h2o-action (0 to 35): row 1 (b) has {label}"
    )
    refused(place, "h2o-action", "csv", "p.csv", message)
    save(place, sample_id=IDS, label=np.array([3, label]))
    refused(place, "h2o-action", "npz", "p.npz", message.replace("csv", "npz"))


def test_crops_are_no_format_of_a_track_in_the_world_frame(place):
    (place / "p.json").write_text("[]")
    message = "HB113 hamer: is no format of track assemblyhands-two-hand; it is one of camera pose"
    refused(place, "assemblyhands-two-hand", "hamer", "p.json", message)


# HTT and HaMeR

JOINTS = np.concatenate([random_hands(1), random_hands(1, 1)], axis=1) / 1000
FRAME = np.array(tables()["h2o-pose"]["sample_id"][:1])


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"sample_id": FRAME}, "HB110 p.npz: lacks joints; it has sample_id."),
        ({"joints": JOINTS}, "HB110 p.npz: lacks names of its frames"),
        (
            {"joints": JOINTS[:, :21], "sample_id": FRAME},
            "HB112 p.npz: joints has shape (1, 21, 3)",
        ),
        ({"joints": JOINTS[0], "sample_id": FRAME}, "HB112 p.npz: joints has shape (42, 3), not 3"),
        ({"joints": JOINTS.astype(int), "sample_id": FRAME}, "HB111 p.npz: joints holds int64"),
        ({"joints": JOINTS, "sample_id": np.array(["x", "y"])}, "HB112 p.npz: sample_id or frame"),
        ({"joints": JOINTS, "sample_id": np.array(["x"])}, "HB105 p.npz: frames that the track do"),
        (
            {"joints": JOINTS, "image": np.array(["000033.png"])},
            "HB105 p.npz: frames that are too short to tell samples apart: 000033.png.",
        ),
        (
            {"joints": JOINTS, "image": np.array(["subject1/h1/0/cam4/rgb/000034.png"])},
            "HB105 p.npz: frames that the track does not have",
        ),
        (
            {"joints": np.tile(JOINTS, (2, 1, 1)), "sample_id": np.tile(FRAME, 2)},
            "HB106 p.npz: frames that occur more than once",
        ),
        (
            {"joints": np.where(np.arange(42)[:, None] < 1, NAN, JOINTS), "sample_id": FRAME},
            "HB123",
        ),
    ],
)
def test_htt_problems(place, arrays, message):
    save(place, **arrays)
    refused(place, "h2o-pose", "htt", "p.npz", message)


CLIP = np.array(tables()["h2o-action"]["sample_id"][:1])


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        (np.eye(37)[:1], "HB112 p.npz: scores has 37 classes, h2o-action has 36."),
        (np.full((1, 36), NAN), "HB123 p.npz: scores hold NaN or infinite values: row 0."),
        (np.full((1, 36), 0.2), "HB124 p.npz: clips whose scores are no probabilities: row 0 sums"),
        (-np.eye(36)[:1] + 2 * np.eye(36)[1:2], "HB124 p.npz: clips whose scores are no"),
    ],
)
def test_htt_scores_problems(place, scores, message):
    save(place, scores=scores, sample_id=CLIP)
    refused(place, "h2o-action", "htt", "p.npz", message)


def test_logits_cannot_become_htt_probabilities(place):
    source = write_actions(place, scores=np.random.default_rng(0).normal(size=(3, 36)))
    with pytest.raises(SubmissionError, match=r"HB133 .* has scores that are no probabilities"):
        convert(source, place / "o.npz", track="h2o-action", to_format="htt",
                annotations=place / "h2o-action.annotations")  # fmt: skip


def without(record: dict, *keys: str) -> dict:
    return {key: value for key, value in record.items() if key not in keys}


@pytest.mark.parametrize(
    ("crops", "message"),
    [
        ([3], "HB130 p.json: has a record 0 that is no object."),
        ([crop(image=None)], "HB110 p.json: records without image or sample_id: record 0."),
        ([crop(image="else/where/000520.jpg")], "HB105 p.json: images that the track does not"),
        ([crop(image="000520.jpg")], "HB105 p.json: image names that are too short to tell"),
        ([crop(is_right=2)], "HB114 p.json: is_right that is neither 1 nor 0: record 0: 2."),
        ([crop(pred_keypoints_3d=HAND[:16])], "HB112 p.json: not 21 x 3 numbers: record 0 is 16"),
        ([crop(pred_keypoints_3d=BROKEN)], "HB123 p.json: numbers that are NaN or infinite"),
        ([crop(pred_cam_t_full=[0, 1])], "HB112 p.json: not 3 numbers"),
        ([crop(pred_cam_t_full=[0, 1, NAN])], "HB123 p.json: numbers that are NaN or infinite: re"),
        (
            [without(crop(), "pred_cam_t_full") | {"pred_cam": [1, 0, 0], "box_size": 3}],
            "HB110 p.json: records without pred_cam_t_full, and without box_center and img_size",
        ),
        (
            [without(crop(), "pred_cam_t_full") | {"pred_cam": [-1, 0, 0], "box_size": 3,
              "box_center": [1, 1], "img_size": [9, 9]}],
            "HB126 p.json: crops whose scale or box_size is not positive",
        ),
        ([crop(), crop(1)], "HB106 p.json: several crops of one right hand, and no scores that"),
        ([crop(score=1), crop(1, score=1)], "HB106 p.json: several crops of one right hand"),
        ([crop(score=7)], "HB124 p.json: scores outside 0 to 1: record 0."),
        ({"is_right": [1]}, "HB110 p.json: lacks pred_keypoints_3d; it has is_right."),
        ({"is_right": [1, 0], "pred_keypoints_3d": [HAND]}, "HB112 p.json: has arrays of differ"),
        ({"is_right": 1, "pred_keypoints_3d": [HAND]}, "HB112 p.json: is_right is one value"),
    ],
)  # fmt: skip
def test_hamer_problems(place, crops, message):
    refused_json(place, "assemblyhands", "hamer", crops, message)


# Archives and tensors


def write_zip(path: Path, *members: tuple[str, bytes], **changes) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members:
            info = zipfile.ZipInfo(name)
            for key, value in changes.items():
                setattr(info, key, value)
            archive.writestr(info, data)


@pytest.mark.parametrize(
    "name", ["../p.json", "/etc/p.json", "a/../../p.json", "C:/p.json", "a\\..\\p.json"]
)
@pytest.mark.parametrize(("track", "of"), [("assemblyhands-two-hand", "assemblyhands2023"),
                                           ("arctic-ego-test", "arctic")])  # fmt: skip
def test_names_that_lead_outside_are_refused(place, name, track, of):
    write_zip(place / "p.zip", (name, b"{}"))
    refused(place, track, of, "p.zip", "that leads outside.")


def test_links_repeated_names_and_encrypted_files_are_refused(place):
    given = ("assemblyhands-two-hand", "assemblyhands2023", "p.zip")
    write_zip(
        place / "p.zip", ("p.json", b"/etc/passwd"), external_attr=(stat.S_IFLNK | 0o777) << 16
    )
    refused(place, *given, "HB131 p.zip: has a file 'p.json' that is a link.")
    with pytest.warns(UserWarning, match="Duplicate name"):
        write_zip(place / "p.zip", ("p.json", b"{}"), ("p.json", b"{}"))
    refused(place, *given, "HB131 p.zip: has a file 'p.json' that occurs twice.")
    write_zip(place / "p.zip", ("p.json", b"{}"))
    data = bytearray((place / "p.zip").read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    (place / "p.zip").write_bytes(data)
    refused(place, *given, "HB131 p.zip: has a file 'p.json' that is encrypted.")


@pytest.mark.parametrize(
    ("limit", "message"),
    [("MEMBERS", "holds 3 files; at most 2"), ("TOTAL", "unpacks to 300 bytes; at most 2"),
     ("MEMBER", "that unpacks to 100 bytes (at most 2)")],
)  # fmt: skip
def test_archives_that_are_too_large_are_refused(place, monkeypatch, limit, message):
    write_zip(place / "p.zip", *((f"{k}.json", b" " * 100) for k in range(3)))
    monkeypatch.setattr(archives, limit, 2)
    refused(place, "assemblyhands-two-hand", "assemblyhands2023", "p.zip", f"HB131 p.zip: {message}"
            if limit != "MEMBER" else message)  # fmt: skip


def test_files_that_do_not_fit_into_memory_are_refused(place, monkeypatch):
    write_zip(place / "p.zip", ("p.json", b" " * 100))
    monkeypatch.setattr(archives, "WHOLE", 99)
    message = "HB131 p.zip: unpacks 'p.json' to 100 bytes; at most 99 fit."
    refused(place, "assemblyhands-two-hand", "assemblyhands2023", "p.zip", message)


def test_archives_without_their_json_or_cut_off_are_refused(place):
    given = ("h2o-action", "h2o-actions", "p.zip")
    write_zip(place / "p.zip", ("readme.txt", b"x"))
    refused(place, *given, "HB130 p.zip: has no action_labels.json inside; it holds readme.txt.")
    write_zip(place / "p.zip", ("a.json", b"{}"), ("b.json", b"{}"))
    refused(
        place, *given, "HB130 p.zip: has no action_labels.json inside; it holds a.json, b.json."
    )
    whole = (place / "p.zip").read_bytes()
    (place / "p.zip").write_bytes(whole[:-30])
    refused(place, *given, "HB130 p.zip: is no zip archive, or its end is missing")


@pytest.fixture
def submission(mano) -> Path:
    """A whole ARCTIC zip at there.zip."""
    write_mano(mano)
    there_and_back(mano, "arctic-ego-test", "arctic", ".zip")
    return mano


def replaced(name_part: str, value):
    """A change for `rewrite`: another tensor in the files whose name has this part."""
    data = value if isinstance(value, bytes) else tensors.dumps(value)
    return lambda name, old: (name, data if name_part in name and "box_use" in name else old)


def empty(*shape: int) -> np.ndarray:
    return np.zeros(shape, np.float32)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda n, d: None if "pose.r" in n else (n, d),
            "HB104 there.zip: files that are lacking: s",
        ),
        (
            lambda n, d: (n.replace("s03_", "s09_"), d),
            "HB105 there.zip: folders that are no sequen",
        ),
        (lambda n, d: (n.replace("/eval/", "/x/"), d), "HB130 there.zip: has no eval/<sid>_"),
        (replaced("beta.l", empty(2, 9)), "HB112 there.zip: tensors of another shape"),
        (replaced("beta.l", empty(3, 10)), "HB112 there.zip: tensors of different lengths"),
        (replaced("beta.l", ["a"]), "HB111 there.zip: files that hold no tensor of floating"),
        (replaced("beta.l", empty(2, 10) + NAN), "HB123 there.zip: tensors that hold NaN"),
        (replaced("pose.l", empty(2, 16, 3, 3)), "HB121 there.zip: matrices that are no rotations"),
        (
            replaced("imgname", ["s03/box_use_01/0/00010.jpg"] * 2),
            "HB106 there.zip: folders that na",
        ),
        (
            replaced("imgname", ["x.jpg", "y.jpg"]),
            "HB105 there.zip: images that the track does not",
        ),
        (replaced("imgname", empty(2)), "HB111 there.zip: files meta_info.imgname.pt that hold no"),
        (replaced("pose.l", b"PK nothing"), "HB130 there.zip/pose_p2_test/eval/s03_box_use_01_0/p"),
        (replaced("pose.l", b"nothing"), "is no PyTorch file (no .pt file)."),
    ],
)
def test_arctic_problems(submission, change, message):
    rewrite(submission / "there.zip", change)
    refused(submission, "arctic-ego-test", "arctic", "there.zip", message)


def test_fewer_frames_without_names_are_refused_and_more_are_left_out(submission):
    place, track = submission, "arctic-ego-test"
    rewrite(place / "there.zip", lambda n, d: None if "meta_info" in n else (n, d))

    def resized(rows: int):
        def change(name: str, data: bytes):
            value = tensors.loads(data, name)
            return name, tensors.dumps(np.repeat(value[:1], rows, axis=0))

        return change

    whole = (place / "there.zip").read_bytes()
    rewrite(place / "there.zip", resized(1))
    refused(place, track, "arctic", "there.zip", "HB104 there.zip: fewer frames than the track")
    (place / "there.zip").write_bytes(whole)
    rewrite(place / "there.zip", resized(5))
    done = convert_from(place, track, "arctic", "there.zip")
    assert done.rows == 3
    assert "s03_box_use_01_0: 3 frames past the end are left out." in done.notes


def test_joints_alone_cannot_be_written_as_mano_parameters(place):
    hands = random_hands(3)
    ids = tables()["arctic-ego-test"]["sample_id"]
    write_predictions(place / "p.parquet", ids, hands, hands, track="arctic-ego-test")
    given = {"track": "arctic-ego-test", "annotations": place / "arctic-ego-test.annotations"}
    with pytest.raises(
        SubmissionError, match=r"HB133 p.parquet: has no columns right_mano and lef"
    ):
        convert(place / "p.parquet", place / "p.zip", to_format="arctic", **given)
    write_mano(place, absent=True)
    with pytest.raises(SubmissionError, match=r"has no right_mano for 1 samples, e.g. test/s03"):
        convert(place / "arctic-ego-test.parquet", place / "p.zip", to_format="arctic", **given)


def test_arctic_without_mano_says_where_to_get_it(submission, monkeypatch):
    monkeypatch.delenv("HAND_BENCH_MANO")
    with pytest.raises(DatasetError, match=r"HB202 MANO_RIGHT.pkl: was not found"):
        convert_from(submission, "arctic-ego-test", "arctic", "there.zip")


def pt(body: bytes, *storages: bytes) -> bytes:
    """A .pt file around a pickle."""
    members = [("archive/data.pkl", body)]
    members += [(f"archive/data/{k}", data) for k, data in enumerate(storages)]
    return archives.pack(members)


STORAGE = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\n"
STORAGE += b"X\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x04tQ"


def tensor(size: bytes, stride: bytes) -> bytes:
    head = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(" + STORAGE + b"K\x00"
    return head + size + stride + b"\x89)tR."


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (pt(pickle.dumps(Bomb())), "pathlib.Path.touch is not allowed"),
        (pt(b"cos\nsystem\n(X\x04\x00\x00\x00touchtR."), "os.system is not allowed"),
        (pt(b"cbuiltins\neval\n(X\x01\x00\x00\x001tR."), "builtins.eval is not allowed"),
        (pt(b"ctorch\nload\n)R."), "torch.load is not allowed"),
        (pt(b"ctorch\nFloatStorage\n)R."), "not callable"),
        (pt(b"garbage"), "holds something other than tensors"),
        (pt(tensor(b"(K\x05t", b"(K\x01t"), b"\x00" * 16), "larger than its storage"),
        (pt(tensor(b"(K\x02t", b"(K\x09t"), b"\x00" * 16), "larger than its storage"),
        (pt(tensor(b"(J\xff\xff\xff\xfft", b"(K\x01t"), b"\x00" * 16), "an impossible shape"),
        (pt(tensor(b"(K\x02t", b"(K\x01t"), b"\x00" * 8), "a storage that is cut off"),
        (pickle.dumps(Bomb()), "it is a plain pickle, never loaded here"),
        (archives.pack([("x", b"")]), "it has no data.pkl"),
    ],
)
def test_pt_files_never_run_anything(place, monkeypatch, data, message):
    monkeypatch.chdir(place)
    (place / "p.pt").write_bytes(data)
    refused(place, "assemblyhands", "hamer", "p.pt", message)
    assert not (place / "executed").exists()


def test_a_tensor_that_repeats_what_is_stored_is_read_up_to_a_limit():
    values = np.arange(4, dtype="<f4").tobytes()
    found = tensors.loads(pt(tensor(b"(K\x05K\x04t", b"(K\x00K\x01t"), values), "t")
    assert found.shape == (5, 4) and (found == np.arange(4)).all()
    huge = tensor(b"(J\xff\xff\xff\x7fK\x04t", b"(K\x00K\x01t")
    with pytest.raises(SubmissionError, match="larger than its storage"):
        tensors.loads(pt(huge, values), "t")
