"""The rigs of cameras of the real datasets, as values: `RIGS`.

Each rig says in `about` what is taken from the facts about the real one and what is assumed, where
nothing is published or could be measured. Sources: facts/assemblyhands.md 1.3, 1.8, 6;
facts/interhand26m.md 1.2, 1.5, 1.10, 1.11; facts/htt-h2o-fpha.md 1.3, 2.3; facts/wildhands.md 0.3,
1.4, 2.3, 3.2. Directions of the frames are those of `scene` (world) and `wearer` (head).
"""

from __future__ import annotations

import numpy as np

from hand_bench.sim.assembly_rig import ASSEMBLY, ASSEMBLY_EGO, ASSEMBLY_EXO
from hand_bench.sim.mounting import TOP_RIGHT, mounted, standing, worn
from hand_bench.sim.placement import HEAD, ROAMING, Jitter, Placement, Rig, RigCamera
from hand_bench.sim.scene import WORKSPACE
from hand_bench.sim.viewpoints import in_view, look_at, share_in_view
from hand_bench.sim.wearer import Wearer

__all__ = [
    "ASSEMBLY_EGO",
    "ASSEMBLY_EXO",
    "RIGS",
    "Jitter",
    "Placement",
    "Rig",
    "RigCamera",
    "in_view",
    "look_at",
    "share_in_view",
]

# ---- other cameras that stand --------------------------------------------------------------------

#: The person sits there: no camera of the dome within so many degrees of +z, below that height.
_PERSON_WIDTH, _PERSON_HEIGHT = 35.0, 40.0


def _dome() -> tuple[RigCamera, ...]:
    """80 cameras evenly on a sphere, without its lowest part and without the person's place."""
    directions = next(found for n in range(80, 200) if len(found := _spiral(n)) >= 80)[:80]
    cameras = []
    for k, towards in enumerate(directions):
        colour = (k + 1) * 34 // 80 > k * 34 // 80
        # A step of the golden ratio spreads radius, focal length and orientation evenly.
        spread = k * 0.61803 % 1.0
        place = WORKSPACE + (1000 + 200 * spread) * towards
        size = (334, 512) if k % 2 else (512, 334)
        pose = look_at(place, WORKSPACE)
        name = f"{400 if colour else 410}{k + 2:03d}"
        cameras.append(mounted(name, size, 1261 + 13 * spread, pose, grey=not colour))
    return tuple(cameras)


def _spiral(count: int) -> np.ndarray:
    """Even directions of a sphere where cameras of the dome can be."""
    height = np.linspace(0.97, -0.5, count)
    around = np.arange(count) * np.pi * (3 - np.sqrt(5))
    across = np.sqrt(1 - height**2)
    towards = np.stack([across * np.sin(around), height, across * np.cos(around)], axis=1)
    beside = np.abs(np.degrees(np.arctan2(towards[:, 0], towards[:, 2]))) > _PERSON_WIDTH
    return towards[beside | (height > np.sin(np.radians(_PERSON_HEIGHT)))]


def _stb() -> tuple[RigCamera, ...]:
    # It looks along +z, so its x is -x of the world.
    left = look_at((60, 300, -560), (60, 160, 0))
    right = left.copy()
    right[:3, 3] += 120.054 * left[:3, 0]
    return tuple(
        mounted(name, (640, 480), 822.79041, pose, centre=(318.47345, 250.31296))
        for name, pose in (("BB_left", left), ("BB_right", right))
    )


_STANDING = (
    Rig(
        "dome80",
        "Facts: 34 colour (400xxx) and 46 grey (410xxx) cameras, 512 x 334 both ways up, f 1261 to"
        " 1274 px, hands 1.0 to 1.2 m away. Assumed: an even sphere around the workspace, down to"
        " 30 degrees below it, open where the person sits.",
        _dome(),
        Jitter(turn=0.1, place=10, aim=0.008, focal=0.001, centre=8),
    ),
    Rig(
        "desktop",
        "Facts: 12 colour cameras in a set-up similar to AssemblyHands', at other places. Assumed:"
        " the places, and three kinds of lenses (85, 65 and 46 degrees wide, 1280 x 1024).",
        standing(
            tuple(f"desk{k:02d}_rgb" for k in range(12)),
            (
                *((-420, 620, 330), (0, 350, -620), (0, 980, -90), (620, 330, -60)),
                *((480, 760, 420), (-700, 210, 120), (-560, 480, -520), (330, 1150, -560)),
                *((600, 560, -620), (-260, 130, -900), (840, 140, 330), (-350, 1300, 160)),
            ),
            (1280, 1024),
            (700.0, 1000.0, 1500.0),
        ),
        Jitter(shift=25, turn=0.04, place=12, aim=0.012, focal=0.004, centre=6),
    ),
    Rig(
        "arctic-allo",
        "Facts: 8 static views. Assumed: everything else, at half of 2800 x 2000.",
        standing(
            tuple(str(k) for k in range(1, 9)),
            (
                *((0, 1350, -60), (900, 700, -700), (-900, 700, -700), (0, 450, -1150)),
                *((1150, 450, 150), (-1150, 450, 150), (750, 1000, 650), (-750, 1000, 650)),
            ),
            (1400, 1000),
            (1450.0, 1500.0),
        ),
        Jitter(shift=30, turn=0.05, place=25, aim=0.015, focal=0.004, centre=8),
    ),
    Rig(
        "stb",
        "Facts: the Bumblebee2 pair (640 x 480, f 822.79041, principal point, baseline 120.054 mm"
        " along x, the left camera first). Assumed: it stands opposite the person, 0.5 to 0.65 m"
        " from the hands.",
        _stb(),
        Jitter(shift=25, turn=0.2),
    ),
    Rig(
        "rhd",
        "Facts: 320 x 320, f about 300, principal point in the middle, hands from 0.4 m. Assumed:"
        " every picture has a camera of its own, anywhere around the hands above the table, and"
        " f within a tenth.",
        (mounted("rhd", (320, 320), 299.0, np.eye(4), centre=(160, 160), mount=ROAMING),),
    ),
)


