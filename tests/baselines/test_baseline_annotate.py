"""`hand-bench annotate`: perfect points give the joints back; what does not fit is refused."""

# ruff: noqa: E402 (what follows the check needs torch)

import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: .[baselines]")

from baselines import view_world as world
from hand_baselines import annotate_commands, view_curve
from hand_baselines.annotating import annotate_points
from hand_baselines.triangulation import projections, reproject
from hand_bench import data
from hand_bench.errors import BaselineError, DatasetError, HandBenchError
from hand_bench.joint_sets import HAND_SIDES

TRUTH = world.hands("test")


def write_points(path, *, off: float = 0.0, names=world.NAMES) -> None:
    """Write where the cameras see HandSim's joints; with `off` each is wrong in its own way."""
    rows = []
    for k, camera in enumerate(c for c in world.cameras() if c.name in names):
        for n, frame in enumerate(world.FRAMES):
            for s, side in enumerate(HAND_SIDES):
                points = camera.project_world(TRUTH[n, s]) + off * (-1) ** k * (1 + k)
                row = {"camera": camera.name, "frame": frame, "hand_side": side}
                rows.append(row | {"joints_2d": points.ravel().tolist()})
    pq.write_table(pa.Table.from_pylist(rows), path)


def write_boxes(path) -> None:
    lines = ["camera,frame,hand_side,bbox_0,bbox_1,bbox_2,bbox_3"]
    for camera in world.cameras():
        for n, frame in enumerate(world.FRAMES):
            for side, box in zip(HAND_SIDES, world.boxes_of(camera, TRUTH[n]), strict=True):
                numbers = ",".join(f"{value:.3f}" for value in box)
                lines.append(f"{camera.name},{frame},{side},{numbers}")
    path.write_text("\n".join(lines), "utf-8")


def annotate(*arguments) -> None:
    annotate_commands.app([str(argument) for argument in arguments])


def test_perfect_points_on_the_official_calibration_give_the_joints_back(tmp_path, capsys):
    points, rig = tmp_path / "points.parquet", world.write_nimble(tmp_path / "rig.json")
    write_points(points)
    out = tmp_path / "annotations.parquet"
    annotate("--points", points, "--rig", rig, "--sequence", "desk", "-o", out, "--json")
    said = json.loads(capsys.readouterr().out)
    assert said["hands"] == 8 and said["valid joints"] == 1.0
    assert said["median reprojection error, px"] < 0.01
    for row in pq.read_table(out).to_pylist():
        n, s = world.FRAMES.index(row["frame"]), HAND_SIDES.index(row["hand_side"])
        error = np.linalg.norm(np.reshape(row["joints"], (21, 3)) - TRUTH[n, s], axis=1)
        assert error.max() < 0.1 and row["views"] == [5] * 21 and row["confidence"] == [1.0] * 21


def test_what_is_written_is_a_dataset(tmp_path, home):
    points = tmp_path / "points.parquet"
    write_points(points)
    root = tmp_path / "mine"
    (root / "nimble_json_calib").mkdir(parents=True)
    rig = world.write_nimble(root / "nimble_json_calib" / "desk.json")
    out = root / "annotations.parquet"
    annotate("--points", points, "--rig", rig, "--sequence", "desk", "-o", out)
    data.prepare("desktop-activities", root, split="test")
    opened = data.open_annotations(data_track("desktop-activities"), None)
    assert opened.rows == len(world.FRAMES) and opened.views().rows == 5 * len(world.FRAMES)


def data_track(name: str):
    from hand_bench.tracks import find_track

    return find_track(name)


