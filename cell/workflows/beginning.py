"""Beginning the workflows of a customer's life, in the transaction of whoever asks: API or control contract.

Each that changes a subscription takes the row's lock, and leaves its operation's name there: one at a time.
"""

from typing import Any

import asyncpg

from cell import quotas
from cell.database import SQL
from cell.errors import CellError, NotAllowed
from cell.orchestrator import starting
from cell.rules.subscriptions import OFFBOARDING, OPERATOR, check_change, check_free
from cell.rules.workflows import Workflow
from cell.workflows import offboarding, onboarding, plan_change, suspension
from directory.rules.plans import plan_of
from runtime.database import Connection

TARGET = "subscription"


class NoSubscription(CellError):
    """This tenant was never onboarded."""


async def onboard(connection: Connection, attempt: int, payload: dict[str, Any]) -> asyncpg.Record:
    """The orchestration's row, now or of before. NotAllowed: asked for with something else, or not needed."""
    orchestration_id = f"op-onboarding-{attempt}"
    known = await connection.fetchrow(SQL["get_orchestration"], orchestration_id)
    if known is None:
        last = await connection.fetchrow(SQL["latest_orchestration"], onboarding.WORKFLOW.name)
        if last is not None and last["outcome"] != "ROLLED_BACK":
            raise NotAllowed(f"operation {last['orchestration_id']} does this, or has done it")
        if await connection.fetchrow(SQL["get_subscription"]) is not None:
            raise NotAllowed("this tenant has a subscription already")
    return await starting.start(
        connection, onboarding.WORKFLOW, TARGET, payload, orchestration_id=orchestration_id
    )


async def change_plan(connection: Connection, tenant_id: str, plan: str) -> asyncpg.Record:
    """NoSubscription. NotAllowed, with the reason: usage over the limits, another change, or a block."""
    row = await _free(connection, paying=True)
    await quotas.hold(connection, tenant_id)
    check_change(row["standing"], plan_of(row["plan"]), plan_of(plan), await quotas.use(connection))
    return await _begin(connection, plan_change.WORKFLOW, {"plan": plan})


async def offboard(connection: Connection, retention_days: int) -> asyncpg.Record:
    """The one that is under way, if there is one. NoSubscription, NotAllowed."""
    row = await _locked(connection)
    if (known := await _under_way(connection, offboarding.WORKFLOW)) is not None:
        return known
    _check_free(row)
    return await _begin(connection, offboarding.WORKFLOW, {"retention_days": retention_days})


async def stay(connection: Connection) -> asyncpg.Record:
    """Cancel an offboarding. NotAllowed: there is none, or it is too late."""
    await _locked(connection)
    known = await connection.fetchrow(SQL["latest_orchestration"], offboarding.WORKFLOW.name)
    if known is None or known["outcome"] == "COMPLETED":
        raise NotAllowed("there is no offboarding that could be cancelled")
    return await starting.cancel(connection, known["orchestration_id"], offboarding.WORKFLOW) or known


async def suspend(connection: Connection) -> asyncpg.Record:
    """Also when it was done before: then the operation that did. NoSubscription, NotAllowed."""
    row = await _locked(connection)
    if (known := await _under_way(connection, suspension.SUSPENSION)) is not None:
        return known
    if OPERATOR in row["blocks"] and OFFBOARDING not in row["blocks"]:
        known = await connection.fetchrow(SQL["latest_orchestration"], suspension.SUSPENSION.name)
        if known is not None:
            return known
    _check_free(row)
    return await _begin(connection, suspension.SUSPENSION, {})


async def resume(connection: Connection) -> asyncpg.Record:
    """Also when it was done before: then the operation that did. NoSubscription, NotAllowed."""
    row = await _locked(connection)
    if (known := await _under_way(connection, suspension.REACTIVATION)) is not None:
        return known
    check_free(row["standing"], row["blocks"])
    if OPERATOR not in row["blocks"] and row["standing"] != "UNPAID":
        known = await connection.fetchrow(SQL["latest_orchestration"], suspension.REACTIVATION.name)
        if known is not None:
            return known
        raise NotAllowed("this subscription is not suspended")
    _check_free(row)
    return await _begin(connection, suspension.REACTIVATION, {})


async def _locked(connection: Connection) -> asyncpg.Record:
    row = await connection.fetchrow(SQL["lock_subscription"])
    if row is None:
        raise NoSubscription("this tenant has no subscription")
    return row


async def _under_way(connection: Connection, workflow: Workflow) -> asyncpg.Record | None:
    known = await connection.fetchrow(SQL["latest_orchestration"], workflow.name)
    return known if known is not None and known["outcome"] is None else None


async def _free(connection: Connection, *, paying: bool) -> asyncpg.Record:
    row = await _locked(connection)
    _check_free(row, paying=paying)
    return row


def _check_free(row: asyncpg.Record, *, paying: bool = False) -> None:
    check_free(row["standing"], row["blocks"], paying=paying)
    if row["changing"] is not None:
        raise NotAllowed(f"operation {row['changing']} is changing this subscription: wait until it has ended")


async def _begin(connection: Connection, workflow: Workflow, payload: dict[str, Any]) -> asyncpg.Record:
    row = await starting.start(connection, workflow, TARGET, payload)
    await connection.execute(SQL["set_subscription_changing"], row["orchestration_id"])
    return row
