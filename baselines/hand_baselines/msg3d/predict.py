"""Answer a track with an MS-G3D: ``python -m hand_baselines.msg3d.predict --help``."""

from __future__ import annotations

import sys


def main(arguments: list[str] | None = None) -> None:
    """Run the prediction of an MS-G3D from the command line."""
    from hand_baselines.prediction import main as predict

    predict("msg3d", arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
