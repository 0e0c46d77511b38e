"""Operations: long-running work as a resource (AIP-151). Get, list, cancel, wait."""

from collections.abc import Mapping
from typing import Any

import asyncpg

from cell.api.context import Context, NotYet
from cell.api.lists import Listing, orders, page, times
from cell.api.models import Operation, OperationError, OperationPage, Progress
from cell.database import SQL
from cell.errors import NotAllowed
from cell.orchestrator import starting
from cell.rules.operations import ENDED, current_step
from cell.rules.turns import Output
from cell.rules.workflows import Workflow
from cell.work.hints import Hint
from runtime.api.endpoint import Call, Reply
from runtime.api.filters import Column
from runtime.api.problem import not_found

POLL_SECONDS = 0.5

LISTING = Listing(
    query="list_operations",
    count="count_operations",
    columns={
        "operation": Column("orchestration_id"),
        "type": Column("workflow"),
        "target": Column("target"),
        "state": Column("operation_state", values=("PENDING", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED")),
        **times(),
    },
    orders=orders("operation", "orchestration_id", type="workflow", state="operation_state"),
    tie="operation",
)


def _operation(row: asyncpg.Record) -> Operation:
    steps, ended = list(row["steps"]), row["operation_state"] in ENDED
    failed = row["operation_state"] == "FAILED"
    return Operation(
        name=f"operations/{row['orchestration_id']}",
        type=row["workflow"],
        target=row["target"],
        state=row["operation_state"],
        progress=Progress(step=current_step(steps, row["state"]), steps_done=row["steps_done"], steps=steps),
        cancel_requested=row["cancel_requested"],
        error=OperationError.model_validate_json(row["error"]) if failed else None,
        create_time=row["created_at"],
        update_time=row["updated_at"],
        poll_after_seconds=0 if ended else POLL_SECONDS,
    )


def _audited(row: asyncpg.Record) -> dict[str, Any]:
    told = {"type": row["workflow"], "target": row["target"], "state": row["operation_state"]}
    return {**told, "cancel_requested": row["cancel_requested"]}


async def begin(
    call: Call[Context], workflow: Workflow, target: str, payload: Mapping[str, Any], done: Mapping[str, Output]
) -> Reply:
    """202: begins an orchestration in this transaction; the workers hear of it after the commit."""
    return begun(call, await starting.start(call.context.connection, workflow, target, payload, done=done))


def begun(call: Call[Context], row: asyncpg.Record) -> Reply:
    """202 with an orchestration that begins in this transaction; the workers hear of it after the commit."""
    context, caller = call.context, call.context.caller
    context.hints.append(Hint(caller.tenant_id, caller.epoch, row["lane"]))
    return Reply(202, _operation(row), {"Location": _relative(call, row["orchestration_id"])})


def _relative(call: Call[Context], operation_id: str) -> str:
    # Relative to the request (RFC 9110, 10.2.2), so it holds under whatever prefix the router was asked.
    depth = call.request.path.count("/") - 2
    return "../" * depth + f"operations/{operation_id}"


async def _read(call: Call[Context]) -> asyncpg.Record:
    operation_id = call.path["operation"]
    row = await call.context.connection.fetchrow(SQL["get_operation"], operation_id)
    if row is None:
        raise not_found("operation", operation_id)
    return row


async def get(call: Call[Context]) -> Reply:
    """200."""
    return Reply(body=_operation(await _read(call)))


async def list_(call: Call[Context]) -> Reply:
    """200."""
    found = await page(call.context, LISTING, call.query)
    return Reply(
        body=OperationPage(
            operations=[_operation(row) for row in found.rows],
            next_page_token=found.next_page_token,
            total_size=found.total_size,
        )
    )


async def wait(call: Call[Context]) -> Reply:
    """200 once it has ended, or with what it is at the time-out."""
    caller = call.context.caller
    call.context.watch.listen(caller.tenant_id, call.path["operation"])
    row = await _read(call)
    left_seconds = call.query.timeout_seconds - call.context.elapsed_seconds()
    if row["operation_state"] not in ENDED and left_seconds > 0:
        raise NotYet(left_seconds)
    return Reply(body=_operation(row))


async def cancel(call: Call[Context]) -> Reply:
    """200: a worker goes back from where it is; 409 when it has ended otherwise, or cannot be cancelled."""
    context, row = call.context, await _read(call)
    after = row
    if not row["cancel_requested"] or row["operation_state"] in ("SUCCEEDED", "FAILED"):
        after = await _asked(context, row)
    context.changed(f"operations/{row['orchestration_id']}", _audited(row), _audited(after))
    return Reply(body=_operation(after))


async def _asked(context: Context, row: asyncpg.Record) -> asyncpg.Record:
    bound = context.tools.workflows.get(row["workflow"], row["version"])
    if bound is None:
        name = f"{row['workflow']} version {row['version']}"
        raise NotAllowed(f"{name} is of another version of this program: try again later")
    asked = await starting.cancel(context.connection, row["orchestration_id"], bound)
    if asked is None:
        raise NotAllowed(f"it has ended: {row['operation_state']}")
    context.hints.append(Hint(context.caller.tenant_id, context.caller.epoch, row["lane"]))
    return asked
