"""A prepared skeleton world, with the same samples as an independent scorer reads them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from benchmark import plain_interhand26m as plain
from hand_bench import data
from hand_bench.joint_sets import convert
from hand_bench.skeleton_world import SkeletonWorld, write_interhand26m

WORLD = SkeletonWorld(captures=4, sequences=8, cameras=3, frames=14, human_captures=1, seed=5)
ABSENT = np.full((21, 3), np.nan)
SOMEWHERE = np.random.default_rng(1).normal([0, 0, 1000], 60, (42, 3))


@dataclass(frozen=True)
class World:
    """A prepared track "demo": where it is, and its samples in the official order of joints."""

    root: Path
    home: Path
    samples: list[dict]

    def predictions(self, seed: int = 0, noise: float = 15.0, missed: float = 0.0) -> dict:
        """Random predictions of both hands, in the form of the independent scorer."""
        rng = np.random.default_rng(seed)
        made = {}
        for sample in self.samples:
            known = sample["joint_valid"].astype(bool)[:, None]
            # What is not annotated holds a placeholder; a method still predicts something there.
            joints = np.where(known, sample["joint_cam"], SOMEWHERE)
            joints = joints + rng.normal(0, noise, (42, 3))
            there = [sample["hand_type"] in (side, "interacting") for side in ("right", "left")]
            answered = [t and rng.random() >= missed for t in there]
            hands = [joints[k * 21 : k * 21 + 21] if answered[k] else None for k in range(2)]
            scores = [float(np.clip(rng.normal(t, 0.4), 0.01, 0.99)) for t in there]
            both = answered[0] and answered[1]
            root = joints[41] - joints[20] + rng.normal(0, 5, 3) if both else None
            made[sample["sample_id"]] = {
                "right": hands[0],
                "left": hands[1],
                "left_root": root,
                "right_score": scores[0],
                "left_score": scores[1],
            }
        return made


def as_arrays(predictions: dict) -> dict:
    """The same predictions as `hand_bench.evaluate` takes them: OpenPose order, NaN for absent."""

    def hands(side: str) -> np.ndarray:
        official = [ABSENT if p[side] is None else p[side] for p in predictions.values()]
        return convert(np.stack(official), "interhand21", "openpose21").astype(np.float32)

    roots = [ABSENT[0] if p["left_root"] is None else p["left_root"] for p in predictions.values()]
    return {
        "sample_id": list(predictions),
        "right_joints": hands("right"),
        "left_joints": hands("left"),
        "left_root": np.stack(roots).astype(np.float32),
        "right_score": np.array([p["right_score"] for p in predictions.values()]),
        "left_score": np.array([p["left_score"] for p in predictions.values()]),
    }


def as_float32(predictions: dict) -> dict:
    """What is left of predictions once they are stored: 32-bit floats."""

    def stored(value):
        return value if value is None else np.asarray(value, np.float32).astype(np.float64)

    return {
        key: {
            k: stored(v) if k in ("right", "left", "left_root") else float(np.float32(v))
            for k, v in p.items()
        }
        for key, p in predictions.items()
    }


@pytest.fixture(scope="session")
def prepared(tmp_path_factory) -> World:
    """Write and prepare the world once."""
    root, home = tmp_path_factory.mktemp("official"), tmp_path_factory.mktemp("home")
    write_interhand26m(root, WORLD)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HAND_BENCH_HOME", str(home))
        data.prepare("demo", root, split="test")
    return World(root, home, plain.load_samples(root, "test"))


@pytest.fixture
def world(prepared, monkeypatch) -> World:
    """The prepared world, with its data folder in use."""
    monkeypatch.setenv("HAND_BENCH_HOME", str(prepared.home))
    return prepared
