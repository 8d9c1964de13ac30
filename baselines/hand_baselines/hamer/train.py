"""Train a HaMeR-style network: ``python -m hand_baselines.hamer.train --help``."""

from __future__ import annotations

import sys


def main(arguments: list[str] | None = None) -> None:
    """Run the training of a HaMeR-style network from the command line."""
    from hand_baselines.runs import main as train

    train("hamer", arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
