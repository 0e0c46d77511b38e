"""Moves, kept in the control database. Every write is one transaction.

In which order tenants, moves and cells are locked is said in `transactions`.
"""

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import asyncpg

from directory import transactions
from directory.errors import NotAllowed, Stale
from directory.moves import NOTHING
from directory.reservations import Takes
from directory.rules import moves as rules
from directory.rules import planning as plan_rules
from directory.rules.capacities import capped
from directory.rules.moves import Decision, MoveStep
from directory.rules.planning import MEASURED
from directory.rules.plans import TOP_PLANS
from directory.transactions import SQL, Transactions, fields_of, found, get_tenant, lock_tenant, repeated
from directory.values import (
    Move,
    MoveChange,
    MoveEvent,
    MoveOptions,
    MovePhase,
    NewMove,
    Passage,
    PhaseCount,
    Tenant,
    Term,
    Wish,
)
from runtime.database import Connection, Pool

OPTIONS = frozenset(MoveOptions.__dataclass_fields__)
JSON = ("epochs", "progress", "proof")
NOT_MEASURED: Takes = (0.0,) * MEASURED
"""What an operator has moved counts in pictures with the next count of loads; for caps it does at once."""


class PostgresMoves:
    """`Moves` over a pool of connections as `directory_mover`; as `directory_writer` to plan, ask and look."""

    def __init__(self, pool: Pool) -> None:
        self._transactions = Transactions(pool)

    # By whoever wants a tenant elsewhere

    @repeated
    async def plan(self, new: NewMove, term: Term | None = None) -> Move:
        rules.check_options(new.options)
        async with self._transactions.begun(term) as connection:
            return await planned(connection, new)

    @repeated
    async def check(self, new: NewMove) -> Sequence[str]:
        rules.check_options(new.options)
        async with self._transactions.begun() as connection:
            old = None
            if new.reverses is not None:
                row = await connection.fetchrow(SQL["get_move"], new.reverses)
                old = _move(found(row, "move", new.reverses))
            _, refusals = await _considered(connection, new, old)
        return [str(refusal) for refusal in refusals]

    async def move(self, move_id: str) -> Move:
        return _move(found(await self._transactions.row("get_move", move_id), "move", move_id))

    async def moves(
        self,
        *,
        after: str = "",
        limit: int = 100,
        tenant_id: str | None = None,
        cell_id: str | None = None,
        unfinished: bool | None = None,
    ) -> Sequence[Move]:
        rows = await self._transactions.rows("list_moves", after, limit, tenant_id, cell_id, unfinished)
        return [_move(row) for row in rows]

    async def latest(self, limit: int = 100) -> Sequence[Move]:
        return [_move(row) for row in await self._transactions.rows("list_latest_moves", limit)]

    async def recent(self, seconds: float) -> Sequence[Passage]:
        rows = await self._transactions.rows("list_recent_moves", float(seconds))
        return [Passage(**fields_of(Passage, row)) for row in rows]

    async def flights(self) -> Mapping[str, int]:
        rows = await self._transactions.rows("count_flights", list(rules.LANDED))
        return {row["cell_id"]: row["flights"] for row in rows}

    async def by_phase(self) -> Sequence[PhaseCount]:
        return [PhaseCount(**fields_of(PhaseCount, row)) for row in await self._transactions.rows("count_phases")]

    async def events(self, move_id: str, after: int = 0, limit: int = 1000) -> Sequence[MoveEvent]:
        async with self._transactions.begun() as connection:
            found(await connection.fetchrow(SQL["get_move"], move_id), "move", move_id)
            rows = await connection.fetch(SQL["list_move_events"], move_id, after, limit)
        return [MoveEvent(**{**fields_of(MoveEvent, row), "detail": json.loads(row["detail"])}) for row in rows]

    @repeated
    async def ask(self, move_id: str, wish: Wish) -> Move:
        async with self._transactions.begun() as connection:
            return await asked(connection, move_id, wish)

    # By whoever carries moves out

    @repeated
    async def claim(self, owner: str, lease_seconds: float, most_of_a_cell: int) -> Move | None:
        async with self._transactions.begun() as connection:
            await connection.execute(SQL["lock_claims"])
            order, urgent, back = list(rules.CLAIMED_FIRST), list(rules.URGENT), list(rules.BACK)
            row = await connection.fetchrow(
                *(SQL["claim_move"], owner, float(lease_seconds), most_of_a_cell),
                *(order, urgent, back, list(rules.REOPENING)),
            )
        return None if row is None else _move(row)

    @repeated
    async def renew(self, move_id: str, token: int, lease_seconds: float) -> Move:
        async with self._transactions.begun() as connection:
            await _held(connection, move_id, token)
            row = await connection.fetchrow(SQL["renew_move"], move_id, float(lease_seconds))
            return _move(found(row, "move", move_id))

    @repeated
    async def let_go(self, move_id: str, token: int, wait_seconds: float, known: Wish | None = None) -> None:
        async with self._transactions.begun() as connection:
            await _held(connection, move_id, token)
            await connection.execute(SQL["let_move_go"], move_id, float(wait_seconds), known)
            await connection.execute(SQL["free_switches"], move_id)

    @repeated
    async def record(
        self, move_id: str, token: int, event: MoveStep, change: MoveChange = NOTHING, text: str = ""
    ) -> Move:
        async with self._transactions.begun() as connection:
            row = await _locked(connection, move_id)
            move = _move(row)
            rules.check_token(move, token)
            phase = rules.recorded(move, event)
            if event == "clean":
                rules.check_way_back_over(move, row["way_back_over"])
            if move.phase == "REVERSING":
                reverse = await connection.fetchval(SQL["get_unfinished_reverse"], move_id, list(rules.BACK))
                rules.check_reverse_ended(move, reverse)
            return await _stepped(connection, move, event, phase, change, text)

    @repeated
    async def note(self, move_id: str, token: int, change: MoveChange) -> Move:
        async with self._transactions.begun() as connection:
            await _held(connection, move_id, token)
            return await _changed(connection, move_id, change)

    @repeated
    async def take_switch(self, move_id: str, token: int, seconds: float) -> bool:
        async with self._transactions.begun() as connection:
            move = await _held(connection, move_id, token)
            cells = sorted((move.source, move.destination))
            taken = await connection.fetch(SQL["take_switches"], cells, move_id, float(seconds))
            if len(taken) < len(cells):
                await connection.execute(SQL["free_switches"], move_id)
            return len(taken) == len(cells)

    @repeated
    async def forget_ended(self, kept_seconds: float, most: int) -> int:
        async with self._transactions.begun() as connection:
            return int(await connection.fetchval(SQL["forget_moves"], float(kept_seconds), most))

    async def missing_upgrade(self) -> int | None:
        row = await self._transactions.row("get_missing_upgrade")
        return None if row is None else row["min"]

    async def fresh_epoch(self) -> int:
        async with self._transactions.begun() as connection:
            return int(await connection.fetchval(SQL["next_epoch"]))

    async def commit(self, move_id: str, token: int, epoch: int) -> Move:
        return await self._decide(move_id, token, epoch, "COMMIT")

    async def release(self, move_id: str, token: int, epoch: int) -> Move:
        return await self._decide(move_id, token, epoch, "ABORT")

    @repeated
    async def _decide(self, move_id: str, token: int, epoch: int, decision: Decision) -> Move:
        async with self._transactions.begun() as connection:
            row = found(await connection.fetchrow(SQL["get_move"], move_id), "move", move_id)
            await lock_tenant(connection, row["tenant_id"])
            move = await _held(connection, move_id, token)
            known = await connection.fetchval(SQL["get_decision"], move_id, epoch)
            if known == decision:
                return move
            if known is not None:
                raise Stale(f"move {move_id} has decided {known} about epoch {epoch} already")
            step, name = rules.DECIDING[decision]
            phase = rules.decided(move, decision)
            cell_id, back = rules.place(move, decision)
            fresh = (await transactions.reassign(connection, move.tenant_id, epoch, cell_id, back=back)).epoch
            await connection.execute(SQL["insert_decision"], move_id, epoch, decision, fresh)
            await connection.execute(SQL["free_switches"], move_id)
            return await _stepped(connection, move, step, phase, MoveChange(epochs={name: fresh}))


