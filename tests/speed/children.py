"""Whole processes that the benches start: each function here is one, with JSON as its argument.

`python children.py NAME '{"...": ...}'` runs one and may print a JSON object as its last line.
"""

from __future__ import annotations

import json
import sys
import time


def read(path: str) -> None:
    """Only read a predictions file, with the reader that `evaluate` uses."""
    from hand_bench.predictions import open_predictions

    for _ in open_predictions(path).blocks():
        pass


def evaluate(path: str, **options) -> None:
    """Score a predictions file."""
    import hand_bench

    hand_bench.evaluate(path, track="interhand26m", **options)


def imports() -> None:
    """Only import what scoring a small file needs."""
    import numpy  # noqa: F401
    import pyarrow.compute
    import pyarrow.parquet  # noqa: F401

    import hand_bench.evaluator  # noqa: F401


def prepare(root: str) -> None:
    """Prepare the split anew."""
    from hand_bench import data

    data.prepare("interhand26m", root, split="test", again=True)


def official(root: str) -> dict[str, float]:
    """Load and score sample by sample; the predictions are made here and not counted."""
    import official_loop

    start = time.perf_counter()
    samples = official_loop.load_samples(root, "test")
    loaded = time.perf_counter()
    outputs, _ = official_loop.make_outputs(samples)
    made = time.perf_counter()
    official_loop.official_scores(samples, outputs)
    end = time.perf_counter()
    return {"rows": len(samples), "seconds": (loaded - start) + (end - made)}


def procrustes() -> dict[str, float | None]:
    """Hands per second of Procrustes alignment."""
    import procrustes as rates

    return dict(zip(("loop", "numpy", "numba"), rates.hands_per_second(), strict=True))


def plain(root: str) -> dict[str, float]:
    """Do the same with the tests' joint-by-joint scorer."""
    import numpy as np
    from plain_interhand26m import load_samples, official

    start = time.perf_counter()
    samples = load_samples(root, "test")
    loaded = time.perf_counter()
    generator = np.random.default_rng(0)
    predictions = {}
    for sample in samples:
        joints = sample["joint_cam"] + generator.normal(0, 12, (42, 3))
        right_score, left_score = generator.uniform(0, 1, 2)
        predictions[sample["sample_id"]] = {
            "right": joints[:21],
            "left": joints[21:],
            "right_score": right_score,
            "left_score": left_score,
            "left_root": None,
        }
    made = time.perf_counter()
    official(samples, predictions)
    end = time.perf_counter()
    return {"rows": len(samples), "seconds": (loaded - start) + (end - made)}


def make(folder: str, what: str, scale: float | None = None, images: int = 0) -> None:
    """Make data for the benches (not measured): `what` is a layout, or one of the words below."""
    from pathlib import Path

    import workload

    world = workload.small_world(images) if scale is None else workload.scaled_world(scale)
    made = workload.Workload(Path(folder), world)
    if what == "official":
        made.make_official()
    elif what == "prepared":
        made.make_prepared()
    elif what == "repeated":
        made.make_repeated()
    else:
        made.make_prepared()
        made.predictions(what)


if __name__ == "__main__":
    answer = globals()[sys.argv[1]](**json.loads(sys.argv[2]))
    if answer is not None:
        print(json.dumps(answer))
