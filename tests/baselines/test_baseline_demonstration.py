"""A model on one picture: what it says, what is drawn, what a user gets wrong."""

# ruff: noqa: E402 (what follows the check needs torch)

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: .[baselines]")
Image = pytest.importorskip("PIL.Image", reason="pillow is not installed: .[sim]")

from hand_baselines.commands import app
from hand_baselines.demonstration import Found, look
from hand_baselines.models import find_model
from hand_baselines.weights import load_weights, save_weights
from hand_bench.errors import BaselineError, DatasetError
from hand_bench.geometry import project


@pytest.fixture
def tiny(tiny_preset, tmp_path):
    torch.manual_seed(0)
    model = find_model("internet")
    network = model.network_class()(tiny_preset)
    save_weights(tmp_path / "tiny", model, "tiny", network, {"root_depth": [500.0, 600.0]})
    return tmp_path / "tiny"


@pytest.fixture
def picture(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "hands.jpg")
    return tmp_path / "hands.jpg"


def run(*arguments) -> None:
    app([str(part) for part in arguments])


def test_hands_are_found_in_their_box(tiny, picture):
    camera = (100.0, 110.0, 40.0, 30.0)
    one, two = look(
        load_weights(tiny),
        picture,
        camera=camera,
        boxes=[("", (10, 10, 20, 20)), ("", (50, 30, 20, 20))],
    )
    assert one.joints.shape == (2, 21, 3) and (one.scores <= 1).all()
    K = np.array([[100.0, 0, 40], [0, 110, 30], [0, 0, 1]])
    for found, low, high in ((one, 7, 33), (two, 27, 73)):
        wrist = project(found.joints[None, :, 0].astype(float), K[None])[0]
        assert ((wrist >= low) & (wrist <= high)).all()
        assert np.abs(found.joints[:, 0, 2] - [500, 600]).max() < 250


def test_depths_follow_the_camera_that_is_assumed(tiny, picture):
    (found,) = look(load_weights(tiny), picture)
    assert found.boxes.tolist() == [[0, 0, 80, 60]]
    assert found.line().startswith("right hand ")
    sure = Found(found.boxes, found.joints, np.array([0.9, 0.1]))
    away = round(float(found.joints[0, 0, 2]) / 10)
    assert sure.line() == f"right hand 90%, wrist {away} cm away; left hand 10%"


def test_the_command_draws_and_says_what_it_found(tiny, picture, tmp_path, capsys):
    out = tmp_path / "out.png"
    run("demo", tiny, picture, "-o", out, "--camera", "100,100,40,30", "--boxes", "5,5,40,40")
    first, last = capsys.readouterr().out.splitlines()
    assert first.startswith("right ") and last == str(out)
    with Image.open(out) as drawn:
        assert drawn.width > 600 and len(np.unique(np.asarray(drawn))) > 50


def test_what_is_no_camera_box_or_picture_is_named(tiny, picture, tmp_path):
    for given, what in (
        (("--camera", "100,100"), r"HB302 --camera: 100,100 is no camera"),
        (("--camera", "a,b,c,d"), r"HB302 --camera: 'a,b,c,d' is none"),
        (("--boxes", "1,2,0,4"), r"HB302 --boxes: 1,2,0,4 is no box"),
        (("--boxes", "write:1,2,3,4"), r"HB302 --boxes: 'write' is no hand"),
        (("--boxes", "left:1,2,3,4"), r"HB302 --boxes: internet looks at both hands in one box"),
    ):
        with pytest.raises(BaselineError, match=what):
            run("demo", tiny, picture, "-o", tmp_path / "out.png", *given)
    with pytest.raises(DatasetError, match="HB202"):
        run("demo", tiny, tmp_path / "nothing.jpg")
    (tmp_path / "text.jpg").write_text("no picture")
    with pytest.raises(DatasetError, match="HB203"):
        run("demo", tiny, tmp_path / "text.jpg")
