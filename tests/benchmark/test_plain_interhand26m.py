"""The plain scorer against the golden values of the official scorer and of mmpose."""

import json

import numpy as np
import pytest

from benchmark import plain_interhand26m as plain

TOLERANCE = 1e-4

# case: official SH, IH, all; mmpose SH, IH, all; MRRPE per sample; handedness accuracy
GOLDEN = {
    ("V1", "A"): (
        (5.72926, 7.01332, 6.58530),
        (5.72926, 7.01332, 6.58530),
        (17.01722, 17.07066),
        0.75,
    ),
    ("V1", "B"): (
        (6.73558, 7.81238, 7.45345),
        (6.73558, 7.81238, 7.45345),
        (18.23976, 17.71754),
        0.75,
    ),
    ("V2", "A"): (
        (5.72926, 6.41323, 6.14791),
        (5.72926, 6.59726, 6.23631),
        (17.01722,),
        2 / 3,
    ),
    ("V2", "B"): (
        (6.73558, 6.67907, 6.80938),
        (6.73558, 6.89307, 6.82758),
        (18.23976,),
        2 / 3,
    ),
}

# annotation id, joint, camera coordinates in mm, pixel
GOLDEN_JOINTS = [
    (326750, 20, (-94.0814, -15.1116, 1111.0215), (48.9899, 241.6697)),
    (326750, 41, (34.7173, 1.3969, 1168.8142), (193.2876, 260.3385)),
    (326750, 0, (20.7866, -67.1274, 1146.4671), (178.6891, 184.9570)),
    (286291, 20, (-9.5785, -10.8916, 1119.1948), (185.4722, 228.0609)),
    (286291, 41, (59.1861, -3.9529, 1079.6545), (266.0069, 235.7734)),
    (680801, 41, (11.0214, -36.2064, 1071.4779), (200.3372, 200.6349)),
    (471953, 20, (-86.7311, 4.9583, 1159.8293), (175.5276, 180.9457)),
]


def read_parts(root):
    folder = root / "annotations" / "test"
    return {path.name: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}


def write_parts(root, parts):
    folder = root / "annotations" / "test"
    folder.mkdir(parents=True)
    for name, content in parts.items():
        (folder / name).write_text(json.dumps(content))
    return root


def write_second_variant(source, target):
    parts = read_parts(source)
    annotations = parts["InterHand2.6M_test_data.json"]["annotations"]
    by_id = {annotation["id"]: annotation for annotation in annotations}
    for j in range(4, 8):
        by_id[326750]["joint_valid"][j] = [0]
    by_id[286291]["joint_valid"][41] = [0]
    by_id[471953]["hand_type_valid"] = 0
    return write_parts(target, parts)


def samples_of(variant, interhand26m_sample, tmp_path):
    root = (
        interhand26m_sample
        if variant == "V1"
        else write_second_variant(interhand26m_sample, tmp_path)
    )
    return plain.load_samples(root, "test")


def prediction_of(sample, **changes):
    return {
        "right": sample["joint_cam"][:21].copy(),
        "left": sample["joint_cam"][21:].copy(),
        "right_score": 1.0,
        "left_score": 1.0,
        "left_root": None,
        **changes,
    }


def made_sample(frame_idx=0, valid_right=range(21), valid_left=range(21)):
    valid = np.zeros(42, dtype=bool)
    valid[list(valid_right)] = True
    valid[[21 + j for j in valid_left]] = True
    return {
        "sample_id": f"test/Capture0/made/cam400000/{frame_idx}",
        "capture": 0,
        "seq_name": "made",
        "camera": "400000",
        "frame_idx": frame_idx,
        "hand_type": "interacting",
        "hand_type_valid": True,
        "joint_cam": np.random.default_rng(0).normal(size=(42, 3)) * 50 + [0, 0, 1000],
        "joint_valid": valid,
    }


