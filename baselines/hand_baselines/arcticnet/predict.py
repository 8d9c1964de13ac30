"""Predict with an ArcticNet-SF: ``python -m hand_baselines.arcticnet.predict --help``."""

from __future__ import annotations

import sys


def main(arguments: list[str] | None = None) -> None:
    """Run the prediction of an ArcticNet-SF from the command line."""
    from hand_baselines.prediction import main as predict

    predict("arcticnet", arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
