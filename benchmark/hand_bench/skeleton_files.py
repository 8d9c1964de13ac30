"""The files of the skeleton world: rows in InterHand2.6M's official JSON, and drawn views.

Everything here turns arrays into bytes; what the arrays say is decided in `skeleton_world`.

Conventions
-----------
World and camera frames are right-handed and in millimetres; the camera's x points right, y down,
z forward. A pixel's centre has integer coordinates. Joints are the official 42: right hand first,
each finger from tip to base, the wrist last (20 and 41).
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import numpy as np

from hand_bench.array_types import Bool, Float
from hand_bench.geometry import project, world_to_camera

if TYPE_CHECKING:
    from PIL import Image

FINGERS = ("thumb", "index", "middle", "ring", "pinky")
WRIST = 20
JOINT_NAMES = tuple(
    f"{side}_{name}"
    for side in "rl"
    for name in [*(f"{finger}{k}" for finger in FINGERS for k in (4, 3, 2, 1)), "wrist"]
)
PARENTS = tuple(
    -1 if j == WRIST else hand * 21 + (WRIST if j % 4 == 3 else j + 1)
    for hand in range(2)
    for j in range(21)
)
# Image and annotation ids overlap without being equal: only a join by image_id is right.
FIRST_IMAGE_ID, FIRST_ANNOTATION_ID = 1017, 1000
PLACEHOLDER = 1.0  # every coordinate of a joint that was not annotated
SKELETON_TXT = "# joint_name joint_id parent_id\n" + "".join(
    f"{name} {j} {parent}\n"
    for j, (name, parent) in enumerate(zip(JOINT_NAMES, PARENTS, strict=True))
)


@dataclass(frozen=True, eq=False)
class Camera:
    """One calibrated camera; names 400xxx are colour, 410xxx grey."""

    name: str
    width: int
    height: int
    K: Float[np.ndarray, "3 3"]
    T_world_from_camera: Float[np.ndarray, "4 4"]


@dataclass(frozen=True, eq=False)
class Take:
    """One recorded sequence: which instants of whom, seen in how many images of the split."""

    split: str
    capture: int
    subject: int
    number: int
    name: str
    hand_type: str
    human: bool
    frames: np.ndarray
    images: int
    first_image: int

    def blocks(self, cameras: list[Camera]) -> Iterator[tuple[Camera, int, int]]:
        """(camera, number of frames, running number of the first image) for each camera."""
        for k, camera in enumerate(cameras):
            done = k * len(self.frames)
            count = min(len(self.frames), self.images - done)
            if count > 0:
                yield camera, count, self.first_image + done


# A sequence's true joints (frames, 42, 3) and which are annotated (frames, 42).
Simulate = Callable[[Take], tuple[np.ndarray, np.ndarray]]


def _camera_entry(cameras: Sequence[Camera]) -> dict[str, dict[str, list]]:
    """One capture's entry of camera.json: X_camera = camrot (X_world - campos)."""
    return {
        "campos": {c.name: c.T_world_from_camera[:3, 3].tolist() for c in cameras},
        "camrot": {c.name: c.T_world_from_camera[:3, :3].T.tolist() for c in cameras},
        "focal": {c.name: [c.K[0, 0].item(), c.K[1, 1].item()] for c in cameras},
        "princpt": {c.name: c.K[:2, 2].tolist() for c in cameras},
    }


def _write_rows(file: TextIO, blocks: Iterable[list[str]]) -> None:
    """Write the members of a JSON list or object, one per line, a block at a time."""
    separator = "\n"
    for rows in blocks:
        if rows:
            file.write(separator + ",\n".join(rows))
            separator = ",\n"


def bounding_boxes(
    joints_2d: Float[np.ndarray, "n joints 2"], valid: Bool[np.ndarray, "n joints"]
) -> Float[np.ndarray, "n 4"]:
    """Official box [x, y, w, h]: tight around the valid joints, then 1.2 times as wide and high.

    An image without a valid joint gets a box of zeros.
    """
    seen = valid.sum(1, keepdims=True) > 0
    low = np.where(seen, np.where(valid[..., None], joints_2d, np.inf).min(1), 0.0)
    high = np.where(seen, np.where(valid[..., None], joints_2d, -np.inf).max(1), 0.0)
    return np.concatenate([(low + high) / 2 - 0.6 * (high - low), 1.2 * (high - low)], axis=1)


