"""The leaderboard's site: static pages made from a board, which work from a folder."""

from hand_leaderboard.site.building import build, write_site

__all__ = ["build", "write_site"]
