"""How an operation and its job end together, in the transaction of the last effect."""

import json
from collections.abc import Mapping
from typing import Any

import asyncpg

from cell.database import SQL
from cell.rules import states
from cell.rules.states import JobEvent, OperationEvent
from runtime.database import Connection

KEPT_SECONDS = 30 * 24 * 3600.0
"""How long an ended operation can be read."""
_JOB_EVENTS: Mapping[OperationEvent, JobEvent] = {"succeed": "complete", "fail": "give_up", "cancel": "cancel"}


async def end(
    connection: Connection,
    operation: asyncpg.Record,
    job: asyncpg.Record,
    event: OperationEvent,
    error: Mapping[str, Any] | None = None,
) -> asyncpg.Record | None:
    """The operation afterwards. Both rows are locked by the caller. Whoever waits is woken by the commit."""
    state = states.after(states.OPERATIONS, operation["state"], event)
    job_state = states.after(states.JOBS, job["state"], _JOB_EVENTS[event])
    done = len(operation["steps"]) if event == "succeed" else operation["steps_done"]
    reason = None if error is None else str(error["message"])
    await connection.execute(SQL["finish_job"], job["job_id"], job_state, reason)
    described = None if error is None else json.dumps(dict(error))
    return await connection.fetchrow(
        SQL["finish_operation"], operation["operation_id"], state, described, done, KEPT_SECONDS
    )


def arguments(job: asyncpg.Record) -> dict[str, str]:
    """What the job is about."""
    args: dict[str, str] = json.loads(job["args"])
    return args
