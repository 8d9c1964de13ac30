"""Predict with a HandOccNet: ``python -m hand_baselines.handoccnet.predict --help``."""

from __future__ import annotations

import sys


def main(arguments: list[str] | None = None) -> None:
    """Run the prediction of a HandOccNet from the command line."""
    from hand_baselines.prediction import main as predict

    predict("handoccnet", arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
