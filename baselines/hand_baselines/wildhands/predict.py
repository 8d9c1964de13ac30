"""Predict with a WildHands: ``python -m hand_baselines.wildhands.predict --help``."""

from __future__ import annotations

import sys


def main(arguments: list[str] | None = None) -> None:
    """Run the prediction of a WildHands from the command line."""
    from hand_baselines.prediction import main as predict

    predict("wildhands", arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
