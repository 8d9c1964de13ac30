"""The command `hand-bench leaderboard`; its commands are imported only when they run."""

from __future__ import annotations

from cyclopts import App, Parameter

#: name -> (module:function, one line of help)
COMMANDS: dict[str, tuple[str, str]] = {
    "ls": ("hand_leaderboard.board.commands:leaderboard_ls", "List the boards and who leads."),
    "table": (
        "hand_leaderboard.board.commands:leaderboard_table",
        "Print a table: text, CSV, JSON, LaTeX, Markdown, BibTeX.",
    ),
    "build": ("hand_leaderboard.site.commands:build_command", "Write the site, static pages."),
    "serve": ("hand_leaderboard.site.commands:serve", "Write the site and show it here."),
}

app = App(
    name="leaderboard",
    help="The board: tables, exports, the site.",
    result_action="return_value",
    default_parameter=Parameter(negative=()),
)
for _name, (_where, _text) in COMMANDS.items():
    app.command(_where, name=_name, help=_text)
