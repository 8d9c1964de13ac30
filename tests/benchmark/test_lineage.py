"""The lineage of datasets: guards over the data, and how declared names are read."""

from graphlib import TopologicalSorter

import pytest

from hand_bench import SubmissionError, lineage
from hand_bench.lineage import TrainingData, ancestors, corpus_of, parse_training
from hand_bench.tracks import TRACKS

DATASETS, MIXES = lineage.load().datasets, lineage.load().mixes


def facts(entry):
    """The entry itself and every statement inside it."""
    inner = [
        fact for name in ("parents", "splits", "separations", "parts")
        for fact in getattr(entry, name, ())
    ]  # fmt: skip
    return [entry, *inner]


# guards over the data


@pytest.mark.parametrize("name", [*DATASETS, *MIXES])
def test_every_fact_has_a_source(name):
    for fact in facts({**DATASETS, **MIXES}[name]):
        assert fact.source.strip() and isinstance(fact.verified, bool)


def test_names_are_unique_lower_case_and_can_be_declared():
    names = lineage.known_names()
    assert len(set(names)) == len(names) == len(DATASETS) + len(MIXES)
    for name in names:
        assert parse_training(name) == TrainingData(name)


def test_every_parent_exists_with_its_split_and_no_line_is_a_circle():
    graph = {d.name: {parent.name for parent in d.parents} for d in DATASETS.values()}
    assert {name for names in graph.values() for name in names} <= set(graph)
    assert set(TopologicalSorter(graph).static_order()) == set(graph)
    for parent in (p for d in DATASETS.values() for p in d.parents if p.split):
        assert parent.split in {s.name for s in DATASETS[parent.name].splits}


def test_separations_are_of_two_known_splits_and_say_something_once():
    for dataset in DATASETS.values():
        known = {split.name for split in dataset.splits}
        assert len(known) == len(dataset.splits)
        pairs = [frozenset(s.between) for s in dataset.separations]
        assert len(set(pairs)) == len(pairs)
        for separation in dataset.separations:
            assert set(separation.between) <= known and len(set(separation.between)) == 2
            assert {separation.subjects, separation.recordings} <= {"shared", "disjoint", None}
            assert separation.text()


@pytest.mark.parametrize("mix", MIXES)
def test_parts_of_a_mix_are_known_datasets_and_no_mixes(mix):
    parts = lineage.parts_of(mix)
    assert len({part.dataset for part in parts}) == len(parts) > 1
    for part in MIXES[mix].parts:
        assert part.training.dataset in DATASETS
        name, used = part.training.dataset, part.training.split
        assert used is None or parse_training(f"{name}/{used}").split == used


@pytest.mark.parametrize("track", TRACKS)
def test_every_track_has_a_lineage_with_its_split(track):
    found = lineage.require(TRACKS[track].dataset)
    assert not found.splits or TRACKS[track].split in {split.name for split in found.splits}


# relations


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("assemblyhands", ("assemblyhands", "assembly101")),
        ("epic-handkps", ("epic-handkps", "visor", "epic-kitchens")),
        ("desktop-activities", ("desktop-activities", "aria-pilot")),
        ("coco-wholebody", ("coco-wholebody", "mscoco")),
        ("h2o", ("h2o",)),
    ],
)
def test_ancestors_from_the_nearest_to_the_corpus(name, line):
    assert ancestors(name) == line
    assert corpus_of(name) == line[-1:]


def test_a_dataset_of_several_corpora_has_all_of_them():
    assert set(corpus_of("hint")) == {"ego4d", "epic-kitchens", "mscoco", "articulation3d"}


def test_names_that_look_alike_are_different_corpora():
    for one, other in (("ego4d", "egoexo4d"), ("h2o", "h2o3d"), ("arctic", "articulation3d")):
        assert not set(corpus_of(one)) & set(corpus_of(other))


def test_look_alikes_of_handsim_come_from_handsim_and_not_from_the_real_dataset():
    assert corpus_of("handsim-assemblyhands") == corpus_of("handsim-h2o-pose") == ("handsim",)
    assert lineage.find("handsim-nothing") is None and lineage.find("handsimassemblyhands") is None


