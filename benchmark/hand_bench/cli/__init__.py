"""The command `hand-bench`. Commands are imported only when they run."""

from __future__ import annotations

import sys

from cyclopts import App, Parameter

from hand_bench.version import __version__

#: Commands of the core: name -> (module:function, one line of help).
COMMANDS: dict[str, tuple[str, str]] = {
    "evaluate": ("hand_bench.cli.score:evaluate", "Score a predictions file on a track."),
    "compare": ("hand_bench.cli.score:compare", "Compare two methods, paired and clustered."),
    "diagnose": ("hand_bench.cli.score:diagnose", "Find wrong units, joint order, sides or axes."),
    "validate": ("hand_bench.cli.score:validate", "Check a file's form; needs no ground truth."),
    "template": ("hand_bench.cli.prepare:template", "Write every id that a track asks for."),
    "show": ("hand_bench.cli.score:show", "Draw truth and prediction of one sample."),
    "convert": ("hand_bench.cli.convert:app", "Convert to and from official formats."),
    "demo": ("hand_bench.cli.demo:demo", "Make a licence-free track and score it, end to end."),
    "zero-shot": (
        "hand_bench.cli.zero_shot:zero_shot",
        "Was a method trained on what it is tested on?",
    ),
    "codes": ("hand_bench.cli.prepare:codes", "Print the table of problem codes."),
}
GROUPS: dict[str, tuple[str, dict[str, tuple[str, str]]]] = {
    "tracks": (
        "The tracks: what is predicted and how it is scored.",
        {
            "ls": ("hand_bench.cli.prepare:tracks_ls", "List the tracks."),
            "show": ("hand_bench.cli.prepare:tracks_show", "Describe one track."),
        },
    ),
    "sim": (
        "HandSim: procedural, licence-free worlds that look like the datasets.",
        {
            "ls": ("hand_bench.cli.sim:sim_ls", "List the worlds."),
            "show": ("hand_bench.cli.sim:sim_show", "Describe one world."),
            "make": ("hand_bench.cli.sim:sim_make", "Make pictures, labels and annotations."),
            "preview": ("hand_bench.cli.sim:sim_preview", "Draw a sheet of pictures."),
            "export-hand": (
                "hand_bench.cli.sim:sim_export_hand",
                "Write HandSim's hand in MANO's file layout.",
            ),
        },
    ),
    "suites": (
        "Several tracks in one table.",
        {
            "ls": ("hand_bench.cli.suites:suites_ls", "List the suites."),
            "show": ("hand_bench.cli.suites:suites_show", "Print a suite's table."),
        },
    ),
    "data": (
        "Prepared datasets on this machine.",
        {
            "prepare": ("hand_bench.cli.prepare:data_prepare", "Read official files once."),
            "ls": ("hand_bench.cli.prepare:data_ls", "List what is prepared."),
            "verify": ("hand_bench.cli.prepare:data_verify", "Compare files with their hashes."),
        },
    ),
}
#: Commands of the outer packages: name -> (extra that they need, one line of help).
OUTER: dict[str, tuple[str, str]] = {
    "report": ("leaderboard", "Write a self-contained HTML report."),
    "submit": ("leaderboard", "Check, score and place a submission; init, check, withdraw."),
    "rescore": ("leaderboard", "Score every submission again, and say what changed."),
    "baselines": ("baselines", "Train, run and score the baseline models."),
    "annotate": ("baselines", "Label hands in 3D from calibrated views, and measure how well."),
    "verbs": ("baselines", "Score hand poses by the verbs that a classifier finds in them."),
    "leaderboard": ("leaderboard", "The board: tables, exports, the site."),
    "publish": ("baselines", "Send models, worlds and the board to the Hugging Face Hub."),
}


def build() -> App:
    """Assemble the command line without importing any command."""
    app = App(
        name="hand-bench",
        help="Score 3D hand pose predictions exactly as each dataset's official scorer does.",
        version=__version__,
        result_action="return_value",
        default_parameter=Parameter(negative=()),
    )
    for name, (where, text) in COMMANDS.items():
        app.command(where, name=name, help=text)
    for group, (text, commands) in GROUPS.items():
        sub = App(name=group, help=text, result_action="return_value")
        for name, (where, line) in commands.items():
            sub.command(where, name=name, help=line)
        app.command(sub)
    return app


def add_outer(app: App) -> None:
    """Add the commands that other packages offer through the entry-point group."""
    from hand_bench.cli import outer

    for name, point in outer.find().items():
        if name not in COMMANDS:
            text = OUTER.get(name, ("", f"Command of {point.value.split(':')[0]}."))[1]
            app.command(point.value, name=name, help=text)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line: exit code 0 fine, 1 the user can fix it, 2 wrong usage."""
    tokens = sys.argv[1:] if arguments is None else arguments
    app = build()
    first = tokens[0] if tokens else ""
    if first not in COMMANDS and first not in GROUPS:
        add_outer(app)
    try:
        app(tokens)
    except KeyboardInterrupt:
        sys.stderr.write("\ninterrupted\n")
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
    except ImportError as error:
        if first not in OUTER or "circular" in str(error):
            raise
        extra = OUTER[first][0]
        sys.stderr.write(
            f"HB401 hand-bench {first}: needs the extra {extra!r} "
            f"({error.name} is not installed).\n"
            f"      pip install 'hand-bench[{extra}]'\n"
        )
        sys.exit(1)
    except Exception as error:
        from hand_bench.errors import HandBenchError

        if not isinstance(error, HandBenchError):
            raise
        sys.stderr.write(f"{error}\n")
        sys.exit(1)
