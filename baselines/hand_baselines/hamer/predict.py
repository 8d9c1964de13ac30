"""Predict with a HaMeR-style network: ``python -m hand_baselines.hamer.predict --help``."""

from __future__ import annotations

import sys


def main(arguments: list[str] | None = None) -> None:
    """Run the prediction of a HaMeR-style network from the command line."""
    from hand_baselines.prediction import main as predict

    predict("hamer", arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
