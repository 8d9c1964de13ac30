"""Measures whole processes: wall clock and peak memory, interpreter start included.

The kernel hands the peak of the starting process down to its children, so the one that measures
must stay small: whatever takes memory or loads compiled code is done in a child.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).parent
TESTS = HERE.parent / "benchmark"


@dataclass(frozen=True)
class Run:
    """What a process took; of several runs the median of each."""

    seconds: float
    megabytes: float
    answer: dict[str, Any] | None = None


def child(name: str, home: Path, repeats: int = 1, **options: Any) -> Run:
    """Run a function of `children` as a process of its own."""
    command = [sys.executable, str(HERE / "children.py"), name, json.dumps(options)]
    return process(command, repeats, home)


def process(command: list[str], repeats: int = 1, home: Path | None = None) -> Run:
    """Run a command and wait for it.

    Raises
    ------
    RuntimeError
        With the end of what it wrote, if it fails.
    """
    runs = [_once(command, home) for _ in range(repeats)]
    return Run(
        median(run.seconds for run in runs), median(run.megabytes for run in runs), runs[-1].answer
    )


def _once(command: list[str], home: Path | None) -> Run:
    environment = dict(os.environ)
    environment["PYTHONPATH"] = os.pathsep.join(
        filter(None, [str(TESTS), environment.get("PYTHONPATH")])
    )
    if home is not None:
        environment["HAND_BENCH_HOME"] = str(home)
    start = time.perf_counter()
    started = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    )
    assert started.stdout is not None
    output = started.stdout.read()
    _, status, usage = os.wait4(started.pid, 0)
    seconds = time.perf_counter() - start
    started.returncode = os.waitstatus_to_exitcode(status)
    if started.returncode:
        lines = "\n".join(output.splitlines()[-5:])
        raise RuntimeError(f"{' '.join(command[1:])} failed:\n{lines}")
    unit = 1 if sys.platform == "darwin" else 1024
    return Run(seconds, usage.ru_maxrss * unit / 2**20, _last_object(output))


def _last_object(output: str) -> dict[str, Any] | None:
    lines = output.strip().splitlines()
    return json.loads(lines[-1]) if lines and lines[-1].startswith("{") else None
