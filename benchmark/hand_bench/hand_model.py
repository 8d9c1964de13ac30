"""Hands as a skinned mesh: MANO's file layout, joints and vertices from its parameters.

Conventions
-----------
A file holds a template of any number of vertices (metres), a linear shape space, pose-corrective
offsets, a joint regressor and skinning weights of 16 joints: MANO's keys (facts/wildhands.md
section 7.2), as MANO's own pickle (read without executing anything) or as .npz. The attributes are
as in the file; parameters and results are millimetres, like everything else here.

A pose is the global rotation and those of 15 joints: rotation vectors (n, 16, 3) or rotation
matrices (n, 16, 3, 3). ``flat_hand_mean=True``: zero is the flat hand. ``flat_hand_mean=False``:
the file's mean pose is added to the 15 rotation vectors, as ARCTIC's parameters want it; nothing is
ever added to matrices or to the global rotation. The hand turns about its root joint, which is not
the origin: J = R (J_template - J0) + J0 + translation.

21 joints in the order ``mano21``: 16 of the skeleton, then the tips of thumb, index, middle, ring
and pinky: vertices of smplx's choice (facts/wildhands.md section 0.1), or the file's own "tips".

MANO itself is licensed and never shipped: `find_mano` says where to get it. Its left model has the
shape space of the right one; `fix_left` negates its x, but data that was fitted with the file as it
is (ARCTIC, DexYCB) needs it as it is (facts/wildhands.md section 7.2).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from hand_bench import files, unpickle
from hand_bench.array_types import Float, Int
from hand_bench.errors import DatasetError, Problem

MM = 1000.0
JOINTS = 16
#: Tip vertices of MANO's 778: thumb, index, middle, ring, pinky (smplx).
MANO_TIPS = (744, 320, 443, 554, 671)
ENVIRONMENT = "HAND_BENCH_MANO"
_NAMES = {"right": "MANO_RIGHT", "left": "MANO_LEFT"}
_KEYS = ("v_template", "shapedirs", "posedirs", "J_regressor", "weights", "kintree_table", "f")
_BLOCK = 256


@dataclass(frozen=True)
class HandModel:
    """A hand that is posed by linear blend skinning; arrays as in the file, in metres."""

    v_template: Float[np.ndarray, "vertices 3"]
    shapedirs: Float[np.ndarray, "vertices 3 betas"]
    posedirs: Float[np.ndarray, "vertices 3 135"]
    J_regressor: Float[np.ndarray, "16 vertices"]
    weights: Float[np.ndarray, "vertices 16"]
    parents: tuple[int, ...]
    faces: Int[np.ndarray, "faces 3"]
    hands_mean: Float[np.ndarray, " 45"]
    tips: tuple[int, ...]

    @classmethod
    def load(cls, path: str | Path, *, fix_left: bool = False) -> HandModel:
        """Read a model file: MANO's pickle, or .npz with the same keys.

        Parameters
        ----------
        path
            The file.
        fix_left
            Negate the x component of the shape space: for MANO_LEFT, where the data was fitted so.

        Raises
        ------
        DatasetError
            HB202 where there is no such file, HB203 where it is damaged or something else.
        """
        path = Path(path)
        content = _content(path)
        lacking = [key for key in _KEYS if key not in content]
        if lacking:
            raise _damaged(path, f"has no {', '.join(lacking)}.")
        try:
            arrays = {key: _array(content[key]) for key in content if key in (*_KEYS, *_OPTIONAL)}
        except (KeyError, ValueError, TypeError) as error:
            raise _damaged(path, f"has arrays of an unknown kind ({error!r}).") from error
        _check_shapes(path, arrays)
        shapedirs = arrays["shapedirs"].astype(float)
        return cls(
            v_template=arrays["v_template"].astype(float),
            shapedirs=shapedirs * [[-1], [1], [1]] if fix_left else shapedirs,
            posedirs=arrays["posedirs"].astype(float),
            J_regressor=arrays["J_regressor"].astype(float),
            weights=arrays["weights"].astype(float),
            parents=_parents(path, arrays["kintree_table"]),
            faces=arrays["f"].astype(np.int64),
            hands_mean=arrays.get("hands_mean", np.zeros(45)).astype(float),
            tips=_tips(path, arrays),
        )

    def joints(
        self,
        *,
        rotvec: np.ndarray | None = None,
        rotmat: np.ndarray | None = None,
        betas: np.ndarray,
        translation: np.ndarray | None = None,
        flat_hand_mean: bool,
    ) -> Float[np.ndarray, "hands 21 3"]:
        """Return the 21 joints of posed hands, mm, in the order ``mano21``.

        Only the five tips are skinned, so ten thousand hands take a fraction of a second.

        Parameters
        ----------
        rotvec, rotmat
            The pose, one of the two: rotation vectors (n, 16, 3) or matrices (n, 16, 3, 3).
        betas
            Shape, (n, betas) or one for all (betas,).
        translation
            Added at the end, mm: (n, 3), one for all (3,), or none.
        flat_hand_mean
            False adds the file's mean pose to `rotvec`; for matrices it changes nothing.
        """
        rotations = self._rotations(rotvec, rotmat, flat_hand_mean)
        shape = self._shape(betas, len(rotations))
        turned, places, rest = self._skeleton(rotations, shape)
        tips = self._skin(np.array(self.tips), rotations, shape, turned, places, rest)
        return np.concatenate([places, tips], axis=1) * MM + _shift(translation)

    def vertices(
        self,
        *,
        rotvec: np.ndarray | None = None,
        rotmat: np.ndarray | None = None,
        betas: np.ndarray,
        translation: np.ndarray | None = None,
        flat_hand_mean: bool,
    ) -> Float[np.ndarray, "hands vertices 3"]:
        """Return all vertices of posed hands, mm; the parameters are those of `joints`."""
        rotations = self._rotations(rotvec, rotmat, flat_hand_mean)
        shape = self._shape(betas, len(rotations))
        every = np.arange(len(self.v_template))
        posed = np.empty((len(rotations), len(every), 3))
        for start in range(0, len(rotations), _BLOCK):
            part = slice(start, start + _BLOCK)
            skeleton = self._skeleton(rotations[part], shape[part])
            posed[part] = self._skin(every, rotations[part], shape[part], *skeleton)
        return posed * MM + _shift(translation)

    def root(self, betas: np.ndarray) -> Float[np.ndarray, "*hands 3"]:
        """Return J0, mm: where the root joint is without translation, whatever the pose."""
        at_rest, change = self._regressed
        return (at_rest[0] + np.asarray(betas, float) @ change[0].T) * MM

    @cached_property
    def _regressed(self) -> tuple[np.ndarray, np.ndarray]:
        """The joints of the template (16, 3) and how betas move them (16, 3, betas)."""
        return (
            self.J_regressor @ self.v_template,
            np.tensordot(self.J_regressor, self.shapedirs, axes=1),
        )

    def _rotations(
        self, rotvec: np.ndarray | None, rotmat: np.ndarray | None, flat_hand_mean: bool
    ) -> np.ndarray:
        """The pose as matrices (n, 16, 3, 3)."""
        if (rotvec is None) == (rotmat is None):
            raise ValueError("give the pose as rotvec or as rotmat")
        pose = np.array(rotmat if rotvec is None else rotvec, float)
        wanted = (JOINTS, 3, 3) if rotvec is None else (JOINTS, 3)
        if pose.shape[1:] != wanted:
            raise ValueError(f"a pose is (n, 16, 3) or (n, 16, 3, 3), not {pose.shape}")
        if rotvec is None:
            return pose
        if not flat_hand_mean:
            pose[:, 1:] += self.hands_mean.reshape(15, 3)
        return rotvec_to_rotmat(pose)

    def _shape(self, betas: np.ndarray, hands: int) -> np.ndarray:
        """The shape of every hand, (n, betas)."""
        return np.broadcast_to(np.asarray(betas, float), (hands, self.shapedirs.shape[2]))

    def _skeleton(
        self, rotations: np.ndarray, shape: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Turn every joint's frame: its rotation, its place, and its place at rest."""
        at_rest, change = self._regressed
        rest = at_rest + np.tensordot(shape, change, axes=(1, 2))
        turned, places = np.empty_like(rotations), np.empty_like(rest)
        turned[:, 0], places[:, 0] = rotations[:, 0], rest[:, 0]
        for joint, parent in enumerate(self.parents):
            if parent >= 0:
                bone = rest[:, joint] - rest[:, parent]
                turned[:, joint] = turned[:, parent] @ rotations[:, joint]
                places[:, joint] = places[:, parent] + _rotate(turned[:, parent], bone)
        return turned, places, rest

    def _skin(
        self,
        chosen: np.ndarray,
        rotations: np.ndarray,
        shape: np.ndarray,
        turned: np.ndarray,
        places: np.ndarray,
        rest: np.ndarray,
    ) -> np.ndarray:
        """Some vertices of posed hands (n, chosen, 3), metres."""
        bent = (rotations[:, 1:] - np.eye(3)).reshape(len(rotations), 135)
        at_rest = self.v_template[chosen]
        at_rest = at_rest + np.tensordot(shape, self.shapedirs[chosen], axes=(1, 2))
        at_rest += np.tensordot(bent, self.posedirs[chosen], axes=(1, 2))
        offset = places - _rotate(turned, rest)
        moves = np.concatenate([turned, offset[..., None]], axis=-1)
        blended = self.weights[chosen] @ moves.reshape(len(moves), JOINTS, 12)
        blended = blended.reshape(len(moves), len(chosen), 3, 4)
        return _rotate(blended[..., :3], at_rest) + blended[..., 3]


