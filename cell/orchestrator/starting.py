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
from cell.rules.orchestration import PENDING
from cell.rules.turns import Output
from runtime.database import Connection

NOTHING: Mapping[str, Output] = {}


async def start(
    connection: Connection,
    bound: Bound,
    target: str,
    payload: Mapping[str, Any],
    *,
    done: Mapping[str, Output] = NOTHING,
) -> asyncpg.Record:
    """Its row. It begins once the transaction is committed. Overfull when too many of the tenant wait already.

    `done`: steps that whoever asks has done in this transaction, and their outputs; they are undone like others.
    """
    orchestration_id = f"op-{secrets.token_hex(12)}"
    workflow = bound.workflow
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
        raise Overfull(f"{MOST_WAITING} operations wait already")
    for step, output in done.items():
        await connection.execute(SQL["insert_done_step"], orchestration_id, step, json.dumps(dict(output)))
    return row


async def tell(connection: Connection, orchestration_id: str, name: str, payload: Mapping[str, Any]) -> bool:
    """Send a signal; only the first of a name counts. Whether it was this one, and in time."""
    told = await connection.fetchrow(SQL["insert_signal"], orchestration_id, name, json.dumps(dict(payload)))
    if told is None:
        return False
    await connection.fetchrow(SQL["nudge_orchestration"], orchestration_id, False)
    return True


async def cancel(connection: Connection, orchestration_id: str, bound: Bound) -> asyncpg.Record | None:
    """Ask for the way back; None when it has ended or is not there. NotAllowed when it cannot be cancelled."""
    if not bound.workflow.cancellable:
        raise NotAllowed(f"{bound.workflow.name} cannot be cancelled")
    return await connection.fetchrow(SQL["nudge_orchestration"], orchestration_id, True)
