"""Diagnosis beyond 3D in camera space: world frame, palm, one hand, 2D, clips."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmark import small_tracks
from hand_bench import cli, diagnose, evaluate
from hand_bench.errors import DatasetError, SubmissionError
from hand_bench.joint_sets import HAND_SIDES, convert, wrist_from_palm
from hand_bench.tracks import TRACKS


def about_root(joints, signs):
    return joints[..., :1, :] + (joints - joints[..., :1, :]) * np.array(signs)


def check(made, folder, joints, names, *, metric="MPJPE", field="mpjpe_after", present=None):
    """Diagnose broken predictions: `names` are found, and the fixed file scores as promised."""
    path = made.write(folder / "p.parquet", joints, present)
    fixed = folder / "fixed.parquet"
    found = diagnose(path, track=made.track, annotations=made.annotations, fix=fixed)
    assert sorted(found.likely) == sorted(found.chain) == sorted(names)
    result = evaluate(fixed, track=made.track, annotations=made.annotations, resamples=0)
    assert result.score(metric).value == pytest.approx(getattr(found, field), abs=1e-3)
    again = diagnose(fixed, track=made.track, annotations=made.annotations)
    assert again.likely == []
    assert json.loads(pq.read_schema(fixed).metadata[b"fixes"]) == found.chain
    return found


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return small_tracks.world_track(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def stb(tmp_path_factory):
    return small_tracks.camera_track(tmp_path_factory.mktemp("stb"), "stb", sides=("left",))


@pytest.fixture(scope="module")
def planar(tmp_path_factory):
    return small_tracks.planar_track(tmp_path_factory.mktemp("planar"))


@pytest.mark.parametrize("name", TRACKS)
def test_a_good_file_of_any_track_has_no_likely_finding(tmp_path, name):
    made = small_tracks.of_track(tmp_path, name)
    path = small_tracks.good_file(made, tmp_path / "p.parquet")
    found = diagnose(path, track=name, annotations=made.annotations)
    assert found.likely == found.chain == []
    assert "No wrong convention explains the error." in found.summary


WORLD_BROKEN = {
    (): lambda joints: joints,
    ("units: m",): lambda joints: joints / 1000,
    ("joint_set: mano21",): lambda joints: convert(joints, "openpose21", "mano21"),
    ("axes: yz",): lambda joints: joints * [1, -1, -1],
    ("mirror: left",): lambda joints: np.stack(
        [joints[:, 0], about_root(joints[:, 1], [-1, 1, 1])], axis=1
    ),
    ("frame: root-relative",): lambda joints: joints - joints[..., :1, :],
    ("units: cm", "axes: y"): lambda joints: joints * [0.1, -0.1, 0.1],
}


@pytest.mark.parametrize("names", WORLD_BROKEN)
def test_wrong_conventions_in_the_world_are_found_and_fixed(world, tmp_path, names):
    found = check(world, tmp_path, WORLD_BROKEN[names](world.noisy()), names)
    groups = [finding.name for finding in found.findings]
    assert "frame: camera" not in groups and "axes: relative z" not in groups
    assert "camera" not in " ".join(finding.text for finding in found.findings)


def test_exchanged_hands_in_the_world_are_found(world, tmp_path):
    joints, present = world.noisy()[:, ::-1], world.present[:, ::-1]
    check(world, tmp_path, joints, ["hands: exchanged"], present=present)


def test_shifts_and_offsets_in_the_world_are_reported(world, tmp_path):
    options = {"track": world.track, "annotations": world.annotations}
    late = world.write(tmp_path / "a.parquet", np.roll(world.noisy(2), 1, axis=0),
                       np.ones_like(world.present))  # fmt: skip
    assert diagnose(late, **options).likely == ["shift: +1"]
    moved = world.write(tmp_path / "b.parquet", world.noisy() + np.array([40, 0, 0]))
    found = diagnose(moved, **options)
    assert found.likely == ["offset: constant"] and found.chain == []
    assert "in the world frame" in found.summary


def test_the_camera_frame_of_one_view_is_refused_in_the_world(world, tmp_path):
    path = world.write(tmp_path / "p.parquet", world.noisy(), frame="camera")
    options = {"track": world.track, "annotations": world.annotations}
    with pytest.raises(SubmissionError, match=r"HB113.*declares the camera frame"):
        diagnose(path, **options)
    assert diagnose(path, **options, frame="world").likely == []


def test_a_withheld_truth_is_said(tmp_path):
    made = small_tracks.world_track(tmp_path, "assemblyhands-two-hand", truth=False)
    path = made.write(tmp_path / "p.parquet", made.noisy())
    with pytest.raises(DatasetError, match="HB209"):
        diagnose(path, track=made.track, annotations=made.annotations)


def test_a_palm_track_has_its_own_orders(stb, tmp_path):
    joints = convert(stb.noisy(), "palm21", "stb21") / 1000
    found = check(stb, tmp_path, joints, ["joint_set: stb21", "units: m"])
    orders = {finding.name for finding in found.findings if finding.group == "joint_set"}
    assert orders == {"joint_set: stb21"}
    assert pq.read_schema(tmp_path / "fixed.parquet").metadata[b"joint_set"] == b"palm21"


def test_a_wrist_in_the_place_of_the_palm_is_reported_never_applied(stb, tmp_path):
    path = stb.write(tmp_path / "p.parquet", wrist_from_palm(stb.noisy(), "middle-mcp-2.2"))
    found = diagnose(path, track=stb.track, annotations=stb.annotations)
    assert found.likely == ["root: wrist"] and found.chain == []
    assert "the wrist, not the palm centre" in found.summary


def test_only_hands_that_the_track_has_can_be_mirrored(tmp_path):
    made = small_tracks.camera_track(tmp_path, "fpha-pose", sides=("right",))
    found = check(made, tmp_path, about_root(made.noisy(), [-1, 1, 1]), ["mirror: right"])
    assert [f.name for f in found.findings if f.group == "mirror"] == ["mirror: right"]
    assert not [f for f in found.findings if f.name == "frame: world"]


def test_a_single_hand_under_the_other_name_is_found(tmp_path):
    made = small_tracks.camera_track(tmp_path, "fpha-pose", sides=("right",))
    joints, present = made.noisy()[:, ::-1], made.present[:, ::-1]
    found = check(made, tmp_path, joints, ["hands: exchanged"], present=present)
    assert found.mpjpe_before is None
    assert "no error can be measured as it is, in 48 rows" in found.summary


SIZE = np.array([small_tracks.WIDTH, small_tracks.HEIGHT])
PLANAR_BROKEN = {
    (): lambda joints: joints,
    ("joint_set: rhd21",): lambda joints: convert(joints, "openpose21", "rhd21"),
    ("axes: yx",): lambda joints: joints[..., ::-1],
    ("mirror: image",): lambda joints: [SIZE[0] - 1, 0] + joints * [-1, 1],
    ("frame: letterbox224",): lambda joints: (joints - SIZE / 2) * 224 / SIZE[0] + 112,
    ("frame: normalised",): lambda joints: joints / SIZE,
    ("frame: normalised", "mirror: image", "joint_set: mano21"): lambda joints: convert(
        ([SIZE[0] - 1, 0] + joints * [-1, 1]) / SIZE, "openpose21", "mano21"
    ),
}


@pytest.mark.parametrize("names", PLANAR_BROKEN)
def test_wrong_conventions_in_2d_are_found_and_fixed(planar, tmp_path, names):
    joints = PLANAR_BROKEN[names](planar.noisy(3))
    found = check(planar, tmp_path, joints, names, metric="L2 error 2D", field="l2_after")
    assert found.l2_after < 2
    assert ("No wrong convention" in found.summary) == (not names)


def test_joints_counted_from_the_corner_of_a_box_are_found(planar, tmp_path):
    corner = planar.joints.min(axis=2, keepdims=True) - small_tracks.MARGIN
    joints = planar.noisy(3) - corner
    check(planar, tmp_path, joints, ["frame: box"], metric="L2 error 2D", field="l2_after")


def test_exchanged_hands_in_2d_are_found_with_their_scores(planar, tmp_path):
    path = planar.write(tmp_path / "p.parquet", planar.noisy(3)[:, ::-1], planar.present[:, ::-1],
                        right_score=planar.present[:, 1] * 0.9)  # fmt: skip
    fixed = tmp_path / "fixed.parquet"
    found = diagnose(path, track=planar.track, annotations=planar.annotations, fix=fixed)
    assert found.likely == ["hands: exchanged"] and found.l2_before > 20 > found.l2_after
    scores = pq.read_table(fixed).column("left_score").to_numpy()
    np.testing.assert_allclose(scores, planar.present[:, 1] * 0.9, rtol=1e-6)


def test_crops_in_2d_are_merged_and_fixed(planar, tmp_path):
    row, side = np.nonzero(planar.present)
    joints = (planar.noisy(3) / SIZE)[row, side].reshape(-1, 42).astype(np.float32)
    names = np.array(planar.sample_id)[row], np.array(HAND_SIDES)[side]
    crops = pa.table({"sample_id": names[0], "hand_side": names[1], "joints_2d": list(joints)})
    options = {"track": planar.track, "annotations": planar.annotations}
    found = diagnose(crops, **options, fix=tmp_path / "fixed.parquet")
    assert found.likely == ["frame: normalised"]
    score = evaluate(tmp_path / "fixed.parquet", **options, resamples=0).score("L2 error 2D")
    assert score.value == pytest.approx(found.l2_after, abs=1e-4)


def test_an_offset_in_2d_is_reported_never_applied(planar, tmp_path):
    path = planar.write(tmp_path / "p.parquet", planar.noisy(3) + np.array([0, -60]))
    found = diagnose(path, track=planar.track, annotations=planar.annotations)
    assert found.likely == ["offset: constant"] and found.chain == []
    assert found.l2_after == found.l2_before


def test_the_error_of_2d_files_is_that_of_evaluate(planar, tmp_path):
    path = planar.write(tmp_path / "p.parquet", planar.noisy(8))
    options = {"track": planar.track, "annotations": planar.annotations}
    score = evaluate(path, **options, resamples=0).score("L2 error 2D")
    assert diagnose(path, **options).l2_before == pytest.approx(score.value, abs=1e-4)


ACTIONS = ("h2o-action-val", "fpha-action", "assemblyhands-verbs")


def diagnosed(made, folder, **answers):
    path = made.write(folder / "p.parquet", **answers)
    fixed = folder / "fixed.parquet"
    found = diagnose(path, track=made.track, annotations=made.annotations, fix=fixed)
    score = evaluate(fixed, track=made.track, annotations=made.annotations, resamples=0)
    assert score.primary.value == pytest.approx(found.accuracy_after)
    return found


@pytest.mark.parametrize("name", ACTIONS)
def test_labels_that_count_from_1_are_found_and_fixed(tmp_path, name):
    made = small_tracks.clip_track(tmp_path, name)
    found = diagnosed(made, tmp_path, label=made.answers() + 1)
    assert found.likely == found.chain == ["classes: from 1"]
    assert found.accuracy_before < 0.2 < 0.6 < found.accuracy_after


@pytest.mark.parametrize("name", ACTIONS)
def test_a_background_class_in_front_is_found_and_left_out(tmp_path, name):
    made = small_tracks.clip_track(tmp_path, name)
    found = diagnosed(made, tmp_path, scores=made.scores(made.answers(), more=1))
    assert found.likely == found.chain == ["classes: background first"]
    scores = pq.read_table(tmp_path / "fixed.parquet").column("scores")
    assert {len(row) for row in scores.to_pylist()} == {len(made.track.classes)}


@pytest.mark.parametrize("name", ACTIONS)
def test_good_and_random_answers_have_no_likely_finding(tmp_path, name):
    made = small_tracks.clip_track(tmp_path, name)
    answers = made.answers()
    assert diagnosed(made, tmp_path, label=answers, scores=made.scores(answers)).likely == []
    for seed in range(20):
        label = np.random.default_rng(seed).integers(0, len(made.track.classes), len(answers))
        assert diagnosed(made, tmp_path, label=label).likely == []


@pytest.mark.parametrize(("shift", "name"), [(1, "one late"), (-1, "one early")])
def test_answers_shifted_by_one_clip_are_reported_never_applied(tmp_path, shift, name):
    made = small_tracks.clip_track(tmp_path)
    found = diagnosed(made, tmp_path, label=np.roll(made.answers(), shift))
    assert found.likely == [f"order: {name}"] and found.chain == []
    assert found.accuracy_after == found.accuracy_before


def test_answers_in_the_order_of_ids_sorted_as_text_are_reported(tmp_path):
    made = small_tracks.clip_track(tmp_path)
    label = made.answers()[np.argsort(np.array(made.sample_id))]
    assert diagnosed(made, tmp_path, label=label).likely == ["order: text"]


def test_labels_that_contradict_their_scores_are_counted(tmp_path):
    made = small_tracks.clip_track(tmp_path)
    answers = made.answers()
    path = made.write(tmp_path / "p.parquet", label=made.label, scores=made.scores(answers))
    found = diagnose(path, track=made.track, annotations=made.annotations)
    wrong = int((answers != made.label).sum())
    assert found.counts["contradictions"] == wrong
    assert f"{wrong} rows have a label that is not the highest score" in found.summary


def test_a_few_clips_are_not_enough(tmp_path):
    made = small_tracks.clip_track(tmp_path, clips=12)
    path = made.write(tmp_path / "p.parquet", label=made.label + 1)
    assert diagnose(path, track=made.track, annotations=made.annotations).likely == []


@pytest.mark.parametrize(
    ("make", "answers", "said"),
    [
        (small_tracks.planar_track, None, "L2 error 2D before"),
        (small_tracks.clip_track, "label", "accuracy before"),
    ],
)
def test_the_command_prints_what_the_kind_measures(tmp_path, capsys, make, answers, said):
    made = make(tmp_path)
    path = tmp_path / "p.parquet"
    if answers:
        made.write(path, label=made.answers() + 1)
    else:
        made.write(path, made.noisy() / SIZE)
    options = ["--track", made.track.name, "--annotations", str(made.annotations)]
    cli.main(["diagnose", str(path), *options])
    out = capsys.readouterr().out
    assert said in out and "MPJPE" not in out and "Likely: " in out
    cli.main(["diagnose", str(path), *options, "--json"])
    assert json.loads(capsys.readouterr().out)["chain"]
