"""The official scorers of the other tracks in plain loops: a second opinion for the tests.

Nothing of the scored package is imported here. Every quantity is computed hand by hand with the
most literal reading of its definition, in float64, with no attempt at speed. InterHand2.6M has its
own file, `plain_interhand26m.py`.

Conventions: millimetres; 21 joints in OpenPose order (the wrist, then thumb to little finger, base
to tip; for STB the palm centre stands first). A sample is a dict: "id", "right" and "left" (a hand
or None where it is not annotated), "width" and "height" for 2D, "hand_type" where one hand is
asked. A hand is a dict: "gt" (21, 3) or (21, 2), "valid" and "in_view" (21 booleans each), "box"
(four numbers or None). Predictions are ``{id: {"right": (21, 3), "left": (21, 3)}}``, with
"right_score" and "left_score" where presence is asked. Every counted hand must be predicted.

In the results nan means that nothing was there to average.
"""

import numpy as np

SIDES = ("right", "left")
WRIST = 0
MIDDLE_BASE, MIDDLE_NEXT = 9, 10
#: OpenPose's joints in MANO's order: wrist, index, middle, little, ring, thumb, then the tips.
MANO_ORDER = [0, 5, 6, 7, 9, 10, 11, 17, 18, 19, 13, 14, 15, 1, 2, 3, 4, 8, 12, 16, 20]


# Small pieces


def distance(a, b):
    """Euclidean distance of two points."""
    return float(np.sqrt(np.sum((np.asarray(a, float) - np.asarray(b, float)) ** 2)))


def mean(values):
    """Plain mean; nan where there is no value."""
    return float(sum(values) / len(values)) if len(values) > 0 else float("nan")


def hands_of(samples, sides=SIDES):
    """Every annotated hand: its sample, its side, the hand."""
    for sample in samples:
        for side in sides:
            if sample[side] is not None:
                yield sample, side, sample[side]


def wrist_distances(pred, gt):
    """The 21 distances after each hand's own wrist is subtracted."""
    return [distance(pred[j] - pred[WRIST], gt[j] - gt[WRIST]) for j in range(21)]


def absolute_distances(pred, gt):
    """The 21 distances as they are."""
    return [distance(pred[j], gt[j]) for j in range(21)]


def similarity(pred, gt):
    """Move pred by the rotation, scale and translation (no reflection) that best meet gt."""
    pred, gt = np.asarray(pred, float), np.asarray(gt, float)
    pred_mean, gt_mean = sum(pred) / len(pred), sum(gt) / len(gt)
    P, G = pred - pred_mean, gt - gt_mean
    U, singular, Vt = np.linalg.svd(P.T @ G)
    sign = np.array([1.0, 1.0, 1.0 if np.linalg.det(U @ Vt) > 0 else -1.0])
    rotmat = Vt.T @ np.diag(sign) @ U.T
    scale = np.sum(sign * singular) / np.sum(P**2)
    return [scale * (rotmat @ point) + gt_mean for point in P]


def trapezoid(heights, at):
    """Area under a line through points, divided by its width."""
    area = 0.0
    for k in range(len(at) - 1):
        area += (heights[k] + heights[k + 1]) / 2 * (at[k + 1] - at[k])
    return area / (at[-1] - at[0])


def share_within(errors, threshold):
    """Share of the errors that are at most the threshold."""
    return mean([error <= threshold for error in errors])


def area_under_pck(errors, thresholds):
    """Area under the curve of the shares, 0 to 1."""
    return trapezoid([share_within(errors, t) for t in thresholds], thresholds)


def per_joint(stores, reduce):
    """Mean over the joints that were seen at all of one number for each joint."""
    return mean([reduce(errors) for errors in stores if errors])


# AssemblyHands


def toolkit(samples, predictions):
    """assemblyhands-toolkit: MPJPE over 42 joints, each joint's mean over its hands first.

    A hand is a sample if it has a box and at least 10 joints seen from this view; the wrist is
    subtracted even where it is not seen.
    """
    stores = [[] for _ in range(42)]
    for sample, side, hand in hands_of(samples):
        if hand["box"] is None or sum(hand["in_view"]) < 10:
            continue
        errors = wrist_distances(predictions[sample["id"]][side], hand["gt"])
        for j in range(21):
            if hand["in_view"][j]:
                stores[j + (0 if side == "right" else 21)].append(errors[j])
    return per_joint(stores, mean)


