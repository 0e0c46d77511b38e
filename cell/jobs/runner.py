"""Claimed jobs, carried out and recorded.

Those that act in the tenant's own transaction share one: all of them are committed together with their completion,
or none is, and then each is tried by itself. Those that act at somebody else's hold no transaction while they do.
"""

import asyncio
import json
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg

from cell import metrics
from cell.access import enter_at
from cell.database import SQL, again, transaction
from cell.errors import LeaseLost, NotAllowed, NotHere, Unavailable, Unfit
from cell.jobs.registry import JobType, Provider, Registry
from cell.load import stepped
from cell.orchestrator.actions import Call, Here, Outage, There
from cell.rules import states
from cell.rules.lanes import Lane
from runtime import logs
from runtime.database import Connection, Pool

log = logs.get("cell.jobs")
KEPT_SECONDS = 24 * 3600.0
"""How long a job that was done is known, and with it its effect's key."""
OUTAGE_SECONDS = 5.0
UNKNOWN_SECONDS = 30.0
TOGETHER_SECONDS = 1.0
"""How long jobs go on joining one transaction."""
MOST_AHEAD_SECONDS = 60.0
"""Turns at a provider are given out for so far ahead; beyond, one asks again."""
AT_ONCE_SECONDS = 0.02
"""A turn that is so near is waited for."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A job that is ours until its lease ends, or somebody else's number is higher."""

    job_id: str
    actor: str
    args: Mapping[str, Any]
    attempts: int
    most_attempts: int
    effect_key: str | None
    has_turn: bool
    """At its provider's."""

    def call(self, tenant_id: str) -> Call:
        """What its action is told."""
        return Call(tenant_id, self.effect_key or self.job_id, self.actor, self.args, {})


@dataclass(frozen=True, slots=True)
class Whose:
    """A tenant, at the epoch at which it is served here."""

    tenant_id: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Release:
    """What becomes of a job that was not done."""

    event: states.JobEvent
    wait_seconds: float
    error: str
    counts: bool = True
    has_turn: bool = False


