"""What the tests of the baselines share: one thread, and the worked example of InterHand2.6M."""

from types import SimpleNamespace

import numpy as np
import pytest

from hand_bench import data
from hand_bench.annotations import Annotations
from hand_bench.skeleton_world import SkeletonWorld, write_interhand26m
from hand_bench.tracks import find_track

WORLD = SkeletonWorld(captures=2, sequences=4, cameras=2, frames=8, human_captures=1, seed=3)


try:
    import torch
except ImportError:  # the floors and the result files need none
    torch = None


@pytest.fixture(autouse=True)
def _one_thread():
    """Tests share the machine, and small tensors gain nothing from more threads."""
    if torch is None:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def example() -> SimpleNamespace:
    """Annotation 326750 of the four public samples: wrists, one fingertip, boxes (facts 6.1)."""
    return SimpleNamespace(
        K=np.array([[1261.52917, 0, 155.81636], [0, 1261.68457, 258.83060], [0, 0, 1]]),
        size=(334, 512),
        bbox=np.array([33.56839, 164.92374, 185.05786, 142.72566]),
        square=np.array([10.43616, 120.62540, 231.32233, 231.32233]),
        right_wrist=np.array([-94.0814, -15.1116, 1111.0215]),
        left_wrist=np.array([34.7173, 1.3969, 1168.8142]),
        right_thumb_tip=np.array([20.7866, -67.1274, 1146.4671]),
        right_wrist_2d=np.array([48.9899, 241.6697]),
        left_wrist_2d=np.array([193.2876, 260.3385]),
        right_thumb_tip_2d=np.array([178.6891, 184.9570]),
    )


@pytest.fixture(scope="session")
def _prepared(tmp_path_factory):
    root, home = tmp_path_factory.mktemp("official"), tmp_path_factory.mktemp("home")
    write_interhand26m(root, WORLD)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HAND_BENCH_HOME", str(home))
        data.prepare("demo", root, split="test")
    return home


@pytest.fixture
def skeleton_track(_prepared, monkeypatch) -> Annotations:
    """A prepared track "demo" without pictures: its annotations."""
    monkeypatch.setenv("HAND_BENCH_HOME", str(_prepared))
    return data.open_annotations(find_track("demo"), None)


@pytest.fixture(scope="session")
def _mini_home(tmp_path_factory):
    from hand_bench.sim.making import make

    home = tmp_path_factory.mktemp("worlds")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HAND_BENCH_HOME", str(home))
        make("handsim-interhand26m", size="mini", workers=1)
    return home


@pytest.fixture
def mini_world(_mini_home, monkeypatch):
    """The data folder with HandSim's look-alike of InterHand2.6M, size mini."""
    monkeypatch.setenv("HAND_BENCH_HOME", str(_mini_home))
    return _mini_home


@pytest.fixture
def tiny_preset(monkeypatch):
    """A preset "tiny" of InterNet: a network of milliseconds."""
    from hand_baselines.internet import config

    tiny = config.InterNetConfig(
        18, 0.125, input_size=32, bins=8, hidden=8, branch_hidden=16, sigma=1.0
    )
    monkeypatch.setitem(config.PRESETS, "tiny", tiny)
    return tiny


@pytest.fixture(scope="session")
def _clips_home(tmp_path_factory):
    from hand_bench.sim.making import make

    home = tmp_path_factory.mktemp("videos")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HAND_BENCH_HOME", str(home))
        for world in ("handsim-h2o-pose", "handsim-fpha-pose"):
            make(world, size="mini", workers=1)
    return home


@pytest.fixture
def mini_clips(_clips_home, monkeypatch):
    """The data folder with HandSim's look-alikes of H2O and FPHA, size mini."""
    monkeypatch.setenv("HAND_BENCH_HOME", str(_clips_home))
    return _clips_home


@pytest.fixture
def tiny_htt(monkeypatch):
    """Presets "tiny" and "tiny-fpha" of HTT: a network of milliseconds."""
    from dataclasses import replace

    from hand_baselines.htt import config

    tiny = config.HTTConfig(
        width=0.125,
        picture_size=(64, 36),
        pooling="flat",
        reduced=4,
        tokens=16,
        heads=2,
        layers=1,
        feedforward=16,
        window=4,
        clip=16,
        offsets=4,
        chunk=8,
        checkpoint=False,
    )
    monkeypatch.setitem(config.PRESETS, "tiny", tiny)
    monkeypatch.setitem(config.PRESETS, "tiny-fpha", replace(tiny, taxonomy="fpha"))
    return tiny


@pytest.fixture(scope="session")
def _view_home(tmp_path_factory):
    from baselines.view_world import write_world

    home = tmp_path_factory.mktemp("views")
    write_world(home)
    return home


@pytest.fixture
def view_world(_view_home, monkeypatch):
    """The data folder with a small recording by several cameras (see `view_world`)."""
    monkeypatch.setenv("HAND_BENCH_HOME", str(_view_home))
    return _view_home


@pytest.fixture(scope="session")
def _wild_home(tmp_path_factory):
    from hand_bench.sim.making import make

    home = tmp_path_factory.mktemp("wild")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HAND_BENCH_HOME", str(home))
        for world in ("handsim-arctic-ego", "handsim-epic-handkps", "handsim-ego4d"):
            make(world, size="mini", workers=1)
    return home


@pytest.fixture
def wild_worlds(_wild_home, monkeypatch):
    """The data folder with HandSim's look-alikes of ARCTIC, Epic-HandKps and Ego4D, size mini."""
    monkeypatch.setenv("HAND_BENCH_HOME", str(_wild_home))
    return _wild_home


@pytest.fixture
def tiny_wild(monkeypatch):
    """Presets "tiny" of WildHands' whole family: networks of milliseconds."""
    import importlib
    from dataclasses import replace

    sizes = {
        **dict.fromkeys(
            ("wildhands", "handnet", "arcticnet"),
            {"width": 0.125, "input_size": 64, "padding": (1, 1), "hidden": 32, "head": 32}
            | {"channels": (16, 16, 16), "grasp": (16,)},
        ),
        "handoccnet": {"width": 0.125, "input_size": 64, "channels": 8, "hidden": (32, 16)},
        "hamer": {"input_size": 64, "width": 24, "layers": 1, "heads": 2, "query": 16}
        | {"decoder_layers": 1, "decoder_heads": 2, "head_width": 8, "decoder_mlp": 16},
    }
    sizes["handoccnet"] |= {"halvings": 2}
    for name, changes in sizes.items():
        config = importlib.import_module(f"hand_baselines.{name}.config")
        made = replace(config.PRESETS["small"], mask_size=32, **changes)
        monkeypatch.setitem(config.PRESETS, "tiny", made)