@pytest.mark.parametrize(("annotation_id", "joint", "point", "pixel"), GOLDEN_JOINTS)
def test_joints_come_out_at_their_golden_place(
    interhand26m_sample, annotation_id, joint, point, pixel
):
    samples = plain.load_samples(interhand26m_sample, "test")
    (sample,) = [s for s in samples if s["annotation_id"] == annotation_id]
    uv = plain.project(sample["joint_cam"], sample["focal"], sample["princpt"])
    assert sample["joint_cam"][joint] == pytest.approx(point, abs=TOLERANCE)
    assert uv[joint] == pytest.approx(pixel, abs=TOLERANCE)


def test_samples_keep_the_order_and_names_of_the_data_file(interhand26m_sample):
    samples = plain.load_samples(interhand26m_sample, "test")
    assert [s["annotation_id"] for s in samples] == [326750, 286291, 680801, 471953]
    assert samples[0]["sample_id"] == "test/Capture3/0390_dh_touchROM/cam400026/69148"
    assert [s["hand_type"] for s in samples] == ["interacting", "interacting", "left", "right"]


def test_an_absent_hand_is_invalid(interhand26m_sample):
    samples = plain.load_samples(interhand26m_sample, "test")
    assert samples[0]["joint_valid"].all()
    assert not samples[2]["joint_valid"][:21].any()
    assert not samples[3]["joint_valid"][21:].any()


def test_the_box_is_the_tight_box_of_the_joints_times_1_2(interhand26m_sample):
    sample = plain.load_samples(interhand26m_sample, "test")[0]
    uv = plain.project(sample["joint_cam"], sample["focal"], sample["princpt"])
    low, size = uv.min(axis=0), np.ptp(uv, axis=0)
    assert [*low, *size] == pytest.approx(
        (48.98990, 176.81754, 154.21490, 118.93805), abs=TOLERANCE
    )
    assert sample["bbox"] == pytest.approx([*(low - 0.1 * size), *(1.2 * size)], abs=TOLERANCE)


def test_the_relative_root_has_its_golden_value(interhand26m_sample):
    joints = plain.load_samples(interhand26m_sample, "test")[0]["joint_cam"]
    vector = joints[41] - joints[20]
    assert vector == pytest.approx((128.79873, 16.50854, 57.79271), abs=TOLERANCE)
    assert np.linalg.norm(vector) == pytest.approx(142.13248, abs=TOLERANCE)


def test_frames_that_are_plain_lists_read_the_same(interhand26m_sample, tmp_path):
    parts = read_parts(interhand26m_sample)
    for frames in parts["InterHand2.6M_test_joint_3d.json"].values():
        for frame_idx in frames:
            frames[frame_idx] = frames[frame_idx]["world_coord"]
    old = plain.load_samples(write_parts(tmp_path, parts), "test")
    for sample, expected in zip(old, plain.load_samples(interhand26m_sample, "test"), strict=True):
        assert (sample["joint_cam"] == expected["joint_cam"]).all()


@pytest.mark.parametrize(("variant", "depth_set"), GOLDEN)
def test_official_scores_equal_the_golden_ones(interhand26m_sample, tmp_path, variant, depth_set):
    mpjpe, _, mrrpe, handedness = GOLDEN[variant, depth_set]
    samples = samples_of(variant, interhand26m_sample, tmp_path)
    scores = plain.official(samples, plain.golden_predictions(samples, depth_set))
    assert list(scores["mpjpe"].values()) == pytest.approx(mpjpe, abs=TOLERANCE)
    assert scores["mrrpe"] == pytest.approx(sum(mrrpe) / len(mrrpe), abs=TOLERANCE)
    assert scores["handedness"] == pytest.approx(handedness)


