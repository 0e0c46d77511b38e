"""Beginning an orchestration, and telling it something: each in the transaction of whoever asks."""

import json
import secrets
from collections.abc import Mapping
from typing import Any

import asyncpg

from cell.database import SQL
from cell.errors import NotAllowed
from cell.orchestrator.registry import Bound
from runtime.database import Connection


async def start(
    connection: Connection, bound: Bound, target: str, payload: Mapping[str, Any], *, priority: int = 0
) -> asyncpg.Record:
    """Its row. It begins once the transaction is committed."""
    orchestration_id = f"op-{secrets.token_hex(12)}"
    workflow = bound.workflow
    row = await connection.fetchrow(
        SQL["insert_orchestration"],
        orchestration_id,
        workflow.name,
        workflow.version,
        target,
        json.dumps(dict(payload)),
        priority,
    )
    if row is None:
        raise RuntimeError("inserted, and not there")
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
