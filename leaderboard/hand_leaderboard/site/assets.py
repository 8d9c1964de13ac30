"""Assets: the sheet with its font inside, the scripts, licences of what is not ours."""

from __future__ import annotations

import base64
from pathlib import Path

from hand_leaderboard.site.folders import SiteFolder

FOLDER = Path(__file__).with_name("assets")
FONT = "inter-latin.woff2"


def write(folder: SiteFolder) -> None:
    """Put the assets into a site."""
    for path in sorted(FOLDER.iterdir()):
        if path.suffix in (".js", ".svg", ".txt"):
            folder.write(f"assets/{path.name}", path.read_text("utf-8"))
    folder.write("assets/site.css", sheet())


def sheet() -> str:
    """Return the sheet with the font as data: browsers refuse fonts of a folder (`file://`)."""
    font = base64.b64encode((FOLDER / FONT).read_bytes()).decode()
    text = (FOLDER / "site.css").read_text("utf-8")
    return text.replace(f'url("{FONT}")', f'url("data:font/woff2;base64,{font}")')
