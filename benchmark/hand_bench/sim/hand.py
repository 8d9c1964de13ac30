"""HandSim's hand: the model files in MANO's layout, and the meshes a picture is made of.

`models()` gives the right hand (from the committed `data/hand_right.npz`) and the left one, its
mirror image in x. `build()` makes the file's arrays anew from `anatomy`, `surface` and `rigging`.
Model arrays are metres, everything else millimetres, as in `hand_model`.
"""

from __future__ import annotations

import pickle
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from hand_bench.array_types import Float, Int
from hand_bench.hand_model import MM, HandModel
from hand_bench.sim import anatomy, poses, skin
from hand_bench.sim.scene import FOREARM_PART, LEFT_HAND, PARTS_OF_HAND, RIGHT_HAND, Mesh, Subject

FILE = Path(__file__).parent / "data" / "hand_right.npz"
#: Cells of the first mesh and edges of the last one (at the fingers, at the palm), mm.
CELL = 1.9
FINE, COARSE = 4.6, 8.0
_MIRROR = np.array([-1.0, 1.0, 1.0])


@cache
def models() -> tuple[HandModel, HandModel]:
    """Return the right and the left hand model."""
    right = HandModel.load(FILE)
    return right, mirrored(right)


def mirrored(model: HandModel) -> HandModel:
    """Return the other hand: the mirror image in x of every vertex, at every shape and pose."""
    # Mirroring changes the sign of a rotation's off-diagonal elements of the first row and column.
    signs = np.outer(_MIRROR, _MIRROR).ravel()
    return replace(
        model,
        v_template=model.v_template * _MIRROR,
        shapedirs=model.shapedirs * _MIRROR[:, None],
        posedirs=model.posedirs * _MIRROR[:, None] * np.tile(signs, 15),
        faces=model.faces[:, ::-1].copy(),
        hands_mean=poses.mirror(model.hands_mean.reshape(15, 3)).ravel(),
    )


def build() -> dict[str, np.ndarray]:
    """Make the right hand's arrays (MANO's keys, metres) from its anatomy; takes some 20 s.

    Raises
    ------
    ValueError
        When the mesh is not closed: a change of the anatomy has made it meet itself.
    """
    from hand_bench.sim import rigging

    skeleton = anatomy.skeleton()
    vertices, faces = _skin(skeleton)
    tips = np.array([np.argmin(np.linalg.norm(vertices - tip, axis=1)) for tip in skeleton.tips])
    vertices[tips] = skeleton.tips
    weights = rigging.skinning_weights(vertices, faces, skeleton)
    directions = rigging.shape_directions(vertices, weights, tips)
    corrections = rigging.pose_directions(vertices, faces, weights)
    corrections[tips] = 0
    return {
        "v_template": vertices / MM,
        "shapedirs": directions / MM,
        "posedirs": corrections / MM,
        "J_regressor": rigging.joint_regressor(vertices, directions),
        "weights": weights,
        "kintree_table": np.array([[2**32 - 1, *anatomy.PARENTS[1:]], range(16)], np.uint32),
        "f": faces.astype(np.uint32),
        "hands_mean": poses.rotvec_of(poses.named("relaxed")).ravel(),
        "hands_components": np.eye(45),
        "tips": tips,
    }


def arrays(side: str = "right") -> dict[str, np.ndarray]:
    """Return a hand's arrays under MANO's keys, with its tips.

    Raises
    ------
    ValueError
        For a side that is neither right nor left.
    """
    if side not in ("right", "left"):
        raise ValueError(f"hand side {side!r} is neither right nor left")
    model = models()[side == "left"]
    return {
        "v_template": model.v_template,
        "shapedirs": model.shapedirs,
        "posedirs": model.posedirs,
        "J_regressor": model.J_regressor,
        "weights": model.weights,
        "kintree_table": np.array([[2**32 - 1, *model.parents[1:]], range(16)], np.uint32),
        "f": model.faces.astype(np.uint32),
        "hands_mean": model.hands_mean,
        "hands_components": np.eye(45),
        "tips": np.array(model.tips),
    }


def export(path: str | Path, side: str = "right") -> Path:
    """Write a hand in MANO's layout: .npz, or .pkl (protocol 2, plain arrays) as smplx reads it."""
    path, content = Path(path), arrays(side)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".pkl":
        # Older readers find NumPy's constructors under their former name.
        text = pickle.dumps(content, protocol=2).replace(b"numpy._core.", b"numpy.core.")
        path.write_bytes(text)
    else:
        np.savez_compressed(path, **content)
    return path


def write_built(content: dict[str, np.ndarray], path: Path = FILE) -> Path:
    """Write what `build` made as the committed file: float32 but for what must be exact."""
    exact = ("J_regressor", "v_template", "shapedirs")
    small = {
        key: value.astype(np.float32) if value.dtype == float and key not in exact else value
        for key, value in content.items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **small)
    return path