@pytest.mark.parametrize(("variant", "depth_set"), GOLDEN)
def test_mmpose_scores_equal_the_golden_ones(interhand26m_sample, tmp_path, variant, depth_set):
    _, mpjpe, mrrpe, handedness = GOLDEN[variant, depth_set]
    samples = samples_of(variant, interhand26m_sample, tmp_path)
    scores = plain.mmpose(samples, plain.golden_predictions(samples, depth_set))
    assert list(scores["mpjpe"].values()) == pytest.approx(mpjpe, abs=TOLERANCE)
    assert scores["mrrpe"] == pytest.approx(sum(mrrpe) / len(mrrpe), abs=TOLERANCE)
    assert scores["handedness"] == pytest.approx(handedness)


@pytest.mark.parametrize(("variant", "depth_set"), GOLDEN)
def test_relative_roots_of_single_samples_equal_the_golden_ones(
    interhand26m_sample, tmp_path, variant, depth_set
):
    samples = samples_of(variant, interhand26m_sample, tmp_path)
    predictions = plain.golden_predictions(samples, depth_set)
    errors = [plain.official([sample], predictions)["mrrpe"] for sample in samples]
    kept = [error for error in errors if not np.isnan(error)]
    assert kept == pytest.approx(GOLDEN[variant, depth_set][2], abs=TOLERANCE)


def test_errors_of_single_samples_equal_the_golden_ones(interhand26m_sample):
    samples = plain.load_samples(interhand26m_sample, "test")
    predictions = plain.golden_predictions(samples, "A")
    errors = [plain.mmpose([sample], predictions)["mpjpe"]["all"] for sample in samples]
    assert errors == pytest.approx((7.15219, 6.87445, 5.49392, 5.96460), abs=TOLERANCE)


def test_recommended_mpjpe_is_the_official_one_without_the_wrist(interhand26m_sample):
    samples = plain.load_samples(interhand26m_sample, "test")
    predictions = plain.golden_predictions(samples, "A")
    scores = plain.recommended(samples, predictions)
    golden = dict(zip(plain.SUBSETS, GOLDEN["V1", "A"][0], strict=True))
    for subset in plain.SUBSETS:
        assert scores[subset]["mpjpe"] == pytest.approx(golden[subset] * 21 / 20, abs=2e-4)


def test_true_joints_as_predictions_have_no_error(interhand26m_sample):
    samples = plain.load_samples(interhand26m_sample, "test")
    predictions = {s["sample_id"]: prediction_of(s) for s in samples}
    official, scores = plain.official(samples, predictions), plain.recommended(samples, predictions)
    assert max(official["mpjpe"].values()) <= 1e-6
    assert official["mrrpe"] <= 1e-6
    assert scores["all"]["pa_mpjpe"] <= 1e-6
    assert scores["all"]["mepe"] <= 1e-6


def test_joints_of_a_missed_hand_count_as_failures_of_pck():
    sample = made_sample(valid_right=[0, 1, 2, 20], valid_left=[0, 20])
    prediction = prediction_of(sample, left=None)
    prediction["right"][0] += [10, 0, 0]
    prediction["right"][1] += [0, 0, 60]
    scores = plain.recommended([sample], {sample["sample_id"]: prediction})["IH"]
    # Of four joints one has no error, one 10 mm, one 60 mm, one is missed.
    assert scores["pck"][9] == 1 / 4
    assert scores["pck"][11] == 2 / 4
    assert scores["mpjpe"] == pytest.approx(70 / 3)
    assert scores["mepe"] == pytest.approx(70 / 4)
    assert scores["hand_recall"] == 1 / 2


def test_a_missed_hand_of_two_valid_joints_is_left_out_of_the_aligned_pck():
    for left, expected in (([0, 20], 1), ([0, 1, 20], 3 / 5)):
        sample = made_sample(valid_right=[0, 1, 2, 20], valid_left=left)
        predictions = {sample["sample_id"]: prediction_of(sample, left=None)}
        scores = plain.recommended([sample], predictions)["IH"]
        assert scores["pa_pck"][1] == expected


