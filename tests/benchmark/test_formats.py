"""Official prediction formats: what goes out comes back, and what is lost is said."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmark.official.mano import make_hand, write_npz
from hand_bench import annotations, evaluate, write_predictions
from hand_bench.cli import main
from hand_bench.columns import encode_floats
from hand_bench.formats import FORMATS, tensors
from hand_bench.formats.conversion import Conversion, convert, guess
from hand_bench.formats.hamer import full_translation
from hand_bench.joint_sets import permutation
from hand_bench.predictions import SCHEMA, read_predictions, write_clips
from hand_bench.tracks import TRACKS, find_track

SEQUENCE = "nusar-2021_action_both_9012-c07c_9012_user_id_2021-02-01_164345"
CAMERAS = ("HMC_84346135", "HMC_84355350")
ABSENT = np.full((21, 3), np.nan)
#: How exactly 32-bit millimetres come back from each format, mm.
EXACT = 1e-5


def tables() -> dict[str, dict]:
    """Columns of tiny annotations, by track."""
    instants = {
        "sample_id": [f"test/{SEQUENCE}/{f:06d}" for f in (520, 522, 524)],
        "sequence": [SEQUENCE] * 3,
        "frame": [520, 522, 524],
        "hand_type": ["interacting", "right", "left"],
    }
    views = [(camera, frame) for camera in CAMERAS for frame in (520, 522)]
    images = {
        "sample_id": [f"val/{SEQUENCE}/{c}/{f:06d}" for c, f in views],
        "sequence": [SEQUENCE] * 4,
        "camera": [c for c, _ in views],
        "frame": [f for _, f in views],
        "image": [f"images/val/{SEQUENCE}/{c}_mono10bit/{f:06d}.jpg" for c, f in views],
        "hand_type": ["interacting", "right", "interacting", "left"],
    }
    frames = [("subject4/h1/0", 33), ("subject4/h1/0", 34), ("subject4/k1/2", 33)]
    poses = {
        "sample_id": [f"test/{s}/cam4/{f:06d}" for s, f in frames],
        "sequence": [s for s, _ in frames],
        "camera": ["cam4"] * 3,
        "frame": [f for _, f in frames],
        "image": [f"subject4_ego/{s}/cam4/rgb/{f:06d}.png" for s, f in frames],
    }
    clips = {
        "sample_id": [f"test/subject4/h1/0/{k:06d}-{k + 9:06d}" for k in (0, 10, 20)],
        "sequence": ["subject4/h1/0"] * 3,
        "annotation_id": [2, 1, 3],
        "frame": [0, 10, 20],
    }
    takes = {
        "sample_id": ["test/take-a/000007", "test/take-a/000130", "test/take-b/000000"],
        "sequence": ["take-a", "take-a", "take-b"],
        "frame": [7, 130, 0],
        "image": [f"image/undistorted/test/name/{f:06d}.jpg" for f in (7, 130, 0)],
        "hand_type": ["interacting", "right", "left"],
    }
    stems = [("s03/box_use_01", 10), ("s03/box_use_01", 11), ("s03/phone_grab_01", 10)]
    arctic = {
        "sample_id": [f"test/{s}/0/{f:05d}" for s, f in stems],
        "sequence": [s for s, _ in stems],
        "camera": ["0"] * 3,
        "frame": [f for _, f in stems],
        "image": [f"data/cropped_images/{s}/0/{f:05d}.jpg" for s, f in stems],
        "hand_type": ["interacting"] * 3,
    }
    videos = ["Subject_1/open_milk/1", "Subject_1/pour_milk/2"]
    right = {
        "sample_id": [f"test/{v}/0000" for v in videos],
        "sequence": videos,
        "frame": [0, 0],
        "image": [f"Video_files/{v}/color/color_0000.jpeg" for v in videos],
    }
    return {
        "assemblyhands-two-hand": instants,
        "assemblyhands": images,
        "h2o-pose": poses,
        "h2o-action": clips,
        "egoexo4d-hand-test": takes,
        "arctic-ego-test": arctic,
        "fpha-pose": right,
        "fpha-action": {"sample_id": videos, "sequence": videos, "frame": [0, 0]},
    }


@pytest.fixture(scope="session")
def written(tmp_path_factory) -> Path:
    """The annotations of every track, as TRACK.annotations."""
    folder = tmp_path_factory.mktemp("annotations")
    for track, columns in tables().items():
        annotations.write(folder / f"{track}.annotations", columns)
    return folder


@pytest.fixture
def place(tmp_path, home, written) -> Path:
    """A folder of its own with all annotations."""
    for path in written.iterdir():
        (tmp_path / path.name).hardlink_to(path)
    return tmp_path


def random_hands(rows: int, seed: int = 0, spread: float = 60.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal([50, -20, 450], spread, (rows, 21, 3)).astype(np.float32)


def hands_of(track: str) -> dict[str, np.ndarray]:
    """Predictions with gaps as the track's annotations have them."""
    columns = tables()[track]
    kinds = columns.get("hand_type", ["interacting"] * len(columns["sample_id"]))
    made = {}
    for seed, side in enumerate(("right", "left")):
        joints = random_hands(len(kinds), seed)
        joints[[kind not in (side, "interacting") for kind in kinds]] = np.nan
        made[f"{side}_joints"] = joints
    if track == "fpha-pose":
        made["left_joints"][:] = np.nan
    return made


