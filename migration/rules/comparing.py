"""What keeps rows out of another schema; asked before a move is planned, too (`directory.rules.comparing`)."""

from directory.rules.comparing import Finding, obstacles

__all__ = ["Finding", "obstacles"]
