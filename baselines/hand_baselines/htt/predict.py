"""Predict with an HTT: ``python -m hand_baselines.htt.predict --help``."""

from __future__ import annotations

import sys


def main(arguments: list[str] | None = None) -> None:
    """Run the prediction of an HTT from the command line."""
    from hand_baselines.prediction import main as predict

    predict("htt", arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
