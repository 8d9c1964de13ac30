"""Train a backbone: ``python -m hand_baselines.backbone.train --help``."""

from __future__ import annotations

import sys


def main(arguments: list[str] | None = None) -> None:
    """Run the training of a backbone from the command line."""
    from hand_baselines.runs import main as train

    train("backbone", arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
