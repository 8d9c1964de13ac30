"""Text that LaTeX and BibTeX print as it is."""

from __future__ import annotations

from hand_leaderboard.board.exports.sections import one_line

#: Braces are always in pairs: BibTeX counts those after a backslash too.
_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\textbraceleft{}",
    "}": r"\textbraceright{}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "`": r"\textasciigrave{}",
    "²": r"\textsuperscript{2}",
    "±": r"$\pm$",
    "–": "--",
    "@": r"\char64{}",
}
#: Letters beyond these are not in the usual fonts of pdfLaTeX.
PLAIN = 0x017F


def escaped(text: str) -> str:
    """Return a text that LaTeX prints as it is: one line, no commands."""
    return "".join(_SPECIAL.get(character, character) for character in one_line(text))
