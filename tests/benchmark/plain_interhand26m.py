"""InterHand2.6M scores in plain loops: a second opinion for the tests.

Nothing of the scored package is imported here. Every quantity is computed sample by sample with
the most literal reading of its definition, in float64, with no attempt at speed.

Conventions: millimetres, camera space, pixels with integer pixel centres. A hand has 21 joints
in the official order (each finger from tip to base, thumb first; the wrist is joint 20), and
the 42 joints of a sample are the right hand followed by the left hand.

A prediction is ``{sample_id: {"right": (21, 3) or None, "left": (21, 3) or None, "right_score":
float, "left_score": float, "left_root": (3,) or None}}``, where ``left_root`` is the left wrist
minus the right wrist. Every sample needs an entry; a hand that was not found is None.

In the results, nan means that nothing was there to average, and None means that a hand that is
asked for was not predicted.
"""

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np

WRIST = 20
FIRST_SLOT = {"right": 0, "left": 21}
SUBSETS = ("SH", "IH", "all")
THRESHOLDS_MM = range(51)


# Reading


def load_samples(root, split):
    """Read the annotations of one split as a list of dicts, in the order of the data file."""
    folder = Path(root) / "annotations" / split
    data, cameras, joints_3d = (
        json.loads((folder / f"InterHand2.6M_{split}_{part}.json").read_text())
        for part in ("data", "camera", "joint_3d")
    )
    images = {image["id"]: image for image in data["images"]}
    samples = []
    for annotation in data["annotations"]:
        image = images[annotation["image_id"]]
        capture, camera, frame_idx = image["capture"], image["camera"], image["frame_idx"]
        parameters = cameras[str(capture)]
        frame = joints_3d[str(capture)][str(frame_idx)]
        world = frame["world_coord"] if isinstance(frame, dict) else frame
        recording = f"Capture{capture}/{image['seq_name']}/cam{camera}"
        samples.append(
            {
                "annotation_id": annotation["id"],
                "sample_id": f"{split}/{recording}/{frame_idx}",
                "capture": capture,
                "seq_name": image["seq_name"],
                "camera": camera,
                "frame_idx": frame_idx,
                "hand_type": annotation["hand_type"],
                "hand_type_valid": bool(annotation["hand_type_valid"]),
                "joint_cam": camera_from_world(
                    world, parameters["campos"][camera], parameters["camrot"][camera]
                ),
                "joint_valid": apply_root_rule(annotation["joint_valid"]),
                "focal": np.array(parameters["focal"][camera], dtype=np.float64),
                "princpt": np.array(parameters["princpt"][camera], dtype=np.float64),
                "bbox": np.array(annotation["bbox"], dtype=np.float64),
            }
        )
    return samples


def camera_from_world(world, campos, camrot):
    """Camera coordinates R (X - c); campos is a position, not a translation."""
    world = np.array(world, dtype=np.float64)
    campos = np.array(campos, dtype=np.float64)
    camrot = np.array(camrot, dtype=np.float64)
    return np.array([camrot @ (point - campos) for point in world])


def apply_root_rule(joint_valid):
    """Validity of the 42 joints; a hand whose wrist is invalid loses all its joints."""
    valid = np.array(joint_valid).reshape(42).astype(bool)
    for first in FIRST_SLOT.values():
        if not valid[first + WRIST]:
            valid[first : first + 21] = False
    return valid


# Small pieces


def subset_of(sample):
    """IH for a sample with interacting hands, SH for a single hand."""
    return "IH" if sample["hand_type"] == "interacting" else "SH"


def true_joints(sample, side):
    """The 21 true joints of one hand and their validity."""
    hand = slice(FIRST_SLOT[side], FIRST_SLOT[side] + 21)
    return sample["joint_cam"][hand], sample["joint_valid"][hand]


def distance(a, b):
    """Euclidean distance of two points."""
    return float(np.sqrt(np.sum((a - b) ** 2)))


def mean(values):
    """Plain mean; nan where there is no value."""
    return float(sum(values) / len(values)) if len(values) > 0 else float("nan")


def relative_root(prediction):
    """Predicted left wrist minus right wrist."""
    if prediction["left_root"] is not None:
        return np.array(prediction["left_root"], dtype=np.float64)
    return prediction["left"][WRIST] - prediction["right"][WRIST]


def asks_for_relative_root(sample):
    """True where both hands interact and both wrists are valid."""
    valid = sample["joint_valid"]
    both_wrists = bool(valid[WRIST] and valid[21 + WRIST])
    return sample["hand_type"] == "interacting" and both_wrists


