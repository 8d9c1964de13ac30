"""Boards, tables, rows and cells as values; everything is text or numbers that were checked.

Conventions
-----------
* Three kinds of rows that are never in one list: `REPORTED` (a paper prints them; with table and
  row), `RE_SCORED` (the harness scored the predictions of a submission) and `REPRODUCED` (the same,
  of predictions that the weights in this repository made).
* A table is one protocol of one track, or one suite. Its scored rows stand in rank groups: one for
  each kind and each set of declared inputs. Reported rows stand in a list of their own, unranked.
* HandSim's tracks, and others that are made by a procedure, are never in one table, list or total
  with real data: `Table.procedural`, `Board.real`, `Board.procedural`.
* Texts are as people wrote them, not escaped: whoever writes HTML, LaTeX, CSV or XML escapes.
* Shares are stored as shares (0.87) and printed in percent by `Cell.text` ("87.00"), lengths are
  mm, as in `hand_bench.results`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from hand_leaderboard.submissions.folder import Submission

Kind = Literal["reported", "re-scored", "reproduced"]
REPORTED: Kind = "reported"
RE_SCORED: Kind = "re-scored"
REPRODUCED: Kind = "reproduced"
#: In the order in which they are shown.
KINDS: tuple[Kind, ...] = (RE_SCORED, REPRODUCED, REPORTED)
#: What each kind of row is, in one line for captions and exports.
MEANINGS: Mapping[Kind, str] = {
    RE_SCORED: "scored by the harness from submitted predictions",
    REPRODUCED: "scored by the harness from predictions of weights in this repository",
    REPORTED: "printed in a paper, not scored here",
}


@dataclass(frozen=True)
class Column:
    """One number of a table.

    Attributes
    ----------
    key
        Unique in its table, and fit for file names, element ids and addresses: "mpjpe-ih". The
        same metric and subset has the same key in every table of a track.
    label
        As printed in the head of the table: "MPJPE", "MPJPE IH", "H2O MRRPE".
    metric, protocol, subset, unit, higher_is_better
        As in `hand_bench.results.Score`. A unit of "" is a share: its cells are printed in percent.
    primary
        Whether the table is ordered by it: exactly one column of a table that has columns.
    track
        Of suites: the track that the number is from. "" where it is the table's.
    only_reported
        Whether only papers print it, so that scored rows never have it.
    """

    key: str
    label: str
    metric: str
    protocol: str
    subset: str
    unit: str
    higher_is_better: bool
    primary: bool = False
    track: str = ""
    only_reported: bool = False

    @property
    def shown_unit(self) -> str:
        """The unit of the printed text: "%" for shares."""
        return self.unit or "%"


@dataclass(frozen=True)
class Cell:
    """One value of one row.

    Attributes
    ----------
    value
        The number in `unit`; None where there is none, and `note` says why. Of a reported row whose
        paper has an error in print: the corrected one.
    text
        As printed: two decimals, percent for shares (`hand_bench.results.format_value`); of
        reported rows as many digits as the paper prints. "n/a" where there is no value.
    unit
        "mm", "px", "m/s²", "" (a share). Of reported rows already the unit of the column.
    ci95
        The 95 % interval by resampled clusters, in `unit`; None where there is none.
    n
        What was averaged over (hands, samples or joints); None where a paper does not say.
    signature
        What the number must be compared by; "" of reported rows.
    note
        Why there is no value, what a paper's cell needs said, or (suites) why it is not ranked.
    printed
        Of reported rows: the digits in the paper, in the paper's own unit. "" of scored rows.
    corrected
        Whether the paper has an error in print, so that `value` is not what is printed.
    verified
        Whether the source of a reported number was seen; True for scored rows.
    """

    value: float | None
    text: str
    unit: str
    ci95: tuple[float, float] | None = None
    n: int | None = None
    signature: str = ""
    note: str = ""
    printed: str = ""
    corrected: bool = False
    verified: bool = True

    @property
    def interval_text(self) -> str:
        """The interval as printed, "6.65 to 6.95"; "" where there is none."""
        from hand_bench.results import format_value

        if self.ci95 is None:
            return ""
        return " to ".join(format_value(v, self.unit) for v in self.ci95)

    @property
    def half_width(self) -> str:
        """Half of the interval as printed, "0.15"; "" where there is none."""
        from hand_bench.results import format_value

        return (
            "" if self.ci95 is None else format_value((self.ci95[1] - self.ci95[0]) / 2, self.unit)
        )


@dataclass(frozen=True)
class Paper:
    """What a row is cited by.

    Attributes
    ----------
    title
        Of the paper; "" where there is none.
    url
        http or https, or "".
    bibtex
        One entry as its authors gave it (not checked; `exports.bibtex` does that), or "".
    name
        Short: "Moon et al. 2020". "" of submissions.
    year, venue
        Of reported rows.
    """

    title: str = ""
    url: str = ""
    bibtex: str = ""
    name: str = ""
    year: int | None = None
    venue: str = ""


@dataclass(frozen=True)
class Row:
    """One method in one table.

    Attributes
    ----------
    kind
        "re-scored", "reproduced" or "reported".
    method
        As printed: the name that authors gave, or the paper's.
    slug
        Unique in its table and fit for addresses: the name of the submission's folder, or of
        reported rows one made of paper, table and row ("moon-et-al-2020-table-3-sh-ih-ours").
    submission
        "track/name" of the submission that it was scored from; "" of reported rows. Its page is the
        site's choice; in suites it is that of the first track.
    source
        Of reported rows where it stands: "Moon et al. 2020, Table 3, row SH+IH (ours)". Else "".
    authors
        Authors or team in one line; of reported rows the paper's short name.
    author_list
        Authors one by one; () of teams and papers.
    date
        "2025-11-30" of submissions, "2020" of papers, "" where unknown.
    paper, code
        What to cite (None: nothing), and an http(s) address or "".
    cells
        By `Column.key`; a column that is lacking was never computed or printed.
    inputs
        What was given beyond the image, declared "name:value"; of reported rows as far as the
        source says it.
    group
        `Group.key` of its rank group; of reported rows the same made from its inputs.
    training
        Declared lines of training data in the vocabulary of `hand_bench.lineage`; of reported rows
        the paper's own words are in `training_text`.
    training_text
        In words, for reading: the declared lines joined, or what the paper says.
    zero_shot, zero_shot_why
        Verdict of `hand_bench.zero_shot` ("zero-shot", "same corpus", "in-domain", "undeclared";
        "" in suites, where each track has its own, see the cells) and its reason in plain words.
    coverage
        Share of the samples that are answered; None for reported rows.
    rank
        Place in its group by the primary column, equals share one; None where it is not ranked, and
        `note` says why.
    rank_interval
        (best, worst) place that the differences to the others allow; None without intervals.
    ties
        Number of its tie group, from 1: the best row and those not clearly worse than it are in the
        first, the best of what remains begins the second, and so on. None where not ranked, or
        where differences cannot be judged.
    description
        The authors' words about the method; "".
    backbone, parameters, hardware, licence
        As declared; "" or None.
    note
        What must be said beside the row.
    verified
        Whether every cell's source was seen.
    """

    kind: Kind
    method: str
    slug: str
    cells: Mapping[str, Cell]
    submission: str = ""
    source: str = ""
    authors: str = ""
    author_list: tuple[str, ...] = ()
    date: str = ""
    paper: Paper | None = None
    code: str = ""
    inputs: tuple[str, ...] = ()
    group: str = ""
    training: tuple[str, ...] = ()
    training_text: str = ""
    zero_shot: str = ""
    zero_shot_why: str = ""
    coverage: float | None = None
    rank: int | None = None
    rank_interval: tuple[int, int] | None = None
    ties: int | None = None
    description: str = ""
    backbone: str = ""
    parameters: int | None = None
    hardware: str = ""
    licence: str = ""
    note: str = ""
    verified: bool = True


@dataclass(frozen=True)
class Group:
    """Rows of one kind that may be ranked against each other: the same declared inputs.

    Attributes
    ----------
    key
        Unique in its table and fit for addresses: "re-scored-boxes-standard-root-depth-own".
    kind
        "re-scored" or "reproduced".
    inputs
        "name:value" for every input of the track; "undeclared" where a submission is silent. Empty
        in suites and for tracks without inputs.
    label
        For captions: "boxes: standard, root depth: own".
    rows
        Ranked rows, the best first (equals by slug), then those that are listed only.
    standard
        Whether every input has the track's standard value.
    method
        How ranks were judged, in one line for captions; says so where they were not.
    """

    key: str
    kind: Kind
    inputs: tuple[str, ...]
    label: str
    rows: tuple[Row, ...]
    standard: bool = False
    method: str = ""


@dataclass(frozen=True)
class Table:
    """One protocol of one track, or one suite.

    Attributes
    ----------
    name
        Unique on the board and fit for file names: "interhand26m-official", "wildhands-zero-shot".
    track
        Name of the track; "" of a suite.
    protocol
        Name of the protocol.
    title
        "InterHand2.6M test (H+M), v1.0, 5 fps".
    source
        Where the protocol is from: the official scorer, a paper.
    columns
        The primary one first, then in the order of the protocol; those that only papers print last.
    groups
        Re-scored groups first, then reproduced; in each the standard inputs first, then the group
        with most rows.
    reported
        What papers print under this protocol, the best by the primary column first, rows without
        that number by the next column, and so on. Unranked.
    procedural
        Whether the data is made by a procedure (HandSim): never shown among real data.
    suite
        Name of the suite; "" of a track's table.
    main
        Whether this is the table of the track's primary protocol.
    """

    name: str
    track: str
    protocol: str
    title: str
    source: str
    columns: tuple[Column, ...]
    groups: tuple[Group, ...]
    reported: tuple[Row, ...]
    procedural: bool
    suite: str = ""
    main: bool = False

    @property
    def primary(self) -> Column | None:
        """The column that orders the table."""
        return next((c for c in self.columns if c.primary), None)

    @property
    def scored(self) -> Iterator[Row]:
        """Rows of all groups."""
        return (row for group in self.groups for row in group.rows)

    @property
    def rows(self) -> Iterator[Row]:
        """Every row, reported ones last."""
        yield from self.scored
        yield from self.reported

    @property
    def is_empty(self) -> bool:
        """Whether there is no row at all."""
        return next(self.rows, None) is None


@dataclass(frozen=True)
class Board:
    """Everything that the site shows.

    Attributes
    ----------
    tracks
        Tables of every track by its name: that of the primary protocol first. Tracks without any
        row are here too, with empty tables, so that people see what can be scored.
    suites
        Tables of suites by their name.
    submissions
        Every submission that was read, withdrawn ones too, ordered by track and name.
    """

    tracks: Mapping[str, tuple[Table, ...]]
    suites: Mapping[str, Table]
    submissions: tuple[Submission, ...] = field(repr=False)

    @property
    def real(self) -> tuple[str, ...]:
        """Names of the tracks on real data."""
        return tuple(n for n, tables in self.tracks.items() if not tables[0].procedural)

    @property
    def procedural(self) -> tuple[str, ...]:
        """Names of the tracks on data that a procedure made (HandSim)."""
        return tuple(n for n, tables in self.tracks.items() if tables[0].procedural)

    @property
    def tables(self) -> Iterator[Table]:
        """Every table: tracks in their order, then suites."""
        for tables in self.tracks.values():
            yield from tables
        yield from self.suites.values()

    def main_table(self, track: str) -> Table:
        """Return the table of a track's primary protocol."""
        return self.tracks[track][0]

    def top_group(self, track: str) -> tuple[Row, ...]:
        """Return the first tie group of a track's first ranked rank group; () without one.

        Re-scored rows come before reproduced ones; where no row is ranked, nothing is returned.
        """
        for group in self.main_table(track).groups:
            best = tuple(
                row for row in group.rows if row.rank is not None and row.ties in (1, None)
            )
            if best:
                return best if best[0].ties is not None else best[:1]
        return ()