def write_hands(place: Path, track: str, **more) -> Path:
    path = place / f"{track}.parquet"
    ids = tables()[track]["sample_id"]
    write_predictions(path, ids, **(hands_of(track) | more), track=track)
    return path


def there_and_back(place: Path, track: str, name: str, suffix: str, **options) -> list[str]:
    """Convert TRACK.parquet to a format and back to back.parquet; return all notes."""
    given = {"annotations": place / f"{track}.annotations"} | options
    there, back = place / f"there{suffix}", place / "back.parquet"
    source = place / f"{track}.parquet"
    out = convert(source, there, track=track, to_format=name, **given)
    home = convert(there, back, track=track, from_format=name, **given)
    return [*out.notes, *home.notes]


def assert_same_hands(found: Path, expected: Path, atol: float = EXACT) -> None:
    one, other = read_predictions(found), read_predictions(expected)
    assert one.sample_id.tolist() == other.sample_id.tolist()
    for side in ("right_joints", "left_joints"):
        a, b = getattr(one, side), getattr(other, side)
        assert np.array_equal(np.isnan(a), np.isnan(b))
        assert np.allclose(a, b, atol=atol, rtol=0, equal_nan=True)


POSE_TRIPS = [
    ("assemblyhands-two-hand", "assemblyhands2023", ".json"),
    ("assemblyhands-two-hand", "assemblyhands2023", ".zip"),
    ("h2o-pose", "h2o-poses", ".json"),
    ("h2o-pose", "htt", ".npz"),
    ("fpha-pose", "htt", ".npz"),
    ("egoexo4d-hand-test", "egoexo4d", ".json"),
    *[("assemblyhands", "hamer", suffix) for suffix in (".npz", ".json", ".pt")],
    *[("egoexo4d-hand-test", name, f".{name}") for name in ("npz", "csv", "json")],
    ("h2o-pose", "hand-bench", ".parquet"),
]


@pytest.mark.parametrize(("track", "name", "suffix"), POSE_TRIPS)
def test_hands_come_back_as_they_went(place, track, name, suffix):
    source = write_hands(place, track)
    there_and_back(place, track, name, suffix)
    assert_same_hands(place / "back.parquet", source)


@pytest.mark.parametrize(("track", "name", "suffix"), POSE_TRIPS)
def test_the_same_predictions_give_the_same_bytes(place, track, name, suffix):
    source = write_hands(place, track)
    given = {"track": track, "annotations": place / f"{track}.annotations", "to_format": name}
    for out in ("one", "two"):
        convert(source, place / f"{out}{suffix}", **given)
    assert (place / f"one{suffix}").read_bytes() == (place / f"two{suffix}").read_bytes()


def test_the_canonical_file_declares_units_order_frame_and_track(place):
    track = "assemblyhands-two-hand"
    write_hands(place, track)
    there_and_back(place, track, "assemblyhands2023", ".json")
    declared = read_predictions(place / "back.parquet").declared
    assert (declared.track, declared.units) == (track, "mm")
    assert (declared.joint_set, declared.frame) == ("openpose21", "world")


def test_what_is_converted_can_be_scored(place):
    track = "egoexo4d-hand-test"
    columns = dict(tables()[track])
    truth = hands_of(track)
    valid = np.ones((3, 21), bool)
    for side in ("right", "left"):
        absent = np.isnan(truth[f"{side}_joints"]).any(axis=(1, 2))
        columns |= {
            f"{side}_joints": (np.nan_to_num(truth[f"{side}_joints"]), absent),
            f"{side}_valid": (valid, absent),
            f"{side}_in_view": (valid, absent),
        }
    annotations.write(place / f"{track}.annotations", columns)
    write_hands(place, track)
    there_and_back(place, track, "egoexo4d", ".json")
    result = evaluate(
        place / "back.parquet", track=track, annotations=place / f"{track}.annotations"
    )
    assert result.primary.value == pytest.approx(1.0)


def test_declared_metres_and_another_order_are_converted_on_the_way(place):
    track = "egoexo4d-hand-test"
    source = write_hands(place, track)
    hands = hands_of(track)
    order = permutation("openpose21", "mano21")
    metres = {name: joints[:, order] / 1000 for name, joints in hands.items()}
    declared = {"track": track, "units": "m", "joint_set": "mano21"}
    write_predictions(place / "m.parquet", tables()[track]["sample_id"], **metres, **declared)
    convert(place / "m.parquet", place / "mm.parquet", track=track)
    assert_same_hands(place / "mm.parquet", source, atol=1e-4)