def rotvec_to_rotmat(rotvec: Float[np.ndarray, "*batch 3"]) -> Float[np.ndarray, "*batch 3 3"]:
    """Return rotation matrices of rotation vectors (Rodrigues' formula)."""
    rotvec = np.asarray(rotvec, float)
    angle = np.linalg.norm(rotvec, axis=-1)[..., None, None]
    x, y, z = np.moveaxis(rotvec, -1, 0)
    zero = np.zeros_like(x)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=-1)
    cross = cross.reshape(*rotvec.shape, 3)
    # sinc is smooth at zero: sin(a) / a, and (1 - cos(a)) / a^2 = sinc(a / 2)^2 / 2.
    once, twice = np.sinc(angle / np.pi), np.sinc(angle / (2 * np.pi)) ** 2 / 2
    return np.eye(3) + once * cross + twice * (cross @ cross)


def rotmat_to_rotvec(rotmat: Float[np.ndarray, "*batch 3 3"]) -> Float[np.ndarray, "*batch 3"]:
    """Return rotation vectors (angle 0 to pi) of rotation matrices, accurate near pi as well."""
    quat = _quat_wxyz(np.asarray(rotmat, float))
    quat = np.where(quat[..., :1] < 0, -quat, quat)
    sine = np.linalg.norm(quat[..., 1:], axis=-1, keepdims=True)
    angle = 2 * np.arctan2(sine, quat[..., :1])
    # Near zero the axis has no direction, but angle / sine tends to 2.
    factor = np.where(sine < 1e-12, 2.0, angle / np.maximum(sine, 1e-12))
    return quat[..., 1:] * factor


