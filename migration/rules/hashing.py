"""How a column takes part in a row's hash: equal hashes for equal values only, at whichever end."""

from directory.rules.tables import EXACT, TEXTS, Column
from migration.rules.names import quoted

SENT = {
    "numeric": "numeric_send",
    "float4": "float4send",
    "float8": "float8send",
    "interval": "interval_send",
    "money": "cash_send",
}
"""Hashed by what they are sent as, which is as exact as their text and cheaper: their own hashes hold 1.0 for
1.00, 0 for -0 and one day for 24 hours, or are missing."""
SEED = 0
BUCKETS = 256
"""Rows are counted and summed by that many parts of their keys, so a difference is found by looking at few."""


def hashed(column: Column, prefix: str = "") -> str:
    """The expression that stands for a column in a row's hash."""
    name = prefix + quoted(column.name)
    if column.base in TEXTS:
        return f'({name}::text COLLATE "C")'
    if column.base in EXACT:
        return name
    if column.base in SENT:
        return f"{SENT[column.base]}({name})"
    return f'({name}::text COLLATE "C")'
