"""A submission's page: who and what, every score, curves, joints, strata, worst samples, hashes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hand_bench.joint_sets import FINGERS
from hand_bench.results import Result, Score
from hand_bench.tracks import Track
from hand_leaderboard.board import Board, Group, Row, Table
from hand_leaderboard.board.interactive import worst_samples
from hand_leaderboard.site import charts, colours, hand_drawing, pages

if TYPE_CHECKING:
    from hand_leaderboard.submissions.folder import Submission

#: Curves of subsets in one chart, at most.
CURVES = 6


def path_of(submission: Submission) -> str:
    """Where a submission's page lies."""
    return f"submissions/{submission.slug}.html"


def page(
    board: Board, submission: Submission, *, data: Mapping[str, Any] | None = None,
    compare: str = "", badge: str = "", samples: list[dict[str, Any]] | None = None,
) -> str:  # fmt: skip
    """Return a submission's page; of one that was withdrawn only what is left of it.

    Parameters
    ----------
    data
        What its data file holds (`compare_pages.data_of`): joints, curve, worst samples.
    compare, badge
        Paths of the track's compare page and of its badge, "" where there is none.
    samples
        A few samples to be turned in 3D.
    """
    track, result = submission.track, submission.result
    table = board.main_table(track.name)
    if submission.withdrawn is not None or result is None:
        template, more = "withdrawn.html.j2", {}
    else:
        template, more = "submission.html.j2", _scored(board, submission, result, data or {})
        more |= {"compare": compare, "badge": badge, "samples": samples or []}
        more["scripts"] = ("hand3d",) if samples else ()
    return pages.render(
        template,
        path_of(submission),
        submission=submission,
        meta=submission.meta,
        track=track,
        procedural=table.procedural,
        **more,
    )


def row_of(table: Table, submission: Submission) -> tuple[Row, Group] | None:
    """Return a submission's row of a table, and the group that it stands in."""
    for group in table.groups:
        for row in group.rows:
            if row.submission == submission.slug:
                return row, group
    return None


def _scored(
    board: Board, submission: Submission, result: Result, data: Mapping[str, Any]
) -> dict[str, Any]:
    track = submission.track
    found = row_of(board.main_table(track.name), submission)
    row, group = found if found else (None, None)
    ranked = [r for r in group.rows if r.rank is not None] if group else []
    return {
        "result": result,
        "primary": result.primary,
        "row": row,
        "group": group,
        "of": len(ranked),
        "tables": [
            _score_table(result, p.name, p.source)
            for p in sorted(track.protocols, key=lambda p: p.name != track.primary.protocol)
        ],
        "strata": _strata(result, track),
        "worst": data["worst"] if "worst" in data else worst_samples(submission),
        "unit": "px" if track.kind == "pose-2d" else "mm",
        "error_scale": colours.ERRORS,
    } | _figures(result, track, data)


def _score_table(result: Result, protocol: str, source: str) -> dict[str, Any]:
    """One protocol's scores: a row for each metric, a column for each subset."""
    scores = [s for s in result.scores if s.protocol == protocol]
    there = dict.fromkeys(s.subset for s in scores if s.value is not None)
    subsets = sorted(there or dict.fromkeys(s.subset for s in scores), key=lambda n: n != "all")
    rows: dict[str, dict[str, Score]] = {}
    for score in scores:
        rows.setdefault(score.metric, {})[score.subset] = score
    return {"name": protocol, "source": source, "subsets": subsets, "rows": rows, "scores": scores}


def _strata(result: Result, track: Track) -> list[dict[str, Any]]:
    """The primary metric of every subset that has it, as intervals on one scale."""
    chosen = track.primary
    meanings = {s.name: s.meaning for s in track.subsets}
    scores = [
        s for s in result.scores
        if (s.metric, s.protocol) == (chosen.metric, chosen.protocol) and s.value is not None
    ]  # fmt: skip
    if len(scores) < 2:
        return []
    ends = [v for s in scores for v in (s.value, *(s.ci95 or ())) if v is not None]
    margin = 0.06 * ((max(ends) - min(ends)) or 1.0)
    scale = charts.Scale(min(ends) - margin, max(ends) + margin, 6, 254)
    return [
        {
            "score": s,
            "meaning": meanings.get(s.subset, ""),
            "span": charts.Span(
                scale(s.ci95[0]) if s.ci95 else None,
                scale(s.value or 0.0),
                scale(s.ci95[1]) if s.ci95 else None,
            ),
        }
        for s in sorted(scores, key=lambda s: s.subset != "all")
    ]


def _figures(result: Result, track: Track, data: Mapping[str, Any]) -> dict[str, Any]:
    """Curves and joints, where there are any; of actions the confusion matrix."""
    details = result.details
    if track.kind == "action":
        return {"curves": None, "hands": [], "top": 0.0, "fingers": [],
                "confusion": _confusion(details)}  # fmt: skip
    errors = {side: list((data.get("joints") or {}).get(side) or []) for side in ("right", "left")}
    drawn, top = hand_drawing.hands(errors, "px" if track.kind == "pose-2d" else "mm")
    return {
        "curves": _curves(details, data),
        "hands": drawn,
        "top": top,
        "fingers": _fingers(errors),
        "confusion": None,
    }


def _curves(details: Mapping[str, Any], data: Mapping[str, Any]) -> charts.Curves | None:
    """PCK curves of the subsets of one condition; with one subset, that after Procrustes too."""
    named = [n for n, part in details.items() if isinstance(part, dict) and part.get("pck")]
    known = [n for n in named if details[n]["pck"][0] is not None]
    shares = {n: details[n]["pck"] for n in sorted(known, key=lambda n: n != "all")[:CURVES]}
    curve = data.get("curve")
    if len(shares) < 2 and curve:
        return charts.curves(
            curve["at"], {"all": curve["pck"], "after Procrustes": curve["pa_pck"]}
        )
    return charts.curves(details.get("pck_thresholds") or [], shares)


def _fingers(errors: Mapping[str, list[float | None]]) -> list[dict[str, Any]]:
    """The same errors as a table: fingers in rows, joints from base to tip, of each hand.

    In `openpose21` the wrist is followed by four joints of each finger.
    """
    sides = [s for s in ("left", "right") if hand_drawing.any_known(errors[s])]
    return [
        {"finger": finger, "sides": [(s, errors[s][4 * k + 1 : 4 * k + 5]) for s in sides]}
        for k, finger in enumerate(FINGERS)
        if sides
    ]


def _confusion(details: Mapping[str, Any]) -> dict[str, Any] | None:
    """The classes that occur or are answered, with counts and how dark each cell is."""
    counts, names = details.get("confusion"), details.get("classes")
    if not counts or not names:
        return None
    used = [k for k in range(len(names)) if sum(counts[k]) or sum(row[k] for row in counts)]
    rows = []
    for k in used:
        total = sum(counts[k]) or 1
        cells = [
            {"count": counts[k][j], "share": counts[k][j] / total, "right": j == k} for j in used
        ]
        rows.append({"name": names[k].replace("_", " "), "cells": cells, "clips": sum(counts[k])})
    return {"names": [names[k].replace("_", " ") for k in used], "rows": rows}
