"""An operator's look at jobs, and an operator's word about them: in the tenant's transaction.

What is said of many at once is done for a bounded number of them, and the answer tells how many are left.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import asyncpg

from cell import audit
from cell.audit import Change
from cell.database import SQL
from cell.errors import NotAllowed
from cell.rules import states
from cell.rules.lanes import Lane
from runtime import logs
from runtime.database import Connection

log = logs.get("cell.jobs")
MOST = 1000
"""In one call."""
MORE_ATTEMPTS = 8
"""For a job that was given up."""
DISCARDABLE = ("dead", "waiting")
"""What runs has an owner, and what is done keeps its effect from being brought about twice."""


class NoSuchJob(Exception):
    """One of those that were named is not there."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which jobs. `before`: when one changed and its name, those that changed before it."""

    limit: int
    state: states.JobState | None = None
    lane: Lane | None = None
    actor: str | None = None
    before: tuple[datetime, str] | None = None


@dataclass(frozen=True, slots=True)
class Which:
    """Named ones, or without names all in `state`, of an actor if one is said."""

    names: Sequence[str] | None = None
    actor: str | None = None
    state: Literal["dead", "waiting"] = "dead"


@dataclass(frozen=True, slots=True)
class Done:
    """How many, how many of their kind are left, and the lanes that have work now."""

    jobs: int
    left: int
    lanes: frozenset[Lane] = frozenset()


async def listed(connection: Connection, wanted: Wanted) -> Sequence[asyncpg.Record]:
    """Those first that changed last."""
    before_time, before_name = wanted.before or (None, None)
    rows: Sequence[asyncpg.Record] = await connection.fetch(
        SQL["list_jobs"], *(wanted.state, wanted.lane, wanted.actor, before_time, before_name, wanted.limit)
    )
    return rows


async def counted(connection: Connection) -> Mapping[str, int]:
    """state → how many."""
    rows = await connection.fetch(SQL["count_jobs"])
    return {"waiting": 0, "running": 0, "done": 0, "dead": 0, **{row["state"]: row["jobs"] for row in rows}}


async def retry(connection: Connection, which: Which) -> Done:
    """Dead jobs wait again; a named one that waits for its time has it now. NoSuchJob; NotAllowed: it is done."""
    rows: list[asyncpg.Record] = []
    if which.names is not None:
        for name, state in (await _locked(connection, which.names)).items():
            if state == "done":
                raise NotAllowed(f"{name} is done: only dead jobs, and waiting ones, can be tried again")
        rows += await connection.fetch(SQL["hurry_jobs"], list(which.names))
    rows += await connection.fetch(SQL["revive_jobs"], which.names, which.actor, MOST, MORE_ATTEMPTS)
    done = Done(len(rows), await _left(connection, which), frozenset(row["lane"] for row in rows))
    await _recorded(connection, "retryJobs", which, done)
    return done


async def discard(connection: Connection, which: Which) -> Done:
    """They are not done any more. NoSuchJob; NotAllowed: a worker is at one, or it is done."""
    accepted: Sequence[str] = (which.state,)
    if which.names is not None:
        accepted = DISCARDABLE
        for name, state in (await _locked(connection, which.names)).items():
            if state not in DISCARDABLE:
                raise NotAllowed(f"{name} is {state}: only {' and '.join(DISCARDABLE)} jobs can be discarded")
    tag = await connection.execute(SQL["discard_jobs"], accepted, which.names, which.actor, MOST)
    done = Done(int(tag.rpartition(" ")[2]), await _left(connection, which))
    await _recorded(connection, "discardJobs", which, done)
    return done


async def _locked(connection: Connection, names: Sequence[str]) -> Mapping[str, states.JobState]:
    rows = await connection.fetch(SQL["lock_jobs"], list(names))
    found: dict[str, states.JobState] = {row["job_id"]: row["state"] for row in rows}
    missing = next((name for name in names if name not in found), None)
    if missing is not None:
        raise NoSuchJob(missing)
    return found


async def _recorded(connection: Connection, action: str, which: Which, done: Done) -> None:
    if done.jobs:
        said = {"names": list(which.names)} if which.names is not None else {"actor": which.actor}
        change = Change("jobs", None, {"jobs": done.jobs, "state": which.state, **said})
        await audit.record(connection, audit.OPERATOR, action, change)
    log.info("jobs_operated", action=action, jobs=done.jobs, left=done.left)


async def _left(connection: Connection, which: Which) -> int:
    if which.names is not None:
        return 0
    return int(await connection.fetchval(SQL["count_jobs_left"], which.state, which.actor))
