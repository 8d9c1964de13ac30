r"""BibTeX of everything in a table, made of parts that were checked.

What strangers give is not passed on as it is: BibTeX runs through LaTeX, so an entry could read
files with ``\input``. An entry is kept if it is one entry of a known type, with plain fields,
balanced braces and only commands that make accents and emphasis; else one is made from title,
authors, year and address.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from hand_leaderboard.board.columns import slug
from hand_leaderboard.board.exports.sections import one_line
from hand_leaderboard.board.exports.tex_text import escaped
from hand_leaderboard.board.tables import REPORTED, Row, Table

_TYPES = {
    "article", "book", "booklet", "conference", "inbook", "incollection", "inproceedings", "manual",
    "mastersthesis", "misc", "online", "phdthesis", "proceedings", "report", "techreport",
    "unpublished",
}  # fmt: skip
#: Commands that only make letters, accents and emphasis.
_COMMANDS = {
    *"\"'`^~=.cdHkrtuvb", "o", "O", "l", "L", "aa", "AA", "ae", "AE", "oe", "OE", "ss", "i", "j",
    "emph", "textit", "textbf", "textsc", "texttt", "mathrm", "mathcal", "times", "alpha", "beta",
    "gamma", "delta", "pi", "url", *"&%$#_{} -,",
}  # fmt: skip
_HEAD = re.compile(r"\s*@([A-Za-z]+)\s*\{\s*([A-Za-z0-9:_.+/-]{1,80})\s*,")
_NAME = re.compile(r"\s*([A-Za-z][A-Za-z0-9_-]{0,30})\s*=\s*")
_COMMAND = re.compile(r"\\([A-Za-z]+|.|$)", re.DOTALL)
#: Addresses that may stand in a field as they are.
_URL = re.compile(r"https?://[A-Za-z0-9:/?&=._~+,;!*()%#-]+")
_LONGEST = 4000


@dataclass(frozen=True)
class Entry:
    """One entry: type, key, and fields with their values between braces."""

    type: str
    key: str
    fields: Mapping[str, str]

    def text(self) -> str:
        """Return it as BibTeX."""
        fields = "".join(f"  {name} = {{{value}}},\n" for name, value in self.fields.items())
        return f"@{self.type}{{{self.key},\n{fields}}}\n"


def bibtex(table: Table) -> str:
    """Return one entry for every paper and submission of a table, by key."""
    return "\n".join(entry.text() for entry in _entries(table).values())


def citation_keys(table: Table) -> dict[str, str]:
    """Return the key of every row's entry by the row's slug."""
    return {name: entry.key for name, entry in _by_row(table).items()}


def _entries(table: Table) -> dict[str, Entry]:
    found = {entry.key: entry for entry in _by_row(table).values()}
    return dict(sorted(found.items()))


def _by_row(table: Table) -> dict[str, Entry]:
    """Return entries by row; equal ones share a key, others with that key get a letter."""
    taken: dict[str, Entry] = {}
    out: dict[str, Entry] = {}
    for row in sorted(table.rows, key=lambda row: (row.kind, row.slug)):
        entry = entry_of(row)
        for ending in ("", *"bcdefghijklmnopqrstuvwxyz", f"-{row.slug}"):
            chosen = Entry(entry.type, f"{entry.key}{ending}", entry.fields)
            if taken.setdefault(chosen.key.lower(), chosen) == chosen:
                out[row.slug] = chosen
                break
    return out


def entry_of(row: Row) -> Entry:
    """Return what a row is cited by: its authors' entry where that is safe, else one made here."""
    paper = row.paper
    if paper and paper.bibtex:
        given = parsed(paper.bibtex)
        if given is not None:
            return given
    fields = {"title": f"{{{escaped(paper.title if paper and paper.title else row.method)}}}"}
    if row.kind == REPORTED and paper:
        name = re.sub(r" \d{4}$", "", paper.name)
        first, et_al, _ = name.partition(" et al.")
        fields["author"] = f"{escaped(first)} and others" if et_al else f"{{{escaped(name)}}}"
        fields["year"] = str(paper.year or "")
        fields["howpublished"] = escaped(paper.venue)
        key = slug(paper.name).replace("-et-al", "")
    else:
        names = [_person(name) for name in row.author_list] or [f"{{{escaped(row.authors)}}}"]
        fields["author"] = " and ".join(names)
        fields["year"] = row.date[:4]
        key = slug(row.submission or row.slug)
        if row.submission:
            fields["note"] = escaped(f"Submission {row.submission} to hand-bench")
    if paper and _URL.fullmatch(paper.url):
        fields["url"] = paper.url
    return Entry("misc", key, {k: v for k, v in fields.items() if v not in ("", "{}")})


def _person(name: str) -> str:
    """Return one author; what BibTeX would take apart is kept together."""
    shown = escaped(name)
    return f"{{{shown}}}" if re.search(r",|\band\b", shown) else shown


def parsed(text: str) -> Entry | None:
    """Read one entry that strangers gave; None where it is not safe to pass on."""
    head = _HEAD.match(text)
    if head is None or len(text) > _LONGEST or head[1].lower() not in _TYPES:
        return None
    fields: dict[str, str] = {}
    at = head.end()
    while text[at:].strip() != "}":
        name = _NAME.match(text, at)
        value = _value(text, name.end()) if name else None
        clean = _clean(name[1].lower(), value[0]) if name and value else None
        if name is None or value is None or clean is None:
            return None
        fields[name[1].lower()] = clean
        rest = re.compile(r"\s*(,|(?=\}))").match(text, value[1])
        if rest is None:
            return None
        at = rest.end()
    return Entry(head[1].lower(), head[2], fields) if fields else None


def _value(text: str, at: int) -> tuple[str, int] | None:
    """Read a value and where it ends: between braces or quotation marks, or a number or word."""
    opening = text[at : at + 1]
    if opening not in ("{", '"'):
        plain = re.compile(r"[A-Za-z0-9]+").match(text, at)
        return (plain[0], plain.end()) if plain else None
    depth = 0
    for k in range(at, len(text)):  # BibTeX counts every brace, those after a backslash too
        depth += {"{": 1, "}": -1}.get(text[k], 0)
        if depth < 0:
            return None
        if depth == 0 and k > at and text[k] == ("}" if opening == "{" else '"'):
            return text[at + 1 : k], k + 1
    return None


def _clean(name: str, value: str) -> str | None:
    """Return a field's value with its special signs escaped; None where it is not safe.

    Safe values have balanced braces and hold nothing that LaTeX would do more with than print.
    """
    line = one_line(value)
    if name in ("url", "doi", "eprint"):
        plain = re.fullmatch(r"[A-Za-z0-9.:/_()%#?&=~+,;!*-]*", line)
        return line if plain else None
    if "^^" in line or "@" in line or any(c not in _COMMANDS for c in _COMMAND.findall(line)):
        return None
    depth = 0
    for character in line:
        depth += {"{": 1, "}": -1}.get(character, 0)
        if depth < 0:
            return None
    bare = re.sub(r"\\.", "", line)
    if depth or bare.count("$") % 2:
        return None
    if "$" in bare:  # in formulas, these mean something
        return None if re.search("[%#&]", bare) else line
    return re.sub(r"(?<!\\)([%#&_])", r"\\\1", line) if "^" not in bare else None
