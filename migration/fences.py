"""What a mover tells the fence of one end: each a transaction of its own, in one round trip.

The text of these statements holds no value: they are read from the connection's settings, which are set first when
they change. So one message does it all, which counts while a tenant waits.
"""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from json import dumps, loads
from typing import Any, Literal

import asyncpg

from migration.catalog import QUERIES
from migration.ends import End
from migration.errors import translated
from migration.rules.names import text_of

TAKE_LOCK_MS = 500
MOST_WRITERS = 3
"""That are named; one is enough to be in the way."""
State = Literal["active", "importing", "fenced", "moved"]


@dataclass(frozen=True, slots=True)
class Fence:
    """What a database's fence knows of the tenant."""

    epoch: int
    state: State


@dataclass(frozen=True, slots=True)
class Notes:
    """How far the rows are, as the database keeps it that has them."""

    snapshot: str | None
    """The source's, at which they are equal; while they are being copied, the earliest that any was read at."""
    progress: Mapping[str, Any]


async def take(end: End, token: int) -> Notes:
    """From now on whoever carries a lower token is refused there. How far the rows are.

    Superseded. Unavailable: also when somebody who carried it before is in a transaction that does not end.
    """
    async with end.connected() as connection, connection.transaction():
        await connection.execute(f"SET LOCAL lock_timeout = {TAKE_LOCK_MS}")
        row = await connection.fetchrow(QUERIES["take_move"], end.move_id, end.tenant_id, token)
    if row is None:
        raise RuntimeError("cellway.take returns a row")
    return Notes(row["snapshot"], loads(row["progress"]))


async def end_predecessors(end: End) -> int:
    """Whoever is in a transaction for this move there: one that stands still keeps it. How many."""
    async with end.connected() as connection:
        ended: int = await connection.fetchval(QUERIES["end_predecessors"], end.move_id)
    return ended


async def await_writers(end: End, *, lock_ms: int) -> None:
    """Return when the tenant's writers that are there now have ended; others wait behind us, so long at most.

    Unavailable: they would not end in time.
    """
    await _at_once(
        end,
        [
            "BEGIN",
            f"SET LOCAL lock_timeout = {int(lock_ms)}",
            f"SELECT pg_advisory_xact_lock(hashtextextended('fence:' || {text_of(end.tenant_id)}, 0))",
            "COMMIT",
        ],
    )


async def tell_writers(end: End) -> str:
    """Whose transactions have written for the tenant, and have not ended: for people."""
    async with end.connected() as connection:
        rows = await connection.fetch(QUERIES["list_writers"], end.tenant_id, MOST_WRITERS)
    told = ", ".join(f"process {row['pid']} of {row['usename']} ({row['application_name']})" for row in rows)
    return f"{end.name} has transactions of this tenant that do not end{told and ': ' + told}"


async def persist(end: End, token: int) -> None:
    """Return when all that any snapshot has seen there is on the disk.

    Numbers of transactions that a server forgets, in dying, it gives again. A snapshot to go on from may know none
    of those as ended, not even as rolled back, or what gets such a number later is taken for older than it.
    """
    move = text_of(end.move_id)
    await _at_once(
        end,
        [
            "BEGIN",
            "SET LOCAL synchronous_commit = on",
            f"SELECT cellway.act({move}, {int(token)})",
            f"SELECT cellway.note({move}, {int(token)}, NULL, NULL)",
            "COMMIT",
        ],
    )


async def look(end: End) -> Fence | None:
    """None: this tenant has never been there."""
    async with end.connected() as connection:
        row = await connection.fetchrow(QUERIES["look_at_fence"], end.tenant_id)
    return None if row is None or row["epoch"] is None else Fence(row["epoch"], row["state"])


async def flip(
    end: End,
    token: int,
    epoch: int,
    state: State,
    *,
    captured: bool | None = None,
    held_for: str | None = None,
    lock_ms: int = 1000,
) -> None:
    """Set the fence, and capture with it in the same moment. Waits for the tenant's writers, so long at most.

    `held_for`: the move whose mover may write there while it is importing or moved; None: this one.

    Superseded: a later decision or mover is known. Unavailable: writers would not end in time.
    """
    move = text_of(end.move_id)
    # One that is open is held for nobody: later orders are about the same epoch, and name no move.
    held = "NULL" if state == "active" else text_of(held_for or end.move_id)
    statements = [
        "BEGIN",
        f"SET LOCAL lock_timeout = {int(lock_ms)}",
        f"SELECT cellway.act({move}, {int(token)})",
        f"SELECT cellway.set_fence({text_of(end.tenant_id)}, {int(epoch)}, {text_of(state)}, {held})",
    ]
    if captured is not None:
        statements.append(f"SELECT cellway.set_captured({str(captured).lower()})")
    await _at_once(end, [*statements, "COMMIT"])


async def capture(end: End, token: int, wanted: bool, *, lock_ms: int = 1000) -> None:
    """Switch capture. Waits for the tenant's writers, so long at most. Superseded; Unavailable."""
    await _at_once(
        end,
        [
            "BEGIN",
            f"SET LOCAL lock_timeout = {int(lock_ms)}",
            f"SELECT cellway.act({text_of(end.move_id)}, {int(token)})",
            f"SELECT cellway.set_captured({str(wanted).lower()})",
            "COMMIT",
        ],
    )


async def hand_over(
    end: End, token: int, from_move: str, to_move: str, progress: Mapping[str, Any] | None = None
) -> None:
    """The rows that one move left there are the other's from now on, one of which is carried here. Obstacle."""
    async with end.writing(token) as writing:
        with translated(end.name):
            await writing.connection.execute(QUERIES["hand_over"], from_move, to_move, dumps(dict(progress or {})))


async def _at_once(end: End, statements: list[str]) -> None:
    async with end.connected() as connection:
        try:
            with translated(end.name):
                await connection.execute("; ".join(statements))
        except BaseException:
            # The server ignores the rest of a message that failed, and is still in its transaction.
            with contextlib.suppress(asyncpg.InterfaceError):  # it is gone, and so is its transaction
                if connection.is_in_transaction() and not connection.is_closed():
                    await connection.execute("ROLLBACK", timeout=1.0)
            raise
