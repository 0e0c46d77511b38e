"""Sequences that columns own: at the destination they go on above the source's, so no number is given twice."""

from collections.abc import Sequence as Many
from dataclasses import dataclass

from directory.rules.tables import Schema, Sequence
from migration.ends import Reader, Writing
from migration.errors import translated
from migration.rules import statements


@dataclass(frozen=True, slots=True)
class Position:
    """The last number that a sequence gave out."""

    sequence: Sequence
    value: int


async def read_positions(reader: Reader, schema: Schema) -> tuple[Position, ...]:
    """Of all sequences that have given out any, in one round trip."""
    if not schema.sequences:
        return ()
    with translated(reader.where):
        rows = await reader.connection.fetch(statements.sequence_positions(schema.sequences))
    return tuple(Position(schema.sequences[row["place"]], row["value"]) for row in rows)


async def raise_sequences(writing: Writing, schema: Schema, positions: Many[Position]) -> int:
    """Set each sequence of the same column at the destination to the source's number, if it is not there yet.

    `schema` is the destination's. Setting a sequence is not undone with the transaction, which does no harm:
    numbers are skipped. Returns how many were raised.
    """
    own = {(sequence.table, sequence.column): sequence for sequence in schema.sequences}
    pairs = [
        (own[found], position.value)
        for position in positions
        if (found := (position.sequence.table, position.sequence.column)) in own
    ]
    if not pairs:
        return 0
    statement = statements.raise_sequences([sequence for sequence, _ in pairs])
    with translated(writing.where):
        raised: int = await writing.connection.fetchval(statement, [value for _, value in pairs])
    return raised