def assemblyhands_paper(samples, predictions, sides=SIDES, mask="in_view", distances=None):
    """The paper's Table 4: MPJPE and PCK-AUC (0 to 20 mm, in percent), pooled over joints."""
    pooled = []
    for sample, side, hand in hands_of(samples, sides):
        errors = (distances or wrist_distances)(predictions[sample["id"]][side], hand["gt"])
        pooled += [errors[j] for j in range(21) if hand[mask][j]]
    thresholds = [20 * k / 100 for k in range(101)]
    return {"MPJPE": mean(pooled), "PCK-AUC": 100 * area_under_pck(pooled, thresholds)}


def hands2023(samples, predictions, sides=SIDES):
    """HANDS2023: hands whose wrist is annotated, pooled over valid joints."""
    relative, world = [], []
    for sample, side, hand in hands_of(samples, sides):
        if not hand["valid"][WRIST]:
            continue
        pred = predictions[sample["id"]][side]
        for j in range(21):
            if hand["valid"][j]:
                relative.append(wrist_distances(pred, hand["gt"])[j])
                world.append(absolute_distances(pred, hand["gt"])[j])
    return {"MPJPE": mean(relative), "MPJPE world": mean(world)}


# ARCTIC and WildHands


def has_box(hand):
    """AssemblyHands in WildHands: a hand is valid if it has a box."""
    return hand is not None and hand["box"] is not None


def is_flagged(hand):
    """H2O (the hand's flag) and ARCTIC (the product of its flag and the object's)."""
    return hand is not None and bool(hand["valid"][WRIST])


def image_mean_mpjpe(samples, predictions, is_valid, sides=SIDES):
    """Mean over 21 joints, then over the valid hands of an image, then over images with any."""
    images = []
    for sample in samples:
        valid = [side for side in sides if is_valid(sample[side])]
        hands = [
            mean(wrist_distances(predictions[sample["id"]][side], sample[side]["gt"]))
            for side in valid
        ]
        if hands:
            images.append(mean(hands))
    return mean(images)


def mrrpe(samples, predictions, is_valid):
    """Error of the vector from the right to the left wrist, images with both hands valid."""
    errors = []
    for sample in samples:
        if is_valid(sample["right"]) and is_valid(sample["left"]):
            pred = predictions[sample["id"]]
            true_vector = sample["left"]["gt"][WRIST] - sample["right"]["gt"][WRIST]
            errors.append(distance(pred["left"][WRIST] - pred["right"][WRIST], true_vector))
    return mean(errors)


def image_mean_pa_mpjpe(samples, predictions, is_valid):
    """PA-MPJPE of an image's valid hands, and as released: invalid hands are hands of error 0."""
    images, released = [], []
    for sample in samples:
        hands = []
        for side in SIDES:
            if is_valid(sample[side]):
                gt = sample[side]["gt"]
                hands.append(
                    mean(absolute_distances(similarity(predictions[sample["id"]][side], gt), gt))
                )
        if hands:
            images.append(mean(hands))
        released.append(sum(hands) / 2)
    return {"PA-MPJPE": mean(images), "PA-MPJPE as released": mean(released)}


# H2O and FPHA


def htt(samples, predictions, side, last):
    """HTT: 21 joints in camera space, 20 joints relative to the wrist; no flag is read.

    `last` is the last threshold in camera space (90 for H2O, 80 for FPHA), in steps of 2.5 mm.
    """
    camera, relative = [[] for _ in range(21)], [[] for _ in range(21)]
    for sample, _, hand in hands_of(samples, (side,)):
        pred = predictions[sample["id"]][side]
        for j in range(21):
            camera[j].append(absolute_distances(pred, hand["gt"])[j])
            if j != WRIST:
                relative[j].append(wrist_distances(pred, hand["gt"])[j])
    far = [2.5 * k for k in range(round(last / 2.5) + 1)]
    near = [2.5 * k for k in range(21)]
    return {
        "MEPE": per_joint(camera, mean),
        f"AUC(0-{last})": per_joint(camera, lambda errors: area_under_pck(errors, far)),
        "MEPE-RA": per_joint(relative, mean),
        "AUC-RA(0-50)": per_joint(relative, lambda errors: area_under_pck(errors, near)),
    }


