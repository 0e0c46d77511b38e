"""An operator's look at orchestrations, and an operator's word about them: in the tenant's transaction."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from cell import audit
from cell.audit import Change
from cell.database import SQL
from cell.errors import NotAllowed
from cell.orchestrator import starting
from cell.orchestrator.journal import change_of, entry_of
from cell.orchestrator.registry import Bound, Registry
from cell.rules.next_actions import next_action, unknown
from cell.rules.operating import Situation, Verb, changes, failing, possible
from cell.rules.orchestration import Direction, Status, committed, direction, has_passed, moves, state
from cell.rules.turns import UNDOING, Entry
from cell.rules.workflows import Kind, Step, Workflow
from runtime import logs
from runtime.database import Connection

log = logs.get("cell.orchestrator")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which orchestrations. `before`: when one was made and its name, the newest that are older than it."""

    limit: int
    state: str | None = None
    workflow: str | None = None
    stuck: bool = False
    before: tuple[datetime, str] | None = None


@dataclass(frozen=True, slots=True)
class SeenStep:
    """A step that is declared, or that was begun although this program does not know it."""

    name: str
    declared: Step | None
    after: Sequence[str]
    entry: Entry | None
    began_at: datetime | None
    ended_at: datetime | None
    waits_until: datetime | None
    verbs: Sequence[Verb]

    @property
    def most_undo_attempts(self) -> int:
        """0 when there is nothing to undo it by."""
        return UNDOING.attempts if self.declared is not None and self.declared.undoes else 0

    @property
    def most_attempts(self) -> int:
        """0 for what only waits."""
        declared = self.declared
        return declared.retry.attempts if declared is not None and declared.kind is Kind.ACTION else 0


@dataclass(frozen=True, slots=True)
class Seen:
    """An orchestration as an operator sees it."""

    row: asyncpg.Record
    steps: Sequence[SeenStep]
    stuck: Sequence[str]
    failing: str | None
    next_action: str
    leased_until: datetime | None
    cancellable: bool
    """Whether to ask for it would change anything."""


async def listed(connection: Connection, registry: Registry, wanted: Wanted) -> list[Seen]:
    """Newest first."""
    before_time, before_name = wanted.before or (None, None)
    rows = await connection.fetch(
        SQL["list_orchestrations"],
        *(wanted.state, wanted.workflow, wanted.stuck, before_time, before_name, wanted.limit),
    )
    steps = await _steps(connection, [row["orchestration_id"] for row in rows])
    return [_seen(row, steps[row["orchestration_id"]], registry) for row in rows]


async def seen(connection: Connection, registry: Registry, orchestration_id: str) -> Seen | None:
    """None when there is none of that name."""
    row = await connection.fetchrow(SQL["see_orchestration"], orchestration_id)
    if row is None:
        return None
    return _seen(row, (await _steps(connection, [orchestration_id]))[orchestration_id], registry)


async def operate(
    connection: Connection, registry: Registry, orchestration_id: str, verb: Verb, step: str | None
) -> Seen | None:
    """Have a step tried again or let pass; None when there is no such orchestration, or no such step in it.

    NotAllowed: it has ended, a worker is at it, or the rules do not have it.
    """
    row = await connection.fetchrow(SQL["hold_orchestration"], orchestration_id)
    if row is None:
        return None
    workflow = _bound(registry, row).workflow
    if step is not None and step not in workflow.by_name:
        return None
    steps = await _steps(connection, [orchestration_id])
    entries = {each["step"]: entry_of(each) for each in steps[orchestration_id]}
    changed = changes(workflow, entries, _situation(row), verb, step)
    if changed:
        await _record(connection, workflow, row, {**entries, **changed}, changed)
        before = {name: entries[name].status.name for name in changed}
        after = {name: entry.status.name for name, entry in changed.items()}
        change = Change(f"operations/{orchestration_id}", before, after)
        await audit.record(connection, audit.OPERATOR, f"{verb}Step", change)
        log.info("operated", orchestration=orchestration_id, verb=verb, steps=sorted(changed))
    return await seen(connection, registry, orchestration_id)


async def cancel(connection: Connection, registry: Registry, orchestration_id: str) -> Seen | None:
    """Ask for the way back; None when it is not there. NotAllowed: it has ended otherwise, or cannot be."""
    row = await connection.fetchrow(SQL["hold_orchestration"], orchestration_id)
    if row is None:
        return None
    if not (row["cancel_requested"] and row["outcome"] != "COMPLETED"):
        if row["outcome"] is not None:
            raise NotAllowed(f"cancel: it has ended: {row['outcome']}")
        await starting.cancel(connection, orchestration_id, _bound(registry, row))
        change = Change(f"operations/{orchestration_id}", {"state": row["state"]}, {"cancel_requested": True})
        await audit.record(connection, audit.OPERATOR, "cancelOperation", change)
        log.info("operated", orchestration=orchestration_id, verb="cancel")
    return await seen(connection, registry, orchestration_id)


