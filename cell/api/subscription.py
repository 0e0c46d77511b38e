"""The tenant's subscription: what it has paid for, another plan, and leaving. Open while it is suspended."""

import asyncpg

from cell.api.context import Context
from cell.api.models import Operation, Progress, Subscription
from cell.api.operations import POLL_SECONDS
from cell.database import SQL
from cell.workflows import beginning
from cell.workflows.lifecycle import WORKFLOWS
from runtime.api.endpoint import Call, Reply

_NONE = "this tenant has no subscription"


async def get(call: Call[Context]) -> Reply:
    """200; 404 for a tenant that was never onboarded."""
    row = await call.context.connection.fetchrow(SQL["get_subscription"])
    if row is None:
        raise beginning.NoSubscription(_NONE)
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
    return _begun(await beginning.change_plan(call.context.connection, call.body.plan))


async def cancel(call: Call[Context]) -> Reply:
    """202 with the operation that can be cancelled until the deletion begins."""
    return _begun(await beginning.offboard(call.context.connection, call.body.retention_days))


def _begun(row: asyncpg.Record) -> Reply:
    steps = [step.name for step in WORKFLOWS[row["workflow"]].steps]
    operation = Operation(
        name=f"operations/{row['orchestration_id']}",
        type=row["workflow"],
        target=row["target"],
        state="PENDING",
        progress=Progress(step=steps[0], steps_done=0, steps=steps),
        cancel_requested=row["cancel_requested"],
        error=None,
        create_time=row["created_at"],
        update_time=row["updated_at"],
        poll_after_seconds=POLL_SECONDS,
    )
    return Reply(202, operation, {"Location": f"operations/{row['orchestration_id']}"})