def _digits(valid: Bool[np.ndarray, "n joints"]) -> list[str]:
    """Write every row as [1], [0], ...: all rows at once, by filling the digits of a template."""
    text = np.frombuffer(b"[0], " * valid.shape[1], np.uint8)
    rows = np.repeat(text[None], len(valid), axis=0)
    rows[:, 1::5] += valid
    rows = np.ascontiguousarray(rows[:, :-2])
    return rows.view(f"S{rows.shape[1]}").ravel().astype(str).tolist()


def _image_blocks(take: Take, cameras: list[Camera]) -> Iterator[list[str]]:
    """`images` rows of a sequence, camera by camera."""
    fields = {"capture": take.capture, "subject": take.subject, "seq_name": take.name}
    for camera, count, first in take.blocks(cameras):
        row = (
            '{"id": %d, "file_name": '
            f'"Capture{take.capture}/{take.name}/cam{camera.name}/image%d.jpg", '
            f'"width": {camera.width}, "height": {camera.height}, {json.dumps(fields)[1:-1]}, '
            f'"camera": "{camera.name}", "frame_idx": %d}}'
        )
        frames = enumerate(take.frames[:count].tolist(), FIRST_IMAGE_ID + first)
        yield [row % (image_id, frame, frame) for image_id, frame in frames]


def _annotation_blocks(take: Take, cameras: list[Camera], joints, annotated) -> Iterator[list[str]]:
    """`annotations` rows of a sequence, camera by camera."""
    row = (
        '{"id": %d, "image_id": %d, "bbox": [%.5f, %.5f, %.5f, %.5f], "joint_valid": [%s], '
        f'"hand_type": "{take.hand_type}", "hand_type_valid": %d}}'
    )
    for camera, count, first in take.blocks(cameras):
        # Backwards in time: annotations do not stand in the order of their images.
        order = np.arange(count)[::-1]
        points = world_to_camera(joints[order], camera.T_world_from_camera)
        joints_2d = project(points, camera.K)
        inside = ((joints_2d >= 0) & (joints_2d < [camera.width, camera.height])).all(-1)
        valid = annotated[order] & inside
        certain = (valid.sum(1) > 30) | (take.hand_type != "interacting")
        members = zip(
            range(FIRST_ANNOTATION_ID + first, FIRST_ANNOTATION_ID + first + count),
            (FIRST_IMAGE_ID + first + order).tolist(),
            bounding_boxes(joints_2d, valid).tolist(),
            _digits(valid),
            certain.tolist(),
            strict=True,
        )
        yield [row % (i, image, *box, digits, sure) for i, image, box, digits, sure in members]


def _joint_rows(take: Take, joints, annotated, bare: bool) -> list[str]:
    """Entries of a sequence in joint_3d.json; `bare` is v0.0's list of coordinates alone."""
    template = ", ".join(["[%.4f, %.4f, %.4f]"] * joints.shape[1])
    shown = np.where(annotated[..., None], joints, PLACEHOLDER).reshape(len(joints), -1).tolist()
    certain = (annotated.sum(1) > 30) | (take.hand_type != "interacting")
    rows = []
    for k, frame in enumerate(take.frames.tolist()):
        fields = {
            "joint_valid": annotated[k, :, None].tolist(),
            "hand_type": take.hand_type,
            "hand_type_valid": bool(certain[k]),
            "seq": take.name,
        }
        world_coord = f"[{template % tuple(shown[k])}]"
        entry = f'{{"world_coord": {world_coord}, {json.dumps(fields)[1:]}'
        rows.append(f'"{frame}": {world_coord if bare else entry}')
    return rows


