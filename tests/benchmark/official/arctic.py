"""A small made-up ARCTIC in the official layout: splits, processed and raw sequences, metadata.

Nothing of the dataset is in it. The hands are those of `benchmark.official.mano`, posed by its
plain loops; cameras, projections, distortion and validity are worked out here again, so that the
reader is compared with something of its own.
"""

from __future__ import annotations

import copy
import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.official.mano import make_hand, plain_hand, plain_rotation

EGO_K = np.array([[1500.0, 0, 1330], [0, 1490, 980], [0, 0, 1]])
DISTORTION = np.array([0.11, -0.03, 0.001, -0.002, 0.004, 0.02, -0.01, 0.003])
ALLO_SIZES = [[2000, 2800]] * 4 + [[2800, 2000]] * 4
BETA = 10


@dataclass(frozen=True)
class World:
    """Sizes and names of the made-up dataset; `frames` - 20 images a sequence and view."""

    train: tuple[str, ...] = ("s01/box_grab_01", "s02/phone_use_01")
    val: tuple[str, ...] = ("s05/box_use_01", "s05/ketchup_grab_02_retake")
    test: tuple[str, ...] = ("s03/laptop_use_01",)
    frames: int = 25
    offset: int = 2
    seed: int = 3

    @property
    def names(self) -> tuple[str, ...]:
        """All sequences."""
        return self.train + self.val + self.test


def hands() -> dict[str, dict[str, np.ndarray]]:
    """The two hands of the dataset's people."""
    return {"right": make_hand(32, seed=1), "left": make_hand(32, side="left", seed=2)}


def misc(world: World) -> dict[str, Any]:
    """Content of meta/misc.json."""
    found = {}
    for subject in sorted({name.split("/")[0] for name in world.names}):
        rng = np.random.default_rng([world.seed, int(subject[1:])])
        poses = [_pose(rng, 1.2) for _ in range(8)]
        K = [[[2500 + 10 * k, 0, w / 2], [0, 2500, h / 2], [0, 0, 1]]
             for k, (w, h) in enumerate(ALLO_SIZES)]  # fmt: skip
        found[subject] = {
            "gender": "female",
            "ioi_offset": world.offset,
            "image_size": [[2800, 2000], *ALLO_SIZES],
            "intris_mat": K,
            "world2cam": [pose.tolist() for pose in poses],
        }
    return found


def sequence(world: World, name: str) -> dict[str, Any]:
    """One processed sequence: world_coord, cam_coord, 2d, bbox and params."""
    return copy.deepcopy(_sequence(world, name))


