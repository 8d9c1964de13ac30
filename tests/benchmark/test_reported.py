"""Reported numbers: guards over the data, spot checks per paper, and where a score would stand."""

from dataclasses import replace

import numpy as np
import pytest

from hand_bench import lineage
from hand_bench import reported as module
from hand_bench.reported import as_rows, reported, standing
from hand_bench.results import Score
from hand_bench.tracks import TRACKS

KNOWN_TRACKS = {
    "interhand26m", "interhand26m-val", "assemblyhands", "assemblyhands-test",
    "assemblyhands-two-hand", "assemblyhands-annotation", "assemblyhands-verbs",
    "desktop-activities", "h2o-pose", "h2o-pose-val", "h2o-action", "h2o-action-val", "fpha-pose",
    "fpha-action", "arctic-ego", "arctic-ego-test", "arctic-allo", "egoexo4d-hand",
    "egoexo4d-hand-test", "epic-handkps", "stb", "rhd",
}  # fmt: skip
PROTOCOLS = {
    "official", "mmpose", "paper", "hands2023", "wildhands", "htt", "interhand26m", "interwild"
}  # fmt: skip
TRAINING_SETS = {
    "interhand26m/train", "assemblyhands/train", "assemblyhands/manual-train", "arctic/train",
    "visor/train", "ego4d", "egoexo4d/train", "h2o/train", "fpha/train", "mscoco",
    "hamer-mix", "frankmocap-mix",
}  # fmt: skip
UNITS = {
    "MPJPE": {"mm"}, "PA-MPJPE": {"mm"}, "MRRPE": {"mm"}, "MEPE": {"mm"}, "MEPE-RA": {"mm"},
    "L2 error 2D": {"px"}, "handedness accuracy": {"%", ""}, "accuracy": {"%"}, "PCK-AUC": {"%"},
    "AUC(0-80)": {""}, "AUC(0-90)": {""}, "AUC-RA(0-50)": {""},
}  # fmt: skip
RANGES = {"mm": (4, 640), "px": (4, 40), "%": (20, 100), "": (0.5, 1)}
ROWS = module._every_row()