class Runner:
    """Carries out jobs. Whatever happens, Postgres knows the rest."""

    def __init__(
        self, pool: Pool, jobs: Registry, lease_seconds: float, chance: Callable[[], float] = random.random
    ) -> None:
        self._pool, self._jobs, self._lease_seconds, self._chance = pool, jobs, lease_seconds, chance

    def __repr__(self) -> str:
        return f"<Runner of {self._jobs!r}>"

    async def claim(self, connection: Connection, lane: Lane, epoch: int, most: int) -> Sequence[Claimed]:
        """Those that are due and that nobody is at who can finish them. In the tenant's transaction at `epoch`."""
        rows = await connection.fetch(SQL["claim_jobs"], lane, most, self._lease_seconds, epoch)
        return [_claimed(row) for row in rows]

    async def carry_out(self, whose: Whose, jobs: Sequence[Claimed]) -> float | None:
        """One attempt at each; in how many seconds the first of them wants to be looked at again, None: never."""
        here = [job for job in jobs if self._acts_here(job)]
        alone = [job for job in jobs if not self._acts_here(job)]
        waits = await asyncio.gather(
            stepped(self._together(whose, here)), *(stepped(self._alone(whose, job)) for job in alone)
        )
        return min((wait for wait in waits if wait is not None), default=None)

    def _acts_here(self, job: Claimed) -> bool:
        kind = self._jobs.get(job.actor)
        return kind is not None and isinstance(kind.action, Here) and not _exhausted(job) and not kind.provider

    async def _together(self, whose: Whose, jobs: Sequence[Claimed]) -> float | None:
        waits: list[float | None] = []
        left = list(jobs)
        while left:
            started = time.monotonic()
            try:
                done = await self._in_one_transaction(whose, left)
            except NotHere as reason:
                log.info("jobs_left", tenant=whose.tenant_id, jobs=len(left), reason=str(reason))
                return None  # the tenant is moving, and its jobs with it
            except Exception:
                # One of them failed, and with it all: none has an effect yet, and each is tried by itself.
                waits += [await self._alone(whose, job) for job in left]
                break
            for job in left[:done]:
                self._ended(job, "done", started)
            left = left[done:]
        return min((wait for wait in waits if wait is not None), default=None)

    async def _in_one_transaction(self, whose: Whose, jobs: Sequence[Claimed]) -> int:
        """How many of them, from the first on, were done."""
        end = time.monotonic() + TOGETHER_SECONDS
        done = 0
        async with transaction(self._pool) as connection:
            await enter_at(connection, whose.tenant_id, whose.epoch)
            for job in jobs:
                await self._act_here(connection, whose, job)
                done += 1
                if time.monotonic() > end:
                    break
            await _finish(connection, jobs[:done])
        return done

    async def _act_here(self, connection: Connection, whose: Whose, job: Claimed) -> None:
        kind = self._jobs.get(job.actor)
        if kind is None or not isinstance(kind.action, Here):
            raise TypeError(f"{job.actor} does not act here")
        async with asyncio.timeout(kind.deadline_seconds):
            await kind.action.act(connection, job.call(whose.tenant_id))

    async def _alone(self, whose: Whose, job: Claimed) -> float | None:
        """One attempt at one job; in how many seconds there is another."""
        started = time.monotonic()
        with logs.bound(tenant=whose.tenant_id, job=job.job_id, epoch=whose.epoch):
            try:
                release = await self._attempt(whose, job)
                if release is not None:
                    await again(lambda: self._release(whose, job, release))
            except (NotHere, LeaseLost, Unavailable) as reason:
                log.warning("job_let_go", actor=job.actor, reason=str(reason))
                self._ended(job, "lost", started)
                return None  # its lease runs out, and somebody goes on
        if release is None:
            self._ended(job, "done", started)
            return None
        self._ended(job, "dead" if release.event == "give_up" else "retry", started)
        return None if release.event == "give_up" else release.wait_seconds

    async def _attempt(self, whose: Whose, job: Claimed) -> Release | None:
        """None: it was done. NotHere, LeaseLost."""
        kind = self._jobs.get(job.actor)
        if kind is None:
            # Left to a worker that knows it: during an upgrade there are both.
            log.warning("job_unknown", actor=job.actor)
            return Release("retry", UNKNOWN_SECONDS, "this version does not know it", counts=False)
        if _exhausted(job):
            # Every attempt ended without a word: a job that kills its worker must not go on doing so.
            log.error("job_parked", actor=job.actor, attempts=job.attempts - 1)
            return Release("give_up", 0.0, "it was given up: it never came to an end")
        try:
            if kind.provider is not None and not job.has_turn:
                wait_seconds = await self._turn_at(kind.provider)
                if wait_seconds > AT_ONCE_SECONDS:
                    given = wait_seconds < MOST_AHEAD_SECONDS - 1 / kind.provider.per_second
                    return Release("retry", wait_seconds, "", counts=False, has_turn=given)
                await asyncio.sleep(wait_seconds)
            await self._act(whose, kind, job)
        except (NotHere, LeaseLost):
            raise
        except Outage as outage:
            log.info("party_away", actor=job.actor, reason=str(outage))
            return Release("retry", OUTAGE_SECONDS, str(outage), counts=False)
        except Exception as error:
            return self._failed(kind, job, error)
        return None

    async def _act(self, whose: Whose, kind: JobType, job: Claimed) -> None:
        call = job.call(whose.tenant_id)
        if isinstance(kind.action, There):
            async with asyncio.timeout(kind.deadline_seconds):
                if job.attempts == 1 or await kind.action.party.find(call) is None:
                    await kind.action.party.act(call)
        await again(lambda: self._done(whose, kind, job))

    async def _done(self, whose: Whose, kind: JobType, job: Claimed) -> None:
        async with transaction(self._pool) as connection:
            await enter_at(connection, whose.tenant_id, whose.epoch)
            if isinstance(kind.action, Here):
                await self._act_here(connection, whose, job)
            await _finish(connection, [job])

    def _failed(self, kind: JobType, job: Claimed, error: Exception) -> Release:
        """Another attempt later, or none."""
        log.warning("attempt_failed", actor=job.actor, attempt=job.attempts, error=repr(error))
        if isinstance(error, Unfit | NotAllowed) or job.attempts >= job.most_attempts:
            log.error("job_given_up", actor=job.actor, attempts=job.attempts, error=repr(error))
            return Release("give_up", 0.0, repr(error))
        return Release("retry", kind.retry.wait_seconds(job.attempts, self._chance()), repr(error))

    async def _release(self, whose: Whose, job: Claimed, release: Release) -> None:
        async with transaction(self._pool) as connection:
            await enter_at(connection, whose.tenant_id, whose.epoch)
            written = await connection.fetchval(
                SQL["release_job"],
                job.job_id,
                job.attempts,
                states.after(states.JOBS, "running", release.event),
                release.wait_seconds,
                release.error[:500] or None,
                not release.counts,
                release.has_turn,
            )
            if written is None:
                raise LeaseLost("another worker has this job now")

    async def _turn_at(self, provider: Provider) -> float:
        """In how many seconds the provider bears one more."""
        async with transaction(self._pool) as connection:
            seconds: float = await connection.fetchval(
                SQL["reserve_slot"], provider.name, provider.per_second, provider.burst, MOST_AHEAD_SECONDS
            )
        return seconds

    def _ended(self, job: Claimed, outcome: str, started: float) -> None:
        metrics.JOBS.labels(job.actor, outcome).inc()
        metrics.JOB_SECONDS.labels(job.actor).observe(time.monotonic() - started)


async def _finish(connection: Connection, jobs: Sequence[Claimed]) -> None:
    """In the transaction of the effects. LeaseLost: one of them is somebody else's by now."""
    names, numbers = [job.job_id for job in jobs], [job.attempts for job in jobs]
    tag = await connection.execute(SQL["finish_jobs"], names, numbers, KEPT_SECONDS)
    if int(tag.rpartition(" ")[2]) != len(jobs):
        raise LeaseLost("another worker has this job now")


def _exhausted(job: Claimed) -> bool:
    return job.attempts > job.most_attempts


def _claimed(row: asyncpg.Record) -> Claimed:
    return Claimed(
        row["job_id"],
        row["actor"],
        json.loads(row["args"]),
        row["attempts"],
        row["most_attempts"],
        row["effect_key"],
        row["slot_at"] is not None,
    )
