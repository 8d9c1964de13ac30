"""Train a SVEgoNet: ``python -m hand_baselines.svegonet.train --help``."""

from __future__ import annotations

import sys


def main(arguments: list[str] | None = None) -> None:
    """Run the training of a SVEgoNet from the command line."""
    from hand_baselines.runs import main as train

    train("svegonet", arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
