"""Tracks: values that fit together, and the val split scored like the test split."""

import pytest

from benchmark import plain_interhand26m as plain
from benchmark.conftest import World, as_arrays, as_float32
from hand_bench import data, evaluate
from hand_bench.errors import TrackError
from hand_bench.skeleton_world import SkeletonWorld, write_interhand26m
from hand_bench.tracks import TRACKS


@pytest.mark.parametrize("track", TRACKS.values(), ids=lambda t: t.name)
def test_a_track_is_ranked_by_a_score_that_it_prints(track):
    primary = track.primary
    measures = track.protocol(primary.protocol).measures
    assert any(m.metric == primary.metric and primary.subset in subsets for m, subsets in measures)
    assert track.subset(primary.subset).where == {} and not track.subset(primary.subset).side


@pytest.mark.parametrize("track", TRACKS.values(), ids=lambda t: t.name)
def test_subsets_use_strata_columns_and_inputs_have_values(track):
    assert {c for s in track.subsets for c in s.where} <= set(track.strata)
    assert all(values for values in track.inputs.values())
    assert track.dataset in data.DATASETS and track.table in data.DATASETS[track.dataset].splits


def test_unknown_protocols_and_subsets_name_the_known_ones():
    with pytest.raises(TrackError, match="HB301 there is no subset of demo 'XX'"):
        TRACKS["demo"].subset("XX")


def test_the_val_split_is_scored_as_the_official_scorer_does(tmp_path, home):
    world = SkeletonWorld(captures=1, sequences=4, cameras=2, frames=8, seed=2)
    write_interhand26m(tmp_path, world, split="val")
    data.prepare("interhand26m", tmp_path, split="val")
    samples = plain.load_samples(tmp_path, "val")
    predictions = as_float32(World(tmp_path, home, samples).predictions(seed=3))
    result = evaluate(as_arrays(predictions), track="interhand26m-val", resamples=0)
    expected = plain.official(samples, predictions)["mpjpe"]
    for subset in ("SH", "IH", "all"):
        value = result.score("MPJPE", subset, "official").value
        assert value == pytest.approx(expected[subset], rel=1e-6)
    assert {s.subset for s in result} == {"SH", "IH", "all"}
    assert result.partial == "the annotations are a partial copy"