async def _record(
    connection: Connection,
    workflow: Workflow,
    row: asyncpg.Record,
    entries: Mapping[str, Entry],
    changed: Mapping[str, Entry],
) -> None:
    statuses, cancelled = _statuses(entries), row["cancel_requested"]
    ended = moves(workflow, statuses, cancelled=cancelled).end is not None
    await connection.execute(
        SQL["operate_orchestration"],
        row["orchestration_id"],
        # That it ended is for a worker to say, together with the outcome.
        row["state"] if ended else state(workflow, statuses, cancelled=cancelled),
        direction(workflow, statuses, cancelled=cancelled) is Direction.FORWARD
        and not _counted_failures(workflow, statuses),
        json.dumps([change_of(name, entry) for name, entry in changed.items()]),
        sum(has_passed(step, statuses) for step in workflow.steps),
    )


def _counted_failures(workflow: Workflow, statuses: Mapping[str, Status]) -> bool:
    return any(statuses.get(step.name) is Status.FAILED and not step.best_effort for step in workflow.steps)


def _bound(registry: Registry, row: asyncpg.Record) -> Bound:
    bound = registry.get(row["workflow"], row["version"])
    if bound is None:
        name = f"{row['workflow']} version {row['version']}"
        raise NotAllowed(f"{name} is of another version of this program: try again later")
    return bound


async def _steps(connection: Connection, names: Sequence[str]) -> Mapping[str, list[asyncpg.Record]]:
    found: dict[str, list[asyncpg.Record]] = defaultdict(list)
    for step in await connection.fetch(SQL["steps_of_orchestrations"], list(names)):
        found[step["orchestration_id"]].append(step)
    return found


def _situation(row: asyncpg.Record) -> Situation:
    leased = row["leased"] and row["wake_at"] is not None
    held_seconds = (row["wake_at"] - row["seen_at"]).total_seconds() if leased else 0.0
    return Situation(row["cancel_requested"], row["outcome"], max(0.0, held_seconds))


def _seen(row: asyncpg.Record, steps: Sequence[asyncpg.Record], registry: Registry) -> Seen:
    bound, situation = registry.get(row["workflow"], row["version"]), _situation(row)
    entries = {each["step"]: entry_of(each) for each in steps}
    by_name = {each["step"]: each for each in steps}
    if bound is None:
        names = [*row["steps"], *(name for name in by_name if name not in row["steps"])]
        shown = [_step(name, None, by_name.get(name), entries.get(name), ()) for name in names]
        stuck = [name for name, entry in entries.items() if entry.status is Status.STUCK]
        failed, following = None, unknown(row["workflow"], row["version"], row["outcome"])
    else:
        workflow = bound.workflow
        shown = [
            _step(
                *(step.name, workflow, by_name.get(step.name), entries.get(step.name)),
                possible(workflow, entries, situation, step.name),
            )
            for step in workflow.steps
        ]
        stuck = _stuck(workflow, entries, situation)
        failed = failing(workflow, entries)
        following = next_action(workflow, entries, situation, row["seen_at"], row["wake_at"])
    return Seen(
        row,
        shown,
        stuck,
        failed,
        following,
        row["wake_at"] if situation.held_seconds > 0 else None,
        bound is not None and _cancellable(bound.workflow, entries, situation),
    )


def _stuck(workflow: Workflow, entries: Mapping[str, Entry], situation: Situation) -> list[str]:
    """What could not be undone; and what was given up although there is no way back."""
    statuses = _statuses(entries)
    waiting = moves(workflow, statuses, cancelled=situation.cancelled).stuck
    return [name for name, status in statuses.items() if status is Status.STUCK or name in waiting]


def _cancellable(workflow: Workflow, entries: Mapping[str, Entry], situation: Situation) -> bool:
    statuses = _statuses(entries)
    forward = direction(workflow, statuses, cancelled=situation.cancelled) is Direction.FORWARD
    open_ = situation.outcome is None and not committed(workflow, statuses)
    return workflow.cancellable and forward and open_


def _step(
    name: str,
    workflow: Workflow | None,
    row: asyncpg.Record | None,
    entry: Entry | None,
    verbs: Sequence[Verb],
) -> SeenStep:
    declared = None if workflow is None else workflow.by_name[name]
    after = () if workflow is None else [step.name for step in workflow.steps if step.name in workflow.waits[name]]
    waiting = None if entry is None or entry.status not in (Status.STARTED, Status.UNDOING) or row is None else row
    return SeenStep(
        name,
        declared,
        after,
        entry,
        None if row is None else row["begun_at"],
        None if row is None else row["ended_at"],
        None if waiting is None else waiting["wake_at"],
        verbs,
    )


def _statuses(entries: Mapping[str, Entry]) -> dict[str, Status]:
    return {name: entry.status for name, entry in entries.items()}
