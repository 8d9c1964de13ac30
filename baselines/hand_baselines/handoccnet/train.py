"""Train a HandOccNet: ``python -m hand_baselines.handoccnet.train --help``."""

from __future__ import annotations

import sys


def main(arguments: list[str] | None = None) -> None:
    """Run the training of a HandOccNet from the command line."""
    from hand_baselines.runs import main as train

    train("handoccnet", arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