def write_annotations(
    stem: Path, takes: list[Take], rigs: list[list[Camera]], simulate: Simulate, *, bare: bool
) -> None:
    """Write `stem`_data.json, _camera.json and _joint_3d.json, a block at a time.

    `rigs` are the cameras of each capture; `bare` writes v0.0's joint_3d.json.
    """
    stem.parent.mkdir(parents=True, exist_ok=True)
    with Path(f"{stem}_data.json").open("w") as file:
        file.write('{"images": [')
        _write_rows(file, (rows for t in takes for rows in _image_blocks(t, rigs[t.capture])))
        file.write('\n],\n"annotations": [')
        blocks = (_annotation_blocks(t, rigs[t.capture], *simulate(t)) for t in takes)
        _write_rows(file, (rows for block in blocks for rows in block))
        file.write("\n]}\n")
    captures = sorted({take.capture for take in takes})
    cameras = {str(capture): _camera_entry(rigs[capture]) for capture in captures}
    Path(f"{stem}_camera.json").write_text(json.dumps(cameras))
    with Path(f"{stem}_joint_3d.json").open("w") as file:
        file.write("{")
        for capture, group in itertools.groupby(takes, key=lambda take: take.capture):
            file.write(f'{"" if capture == captures[0] else ","}\n"{capture}": {{')
            _write_rows(file, (_joint_rows(take, *simulate(take), bare) for take in group))
            file.write("\n}")
        file.write("\n}\n")


# Widths of what is drawn, in mm: the three bones of each finger, then the palm and the arm.
_FINGER_WIDTHS = ((26, 23, 20), (20, 18, 16), (20, 18, 16), (19, 17, 15), (17, 15, 13))
_PALM_WIDTH, _WRIST_WIDTH, _SLEEVE_WIDTH = 24, 42, 56
# A limb is three strokes, each narrower, brighter and nearer to the light than the one before:
# (brightness, share of the width, shift in widths).
_STROKES = np.array([[0.66, 1.0, 0.0], [0.92, 0.78, 0.07], [1.07, 0.38, 0.13]])
_FLAT_STROKES = np.array([[0.93, 1.0, 0.0], [0.95, 0.9, 0.02], [1.0, 0.5, 0.08]])


def _background(camera: Camera, shade: float, scale: int) -> Image.Image:
    """Soft light falling off from the upper middle, at `scale` times the camera's size."""
    from PIL import Image

    y, x = np.mgrid[0 : camera.height : 4, 0 : camera.width : 4]
    distance = np.hypot(x / camera.width - 0.5, y / camera.height - 0.35)
    light = np.clip(1.0 - 0.75 * distance, 0, 1) * (0.55 + 0.2 * shade)
    tint = np.array([150 + 50 * shade, 170, 205 - 40 * shade])
    picture = Image.fromarray((light[..., None] * tint).astype(np.uint8))
    size = (scale * camera.width, scale * camera.height)
    return picture.resize(size, Image.Resampling.BILINEAR)


def _limbs(joints: Float[np.ndarray, "21 3"], hand_side: str, tone: np.ndarray) -> list[tuple]:
    """One hand's pieces as (depth, both ends in camera space, width in mm, colour, strokes)."""
    wrist, base = joints[WRIST], joints[3:WRIST:4]
    normal = np.cross(base[1] - base[4], base[2] - wrist) * (1 if hand_side == "right" else -1)
    # The inside of a hand is paler and pinker than its back.
    inside = 0.5 - 0.5 * normal[2] / np.linalg.norm(normal)
    skin = tone * (1 + inside * np.array([0.08, 0.06, 0.10]))
    arm = (wrist - base[2]) / np.linalg.norm(wrist - base[2])
    sleeve = np.array([70.0, 96, 140] if hand_side == "right" else [150.0, 82, 74])
    # Rays from the wrist to the knuckles and between them fill the palm.
    knuckles = np.concatenate([base, (base[1:] + base[:-1]) / 2])
    ends = [[wrist + 35 * arm, wrist + 260 * arm], [wrist - 8 * arm, wrist + 40 * arm]]
    ends += [[0.8 * wrist + 0.2 * knuckle, knuckle] for knuckle in knuckles]
    ends += [[joints[4 * f + 3 - k], joints[4 * f + 2 - k]] for f in range(5) for k in range(3)]
    palm, fingers = len(knuckles), [width for finger in _FINGER_WIDTHS for width in finger]
    widths = [_SLEEVE_WIDTH, _WRIST_WIDTH, *[_PALM_WIDTH] * palm, *fingers]
    colours = [sleeve, *[skin] * (1 + palm), *[skin, skin, skin * [1.04, 0.97, 0.95]] * 5]
    strokes = [_STROKES, _STROKES, *[_FLAT_STROKES] * palm, *[_STROKES] * 15]
    depths = np.mean(ends, axis=1)[:, 2]
    # Palm pieces lie in one plane: drawn one after the other, the thumb's first.
    depths[2 : 2 + palm] = depths[2 : 2 + palm].mean()
    return list(zip(depths.tolist(), ends, widths, colours, strokes, strict=True))


