"""A package of somebody else adds a track and a dataset through entry points."""

import sys

import pytest

from benchmark.conftest import as_arrays
from hand_bench import DatasetError, TrackError, data, evaluate
from hand_bench.cli import main
from hand_bench.skeleton_world import SkeletonWorld, write_interhand26m

MODULE = """
from dataclasses import replace
from hand_bench.data import Dataset
from hand_bench.tracks import DEMO

OURS = replace(DEMO, name="ours", title="Our own track", dataset="our-data")
DATA = Dataset("our-data", ("test",), "hand_bench.readers.interhand26m", official_counts=False)
WRONG = 7
"""
ENTRY_POINTS = """
[hand_bench.tracks]
ours = our_track:OURS
wrong = our_track:WRONG
[hand_bench.datasets]
our-data = our_track:DATA
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    folder = tmp_path / "site"
    info = folder / "our_track-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / "our_track.py").write_text(MODULE)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: our-track\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    monkeypatch.syspath_prepend(folder)
    yield
    sys.modules.pop("our_track", None)


def test_another_packages_dataset_is_prepared_and_its_track_scored(package, tmp_path, home):
    from benchmark import plain_interhand26m as plain
    from benchmark.conftest import World

    write_interhand26m(
        tmp_path / "root", SkeletonWorld(captures=1, sequences=4, cameras=2, frames=6)
    )
    data.prepare("our-data", tmp_path / "root", split="test")
    samples = plain.load_samples(tmp_path / "root", "test")
    arrays = as_arrays(World(tmp_path, home, samples).predictions())
    result = evaluate(arrays, track="ours", resamples=0)
    assert result.track["name"] == "ours" and result.primary.value > 0


def test_another_packages_track_is_listed_and_described(package, capsys):
    main(["tracks", "show", "ours"])
    assert "Our own track" in capsys.readouterr().out
    main(["tracks", "ls"])
    out, err = capsys.readouterr()
    assert "Our own track" in out and "interhand26m" in out
    assert err == (
        "HB301 entry point 'wrong' of hand_bench.tracks: our_track:WRONG is int.\n"
        "      It must be a Track whose name is 'wrong'.\n"
    )


def test_names_of_other_packages_are_among_the_known_ones(package):
    with pytest.raises(TrackError, match=r"Known: interhand26m, .*ours"):
        evaluate({}, track="our")
    with pytest.raises(DatasetError, match=r"Did you mean 'our-data'\?"):
        data.find_dataset("our-dat")
