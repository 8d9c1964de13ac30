"""Names of submissions: parts of paths and of URLs on every system, and nothing else."""

from __future__ import annotations

import re
import unicodedata

from hand_bench.errors import Problem, SubmissionError

#: Lower-case letters, digits and single hyphens between them.
PATTERN = r"[a-z0-9]+(?:-[a-z0-9]+)*"
LONGEST = 60
#: What Windows keeps for devices, and what the site keeps for itself.
RESERVED = {
    "con", "prn", "aux", "nul", "history", "index", "all", "api", "assets", "data", "new",
    *(f"{port}{k}" for port in ("com", "lpt") for k in range(10)),
}  # fmt: skip


def is_name(name: str) -> bool:
    """Whether a name is safe for paths and URLs."""
    return len(name) <= LONGEST and name not in RESERVED and re.fullmatch(PATTERN, name) is not None


def require_name(name: str, where: str = "") -> str:
    """Return a name that is safe for paths and URLs.

    Raises
    ------
    SubmissionError
        HB141 with a name that would do.
    """
    if is_name(name):
        return name
    near = name_of(name)
    raise SubmissionError(
        Problem(
            "HB141",
            where,
            f"{name[:80]!r} cannot be the name of a submission.",
            cause=f"Names are 1 to {LONGEST} of a-z, 0-9 and single hyphens between them, and "
            "not a word that systems keep for themselves.",
            fix=f"For example: {near}" if near else "",
        )
    )


def name_of(title: str) -> str:
    """Return a name made from a title: "HaMeR (ViT-H, 2024)" becomes "hamer-vit-h-2024"."""
    plain = unicodedata.normalize("NFKD", title[:500]).encode("ascii", "ignore").decode().lower()
    words = re.findall(r"[a-z0-9]+", plain)
    name = "-".join(words)[:LONGEST].strip("-")
    return f"{name}-method" if name in RESERVED else name
