"""Ending an operation before its job does.

Nothing has begun: undone here, in the caller's transaction. A worker is at it: it is asked to stop, and undoes
what it did before its next step. The lock order is operation, then job, everywhere.
"""

import asyncpg

from cell.database import SQL
from cell.errors import NotAllowed
from cell.jobs.ending import arguments, end
from cell.jobs.provisioning import JOBS
from cell.jobs.registry import Work
from cell.rules import states
from runtime.database import Connection


async def cancel_operation(connection: Connection, operation_id: str) -> asyncpg.Record | None:
    """The operation afterwards, None when there is none. NotAllowed when it has ended or cannot be cancelled."""
    row = await connection.fetchrow(SQL["lock_operation"], operation_id)
    if row is None or row["state"] == "CANCELLED":
        return row
    states.after(states.OPERATIONS, row["state"], "cancel")
    job = JOBS.get(row["type"])
    if job is None or job.undo is None:
        raise NotAllowed(f"{row['type']} cannot be cancelled")
    held = await connection.fetchrow(SQL["lock_job_of_operation"], operation_id)
    if held is None or held["state"] != "waiting":
        return await connection.fetchrow(SQL["request_cancel"], operation_id)
    await job.undo(Work(connection, row["tenant_id"], arguments(held), namespace_domain=""))
    return await end(connection, row, held, "cancel")