async def planned(
    connection: Connection, new: NewMove, measured: Takes = NOT_MEASURED, offer: int = 0, source: str = ""
) -> Move:
    """The move, in a transaction that is begun already. As `Moves.plan`.

    `measured`: what it takes beside caps; `offer`: by which its destination was chosen, 0: by any. `source`: a
    cell whose state must not change until the transaction ends.
    """
    await lock_tenant(connection, new.tenant_id)
    old = None if new.reverses is None else _move(await _locked(connection, new.reverses))
    # Nobody is let in between the look at the caps and the promise.
    await connection.execute(SQL["lock_cells"], [new.destination, *([source] if source else [])])
    tenant, refusals = await _considered(connection, new, old)
    for refusal in refusals:
        raise refusal
    if offer:
        plan_rules.check_offer(
            new.destination, offer, await connection.fetchval(SQL["get_offer"], new.destination)
        )
    if old is not None:
        await _take_way_back(connection, old)
    await transactions.promise_room(connection, new.destination, (*measured, *capped(tenant)))
    return await _insert(connection, new, rules.check_movable(new, tenant))


async def asked(connection: Connection, move_id: str, wish: Wish, why: str = "") -> Move:
    """The move with this wish, in a transaction that is begun already. As `Moves.ask`."""
    move = _move(await _locked(connection, move_id))
    rules.check_wish(move, wish)
    row = await connection.fetchrow(SQL["set_move_wish"], move_id, wish, wish == "pause")
    if wish != move.wish:
        detail = {"event": "ask", "wish": wish}
        await _happened(connection, move_id, move.phase, rules.wished(wish, why), detail)
    return _move(found(row, "move", move_id))


