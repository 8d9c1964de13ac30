"""Train a detector: ``python -m hand_baselines.detector.train --help``."""

from __future__ import annotations

import sys


def main(arguments: list[str] | None = None) -> None:
    """Run the training of a detector from the command line."""
    from hand_baselines.runs import main as train

    train("detector", arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
