"""Plans of moves, kept in the control database. Every write is one transaction.

In which order plans, tenants and cells are locked is said in `transactions`.
"""

import json
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg

from directory import postgres_moves, transactions
from directory.errors import NotAllowed
from directory.plans import NewPlan, Obstructed, Plan, PlanMove, PlannedMove, Spent
from directory.rules import moves as move_rules
from directory.rules import planning as rules
from directory.rules.planning import PlanEnd, PlanKind, PlanState, PlanWish, StepState
from directory.transactions import SQL, Transactions, fields_of, found, repeated
from directory.values import Move, MoveOptions, NewMove, Term
from runtime.database import Connection, Pool

FORGOTTEN_AT_ONCE = 20
"""Each may have thousands of moves."""


class PostgresPlans:
    """`Plans` over a pool of connections as `directory_writer`."""

    def __init__(self, pool: Pool) -> None:
        self._transactions = Transactions(pool)

    # By anybody

    @repeated
    async def propose(self, new: NewPlan, moves: Sequence[PlannedMove], term: Term | None = None) -> Plan:
        state: PlanState = "APPROVED" if new.approved_by else "PROPOSED"
        async with self._transactions.begun(term) as connection:
            milliseconds = await connection.fetchval(SQL["get_milliseconds"])
            plan_id = rules.plan_id(milliseconds, secrets.randbits(move_rules.RANDOM_BITS))
            if state == "APPROVED":
                await _check_alone(connection, plan_id, new.kind, new.cell_id)
            row = await _alone(
                connection.fetchrow(
                    *(SQL["insert_plan"], plan_id, new.kind, new.cell_id, state, new.automatic),
                    *(_json(new.goals), _json(new.summary), int(bool(moves)), new.approved_by),
                    float(new.expires_seconds),
                )
            )
            await _insert(connection, plan_id, 1, 0, moves)
            await connection.execute(SQL["expire_old_plans"], rules.MOST_PROPOSED)
            return _plan(found(row, "plan", plan_id))

    async def plan(self, plan_id: str) -> Plan:
        return _plan(found(await self._transactions.row("get_plan", plan_id), "plan", plan_id))

    async def plans(
        self,
        *,
        before: str = "",
        limit: int = 100,
        kind: PlanKind | None = None,
        cell_id: str | None = None,
        unfinished: bool | None = None,
    ) -> Sequence[Plan]:
        rows = await self._transactions.rows("list_plans", before, limit, kind, cell_id, unfinished)
        return [_plan(row) for row in rows]

    async def moves(
        self, plan_id: str, after: int = 0, limit: int = 100, states: Sequence[StepState] = ()
    ) -> Sequence[PlanMove]:
        async with self._transactions.begun() as connection:
            found(await connection.fetchrow(SQL["get_plan"], plan_id), "plan", plan_id)
            rows = await connection.fetch(SQL["list_plan_moves"], plan_id, after, limit, list(states))
        return [PlanMove(**{**fields_of(PlanMove, row), "takes": tuple(row["takes"])}) for row in rows]

    @repeated
    async def ask(self, plan_id: str, wish: PlanWish, by: str, term: Term | None = None) -> Plan:
        async with self._transactions.begun(term) as connection:
            row = await _locked(connection, plan_id)
            rules.check_wish(row["kind"], row["state"], wish, expired=row["expired"])
            state = rules.after(row["state"], wish)
            if wish == "approve":
                await _check_alone(connection, plan_id, row["kind"], row["cell_id"])
            return await _changed(connection, plan_id, state, by=by if wish == "approve" else "")

    # By whoever leads

    @repeated
    async def call_off(self, plan_id: str, term: Term) -> Plan:
        async with self._transactions.begun(term) as connection:
            row = await _locked(connection, plan_id)
            return await _changed(connection, plan_id, rules.after(row["state"], "stop"))

    @repeated
    async def watch(self, plan_id: str, patience_seconds: float, term: Term) -> Plan:
        async with self._transactions.begun(term) as connection:
            row = await _locked(connection, plan_id)
            ended = await connection.fetch(
                *(SQL["watch_plan_moves"], plan_id, list(rules.ARRIVED), list(rules.GONE_BACK)),
                *(float(patience_seconds), list(move_rules.BEFORE_FENCING), rules.IN_VAIN),
                *(row["state"] == "STOPPING", rules.UNCARRIED),
            )
            if not ended:
                return _plan(row)
            moved = [each for each in ended if each["state"] == "moved"]
            errors = [each["error"] for each in ended if each["state"] != "moved" and each["error"]]
            counted = await connection.fetchrow(
                *(SQL["count_plan_moves"], plan_id, len(moved), sum(each["bytes"] for each in moved)),
                *(len(ended) - len(moved), rules.clip(errors[-1]) if errors else None),
            )
            return _plan(found(counted, "plan", plan_id))

    async def obstructed(self, plan_id: str, patience_seconds: float) -> Sequence[Obstructed]:
        obstructed = []
        async with self._transactions.begun() as connection:
            rows = await connection.fetch(
                *(SQL["list_obstructed_plan_moves"], plan_id, list(move_rules.UNDECIDED), float(patience_seconds))
            )
            for row in rows:
                known = await connection.fetchrow(SQL["get_cell"], row["destination"])
                cell = transactions.cell(found(known, "cell", row["destination"]))
                tenant = await transactions.get_tenant(connection, row["tenant_id"])
                if (why := rules.obstruction(cell, tenant, waited=row["waited"])) is not None:
                    obstructed.append(Obstructed(row["number"], row["move_id"], row["tenant_id"], why))
        return obstructed

    @repeated
    async def withdraw(self, plan_id: str, number: int, why: str, term: Term) -> Move:
        async with self._transactions.begun(term) as connection:
            await _locked(connection, plan_id)
            row = await connection.fetchrow(SQL["lock_plan_move"], plan_id, number)
            step = found(row, "move of plan", plan_id)
            rules.check_under_way(plan_id, number, step["state"])
            move = await postgres_moves.asked(connection, step["move_id"], "cancel", why)
            await connection.execute(SQL["set_plan_move_withdrawn"], plan_id, number, rules.clip(why))
            return move

    @repeated
    async def begin(self, plan_id: str, number: int, options: MoveOptions, term: Term) -> Move:
        async with self._transactions.begun(term) as connection:
            step = await _waiting(connection, plan_id, number)
            new = NewMove(step["tenant_id"], step["destination"], options, step["reason"])
            measured = tuple(step["takes"][: rules.MEASURED])
            move = await postgres_moves.planned(connection, new, measured, step["offer"], step["source"])
            # Both cells' rows are locked by now: who says later that this one was lost, says it after the move.
            source = found(await connection.fetchrow(SQL["get_cell"], step["source"]), "cell", step["source"])
            rules.check_source(move.tenant_id, step["source"], move.source, source["state"])
            await connection.execute(SQL["set_plan_move_begun"], plan_id, number, move.move_id)
            return move

    @repeated
    async def refuse(self, plan_id: str, number: int, why: str, term: Term) -> None:
        async with self._transactions.begun(term) as connection:
            await _waiting(connection, plan_id, number)
            await connection.execute(SQL["set_plan_move_refused"], plan_id, number, rules.clip(why))
            await connection.execute(SQL["count_plan_moves"], plan_id, 0, 0.0, 1, rules.clip(why))

    @repeated
    async def remake(
        self, plan_id: str, wave: int, summary: Mapping[str, Any], moves: Sequence[PlannedMove], term: Term
    ) -> Plan:
        async with self._transactions.begun(term) as connection:
            row = await _locked(connection, plan_id)
            went = await connection.fetchrow(SQL["get_plan_wave"], plan_id, wave)
            went = found(went, "plan", plan_id)
            rules.check_remake(plan_id, row["state"], row["wave"], wave, went["begun"])
            await connection.execute(SQL["delete_waiting_plan_moves"], plan_id)
            await _insert(connection, plan_id, went["last"] + 1, wave, moves)
            await connection.execute(SQL["forget_plan_moves"], plan_id, rules.MOST_MOVES, rules.BUDGETED_SECONDS)
            vain = rules.vain(row["vain"], went["tried"], went["moved"])
            return _plan(
                found(
                    await connection.fetchrow(SQL["remake_plan"], plan_id, vain, _json(summary)), "plan", plan_id
                )
            )

    @repeated
    async def note(self, plan_id: str, summary: Mapping[str, Any], error: str, term: Term) -> Plan:
        async with self._transactions.begun(term) as connection:
            row = await connection.fetchrow(SQL["note_plan"], plan_id, _json(summary), rules.clip(error))
            return _plan(found(row, "plan", plan_id))

    @repeated
    async def end(self, plan_id: str, event: PlanEnd, error: str, term: Term) -> Plan:
        async with self._transactions.begun(term) as connection:
            row = await _locked(connection, plan_id)
            state = rules.after(row["state"], event)
            went = await connection.fetchrow(SQL["get_plan_wave"], plan_id, row["wave"])
            rules.check_end(plan_id, found(went, "plan", plan_id)["begun"])
            await connection.execute(SQL["drop_plan_moves"], plan_id)
            return await _changed(connection, plan_id, state, error=error)

    @repeated
    async def expire(self, term: Term) -> Sequence[Plan]:
        async with self._transactions.begun(term) as connection:
            return [_plan(row) for row in await connection.fetch(SQL["expire_plans"])]

    @repeated
    async def forget(self, term: Term) -> int:
        async with self._transactions.begun(term) as connection:
            most = rules.MOST_ENDED, FORGOTTEN_AT_ONCE
            status = await connection.execute(SQL["forget_plans"], *most, rules.BUDGETED_SECONDS)
        return int(status.split()[-1])

    async def spent(self, seconds: float, plan_id: str | None = None) -> Spent:
        row = found(await self._transactions.row("get_spent", float(seconds), plan_id), "plan", plan_id or "any")
        return Spent(row["moves"], row["bytes"])