def _quat_wxyz(rotmat: np.ndarray) -> np.ndarray:
    """Unit quaternions; of the four rows of 4 q q^T the longest one is exact enough."""
    R = rotmat
    w = 1 + R[..., 0, 0] + R[..., 1, 1] + R[..., 2, 2]
    x, y, z = (1 - (w - 1) + 2 * R[..., k, k] for k in range(3))
    ax, ay, az = (R[..., i, j] - R[..., j, i] for i, j in ((2, 1), (0, 2), (1, 0)))
    xy, xz, yz = (R[..., i, j] + R[..., j, i] for i, j in ((0, 1), (0, 2), (1, 2)))
    rows = [(w, ax, ay, az), (ax, x, xy, xz), (ay, xy, y, yz), (az, xz, yz, z)]
    outer = np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)
    longest = np.argmax(np.stack([w, x, y, z], axis=-1), axis=-1)
    quat = np.take_along_axis(outer, longest[..., None, None], axis=-2)[..., 0, :]
    return quat / np.linalg.norm(quat, axis=-1, keepdims=True)


def to_camera(
    rotvec: Float[np.ndarray, "*hands 3"],
    translation: Float[np.ndarray, "*hands 3"],
    R: Float[np.ndarray, "*cameras 3 3"],
    T: Float[np.ndarray, "*cameras 3"],
    J0: Float[np.ndarray, "*shapes 3"],
) -> tuple[Float[np.ndarray, "*batch 3"], Float[np.ndarray, "*batch 3"]]:
    """Bring the global rotation and the translation of hands into another frame, X' = R X + T.

    The hand turns about its root joint J0 (`HandModel.root`), so the translation becomes
    R (J0 + t) + T - J0 (facts/htt-h2o-fpha.md section 1.3). Pose and shape stay. Millimetres.
    """
    J0 = np.asarray(J0, float)
    moved = _rotate(R, J0 + translation) + T - J0
    return rotmat_to_rotvec(np.asarray(R, float) @ rotvec_to_rotmat(rotvec)), moved


