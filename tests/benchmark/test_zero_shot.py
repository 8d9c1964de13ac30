"""Zero-shot status: WildHands' tables column by column, other relations, and submission files."""

import builtins
from dataclasses import replace

import pytest

from hand_bench import HandBenchError, SubmissionError, TrackError
from hand_bench.tracks import INTERHAND26M
from hand_bench.zero_shot import read_submission, status, zero_shot

H2O, ASSEMBLY, EGOEXO, EPIC = "h2o/val", "assemblyhands/val", "egoexo4d/val", "epic-handkps/test"
COLUMNS = (H2O, ASSEMBLY, EGOEXO, EPIC)
ARCTIC, HANDS = ["arctic/train"], ["assemblyhands/train"]
#: The row "Training data" of Tables 1 and 2; Tables 4 and 5 repeat their models.
TRAINED = {
    H2O: ["wildhands-d"],
    ASSEMBLY: ["wildhands-d-minus-assembly"],
    EGOEXO: ["wildhands-d"],
    EPIC: ["wildhands-d-minus-epic"],
}
#: Table 3: what is added to "no aux", by row.
ADDED = {
    "no-aux": [],
    "epic-grasp": ["visor/train: grasp"],
    "epic-mask": ["visor/train: masks"],
    "epic-both": ["visor/train: masks, grasp"],
    "ego4d-grasp": ["ego4d: grasp"],
    "ego4d-mask": ["ego4d: masks"],
    "ego4d-both": ["ego4d: masks, grasp"],
}
TABLE6 = {
    "arctic": ARCTIC,
    "arctic-assembly": ARCTIC + HANDS,
    "arctic-assembly-ego4d": ["wildhands-ego4d"],
}


def column(evaluated: str) -> str:
    return evaluated.partition("/")[0]


def table3(row: str, evaluated: str) -> list[str]:
    """The 3D data of a column (AssemblyHands never in its own), and the row's aux data."""
    return ARCTIC + (HANDS if evaluated != ASSEMBLY else []) + ADDED[row]


ZERO_SHOT_CELLS = [
    *(
        pytest.param(TRAINED[evaluated], evaluated, id=f"table{table}-{column(evaluated)}")
        for table in (1, 2, 4, 5)
        for evaluated in COLUMNS
    ),
    *(
        pytest.param(table3(row, evaluated), evaluated, id=f"table3-{row}-{column(evaluated)}")
        for row in ADDED
        for evaluated in COLUMNS
        if not (row.startswith("epic") and evaluated == EPIC)
    ),
    *(
        pytest.param(training, evaluated, id=f"table6-{row}-{column(evaluated)}")
        for row, training in TABLE6.items()
        for evaluated in (H2O, EGOEXO, EPIC)
    ),
    *(
        pytest.param(["frankmocap-mix"], evaluated, id=f"table8-frankmocap-{column(evaluated)}")
        for evaluated in COLUMNS
    ),
    *(
        pytest.param(["hamer-mix"], evaluated, id=f"table8-hamer-{column(evaluated)}")
        for evaluated in (H2O, ASSEMBLY, EGOEXO)
    ),
    pytest.param(["wildhands-d"], H2O, id="table8-wildhands-h2o"),
    pytest.param([*ARCTIC, "ego4d: masks, grasp"], ASSEMBLY, id="table8-wildhands-assemblyhands"),
    pytest.param(["wildhands-d"], EGOEXO, id="table8-wildhands-egoexo4d"),
    pytest.param(["wildhands-ego4d"], EPIC, id="table8-wildhands-epic-handkps"),
]


@pytest.mark.parametrize(("training", "evaluated"), ZERO_SHOT_CELLS)
def test_what_the_paper_calls_zero_shot_is_zero_shot_under_both_rules(training, evaluated):
    found = status(training, evaluated)
    assert (found.verdict, found.wildhands) == ("zero-shot", "zero-shot")
    assert not found.rules_differ
    assert f"with {column(evaluated)}" in found.why