@functools.cache
def _sequence(world: World, name: str) -> dict[str, Any]:
    subject = misc(world)[name.split("/")[0]]
    rng = np.random.default_rng([world.seed, world.names.index(name), 7])
    frames, two = world.frames, hands()
    params: dict[str, np.ndarray] = {}
    joints = {}
    for side, shift in (("right", 0.08), ("left", -0.08)):
        values = {
            "rot": rng.normal(0, 0.4, (frames, 3)),
            "pose": rng.normal(0, 0.2, (frames, 45)),
            "trans": rng.normal([shift, 0, 0], [0.3, 0.15, 0.05], (frames, 3)),
            "shape": np.repeat(rng.normal(0, 1, (1, BETA)), frames, axis=0),
        }
        joints[side] = np.array([
            plain_hand(two[side], np.append(values["rot"][k], values["pose"][k]),
                       values["shape"][k], values["trans"][k], flat_hand_mean=False)[0]
            for k in range(frames)
        ])  # fmt: skip
        params |= {f"{key}_{side[0]}": value for key, value in values.items()}
        params[f"fitting_err_{side[0]}"] = rng.uniform(0, 0.01, frames)
    ego = [_pose(rng, 0.5) for _ in range(frames)]
    params |= {"world2ego": np.array(ego), "K_ego": np.repeat(EGO_K[None], frames, axis=0),
               "dist": np.repeat(DISTORTION[None], frames, axis=0),
               "obj_arti": rng.uniform(size=frames)}  # fmt: skip
    bbox = np.empty((frames, 9, 3))
    bbox[:, 0] = 1400, 1000, 14
    bbox[:, 1:] = rng.normal([1200, 1200, 4], [80, 80, 0.5], (frames, 8, 3))
    bbox[..., 2] = np.maximum(bbox[..., 2], 3)
    cam, flat = {}, {}
    for side in joints:
        seen = [
            [_views(subject, ego[k], point) for point in joints[side][k]] for k in range(frames)
        ]
        cam[f"joints.{side}"] = np.array([[p[0] for p in row] for row in seen]).swapaxes(1, 2)
        flat[f"joints.{side}"] = np.array([[p[1] for p in row] for row in seen]).swapaxes(1, 2)
        cam[f"{side}_valid"] = _in_view(flat[f"joints.{side}"], bbox)
    cam["is_valid"] = (rng.uniform(size=(frames, 9)) < 0.5).astype(np.int64)
    cam |= {key: rng.normal(size=(frames, 9, 3)) for key in ("rot_r_cam", "rot_l_cam")}
    for key, points in (("kp3d", 32), ("bbox3d", 16), ("joints.smplx", 127)):
        cam[key] = rng.normal(size=(frames, 10, points, 3))
        flat[key] = rng.normal(size=(frames, 10, points, 2))
    flat["joints.smplx"][:] = np.nan  # the official file may hold these
    content = {"world_coord": {"joints.right": joints["right"]}, "cam_coord": cam, "2d": flat,
               "bbox": bbox, "params": params}  # fmt: skip
    return _float32(content)


def withheld(content: dict[str, Any]) -> dict[str, Any]:
    """What the split files of the test set hold of a sequence."""
    params = {key: content["params"][key] for key in ("K_ego", "dist")}
    return {"bbox": content["bbox"], "params": params}


def image_names(world: World, names: tuple[str, ...], views: tuple[int, ...]) -> list[str]:
    """Image names as the official script lists them: frame after frame, all views of each."""
    return [
        f"./arctic_data/data/images/{name}/{view}/{stem:05d}.jpg"
        for name in names
        for stem in range(10, world.frames - 10)
        for view in views
    ]


def write_meta(data: Path, world: World) -> None:
    """Write splits_json/ and meta/ into the data folder."""
    lists = {"train": list(world.train), "val": list(world.val), "test": list(world.test)}
    for protocol in ("p1", "p2"):
        write_json(data / f"splits_json/protocol_{protocol}.json", lists)
    write_json(data / "meta/misc.json", misc(world))


def write_splits(data: Path, world: World, splits: tuple[str, ...] = ("train", "val", "test")):
    """Write splits/*.npy of both protocols."""
    for split in splits:
        names = getattr(world, split)
        content = {name: sequence(world, name) for name in names}
        for name in names:
            content[name].pop("world_coord")
            if split == "test":
                content[name] = withheld(content[name])
        for protocol, views in (("p1", tuple(range(1, 9))), ("p2", (0,))):
            images = image_names(world, names, views)
            write_split(data, protocol, split, {"data_dict": content, "imgnames": images})


def write_split(data: Path, protocol: str, split: str, content: dict[str, Any]) -> Path:
    """Write one file of splits/."""
    return save(data / f"splits/{protocol}_{split}.npy", content)


def write_processed(data: Path, world: World, names: tuple[str, ...]) -> None:
    """Write processed_seqs/<sid>/<seq>.npy."""
    for name in names:
        save(data / f"processed_seqs/{name}.npy", sequence(world, name))


