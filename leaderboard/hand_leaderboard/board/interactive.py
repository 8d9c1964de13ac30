"""Data for the interactive parts of the site, as plain values for JSON.

Every function returns dictionaries, lists, texts, finite numbers and None only, with short keys and
numbers of six significant digits, so that pages stay small. Made from `Sums` (published for every
track, hidden ones too); only `worst_samples` reads per-sample errors, which exist where the truth
is public.

The sums of one submission are meant for a file of their own that the compare page loads when it is
chosen (a `<script src>` works from `file://`): with 300 sequences they are about 20 to 60 kB.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

from hand_leaderboard.board.tables import Table

if TYPE_CHECKING:
    from hand_leaderboard.submissions.folder import Submission


class MetricInfo(TypedDict):
    """One metric that can be compared: `key` as in `Column.key`, without the subset."""

    key: str
    label: str
    unit: str
    higher: bool
    primary: bool


class TrackData(TypedDict):
    """What the sums of all submissions of a track share.

    `clusters` are the names of what is resampled (sequences, or "sequence 10s" time blocks), in the
    order of every array of `SumsData`. `subsets` maps a name to its meaning, "all" first. `joints`
    are names in OpenPose order; empty on action tracks. `conditional` is True where clusters are
    time blocks, so that intervals are conditional on these recordings.
    """

    track: str
    clusters: list[str]
    metrics: list[MetricInfo]
    subsets: dict[str, str]
    joints: list[str]
    conditional: bool


class Ratio(TypedDict):
    """A metric of one subset by cluster: its value is sum(total) / sum(weight).

    Both lists are as long as `TrackData["clusters"]`, zeros where a cluster has nothing. A paired
    difference resamples the clusters once and takes both submissions' ratios of the same draw.
    """

    total: list[float]
    weight: list[float]


class SumsData(TypedDict):
    """The sums of one submission.

    `ratios[metric key][subset]`; a metric that has no value (no camera space) is lacking. `joints`
    holds mean errors in mm (px on 2D tracks): {"right": [21], "left": [21], "both": [21]}, None
    where there is nothing. `curve` is {"at": thresholds, "pck": shares, "pa_pck": shares} or None.
    """

    name: str
    ratios: dict[str, dict[str, Ratio]]
    joints: dict[str, list[float | None]] | None
    curve: dict[str, list[float]] | None


def track_data(submissions: list[Submission]) -> TrackData | None:
    """Return what the compare page needs once for a track; None where nothing is scored.

    Parameters
    ----------
    submissions
        Of one track; those without a result are passed over, and so are those that were scored
        against other annotations than most (they cannot be paired).
    """
    raise NotImplementedError


def sums_data(submission: Submission, shared: TrackData) -> SumsData | None:
    """Return one submission's sums in the order of `shared`; None where it cannot be paired."""
    raise NotImplementedError


def progress(table: Table) -> list[dict[str, Any]]:
    """Return the primary value over time for each rank group that has dated, ranked rows.

    [{"group": key, "label": label, "kind": kind, "points": [{"date", "slug", "method", "value",
    "best"}]}], points by date; "best" is whether it was better than all before it.
    """
    raise NotImplementedError


def worst_samples(submission: Submission, count: int = 12) -> list[dict[str, Any]]:
    """Return the samples with the largest error, at most three of one cluster.

    [{"id", "cluster", "error", "side"}] in mm (px on 2D tracks; of clips "truth" and "answer"
    instead of error and side); [] where per-sample errors are not published.
    """
    raise NotImplementedError