def _draw_view(
    hands: dict[str, Float[np.ndarray, "21 3"]],
    camera: Camera,
    picture: Image.Image,
    backdrop: Image.Image,
    tone: np.ndarray,
) -> Image.Image:
    """Draw the hands ("right", "left": joints in camera space, mm) as shaded limbs, far to near.

    The rectangle with the hands is drawn on `backdrop`, which is twice as large as `picture`, then
    halved for smooth edges. Neither is changed.
    """
    from PIL import ImageDraw

    limbs = [limb for side, joints in hands.items() for limb in _limbs(joints, side, tone)]
    limbs.sort(key=lambda limb: -limb[0])
    depths, ends, widths, colours, strokes = (
        np.array(column) for column in zip(*limbs, strict=True)
    )
    spots = 2 * project(ends, camera.K)
    widths = widths * 2 * camera.K[0, 0] / depths
    # Nearer pieces are lighter, which sets crossing fingers apart.
    colours = colours * np.clip(1.0 - (depths - 1050) / 700, 0.7, 1.15)[:, None]
    fills = np.clip(colours[:, None] * strokes[:, :, :1], 0, 255).astype(int)
    radii = strokes[:, :, 1] * widths[:, None] / 2
    shifts = (strokes[:, :, 2] * widths[:, None])[..., None] * np.array([0.6, 0.8])
    paths = spots[:, None] - shifts[:, :, None]
    low = np.clip((spots.min((0, 1)) - 90) // 2 * 2, 0, np.array(backdrop.size) - 2)
    high = np.clip((spots.max((0, 1)) + 90) // 2 * 2, low + 2, backdrop.size)
    crop = backdrop.crop((*low.astype(int).tolist(), *high.astype(int).tolist()))
    canvas = ImageDraw.Draw(crop)
    for limb in zip((paths - low).tolist(), radii.tolist(), fills.tolist(), strict=True):
        for path, radius, fill in zip(*limb, strict=True):
            colour = tuple(fill)
            canvas.line([tuple(spot) for spot in path], fill=colour, width=round(2 * radius) or 1)
            for x, y in path:
                box = (x - radius, y - radius, x + radius, y + radius)
                canvas.ellipse(box, fill=colour)
    picture = picture.copy()
    picture.paste(crop.reduce(2), tuple((low // 2).astype(int).tolist()))
    return picture.convert("L").convert("RGB") if camera.name.startswith("41") else picture


def draw_take(
    folder: Path, take: Take, cameras: list[Camera], joints: np.ndarray, tone: np.ndarray, step: int
) -> int:
    """Draw every `step`-th frame of a sequence for each camera; return the number of pictures.

    `folder` is images/<split>, `joints` the true joints (frames, 42, 3), `tone` the skin colour.
    """
    sides = {"right": slice(0, 21), "left": slice(21, 42)}
    shown = [side for side in sides if take.hand_type in (side, "interacting")]
    drawn = 0
    for camera, count, _ in take.blocks(cameras):
        path = folder / f"Capture{take.capture}" / take.name / f"cam{camera.name}"
        path.mkdir(parents=True, exist_ok=True)
        small, large = (_background(camera, take.capture % 3 / 2, scale) for scale in (1, 2))
        points = world_to_camera(joints[:count], camera.T_world_from_camera)
        for k in range(0, count, step):
            hands = {side: points[k, sides[side]] for side in shown}
            picture = _draw_view(hands, camera, small, large, tone)
            picture.save(path / f"image{take.frames[k]}.jpg", quality=88)
            drawn += 1
    return drawn
