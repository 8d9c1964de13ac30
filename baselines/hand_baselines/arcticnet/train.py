"""Train an ArcticNet-SF: ``python -m hand_baselines.arcticnet.train --help``."""

from __future__ import annotations

import sys


def main(arguments: list[str] | None = None) -> None:
    """Run the training of an ArcticNet-SF from the command line."""
    from hand_baselines.runs import main as train

    train("arcticnet", arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
