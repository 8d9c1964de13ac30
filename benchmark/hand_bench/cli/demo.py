"""The command `hand-bench demo`: everything once, on a track that anybody may have."""

from __future__ import annotations

import contextlib
import io
import shutil
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from hand_bench.cli import console, outer

#: Shipped weights that take part where torch is installed, and those that give their depths.
BASELINE, ROOT_DEPTH = "internet-small", "rootnet-small"


def demo(
    *, output: Annotated[Path, Parameter(name=["--output", "-o"])] = Path("hand-bench-demo")
) -> None:
    """Make a licence-free world, score three prediction files, compare, diagnose and plot.

    Parameters
    ----------
    output
        Folder for the files that are made (safe to delete).
    """
    from hand_bench import demo as make
    from hand_bench.cli import score
    from hand_bench.diagnosis import diagnose
    from hand_bench.errors import SubmissionError
    from hand_bench.evaluator import evaluate

    with console.progress_bar() as progress:
        manifest = make.make_track(progress)
        paths = make.write_methods(output, make.read_truth())
    counts, track = manifest["counts"], make.TRACK.name
    console.write(
        f"1. {track}: {counts['samples']:,} pictures of procedural hands, "
        f"{counts['sequences']} sequences, {counts['subjects']} people: {manifest['root']}"
    )
    results = {name: evaluate(paths[name], track=track) for name in ("good", "worse")}
    trained = _baseline(output / f"{BASELINE}.parquet", track)
    if trained is not None:
        results[BASELINE] = evaluate(trained, track=track)
    for name, result in results.items():
        result.save(output / f"{name}.json")
    console.write(f"\n2. hand-bench evaluate {paths['good']} --track {track}\n")
    score.print_result(results["good"])
    console.write(f"\n3. hand-bench compare {paths['good']} {paths['worse']} --track {track}\n")
    score.compare(paths["good"], paths["worse"], track=track, resamples=2000)
    console.write(f"4. hand-bench evaluate {paths['metres']} --track {track}\n")
    try:
        evaluate(paths["metres"], track=track)
    except SubmissionError as error:
        console.write(str(error))
    console.write(f"\n5. hand-bench diagnose {paths['metres']} --track {track}\n")
    console.write(diagnose(paths["metres"], track=track).summary)
    if trained is not None:
        console.write(f"\n6. hand-bench baselines eval {BASELINE} --track {track}\n")
        score.print_result(results[BASELINE])
    made = [*_pictures(output, track, results, paths["good"]), output / "good.json"]
    site = _site(output, track, {n: trained if n == BASELINE else paths[n] for n in results})
    console.write("\nLook at:")
    for path in (*made, *site):
        console.write(f"  {path}")


def _baseline(path: Path, track: str) -> Path | None:
    """Let shipped weights answer; None where torch or the repository's weights are not there."""
    from hand_bench.errors import HandBenchError

    baselines = outer.load("baselines")
    if baselines is None:
        return None
    given = ["predict", BASELINE, "--track", track, "--root-depth", ROOT_DEPTH]
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # the file is named below
            baselines([*given, "--workers", "0", "--output", str(path)])
    except ImportError:
        return None
    except HandBenchError as error:  # a wheel has no weights; anything else should be seen as well
        console.note(str(error))
        return None
    return path


def _site(output: Path, track: str, preds: dict[str, Path]) -> list[Path]:
    """Submit every method to a board of its own and build its site, where the extra is there."""
    from hand_bench import demo as make
    from hand_bench.errors import HandBenchError

    submit, leaderboard = outer.load("submit"), outer.load("leaderboard")
    if submit is None or leaderboard is None:
        console.note("The board's site needs more: pip install 'hand-bench[leaderboard]'")
        return []
    root, site = output / "demo-submissions", output / "site"
    shutil.rmtree(root, ignore_errors=True)
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # the site is named below
            for name, path in preds.items():
                meta = make.write_description(output / f"{name}.yaml", name, name == BASELINE)
                options = ["--track", track, "--meta", str(meta), "--name", name]
                submit([str(path), *options, "--root", str(root)])
            leaderboard(["build", "-o", str(site), "--root", str(root)])
    except (HandBenchError, ImportError) as error:
        console.note(f"No site: {error}")
        return []
    return [site / "index.html"]


def _pictures(output: Path, track: str, results: dict, good: Path) -> list[Path]:
    """Draw what the extras allow: the PCK plot (plot), the report (leaderboard)."""
    from hand_bench import demo as make
    from hand_bench import drawing
    from hand_bench.errors import HandBenchError
    from hand_bench.show import show
    from hand_bench.sim.preview import preview

    made = []
    try:
        drawing.save(drawing.pck_plot(results), output / "pck.png")
        made += [output / "pck.png", preview(track, output / "world.png", tiles=12)]
        sample = make.sample_with_two_hands()
        made.append(show(good, track=track, sample=sample, out=output / "sample.png"))
        report = outer.load("report")
        if report is not None:
            with contextlib.redirect_stdout(io.StringIO()):  # its path is listed below
                report(good, track=track, output=output / "report.html")
            made.append(output / "report.html")
    except HandBenchError as error:
        console.note(str(error))
    return made