def test_auc_is_the_trapezoid_area_of_the_steps():
    # Half of the joints pass at 10 mm: 9 trapezoids of 0, one of 1/4, 40 of 1/2.
    curve = plain.pck_curve([10.0, float("inf")])
    assert curve[9:11] == [0, 0.5]
    assert plain.area_under(curve) == pytest.approx((0.25 + 40 * 0.5) / 50)


def test_average_precision_takes_ties_together():
    # At 0.8: one of two is right. At 0.5: two of three. At 0.1: three of four.
    labels, scores = [True, False, True, True], [0.8, 0.8, 0.5, 0.1]
    expected = 1 / 3 * 1 / 2 + 1 / 3 * 2 / 3 + 1 / 3 * 3 / 4
    assert plain.average_precision(labels, scores) == pytest.approx(expected)
    assert plain.average_precision(labels[::-1], scores[::-1]) == pytest.approx(expected)


@pytest.mark.parametrize(("step", "fps"), [(1, 30), (3, 30), (6, 5), (18, 5)])
def test_a_jump_of_one_frame_is_twice_its_height_over_dt_squared(step, fps):
    samples = [made_sample(frame, valid_right=[0, 1, 20]) for frame in (0, step, 2 * step)]
    predictions = {s["sample_id"]: prediction_of(s, left=None) for s in samples}
    predictions[samples[1]["sample_id"]]["right"][0] += [0, 1, 0]
    scores = plain.recommended(samples, predictions)
    # Two joints are valid, one of them jumps by 1 mm.
    assert scores["IH"]["acceleration"] == pytest.approx(2 * fps**2 / 1000 / 2)
    assert np.isnan(scores["SH"]["acceleration"])


def test_three_frames_with_a_gap_have_no_acceleration():
    samples = [made_sample(frame) for frame in (0, 6, 12, 24)]
    predictions = {s["sample_id"]: prediction_of(s) for s in samples}
    predictions[samples[3]["sample_id"]]["right"][0] += [0, 100, 0]
    assert plain.frame_steps(samples) == {0: 6}
    assert plain.recommended(samples, predictions)["all"]["acceleration"] == 0


def test_procrustes_undoes_a_similarity_but_not_a_reflection():
    sample = made_sample()
    rotmat = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    moved = 0.3 * sample["joint_cam"] @ rotmat.T + [5, 6, 7]
    for mirror, is_undone in (([1, 1, 1], True), ([1, 1, -1], False)):
        hands = {"right": moved[:21] * mirror, "left": moved[21:] * mirror}
        predictions = {sample["sample_id"]: prediction_of(sample, **hands)}
        error = plain.recommended([sample], predictions)["all"]["pa_mpjpe"]
        assert (error < 1e-9) == is_undone


def test_a_missing_hand_leaves_the_official_scores_empty():
    sample = made_sample()
    predictions = {sample["sample_id"]: prediction_of(sample, left=None)}
    for score in (plain.official, plain.mmpose):
        scores = score([sample], predictions)
        assert scores["mpjpe"]["IH"] is None
        assert scores["mpjpe"]["all"] is None
        assert np.isnan(scores["mpjpe"]["SH"])
        assert scores["mrrpe"] is None


@pytest.mark.parametrize(
    ("hand_type", "right_score", "left_score"), [("right", 0.9, 0.5), ("left", 0.5, 0.9)]
)
def test_a_score_of_one_half_means_absent_for_mmpose_and_is_wrong_for_the_official_scorer(
    hand_type, right_score, left_score
):
    sample = {**made_sample(), "hand_type": hand_type}
    prediction = prediction_of(sample, right_score=right_score, left_score=left_score)
    predictions = {sample["sample_id"]: prediction}
    assert plain.official([sample], predictions)["handedness"] == 0
    assert plain.mmpose([sample], predictions)["handedness"] == 1


def test_a_hand_with_an_invalid_wrist_has_no_valid_joint():
    valid = [[1]] * 41 + [[0]]
    assert plain.apply_root_rule(valid).tolist() == [True] * 21 + [False] * 21
