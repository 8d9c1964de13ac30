"""Paired comparison of 2D poses, of clips, and on subsets of one hand side."""

import numpy as np
import pytest

from benchmark import small_tracks
from hand_bench import cli, compare, evaluate
from hand_bench.clip_answers import clip_errors
from hand_bench.comparison import main_subsets
from hand_bench.data import open_annotations
from hand_bench.errors import DatasetError
from hand_bench.predictions import open_for_track
from hand_bench.tracks import TRACKS


def difference(result, metric, subset="all"):
    return next(d for d in result.differences if (d.metric, d.subset) == (metric, subset))


def options(made):
    return {"track": made.track, "annotations": made.annotations}


def test_main_subsets_are_the_tracks_own():
    names = {name: [s.name for s in main_subsets(track)] for name, track in TRACKS.items()}
    assert names["interhand26m"] == ["SH", "IH", "all"]
    assert names["assemblyhands"] == ["all", "right", "left"]
    assert names["arctic-ego"] == ["all", "right", "left", "grab", "use"]
    assert names["fpha-pose"] == ["all"]


@pytest.mark.parametrize("name", TRACKS)
def test_a_method_of_any_track_against_itself_is_a_tie(tmp_path, name):
    made = small_tracks.of_track(tmp_path, name)
    path = small_tracks.good_file(made, tmp_path / "p.parquet")
    result = compare(path, path, **options(made), resamples=20)
    assert {(d.difference, d.better) for d in result.differences} == {(0.0, "tie")}
    assert {d.subset for d in result.differences} <= {s.name for s in main_subsets(made.track)}


@pytest.mark.parametrize("name", ["assemblyhands", "arctic-ego", "assemblyhands-annotation"])
def test_sides_are_compared_as_evaluate_scores_them(tmp_path, name):
    make = small_tracks.world_track if TRACKS[name].frame == "world" else small_tracks.camera_track
    made = make(tmp_path, name)
    paths = [made.write(tmp_path / f"{n}.parquet", made.noisy(n, seed=n)) for n in (3, 6)]
    result = compare(*paths, **options(made), resamples=100)
    scores = evaluate(paths[0], **options(made), resamples=0)
    for metric in ("AUC(0-50)", "MPJPE", "PA-MPJPE"):
        for subset in ("all", "right", "left"):
            value = scores.score(metric, subset).value
            assert difference(result, metric, subset).a == pytest.approx(value, rel=1e-6)
    assert not [d for d in result.differences if d.metric == "MRRPE" and d.subset == "right"]
    assert {d.better for d in result.differences} == {"A"}


def test_a_hand_that_the_track_does_not_have_is_not_compared(tmp_path):
    made = small_tracks.camera_track(tmp_path, "fpha-pose", sides=("right",))
    path = made.write(tmp_path / "p.parquet", made.noisy())
    result = compare(path, path, **options(made), resamples=100)
    assert difference(result, "MPJPE").n == len(made.sample_id)
    assert {d.metric for d in result.differences} == {"AUC(0-50)", "MPJPE", "PA-MPJPE", "MEPE"}


@pytest.fixture
def planar(tmp_path):
    return small_tracks.planar_track(tmp_path)


def test_2d_errors_are_those_of_evaluate_in_px(planar, tmp_path):
    joints = planar.noisy(30)
    present = planar.present.copy()
    present[1, 1] = False
    paths = [planar.write(tmp_path / "a.parquet", joints, present),
             planar.write(tmp_path / "b.parquet", planar.noisy(8, seed=2))]  # fmt: skip
    result = compare(*paths, **options(planar), resamples=200)
    for subset in ("all", "right", "left"):
        assert difference(result, "L2 error 2D", subset).unit == "px"
        assert difference(result, "L2 error 2D", subset).better == "B"
    scores = evaluate(paths[0], **options(planar), resamples=0)
    for metric in ("L2 error 2D", "PCK@0.2"):
        value = scores.score(metric).value
        assert difference(result, metric).a == pytest.approx(value, rel=1e-6)
    assert difference(result, "PCK@0.2").n == difference(result, "L2 error 2D").n + 1


def test_errors_files_of_2d_give_the_same_comparison(planar, tmp_path):
    paths = [planar.write(tmp_path / f"{n}.parquet", planar.noisy(n, seed=n)) for n in (3, 6)]
    files = [path.with_suffix(".errors") for path in paths]
    for path, file in zip(paths, files, strict=True):
        evaluate(path, **options(planar), errors=file, resamples=0)
    direct, stored = (compare(*p, **options(planar), resamples=100) for p in (paths, files))
    assert stored.to_json()["differences"] == direct.to_json()["differences"]


