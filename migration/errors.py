"""What a mover can meet, each saying what to do next; and the border where asyncpg's errors become these."""

import contextlib
from collections.abc import Iterator, Mapping

import asyncpg

from runtime.database import UNREACHABLE


class MigrationError(Exception):
    """The tree's root."""


class Obstacle(MigrationError):
    """It cannot go on until a person mends something; the text says what, where, and what to do."""


class Clash(Obstacle):
    """The destination has a row with the same unique value.

    While chunks are copied at different moments it may be one of this tenant's own, from an earlier one; then
    `copying.copy_table` settles it. Otherwise another tenant has the value.
    """


class Lost(MigrationError):
    """The snapshot, or the log since then, is no more: copy again."""


class Superseded(MigrationError):
    """Somebody else carries this move now, or a later decision is known: stop, and touch nothing."""


class Unavailable(MigrationError):
    """A database is away, too busy or full just now. Trying again later may help."""


SUPERSEDED = ("CW001", "CW002", "CW003")
CLASHES = ("23505", "23P01")
PASSING: Mapping[str, str] = {
    "08": "the connection broke",
    "25": "it takes no writes now",
    "40": "transactions clashed",
    "53": "it has no room",
    "55": "a lock was not to be had in time",
    "57": "it stopped the statement",
    "58": "its machine failed",
}
"""Classes of SQLSTATE that mean: not now."""


@contextlib.contextmanager
def translated(where: str) -> Iterator[None]:
    """Errors of asyncpg as ours; `where` says at which end."""
    try:
        yield
    except asyncpg.PostgresError as error:
        raise _ours(error, where) from error
    except asyncpg.InternalClientError as error:
        # Its own words are about its state, and say nothing to anybody.
        raise Unavailable(f"{where} does not answer: the connection broke") from error
    except UNREACHABLE as error:
        raise Unavailable(f"{where} does not answer: {str(error) or type(error).__name__}") from error


def _ours(error: asyncpg.PostgresError, where: str) -> MigrationError:
    state = str(error.sqlstate)
    said = _said(error)
    if state in SUPERSEDED:
        return Superseded(f"{where}: {said}")
    if state in CLASHES:
        return Clash(
            f"{where} has it already, from another tenant: {said}. Change it at either end, or make the tenant a "
            "part of what is unique"
        )
    if state[:2] in PASSING or isinstance(error, UNREACHABLE):
        return Unavailable(f"{where}: {PASSING.get(state[:2], 'it is away')} ({said})")
    return Obstacle(f"{where} refuses ({state}): {said}")


def _said(error: asyncpg.PostgresError) -> str:
    """What the server said, with the table, the constraint and the key."""
    parts = [str(error.args[0]) if error.args else type(error).__name__]
    schema, table = getattr(error, "schema_name", None), getattr(error, "table_name", None)
    if table:
        parts.append(f"table {schema}.{table}")
    for part in (getattr(error, "constraint_name", None), getattr(error, "detail", None)):
        if part:
            parts.append(str(part).rstrip("."))
    return "; ".join(parts)
