"""Pull requests as data: which folders of submissions they change, read from git's objects.

Nothing is checked out: no link, submodule, filter or hook of a stranger's tree is ever used. Blobs
of regular files are written, by name, into a folder that is made for them.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from hand_bench.errors import HandBenchError, Problem, SubmissionError
from hand_leaderboard.submissions.folder import HISTORY, MOST
from hand_leaderboard.submissions.names import is_name

ROOT = "submissions"
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_REGULAR = ("100644", "100755")
#: Files of one submission, history included.
_MOST_FILES = 200


@dataclass(frozen=True)
class Changes:
    """What lies between two commits: folders (track, name) and other paths."""

    folders: tuple[tuple[str, str], ...]
    others: tuple[str, ...]


class Repository:
    """Commits of a git repository, read by their objects."""

    def __init__(self, path: str | Path):
        self.path = Path(path)

    def changes(self, base: str, head: str) -> Changes:
        """Return what a branch changes since it left its base.

        Raises
        ------
        HandBenchError
            HB402 where git does not know the commits.
        """
        start = self._git("merge-base", _commit(base), _commit(head)).decode().strip()
        listed = self._git(
            "diff", "--name-only", "-z", "--no-renames", "--no-ext-diff", start, _commit(head)
        )
        folders, others = set(), []
        for path in filter(None, listed.decode("utf-8", "backslashreplace").split("\0")):
            parts = path.split("/")
            if parts[0] == ROOT and len(parts) > 3:
                folders.add((parts[1], parts[2]))
            else:
                others.append(path)
        return Changes(tuple(sorted(folders)), tuple(others))

    def folders(self, commit: str) -> list[tuple[str, str]]:
        """Return every submission of a commit, (track, name)."""
        found = {tuple(e.path.split("/")[:2]) for e in self._entries(commit, ROOT)
                 if e.path.count("/") > 1}  # fmt: skip
        return sorted(found)  # type: ignore[arg-type]

    def write_folder(self, commit: str, track: str, name: str, root: Path) -> Path | None:
        """Write a submission of a commit under ``root/<track>/<name>``; None where there is none.

        Raises
        ------
        SubmissionError
            HB141 and HB142 for names, links and files that do not belong there.
        """
        where = f"{ROOT}/{track}/{name}"
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", track) or not is_name(name):
            what = f"{ascii(where)[1:-1][:120]} is no place of a submission."
            raise SubmissionError(Problem("HB141", "pull request", what))
        entries = self._entries(commit, where)
        problems = [p for entry in entries if (p := entry.problem(where))]
        if len(entries) > _MOST_FILES:
            problems.append(Problem("HB142", where, f"holds {len(entries):,} files."))
        if problems:
            raise SubmissionError(problems[:20])
        for entry in entries:
            path = root / track / name / entry.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self._git("cat-file", "blob", entry.blob))
        return root / track / name if entries else None

    def _entries(self, commit: str, where: str) -> list[_Entry]:
        listed = self._git(
            "ls-tree", "-r", "-z", "--long", "--full-tree", _commit(commit), f"{where}/"
        )
        entries = []
        for line in filter(None, listed.split(b"\0")):
            about, _, path = line.partition(b"\t")
            mode, kind, blob, size = about.decode().split()
            inside = path.decode("utf-8", "backslashreplace").removeprefix(f"{where}/")
            entries.append(_Entry(inside, mode, kind, blob, int(size) if size.isdigit() else 0))
        return entries

    def _git(self, *arguments: str) -> bytes:
        try:
            done = subprocess.run(
                ["git", "-C", str(self.path), *arguments], capture_output=True, check=True
            )
        except (OSError, subprocess.CalledProcessError) as error:
            said = getattr(error, "stderr", b"") or str(error).encode()
            what = f"git {arguments[0]}: {said.decode(errors='replace').strip()[:200]}"
            raise HandBenchError(Problem("HB402", str(self.path), what)) from None
        return done.stdout


@dataclass(frozen=True)
class _Entry:
    """A file of a commit's tree."""

    path: str
    mode: str
    kind: str
    blob: str
    size: int

    def problem(self, where: str) -> Problem | None:
        """Say why it is not written to the disk."""
        shown = f"{where}/{ascii(self.path)[1:-1][:80]}"
        if self.mode not in _REGULAR or self.kind != "blob":
            kind = {"120000": "a symbolic link", "160000": "a submodule"}.get(self.mode, self.kind)
            return Problem("HB142", shown, f"is {kind}.", fix="Remove it.")
        parts = self.path.split("/")
        in_history = len(parts) == 3 and parts[0] == HISTORY and re.fullmatch(r"\d+", parts[1])
        if parts[-1] not in MOST or not (len(parts) == 1 or in_history):
            known = ", ".join(MOST)
            what = f"does not belong here: only {known} do."
            return Problem("HB142", shown, what, fix="Remove it.")
        if self.size > MOST[parts[-1]]:
            what = f"has {self.size:,} bytes, at most {MOST[parts[-1]]:,} are allowed."
            return Problem("HB142", shown, what)
        return None


def _commit(name: str) -> str:
    """Return a full commit hash: nothing else is ever handed to git."""
    if not _COMMIT.fullmatch(name):
        raise HandBenchError(Problem("HB402", "git", f"{name[:80]!r} is no full commit hash."))
    return name
