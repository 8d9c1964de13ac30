"""Train the 2D keypoint network: ``python -m hand_baselines.keypoints2d.train --help``."""

from __future__ import annotations

import sys


def main(arguments: list[str] | None = None) -> None:
    """Run the training of the 2D keypoint network from the command line."""
    from hand_baselines.runs import main as train

    train("keypoints2d", arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
