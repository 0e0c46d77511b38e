"""A control database that was restored: epochs must not go back, and fences know what was decided since.

Everything is decided in one transaction, while neither placement nor movers run; cells and routers go on:

    epochs         above all that any fence knows, and far above all that nobody knows any more
    identity       a new one, because the stream's numbers are given out again
    moves, plans   ended: what the backup says of them is long over, and to go on from there would remove live rows
    assignments    as the fences say (`rules.restoring`); a tenant that nobody knew is entered as its cell has it
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

import asyncpg

from directory.errors import NotAllowed, NotFound
from directory.rules.restoring import Home, Seen, Verdict, judge
from directory.transactions import SQL
from runtime import database
from runtime.database import Connection
from runtime.queries import Queries

FENCE = Queries("directory.fence")
PAGE = 1000
REACH_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class TenantThere:
    """A tenant as its cell's own database has it."""

    tenant_id: str
    display_name: str
    plan: str
    state: str
    revision: int


ReadTenants = Callable[[Connection], Awaitable[Sequence[TenantThere]]]
"""Who a cell's database says is there; nobody, where it is no database of ours."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One tenant about which the directory is wrong."""

    tenant_id: str
    verdict: Verdict
    home: Home | None


@dataclass(frozen=True, slots=True)
class ControlSettled:
    """What was found and, where it was to be applied, done."""

    tenants: int
    judged: Sequence[Judged]
    """But those that are as the directory says."""
    decisions: Sequence[str]
    """Tenants whose cells know a later decision: suspended, resumed, on another plan."""
    moves: int
    plans: int
    epoch: int
    """The latest that any fence knows, or the directory."""

    def counts(self) -> Mapping[Verdict, int]:
        """How many of which verdict."""
        return Counter(each.verdict for each in self.judged)


@dataclass(slots=True)
class _Cells:
    """What all cells' databases say."""

    seen: dict[str, list[Seen]]
    there: dict[tuple[str, str], TenantThere]
    """By tenant and cell."""

    def latest(self) -> int:
        epochs = [fence.epoch for fences in self.seen.values() for fence in fences]
        return max([*epochs, *(tenant.revision for tenant in self.there.values()), 0])


async def settle(
    owner_dsn: str, cells: Mapping[str, str], read_tenants: ReadTenants, *, apply: bool
) -> ControlSettled:
    """Bring a restored control database to what the cells know. `cells`: their databases, as role cell_mover.

    NotFound: the address of a cell; NotAllowed while placement or movers are connected; StartFailed: a database
    is away.
    """
    connection = await database.reach(owner_dsn, deadline_seconds=REACH_SECONDS)
    try:
        roles = [row["role"] for row in await connection.fetch(FENCE["list_sessions"])]
        if roles:
            raise NotAllowed(
                f"{', '.join(roles)} are connected to the control database: stop placement and movers"
            )
        homes = {row["tenant_id"]: row for row in await connection.fetch(SQL["list_all_homes"])}
        states = {row["cell_id"]: row["state"] for row in await connection.fetch(SQL["list_cells"])}
        known = [cell_id for cell_id, state in states.items() if state != "retired"]
        if newer := sorted(cells.keys() - states.keys()):
            raise NotAllowed(
                f"movers know the database of {', '.join(newer)}, and the directory knows no such cell: who lives "
                "there would count as deleted; enter the cell first, or take the address away"
            )
        if absent := sorted(set(known) - cells.keys()):
            raise NotFound(f"the database of {', '.join(absent)} is not known: every cell has to be asked")
        told = await _ask(known, cells, homes, read_tenants)
        judged, decisions = _judge(homes, told)
        transaction = connection.transaction()
        await transaction.start()
        try:
            done = await _apply(connection, homes, told, judged, decisions)
        except BaseException:
            await transaction.rollback()
            raise
        await (transaction.commit() if apply else transaction.rollback())
        return done
    finally:
        await connection.close()


