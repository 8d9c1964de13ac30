"""Commands about tracks, datasets and templates."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from hand_bench.cli import console

#: Counts of a manifest that have a place of their own.
_SHOWN = ("samples", "sequences")

Output = Annotated[Path, Parameter(name=["--output", "-o"])]


def tracks_ls(*, json: bool = False) -> None:
    """List the tracks.

    Parameters
    ----------
    json
        One JSON object instead of a table.
    """
    from hand_bench.errors import TrackError
    from hand_bench.tracks import find_track, track_names

    tracks = []
    for name in track_names():
        try:
            tracks.append(find_track(name))
        except TrackError as error:  # another package's; the others are listed all the same
            console.note(str(error))
    if json:
        console.write_json({t.name: {"title": t.title, "truth": t.truth} for t in tracks})
        return
    table = console.table("", "track", "what", "ranked by", "truth")
    for t in tracks:
        p = t.primary
        table.add_row(t.name, t.title, f"{p.metric} {p.subset} ({p.protocol})", t.truth)
    console.out().print(table)


def tracks_show(track: str, /, *, json: bool = False) -> None:
    """Describe one track: what is predicted, subsets, protocols, inputs, how to get the data.

    Parameters
    ----------
    track
        Name of the track.
    json
        One JSON object instead of text.
    """
    from hand_bench.tracks import find_track

    t = find_track(track)
    protocols = {
        p.name: {"source": p.source, "metrics": [m.metric for m, _ in p.measures]}
        for p in t.protocols
    }
    facts = {
        "name": t.name,
        "version": t.version,
        "title": t.title,
        "dataset": t.dataset,
        "split": t.split,
        "split rule": t.split_rule,
        "counts": t.counts,
        "samples": t.samples if t.samples is not None else "counted when prepared",
        "predicts": t.predicts,
        "form": _form(t),
        "ranked by": f"{t.primary.metric} {t.primary.subset} under {t.primary.protocol}",
        "truth": t.truth,
        "inputs to declare": {k: list(v) for k, v in t.inputs.items()},
        "subsets": {s.name: s.meaning for s in t.subsets},
        "protocols": protocols,
        "source": t.source,
        "licence": t.licence,
        "how to get it": t.obtain,
    }
    if t.classes:
        facts["classes"] = {str(k): name for k, name in enumerate(t.classes)}
    if json:
        from dataclasses import asdict

        from hand_bench.reported import reported

        console.write_json(facts | {"reported": [asdict(r) for r in reported(t.name)]})
        return
    for key, value in facts.items():
        if not isinstance(value, dict):
            console.write(f"{key:18} {value}")
            continue
        console.write(f"{key}:")
        for name, item in value.items():
            shown = item
            if isinstance(item, dict):
                shown = f"{', '.join(item['metrics'])}\n{'':22}{item['source']}"
            elif isinstance(item, list):
                shown = ", ".join(item)
            console.write(f"    {name:16}  {shown}")
    _write_reported(t.name)


def _form(track) -> str:
    """Say in which frame, unit and joint order predictions are read."""
    from hand_bench.joint_sets import joint_set

    if track.kind == "action":
        return f"`label` (class number from 0) or `scores` ({len(track.classes)} numbers)"
    known = joint_set(track.joint_set)
    order = f"21 joints in the order {known.name}, from {known.joints[0]} to {known.joints[-1]}"
    if track.kind == "pose-2d":
        return f"{order}; pixels of the image"
    return f"{order}; {track.frame} frame, mm (others are converted where the file declares them)"


def _write_reported(track: str) -> None:
    """Print what papers report, apart from everything that is computed."""
    from hand_bench.reported import as_rows

    rows = as_rows(track)
    if not rows:
        return
    columns = ("protocol", "metric", "subset", "method", "value", "paper")
    title = "\nreported in papers, not computed here"
    table = console.table(title, *columns, right=("value",))
    for row in rows:
        table.add_row(*(row[name] for name in columns))
    console.out().print(table)
    console.note("note: training data, inputs and notes of each row: add --json.")


def data_prepare(
    dataset: str,
    root: Path,
    /,
    *,
    split: str | None = None,
    again: bool = False,
    export_ids: Path | None = None,
    json: bool = False,
) -> None:
    """Read a dataset's official files once and write canonical annotations.

    Parameters
    ----------
    dataset
        Name of the dataset.
    root
        Folder with the official files as their archives unpack.
    split
        One split; default: every split whose files are there.
    again
        Prepare even where nothing changed.
    export_ids
        Folder to write the hashed ids of every split to, for owners to publish; `validate --ids`
        takes them.
    json
        Print the manifests as one JSON object.
    """
    from hand_bench import data

    with console.progress_bar() as progress:
        done = data.prepare(dataset, root, split=split, progress=progress, again=again)
    for manifest in done.values():
        for problem in data.count_warnings(manifest):
            console.note(f"warning: {problem}")
    if export_ids is not None:
        _export_ids(dataset, list(done), export_ids)
    if json:
        console.write_json(done)
        return
    for name, manifest in done.items():
        counts = manifest["counts"]
        state = "up to date" if manifest.get("skipped") else "prepared"
        console.write(
            f"{dataset} {name}: {state}, {counts['samples']:,} samples of "
            f"{counts['sequences']:,} sequences, release {manifest['release']}, "
            f"in {data.folder(dataset, name)}"
        )
        shown = (f"{n:,} {what}" for what, n in counts.items() if n and what not in _SHOWN)
        if more := ", ".join(shown):
            console.write(f"    {more}")
        for note in manifest.get("notes", []):
            console.note(f"note: {note}")


def _export_ids(dataset: str, splits: list[str], folder: Path) -> None:
    from hand_bench import data, hashed_ids
    from hand_bench.annotations import Annotations

    folder.mkdir(parents=True, exist_ok=True)
    for split in splits:
        path = folder / f"{dataset}-{split}.ids.parquet"
        prepared = Annotations.open(data.folder(dataset, split) / "annotations.parquet")
        console.note(f"{path}: {hashed_ids.export(prepared, path):,} hashed ids")


def data_ls(*, json: bool = False) -> None:
    """List the datasets that are prepared on this machine.

    Parameters
    ----------
    json
        One JSON object instead of a table.
    """
    from hand_bench import data, files

    manifests = data.prepared()
    if json:
        console.write_json({"home": str(files.home()), "prepared": manifests})
        return
    if not manifests:
        console.note(f"Nothing is prepared under {files.home()}.")
        console.note(
            "`hand-bench data prepare DATASET ROOT` reads official files; "
            "`hand-bench demo` makes a licence-free track."
        )
        return
    table = console.table(
        "", "dataset", "split", "samples", "release", "complete", right=("samples",)
    )
    for m in manifests:
        table.add_row(
            m["dataset"],
            m["split"],
            f"{m['counts']['samples']:,}",
            m["release"],
            "yes" if m["complete"] else "no",
        )
    console.out().print(table)


def data_verify(dataset: str, /) -> None:
    """Compare the prepared files of a dataset with the hashes in their manifests.

    Parameters
    ----------
    dataset
        Name of the dataset.
    """
    from hand_bench import data

    with console.progress_bar() as progress:
        manifests = data.verify(dataset, progress=progress)
    for m in manifests:
        console.write(f"{m['dataset']} {m['split']}: {m['counts']['samples']:,} samples, unchanged")


def template(
    *, track: str, output: Output, inputs: bool = False, annotations: Path | None = None
) -> None:
    """Write every id that a track asks for, with empty predictions.

    Parameters
    ----------
    track
        Name of the track.
    output
        Parquet file to write.
    inputs
        Add what a method may look at: image path, size, K, boxes, root depths.
    annotations
        Annotations file instead of the prepared one.
    """
    from hand_bench.model_inputs import template as write_template

    rows = write_template(track, output, annotations=annotations, with_inputs=inputs)
    console.write(f"{output}: {rows:,} ids of {track}")


def codes() -> None:
    """Print the table of problem codes as Markdown."""
    from hand_bench.errors import codes_table

    console.write(codes_table().rstrip())