#: Typed from the papers: paper, table, row, column, what is printed.
SPOT_CHECKS = [
    ("Moon et al. 2020", "Table 3", "SH only", "IH MPJPE", "51.19"),
    ("Moon et al. 2020", "Table 3", "IH only", "SH MPJPE", "13.70"),
    ("Moon et al. 2020", "Table 3", "SH+IH (ours)", "IH MPJPE", "16.02"),
    ("Moon et al. 2020", "Table 5", "Zimm. et al. [46]", "EPE (RHP)", "30.42"),
    ("Moon et al. 2020", "Table 5", "Chen et al. [3]", "EPE (STB)", "10.95"),
    ("Moon et al. 2020", "Table 5", "InterNet (ours)", "EPE (STB)", "7.95"),
    ("Moon et al. 2020", "Section 6.2 (text)", "always z^L", "MRRPE", "92.14"),
    ("Moon et al. 2020", "supplement Table 7", "Train (H)", "Val (M)", "99.10"),
    ("Moon et al. 2020", "supplement Table 8", "Train (M)", "Test (H)", "23.21"),
    ("Moon et al. 2020", "supplement Table 12", "Train (H+M), IH", "M4", "25.4"),
    ("mmpose model zoo", None, "InterNet_resnet_50, test(H+M)", "MPJPE-all", "11.86"),
    ("mmpose model zoo", None, "InterNet_resnet_50, val(M)", "MPJPE-single", "11.30"),
    ("mmpose model zoo", None, "InterNet_resnet_50*, test(H+M)", "MPJPE-interacting", "13.40"),
    ("mmpose model zoo", None, "InterNet_resnet_50*, val(M)", "MRRPE", "31.73"),
    ("mmpose model zoo", None, "InterNet_resnet_50*, val(M)", "APh", "0.98"),
    ("user reports on GitHub", None, "retrained", "Test (M), IH", "15.99"),
    ("user reports on GitHub", None, "released checkpoint", "MRRPE", "26.74"),
    ("Ohkawa et al. 2023", "Table 2", "Egocentric-only [28]", "MPJPE", "27.55"),
    ("Ohkawa et al. 2023", "Table 2", "MVExoNet-R3 (Ours)", "PCK-AUC", "83.4"),
    ("Ohkawa et al. 2023", "Table 3", "2D + Triangulation", "MPJPE", "49.21"),
    ("Ohkawa et al. 2023", "Table 3", "MVExoNet-R3 (Ours)", "MPJPE", "13.38"),
    ("Ohkawa et al. 2023", "Table 4", "Train-M", "Eval-A", "28.58"),
    ("Ohkawa et al. 2023", "Table 4", "Train-M+A", "Eval-M", "23.46"),
    ("Ohkawa et al. 2023", "Table 5", "UmeTrack [11]", "MPJPE", "32.91"),
    ("Ohkawa et al. 2023", "Table 5", "SVEgoNet (Ours)", "remove", "27.4"),
    ("Ohkawa et al. 2023", "Table 5", "AssemblyHands-A", "Avg. Verb Acc.", "60.0"),
    ("Zhou et al. 2023", "abstract", "our method", "MPJPE on test", "12.21"),
    ("Wen et al. 2023", "Table 1", "Collaborative [52]", "Accuracy", "85.22"),
    ("Wen et al. 2023", "Table 1", "Ours", "Accuracy", "94.09"),
    ("Wen et al. 2023", "Table 2", "LPC [18]", "MEPE, Right", "41.87"),
    ("Wen et al. 2023", "Table 2", "Ours", "MEPE-RA, Left", "16.59"),
    ("Wen et al. 2023", "Table 3", "H2O w/ TA-GCN [27]", "Accuracy", "79.25"),
    ("Wen et al. 2023", "Table 4", "t = 16", "FPHA AUC(0-80)", "0.810"),
    ("Wen et al. 2023", "Table 4", "t = 64", "H2O MEPE-RA, Right", "18.10"),
    ("Wen et al. 2023", "Table 4", "t = 1", "H2O AUC(0-90), Right", "0.551"),
    ("Wen et al. 2023", "Table 5", "T = 64", "H2O", "78.51"),
    ("Mucha and Kampel 2024", "abstract", "our architecture", "H2O", "91.32"),
    ("Mucha and Kampel 2024", "abstract", "our architecture", "FPHA", "94.43"),
    ("Prakash et al. 2024", "Table 1", "ArcticNet-SF", "H2O MRRPE", "325.55"),
    ("Prakash et al. 2024", "Table 1", "WildHands", "Epic-HandKps L2 Error", "11.05"),
    ("Prakash et al. 2024", "Table 2", "HaMeR (ViT) + KPE", "Assembly MRRPE", "184.55"),
    ("Prakash et al. 2024", "Table 3", "+ Ego4D mask", "Assembly MRRPE", "145.78"),
    ("Prakash et al. 2024", "Table 4", "PCL [76]", "Assembly MPJPE", "45.18"),
    ("Prakash et al. 2024", "Table 5", "KPE w/ input", "Ego-Exo4D MPJPE", "93.56"),
    ("Prakash et al. 2024", "Table 6", "ARCTIC", "H2O MPJPE", "47.30"),
    ("Prakash et al. 2024", "Table 7", "JointTransformer", "MRRPE", "26.07"),
    (
        "Prakash et al. 2024",
        "Table 8",
        "HaMeR [52] (ViT-H, 7 lab+3 wild+HInt)",
        "H2O MPJPE",
        "23.82",
    ),
    ("Ego-Exo4D documentation", "Baselines", "POTTER", "Manual MPJPE", "32.71"),
    ("Ego-Exo4D documentation", "Baselines", "POTTER", "Manual+Auto PA-MPJPE", "11.62"),
    ("Ego-Exo4D documentation", "Baselines", "THOR-net", "Manual+Auto MPJPE", "50.10"),
    ("Ego-Exo4D documentation", "Baselines", "HandOccNet", "Manual PA-MPJPE", "18.70"),
    ("Ego-Exo4D documentation", "Baselines", "METRO", "Manual PA-MPJPE", "21.54"),
    ("Chen et al. 2024", "abstract", "HP-ViT", "PA-MPJPE", "8.49"),
    ("Chen et al. 2025", "abstract", "HP-ViT+", "PA-MPJPE", "8.31"),
]


@pytest.mark.parametrize(("paper", "table", "row", "column", "printed"), SPOT_CHECKS)
def test_spot_checks_are_as_printed(paper, table, row, column, printed):
    wanted = (paper, row, column)
    found = [r for r in ROWS if (r.paper, r.row, r.column) == wanted and table in (None, r.table)]
    assert [r.printed for r in found] == [printed]


def test_table_4_of_interhand26m_is_complete():
    table = """
        15.02/19.70 10.42/13.05 12.74/18.10 12.58/17.16
        15.36/20.13 10.64/14.26 12.56/18.59 12.43/17.79
        14.65/18.58 9.85/12.29 12.32/16.88 12.16/16.02"""
    rows = [r for r in ROWS if (r.paper, r.table) == ("Moon et al. 2020", "Table 4")]
    assert [r.printed for r in rows] == table.replace("/", " ").split()
    where = ("SH", "IH", "H-SH", "H-IH", "M-SH", "M-IH", "SH", "IH")
    assert [r.subset for r in rows] == list(where) * 3
    assert {r.track for r in rows if r.column.startswith("Val")} == {"interhand26m-val"}