# Ego-Exo4D


def egoexo4d(samples, predictions, sides=SIDES, offset=False):
    """Ego-Exo4D: mean over a hand's valid joints, then over hands; one vote for each hand.

    With `offset` the prediction is relative to its wrist and the true wrist is added to it, even
    where the wrist is not valid.
    """
    errors, aligned = [], []
    for sample, side, hand in hands_of(samples, sides):
        pred, joints = predictions[sample["id"]][side], [j for j in range(21) if hand["valid"][j]]
        if offset:
            pred = pred - pred[WRIST] + hand["gt"][WRIST]
        pred, gt = [pred[j] for j in joints], [hand["gt"][j] for j in joints]
        errors.append(mean([distance(p, g) for p, g in zip(pred, gt, strict=True)]))
        moved = similarity(pred, gt)
        aligned.append(mean([distance(p, g) for p, g in zip(moved, gt, strict=True)]))
    return {"MPJPE": mean(errors), "PA-MPJPE": mean(aligned)}


def egoexo4d_wildhands(samples, predictions):
    """WildHands on Ego-Exo4D: aligned on the first joint in MANO order that has a label."""
    images = []
    for sample in samples:
        hands = []
        for _, side, hand in hands_of([sample]):
            joints = [j for j in MANO_ORDER if hand["valid"][j]]
            if len(joints) <= 3:
                continue
            pred, gt, root = predictions[sample["id"]][side], hand["gt"], joints[0]
            hands.append(mean([distance(pred[j] - pred[root], gt[j] - gt[root]) for j in joints]))
        if hands:
            images.append(mean(hands))
    return mean(images)


# Epic-HandKps


def letterbox224(point, width, height):
    """A pixel of the image in the 224-pixel square that holds the whole image."""
    scale = 224 / max(width, height)
    return [scale * (point[0] - width / 2) + 112, scale * (point[1] - height / 2) + 112]


def truncated(point):
    """What the released loader makes of a true point: cut to an integer towards zero, plus one."""
    return [int(point[0]) + 1, int(point[1]) + 1]


def l2_of_epic(samples, predictions, sides=SIDES):
    """L2 in 224-frame pixels, visible joints of all hands with a box and more than 3 of them."""
    pooled = []
    for sample, side, hand in hands_of(samples, sides):
        if hand["box"] is None or sum(hand["in_view"]) <= 3:
            continue
        size = sample["width"], sample["height"]
        for j in range(21):
            if hand["in_view"][j]:
                pred = letterbox224(predictions[sample["id"]][side][j], *size)
                pooled.append(distance(pred, truncated(letterbox224(hand["gt"][j], *size))))
    return mean(pooled)


# STB and RHD


def internet(samples, predictions, mask):
    """InterNet's scorer: the hand that is asked, right and left in one store for each joint."""
    stores, correct = [[] for _ in range(21)], []
    for sample in samples:
        side, prediction = sample["hand_type"], predictions[sample["id"]]
        hand = sample[side]
        errors = wrist_distances(prediction[side], hand["gt"])
        for j in range(21):
            if hand[mask][j]:
                stores[j].append(errors[j])
        other = "left" if side == "right" else "right"
        correct.append(prediction[f"{side}_score"] > 0.5 and prediction[f"{other}_score"] < 0.5)
    return {"MPJPE": per_joint(stores, mean), "handedness accuracy": mean(correct)}


