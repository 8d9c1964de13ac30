"""What the leaderboard shows, as data: rows, tables, ranks, exports. No HTML."""

from hand_leaderboard.board.reading import read_board
from hand_leaderboard.board.tables import Board, Cell, Column, Group, Paper, Row, Table

__all__ = ["Board", "Cell", "Column", "Group", "Paper", "Row", "Table", "read_board"]
