"""Asking for a job, in the transaction of whoever asks: it exists if and only if that is committed."""

import json
import secrets
from collections.abc import Mapping
from typing import Any

from cell.database import SQL
from cell.errors import Overfull
from cell.jobs.registry import JobType
from cell.rules.lanes import MOST_WAITING
from runtime.database import Connection


async def enqueue(
    connection: Connection,
    job: JobType,
    args: Mapping[str, Any],
    *,
    effect_key: str | None = None,
    delay_seconds: float = 0.0,
) -> str:
    """Its identifier. Overfull when too many of the tenant wait already.

    `effect_key`: whoever asks for the same effect again gets the job that brings it about, or did.
    """
    job_id = f"job-{secrets.token_hex(12)}"
    written = await connection.fetchval(
        SQL["insert_job"],
        job_id,
        job.name,
        json.dumps(dict(args)),
        job.lane,
        job.retry.attempts,
        effect_key,
        max(0.0, delay_seconds),
        MOST_WAITING,
    )
    if written is None and effect_key is not None:
        written = await connection.fetchval(SQL["job_of_effect"], effect_key)
    if written is None:
        raise Overfull(f"{MOST_WAITING} jobs wait in this lane already")
    return str(written)
