"""Make shipped weights again on a bare host: ``python -m hand_baselines.recipes --help``.

The processes that render import this file: nothing heavy is imported before it runs.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path


def main(arguments: list[str] | None = None) -> None:
    """Run the recipes; exit code 1 where one of them was not made."""
    from hand_baselines.recipes.plan import Clock, Host
    from hand_baselines.recipes.runner import Workshop, make_recipes, require_device
    from hand_baselines.recipes.shipped import find_recipe
    from hand_bench.errors import HandBenchError

    given = _parser().parse_args(arguments)
    os.environ.setdefault("HAND_BENCH_HOME", str(given.work / "data"))
    clock = Clock(given.deadline)
    shop = Workshop(
        given.out,
        given.work,
        given.size,
        given.minutes,
        given.steps,
        clock,
        Host(given.precision, given.batch_factor, given.workers, given.threads),
        say=lambda line: _say(f"{clock.minutes:6.1f} min  {line}"),
    )
    chosen = {"paper": given.preset == "paper", "backbone": given.backbone}
    try:
        require_device(given.device)
        made = make_recipes([find_recipe(name, **chosen) for name in given.names], shop)
    except HandBenchError as error:
        sys.exit(str(error))
    sys.exit(0 if made else 1)


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def _parser() -> argparse.ArgumentParser:
    from hand_baselines.recipes.shipped import RECIPES

    parser = argparse.ArgumentParser("python -m hand_baselines.recipes")
    parser.add_argument("names", nargs="+", metavar="NAME", help=", ".join(RECIPES))
    parser.add_argument("-o", "--out", required=True, type=Path, help="where the archives go")
    parser.add_argument("--work", type=Path, default=Path("runs/recipes"))
    parser.add_argument("--size", default="small", help="of what is trained on")
    parser.add_argument("--preset", choices=("small", "paper"), default="small")
    parser.add_argument("--backbone", help="what the backbone starts from instead")
    parser.add_argument("--minutes", type=float, help="of each training; default: its steps")
    parser.add_argument("--steps", type=int, help="of every stage, for a trial")
    parser.add_argument("--deadline", type=float, help="minutes after which all is written")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="", help="what must be there")
    parser.add_argument("--precision", choices=("no", "fp16", "bf16"))
    parser.add_argument("--batch-factor", type=int, default=1)
    parser.add_argument("--workers", type=int, help="processes; default: the cores but one")
    parser.add_argument("--threads", type=int, default=0)
    return parser


if __name__ == "__main__":
    main(sys.argv[1:])