@pytest.fixture
def clips(tmp_path):
    return small_tracks.clip_track(tmp_path, "assemblyhands-verbs")


def test_clips_are_compared_by_their_accuracy(clips, tmp_path):
    paths = [clips.write(tmp_path / f"{k}.parquet", label=clips.answers(share, seed=k))
             for k, share in enumerate((0.4, 0.9))]  # fmt: skip
    result = compare(*paths, **options(clips), resamples=500)
    found = difference(result, "accuracy")
    assert found.better == "B" and found.p < 0.05 and found.n == 120
    assert found.ci95[0] <= found.difference <= found.ci95[1]
    for k, side in enumerate("ab"):
        scores = evaluate(paths[k], **options(clips), resamples=0)
        for metric in ("accuracy", "class-mean accuracy"):
            value = scores.score(metric).value
            assert getattr(difference(result, metric), side) == pytest.approx(value)
        value = scores.score("accuracy", "screw", "paper").value
        assert getattr(difference(result, "accuracy", "screw"), side) == pytest.approx(value)


def test_a_method_of_clips_against_itself_is_a_tie(clips, tmp_path):
    path = clips.write(tmp_path / "p.parquet", label=clips.answers())
    result = compare(path, path, **options(clips), resamples=100)
    assert {(d.difference, d.better, d.p) for d in result.differences} == {(0.0, "tie", 1.0)}


def test_the_difference_of_class_means_is_the_mean_over_classes(clips, tmp_path):
    a, b = clips.answers(0.5, 1), clips.answers(0.8, 2)
    paths = [clips.write(tmp_path / f"{k}.parquet", label=v) for k, v in enumerate((a, b))]
    found = difference(compare(*paths, **options(clips), resamples=50), "class-mean accuracy")
    by_class = [
        ((b == clips.label)[clips.label == k].mean() - (a == clips.label)[clips.label == k].mean())
        for k in range(6)
    ]
    assert found.difference == pytest.approx(np.mean(by_class))


def test_answers_beside_their_truth_hold_what_evaluate_counts(clips, tmp_path):
    path = clips.write(tmp_path / "p.parquet", scores=clips.scores(clips.answers()))
    annotations = open_annotations(clips.track, clips.annotations)
    table = clip_errors(open_for_track(path, clips.track), clips.track, annotations)
    right = np.array(table.column("right").to_pylist())
    score = evaluate(path, **options(clips), resamples=0).primary
    assert right.mean() == pytest.approx(score.value) and len(right) == score.n
    assert table.column("answer").to_pylist() == clips.answers().tolist()


def test_withheld_labels_are_said(tmp_path):
    made = small_tracks.clip_track(tmp_path, "h2o-action", truth=False)
    path = made.write(tmp_path / "p.parquet", label=made.answers())
    with pytest.raises(DatasetError, match="HB209"):
        compare(path, path, **options(made))


def run(command, made, *arguments):
    where = ["--track", made.track.name, "--annotations", str(made.annotations)]
    cli.main([command, *map(str, arguments), *where, "--resamples", "50"])


def test_the_text_of_2d_says_pixels(planar, tmp_path, capsys):
    path = planar.write(tmp_path / "p.parquet", planar.noisy())
    run("evaluate", planar, path)
    out = capsys.readouterr().out
    assert "distances in px of the letterbox224 frame, shares in percent" in out
    assert " mm" not in out
    run("compare", planar, path, path)
    assert "distances in px, shares in percent" in capsys.readouterr().out


def test_the_text_of_clips_has_no_distances(clips, tmp_path, capsys):
    path = clips.write(tmp_path / "p.parquet", label=clips.answers())
    run("evaluate", clips, path)
    run("compare", clips, path, path)
    cli.main(["validate", str(path), "--track", clips.track.name, "--ids", str(path)])
    out = capsys.readouterr().out
    assert "shares in percent" in out and "distances" not in out
    assert "class-mean accuracy" in out and "unscrew" in out
    assert "120 rows (clips), 120 answered\n" in out


def test_columns_are_the_subsets_that_have_samples(tmp_path, capsys):
    made = small_tracks.camera_track(tmp_path, "assemblyhands", sides=("right",))
    run("evaluate", made, made.write(tmp_path / "p.parquet", made.noisy()))
    out = capsys.readouterr().out
    header = next(
        line for line in out.splitlines() if line.startswith("metric ") and "right" in line
    )
    assert header.split() == ["metric", "all", "right"]
