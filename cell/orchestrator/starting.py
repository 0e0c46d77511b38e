"""Beginning an orchestration, and telling it something: each in the transaction of whoever asks."""

import json
import secrets
from collections.abc import Mapping
from typing import Any

import asyncpg

from cell.database import SQL
from cell.errors import NotAllowed, Overfull
from cell.orchestrator.registry import Bound
from cell.rules.lanes import MOST_WAITING
from cell.rules.orchestration import PENDING, Status, committed
from cell.rules.turns import Output
from cell.rules.workflows import Workflow
from runtime.database import Connection

NOTHING: Mapping[str, Output] = {}


def new_id() -> str:
    """A name for an orchestration."""
    return f"op-{secrets.token_hex(12)}"


async def start(
    connection: Connection,
    bound: Bound | Workflow,
    target: str,
    payload: Mapping[str, Any],
    *,
    done: Mapping[str, Output] = NOTHING,
    orchestration_id: str | None = None,
) -> asyncpg.Record:
    """Its row. It begins once the transaction is committed. Overfull when too many of the tenant wait already.

    `done`: steps that whoever asks has done in this transaction, and their outputs; they are undone like others.
    With an `orchestration_id`, to ask again begins nothing: the row is that of the first time. NotAllowed when
    that was asked for with something else.
    """
    orchestration_id = orchestration_id or new_id()
    workflow = bound.workflow if isinstance(bound, Bound) else bound
    row = await connection.fetchrow(
        SQL["insert_orchestration"],
        orchestration_id,
        workflow.name,
        workflow.version,
        target,
        PENDING,
        json.dumps(dict(payload)),
        workflow.lane,
        [step.name for step in workflow.steps],
        len(done),
        MOST_WAITING,
    )
    if row is None:
        return await _begun_before(connection, orchestration_id, workflow, target, payload)
    for step, output in done.items():
        await connection.execute(SQL["insert_done_step"], orchestration_id, step, json.dumps(dict(output)))
    return row


async def _begun_before(
    connection: Connection, orchestration_id: str, workflow: Workflow, target: str, payload: Mapping[str, Any]
) -> asyncpg.Record:
    row = await connection.fetchrow(SQL["get_orchestration"], orchestration_id)
    if row is None:
        raise Overfull(f"{MOST_WAITING} operations wait already")
    if (row["workflow"], row["target"], json.loads(row["payload"])) != (workflow.name, target, dict(payload)):
        raise NotAllowed(f"operation {orchestration_id} was begun before, with something else")
    return row


async def tell(connection: Connection, orchestration_id: str, name: str, payload: Mapping[str, Any]) -> bool:
    """Send a signal; only the first of a name counts. Whether it was this one, and in time."""
    told = await connection.fetchrow(SQL["insert_signal"], orchestration_id, name, json.dumps(dict(payload)))
    if told is None:
        return False
    await connection.fetchrow(SQL["nudge_orchestration"], orchestration_id, False)
    return True


async def cancel(connection: Connection, orchestration_id: str, bound: Bound | Workflow) -> asyncpg.Record | None:
    """Ask for the way back; None when it has ended or is not there. NotAllowed when it cannot be cancelled.

    A step that commits and was recorded before is seen here, because both change the orchestration's row.
    """
    workflow = bound.workflow if isinstance(bound, Bound) else bound
    if not workflow.cancellable:
        raise NotAllowed(f"{workflow.name} cannot be cancelled")
    row = await connection.fetchrow(SQL["nudge_orchestration"], orchestration_id, True)
    if row is not None and workflow.commits:
        steps = await connection.fetch(SQL["orchestration_steps"], orchestration_id)
        if committed(workflow, {step["step"]: Status[step["status"]] for step in steps}):
            raise NotAllowed(f"{workflow.name} cannot be cancelled any more")
    return row