def relative_root_error(sample, prediction):
    """Distance of the predicted to the true vector from the right to the left wrist."""
    true_vector = sample["joint_cam"][21 + WRIST] - sample["joint_cam"][WRIST]
    return distance(relative_root(prediction), true_vector)


# The official scorer and the one of mmpose


def joint_stores(samples, predictions):
    """Wrist-aligned errors per subset and joint, and the subsets in which a hand is missing."""
    stores = {subset: [[] for _ in range(42)] for subset in SUBSETS}
    missing = set()
    for sample in samples:
        for side, first in FIRST_SLOT.items():
            gt, valid = true_joints(sample, side)
            pred = predictions[sample["sample_id"]][side]
            if not valid.any():
                continue
            if pred is None:
                missing.update({subset_of(sample), "all"})
                continue
            for j in range(21):
                if valid[j]:
                    error = distance(pred[j] - pred[WRIST], gt[j] - gt[WRIST])
                    stores[subset_of(sample)][first + j].append(error)
                    stores["all"][first + j].append(error)
    return stores, missing


def mrrpe_of_all(samples, predictions):
    """Mean relative root error; None where one of the two hands was not predicted."""
    errors = []
    for sample in samples:
        prediction = predictions[sample["sample_id"]]
        if not asks_for_relative_root(sample):
            continue
        if prediction["right"] is None or prediction["left"] is None:
            return None
        errors.append(relative_root_error(sample, prediction))
    return mean(errors)


def official(samples, predictions):
    """MPJPE (mean over joints of the mean over samples), MRRPE and handedness accuracy.

    ``per_joint`` holds the mean error of each of the 42 joints, nan for a joint never seen.
    """
    stores, missing = joint_stores(samples, predictions)
    mpjpe, per_joint = {}, {}
    for subset in SUBSETS:
        if subset in missing:
            mpjpe[subset], per_joint[subset] = None, None
            continue
        per_joint[subset] = [mean(errors) for errors in stores[subset]]
        mpjpe[subset] = mean([mean(errors) for errors in stores[subset] if errors])

    correct = []
    for sample in samples:
        if sample["hand_type_valid"]:
            prediction = predictions[sample["sample_id"]]
            right, left = prediction["right_score"], prediction["left_score"]
            if sample["hand_type"] == "right":
                correct.append(right > 0.5 and left < 0.5)
            elif sample["hand_type"] == "left":
                correct.append(right < 0.5 and left > 0.5)
            else:
                correct.append(right > 0.5 and left > 0.5)
    return {
        "mpjpe": mpjpe,
        "per_joint": per_joint,
        "mrrpe": mrrpe_of_all(samples, predictions),
        "handedness": mean(correct),
    }


def mmpose(samples, predictions):
    """MPJPE pooled over all joints of all samples, MRRPE and handedness accuracy."""
    stores, missing = joint_stores(samples, predictions)
    mpjpe = {}
    for subset in SUBSETS:
        pooled = [error for errors in stores[subset] for error in errors]
        mpjpe[subset] = None if subset in missing else mean(pooled)

    correct = []
    for sample in samples:
        if sample["hand_type_valid"]:
            prediction = predictions[sample["sample_id"]]
            # A logit above 0 is a probability above 0.5; exactly 0.5 counts as absent.
            right_is_said = prediction["right_score"] > 0.5
            left_is_said = prediction["left_score"] > 0.5
            right_is_there = sample["hand_type"] in ("right", "interacting")
            left_is_there = sample["hand_type"] in ("left", "interacting")
            correct.append(right_is_said == right_is_there and left_is_said == left_is_there)
    return {
        "mpjpe": mpjpe,
        "mrrpe": mrrpe_of_all(samples, predictions),
        "handedness": mean(correct),
    }


# The recommended protocol


def procrustes_align(pred, gt, valid):
    """Move all joints of pred by the similarity that best maps its valid joints onto gt."""
    pred_mean, gt_mean = pred[valid].mean(axis=0), gt[valid].mean(axis=0)
    pred_centred, gt_centred = pred[valid] - pred_mean, gt[valid] - gt_mean
    size = np.sum(pred_centred**2)
    if size == 0:
        return np.tile(gt_mean, (len(pred), 1))
    U, singular, Vt = np.linalg.svd(pred_centred.T @ gt_centred)
    # A reflection would fit better where this is -1; the weakest axis is turned instead.
    signs = np.array([1.0, 1.0, np.sign(np.linalg.det(Vt.T @ U.T))])
    rotmat = Vt.T @ np.diag(signs) @ U.T
    scale = np.sum(signs * singular) / size
    return np.array([scale * rotmat @ (point - pred_mean) + gt_mean for point in pred])