async def _ask(
    known: Sequence[str],
    cells: Mapping[str, str],
    homes: Mapping[str, asyncpg.Record],
    read_tenants: ReadTenants,
) -> _Cells:
    told = _Cells({}, {})
    for cell_id in known:
        connection = await database.reach(cells[cell_id], deadline_seconds=REACH_SECONDS)
        try:
            there = await read_tenants(connection)
            told.there |= {(tenant.tenant_id, cell_id): tenant for tenant in there}
            assigned = {name for name, row in homes.items() if row["cell_id"] == cell_id}
            names = sorted(assigned | {tenant.tenant_id for tenant in there})
            for begin in range(0, len(names), PAGE):
                for row in await connection.fetch(FENCE["look_at_fences"], names[begin : begin + PAGE]):
                    seen = Seen(cell_id, row["epoch"], row["state"])
                    told.seen.setdefault(row["tenant_id"], []).append(seen)
        finally:
            await connection.close()
    return told


def _judge(homes: Mapping[str, asyncpg.Record], told: _Cells) -> tuple[list[Judged], list[str]]:
    judged, decisions = [], []
    for name in sorted(homes.keys() | told.seen.keys()):
        row = homes.get(name)
        assigned = None if row is None or row["cell_id"] is None else Home(row["cell_id"], row["epoch"])
        is_settled = row is None or row["revision"] == row["applied_revision"]
        seen = told.seen.get(name, ())
        verdict, home = judge(assigned, is_known=row is not None, is_settled=is_settled, seen=seen)
        if verdict != "kept":
            judged.append(Judged(name, verdict, home))
        lives = home or assigned
        there = None if lives is None else told.there.get((name, lives.cell_id))
        if row is not None and there is not None and verdict != "torn" and there.revision > row["revision"]:
            decisions.append(name)
    return judged, decisions


async def _apply(
    connection: Connection,
    homes: Mapping[str, asyncpg.Record],
    told: _Cells,
    judged: Sequence[Judged],
    decisions: Sequence[str],
) -> ControlSettled:
    latest = told.latest()
    await connection.execute(SQL["raise_epochs"], latest)
    await connection.execute(SQL["renew_identity"])
    moves = await connection.fetch(SQL["end_all_moves"])
    await connection.execute(SQL["free_all_switches"])
    plans = await connection.fetch(SQL["stop_all_plans"])
    await connection.execute(SQL["drop_all_locks"])
    lives = {each.tenant_id: each.home for each in judged if each.home is not None}
    for each in judged:
        await _put(connection, each, told, is_known=each.tenant_id in homes)
    for name in decisions:
        cell_id = lives[name].cell_id if name in lives else homes[name]["cell_id"]
        await _take_over(connection, told.there[name, cell_id])
    # Last, for it is told at a revision that is later than what was taken over.
    for each in judged:
        if each.verdict == "opened":
            await connection.execute(SQL["tell_tenant_anew"], each.tenant_id)
    await connection.execute(SQL["count_everybody"])
    return ControlSettled(len(homes), judged, decisions, len(moves), len(plans), latest)


async def _put(connection: Connection, each: Judged, told: _Cells, *, is_known: bool) -> None:
    if each.verdict == "gone":
        await connection.execute(SQL["delete_assignment"], each.tenant_id)
        await connection.execute(SQL["mark_deleted"], each.tenant_id)
    if each.home is None:
        return
    if not is_known:  # then it is its cell's database alone that has named it
        await _take_over(connection, told.there[each.tenant_id, each.home.cell_id])
    epoch = await connection.fetchval(SQL["next_epoch"]) if each.verdict == "opened" else each.home.epoch
    await connection.execute(SQL["put_home"], each.tenant_id, each.home.cell_id, epoch)


async def _take_over(connection: Connection, there: TenantThere) -> None:
    described = there.tenant_id, there.display_name, there.plan, there.state, there.revision
    await connection.execute(SQL["put_known_tenant"], *described)
