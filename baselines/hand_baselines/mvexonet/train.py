"""Train an MVExoNet: ``python -m hand_baselines.mvexonet.train --help``."""

from __future__ import annotations

import sys


def main(arguments: list[str] | None = None) -> None:
    """Run the training of an MVExoNet from the command line."""
    from hand_baselines.runs import main as train

    train("mvexonet", arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