@pytest.mark.parametrize(
    ("training", "evaluated", "verdict"),
    [
        pytest.param(["wildhands-d"], ASSEMBLY, "in-domain", id="table1-D-on-assemblyhands"),
        pytest.param(["wildhands-d"], EPIC, "same corpus", id="table1-D-on-epic-handkps"),
        *(
            pytest.param(table3(row, EPIC), EPIC, "same corpus", id=f"table3-{row}-epic-handkps")
            for row in ADDED
            if row.startswith("epic")  # printed as a dash
        ),
        pytest.param(
            ["arctic/train: allocentric, initial weights"],
            "arctic/test",
            "in-domain",
            id="table7-wildhands",
        ),
        pytest.param(ARCTIC, "arctic/test", "in-domain", id="table7-arcticnet-sf"),
        pytest.param(["hamer-mix"], EPIC, "same corpus", id="table8-hamer-epic-handkps"),
        pytest.param(["h2o/train"], H2O, "in-domain", id="rule-h2o-on-h2o"),
        pytest.param(["epic-kitchens"], EPIC, "same corpus", id="rule-epic-on-epic-handkps"),
        pytest.param(["egoexo4d/train"], EGOEXO, "in-domain", id="rule-egoexo4d-on-egoexo4d"),
        pytest.param(HANDS, ASSEMBLY, "in-domain", id="rule-assemblyhands-on-assemblyhands"),
    ],
)
def test_what_the_paper_excludes_is_not_zero_shot_under_either_rule(training, evaluated, verdict):
    found = status(training, evaluated)
    assert (found.verdict, found.wildhands) == (verdict, "not zero-shot")


@pytest.mark.parametrize(
    "method", ["arcticoccnet", "digit-hrnet", "hmr-resnet50", "jointtransformer"]
)
def test_methods_of_table7_whose_training_is_not_stated_are_undeclared(method):
    found = status(None, "arctic/test")
    assert (found.verdict, found.wildhands) == ("undeclared", "undeclared")
    assert found.why == "no training data is declared" and not found.rules_differ


# our rule beside WildHands'


@pytest.mark.parametrize(
    ("training", "evaluated"),
    [("assembly101/train", "assemblyhands/val"), ("aria-pilot", "desktop-activities"),
     ("halpe/train", "coco-wholebody"), ("handsim-h2o", "handsim-arctic")],
)  # fmt: skip
def test_a_shared_corpus_is_zero_shot_only_under_the_laxer_rule_and_both_are_named(
    training, evaluated
):
    found = status([training], evaluated)
    assert (found.verdict, found.wildhands, found.rules_differ) == (
        "same corpus",
        "zero-shot",
        True,
    )
    assert "under the rule of WildHands (not trained on the dataset): zero-shot" in found.text()
    assert found.to_json()["rules"] == {"hand-bench": "same corpus", "wildhands": "zero-shot"}


def test_the_verdict_is_that_of_the_worst_dataset_and_names_each_that_counts():
    found = status(["arctic/train", "assembly101", "assemblyhands/train"], ASSEMBLY)
    assert found.verdict == "in-domain"
    assert found.why == (
        "trained on assembly101; assemblyhands comes from assembly101; "
        "trained on assemblyhands/train; assemblyhands/val is evaluated, another split of the "
        "same dataset: subjects disjoint, recordings disjoint"
    )


@pytest.mark.parametrize(
    ("training", "evaluated", "why"),
    [
        ("visor/train: masks, grasp", EPIC,
         "trained on visor/train (masks, grasp); epic-handkps comes from visor/val"),
        ("epic-kitchens", EPIC, "trained on epic-kitchens; epic-handkps comes from visor/val, "
         "which comes from epic-kitchens"),
        ("hint/train", EPIC, "trained on hint/train; hint and epic-handkps both come from visor"),
        ("assemblyhands/train", "assembly101",
         "trained on assemblyhands/train; assemblyhands comes from assembly101"),
        ("h2o/test", "h2o/test", "trained on h2o/test; h2o/test is what is evaluated"),
        ("h2o", "h2o/test", "trained on h2o; h2o/test is what is evaluated"),
        ("assemblyhands/manual-train", ASSEMBLY, "trained on assemblyhands/manual-train; "
         "assemblyhands/val is evaluated, another split of the same dataset: subjects disjoint, "
         "recordings disjoint (unverified)"),
        ("egoexo4d/train", "h2o", "trained on egoexo4d/train, which shares no corpus with h2o"),
    ],
)  # fmt: skip
def test_the_reason_tells_the_path_that_was_found(training, evaluated, why):
    assert status([training], evaluated).why == why


def test_a_dataset_inside_a_mix_is_named_with_the_mix_and_the_doubts_of_its_sources():
    found = status(["hamer-mix"], EPIC)
    assert "trained on hint/train (2d keypoints) in hamer-mix; hint and" in found.why
    assert found.notes[0].startswith("hamer-mix: the configuration")
    assert "note: hamer-mix: the configuration" in found.text()
    assert status(["hamer-mix"], "interhand26m").verdict == "in-domain"


