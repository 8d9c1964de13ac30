"""Train a WildHands: ``python -m hand_baselines.wildhands.train --help``."""

from __future__ import annotations

import sys


def main(arguments: list[str] | None = None) -> None:
    """Run the training of a WildHands from the command line."""
    from hand_baselines.runs import main as train

    train("wildhands", arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
