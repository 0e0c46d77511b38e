"""A cell's database that was restored: who moved away since must not be served there, nor written by its workers.

    close     every fence, and what movers noted is of another time    in the restored database, in one transaction
    cancel    moves from there and to there that have not switched     the other end has rows of a later time
    renew     who lived there then and lives there by now              a fresh epoch and revision in the directory
    shut      everybody else                                           at the epoch of the decision, or a fresh one

Placement then tells the cell, as soon as it answers, what is decided about each that was renewed, and by that
their fences are opened: nobody is served at an epoch of before, whatever a router, a worker or a mover still
believes. It may be done again at any time, also after half of it.
"""

import contextlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from directory import transactions
from directory.errors import NotAllowed, NotFound, Stale
from directory.postgres import PostgresDirectory
from directory.postgres_moves import PostgresMoves
from directory.rules.moves import BEFORE_FENCING
from directory.rules.restoring import lived_here
from directory.transactions import SQL, Transactions
from directory.values import Move, Tenant
from runtime import database
from runtime.database import Connection
from runtime.queries import Queries

FENCE = Queries("directory.fence")
PAGE = 1000
MOST_MOVES = 1000
LEFT = ("DRAINING", "REVERSIBLE", "REVERSING", "CLEANING")
"""Phases of a move whose rows are in its source still, and of no use any more once that was restored."""


@dataclass(frozen=True, slots=True)
class CellSettled:
    """What became of whom."""

    renewed: int
    """They live there, with their rows of the backup."""
    missing: Sequence[str]
    """They live there, and the backup has no rows of theirs, or a part: they are shut."""
    strangers: Sequence[str]
    """The backup has rows of theirs, and they live elsewhere, or nowhere: they are shut."""
    moves: Sequence[Move]
    """From there or to there, and not ended; those that had not switched are cancelled."""


async def settle(owner_dsn: str, writer_dsn: str, cell_id: str, begin_empty: Collection[str] = ()) -> CellSettled:
    """Bring a restored cell's fences up to date. `begin_empty`: missing tenants that are to begin with nothing.

    NotFound; NotAllowed while its programs are connected; Stale when a tenant was decided about meanwhile: again.
    """
    pool = await database.open_pool(writer_dsn, name="restored", size=2)
    directory, moves = PostgresDirectory(pool), PostgresMoves(pool)
    try:
        if (await directory.cell(cell_id)).state == "retired":
            raise NotAllowed(f"cell {cell_id} was retired: nobody lives there any more")
        connection = await database.reach(owner_dsn, deadline_seconds=database.CONNECT_SECONDS)
        try:
            deciding = Transactions(pool)
            late = await _fresh_epoch(deciding)
            unfinished = await moves.moves(cell_id=cell_id, unfinished=True, limit=MOST_MOVES)
            states = await _close(connection, late, unfinished)
            for move in unfinished:
                if move.phase in BEFORE_FENCING:
                    with contextlib.suppress(NotAllowed):  # it has got further meanwhile
                        await moves.ask(move.move_id, "cancel")
            held = {move.tenant_id: move for move in unfinished if move.source == cell_id}
            found = await _settled(connection, deciding, directory, cell_id, states, begin_empty, held)
        finally:
            await connection.close()
        return CellSettled(*found, await moves.moves(cell_id=cell_id, unfinished=True, limit=MOST_MOVES))
    finally:
        await directory.close()
        await pool.close()


async def _close(connection: Connection, late: int, unfinished: Sequence[Move]) -> dict[str, str]:
    """By tenant, what its fence is then: `fenced` where it lived."""
    roles = [row["role"] for row in await connection.fetch(FENCE["list_sessions"])]
    if roles:
        who = ", ".join(roles)
        raise NotAllowed(f"{who} are connected to the database: stop the cell's programs, and its movers")
    async with connection.transaction():
        rows = await connection.fetch(FENCE["close_fences"])
        await connection.execute(FENCE["outdate_moves"], late)
        for move in unfinished:
            await connection.execute(FENCE["put_outdated_move"], move.move_id, move.tenant_id, late)
        await connection.execute(FENCE["forget_whole_log"])
    return {row["tenant_id"]: row["state"] for row in rows}


async def _settled(
    connection: Connection,
    deciding: Transactions,
    directory: PostgresDirectory,
    cell_id: str,
    states: Mapping[str, str],
    begin_empty: Collection[str],
    leaving: Mapping[str, Move],
) -> tuple[int, Sequence[str], Sequence[str]]:
    renewed, missing, after = 0, [], ""
    elsewhere = set(begin_empty)
    strangers = {name for name, state in states.items() if lived_here(state)}
    while page := await directory.tenants(after=after, limit=PAGE, cell_id=cell_id):
        after = page[-1].tenant_id
        for tenant in page:
            strangers.discard(tenant.tenant_id)
            elsewhere.discard(tenant.tenant_id)
            if lived_here(states.get(tenant.tenant_id)) or tenant.tenant_id in begin_empty:
                await _renew(connection, deciding, tenant)
                renewed += 1
            else:
                await _shut(connection, tenant)
                missing.append(tenant.tenant_id)
    for name in sorted(strangers):
        move = leaving.get(name)
        if move is None or move.phase in LEFT:
            held_for = None if move is None else move.move_id
            await connection.execute(FENCE["set_fence"], name, await _fresh_epoch(deciding), "moved", held_for)
        # Otherwise its move is just about to say so itself, by a decision that is older than any fresh epoch.
    if elsewhere:
        raise NotFound(f"{', '.join(sorted(elsewhere))} do not live in {cell_id}; all else is done")
    return renewed, missing, sorted(strangers)


async def _renew(connection: Connection, deciding: Transactions, tenant: Tenant) -> None:
    if tenant.assignment is None:
        return
    cell_id, epoch = tenant.assignment.cell_id, tenant.assignment.epoch
    async with deciding.begun() as writing:
        await transactions.lock_tenant(writing, tenant.tenant_id)
        fresh = await transactions.reassign(writing, tenant.tenant_id, epoch, cell_id)
        await writing.execute(SQL["tell_tenant_anew"], tenant.tenant_id)
    if tenant.state == "deleted":
        # To be removed, a tenant has to be open; nobody is let in, for routers know that it is deleted.
        await connection.execute(FENCE["set_fence"], tenant.tenant_id, fresh.epoch, "active", None)


async def _shut(connection: Connection, tenant: Tenant) -> None:
    """At the epoch of the decision by which it lives there: nobody can carry that out any more."""
    if tenant.assignment is None:
        return
    async with connection.transaction():
        await connection.execute(FENCE["set_fence"], tenant.tenant_id, tenant.assignment.epoch, "moved", None)


async def _fresh_epoch(deciding: Transactions) -> int:
    row = await deciding.row("next_epoch")
    if row is None:
        raise Stale("a sequence returns a row")
    return int(row[0])