def hand3d(samples, predictions, mask, palm):
    """hand3d's EvalUtil: scaled by the true bone from the middle finger's base to its next joint.

    With `palm` (RHD) the first joint is the middle of the wrist and the middle finger's base, seen
    if either is; STB has the palm already.
    """
    stores = [[] for _ in range(21)]
    for sample in samples:
        side = sample["hand_type"]
        gt, pred = sample[side]["gt"].copy(), predictions[sample["id"]][side].copy()
        seen = list(sample[side][mask])
        if palm:
            gt[0], pred[0] = (gt[0] + gt[MIDDLE_BASE]) / 2, (pred[0] + pred[MIDDLE_BASE]) / 2
            seen[0] = seen[0] or seen[MIDDLE_BASE]
        bones = [distance(hand[MIDDLE_BASE], hand[MIDDLE_NEXT]) for hand in (gt, pred)]
        scale = bones[0] / bones[1]
        for j in range(21):
            if seen[j]:
                stores[j].append(distance(scale * (pred[j] - pred[0]), gt[j] - gt[0]))
    thresholds = [50 * k / 19 for k in range(20)]
    late = thresholds[8:]
    return {
        "EPE": per_joint(stores, mean),
        "AUC(0-50)": per_joint(stores, lambda errors: area_under_pck(errors, thresholds)),
        "AUC(20-50)": per_joint(stores, lambda errors: area_under_pck(errors, late)),
    }


# Actions


def action_accuracy(true_labels, said_labels):
    """Share of the clips whose label is right."""
    return mean([t == s for t, s in zip(true_labels, said_labels, strict=True)])


def class_mean_accuracy(true_labels, said_labels):
    """Accuracy of each class that occurs, then the mean over classes."""
    shares = []
    for label in sorted(set(true_labels)):
        of_class = [k for k, t in enumerate(true_labels) if t == label]
        shares.append(mean([said_labels[k] == label for k in of_class]))
    return mean(shares)


def vote(scores):
    """HTT's label of a video: the class scores of its clips added up, the first largest one."""
    total = [sum(clip[k] for clip in scores) for k in range(len(scores[0]))]
    return total.index(max(total))


# The recommended protocol, as much of it as the tests ask for


def recommended(samples, predictions, mask, sides=SIDES):
    """Wrist-aligned and absolute errors, and the area under PCK over 0 to 50 mm, misses counted.

    A hand counts if its wrist does. A hand that was not predicted fails every threshold and is
    left out of the means.
    """
    mpjpe, mepe, pooled, counted = [], [], [], 0
    for sample, side, hand in hands_of(samples, sides):
        joints = [j for j in range(1, 21) if hand[mask][j]]
        if not hand[mask][WRIST] or not joints:
            continue
        counted += 1
        pred = predictions[sample["id"]][side]
        if pred is None:
            pooled += [float("inf")] * len(joints)
            continue
        errors = wrist_distances(pred, hand["gt"])
        mpjpe.append(mean([errors[j] for j in joints]))
        mepe.append(mean([absolute_distances(pred, hand["gt"])[j] for j in [WRIST, *joints]]))
        pooled += [errors[j] for j in joints]
    return {
        "MPJPE": mean(mpjpe),
        "MEPE": mean(mepe),
        "AUC(0-50)": area_under_pck(pooled, list(range(51))),
        "hand recall": len(mpjpe) / counted,
    }


def recommended_2d(samples, predictions, sides=SIDES):
    """Exact L2 in the 224 frame over found hands; PCK at 0.2 of the hand's longer side.

    Hands with at least 4 visible joints count; their size is that of the box around these joints;
    a hand that was not predicted fails.
    """
    pooled, within, found, counted = [], [], 0, 0
    for sample, side, hand in hands_of(samples, sides):
        size, pred = (sample["width"], sample["height"]), predictions[sample["id"]][side]
        joints = [j for j in range(21) if hand["in_view"][j]]
        if len(joints) < 4:
            continue
        counted += 1
        if pred is None:
            within += [False] * len(joints)
            continue
        found += 1
        points = [letterbox224(hand["gt"][j], *size) for j in joints]
        extent = [max(p[axis] for p in points) - min(p[axis] for p in points) for axis in (0, 1)]
        for j, point in zip(joints, points, strict=True):
            error = distance(letterbox224(pred[j], *size), point)
            pooled.append(error)
            within.append(error <= 0.2 * max(extent))
    return {
        "L2 error 2D": mean(pooled),
        "PCK@0.2": mean(within),
        "hand recall": found / counted,
    }