def test_a_mix_that_is_unrelated_is_shown_with_its_parts():
    assert status(["wildhands-d-minus-epic"], EPIC).why == (
        "trained on wildhands-d-minus-epic [arctic/train (egocentric), "
        "assemblyhands/train (egocentric)], none of which shares a corpus with epic-handkps"
    )


def test_a_track_stands_for_its_dataset_and_split():
    for track in ("interhand26m", INTERHAND26M, "interhand26m/test"):
        assert status(["interhand26m/train"], track).evaluated == "interhand26m/test"
    assert status(["handsim"], "demo").verdict == "zero-shot"


@pytest.mark.parametrize(
    ("evaluated", "message"),
    [
        ("assemblyhand/val", "no track or dataset 'assemblyhand'.\n.*mean 'assemblyhands'"),
        ("assemblyhands/vla", "no split of assemblyhands 'vla'.\n.*mean 'val'"),
        ("hamer-mix", "no track or dataset 'hamer-mix'"),
    ],
)
def test_an_unknown_track_or_split_is_an_error_with_the_nearest_one(evaluated, message):
    with pytest.raises(TrackError, match="HB301 there is " + message):
        status(["arctic"], evaluated)


def test_a_track_of_a_dataset_without_lineage_is_an_error():
    with pytest.raises(TrackError, match="HB301 mine: the lineage of its dataset 'new'"):
        status(["arctic"], replace(INTERHAND26M, name="mine", dataset="new"))


# submission files


def submission(tmp_path, text):
    path = tmp_path / "submission.yaml"
    path.write_text(text, "utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("training:\n- arctic/train\n- visor/train: masks, grasp\n",
         ["arctic/train", "visor/train: masks, grasp"]),
        ("training:\n- 'visor/train: masks'\n- ego4d:\n", ["visor/train: masks", "ego4d"]),
        ("training:\n  visor/train: [masks, grasp]\n  arctic/train:\n",
         ["visor/train: masks, grasp", "arctic/train"]),
        ("training: hamer-mix\n", ["hamer-mix"]),
        ("training: []\n", []),
        ("training:\n", None),
        ("name: mine\n", None),
    ],
)  # fmt: skip
def test_training_is_read_in_every_form_that_yaml_makes_of_it(tmp_path, text, lines):
    path = submission(tmp_path, text)
    assert read_submission(path) == lines
    assert (zero_shot(path, "h2o/val").verdict == "undeclared") == (not lines)


def test_a_file_and_its_lines_get_the_same_verdict(tmp_path):
    path = submission(tmp_path, "training:\n- visor/train: masks, grasp\n")
    assert zero_shot(path, EPIC) == zero_shot(["visor/train: masks, grasp"], EPIC)
    assert zero_shot(str(path), EPIC).verdict == "same corpus"
    assert zero_shot(None, EPIC).verdict == "undeclared"


def test_unknown_names_of_a_file_are_all_shown_with_the_file(tmp_path):
    path = submission(tmp_path, "training: [arctik/train, h2o/tst]\n")
    with pytest.raises(SubmissionError) as error:
        zero_shot(path, "h2o/val")
    assert [problem.where for problem in error.value.problems] == [str(path)] * 2
    assert "submission.yaml: there is no training dataset 'arctik'." in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("training: [a: b: c", "HB402 .*submission.yaml: cannot be read"),
        ("training: !!python/object/apply:os.getcwd []", "HB402"),
        ("[" * 5000, "HB402"),
        ("- arctic/train\n", "HB113 .* is not a YAML mapping"),
        ("training: [12]\n", "HB113 .*training names '12', which is not a line of text"),
        ("training: [arctic: {a: 1}]\n", "HB113 .*not a line of text"),
        ("training: [[arctic]]\n", "HB113 .*not a line of text"),
    ],
    ids=["broken", "object", "nested", "list", "number", "mapping", "list-of-lists"],
)
def test_a_bad_file_is_an_error_that_says_where(tmp_path, text, message):
    with pytest.raises(SubmissionError, match=message):
        read_submission(submission(tmp_path, text))


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(SubmissionError, match=r"HB402 .*none\.yaml: cannot be read"):
        read_submission(tmp_path / "none.yaml")


def test_without_pyyaml_the_error_says_what_to_install(tmp_path, monkeypatch):
    real = builtins.__import__

    def without_yaml(name, *args, **kwargs):
        if name == "yaml":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_yaml)
    with pytest.raises(HandBenchError, match=r"HB401 .*needs PyYAML\.\n.*pip install pyyaml"):
        read_submission(submission(tmp_path, "training: []\n"))