@pytest.mark.parametrize(
    ("dataset", "one", "other", "shared"),
    [
        ("assemblyhands", "test", "train", "subjects shared, recordings disjoint"),
        ("assemblyhands", "val", "train", "subjects disjoint, recordings disjoint"),
        ("h2o", "train", "val", "subjects shared, recordings disjoint"),
        ("arctic", "train", "test", "subjects disjoint, recordings disjoint"),
        ("egoexo4d", "val", "train", "recordings disjoint"),
        ("rhd", "training", "evaluation", None),
    ],
)
def test_splits_know_what_they_share_in_either_order(dataset, one, other, shared):
    for pair in ((one, other), (other, one)):
        found = DATASETS[dataset].separation(*pair)
        assert (found.text() if found else None) == shared


def test_hamer_and_frankmocap_have_the_parts_that_their_authors_name():
    hamer = {part.dataset for part in lineage.parts_of("hamer-mix")}
    lab = {"freihand", "interhand26m", "mtc", "rhd", "ho3d", "h2o3d", "dexycb"}
    assert hamer == lab | {"coco-wholebody", "halpe", "mpii-nzsl"} | {"hint"}
    frankmocap = {part.dataset for part in lineage.parts_of("frankmocap-mix")}
    assert frankmocap == {"freihand", "ho3d", "mtc", "stb", "rhd"}
    assert "six" in MIXES["frankmocap-mix"].note and "HInt" in MIXES["hamer-mix"].note


def test_being_related_is_symmetric():
    pairs = {
        ("visor", "epic-handkps"): True,
        ("hint", "hands23"): True,
        ("ego4d", "egoexo4d"): False,
    }
    for (one, other), related in pairs.items():
        assert bool(lineage.shared_recordings(one, other)) == related
        assert bool(lineage.shared_recordings(other, one)) == related


# declared lines


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("arctic", TrainingData("arctic")),
        ("arctic/train", TrainingData("arctic", "train")),
        ("visor/train: masks, grasp", TrainingData("visor", "train", ("masks", "grasp"))),
        (" ARCTIC / Train :3D pose,", TrainingData("arctic", "train", ("3D pose",))),
        ("ego4d: masks", TrainingData("ego4d", None, ("masks",))),
        ("freihand/any", TrainingData("freihand", "any")),
        ("hamer-mix: initial weights", TrainingData("hamer-mix", None, ("initial weights",))),
    ],
)
def test_a_declared_line_is_taken_apart(text, expected):
    assert parse_training(text) == expected


def test_a_declared_line_prints_as_it_is_read():
    for text in ("arctic", "arctic/train", "visor/train (masks, grasp)", "ego4d (masks)"):
        assert str(parse_training(text.replace(" (", ": ").replace(")", ""))) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "arctik/train",
            "HB113 there is no training dataset 'arctik'.\n      Did you mean 'arctic'?",
        ),
        ("", "HB113 there is no training dataset ''"),
        (
            "arctic/trainn",
            "HB113 there is no split of arctic 'trainn'.\n      Did you mean 'train'?",
        ),
        ("rhd/train", "Did you mean 'training'"),
        ("freihand/", "there is no split of freihand ''"),
        ("hamer-mix/train", "hamer-mix is a mix and has no split 'train'"),
    ],
)
def test_an_unknown_name_is_an_error_with_the_nearest_one(text, message):
    with pytest.raises(SubmissionError) as error:
        parse_training(text)
    assert message in str(error.value)


def test_the_problems_of_all_lines_are_raised_together():
    with pytest.raises(SubmissionError) as error:
        lineage.parse_all(["arctik", "arctic/train", "h2o/tst"])
    assert [p.code for p in error.value.problems] == ["HB113", "HB113"]


def test_an_unknown_mix_is_an_error():
    with pytest.raises(SubmissionError, match=r"no training mix 'hamer'\.\n.*'hamer-mix'"):
        lineage.parts_of("hamer")
