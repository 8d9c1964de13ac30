"""The rig of AssemblyHands: 8 cameras around a table and a headset with 4 grey ones.

Source: facts/assemblyhands.md 1.3 (rectified images), 1.8 (names) and 6 (20 calibration files).
"""

from __future__ import annotations

import numpy as np

from hand_bench.sim.mounting import TOP_LEFT, UPRIGHT, UPSIDE_DOWN, mounted
from hand_bench.sim.placement import HEAD, Jitter, Rig, RigCamera
from hand_bench.sim.viewpoints import look_at
from hand_bench.sim.wearer import Wearer

#: Names, median centres (mm), optical axes and focal lengths of the real rig's own world, whose y
#: is up and whose wearer sits at -x and looks along +x.
_ASSEMBLY = (
    ("C10095_rgb", (535, 729, 580), (-0.53, -0.68, -0.50), 1192.0),
    ("C10115_rgb", (72, 1208, 51), (-0.07, -1.0, 0.0), 1248.0),
    ("C10118_rgb", (639, 181, 152), (-1.0, 0.02, -0.07), 1247.0),
    ("C10119_rgb", (559, 727, -250), (-0.62, -0.68, 0.39), 1245.0),
    ("C10379_rgb", (-41, -2, -822), (0.17, 0.30, 0.94), 1249.0),
    ("C10390_rgb", (66, 992, 855), (-0.03, -0.77, -0.64), 1246.0),
    ("C10395_rgb", (-159, 2, 1004), (0.20, 0.32, -0.92), 1244.0),
    ("C10404_rgb", (203, 1000, -633), (-0.01, -0.82, 0.57), 1249.0),
)
ASSEMBLY_EXO = tuple(name for name, *_ in _ASSEMBLY)
#: Where the real optical axes meet; it comes to stand over the workspace. The low cameras stand at
#: y = 0 there, so everything is lifted a little: their lenses are to be above the table.
_MEETING, _LIFT = np.array([85.0, 0.0, 83.0]), 20.0
#: World of HandSim from that of the real rig: -x, the wearer's side, becomes +z.
_TURN = np.array([[0, 0, 1], [0, 1, 0], [-1, 0, 0]], float)
#: Middle of the published range of the lenses.
_ASSEMBLY_LENS = (-0.127, 0.122, 3e-4, 3e-4, -0.018, 0.0, 0.0, 0.0)


def _assembly_exo() -> tuple[RigCamera, ...]:
    cameras = []
    for name, centre, axis, focal in _ASSEMBLY:
        place = _TURN @ (np.array(centre) - _MEETING) + [0, _LIFT, 0]
        pose = look_at(place, place + _TURN @ axis)
        cameras.append(
            mounted(name, (1920, 1080), focal, pose, centre=(958, 523), distortion=_ASSEMBLY_LENS)
        )
    return tuple(cameras)


#: The headset: name, centre (mm) and axis in the head's frame, top of the image, principal point.
_HEADSET = (
    ("HMC_21176875_mono10bit", (-74.5, 0, 0), (-0.66, -0.345, 0.667), UPRIGHT, (316, 237)),
    ("HMC_21176623_mono10bit", (74.5, 0, 0), (0.66, -0.345, 0.667), UPSIDE_DOWN, (310, 233)),
    ("HMC_21110305_mono10bit", (58, 72.5, 0), (0.1737, 0.63, 0.757), TOP_LEFT, (313, 235)),
    ("HMC_21179183_mono10bit", (-55.5, 70.5, 0), (-0.1737, 0.63, 0.757), TOP_LEFT, (312, 238)),
)
ASSEMBLY_EGO = tuple(name for name, *_ in _HEADSET)


def _assembly_ego() -> tuple[RigCamera, ...]:
    return tuple(
        mounted(
            name,
            (636, 480),
            0.7 * 191.5,
            look_at(place, np.array(place) + axis, top),
            centre=centre,
            mount=HEAD,
            grey=True,
        )
        for name, place, axis, top, centre in _HEADSET
    )


ASSEMBLY = Rig(
    "assembly",
    "Facts: 8 exo cameras (centres, axes, focal lengths, medians of 11 calibrations), moved rigidly"
    " so that the axes meet over the workspace; 4 grey ego cameras, rectified (f = 0.7 x 191.5, 636"
    " x 480), with the headset's distances and angles, and the way their images are turned as in"
    " the published calibrations: upright, upside down, top to the left twice. Rigs of different"
    " days differ by 30 to 50 mm as a whole. Assumed: the headset's place on the head, and the"
    " motion. The names of the ego cameras are one real headset's.",
    (*_assembly_exo(), *_assembly_ego()),
    Jitter(shift=20, turn=0.02, place=2, aim=0.004, focal=0.001, centre=5),
    worn=Jitter(shift=5, turn=0.05, place=0.7, aim=0.005, focal=0.004, centre=2),
    wearer=Wearer(pitch_share=0.6),
)
