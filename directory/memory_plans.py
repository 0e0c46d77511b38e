"""The twin in memory of plans: the same promises and errors, for tests and for trying things out."""

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from directory.errors import NotFound
from directory.memory import KeptMove, MemoryDirectory
from directory.memory_moves import MemoryMoves
from directory.plans import NewPlan, Obstructed, Plan, PlanMove, PlannedMove, Spent
from directory.rules import moves as move_rules
from directory.rules import planning as rules
from directory.rules.planning import PlanEnd, PlanKind, PlanState, PlanWish, StepState
from directory.values import Move, MoveOptions, NewMove, Term


class MemoryPlans:
    """`Plans` beside a `MemoryDirectory` and its moves. No method awaits in between, so each is atomic."""

    def __init__(self, directory: MemoryDirectory, moves: MemoryMoves) -> None:
        self._directory = directory
        self._moves = moves
        self._clock = directory.clock
        self._plans: dict[str, Plan] = {}
        self._steps: dict[str, dict[int, PlanMove]] = {}

    def __repr__(self) -> str:
        return f"<MemoryPlans {len(self._plans)}>"

    # By anybody

    async def propose(self, new: NewPlan, moves: Sequence[PlannedMove], term: Term | None = None) -> Plan:
        self._directory.check_term(term)
        if new.approved_by:
            self._check_alone("", new.kind, new.cell_id)
        now = self._clock.now()
        plan_id = rules.plan_id(int(now.timestamp() * 1000), secrets.randbits(move_rules.RANDOM_BITS))
        plan = Plan(
            plan_id=plan_id,
            kind=new.kind,
            cell_id=new.cell_id,
            state="APPROVED" if new.approved_by else "PROPOSED",
            automatic=new.automatic,
            goals=_as_json(new.goals),
            summary=_as_json(new.summary),
            wave=int(bool(moves)),
            vain=0,
            moved=0,
            failed=0,
            moved_bytes=0.0,
            approved_by=new.approved_by,
            error="",
            created_at=now,
            made_at=now,
            expires_at=now + timedelta(seconds=new.expires_seconds),
            approved_at=now if new.approved_by else None,
            updated_at=now,
            ended_at=None,
        )
        self._plans[plan_id], self._steps[plan_id] = plan, {}
        self._insert(plan_id, 1, 0, moves)
        proposed = [each for each in self._latest_first() if each.state == "PROPOSED"]
        for old in proposed[rules.MOST_PROPOSED :]:
            self._changed(old.plan_id, "EXPIRED")
        return self._plans[plan_id]

    async def plan(self, plan_id: str) -> Plan:
        return self._kept(plan_id)

    async def plans(
        self,
        *,
        before: str = "",
        limit: int = 100,
        kind: PlanKind | None = None,
        cell_id: str | None = None,
        unfinished: bool | None = None,
    ) -> Sequence[Plan]:
        return [
            plan
            for plan in self._latest_first()
            if (not before or plan.plan_id < before)
            and kind in (None, plan.kind)
            and cell_id in (None, plan.cell_id)
            and unfinished in (None, plan.ended_at is None)
        ][:limit]

    async def moves(
        self, plan_id: str, after: int = 0, limit: int = 100, states: Sequence[StepState] = ()
    ) -> Sequence[PlanMove]:
        self._kept(plan_id)
        steps = sorted(self._steps[plan_id].items())
        return [step for n, step in steps if n > after and (not states or step.state in states)][:limit]

    async def ask(self, plan_id: str, wish: PlanWish, by: str, term: Term | None = None) -> Plan:
        self._directory.check_term(term)
        plan = self._kept(plan_id)
        rules.check_wish(plan.kind, plan.state, wish, expired=plan.expires_at <= self._clock.now())
        state = rules.after(plan.state, wish)
        if wish == "approve":
            self._check_alone(plan_id, plan.kind, plan.cell_id)
        return self._changed(plan_id, state, by=by if wish == "approve" else "")

    # By whoever leads

    async def call_off(self, plan_id: str, term: Term) -> Plan:
        self._directory.check_term(term)
        return self._changed(plan_id, rules.after(self._kept(plan_id).state, "stop"))

    async def watch(self, plan_id: str, patience_seconds: float, term: Term) -> Plan:
        self._directory.check_term(term)
        plan = self._kept(plan_id)
        for number, step in self._steps[plan_id].items():
            state, error = self._told(step, patience_seconds, stops=plan.state == "STOPPING")
            if state is None:
                continue
            kept, moved = self._directory.moves.get(step.move_id), state == "moved"
            carried = rules.carried(step.bytes, state, {} if kept is None else kept.move.progress)
            self._steps[plan_id][number] = replace(step, state=state, error=error, bytes=carried)
            plan = replace(
                plan,
                moved=plan.moved + moved,
                moved_bytes=plan.moved_bytes + carried * moved,
                failed=plan.failed + (not moved),
                error=plan.error if moved or not error else rules.clip(error),
                updated_at=self._clock.now(),
            )
        self._plans[plan_id] = plan
        return plan

    def _told(self, step: PlanMove, patience_seconds: float, *, stops: bool) -> tuple[StepState | None, str]:
        if step.state != "begun" or step.begun_at is None:
            return None, ""
        kept = self._directory.moves.get(step.move_id)
        if kept is None:
            return rules.stepped(step.state, "give_up"), "the move is known no longer"
        move, before = kept.move, self._clock.now() - timedelta(seconds=patience_seconds)
        rests = max(kept.phase_at, step.begun_at) <= before
        uncarried = stops and max(move.updated_at, step.begun_at) <= before
        vain = rules.is_tried_in_vain(move.phase, move.wish, waited=self._waited(kept, patience_seconds))
        event = rules.told(move.phase, stuck=vain or uncarried or (rests and bool(move.paused or move.error)))
        why = "" if event != "leave" else rules.IN_VAIN if vain else rules.UNCARRIED
        error = move.error or step.error or why
        return None if event is None else rules.stepped(step.state, event), error

    def _waited(self, kept: KeptMove, seconds: float) -> bool:
        """Whether it was READY so long ago, with what was copied last."""
        before = self._clock.now() - timedelta(seconds=seconds)
        copied = max((event.number for event in kept.events if event.phase == "COPYING"), default=0)
        ready = (event for event in kept.events if event.phase == "READY" and event.number > copied)
        return any(event.at <= before for event in ready)

    async def obstructed(self, plan_id: str, patience_seconds: float) -> Sequence[Obstructed]:
        found = []
        for number, step in sorted(self._steps.get(plan_id, {}).items()):
            kept = self._directory.moves.get(step.move_id)
            if step.state != "begun" or kept is None or kept.move.wish == "cancel":
                continue
            if kept.move.phase not in move_rules.UNDECIDED:
                continue
            cell, tenant = self._directory.get_cell(step.destination), self._directory.get_tenant(step.tenant_id)
            why = rules.obstruction(cell, tenant, waited=self._waited(kept, patience_seconds))
            if why is not None:
                found.append(Obstructed(number, step.move_id, step.tenant_id, why))
        return found

    async def withdraw(self, plan_id: str, number: int, why: str, term: Term) -> Move:
        self._directory.check_term(term)
        step = self._step(plan_id, number)
        rules.check_under_way(plan_id, number, step.state)
        move = self._moves.asked(step.move_id, "cancel", why)
        self._steps[plan_id][number] = replace(step, error=rules.clip(why))
        return move

    async def begin(self, plan_id: str, number: int, options: MoveOptions, term: Term) -> Move:
        self._directory.check_term(term)
        step = self._waiting(plan_id, number)
        home = self._directory.get_tenant(step.tenant_id).assignment
        if home is not None:
            state = self._directory.get_cell(step.source).state
            rules.check_source(step.tenant_id, step.source, home.cell_id, state)
        new = NewMove(step.tenant_id, step.destination, options, step.reason)
        move = self._moves.planned(new, step.takes[: rules.MEASURED], step.offer)
        now = self._clock.now()
        self._steps[plan_id][number] = replace(
            step, state=rules.stepped(step.state, "begin"), move_id=move.move_id, begun_at=now
        )
        return move

    async def refuse(self, plan_id: str, number: int, why: str, term: Term) -> None:
        self._directory.check_term(term)
        step, plan = self._waiting(plan_id, number), self._kept(plan_id)
        self._steps[plan_id][number] = replace(
            step, state=rules.stepped(step.state, "refuse"), error=rules.clip(why)
        )
        self._plans[plan_id] = replace(
            plan, failed=plan.failed + 1, error=rules.clip(why), updated_at=self._clock.now()
        )

    async def remake(
        self, plan_id: str, wave: int, summary: Mapping[str, Any], moves: Sequence[PlannedMove], term: Term
    ) -> Plan:
        self._directory.check_term(term)
        plan, steps = self._kept(plan_id), self._steps[plan_id]
        rules.check_remake(plan_id, plan.state, plan.wave, wave, self._begun(plan_id))
        tried = [step for step in steps.values() if step.wave == wave and step.state not in ("waiting", "dropped")]
        moved = sum(step.state == "moved" for step in tried)
        last = max(steps, default=0)
        for number in [number for number, step in steps.items() if step.state == "waiting"]:
            del steps[number]
        self._insert(plan_id, last + 1, wave, moves)
        counted = {step.number for step in self._begun_since(plan_id, rules.BUDGETED_SECONDS)}
        for number in [each for each in steps.keys() - counted if each <= max(steps) - rules.MOST_MOVES]:
            del steps[number]
        now, vain = self._clock.now(), rules.vain(plan.vain, len(tried), moved)
        self._plans[plan_id] = replace(
            plan, wave=wave + 1, vain=vain, summary=_as_json(summary), error=plan.error if vain else "",
            made_at=now, updated_at=now,
        )  # fmt: skip
        return self._plans[plan_id]

    async def note(self, plan_id: str, summary: Mapping[str, Any], error: str, term: Term) -> Plan:
        self._directory.check_term(term)
        plan, now = self._kept(plan_id), self._clock.now()
        noted = replace(plan, summary=_as_json(summary), error=rules.clip(error), made_at=now, updated_at=now)
        self._plans[plan_id] = noted
        return noted

    async def end(self, plan_id: str, event: PlanEnd, error: str, term: Term) -> Plan:
        self._directory.check_term(term)
        state = rules.after(self._kept(plan_id).state, event)
        rules.check_end(plan_id, self._begun(plan_id))
        return self._changed(plan_id, state, error=error)

    async def expire(self, term: Term) -> Sequence[Plan]:
        self._directory.check_term(term)
        now = self._clock.now()
        over = [plan for plan in self._plans.values() if plan.state == "PROPOSED" and plan.expires_at <= now]
        return [self._changed(plan.plan_id, "EXPIRED") for plan in over]

    async def forget(self, term: Term) -> int:
        self._directory.check_term(term)
        old = [plan.plan_id for plan in self._latest_first() if plan.ended_at is not None][rules.MOST_ENDED :]
        old = [plan_id for plan_id in old if not self._begun_since(plan_id, rules.BUDGETED_SECONDS)]
        for plan_id in old:
            del self._plans[plan_id], self._steps[plan_id]
        return len(old)

    async def spent(self, seconds: float, plan_id: str | None = None) -> Spent:
        sizes = [
            step.bytes
            for plan in self._plans.values()
            if (plan.automatic if plan_id is None else plan.plan_id == plan_id)
            for step in self._begun_since(plan.plan_id, seconds)
        ]
        return Spent(len(sizes), sum(sizes))

    # Inside

    def _kept(self, plan_id: str) -> Plan:
        if plan_id not in self._plans:
            raise NotFound(f"no plan {plan_id}")
        return self._plans[plan_id]

    def _latest_first(self) -> list[Plan]:
        return [plan for _, plan in sorted(self._plans.items(), reverse=True)]

    def _begun(self, plan_id: str) -> int:
        return sum(step.state == "begun" for step in self._steps[plan_id].values())

    def _waiting(self, plan_id: str, number: int) -> PlanMove:
        plan = self._kept(plan_id)
        step = self._step(plan_id, number)
        rules.check_waiting(plan_id, plan.state, number, step.state)
        return step

    def _step(self, plan_id: str, number: int) -> PlanMove:
        self._kept(plan_id)
        if number not in self._steps[plan_id]:
            raise NotFound(f"no move {number} of plan {plan_id}")
        return self._steps[plan_id][number]

    def _begun_since(self, plan_id: str, seconds: float) -> list[PlanMove]:
        since = self._clock.now() - timedelta(seconds=seconds)
        steps = self._steps[plan_id].values()
        return [step for step in steps if step.begun_at is not None and step.begun_at > since]

    def _check_alone(self, plan_id: str, kind: PlanKind, cell_id: str | None) -> None:
        for other in self._plans.values():
            same = (other.kind, other.cell_id) == (kind, cell_id) and other.plan_id != plan_id
            if same and other.state in rules.ACTIVE:
                raise rules.taken(other.plan_id, other.state)

    def _changed(self, plan_id: str, state: PlanState, *, by: str = "", error: str | None = None) -> Plan:
        plan, now, ended = self._kept(plan_id), self._clock.now(), state in rules.ENDED
        plan = replace(plan, state=state, updated_at=now, ended_at=now if ended else None)
        if by:
            plan = replace(plan, approved_by=by, approved_at=now)
        self._plans[plan_id] = plan if error is None else replace(plan, error=rules.clip(error))
        for number, step in self._steps[plan_id].items():
            if ended and step.state == "waiting":
                self._steps[plan_id][number] = replace(step, state=rules.stepped(step.state, "drop"))
        return self._plans[plan_id]

    def _insert(self, plan_id: str, number: int, wave: int, moves: Sequence[PlannedMove]) -> None:
        for at, move in enumerate(moves[: rules.MOST_MOVES], number):
            self._steps[plan_id][at] = PlanMove(
                plan_id=plan_id,
                number=at,
                wave=wave + move.wave,
                tenant_id=move.tenant_id,
                source=move.source,
                destination=move.destination,
                bytes=move.bytes,
                reason=rules.clip(move.reason),
                state="waiting",
                move_id="",
                error="",
                begun_at=None,
                takes=tuple(move.takes),
                offer=move.offer,
            )


def _as_json(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """As it comes back from a store that keeps JSON."""
    told: dict[str, Any] = json.loads(json.dumps(dict(mapping), allow_nan=False))
    return told
