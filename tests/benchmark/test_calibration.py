"""Calibrated cameras: lens models against formulas written out, files, names, real rigs."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from benchmark.official import multiview as official
from hand_bench.calibration import (
    Camera,
    bare_name,
    find_camera,
    invert_pose,
    project_fisheye,
    project_opencv,
    read_calib_txt,
    read_nimble,
    rigid_pose,
)
from hand_bench.errors import DatasetError
from hand_bench.geometry import project, world_to_camera

REAL = Path(__file__).resolve().parents[3] / "shared" / "real" / "assemblyhands" / "calib"
POINTS = np.random.default_rng(0).normal([0, 0, 700], [250, 200, 120], (40, 3))
EGO_LENS = np.array([0.26, 0.13, -0.40, 0.32, -0.125, 0.020, 8e-4, -6e-4])


@pytest.fixture(scope="module")
def rigs() -> dict[str, list[Camera]]:
    if not REAL.is_dir():
        pytest.skip("the three real calibration files (shared/real) are not beside the repository")
    return {path.stem: read_nimble(path) for path in sorted(REAL.glob("*.json"))}


@pytest.fixture
def nimble(tmp_path) -> Path:
    path = tmp_path / "rig.json"
    path.write_text(json.dumps(official.nimble()))
    return path


def test_opencv_lens_is_the_formula_of_the_toolkit():
    k1, k2, p1, p2, k3 = official.LENS[:5]
    K, lens = official.K(), np.array(official.LENS)
    for point, found in zip(POINTS, project_opencv(POINTS, K, lens), strict=True):
        x, y = point[0] / point[2], point[1] / point[2]
        r2 = x * x + y * y
        g = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3
        u = x * g + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
        v = y * g + 2 * p2 * x * y + p1 * (r2 + 2 * y * y)
        assert np.allclose(found, [K[0, 0] * u + K[0, 2], K[1, 1] * v + K[1, 2]])


def test_the_rational_part_divides():
    lens = np.array([0.1, 0, 0, 0, 0, 0.3, 0, 0])
    (found,) = project_opencv(np.array([[1.0, 0, 2]]), np.eye(3), lens)
    assert np.allclose(found, [0.5 * (1 + 0.1 / 4) / (1 + 0.3 / 4), 0])


def test_without_distortion_it_is_the_pinhole():
    found = project_opencv(POINTS, official.K(), np.zeros(8))
    assert np.allclose(found, project(POINTS, official.K()))


def test_fisheye_lens_is_the_formula_of_the_toolkit():
    *k, p1, p2 = EGO_LENS
    K = np.array([[191.06, 0, 321.2], [0, 191.2, 237.8], [0, 0, 1]])
    for (X, Y, Z), found in zip(POINTS, project_fisheye(POINTS, K, EGO_LENS), strict=True):
        theta = math.atan2(math.hypot(X, Y), Z)
        g = 1 + sum(c * theta ** (2 * i) for i, c in enumerate(k, start=1))
        x, y = (v / math.hypot(X, Y) * theta * g for v in (X, Y))
        s = x * x + y * y
        u, v = x + 2 * p2 * x * y + p1 * (s + 2 * x * x), y + 2 * p1 * x * y + p2 * (s + 2 * y * y)
        assert np.allclose(found, [K[0, 0] * u + K[0, 2], K[1, 1] * v + K[1, 2]])


def test_fisheye_straight_ahead_is_the_principal_point():
    K = np.array([[191.0, 0, 321.2], [0, 191, 237.8], [0, 0, 1]])
    assert np.allclose(project_fisheye(np.array([[0.0, 0, 5]]), K, EGO_LENS), [[321.2, 237.8]])


def test_cameras_broadcast_against_points():
    K, lens = np.stack([official.K(0), official.K(1)]), np.tile(np.array(official.LENS), (2, 1))
    both = np.stack([POINTS, POINTS + 5])
    assert np.allclose(project_opencv(both, K, lens)[1], project_opencv(both[1], K[1], lens[1]))
    assert np.allclose(project_fisheye(both, K, lens)[1], project_fisheye(both[1], K[1], lens[1]))


def test_a_camera_sees_what_is_in_front_in_the_image_and_within_the_lens(nimble):
    camera = find_camera(read_nimble(nimble), "C10095")
    points = np.array([[0.0, 0, 900], [0, 0, -900], [900, 0, 900], [100, 100, 900], [4000, 0, 900]])
    assert camera.sees(points).tolist() == [True, False, False, True, False]
    # Far off the axis the polynomial folds back into the image.
    (folded,) = camera.project(np.array([[2.6 * 900, 0, 900]]))
    assert 1.5 < camera.reach < 2.5 and folded[0] < 1e4
    assert not camera.sees(np.array([[2.6 * 900, 0, 900]])).any()


def test_a_fisheye_sees_nothing_behind_where_it_stops_growing(nimble):
    camera = read_nimble(nimble)[3]
    assert camera.model == "ovfisheye62"
    angle = camera.reach
    growth = np.diff([t * _growth(camera, t) for t in (angle - 1e-4, angle, angle + 1e-4)])
    assert growth[0] > 0 > growth[1] or angle == np.pi


def _growth(camera, t):
    return 1 + sum(c * t ** (2 * i) for i, c in enumerate(camera.coefficients[:6], start=1))


def test_names_resolve_with_and_without_affixes_and_fail_on_no_match(nimble):
    cameras = read_nimble(nimble)
    for name in ("HMC_84355351_mono10bit", "84355351_mono10bit", "HMC_84355351", "84355351"):
        assert find_camera(cameras, name).name == "84355351_mono10bit"
    assert find_camera(cameras, "C10118").name == "C10118_rgb"
    with pytest.raises(DatasetError, match=r"HB208 there is no camera 'HMC_84355359'[\s\S]*Known"):
        find_camera(cameras, "HMC_84355359")


def test_headset_cameras_are_told_by_their_lens_and_have_no_pose_in_the_world(nimble):
    cameras = read_nimble(nimble)
    assert [camera.parent for camera in cameras] == ["world"] * 3 + ["cx3-02"] * 2
    with pytest.raises(ValueError, match="relative to cx3-02, not to the world"):
        _ = cameras[3].T_world_from_camera
    moved = cameras[3].in_world(np.eye(4))
    assert np.array_equal(moved.T_world_from_camera, np.eye(4)) and moved.width == 1920


def test_both_files_give_the_same_pose_and_project_world_points(nimble, tmp_path):
    text = tmp_path / "calib.txt"
    text.write_text(official.calib_txt())
    for a, b in zip(read_nimble(nimble), read_calib_txt(text), strict=False):
        assert np.allclose(a.T_world_from_camera, b.T_world_from_camera)
        assert np.array_equal(a.K, b.K) and b.width is None and not b.coefficients.any()
        view = official.camera_from_world(official.SERIALS.index(b.name))
        world = POINTS + np.array([0, 0, 350])
        seen = world @ view[:3, :3].T + view[:3, 3]
        assert np.allclose(b.project_world(world), project(seen, b.K))
        assert b.sees(seen).all() == (seen[:, 2] > 0).all()


def test_inverting_a_pose_twice_gives_it_back():
    pose = official.camera_from_world(2)
    assert np.allclose(invert_pose(pose) @ pose, np.eye(4))
    seen = POINTS @ pose[:3, :3].T + pose[:3, 3]
    assert np.allclose(world_to_camera(POINTS, invert_pose(pose)), seen)


@pytest.mark.parametrize("damage", ["reflection", "scale", "nan", "transposed"])
def test_a_matrix_that_is_no_pose_is_refused(damage):
    pose = official.camera_from_world(1)
    if damage == "reflection":
        pose[0, :3] *= -1
    elif damage == "scale":
        pose[:3, :3] /= 1000
    elif damage == "nan":
        pose[0, 3] = np.nan
    else:
        pose = pose.T.copy()
    with pytest.raises(DatasetError, match="HB203 rig: holds a camera pose that is no rotation"):
        rigid_pose(pose, "rig")


def change(path, edit):
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda c: c[0]["Camera"].pop("fx"), "HB203 .*KeyError 'fx'"),
        (lambda c: c[0]["Camera"].update(DistortionModel="Kannala"), "DistortionModel 'Kannala'"),
        (lambda c: c[0]["Camera"].update(k5=0.1), "C10095_rgb uses k5"),
        (lambda c: c[0]["Camera"].update(SerialNo="C10118"), "HB204 .*lists camera C10118 more"),
    ],
)
def test_damaged_calibrations_are_named(nimble, edit, message):
    change(nimble, edit)
    with pytest.raises(DatasetError, match=message):
        read_nimble(nimble)


def test_a_file_that_is_no_calibration_is_refused(tmp_path):
    (tmp_path / "a.json").write_text('{"cameras": []}')
    with pytest.raises(DatasetError, match=r"HB203 .*not a list of cameras"):
        read_nimble(tmp_path / "a.json")
    (tmp_path / "a.json").write_text("[{")
    with pytest.raises(DatasetError, match=r"HB203 .*JSONDecodeError"):
        read_nimble(tmp_path / "a.json")
    (tmp_path / "calib.txt").write_text("C1\n1 0 0\n")
    with pytest.raises(DatasetError, match=r"HB203 .*2 lines, not 8 for each camera"):
        read_calib_txt(tmp_path / "calib.txt")


def test_real_rigs_have_the_shape_of_the_facts(rigs):
    # facts/assemblyhands.md 6: medians over 20 sequences.
    for cameras in rigs.values():
        exo = [camera for camera in cameras if camera.parent == "world"]
        ego = [camera for camera in cameras if camera.model == "ovfisheye62"]
        assert (len(exo), len(ego)) == (8, 4)
        assert {(c.width, c.height) for c in exo} == {(1920, 1080)}
        assert {(c.width, c.height) for c in ego} == {(636, 480)}
        overhead = find_camera(cameras, "C10115").T_world_from_camera
        assert 1150 < overhead[1, 3] < 1260 and overhead[1, 2] < -0.99
    nine_twelve = next(name for name in rigs if "9012" in name)
    assert {c.parent for c in rigs[nine_twelve][8:]} == {"cx3-02"}


@pytest.mark.parametrize(
    ("a", "b", "apart", "degrees"),
    [
        (
            {"84346135", "21176875"},
            {"84347414", "21176623"},
            (146.5, 153.5),
            (81.5, 84.5),
        ),  # e1, e2
        ({"84355350", "21110305"}, {"84358933", "21179183"}, (112, 116), (19.5, 20.6)),  # e3, e4
        ({"84347414", "21176623"}, {"84355350", "21110305"}, (73.5, 75.5), (66, 67.5)),  # e2, e3
    ],
)
def test_real_headsets_have_the_geometry_of_the_facts(rigs, a, b, apart, degrees):
    # Poses are relative to the headset, so only what is between its cameras can be compared.
    for cameras in rigs.values():
        ego = {bare_name(c.name): c.T_parent_from_camera for c in cameras[8:]}
        first, second = (next(ego[name] for name in names if name in ego) for names in (a, b))
        assert apart[0] <= np.linalg.norm(first[:3, 3] - second[:3, 3]) <= apart[1]
        assert degrees[0] <= np.degrees(np.arccos(first[:3, 2] @ second[:3, 2])) <= degrees[1]


def test_real_cameras_that_stand_all_see_the_hands_and_agree_on_them(rigs):
    for cameras in rigs.values():
        hands = np.random.default_rng(1).uniform([-50, 120, -50], [150, 280, 200], (30, 3))
        for camera in cameras[:8]:
            seen = world_to_camera(hands, camera.T_world_from_camera)
            assert camera.sees(seen).mean() > 0.9
            assert camera.reach > np.hypot(960, 540) / camera.K[0, 0]


def test_real_headset_lenses_reach_the_field_of_view_of_the_facts(rigs):
    for cameras in rigs.values():
        for camera in cameras[8:]:
            angles = np.radians(np.arange(1, 90))
            across = np.stack([np.sin(angles), 0 * angles, np.cos(angles)], axis=1)
            border = np.degrees(angles[camera.sees(across)].max())
            assert 70 <= border <= 80  # facts: about 75 degrees at the horizontal border