def write_raw(data: Path, world: World, names: tuple[str, ...]) -> None:
    """Write raw_seqs/<sid>/<seq>.{mano,egocam.dist}.npy."""
    for name in names:
        params = sequence(world, name)["params"]
        mano = {
            side: {
                "rot": params[f"rot_{side[0]}"],
                "pose": params[f"pose_{side[0]}"],
                "trans": params[f"trans_{side[0]}"],
                "shape": params[f"shape_{side[0]}"][0],
                "fitting_err": params[f"fitting_err_{side[0]}"],
            }
            for side in ("right", "left")
        }
        pose = params["world2ego"]
        ego = {"R_k_cam_np": pose[:, :3, :3], "T_k_cam_np": pose[:, :3, 3:], "R0": np.eye(3),
               "intrinsics": params["K_ego"][0], "dist8": params["dist"][0],
               "ego_markers.label": ["a", "b"]}  # fmt: skip
        save(data / f"raw_seqs/{name}.mano.npy", mano)
        save(data / f"raw_seqs/{name}.egocam.dist.npy", ego)


def save(path: Path, content: Any) -> Path:
    """Write a pickled dict as the official scripts do."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, content, allow_pickle=True)  # the official form; read by `unpickle` alone
    return path


def write_json(path: Path, content: Any) -> None:
    """Write JSON, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def distort(point: np.ndarray) -> np.ndarray:
    """Move one camera point as OpenCV's rational lens does."""
    k1, k2, p1, p2, k3, k4, k5, k6 = DISTORTION
    x, y = point[0] / point[2], point[1] / point[2]
    r = x**2 + y**2
    D = (1 + k1 * r + k2 * r**2 + k3 * r**3) / (1 + k4 * r + k5 * r**2 + k6 * r**3)
    x, y = (
        x * D + 2 * p1 * x * y + p2 * (r + 2 * x**2),
        y * D + 2 * p2 * x * y + p1 * (r + 2 * y**2),
    )
    return np.array([x, y, 1]) * point[2]


def pixel(K: Any, point: np.ndarray) -> np.ndarray:
    """Project one camera point."""
    flat = np.asarray(K) @ point
    return flat[:2] / flat[2]


def _views(subject: dict[str, Any], ego: np.ndarray, point: np.ndarray) -> tuple[list, list]:
    """A world point in the ten views: camera points and pixels."""
    whole = np.append(point, 1)
    cameras = [ego, *map(np.array, subject["world2cam"])]
    points = [(camera @ whole)[:3] for camera in cameras]
    points.append(distort(points[0]))
    Ks = [EGO_K, *subject["intris_mat"], EGO_K]
    return points, [pixel(K, p) for K, p in zip(Ks, points, strict=True)]


def _in_view(pixels: np.ndarray, bbox: np.ndarray) -> np.ndarray:
    """Official flags of a hand (frames, 9): wrist and two more joints inside."""
    flags = np.zeros(bbox.shape[:2], np.int64)
    for k in range(len(bbox)):
        for view in range(9):
            low, high = np.array([1.0, 1]), np.array([2800.0, 2000])
            if view:
                x, y, side = bbox[k, view] * [1, 1, 200]
                size = ALLO_SIZES[view - 1]
                low = np.maximum([x - side / 2, y - side / 2], 1)
                high = np.minimum([x + side / 2, y + side / 2], size)
            points = pixels[k, view or 9]
            inside = ((points >= low) & (points <= high)).all(axis=1)
            flags[k, view] = inside[0] and inside.sum() >= 3
    return flags


def _pose(rng: np.random.Generator, distance: float) -> np.ndarray:
    """A camera that looks about at the origin, metres: X_camera = R X_world + T."""
    pose = np.eye(4)
    pose[:3, :3] = plain_rotation(rng.normal(0, 0.3, 3))
    pose[:3, 3] = rng.normal([0, 0, distance], 0.03)
    return pose


def _float32(content: Any) -> Any:
    """The same arrays in the types of the official files."""
    if isinstance(content, dict):
        return {key: _float32(value) for key, value in content.items()}
    return content.astype(np.float32) if content.dtype == np.float64 else content
