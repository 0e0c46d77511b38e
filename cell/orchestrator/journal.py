"""What is recorded of an orchestration, as values. One statement writes all that changed, for its owner only."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import asyncpg

from cell.database import SQL
from cell.errors import LeaseLost
from cell.orchestrator.actions import Call
from cell.rules.operations import KEPT_SECONDS
from cell.rules.orchestration import Status
from cell.rules.turns import Entry, Output, Turn
from runtime.database import Connection


@dataclass(slots=True)
class Owned:
    """An orchestration in one owner's hands, as it is recorded."""

    tenant_id: str
    orchestration_id: str
    workflow: str
    version: int
    payload: Mapping[str, Any]
    fencing: int
    nudges: int
    cancelled: bool
    steps: dict[str, Entry]
    signals: Mapping[str, Output]

    def call(self, step: str, steps: Mapping[str, Entry] | None = None) -> Call:
        """What a step's action is told; `steps`: as they are now, when that is not recorded yet."""
        known = self.steps if steps is None else steps
        outputs = {name: entry.output or {} for name, entry in known.items() if entry.status is Status.COMPLETED}
        return Call(self.tenant_id, self.orchestration_id, step, self.payload, outputs)


async def claim(
    connection: Connection, tenant_id: str, orchestration_id: str, epoch: int, lease_seconds: float
) -> Owned | None:
    """Become its owner; None when it is not due, ended, or somebody else is at it who can go on.

    In the tenant's transaction at `epoch`: who became its owner at another one can record nothing any more.
    """
    row = await connection.fetchrow(SQL["claim_orchestration"], orchestration_id, lease_seconds, epoch)
    if row is None:
        return None
    # Steps are recorded by owners, and by who starts one (which counts them); a signal nudges. What is new is
    # not looked through.
    begun, nudged = row["fencing"] > 1 or row["steps_done"] > 0, row["nudges"] > 0
    steps = await connection.fetch(SQL["orchestration_steps"], orchestration_id) if begun else []
    signals = await connection.fetch(SQL["orchestration_signals"], orchestration_id) if nudged else []
    return Owned(
        tenant_id,
        orchestration_id,
        row["workflow"],
        row["version"],
        json.loads(row["payload"]),
        row["fencing"],
        row["nudges"],
        row["cancel_requested"],
        {step["step"]: entry_of(step) for step in steps},
        {signal["name"]: json.loads(signal["payload"]) for signal in signals},
    )


async def record(connection: Connection, owned: Owned, turn: Turn, lease_seconds: float | None) -> None:
    """Write what a turn changed. LeaseLost when it is somebody else's by now.

    With `lease_seconds` it stays ours for so long, else it is let go.
    """
    written = await connection.fetchrow(
        SQL["record_orchestration"],
        owned.orchestration_id,
        owned.fencing,
        owned.nudges,
        turn.state,
        turn.outcome,
        lease_seconds,
        turn.wake_seconds,
        json.dumps([change_of(name, entry) for name, entry in turn.changed.items()]),
        None if turn.error is None else json.dumps(dict(turn.error)),
        turn.steps_done,
        KEPT_SECONDS,
    )
    if written is None:
        raise LeaseLost("another worker has this orchestration now")


def change_of(name: str, entry: Entry) -> dict[str, Any]:
    """A step as the statements that record it take it."""
    return {
        "step": name,
        "status": entry.status.name,
        "attempts": entry.attempts,
        "undo_attempts": entry.undo_attempts,
        "deaths": entry.deaths,
        "waits": entry.waits_seconds,
        "output": None if entry.output is None else dict(entry.output),
        "error": entry.error,
    }


def entry_of(row: asyncpg.Record) -> Entry:
    """A step from its row."""
    return Entry(
        Status[row["status"]],
        row["attempts"],
        row["undo_attempts"],
        row["waits_seconds"],
        None if row["output"] is None else json.loads(row["output"]),
        None if row["error"] is None else json.loads(row["error"]),
        row["deaths"],
    )