def pck_curve(errors):
    """Fraction of the errors that are at most t for t = 0, 1, .., 50 mm."""
    return [mean([error <= t for error in errors]) for t in THRESHOLDS_MM]


def area_under(curve):
    """Trapezoid area of a curve over 0 to 50 mm, divided by 50 mm."""
    return sum((curve[t] + curve[t + 1]) / 2 for t in range(50)) / 50


def average_precision(labels, scores):
    """Sum of (increase of recall x precision) over the distinct scores from high to low."""
    positives = sum(labels)
    if positives == 0:
        return float("nan")
    area, last_recall = 0.0, 0.0
    for threshold in sorted(set(scores), reverse=True):
        taken = [label for label, score in zip(labels, scores, strict=True) if score >= threshold]
        recall, precision = sum(taken) / positives, sum(taken) / len(taken)
        area += (recall - last_recall) * precision
        last_recall = recall
    return area


def frame_steps(samples):
    """Most common positive frame difference within the camera tracks of each capture."""
    differences = {}
    for track in camera_tracks(samples):
        for before, after in pairwise(track):
            difference = after["frame_idx"] - before["frame_idx"]
            if difference > 0:
                differences.setdefault(before["capture"], Counter())[difference] += 1
    return {
        capture: min(counts, key=lambda step: (-counts[step], step))
        for capture, counts in differences.items()
    }


def camera_tracks(samples):
    """Samples of one camera and sequence in the order of their frames, one list per track."""
    tracks = {}
    for sample in samples:
        key = (sample["capture"], sample["seq_name"], sample["camera"])
        tracks.setdefault(key, []).append(sample)
    return [sorted(track, key=lambda sample: sample["frame_idx"]) for track in tracks.values()]


def acceleration_errors(samples, predictions):
    """Acceleration errors in m/s^2, one per joint and three frames, by the last frame's subset."""
    steps = frame_steps(samples)
    errors = {subset: [] for subset in SUBSETS}
    for track in camera_tracks(samples):
        for triple in zip(track, track[1:], track[2:], strict=False):
            step = steps.get(triple[0]["capture"])
            frames = [sample["frame_idx"] for sample in triple]
            if frames[1] - frames[0] != step or frames[2] - frames[1] != step:
                continue
            dt = 1 / (30 if step <= 3 else 5)
            for side in FIRST_SLOT:
                preds = [predictions[sample["sample_id"]][side] for sample in triple]
                if any(pred is None for pred in preds):
                    continue
                gts, valids = zip(*(true_joints(sample, side) for sample in triple), strict=True)
                for j in range(WRIST):
                    if not all(valid[j] for valid in valids):
                        continue
                    p0, p1, p2 = (pred[j] - pred[WRIST] for pred in preds)
                    g0, g1, g2 = (gt[j] - gt[WRIST] for gt in gts)
                    pred_acceleration = (p0 - 2 * p1 + p2) / dt**2
                    true_acceleration = (g0 - 2 * g1 + g2) / dt**2
                    error = distance(pred_acceleration, true_acceleration) / 1000
                    errors[subset_of(triple[2])].append(error)
                    errors["all"].append(error)
    return errors


def score_hands(samples, predictions):
    """The scores that are made hand by hand: MPJPE, PA-MPJPE, PCK, AUC, MEPE and recall."""
    hands = found = 0
    mpjpe, pa_mpjpe, mepe = [], [], []
    aligned_errors, pa_errors = [], []
    for sample in samples:
        for side in FIRST_SLOT:
            gt, valid = true_joints(sample, side)
            joints = [j for j in range(WRIST) if valid[j]]
            if not valid[WRIST] or len(joints) == 0:
                continue
            hands += 1
            pred = predictions[sample["sample_id"]][side]
            if pred is None:
                aligned_errors += [float("inf")] * len(joints)
                if len(joints) + 1 >= 3:
                    pa_errors += [float("inf")] * len(joints)
                continue
            found += 1
            errors = [distance(pred[j] - pred[WRIST], gt[j] - gt[WRIST]) for j in joints]
            mpjpe.append(mean(errors))
            aligned_errors += errors
            mepe.append(mean([distance(pred[j], gt[j]) for j in [*joints, WRIST]]))
            if len(joints) + 1 >= 3:
                moved = procrustes_align(pred, gt, valid)
                errors = [distance(moved[j], gt[j]) for j in joints]
                pa_mpjpe.append(mean(errors))
                pa_errors += errors
    pck, pa_pck = pck_curve(aligned_errors), pck_curve(pa_errors)
    return {
        "true_hands": hands,
        "found_hands": found,
        "mpjpe": mean(mpjpe),
        "pa_mpjpe": mean(pa_mpjpe),
        "pck": pck,
        "auc": area_under(pck),
        "pa_pck": pa_pck,
        "pa_auc": area_under(pa_pck),
        "mepe": mean(mepe),
        "hand_recall": found / hands if hands > 0 else float("nan"),
    }


