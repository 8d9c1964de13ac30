"""Train an MS-G3D: ``python -m hand_baselines.msg3d.train --help``."""

from __future__ import annotations

import sys


def main(arguments: list[str] | None = None) -> None:
    """Run the training of an MS-G3D from the command line."""
    from hand_baselines.runs import main as train

    train("msg3d", arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
