"""What is known of the tables whose rows move: movers and cells mean the same by it (`directory.rules.tables`)."""

from directory.rules.tables import EXACT, TEXTS, Check, Column, ForeignKey, Schema, Sequence, Table, Unique

__all__ = ["EXACT", "TEXTS", "Check", "Column", "ForeignKey", "Schema", "Sequence", "Table", "Unique"]