@pytest.mark.parametrize(
    ("track", "count"),
    [("interhand26m", 108), ("h2o-pose", 58), ("assemblyhands-verbs", 21), ("arctic-ego-test", 12)],
)
def test_no_row_is_lost(track, count):
    assert len(reported(track)) == count


def test_every_row_is_fully_described():
    for r in ROWS:
        where = f"{r.paper} {r.table} {r.row} {r.column}"
        assert r.paper and r.venue and r.title and r.source and r.table and r.row, where
        assert 2017 < r.year < 2030 and r.column and r.method and r.subset, where
        assert r.training or r.paper == "Wen et al. 2023" or r.table == "Table 8", where
        assert r.track in KNOWN_TRACKS and r.protocol in PROTOCOLS, where
        assert set(r.trained_on) <= TRAINING_SETS, where
        assert len(set(r.trained_on)) == len(r.trained_on), where
        assert all(part and ":" in part for part in r.inputs), where


def test_units_directions_and_ranges_are_consistent():
    for r in ROWS:
        per_joint = r.table == "supplement Table 12"
        assert r.unit in UNITS["MPJPE" if per_joint else r.metric], r
        assert r.higher_is_better == (r.unit in ("%", "")), r
        low, high = RANGES[r.unit]
        assert low <= r.value <= high, r
        assert float(r.printed) == r.value and r.text().startswith(f"{r.number:.{r.decimals}f}"), r


def test_no_cell_is_entered_twice():
    keys = [(r.paper, r.table, r.row, r.column) for r in ROWS]
    assert len(set(keys)) == len(keys)


def test_a_model_has_one_value_per_paper_unless_inputs_or_training_differ():
    seen = {}
    for r in ROWS:
        key = (r.paper, r.track, r.method, r.metric, r.subset, r.protocol)
        seen.setdefault(key, set()).add(r.number)
    several = {key[2] for key, values in seen.items() if len(values) > 1}
    assert several == {"POTTER", "THOR-net", "HandOccNet"}  # trained twice: Manual, Manual+Auto


def test_interhand26m_numbers_belong_to_measures_of_the_track():
    track = TRACKS["interhand26m"]
    computed = {
        (p.name, m.metric, subset) for p in track.protocols for m, where in p.measures
        for subset in where
    }  # fmt: skip
    rows = [r for r in reported("interhand26m") if r.protocol in ("official", "mmpose")]
    rows = [r for r in rows if r.table != "supplement Table 12"]
    assert rows
    assert {r.group for r in rows} <= computed
    declared = {f"{name}:{value}" for name, values in track.inputs.items() for value in values}
    assert {item for r in rows for item in r.inputs} <= declared


@pytest.mark.parametrize("subset", ["SH", "IH"])
def test_per_joint_errors_average_to_the_printed_mpjpe(subset):
    rows = [r for r in ROWS if r.table == "supplement Table 12" and r.subset == subset]
    joints = [r.value for r in rows if r.metric != "MPJPE"]
    assert len(joints) == 20
    average = next(r.value for r in rows if r.row.startswith("Train (H+M)") and r.metric == "MPJPE")
    assert np.sum(joints) / 21 == pytest.approx(average, abs=0.03)


def test_action_accuracies_are_whole_numbers_of_clips():
    clips = {"fpha-action": (575,), "h2o-action": (241, 242)}
    for track, totals in clips.items():
        for r in reported(track):
            near = [abs(round(r.value / 100 * n) / n * 100 - r.value) for n in totals]
            assert min(near) <= 0.011, r


def test_models_that_wildhands_prints_again_have_the_same_numbers():
    tables = {}
    for r in ROWS:
        if r.paper == "Prakash et al. 2024" and r.method == "WildHands":
            tables.setdefault((r.track, r.metric), set()).add(r.number)
    assert tables["assemblyhands", "MRRPE"] == {164.90}
    assert all(len(numbers) == 1 for numbers in tables.values())


def test_zero_shot_columns_are_not_trained_on_their_own_corpus():
    own = {"assemblyhands": "assemblyhands/", "h2o-pose-val": "h2o/", "epic-handkps": "visor/",
           "egoexo4d-hand": "egoexo4d/"}  # fmt: skip
    rows = [r for r in ROWS if r.protocol == "wildhands"]
    assert len(rows) == 163
    for r in rows:
        assert not any(name.startswith(own[r.track]) for name in r.trained_on), r