# AssemblyHands


def test_the_2023_form_is_the_challenge_s(place):
    track = "assemblyhands-two-hand"
    write_hands(place, track)
    notes = there_and_back(place, track, "assemblyhands2023", ".json")
    content = json.loads((place / "there.json").read_text())
    frames = content["annotations"][SEQUENCE]
    assert list(frames) == ["000520", "000522", "000524"]
    first = np.array(frames["000520"]["world_coord"])
    right = hands_of(track)["right_joints"][0]
    assert first.shape == (42, 3)
    assert np.allclose(first[20], right[0], atol=EXACT)  # the wrist comes last
    assert np.allclose(first[0], right[4], atol=EXACT)  # the tip of the thumb first
    assert not np.any(frames["000524"]["world_coord"][:21])  # no right hand: zeros
    assert "2 hands are blank (0, -1 or 1 as a whole): null." in notes


def test_the_2023_zip_holds_one_json_of_the_challenge_s_name(place):
    write_hands(place, "assemblyhands-two-hand")
    there_and_back(place, "assemblyhands-two-hand", "assemblyhands2023", ".zip")
    with zipfile.ZipFile(place / "there.zip") as archive:
        assert archive.namelist() == ["assemblyhands_test_joint_3d_iccv23_pred.json"]


@pytest.mark.parametrize("blank", [0, -1, 1])
def test_blank_hands_are_null_and_frames_may_be_unpadded(place, blank):
    hand = random_hands(1)[0].tolist()
    content = {"annotations": {SEQUENCE: {"520": {"world_coord": hand + [[blank] * 3] * 21}}}}
    (place / "p.json").write_text(json.dumps(content))
    done = convert_from(place, "assemblyhands-two-hand", "assemblyhands2023", "p.json")
    back = read_predictions(place / "out.parquet")
    assert not np.isnan(back.right_joints[0]).any() and np.isnan(back.left_joints[0]).all()
    assert any("2 of 3 samples of assemblyhands-two-hand are not in" in n for n in done.notes)


def convert_from(place: Path, track: str, name: str, file: str, **options) -> Conversion:
    given = {"annotations": place / f"{track}.annotations"} | options
    return convert(place / file, place / "out.parquet", track=track, from_format=name, **given)


def test_an_asked_hand_without_an_answer_is_said(place):
    track = "assemblyhands-two-hand"
    write_hands(place, track, left_joints=np.full((3, 21, 3), np.nan))
    notes = there_and_back(place, track, "assemblyhands2023", ".json")
    assert "2 left hands that are asked have no answer: written as zeros, " \
           "which the server scores." in notes  # fmt: skip


@pytest.mark.parametrize("side", ["right", "left"])
def test_the_2024_form_keeps_the_chosen_hand_of_two(place, side):
    track, other = "assemblyhands", {"right": "left", "left": "right"}[side]
    source = write_hands(place, track)
    notes = there_and_back(place, track, "assemblyhands2024", ".json", hand_side=side)
    lost = f"2 hands are not written: the form has one hand per image, the {side} one of two."
    assert lost in notes
    expected = hands_of(track)
    expected[f"{other}_joints"][[0, 2]] = np.nan
    ids = tables()[track]["sample_id"]
    write_predictions(source, ids, **expected, track=track)
    assert_same_hands(place / "back.parquet", source)


def test_the_2024_form_has_pairs_and_bare_frame_numbers_in_openpose_order(place):
    write_hands(place, "assemblyhands")
    notes = there_and_back(place, "assemblyhands", "assemblyhands2024", ".json", hand_side="left")
    content = json.loads((place / "there.json").read_text())["annotations"]
    assert list(content) == ["HMC_84346135+HMC_84355350"]
    cameras = content["HMC_84346135+HMC_84355350"][SEQUENCE]
    assert list(cameras) == list(CAMERAS)
    wrist = cameras[CAMERAS[0]]["520"][0]
    assert np.allclose(wrist, hands_of("assemblyhands")["left_joints"][0, 0], atol=EXACT)
    assert any("4 entries; the challenge's template has 85,498" in note for note in notes)


def test_the_2024_form_agrees_between_pairs_and_takes_unpadded_frames(place):
    hand, blank = random_hands(1)[0].tolist(), np.ones((21, 3)).tolist()
    pairs = {
        "HMC_84346135+HMC_84355350": {SEQUENCE: {f"{CAMERAS[0]}_mono10bit": {"522": hand}}},
        "HMC_84346135+HMC_84347414": {SEQUENCE: {CAMERAS[0]: {"000522": hand}}},
        "HMC_84346135+HMC_84358933": {SEQUENCE: {"84346135": {"522": blank}}},
    }
    (place / "p.json").write_text(json.dumps({"info": {}, "annotations": pairs}))
    convert_from(place, "assemblyhands", "assemblyhands2024", "p.json")
    back = read_predictions(place / "out.parquet")
    assert back.sample_id.tolist() == [f"val/{SEQUENCE}/{CAMERAS[0]}/000522"]
    assert np.allclose(back.right_joints[0], hand, atol=EXACT)