def find_mano(side: str, folder: str | Path | None = None) -> Path:
    """Return MANO's file of a hand side ("right", "left").

    It is looked for in `folder` only, where one is given; else in $HAND_BENCH_MANO, then in the
    folder "mano" of the data folder. MANO_RIGHT.pkl or .npz, there or in the folders of the
    archive.

    Raises
    ------
    DatasetError
        HB202 with every place that was looked at, and where to get it.
    """
    if side not in _NAMES:
        raise ValueError(f"hand side {side!r} is neither right nor left")
    given = os.environ.get(ENVIRONMENT)
    places = [Path(given).expanduser()] if given else []
    places = [Path(folder).expanduser()] if folder is not None else [*places, files.home() / "mano"]
    for place in places:
        for inner in ("", "mano", "models", "mano_v1_2/models"):
            for suffix in (".pkl", ".npz"):
                path = place / inner / (_NAMES[side] + suffix)
                if path.is_file():
                    return path
    raise DatasetError(
        Problem(
            "HB202",
            f"{_NAMES[side]}.pkl",
            f"was not found in {' or '.join(str(place) for place in places)}.",
            cause="MANO is licensed and cannot be shipped: https://mano.is.tue.mpg.de, after "
            "registration, file MANO v1.2 (MANO_RIGHT.pkl and MANO_LEFT.pkl).",
            fix=f"Put both files into {files.home() / 'mano'}, or set {ENVIRONMENT} to their "
            "folder.",
        )
    )


_OPTIONAL = ("hands_mean", "tips")


def _content(path: Path) -> Mapping[str, Any]:
    if path.suffix == ".npz":
        try:
            with np.load(path, allow_pickle=False) as archive:
                return dict(archive)
        except FileNotFoundError as error:
            raise DatasetError(Problem("HB202", str(path), "is not there.")) from error
        except Exception as error:  # a damaged archive raises almost anything
            raise _damaged(path, f"cannot be read ({error}).") from error
    content = unpickle.load(path)  # the restricted reader: nothing is executed
    if not isinstance(content, dict):
        raise _damaged(path, f"holds a {type(content).__name__}, not the arrays of a hand.")
    return content


def _array(value: Any) -> np.ndarray:
    if isinstance(value, unpickle.Chumpy):
        return value.array
    if isinstance(value, unpickle.Sparse):
        return value.toarray()
    return np.asarray(value)


def _check_shapes(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Raise HB203 for arrays that do not fit each other."""
    vertices = len(arrays["v_template"]) if arrays["v_template"].ndim else 0
    betas = arrays["shapedirs"].shape[-1] if arrays["shapedirs"].ndim else 0
    expected = {
        "v_template": (vertices, 3),
        "shapedirs": (vertices, 3, betas),
        "posedirs": (vertices, 3, 135),
        "J_regressor": (JOINTS, vertices),
        "weights": (vertices, JOINTS),
        "kintree_table": (2, JOINTS),
        "hands_mean": (45,),
    }
    for key, shape in expected.items():
        if key in arrays and arrays[key].shape != shape:
            raise _damaged(path, f"has {key} of shape {arrays[key].shape}, expected {shape}.")
        if key in arrays and arrays[key].dtype.kind not in "fiu":
            raise _damaged(path, f"has {key} of type {arrays[key].dtype}, expected numbers.")
    if arrays["f"].ndim != 2 or arrays["f"].shape[1] != 3 or arrays["f"].dtype.kind not in "iu":
        raise _damaged(path, f"has f of shape {arrays['f'].shape}, expected (faces, 3) integers.")


def _parents(path: Path, kintree: np.ndarray) -> tuple[int, ...]:
    """Return each joint's parent, -1 for the root (MANO: the largest uint32)."""
    parents = [int(parent) for parent in kintree[0]]
    parents[0] = -1
    if any(not 0 <= parent < joint for joint, parent in enumerate(parents[1:], 1)):
        raise _damaged(path, f"has a joint before its parent in kintree_table: {parents}.")
    return tuple(parents)


def _tips(path: Path, arrays: Mapping[str, np.ndarray]) -> tuple[int, ...]:
    vertices = len(arrays["v_template"])
    if "tips" not in arrays and vertices != 778:
        raise _damaged(path, f"has {vertices} vertices, not MANO's 778, and no tips.")
    tips = tuple(int(tip) for tip in np.ravel(arrays.get("tips", np.array(MANO_TIPS))))
    if len(tips) != 5 or not all(0 <= tip < vertices for tip in tips):
        raise _damaged(path, f"has tips {tips}, expected five of {vertices} vertices.")
    return tips


def _shift(translation: np.ndarray | None) -> np.ndarray | float:
    return 0.0 if translation is None else np.asarray(translation, float)[..., None, :]


def _rotate(R: np.ndarray, points: np.ndarray) -> np.ndarray:
    return (R @ points[..., None])[..., 0]


def _damaged(path: Path, what: str) -> DatasetError:
    return DatasetError(
        Problem(
            "HB203",
            str(path),
            what,
            cause="Not a hand model in MANO's layout, or a damaged copy.",
            fix="Take MANO_RIGHT.pkl and MANO_LEFT.pkl of MANO v1.2 as they come.",
        )
    )