async def _locked(connection: Connection, plan_id: str) -> asyncpg.Record:
    return found(await connection.fetchrow(SQL["lock_plan"], plan_id), "plan", plan_id)


async def _waiting(connection: Connection, plan_id: str, number: int) -> asyncpg.Record:
    """A move that may be begun now. Stale."""
    plan = await _locked(connection, plan_id)
    step = found(await connection.fetchrow(SQL["lock_plan_move"], plan_id, number), "move of plan", plan_id)
    rules.check_waiting(plan_id, plan["state"], number, step["state"])
    return step


async def _check_alone(connection: Connection, plan_id: str, kind: PlanKind, cell_id: str | None) -> None:
    other = await connection.fetchrow(SQL["get_active_plan"], kind, cell_id, plan_id)
    if other is not None:
        raise rules.taken(other["plan_id"], other["state"])


async def _alone(writing: Any) -> Any:
    """What is written, unless somebody else was quicker by a moment."""
    try:
        return await writing
    except asyncpg.UniqueViolationError:
        raise NotAllowed("another plan for the same has just been approved: cellway plan list") from None


async def _changed(
    connection: Connection, plan_id: str, state: PlanState, *, by: str = "", error: str | None = None
) -> Plan:
    kept = None if error is None else rules.clip(error)
    row = await _alone(connection.fetchrow(SQL["set_plan_state"], plan_id, state, kept, by, state in rules.ENDED))
    if state in rules.ENDED:
        await connection.execute(SQL["drop_plan_moves"], plan_id)
    return _plan(found(row, "plan", plan_id))


async def _insert(
    connection: Connection, plan_id: str, number: int, wave: int, moves: Sequence[PlannedMove]
) -> None:
    kept = moves[: rules.MOST_MOVES]
    await connection.execute(
        *(SQL["insert_plan_moves"], plan_id, number, wave),
        [move.wave for move in kept],
        [move.tenant_id for move in kept],
        [move.source for move in kept],
        [move.destination for move in kept],
        [float(move.bytes) for move in kept],
        [rules.clip(move.reason) for move in kept],
        # One text for each: arrays of arrays are taken apart to the bottom.
        ["{" + ",".join(map(repr, map(float, move.takes))) + "}" for move in kept],
        [move.offer for move in kept],
    )


def _json(mapping: Mapping[str, Any]) -> str:
    return json.dumps(dict(mapping), allow_nan=False)


def _plan(row: asyncpg.Record) -> Plan:
    return Plan(
        **{**fields_of(Plan, row), "goals": json.loads(row["goals"]), "summary": json.loads(row["summary"])}
    )