def test_an_error_in_print_keeps_the_printed_value_and_ranks_by_the_corrected_one():
    rows = reported("assemblyhands", metric="MRRPE", protocol="wildhands")
    (wrong,) = [r for r in rows if r.corrected is not None]
    assert (wrong.value, wrong.number, wrong.printed) == (55.84, 164.90, "55.84")
    assert wrong.text() == "164.90 (printed 55.84)"
    assert "error in print" in wrong.note
    assert rows[0].printed == "145.78"


def test_what_nobody_audited_is_marked():
    rows = [r for r in ROWS if not r.verified]
    assert {r.table.split()[0] for r in rows} == {
        "facebookresearch/InterHand2.6M", "facebookresearch/InterWild"
    }  # fmt: skip
    assert all("unaudited" in r.note and r.text().endswith("(unverified)") for r in rows)


def test_rows_come_best_first_in_their_direction():
    for track in KNOWN_TRACKS:
        groups = {}
        for r in reported(track):
            groups.setdefault(r.group, []).append(r.number if r.higher_is_better else -r.number)
        for numbers in groups.values():
            assert numbers == sorted(numbers, reverse=True)


def test_rows_are_selected_by_protocol_metric_and_subset():
    rows = reported("interhand26m", protocol="mmpose", metric="MPJPE", subset="SH")
    assert [r.printed for r in rows] == ["9.47", "9.69"]
    assert reported("demo") == []


def test_rows_for_people_have_text_in_every_cell():
    rows = as_rows("arctic-ego-test")
    assert rows[0]["method"] == "WildHands"
    assert rows[0]["value"] == "15.72"
    assert rows[0]["paper"] == "Prakash et al. 2024, Table 7"
    assert all(isinstance(text, str) for row in rows for text in row.values())


def score(value: float | None, **changes) -> Score:
    """A score of InterHand2.6M's official protocol, with the inputs of the paper."""
    made = Score(
        "MPJPE", "SH", "official", value, "mm", None, 1000,
        "MPJPE|align:wrist|subset:SH|boxes:standard|depth:rootnet|missing:error|v1", False,
    )  # fmt: skip
    return replace(made, **changes)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (11.0, "1st beside 5 reported: before InterNet 12.16"),
        (12.3, "2nd beside 5 reported: behind InterNet 12.16, before InterNet (Train M) 12.43"),
        (12.1634, "1st beside 5 reported: level with InterNet 12.16, before InterNet (Train M) "
                  "12.43"),
        (13.1, "5th beside 5 reported: behind InterNet (SH only) 13.08, before InterNet (IH only) "
               "13.70"),
        (99.0, "6th beside 5 reported: behind InterNet (IH only) 13.70"),
    ],
)  # fmt: skip
def test_standing_says_what_is_before_and_behind(value, text):
    assert standing(score(value), "interhand26m") == f"would stand {text}"


def test_standing_of_a_share_is_compared_in_percent_and_higher_is_better():
    share = score(
        0.9905, metric="handedness accuracy", subset="all", unit="", higher_is_better=True
    )
    assert standing(share, "interhand26m") == (
        "would stand 2nd beside 3 reported: behind InterNet 99.09 %, before InterNet (Train H) "
        "99.01 %"
    )


def test_standing_says_where_inputs_differ():
    text = standing(score(12.3, signature="MPJPE|boxes:own|depth:gt|v1"), "interhand26m")
    assert text is not None
    assert text.endswith(
        "; careful: reported rows used boxes:standard (here own), root_depth:rootnet (here gt)"
    )


def test_standing_compares_with_nothing_else():
    assert standing(score(12.3, protocol="recommended"), "interhand26m") is None
    assert standing(score(12.3, subset="all"), "interhand26m") is None
    assert standing(score(12.3), "demo") is None
    assert standing(score(None), "interhand26m") is None
    assert "beside 2 reported" in str(standing(score(12.3, protocol="mmpose"), "interhand26m"))


def test_standing_leaves_out_what_is_unverified():
    rows = reported("interhand26m", protocol="official", metric="MPJPE", subset="M-SH")
    assert rows[0].printed == "10.52"
    text = standing(score(11.0, subset="M-SH"), "interhand26m")
    assert text == "would stand 1st beside 3 reported: before InterNet 12.32"


@pytest.mark.parametrize(
    ("n", "text"), [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (22, "22nd")]
)
def test_places_are_written_as_people_write_them(n, text):
    assert module._ordinal(n) == text


@pytest.mark.parametrize(
    "row", sorted({t for n in TRACKS for r in reported(n) for t in r.trained_on})
)
def test_training_data_are_names_of_the_lineage(row):
    assert lineage.parse_training(row).dataset
