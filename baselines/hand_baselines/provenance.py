"""What a record says of the code that ran and of the device that computed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import torch


def commit() -> str | None:
    """Return the repository's commit, with "+" where files differ from it; None without one."""
    head, changed = _git("rev-parse", "HEAD"), _git("status", "--porcelain", "--", ".")
    return head and head + ("+" if changed else "")


def _git(*arguments: str) -> str | None:
    """Return what git says of the package's folder; None where it says nothing."""
    folder = Path(__file__).resolve().parent
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=folder, capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None


def device_name(device: torch.device) -> str:
    """Return what computes, in words."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type}, {torch.get_num_threads()} threads"
