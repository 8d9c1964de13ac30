"""Predict with a backbone: ``python -m hand_baselines.backbone.predict --help``."""

from __future__ import annotations

import sys

from hand_baselines.internet.predict import answer

__all__ = ["answer", "main"]


def main(arguments: list[str] | None = None) -> None:
    """Run the prediction of a backbone from the command line."""
    from hand_baselines.prediction import main as predict

    predict("backbone", arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
