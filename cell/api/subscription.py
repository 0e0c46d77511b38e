"""The tenant's subscription: what it has paid for, another plan, and leaving. Open while it is suspended."""

from typing import Any

import asyncpg

from cell.api import operations
from cell.api.context import Context
from cell.api.models import Subscription
from cell.database import SQL
from cell.workflows import beginning
from runtime.api.endpoint import Call, Reply


async def _read(call: Call[Context]) -> asyncpg.Record:
    row = await call.context.connection.fetchrow(SQL["get_subscription"])
    if row is None:
        raise beginning.NoSubscription("this tenant has no subscription")
    return row


async def get(call: Call[Context]) -> Reply:
    """200; 404 for a tenant that was never onboarded."""
    row = await _read(call)
    changing = row["changing"]
    return Reply(
        body=Subscription(
            plan=row["plan"],
            state=row["state"],
            trial_end_time=row["trial_ends_at"],
            operation=None if changing is None else f"operations/{changing}",
            create_time=row["created_at"],
            update_time=row["updated_at"],
        )
    )


async def change_plan(call: Call[Context]) -> Reply:
    """202; 409 with the reason: usage over the plan's limits, or another operation is changing it."""
    row = await beginning.change_plan(call.context.connection, call.context.caller.tenant_id, call.body.plan)
    return await _begun(call, row, {"plan": call.body.plan})


async def cancel(call: Call[Context]) -> Reply:
    """202 with the operation that can be cancelled until the deletion begins."""
    row = await beginning.offboard(call.context.connection, call.body.retention_days)
    return await _begun(call, row, {"retention_days": call.body.retention_days})


async def _begun(call: Call[Context], row: asyncpg.Record, asked: dict[str, Any]) -> Reply:
    known = await _read(call)
    before = {"plan": known["plan"], "state": known["state"]}
    call.context.changed("subscription", before, {**before, **asked})
    return operations.begun(call, row)