def hand_mesh(
    model: HandModel,
    vertices: Float[np.ndarray, "vertices 3"],
    subject: Subject,
    side: str,
    rng: np.random.Generator | None = None,
) -> Mesh:
    """Return a posed hand as a mesh with a part for each face and the subject's colours.

    Parameters
    ----------
    model
        The hand of this side; a model that is not HandSim's gets one colour all over.
    vertices
        Posed, mm, world.
    subject
        Whose skin.
    side
        "right" or "left".
    rng
        Adds faint blotches to the skin.
    """
    left = side == "left"
    if len(vertices) == len(models()[0].v_template):
        colours = skin.hand_colours(subject.skin, rng)
    else:
        colours = np.tile(np.asarray(subject.skin, float), (len(vertices), 1))
    return Mesh(
        vertices=vertices,
        faces=model.faces,
        colours=colours,
        parts=_face_parts(model) + PARTS_OF_HAND * left,
        instance=LEFT_HAND if left else RIGHT_HAND,
    )


def forearm_mesh(
    wrist: Float[np.ndarray, 3],
    R: Float[np.ndarray, "3 3"],
    subject: Subject,
    side: str,
    *,
    towards: np.ndarray | None = None,
) -> list[Mesh]:
    """Return the forearm behind a wrist, and the sleeve around it where the subject wears one.

    Parameters
    ----------
    wrist, R
        Place (mm, world) and rotation of the wrist joint.
    subject
        Whose skin, girth and sleeve.
    side
        "right" or "left".
    towards
        Where the elbow lies from the wrist; by default straight on from the hand.
    """
    palm = anatomy.skeleton(subject.betas).palm
    scale = float((palm[1] + palm[2]) / 2)
    kinds = [(subject.skin, {})]
    if subject.sleeve is not None:
        # A number of the style decides how far the sleeve is pulled up.
        kinds.append((subject.sleeve, {"loose": skin.LOOSE, "start": 14.0 + subject.style % 40}))
    made = []
    for colour, options in kinds:
        points, faces = skin.forearm(wrist, R, side, scale=scale, towards=towards, **options)
        made.append(
            Mesh(
                vertices=points,
                faces=faces,
                colours=np.tile(np.asarray(colour, float), (len(points), 1)),
                parts=np.full(len(faces), FOREARM_PART),
                instance=LEFT_HAND if side == "left" else RIGHT_HAND,
            )
        )
    return made


def sample_subject(rng: np.random.Generator, name: str) -> Subject:
    """Draw a person: shape, skin, sleeves (six in ten), style."""
    betas = np.clip(rng.normal(0, 0.8, anatomy.BETAS), -2, 2)
    tone, step = divmod(rng.uniform(0, len(skin.TONES) - 1.001), 1)
    low, high = skin.TONES[int(tone)], skin.TONES[int(tone) + 1]
    colour = np.clip(low + step * (high - low) + rng.normal(0, 0.015, 3), 0.05, 0.98)
    sleeve = rng.uniform(0.05, 0.9) * (1 + rng.normal(0, 0.25, 3)) if rng.random() < 0.6 else None
    return Subject(
        name=name,
        betas=betas,
        skin=colour,
        sleeve=None if sleeve is None else np.clip(sleeve, 0.02, 0.95),
        style=int(rng.integers(2**31)),
    )


def _face_parts(model: HandModel) -> Int[np.ndarray, " faces"]:
    """The bone that moves each face most, 1 to 16."""
    return model.weights[model.faces].sum(axis=1).argmax(axis=1) + 1


def _skin(skeleton: anatomy.Skeleton) -> tuple[Float[np.ndarray, "v 3"], Int[np.ndarray, "f 3"]]:
    """The mesh of the mean hand, mm: finer at the fingers, finest at their tips."""
    from hand_bench.sim import remeshing, surface

    shapes = surface.cones(skeleton)
    fingers = [shape for shape in shapes if shape.group != surface.PALM and shape.bone != 13]

    def spacing(places: np.ndarray) -> np.ndarray:
        away = np.min([shape.distance(places) for shape in fingers], axis=0)
        tips = np.linalg.norm(places[:, None] - skeleton.tips, axis=2).min(axis=1)
        return np.clip(FINE + 0.25 * (away - 3), FINE, COARSE) * np.where(tips < 12, 0.8, 1)

    fine = surface.surface_nets(shapes, CELL)
    if not remeshing.is_closed(fine[1]):
        raise ValueError("the surface meets itself at this cell size")
    vertices, faces = remeshing.remesh(
        *fine, spacing=spacing, project=lambda places: surface.project(shapes, places, 2)
    )
    return surface.project(shapes, vertices, 8), faces
