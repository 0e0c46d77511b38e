"""Operations: long-running work as a resource (AIP-151). Get, list, cancel, wait."""

import json
import secrets
from typing import Any

import asyncpg

from cell.api.context import Context, NotYet
from cell.api.lists import Listing, orders, page, times
from cell.api.models import Operation, OperationError, OperationPage, Progress
from cell.database import SQL
from cell.jobs.cancelling import cancel_operation
from cell.jobs.hints import Hint
from cell.jobs.registry import JobType
from cell.rules import states
from runtime.api.endpoint import Call, Reply
from runtime.api.filters import Column
from runtime.api.problem import not_found

POLL_SECONDS = 0.5

LISTING = Listing(
    query="list_operations",
    count="count_operations",
    columns={
        "operation": Column("operation_id"),
        "type": Column("type"),
        "target": Column("target"),
        "state": Column("state", values=("PENDING", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED")),
        **times(),
    },
    orders=orders("operation", "operation_id", type="type", state="state"),
    tie="operation",
)


def _operation(row: asyncpg.Record) -> Operation:
    steps, done = list(row["steps"]), row["steps_done"]
    ended = row["state"] in states.ENDED
    error = None if row["error"] is None else OperationError.model_validate_json(row["error"])
    return Operation(
        name=f"operations/{row['operation_id']}",
        type=row["type"],
        target=row["target"],
        state=row["state"],
        progress=Progress(step=None if ended or done >= len(steps) else steps[done], steps_done=done, steps=steps),
        cancel_requested=row["cancel_requested"],
        error=error,
        create_time=row["created_at"],
        update_time=row["updated_at"],
        poll_after_seconds=0 if ended else POLL_SECONDS,
    )


def _audited(row: asyncpg.Record) -> dict[str, Any]:
    return {name: row[name] for name in ("type", "target", "state", "cancel_requested")}


async def begin(call: Call[Context], job: JobType, account_id: str, namespace_id: str) -> Reply:
    """202: writes an operation and its job in this transaction; the worker hears of it after the commit."""
    connection, caller = call.context.connection, call.context.caller
    operation_id, job_id = f"op-{secrets.token_hex(12)}", f"job-{secrets.token_hex(12)}"
    target = f"accounts/{account_id}/namespaces/{namespace_id}"
    row = await connection.fetchrow(
        SQL["insert_operation"], operation_id, job.name, target, "PENDING", [step.name for step in job.steps]
    )
    args = json.dumps({"account_id": account_id, "namespace_id": namespace_id})
    await connection.execute(SQL["insert_job"], job_id, operation_id, job.name, args, job.priority)
    call.context.hints.append(Hint(caller.tenant_id, job_id, caller.epoch))
    return Reply(202, _operation(_found(row, operation_id)), {"Location": _relative(call, operation_id)})


def _relative(call: Call[Context], operation_id: str) -> str:
    # Relative to the request (RFC 9110, 10.2.2), so it holds under whatever prefix the router was asked.
    depth = call.request.path.count("/") - 2
    return "../" * depth + f"operations/{operation_id}"


def _found(row: asyncpg.Record | None, operation_id: str) -> asyncpg.Record:
    if row is None:
        raise not_found("operation", operation_id)
    return row


async def _read(call: Call[Context]) -> asyncpg.Record:
    operation_id = call.path["operation"]
    return _found(await call.context.connection.fetchrow(SQL["get_operation"], operation_id), operation_id)


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
    if row["state"] not in states.ENDED and left_seconds > 0:
        raise NotYet(left_seconds)
    return Reply(body=_operation(row))


async def cancel(call: Call[Context]) -> Reply:
    """200: at once when nothing has begun, else the worker stops before its next step; 409 when it cannot."""
    operation_id, connection = call.path["operation"], call.context.connection
    before = _found(await connection.fetchrow(SQL["lock_operation"], operation_id), operation_id)
    after = _found(await cancel_operation(connection, operation_id), operation_id)
    call.context.changed(f"operations/{operation_id}", _audited(before), _audited(after))
    return Reply(body=_operation(after))