# ---- other cameras that are worn -----------------------------------------------------------------

_H2O_STATIC = standing(
    ("cam0", "cam1", "cam2", "cam3"),
    ((-620, 520, -480), (640, 560, -420), (-760, 640, 260), (180, 1050, -240)),
    (1280, 720),
    (632.0, 640.0, 634.0, 638.0),
)
_H2O_EGO = RigCamera(
    "cam4",
    1280,
    720,
    np.array(
        [[636.6593017578125, 0, 635.283881879317], [0, 636.251953125, 366.8740353496978], [0, 0, 1]]
    ),
    worn((0, -90, 60), 27),
    HEAD,
)

#: Mild, of the rational kind; the real lens is known per recording, but not published in numbers.
_ARCTIC_LENS = (0.12, -0.08, 2e-4, -3e-4, 0.01, 0.32, -0.06, 0.0)

#: Devices of Ego4D: name, image, focal length (px), place on the head (mm), degrees downwards.
_EGO4D = (
    ("gopro", (1920, 1440), 1050.0, (0, -100, 60), 32),
    ("vuzix", (1280, 720), 900.0, (50, -5, 20), 22),
    ("pupil", (1088, 1080), 640.0, (15, -25, 30), 20),
    ("zshades", (1920, 1080), 1350.0, (0, -10, 25), 20),
    ("ordro", (1920, 1080), 1500.0, (80, -30, 40), 24),
    ("rincon", (1440, 1080), 1120.0, (-60, -5, 20), 20),
)

_WORN = (
    Rig(
        "h2o",
        "Facts: four static cameras and the head-mounted cam4, 1280 x 720, its K. Assumed: all"
        " places; the static cameras' focal lengths, those of the same device.",
        (*_H2O_STATIC, _H2O_EGO),
        Jitter(shift=30, turn=0.06, place=25, aim=0.02, focal=0.003, centre=3),
        worn=Jitter(shift=8, turn=0.05),
        wearer=Wearer(position=(0, 480, 380), pitch_share=0.6),
    ),
    Rig(
        "fpha",
        "Facts: one colour camera on the body, 1920 x 1080, its K. Assumed: it sits on the right"
        " shoulder, which turns little and does not glance.",
        (
            mounted(
                "color",
                (1920, 1080),
                1395.749,
                worn((0, 0, 0), 0),
                centre=(935.732544, 540.681030),
                mount=HEAD,
            ),
        ),
        worn=Jitter(shift=20, turn=0.06),
        wearer=Wearer((130, 380, 400), pitch_share=1.0, wander=12, glances=0.0, sway=6),
    ),
    Rig(
        "arctic-ego",
        "Facts: 2800 x 2000 reduced by 0.3 (840 x 600), principal point about (1325, 975) at full"
        " size, a rational lens. Assumed: focal length (2300 px at full size), lens, helmet.",
        (
            mounted(
                "0",
                (840, 600),
                0.3 * 2300,
                worn((0, -70, 50), 22),
                centre=(0.3 * 1325, 0.3 * 975),
                mount=HEAD,
                distortion=_ARCTIC_LENS,
            ),
        ),
        worn=Jitter(shift=8, turn=0.05, focal=0.01, centre=4),
        wearer=Wearer((0, 510, 380), pitch_share=0.65),
    ),
    Rig(
        "epic",
        "Facts: 1920 x 1080, f taken as 1000 px, no distortion. Assumed: an action camera high on"
        " the head of somebody who stands and moves a lot.",
        (mounted("gopro", (1920, 1080), 1000.0, worn((0, -120, 50), 30), mount=HEAD),),
        worn=Jitter(shift=12, turn=0.09, focal=0.02, centre=6),
        wearer=Wearer((0, 640, 330), pitch_share=0.6, wander=70, glances=0.12, sway=20),
    ),
    Rig(
        "ego4d",
        "Facts: several kinds of devices, intrinsics not known to the users. Assumed: six devices,"
        " one for each recording, and their lenses and places.",
        tuple(
            mounted(name, size, focal, worn(place, down), mount=HEAD)
            for name, size, focal, place, down in _EGO4D
        ),
        worn=Jitter(shift=10, turn=0.1, focal=0.06, centre=15),
        wearer=Wearer((0, 560, 370), pitch_share=0.65, wander=65, glances=0.12, sway=16),
        choose=1,
    ),
    Rig(
        "egoexo",
        "Facts: Aria's RGB camera, undistorted to 512 x 512, f 150, as the sensor lies: the image's"
        " top points to the wearer's right. Assumed: its place at the left temple, 10 degrees"
        " downwards, and the motion.",
        (mounted("aria_214-1", (512, 512), 150.0, worn((-65, -5, 10), 10, TOP_RIGHT), mount=HEAD),),
        worn=Jitter(shift=5, turn=0.05),
        wearer=Wearer((0, 560, 370), pitch_share=0.7, wander=60, glances=0.1, sway=14),
    ),
)

#: Every rig by name.
RIGS: dict[str, Rig] = {rig.name: rig for rig in (ASSEMBLY, *_STANDING, *_WORN)}