def test_the_real_calibration_of_assemblyhands(tmp_path):
    from conftest import REAL

    folder = REAL / "assemblyhands" / "calib"
    if not folder.is_dir():
        pytest.skip("the real calibrations (shared/real) are not beside the repository")
    from hand_bench.calibration import read_nimble

    for rig in sorted(folder.glob("*.json")):
        exo = [camera for camera in read_nimble(rig) if camera.parent == "world"]
        rows = []
        joints = TRUTH[0, 0] + [85, 195, 83]
        for camera in exo:
            points = camera.project_world(joints)
            row = {"camera": camera.name, "frame": 0, "hand_side": "right"}
            rows.append(row | {"joints_2d": points.ravel().tolist()})
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / "points.parquet")
        (found,) = annotate_points(tmp_path / "points.parquet", rig)
        assert len(exo) == 8 and found.valid.all()
        assert np.linalg.norm(found.joints - joints, axis=1).max() < 0.05


def test_a_canonical_table_is_a_calibration_too(view_world, tmp_path):
    write_points(tmp_path / "points.parquet")
    rig = view_world / world.WORLD / "annotation-test" / "views.parquet"
    found = annotate_points(tmp_path / "points.parquet", rig)
    truth = TRUTH.reshape(-1, 21, 3)
    assert np.abs(np.stack([one.joints for one in found]) - truth).max() < 0.1


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A folder of untrained weights of either model."""
    from hand_baselines.models import find_model
    from hand_baselines.weights import save_weights

    root = tmp_path_factory.mktemp("weights")
    for name in ("keypoints2d", "mvexonet"):
        torch.manual_seed(0)
        model = find_model(name)
        network = model.network_class()(model.preset("small"))
        save_weights(root / name, model, "small", network, {})
    return root


@pytest.fixture
def folders(view_world, tmp_path):
    """A folder of pictures for each camera."""
    root = tmp_path / "pictures"
    shutil.copytree(view_world / world.WORLD / "images" / "test", root)
    return [root / name for name in world.NAMES]


def test_pictures_of_a_folder_for_each_camera(folders, weights, tmp_path, capsys):
    rig, out = world.write_nimble(tmp_path / "rig.json"), tmp_path / "a.parquet"
    boxes = tmp_path / "boxes.csv"
    write_boxes(boxes)
    more = ("--boxes", boxes, "--rounds", 1, "-o", out)
    annotate(*folders, "--rig", rig, "--weights", weights / "mvexonet", *more)
    rows = pq.read_table(out).to_pylist()
    found = np.array([row["joints"] for row in rows]).reshape(-1, 21, 3)
    # An untrained network says the middle of its volume: that is where the boxes meet.
    assert len(rows) == 8 and np.abs(found - TRUTH.reshape(-1, 21, 3)).max() < 200
    assert rows[0]["views"] == [5] * 21


def test_a_table_names_its_pictures_and_boxes(view_world, weights, tmp_path, capsys):
    root, out = view_world / world.WORLD, tmp_path / "a.parquet"
    rig = root / "annotation-test" / "views.parquet"
    more = ("--weights", weights / "mvexonet", "--rounds", 1, "-o", out)
    annotate(root, "--rig", rig, *more)
    assert "not measured" in capsys.readouterr().out
    rows = pq.read_table(out).to_pylist()
    found = np.array([row["joints"] for row in rows]).reshape(-1, 21, 3)
    assert len(rows) == 8 and np.abs(found - TRUTH.reshape(-1, 21, 3)).max() < 300


def refused(folders, rig, weights, *more) -> str:
    with pytest.raises(HandBenchError) as caught:
        annotate(*folders, "--rig", rig, "--weights", weights / "keypoints2d", *more)
    return str(caught.value)


def test_missing_and_wrong_calibrations_are_refused(folders, weights, tmp_path):
    rig = world.write_nimble(tmp_path / "rig.json")
    assert "HB202" in refused(folders, tmp_path / "none.json", weights)
    (tmp_path / "bad.json").write_text("{", "utf-8")
    assert "HB203" in refused(folders, tmp_path / "bad.json", weights)
    said = refused([*folders[:2], f"C99999_rgb={folders[2]}"], rig, weights)
    assert "HB208" in said and "C99999_rgb" in said and "C10118_rgb" in said
    said = refused([*folders[:2], f"HMC_21110305={folders[2]}"], rig, weights)
    assert "HB208" in said and "headset" in said
    rig.write_text(rig.read_text("utf-8").replace('"ImageSizeX": 192', '"ImageSizeX": 320'))
    said = refused(folders, rig, weights)
    assert said.count("HB204") == 5 and "192 x 108 pixels" in said and "320 x 108" in said


def test_missing_and_unsynchronised_views_are_refused(folders, weights, tmp_path):
    rig = world.write_nimble(tmp_path / "rig.json")
    assert "one view says nothing about depth" in refused(folders[:1], rig, weights)
    assert "no such folder" in refused([*folders[:2], tmp_path / "C10118_rgb"], rig, weights)
    (folders[1] / "000006.png").unlink()
    said = refused(folders, rig, weights)
    assert "C10115_rgb: lacks 1 of 4 instants, e.g. frame 6" in said and "--missing" in said
    for k, folder in enumerate(folders):
        for path in sorted(folder.glob("*.png"), reverse=True):
            path.rename(folder / f"{int(path.stem) + 100 * k:06d}.png")
    assert "not synchronised" in refused(folders, rig, weights)


def test_points_that_contradict_the_calibration_are_refused(tmp_path):
    rig = world.write_nimble(tmp_path / "rig.json")
    write_points(tmp_path / "points.parquet", off=40.0)
    with pytest.raises(DatasetError, match=r"of the points agree .*\n.*another recording"):
        annotate_points(tmp_path / "points.parquet", rig)


def test_one_view_that_lacks_is_no_harm(tmp_path):
    rig = world.write_nimble(tmp_path / "rig.json")
    write_points(tmp_path / "points.parquet", names=world.NAMES[1:])
    found = annotate_points(tmp_path / "points.parquet", rig)
    assert all((one.views == 4).all() and one.valid.all() for one in found)


def test_either_weights_or_points(tmp_path):
    rig = world.write_nimble(tmp_path / "rig.json")
    with pytest.raises(BaselineError, match="Give --weights or --points"):
        annotate("--rig", rig, "-o", tmp_path / "a.parquet")


def noisy(rng, cameras: int = 5) -> view_curve.Seen:
    rig = world.cameras()[:cameras]
    P = projections(np.stack([c.K for c in rig]), np.stack([c.T_world_from_camera for c in rig]))
    joints = TRUTH.reshape(-1, 21, 3)
    points = reproject(joints, P) + rng.normal(0, 1, (8, cameras, 21, 2))
    whole = np.tile(P, (8, 1, 1, 1))
    return view_curve.Seen(points, np.ones((8, cameras, 21)), whole, joints, np.ones((8, 21), bool))


def test_more_views_are_better_and_vary_less():
    seen = noisy(np.random.default_rng(0))
    points = view_curve.curve(seen, draws=10, method="algebraic")
    assert [p.views for p in points] == [2, 3, 4, 5]
    assert [p.draws for p in points] == [10, 10, 10, 1] and points[-1].deviation == 0
    errors = [p.error for p in points]
    assert errors == sorted(errors, reverse=True) and all(p.found == 1 for p in points)
    assert points == view_curve.curve(seen, draws=10, method="algebraic")


def test_a_curve_is_written_as_table_and_picture(view_world, weights, tmp_path, capsys):
    csv, png = tmp_path / "curve.csv", tmp_path / "curve.png"
    more = ("--draws", 2, "--limit", 1, "-o", csv, "-o", png)
    annotate("curve", weights / "keypoints2d", "--track", world.TRACK, *more)
    lines = csv.read_text("utf-8").splitlines()
    assert lines[0] == "views,draws,error,deviation,found" and len(lines) == 5
    assert png.read_bytes().startswith(b"\x89PNG") and "joints found" in capsys.readouterr().out


def test_a_curve_needs_the_2d_network_and_several_views(view_world, weights):
    with pytest.raises(BaselineError, match="is a mvexonet"):
        annotate("curve", weights / "mvexonet", "--track", world.TRACK)
    with pytest.raises(BaselineError, match="hands of several views"):
        annotate("curve", weights / "keypoints2d", "--track", "handsim-assemblyhands")
