"""Suites: several tracks in one table with mean rank."""

import json

import pytest

from hand_bench.cli import main
from hand_bench.errors import HandBenchError, TrackError
from hand_bench.suites import SUITES, Row, cells, computed, find_suite, printed, rank
from hand_bench.tracks import TRACKS

SUITE = SUITES["wildhands-zero-shot"]


def write_result(path, track, values, method="", partial=""):
    scores = [
        {"metric": m, "subset": "all", "protocol": "wildhands", "value": v, "ci95": None}
        for m, v in values.items()
    ]
    result = {"track": {"name": track}, "predictions": {"method": method}, "scores": scores,
              "partial": partial}  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result))
    return path


def write_method(folder, numbers, **options):
    h2o, assembly, exo, epic = numbers
    write_result(folder / "a.json", "h2o-pose-val", {"MPJPE": h2o, "MRRPE": 3 * h2o}, **options)
    write_result(folder / "b.json", "assemblyhands", {"MPJPE": assembly, "MRRPE": 9.0})
    write_result(folder / "c.json", "egoexo4d-hand", {"MPJPE": exo})
    write_result(folder / "d.json", "epic-handkps", {"L2 error 2D": epic})
    return folder


@pytest.mark.parametrize("suite", SUITES.values(), ids=lambda s: s.name)
def test_a_suite_asks_for_numbers_that_its_tracks_print(suite):
    for column in suite.columns:
        protocol = TRACKS[column.track].protocol(column.protocol)
        measures = {m.metric: (m.unit, subsets) for m, subsets in protocol.measures}
        unit, subsets = measures[column.metric]
        assert unit == column.unit and column.subset in subsets
        assert not next(
            m for m, _ in protocol.measures if m.metric == column.metric
        ).higher_is_better


def test_mean_ranks_are_means_over_the_four_tracks(tmp_path):
    folders = [
        write_method(tmp_path / "one", (10, 20, 30, 4)),
        write_method(tmp_path / "two", (11, 19, 30, 3)),
        write_method(tmp_path / "three", (12, 21, 29, 5)),
    ]
    rows = computed(SUITE, folders)
    ranks = {row.method: row.mean_rank for row in rows}
    assert ranks == {"two": (2 + 1 + 2.5 + 1) / 4, "one": (1 + 2 + 2.5 + 2) / 4, "three": 2.5}
    assert [row.method for row in rows] == ["two", "one", "three"]


def test_a_method_that_trained_on_a_dataset_is_marked_and_not_ranked_there(tmp_path):
    clean = write_method(tmp_path / "clean", (10, 20, 30, 4))
    trained = write_method(tmp_path / "trained", (1, 19, 29, 3))
    (trained / "submission.yaml").write_text("training:\n- h2o/train\n- arctic/train\n")
    rows = {row.method: row for row in computed(SUITE, [clean, trained])}
    assert rows["trained"].mean_rank is None and rows["clean"].mean_rank == (1 + 2 + 2 + 2) / 4
    shown = cells(SUITE, rows["trained"])
    assert shown[1] == "1.00*" and shown[3] == "19.00" and shown[-1] == "–"


def test_partial_results_are_marked_and_not_ranked(tmp_path):
    folder = write_method(tmp_path / "one", (10, 20, 30, 4), partial="the first 5 samples")
    (row,) = computed(SUITE, [folder])
    assert row.mean_rank is None and cells(SUITE, row)[1] == "10.00†"


def test_result_files_are_grouped_by_the_method_that_they_name(tmp_path):
    first = write_result(tmp_path / "x.json", "h2o-pose-val", {"MPJPE": 1.0}, method="mine")
    second = write_result(tmp_path / "y.json", "egoexo4d-hand", {"MPJPE": 2.0}, method="mine")
    (row,) = computed(SUITE, [first, second])
    assert row.method == "mine" and row.values == {"H2O MPJPE": 1.0, "Ego-Exo4D MPJPE": 2.0}
    with pytest.raises(HandBenchError, match=r"HB106 .*y.json: is a second result of 'mine' on"):
        computed(SUITE, [first, second, second])


@pytest.mark.parametrize("text", ["", "[]", '{"track": 1}', "[" * 9000])
def test_a_file_that_is_no_result_is_refused(tmp_path, text):
    path = tmp_path / "r.json"
    path.write_text(text)
    with pytest.raises(HandBenchError, match=r"HB402 .*r.json: is not a result"):
        computed(SUITE, [path])


def test_printed_rows_are_those_of_the_paper_and_count_once():
    rows = {row.method: row for row in printed(SUITE)}
    wildhands = rows["WildHands, Tables 1, 3, 4, 5, 6, 8"]
    assert list(wildhands.values.values()) == [31.08, 49.49, 84.91, 164.90, 55.84, 11.05]
    assert rows["WildHands (system), Table 8"].values == {"Assembly MPJPE": 80.40}
    assert rows["FrankMocap (public), Table 8"].values.keys() == {
        c.label for c in SUITE.columns if c.metric != "MRRPE"
    }
    assert sum(name.startswith("HandNet, ") for name in rows) == 1


def test_equal_numbers_share_their_place():
    rows = [Row(str(k), {c.label: 1.0 for c in SUITE.columns}) for k in range(3)]
    assert [row.mean_rank for row in rank(SUITE, rows)] == [2.0, 2.0, 2.0]


def test_the_commands_print_both_tables_apart(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    main(["suites", "ls"])
    assert "wildhands-zero-shot" in capsys.readouterr().out
    folder = write_method(tmp_path / "mine", (10, 20, 30, 4))
    main(["suites", "show", "wildhands-zero-shot", str(folder)])
    out = capsys.readouterr().out
    assert (
        out.index("computed")
        < out.index("mine")
        < out.index("reported in papers")
        < out.index("FrankMocap")
    )
    main(["suites", "show", "wildhands-zero-shot", str(folder), "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["computed"][0]["mean_rank"] == 1.0 and len(found["reported"]) > 15


def test_an_unknown_suite_names_the_nearest():
    with pytest.raises(TrackError, match=r"HB301 there is no suite 'wildhand'(.|\n)*zero-shot"):
        find_suite("wildhand")