async def _take_way_back(connection: Connection, old: Move) -> None:
    phase = rules.after(old.phase, "reverse")
    await connection.execute(SQL["reverse_move"], old.move_id, phase)
    await _happened(connection, old.move_id, phase, "its way back is taken", {"event": "reverse"})


async def _insert(connection: Connection, new: NewMove, source: str) -> Move:
    milliseconds = await connection.fetchval(SQL["get_milliseconds"])
    row = await connection.fetchrow(
        SQL["insert_move"],
        rules.move_id(milliseconds, secrets.randbits(rules.RANDOM_BITS)),
        new.tenant_id,
        source,
        new.destination,
        json.dumps(asdict(new.options)),
        rules.clip(new.reason),
        new.reverses,
    )
    made = _move(found(row, "move", new.tenant_id))
    detail = {"event": "plan"} | ({} if new.reverses is None else {"reverses": new.reverses})
    await _happened(connection, made.move_id, made.phase, made.reason, detail)
    return made


async def _considered(
    connection: Connection, new: NewMove, old: Move | None
) -> tuple[Tenant, Sequence[NotAllowed]]:
    """The tenant, and what keeps it from moving so. NotFound."""
    tenant = await get_tenant(connection, new.tenant_id)
    row = await connection.fetchrow(SQL["get_cell"], new.destination)
    cell = transactions.cell(found(row, "cell", new.destination))
    unfinished = [row["move_id"] for row in await connection.fetch(SQL["list_unfinished_moves"], new.tenant_id)]
    sums = await connection.fetchrow(SQL["sum_taken"], new.destination, list(TOP_PLANS), list(rules.UNDECIDED))
    taken = tuple(found(sums, "cell", new.destination))
    return tenant, rules.refusals(new, tenant, unfinished, cell, old, taken)


async def _locked(connection: Connection, move_id: str) -> asyncpg.Record:
    return found(await connection.fetchrow(SQL["lock_move"], move_id), "move", move_id)


async def _held(connection: Connection, move_id: str, token: int) -> Move:
    """The move, locked; Stale when somebody else claimed it since."""
    move = _move(await _locked(connection, move_id))
    rules.check_token(move, token)
    return move


async def _stepped(
    connection: Connection, move: Move, step: MoveStep, phase: MovePhase, change: MoveChange, text: str = ""
) -> Move:
    """In the next phase, with what changed and the event."""
    await _changed(connection, move.move_id, change)
    if ended := phase in rules.ENDED:
        await connection.execute(SQL["free_switches"], move.move_id)
    row = await connection.fetchrow(SQL["set_move_phase"], move.move_id, phase, int(step == "release"), ended)
    await _happened(connection, move.move_id, phase, text, rules.detail(step, move.token, rules.clipped(change)))
    return _move(found(row, "move", move.move_id))


async def _changed(connection: Connection, move_id: str, change: MoveChange) -> Move:
    change = rules.clipped(change)
    mappings = [
        None if value is None else json.dumps(dict(value), allow_nan=False)
        for value in (change.epochs, change.progress, change.proof)
    ]
    row = await connection.fetchrow(SQL["change_move"], move_id, *mappings, change.pause_ms, change.error)
    return _move(found(row, "move", move_id))


async def _happened(
    connection: Connection, move_id: str, phase: MovePhase, text: str, detail: dict[str, Any]
) -> None:
    await connection.execute(SQL["insert_move_event"], move_id, phase, rules.clip(text), json.dumps(detail))


def _move(row: asyncpg.Record) -> Move:
    """A move as its row says, by the names that this version knows."""
    fields = fields_of(Move, row)
    for name in JSON:
        fields[name] = json.loads(row[name])
    options = {name: value for name, value in json.loads(row["options"]).items() if name in OPTIONS}
    return Move(**{**fields, "options": MoveOptions(**options)})