# H2O


def test_h2o_poses_are_left_then_right_in_metres_and_say_that_they_are_not_official(place):
    write_hands(place, "h2o-pose")
    notes = there_and_back(place, "h2o-pose", "h2o-poses", ".json")
    content = json.loads((place / "there.json").read_text())
    values = np.array(content["subject4/h1/0"]["000033"]).reshape(2, 21, 3) * 1000
    assert np.allclose(values[0], hands_of("h2o-pose")["left_joints"][0], atol=EXACT)
    assert content["modality"] == "not stated"
    assert sum("schema" in note and "not public" in note for note in notes) == 2


def write_actions(place: Path, **answer) -> Path:
    path = place / "h2o-action.parquet"
    write_clips(path, tables()["h2o-action"]["sample_id"], **answer, track="h2o-action",
                method="hand+obj")  # fmt: skip
    return path


@pytest.mark.parametrize("suffix", [".json", ".zip"])
def test_h2o_actions_are_one_based_and_keyed_by_the_official_id(place, suffix):
    write_actions(place, label=[0, 35, 7])
    there_and_back(place, "h2o-action", "h2o-actions", suffix)
    back = pq.read_table(place / "back.parquet")
    assert back.column("label").to_pylist() == [0, 35, 7]
    assert back.schema.metadata[b"method"] == b"hand+obj"
    if suffix == ".json":
        text = (place / "there.json").read_text()
        assert text == '{"modality":"hand+obj","1":36,"2":1,"3":8}\n'
    else:
        assert zipfile.ZipFile(place / "there.zip").namelist() == ["action_labels.json"]


def test_scores_become_the_first_of_the_highest_and_that_is_said(place):
    scores = np.zeros((3, 36), np.float32)
    scores[0, [4, 9]], scores[1, 2], scores[2, 35] = 0.5, 1, 1
    write_actions(place, scores=scores)
    notes = there_and_back(place, "h2o-action", "h2o-actions", ".json")
    assert pq.read_table(place / "back.parquet").column("label").to_pylist() == [4, 2, 35]
    assert "not written, the form has one action for each clip: scores." in notes


# Ego-Exo4D


def test_egoexo4d_has_metres_both_keys_and_empty_lists(place):
    write_hands(place, "egoexo4d-hand-test")
    there_and_back(place, "egoexo4d-hand-test", "egoexo4d", ".json")
    content = json.loads((place / "there.json").read_text())
    assert list(content) == ["take-a", "take-b"] and list(content["take-a"]) == ["7", "130"]
    assert content["take-a"]["130"]["left_hand_3d"] == []
    right = np.array(content["take-a"]["7"]["right_hand_3d"]) * 1000
    assert np.allclose(right, hands_of("egoexo4d-hand-test")["right_joints"][0], atol=EXACT)


def test_bare_nan_tokens_for_a_whole_hand_are_an_absent_hand(place):
    nan = [[float("nan")] * 3] * 21
    frame = {"left_hand_3d": nan, "right_hand_3d": (random_hands(1)[0] / 1000).tolist()}
    (place / "p.json").write_text(json.dumps({"take-a": {"000007": frame}}))
    convert_from(place, "egoexo4d-hand-test", "egoexo4d", "p.json")
    back = read_predictions(place / "out.parquet")
    assert np.isnan(back.left_joints).all() and not np.isnan(back.right_joints).any()


# ARCTIC


@pytest.fixture
def mano(place, monkeypatch) -> Path:
    """Made-up hand models in the place of MANO's files."""
    monkeypatch.setenv("HAND_BENCH_MANO", str(place / "mano"))
    for side in ("right", "left"):
        write_npz(place / "mano" / f"MANO_{side.upper()}.npz", make_hand(side=side))
    return place