def score_sides(samples, predictions):
    """Average precision of the presence of each side, and the mean of both."""
    scores = {}
    for side in FIRST_SLOT:
        labels, given = [], []
        for sample in samples:
            if sample["hand_type_valid"]:
                labels.append(sample["hand_type"] in (side, "interacting"))
                given.append(predictions[sample["sample_id"]][f"{side}_score"])
        scores[f"ap_{side}"] = average_precision(labels, given)
    return {**scores, "ap": (scores["ap_right"] + scores["ap_left"]) / 2}


def score_relative_roots(samples, predictions):
    """MRRPE over the samples of which both hands are asked for and predicted."""
    errors = []
    for sample in samples:
        prediction = predictions[sample["sample_id"]]
        if prediction["right"] is None or prediction["left"] is None:
            continue
        if asks_for_relative_root(sample):
            errors.append(relative_root_error(sample, prediction))
    return {"mrrpe": mean(errors)}


def recommended(samples, predictions):
    """All scores of the recommended protocol for SH, IH and all samples.

    ``pck`` and ``pa_pck`` are lists over the thresholds 0, 1, .., 50 mm; ``auc`` and ``pa_auc``
    are fractions; ``acceleration`` is in m/s^2; the errors are in mm.
    """
    acceleration = acceleration_errors(samples, predictions)
    scores = {}
    for subset in SUBSETS:
        chosen = [sample for sample in samples if subset in (subset_of(sample), "all")]
        scores[subset] = {
            **score_hands(chosen, predictions),
            **score_sides(chosen, predictions),
            **score_relative_roots(chosen, predictions),
            "acceleration": mean(acceleration[subset]),
        }
    return scores


# Predictions with known scores


def project(points, focal, princpt):
    """Pixels of camera-space points."""
    return np.array(
        [
            [
                focal[0] * x / (z + 1e-8) + princpt[0],
                focal[1] * y / (z + 1e-8) + princpt[1],
            ]
            for x, y, z in points
        ]
    )


def lift(uv, depth, root_depth, focal, princpt):
    """Camera-space points of pixels (n, 2) and depths (n,) relative to a root depth."""
    points = []
    for (u, v), relative in zip(uv, depth, strict=True):
        z = relative + root_depth
        points.append([(u - princpt[0]) / focal[0] * z, (v - princpt[1]) / focal[1] * z, z])
    return np.array(points, dtype=np.float64)


def golden_predictions(samples, depth_set):
    """Predictions that are wrong by a known amount; depth set A has true root depths, B has not.

    Both hands are always given, as in the fixed slots of the official scorer; the hand that is
    not in the picture stands at the placeholder coordinates of the annotation.
    """
    scale_right, scale_left = {"A": (1.0, 1.0), "B": (1.05, 0.95)}[depth_set]
    predictions = {}
    for k, sample in enumerate(samples):
        gt, camera = sample["joint_cam"], (sample["focal"], sample["princpt"])
        true_right, true_left = gt[WRIST][2], gt[21 + WRIST][2]
        uv, depth = project(gt, *camera), np.zeros(42)
        for j in range(42):
            uv[j][0] += 2 * ((j + k) % 3) - 2
            uv[j][1] += (j % 5) - 2
            own_root = true_right if j < 21 else true_left
            depth[j] = gt[j][2] - own_root + 5 * ((j + 2 * k) % 4) - 5
        z_right, z_left = scale_right * true_right, scale_left * true_left
        right = lift(uv[:21], depth[:21], z_right, *camera)
        left = lift(uv[21:], depth[21:], z_left, *camera)

        delta = true_left - true_right + 12
        left_wrist = lift(uv[41:], depth[41:], z_right + delta, *camera)[0]
        is_known_mistake = sample["annotation_id"] == 680801
        predictions[sample["sample_id"]] = {
            "right": right,
            "left": left,
            "right_score": 0.1 if sample["hand_type"] == "left" and not is_known_mistake else 0.9,
            "left_score": 0.1 if sample["hand_type"] == "right" else 0.9,
            "left_root": left_wrist - right[WRIST],
        }
    return predictions
