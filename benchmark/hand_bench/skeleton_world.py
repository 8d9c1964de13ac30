"""A licence-free world of two jointed hands in motion, written as InterHand2.6M's official files.

`SkeletonWorld` says how much there is and `write_interhand26m` writes it, so that the reader of
the real dataset reads it unchanged: for the demo, for tests, and at the official size
(`official_size_world`) for measuring speed and memory. The same world gives the same bytes.

Conventions
-----------
Millimetres, world frame with x right, y down, z away from the cameras; the hands are near
(0, 0, 1050) and their owner faces the cameras. A hand's own frame has x towards the thumb,
y towards the fingers and z out of the palm; it is right-handed for the right hand, and a left hand
is the mirror image (x negated) of a right hand. Motion is at 30 frames per second.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from hand_bench import skeleton_files as files
from hand_bench.array_types import Bool, Float
from hand_bench.skeleton_files import Camera, Take

SPLITS = ("train", "val", "test")
HAND_TYPES = ("right", "left", "interacting")
FRAMES_PER_SECOND = 30
CENTRE = np.array([0.0, 0.0, 1050.0])

# One row per finger, thumb first: where it leaves the palm (hand frame, mm), then its three bones.
_PALM = np.array([[24, 22, 16], [24, 86, 3], [2, 89, 0], [-19, 81, 1], [-39, 69, 5]], float)
_BONES = np.array([[40, 32, 27], [42, 25, 22], [44, 29, 23], [41, 27, 22], [30, 20, 19]], float)
# Flexion of each joint, degrees: stretched and fully bent.
STRETCHED = np.array([[-8, 0, -5], *[[-6, 2, 0]] * 4], float)
BENT = np.array([[28, 42, 60], *[[82, 92, 56]] * 4], float)
# Fingers fan out from the middle one: sideways angle at rest and its share of spreading, degrees.
_FAN_REST = np.array([0.0, 5.0, 0.5, -4.0, -9.0])
_FAN_SHARE = np.array([0.0, 0.8, 0.1, -0.6, -1.2])


@dataclass(frozen=True)
class SkeletonWorld:
    """How much is recorded: every field can be changed, and the same values give the same bytes.

    `sequences` is per capture, `frames` per sequence (a few go missing). A capture is annotated by
    humans or by machine as a whole; the last `human_captures` are human. With `capture_images`,
    pairs of (single-hand, interacting) image counts, each capture records sequences until it has
    exactly so many, and `sequences` is not used.
    """

    captures: int = 2
    sequences: int = 4
    cameras: int = 4
    frames: int = 20
    frame_step: int = 6
    subjects: int = 8
    hand_types: tuple[str, ...] = ("right", "left", "interacting", "interacting")
    human_captures: int = 1
    seed: int = 0
    capture_images: tuple[tuple[int, int], ...] | None = None

    def __post_init__(self):
        if not self.hand_types or set(self.hand_types) - set(HAND_TYPES):
            raise ValueError(f"hand_types must be among {HAND_TYPES}, got {self.hand_types}")
        if min(self.captures, self.cameras, self.frames, self.frame_step, self.subjects) < 1:
            raise ValueError("captures, cameras, frames, frame_step and subjects must be positive")
        if self.cameras > 200:
            raise ValueError(f"at most 200 cameras have names, got {self.cameras}")
        for capture, (single, both) in enumerate(self.capture_images or ()):
            kinds = {hand_type == "interacting" for hand_type in self.hand_types}
            if min(single, both) < 0:
                raise ValueError(f"capture {capture}: image counts must not be negative")
            if (single and False not in kinds) or (both and True not in kinds):
                raise ValueError(f"capture {capture}: no hand type gives the images asked for")
        if self.capture_images is not None and len(self.capture_images) != self.captures:
            raise ValueError("capture_images must have one pair per capture")

    def _generator(self, purpose: str, split: str, *key: int) -> np.random.Generator:
        purposes = ("body", "frames", "motion", "annotation", "cameras")
        return np.random.default_rng(
            [self.seed, purposes.index(purpose), SPLITS.index(split), *key]
        )

    def takes(self, split: str = "test") -> list[Take]:
        """List every sequence of the split, in the order of the files; nothing is simulated."""
        takes, first_image = [], 0
        for capture in range(self.captures):
            end = 0
            left = [*self.capture_images[capture]] if self.capture_images else [2**62] * 2
            for number in itertools.count():
                if not any(left) if self.capture_images else number == self.sequences:
                    break
                hand_type = self.hand_types[number % len(self.hand_types)]
                kind = int(hand_type == "interacting")
                if left[kind] == 0:
                    continue
                generator = self._generator("frames", split, capture, number)
                start = end + int(generator.integers(50, 400))
                kept = generator.random(self.frames) > 0.03
                kept[0] = True
                frames = start + self.frame_step * np.flatnonzero(kept)
                images = min(left[kind], len(frames) * self.cameras)
                human = split != "val" and capture >= self.captures - self.human_captures
                takes.append(
                    Take(
                        split=split,
                        capture=capture,
                        subject=capture % self.subjects,
                        number=number,
                        name=_sequence_name(number, hand_type, human),
                        hand_type=hand_type,
                        human=human,
                        frames=frames[:images],
                        images=images,
                        first_image=first_image,
                    )
                )
                left[kind] -= images
                first_image += images
                end = start + self.frame_step * self.frames
        return takes

    def counts(self, split: str = "test") -> dict[str, int]:
        """Images (SH: single hand, IH: interacting), sequences, subjects and captures."""
        return _counts(self.takes(split))

    def bones(self, subject: int) -> tuple[np.ndarray, np.ndarray]:
        """Palm points (5, 3) and bone lengths (5, 3) of a subject, both hands alike, in mm."""
        generator = self._generator("body", "test", subject)
        scale = generator.uniform(0.945, 1.035)
        return _PALM * scale, _BONES * scale * generator.uniform(0.985, 1.015, (5, 3))

    def skin(self, subject: int) -> np.ndarray:
        """Skin colour (R, G, B) of a subject."""
        light = self._generator("body", "test", subject, 1).uniform()
        return (1 - light) * np.array([148.0, 98, 72]) + light * np.array([236.0, 188, 160])

    def joints(self, take: Take) -> Float[np.ndarray, "frames 42 3"]:
        """Where all joints of both hands truly are, rounded as the files hold them (world, mm)."""
        generator = self._generator("motion", take.split, take.capture, take.number)
        time = take.frames / FRAMES_PER_SECOND
        both = take.hand_type == "interacting"
        right = _hand_motion(generator, time, self.bones(take.subject), together=both)
        left = _hand_motion(generator, time, self.bones(take.subject), together=both)
        left[..., 0] *= -1
        if both:
            apart = _clearance(right, left)[:, None] * [0.5, 0.0, 0.0]
            right, left = right - apart[:, None], left + apart[:, None]
        drift = np.array([15, 15, 30]) * _smooth(generator, time, 3)
        joints = np.concatenate([right, left], axis=1) + (CENTRE + drift)[:, None]
        return np.round(joints, 4)

    def annotated(self, take: Take) -> Bool[np.ndarray, "frames 42"]:
        """Which joints are annotated in 3D: about 2 % are not, and now and then a whole hand."""
        generator = self._generator("annotation", take.split, take.capture, take.number)
        annotated = generator.random((len(take.frames), 42)) > 0.02
        lost = generator.random(len(take.frames))
        annotated[:, :21] &= (take.hand_type != "left") & (lost > 0.02)[:, None]
        annotated[:, 21:] &= (take.hand_type != "right") & (lost < 0.98)[:, None]
        if take.hand_type != "interacting":  # a frame without its only hand is not in the files
            side = slice(0, 21) if take.hand_type == "right" else slice(21, 42)
            annotated[~annotated.any(1), side] = True
        return annotated

    def simulate(self, take: Take) -> tuple[np.ndarray, np.ndarray]:
        """Joints and which of them are annotated, for all frames of a sequence."""
        return self.joints(take), self.annotated(take)

    def rig(self, split: str, capture: int, truncation: bool = True) -> list[Camera]:
        """Cameras of a capture on an arc around the hands; without truncation they stand back."""
        generator = self._generator("cameras", split, capture)
        cameras = []
        for k in range(self.cameras):
            azimuth = np.radians(70 * (2 * (k + 0.5) / self.cameras - 1) + generator.uniform(-4, 4))
            height = np.radians(generator.uniform(-28, 28))
            across = np.sin(azimuth) * np.cos(height)
            direction = np.array([across, np.sin(height), -np.cos(azimuth) * np.cos(height)])
            distance = generator.uniform(980, 1120) * (1.0 if truncation else 1.9)
            aim = CENTRE + generator.normal(0, 12, 3)
            tilt = np.radians(generator.uniform(-6, 6))
            width, height_px = (512, 334) if generator.random() < 0.5 else (334, 512)
            K = np.eye(3)
            K[[0, 1], [0, 1]] = np.round(generator.uniform(1261, 1274) + np.array([0, 0.2]), 4)
            K[:2, 2] = np.round(generator.normal([width / 2, height_px / 2], 4), 4)
            pose = np.eye(4)
            pose[:3, 3] = np.round(aim + distance * direction, 4)
            pose[:3, :3] = _look_at(aim - pose[:3, 3], tilt)
            # Colour and grey alternate, as they do (34 to 46) in the official rig.
            name = str(400012 + k) if k % 2 == 0 else str(410028 + k)
            cameras.append(Camera(name, width, height_px, K, pose))
        return cameras


def official_size_world() -> SkeletonWorld:
    """Return a world whose test split has the official 849,160 images, 360,192 of them interacting.

    Two captures are machine-annotated (455,303 + 272,284 images) and six human (33,665 + 87,908).
    """

    def shares(total: int, parts: int) -> list[int]:
        return [total // parts + (k < total % parts) for k in range(parts)]

    machine = zip(shares(455_303, 2), shares(272_284, 2), strict=True)
    human = zip(shares(33_665, 6), shares(87_908, 6), strict=True)
    world = SkeletonWorld(captures=8, cameras=80, frames=36, human_captures=6)
    return replace(world, capture_images=(*machine, *human))


def write_interhand26m(
    root: str | Path,
    world: SkeletonWorld,
    *,
    split: str = "test",
    layout: str = "v1.0",
    images: str = "none",
    truncation: bool = True,
) -> dict[str, int]:
    """Write one split of the world under `root` and return what it holds.

    `layout` is "v1.0" or "v0.0"; `images` draws "none", every tenth frame ("sparse") or "all";
    without `truncation` every joint is inside every image. The summary has the counts of
    `SkeletonWorld.counts`, and `human` and `drawn` images. Raises ValueError for another choice.
    """
    choices = {"split": (split, SPLITS), "layout": (layout, ("v1.0", "v0.0"))}
    choices["images"] = (images, ("none", "sparse", "all"))
    for name, (value, known) in choices.items():
        if value not in known:
            raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}")
    annotations = Path(root) / "annotations"
    takes = world.takes(split)
    rigs = [world.rig(split, capture, truncation) for capture in range(world.captures)]
    human = [take for take in takes if take.human]
    parts = {split: takes}
    if layout == "v0.0":
        parts = {"all": takes, "human_annot": human}
        parts["machine_annot"] = [take for take in takes if not take.human]
        parts = {"machine_annot": takes} if split == "val" else parts
    for folder, part in parts.items():
        stem = annotations / folder / f"InterHand2.6M_{split}"
        files.write_annotations(stem, part, rigs, world.simulate, bare=layout == "v0.0")
    (annotations / "skeleton.txt").write_text(files.SKELETON_TXT)
    subjects = sorted({take.subject for take in takes})
    (annotations / "subject.txt").write_text("\n".join(["# subject_id", *map(str, subjects), ""]))
    if layout == "v1.0" and split != "val":
        with (annotations / f"aid_human_annot_{split}.txt").open("w") as file:
            for take in human:
                first = files.FIRST_ANNOTATION_ID + take.first_image
                file.writelines(f"{k}\n" for k in range(first, first + take.images))
    drawn, step = 0, {"none": 0, "sparse": 10, "all": 1}[images]
    for take in takes if step else ():
        folder, tone = Path(root) / "images" / split, world.skin(take.subject)
        drawn += files.draw_take(folder, take, rigs[take.capture], world.joints(take), tone, step)
    return {**_counts(takes), "human": sum(take.images for take in human), "drawn": drawn}


def _counts(takes: list[Take]) -> dict[str, int]:
    interacting = sum(take.images for take in takes if take.hand_type == "interacting")
    total = sum(take.images for take in takes)
    return {
        "images": total,
        "SH": total - interacting,
        "IH": interacting,
        "sequences": len(takes),
        "subjects": len({take.subject for take in takes}),
        "captures": len({take.capture for take in takes}),
    }


def _sequence_name(number: int, hand_type: str, human: bool) -> str:
    word = ("Fist", "Wave", "Spread", "Point", "Turn", "Pinch")[number // 4 % 6]
    if human:  # poses and the ways between them
        return f"{number:04d}_{'dh_' if hand_type == 'interacting' else ''}{word.lower()}"
    side = {"right": "RT", "left": "LT", "interacting": "Interaction"}[hand_type]
    return f"ROM{number:02d}_{side}_{word}"


def _smooth(generator: np.random.Generator, time: np.ndarray, *shape: int) -> np.ndarray:
    """Sum three sines with drawn periods (1.2 to 6 s) and phases: (time, *shape) in [-1, 1]."""
    period = generator.uniform([3.0, 2.0, 1.2], [6.0, 3.0, 2.0], (*shape, 3))
    phase = generator.uniform(0, 2 * np.pi, (*shape, 3))
    angle = 2 * np.pi * time.reshape(-1, *[1] * (len(shape) + 1)) / period + phase
    return np.sin(angle) @ np.array([0.55, 0.3, 0.15])


def _rotation(axis: int, angle: np.ndarray) -> np.ndarray:
    """Rotations by `angle` (radians, any shape) about one coordinate axis: (*shape, 3, 3)."""
    a, b = (axis + 1) % 3, (axis + 2) % 3
    rotation = np.zeros((*np.shape(angle), 3, 3))
    rotation[..., axis, axis] = 1
    rotation[..., a, a] = rotation[..., b, b] = np.cos(angle)
    rotation[..., b, a] = np.sin(angle)
    rotation[..., a, b] = -rotation[..., b, a]
    return rotation


def _look_at(forward: np.ndarray, tilt: float) -> np.ndarray:
    """Columns x, y, z of a camera that looks along `forward` with y down, turned by `tilt`."""
    z = forward / np.linalg.norm(forward)
    x = np.cross([0.0, 1.0, 0.0], z)
    x /= np.linalg.norm(x)
    return np.stack([x, np.cross(z, x), z], axis=1) @ _rotation(2, np.array(tilt))


def pose_hand(
    flexion: Float[np.ndarray, "time 5 3"],
    fan: Float[np.ndarray, "time 5"],
    bones: tuple[np.ndarray, np.ndarray],
) -> Float[np.ndarray, "time 21 3"]:
    """Joints of a right hand in its own frame, official order.

    `flexion` bends each joint about one axis towards the palm, `fan` turns fingers towards the
    thumb and lifts the thumb off the palm; both in radians.
    """
    palm, lengths = bones
    along = np.stack([np.sin(fan), np.cos(fan), 0 * fan], axis=-1)
    curl = np.broadcast_to([0.0, 0.0, 1.0], along.shape).copy()
    # The thumb points outwards and bends across the palm.
    rest = np.array([0.70, 0.68, 0.22]) / np.linalg.norm([0.70, 0.68, 0.22])
    across = np.array([-0.65, 0.35, 0.65])
    across = across - (across @ rest) * rest
    across /= np.linalg.norm(across)
    lift = fan[:, :1]
    along[:, 0] = np.cos(lift) * rest + np.sin(lift) * np.cross(rest, across)
    curl[:, 0] = across
    bend = np.cumsum(flexion, axis=-1)[..., None]
    steps = np.cos(bend) * along[:, :, None] + np.sin(bend) * curl[:, :, None]
    joints = np.zeros((len(flexion), 21, 3))
    chain = joints[:, :20].reshape(-1, 5, 4, 3)[:, :, ::-1]  # a view, base to tip
    chain[:] = palm[:, None]
    chain[:, :, 1:] += np.cumsum(lengths[..., None] * steps, axis=2)
    return joints


def _hand_motion(
    generator: np.random.Generator, time: np.ndarray, bones, *, together: bool
) -> Float[np.ndarray, "time 21 3"]:
    """Move a right hand around the origin; if `together`, as one of two hands near each other."""
    mood = generator.uniform(-0.5, 0.4)
    wave = 0.6 * _smooth(generator, time)[:, None] + 0.5 * _smooth(generator, time, 5)
    lag = 0.25 * _smooth(generator, time, 5)
    amount = 1 / (1 + np.exp(-3.2 * (mood + np.stack([wave, wave + lag, wave + lag], axis=-1))))
    flexion = np.radians(STRETCHED + amount * (BENT - STRETCHED))
    spread = 4 + 8 * _smooth(generator, time)
    # Bent fingers cannot be spread.
    fan = (_FAN_REST + _FAN_SHARE * spread[:, None]) * np.cos(flexion[..., 0])
    fan[:, 0] = 14 + (10 if together else 16) * _smooth(generator, time)
    joints = pose_hand(flexion, np.radians(fan), bones) - bones[0][2] / 2
    # Fingers up and palm to the cameras, then turned: inwards (yaw), forwards, and in the image.
    low, high = ([-10, -25, -15], [80, 25, 35]) if together else ([-30, -35, -50], [150, 35, 50])
    angles = np.radians(generator.uniform(low, high) + [35, 22, 22] * _smooth(generator, time, 3))
    turn = _rotation(2, angles[:, 2]) @ _rotation(0, angles[:, 1]) @ _rotation(1, -angles[:, 0])
    joints = joints @ (turn * np.array([1.0, -1.0, -1.0])).swapaxes(1, 2)
    middle = [-42, *generator.uniform(-20, 20, 2)] if together else [-10, 0, 0]
    place = middle + 10 * _smooth(generator, time, 3)
    return joints + place[:, None]


def _clearance(right: np.ndarray, left: np.ndarray) -> np.ndarray:
    """How much farther apart two hands must be so as not to overlap, within reason (frames,), mm.

    Palms stay within 180 mm of each other sideways, where widely spread hands may touch.
    """
    parents = np.array(files.PARENTS[:20])
    points = [np.concatenate([j, (j[:, :20] + j[:, parents]) / 2], axis=1) for j in (right, left)]
    offset = points[1][:, None] - points[0][:, :, None]
    # Along x, each pair of points must be as far as the sphere around one reaches.
    reach = 17.0**2 - offset[..., 1] ** 2 - offset[..., 2] ** 2
    needed = np.where(reach > 0, np.sqrt(np.maximum(reach, 0)) - offset[..., 0], 0).max((1, 2))
    padded = np.pad(needed, 4, mode="edge")
    highest = np.lib.stride_tricks.sliding_window_view(padded, 5).max(1)
    smooth = np.lib.stride_tricks.sliding_window_view(highest, 5).mean(1)
    palms = (left - right)[:, [files.WRIST, 11], 0].mean(1)
    return np.minimum(smooth, 180 - palms)
