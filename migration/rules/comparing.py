"""What keeps rows out of another schema; asked before a move is planned, too (`directory.rules.comparing`)."""

from directory.rules.comparing import MOST_KEYLESS_ROWS, Finding, obstacles, spelled_otherwise

__all__ = ["MOST_KEYLESS_ROWS", "Finding", "obstacles", "spelled_otherwise"]