def random_mano(rows: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    pose, shape = rng.normal(0, 0.3, (rows, 48)), rng.normal(0, 1, (rows, 10))
    place = rng.normal([0, 0, 600], 50, (rows, 3))
    return np.concatenate([pose, shape, place], axis=1).astype(np.float32)


def write_mano(place: Path, absent: bool = False) -> Path:
    """Canonical predictions of ARCTIC that carry MANO's parameters."""
    ids = tables()["arctic-ego-test"]["sample_id"]
    columns = {"sample_id": pa.array(ids)}
    for seed, side in enumerate(("right", "left")):
        lacking = np.array([False, absent, False])
        columns[f"{side}_joints"] = encode_floats(random_hands(3, seed).reshape(3, 63), lacking)
        columns[f"{side}_mano"] = encode_floats(random_mano(3, seed), lacking)
    path = place / "arctic-ego-test.parquet"
    pq.write_table(pa.table(columns), path)
    return path


def test_arctic_parameters_come_back_and_joints_follow_from_them(mano):
    write_mano(mano)
    notes = there_and_back(mano, "arctic-ego-test", "arctic", ".zip")
    back = pq.read_table(mano / "back.parquet")
    for seed, side in enumerate(("right", "left")):
        values = np.array(back.column(f"{side}_mano").to_pylist())
        assert np.allclose(values, random_mano(3, seed), atol=1e-4)
        joints = np.array(back.column(f"{side}_joints").to_pylist())
        from hand_bench.hand_model import HandModel, find_mano

        model = HandModel.load(find_mano(side))
        m = random_mano(3, seed).astype(float)
        expected = model.joints(rotvec=m[:, :48].reshape(3, 16, 3), betas=m[:, 48:58],
                                translation=m[:, 58:], flat_hand_mean=False)  # fmt: skip
        order = permutation("mano21", "openpose21")
        assert np.allclose(joints.reshape(3, 21, 3), expected[:, order], atol=1e-3)
    assert any("right_joints, left_joints" in note for note in notes)


def test_the_arctic_zip_has_the_server_s_folders_and_dummy_object_files(mano):
    write_mano(mano)
    there_and_back(mano, "arctic-ego-test", "arctic", ".zip")
    with zipfile.ZipFile(mano / "there.zip") as archive:
        names = archive.namelist()
        place = "pose_p2_test/eval/s03_box_use_01_0"
        pose = tensors.loads(archive.read(f"{place}/preds/pred.mano.pose.r.pt"), "pose")
        images = tensors.loads(archive.read(f"{place}/meta_info/meta_info.imgname.pt"), "images")
        object_rot = tensors.loads(archive.read(f"{place}/preds/pred.object.rot.pt"), "rot")
    assert len(names) == 2 * 10
    assert pose.shape == (2, 16, 3, 3) and pose.dtype == np.float32
    assert images[0] == "./data/arctic_data/data/cropped_images/s03/box_use_01/0/00010.jpg"
    assert object_rot.shape == (2, 3) and not object_rot.any()


def rewrite(path: Path, change) -> None:
    """Write a zip anew; `change` gets name and bytes and gives them back, or None to drop it."""
    with zipfile.ZipFile(path) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    kept = [new for name, data in members if (new := change(name, data))]
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in kept:
            archive.writestr(name, data)


def test_arctic_frames_go_by_image_name_in_any_order_and_else_by_position(mano):
    write_mano(mano)
    there_and_back(mano, "arctic-ego-test", "arctic", ".zip")
    expected = pq.read_table(mano / "back.parquet")

    def reversed_frames(name: str, data: bytes):
        value = tensors.loads(data, name)
        return name, tensors.dumps(value[::-1].copy() if hasattr(value, "copy") else value[::-1])

    rewrite(mano / "there.zip", reversed_frames)
    convert_from(mano, "arctic-ego-test", "arctic", "there.zip")
    assert pq.read_table(mano / "out.parquet").equals(expected)
    rewrite(mano / "there.zip", reversed_frames)
    rewrite(mano / "there.zip", lambda n, d: None if "meta_info" in n else (n, d))
    done = convert_from(mano, "arctic-ego-test", "arctic", "there.zip")
    assert pq.read_table(mano / "out.parquet").equals(expected)
    assert any("by position, as the server does" in note for note in done.notes)


# HTT and HaMeR


def test_htt_clips_are_summed_for_each_video(place):
    scores = np.zeros((3, 36))
    scores[0, :2], scores[1, :2], scores[2, 5] = (0.6, 0.4), (0.1, 0.9), 1
    ids = tables()["h2o-action"]["sample_id"]
    np.savez(place / "p.npz", scores=scores, sample_id=np.array([ids[0], ids[0], ids[2]]))
    done = convert_from(place, "h2o-action", "htt", "p.npz")
    back = pq.read_table(place / "out.parquet")
    assert back.column("sample_id").to_pylist() == [ids[0], ids[2]]
    assert np.allclose(back.column("scores").to_pylist()[0][:3], [0.7, 1.3, 0])
    assert "3 clips of 2 videos: scores are summed for each video." in done.notes


def test_htt_videos_may_be_named_by_their_sequence(place):
    videos = tables()["fpha-action"]["sequence"]
    np.savez(place / "p.npz", scores=np.eye(45)[[3, 4]], sequence=np.array(videos[::-1]))
    convert_from(place, "fpha-action", "htt", "p.npz")
    scores = np.array(pq.read_table(place / "out.parquet").column("scores").to_pylist())
    assert scores.argmax(axis=1).tolist() == [4, 3]


CLIP_FORMS = [("htt", ".npz"), ("npz", ".npz"), ("csv", ".csv"), ("json", ".json")]


@pytest.mark.parametrize(("name", "suffix"), [*CLIP_FORMS, ("hand-bench", ".parquet")])
def test_scores_of_clips_come_back(place, name, suffix):
    scores = np.random.default_rng(0).dirichlet(np.ones(36), 3).astype(np.float32)
    write_actions(place, scores=scores)
    there_and_back(place, "h2o-action", name, suffix)
    back = pq.read_table(place / "back.parquet").column("scores").to_pylist()
    assert np.allclose(back, scores, atol=1e-6)


def test_htt_labels_become_probabilities_and_that_is_said(place):
    write_actions(place, label=[0, 35, 7])
    notes = there_and_back(place, "h2o-action", "htt", ".npz")
    scores = np.array(pq.read_table(place / "back.parquet").column("scores").to_pylist())
    assert scores.argmax(axis=1).tolist() == [0, 35, 7]
    assert "3 clips have a label only: 1 for it, 0 for others." in notes


@pytest.mark.parametrize("how", ["image", "sequence"])
def test_htt_frames_are_named_by_image_or_by_sequence_and_frame(place, how):
    columns = tables()["h2o-pose"]
    hands = hands_of("h2o-pose")
    both = np.concatenate([hands["left_joints"], hands["right_joints"]], axis=1) / 1000.0
    names = {"image": np.array([f"/other/root/{i.split('/', 1)[1]}" for i in columns["image"]])}
    if how == "sequence":
        names = {"sequence": np.array(columns["sequence"]), "frame": np.array(columns["frame"])}
    np.savez(place / "p.npz", joints=both.astype(np.float64), **names)
    convert_from(place, "h2o-pose", "htt", "p.npz")
    assert_same_hands(place / "out.parquet", write_hands(place, "h2o-pose"), atol=1e-4)


PLACE = np.array([0.1, 0.2, 0.7])


def crop(k: int = 0, **more) -> dict:
    joints = (random_hands(1, k)[0] / 1000 - [0, 0, 0.45]).tolist()
    image = tables()["assemblyhands"]["image"][0]
    return {"image": image, "is_right": 1, "pred_keypoints_3d": joints,
            "pred_cam_t_full": [0.1, 0.2, 0.7]} | more  # fmt: skip


def read_crops(place: Path, *crops: dict, track: str = "assemblyhands"):
    (place / "p.json").write_text(json.dumps(crops))
    done = convert_from(place, track, "hamer", "p.json")
    return read_predictions(place / "out.parquet"), done.notes


def test_hamer_joints_are_keypoints_plus_translation(place):
    back, _ = read_crops(place, crop())
    expected = (np.array(crop()["pred_keypoints_3d"]) + PLACE) * 1000
    assert np.allclose(back.right_joints[0], expected, atol=1e-4)
    assert np.isnan(back.left_joints[0]).all()


def test_hamer_left_hands_are_turned_back_and_their_full_translation_is_kept(place):
    back, _ = read_crops(place, crop(is_right=0))
    expected = np.array(crop()["pred_keypoints_3d"]) * [-1, 1, 1] + [0.1, 0.2, 0.7]
    assert np.allclose(back.left_joints[0], expected * 1000, atol=1e-4)


def test_hamer_crop_cameras_are_placed_by_the_demo_s_formula(place):
    camera = {"pred_cam": [0.9, 0.05, -0.02], "box_center": [420.0, 180.0], "box_size": 160.0,
              "img_size": [636, 480]}  # fmt: skip
    record = crop(is_right=0) | camera
    del record["pred_cam_t_full"]
    back, notes = read_crops(place, record)
    span = 160 * 0.9
    translation = [-0.05 + 2 * (420 - 318) / span, -0.02 + 2 * (180 - 240) / span,
                   2 * 5000 / 256 * 636 / span]  # fmt: skip
    expected = np.array(crop()["pred_keypoints_3d"]) * [-1, 1, 1] + translation
    assert np.allclose(back.left_joints[0], expected * 1000, rtol=1e-6, atol=1e-2)
    assert any("1 hands are placed with the demo's focal length" in note for note in notes)


def test_a_real_focal_length_replaces_the_demo_s():
    centre, size = np.array([318.0, 240.0]), np.array([636.0, 480.0])
    found = full_translation(np.array([1.0, 0, 0]), centre, 200.0, size, 133.0)
    assert np.allclose(found, [0, 0, 2 * 133 / 200])


def test_of_several_crops_of_a_side_the_highest_score_stays(place):
    back, notes = read_crops(place, crop(0, score=0.4), crop(1, score=0.9), crop(2, score=0.1))
    expected = (np.array(crop(1)["pred_keypoints_3d"]) + PLACE) * 1000
    assert np.allclose(back.right_joints[0], expected, atol=1e-4)
    assert back.right_score[0] == pytest.approx(0.9)
    assert "2 crops gave way to one of a higher score." in notes


def test_an_image_without_a_hand_is_a_record_without_keypoints(place):
    back, notes = read_crops(place, crop(pred_keypoints_3d=None))
    assert len(back.sample_id) == 1 and np.isnan(back.right_joints).all()
    assert any("3 of 4 samples" in note for note in notes)


# Plain forms


def test_plain_forms_keep_scores_and_roots(place):
    track = "egoexo4d-hand-test"
    score = np.array([0.25, np.nan, 1.0])
    root = np.array([[1.5, 2, 3], [np.nan] * 3, [4, 5, 6]], np.float32)
    write_hands(place, track, right_score=score, left_score=score[::-1], left_root=root)
    for name in ("npz", "csv", "json"):
        there_and_back(place, track, name, f".{name}")
        back = read_predictions(place / "back.parquet")
        assert np.allclose(back.right_score, score, equal_nan=True)
        assert np.allclose(back.left_root, root, equal_nan=True)


def test_plain_forms_carry_mano_and_2d_joints(mano):
    source = pq.read_table(write_mano(mano, absent=True))
    pixels = encode_floats(np.arange(126, dtype=np.float32).reshape(3, 42))
    path = mano / "arctic-ego-test.parquet"
    pq.write_table(source.append_column("right_joints_2d", pixels), path)
    for name in ("npz", "csv", "json"):
        there_and_back(mano, "arctic-ego-test", name, f".{name}")
        back = pq.read_table(mano / "back.parquet")
        for column in ("right_mano", "left_mano"):
            one, other = (t.column(column).to_pylist() for t in (back, source))
            assert one[1] is None and np.allclose(one[0], other[0], atol=EXACT)
        assert back.column("right_joints_2d").to_pylist()[1][0] == 42


def test_plain_2d_tracks_hold_pixels(tmp_path):
    pixels = np.random.default_rng(0).uniform(0, 224, (3, 21, 2)).astype(np.float32)
    pixels[1] = np.nan
    path = tmp_path / "p.parquet"
    write_predictions(path, list("abc"), right_joints_2d=pixels, left_joints_2d=pixels)
    for name in ("npz", "csv", "json"):
        given = {"track": "epic-handkps"}
        convert(path, tmp_path / f"there.{name}", to_format=name, **given)
        convert(tmp_path / f"there.{name}", tmp_path / "back.parquet", from_format=name, **given)
        back = pq.read_table(tmp_path / "back.parquet")
        assert back.schema.metadata[b"units"] == b"px"
        found = back.column("right_joints_2d").to_pylist()
        assert found[1] is None and np.allclose(found[2], pixels[2].ravel(), atol=EXACT)


def test_records_in_a_list_and_long_names_are_read(place):
    hand = random_hands(1)[0]
    records = [{"sample_id": "a", "right": hand.tolist(), "left": None, "left_score": 0.25},
               {"sample_id": "b", "right": None, "left": [[float("nan")] * 3] * 21}]  # fmt: skip
    (place / "p.json").write_text(json.dumps(records))
    convert_from(place, "egoexo4d-hand-test", "json", "p.json")
    back = read_predictions(place / "out.parquet")
    assert np.allclose(back.right_joints[0], hand, atol=EXACT)
    assert np.isnan(back.left_joints).all() and back.left_score[0] == 0.25
    named = {"a": {"right_joints": hand.tolist()}}
    (place / "p.json").write_text(json.dumps(named))
    convert_from(place, "egoexo4d-hand-test", "json", "p.json")
    assert read_predictions(place / "out.parquet").sample_id.tolist() == ["a"]


def test_plain_files_larger_than_a_block_stream_through(tmp_path, monkeypatch):
    for module in ("rows", "plain"):
        monkeypatch.setattr(f"hand_bench.formats.{module}.BLOCK", 100)
    ids = [f"sample-{k}" for k in range(1050)]
    hands = random_hands(1050)
    hands[7] = np.nan
    write_predictions(tmp_path / "a.parquet", ids, hands, hands[::-1].copy(), track="demo")
    for name in ("npz", "csv"):
        convert(tmp_path / "a.parquet", tmp_path / f"b.{name}", track="demo", to_format=name)
        done = convert(tmp_path / f"b.{name}", tmp_path / "c.parquet", track="demo")
        assert done.rows == 1050 and done.source == name
        assert_same_hands(tmp_path / "c.parquet", tmp_path / "a.parquet")


def test_what_a_format_has_no_place_for_is_named(place):
    track = "egoexo4d-hand-test"
    path = place / f"{track}.parquet"
    write_predictions(path, tables()[track]["sample_id"], **hands_of(track), track=track,
                      right_score=[1, 1, 1], inputs=["boxes:gt"])  # fmt: skip
    notes = there_and_back(place, track, "egoexo4d", ".json")
    assert "not written, the format has no place for them: right_score." in notes
    assert "what the file declares (inputs, notes) has no place in the format." in notes


def test_any_format_can_be_written_from_any_other(place):
    source = write_hands(place, "h2o-pose")
    given = {"track": "h2o-pose", "annotations": place / "h2o-pose.annotations"}
    convert(source, place / "a.npz", to_format="htt", **given)
    convert(place / "a.npz", place / "b.json", from_format="htt", to_format="h2o-poses", **given)
    convert(place / "b.json", place / "c.csv", from_format="h2o-poses", to_format="csv", **given)
    convert(place / "c.csv", place / "d.parquet", from_format="csv", **given)
    assert_same_hands(place / "d.parquet", source, atol=1e-4)


# Tensors


def test_tensors_come_back_whatever_their_type_and_shape():
    for kind in (np.float16, np.float32, np.float64, np.int64, np.uint8, np.bool_):
        for shape in ((), (0, 3), (4, 2, 3)):
            array = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(kind)
            back = tensors.loads(tensors.dumps(array), "t")
            assert back.dtype == array.dtype and np.array_equal(back, array)


def test_lists_of_texts_and_dicts_of_tensors_come_back():
    value = {"image": ["a", "Zoë"], "x": np.arange(3.0), "y": np.eye(2, dtype=np.float32)}
    back = tensors.loads(tensors.dumps(value), "t")
    assert back["image"] == value["image"]
    assert np.array_equal(back["x"], value["x"]) and np.array_equal(back["y"], value["y"])


def test_pytorch_reads_what_is_written_and_what_it_writes_is_read(tmp_path):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    array = np.random.default_rng(0).normal(size=(5, 16, 3, 3)).astype(np.float32)
    (tmp_path / "a.pt").write_bytes(tensors.dumps({"pose": array, "names": ["x", "y"]}))
    found = torch.load(tmp_path / "a.pt", weights_only=True)
    assert np.array_equal(found["pose"].numpy(), array) and found["names"] == ["x", "y"]
    turned = torch.from_numpy(array).permute(0, 2, 1, 3)[1:].half()
    torch.save([turned, "text", {"n": 3}], tmp_path / "b.pt")
    back = tensors.loads((tmp_path / "b.pt").read_bytes(), "b.pt")
    assert np.array_equal(back[0], turned.numpy()) and back[1:] == ["text", {"n": 3}]


# The command


def test_every_format_is_described_in_the_docs_and_fits_a_track():
    docs = (Path(__file__).resolve().parents[2] / "benchmark/docs/formats.md").read_text("utf-8")
    for name, known in FORMATS.items():
        assert name == known.name and f"`{name}`" in docs
        assert any(known.fits(track) for track in TRACKS.values())
        assert all(track in TRACKS for track in known.tracks)


GUESSED = [trip for trip in POSE_TRIPS if trip[1] != "hand-bench"]


@pytest.mark.parametrize(("track", "name", "suffix"), GUESSED)
def test_the_format_is_guessed_from_the_file(place, track, name, suffix):
    write_hands(place, track)
    there_and_back(place, track, name, suffix)
    assert guess(place / f"there{suffix}", find_track(track)).name == name


def test_other_forms_are_guessed_too(mano):
    write_mano(mano)
    there_and_back(mano, "arctic-ego-test", "arctic", ".zip")
    assert guess(mano / "there.zip", find_track("arctic-ego-test")).name == "arctic"
    write_actions(mano, label=[0, 1, 2])
    there_and_back(mano, "h2o-action", "h2o-actions", ".json")
    assert guess(mano / "there.json", find_track("h2o-action")).name == "h2o-actions"
    write_hands(mano, "assemblyhands")
    there_and_back(mano, "assemblyhands", "assemblyhands2024", ".json", hand_side="right")
    assert guess(mano / "there.json", find_track("assemblyhands")).name == "assemblyhands2024"


def test_the_command_converts_and_says_what_it_took_the_file_for(place, capsys):
    track = "egoexo4d-hand-test"
    source = write_hands(place, track)
    table = ["--track", track, "--annotations", str(place / f"{track}.annotations")]
    main(["convert", str(source), str(place / "p.json"), "--to", "egoexo4d", *table])
    main(["convert", str(place / "p.json"), str(place / "back.parquet"), *table])
    out, err = capsys.readouterr()
    assert "3 rows of egoexo4d-hand-test, from egoexo4d to hand-bench" in out
    assert f"note: {place / 'p.json'} is taken to be in the format egoexo4d (--from)." in err
    assert_same_hands(place / "back.parquet", source)


def test_the_command_gives_one_json_object(place, capsys):
    source = write_hands(place, "h2o-pose")
    arguments = ["convert", str(source), str(place / "p.csv"), "--from", "hand-bench"]
    main([*arguments, "--to", "csv", "--track", "h2o-pose", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["target"] == "csv" and found["rows"] == 3


def test_convert_ls_lists_every_format(capsys):
    main(["convert", "ls"])
    shown = capsys.readouterr().out
    assert all(name in shown for name in FORMATS)
    main(["convert", "ls", "--json"])
    assert list(json.loads(capsys.readouterr().out)) == list(FORMATS)


def test_canonical_columns_are_those_of_predictions():
    from hand_bench.formats.rows import WIDTHS

    assert set(SCHEMA.names) - {"sample_id"} <= set(WIDTHS)
