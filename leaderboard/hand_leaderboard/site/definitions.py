"""What metrics and the parts of signatures mean, in one sentence each, for the site's own pages.

The names themselves come from the protocols of the tracks; a test holds that each has a sentence.
"""

from __future__ import annotations

import re

#: Name of a metric (numbers in it left out) -> what it is.
METRICS = {
    "MPJPE": "Mean per joint position error: the mean distance of joints from the truth after both "
    "wrists were put on each other; which joints and which mean is in the signature.",
    "PA-MPJPE": "The same after similarity Procrustes: the prediction is moved, turned and scaled "
    "to fit best, never mirrored. Says how good the shape of the hand is.",
    "PA-MPJPE as released": "PA-MPJPE as the released code of WildHands computes it: a hand that "
    "does not count is a hand of error 0.",
    "MPJPE world": "Mean distance of joints in the world's frame, nothing aligned.",
    "MPJPE wrist": "Mean distance of joints after both wrists were put on each other.",
    "EPE": "End point error: the mean distance of joints after the palms were aligned and the hand "
    "was scaled by the true length of a bone.",
    "MEPE": "Mean absolute error: the mean distance of joints in camera space, nothing aligned. "
    "Depth counts.",
    "MEPE-RA": "MEPE after both wrists were put on each other.",
    "MRRPE": "Mean relative root position error: how far the left wrist, as seen from the right "
    "one, is off. Says whether two hands stand to each other as they should.",
    "PCK@": "Percentage of correct keypoints: the share of joints that are within a distance of "
    "the truth. In 2D the distance is a share of the hand's box.",
    "AUC()": "Area under the PCK curve over a range of distances in mm, divided by the range: 100 "
    "percent would be no error at all.",
    "AUC-RA()": "The same area after both wrists were put on each other.",
    "PA-AUC()": "The same area after similarity Procrustes.",
    "PCK-AUC": "Area under the PCK curve over 0 to 20 mm, divided by the range.",
    "L2 error 2D": "Mean distance of 2D joints, in pixels of the frame that the protocol names.",
    "acceleration error": "Mean length of the difference of true and predicted acceleration of "
    "joints: how much a prediction trembles.",
    "hand AP": "Average precision of the question whether a hand is there, mean over both sides.",
    "hand recall": "Share of the true hands that are answered.",
    "handedness accuracy": "Share of the images where the presence of both hands is right.",
    "accuracy": "Share of the clips whose class is right.",
    "class-mean accuracy": "Mean over the classes of the share of their clips that are right.",
}  # fmt: skip

#: Part of a signature (numbers left out) -> what it says.
PARTS = {
    "align": {
        "none": "nothing is aligned",
        "wrist": "both wrists are put on each other",
        "first": "the first joint that counts is put on the true one",
        "similarity": "similarity Procrustes, never mirrored",
        "similarity:valid": "similarity Procrustes over the joints that count",
        "bone": "palms on each other, then scaled by the true length of a bone",
    },
    "joints": {
        "20": "all joints but the wrist",
        "21": "all joints",
        "21+wrist": "all joints, the wrist with error 0 among them",
    },
    "mean": {
        "joint": "over hands for each of 42 joints, then over joints",
        "joint,sample": "over hands for each of 42 joints, then over joints",
        "joint21": "over both hands for each of 21 joints, then over joints",
        "pooled": "over all joints of all hands alike",
        "hand": "over the joints of a hand, then over hands",
        "image": "over the hands of an image, then over images",
        "image, zeros": "the same, a hand that does not count adds 0",
        "sample": "over samples",
        "side": "over both hand sides",
        "clip": "over clips",
        "class": "over the clips of a class, then over classes",
    },
    "counts": {
        "annotated": "every annotated joint",
        "valid": "joints that are annotated in 3D",
        "in_view": "joints inside the picture",
        "boxed": "all joints of hands with a box",
        "seen boxed": "joints inside the picture, of hands with a box",
    },
    "missing": {
        "error": "no number where a hand that counts is not answered",
        "fail": "a hand that is not answered fails every threshold",
        "found": "over the hands that are answered; recall stands beside it",
        "absent": "a hand that is not answered counts as not there",
    },
    "ties": {"wrong": "a probability of 0.5 is wrong", "absent": "a probability of 0.5 is absent"},
    "frame": {
        "letterbox224": "pixels of the image fitted into 224 by 224",
        "letterbox224+quantised truth": "the same, true points cut to whole pixels",
    },
    "steps": {"1mm": "thresholds in steps of 1 mm", "": "thresholds of the scorer's own grid"},
    "area": {"trapezoid": "area by the trapezoid rule"},
    "root": {"wrist": "roots are wrists"},
    "scores": {"256 logit levels": "probabilities in 256 levels"},
    "gaps": {"even triples only": "three frames at even times; beside gaps nothing is measured"},
    "unit": {"hand box": "distances in sizes of the hand's box"},
    "threshold": {"0.5": "there is a hand from this probability on"},
    "subset": {"": "which samples"},
    "depth": {"": "where the depth of the wrist is from"},
    "boxes": {"": "which boxes were given"},
}


def metric(name: str) -> str:
    """Return what a metric is; KeyError for one without a sentence."""
    return METRICS[name if name in METRICS else re.sub(r"(?<=[(@])[\d.-]+", "", name)]


def part(text: str) -> str:
    """Return what one part of a signature says; "" where it speaks for itself."""
    name, _, value = text.partition(":")
    known = PARTS.get(name)
    if known is None:
        return ""
    plain = re.sub(r">=\d+$", "", value)
    meaning = known.get(value) or known.get(plain) or known.get(plain.partition(":")[0])
    least = re.search(r">=(\d+)$", value)
    return f"{meaning or known.get('', '')}{f', at least {least[1]} of a hand' if least else ''}"
