"""One owner's time with an orchestration: claim it, act, record, until there is nothing to do now.

What is intended is recorded before it is done, together with the result of the step before. After a crash the next
owner finds the intent, and asks the party what became of it before it does anything again. Who has lost the lease
writes nothing: the number that `claim` gave out matches no row any more, and a `Here` is rolled back with it.
"""

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from cell import metrics
from cell.access import enter_at
from cell.database import again, transaction
from cell.errors import LeaseLost, NotAllowed, NotHere, Unavailable, Unfit
from cell.load import stepped
from cell.orchestrator import journal
from cell.orchestrator.actions import After, Here, Outage, There, Told
from cell.orchestrator.journal import Owned
from cell.orchestrator.registry import Bound, Registry, Unknown
from cell.rules.orchestration import Event, Status
from cell.rules.turns import Entry, Facts, Output, failed, postponed, turn
from runtime import logs
from runtime.database import UNREACHABLE, Connection, Pool

log = logs.get("cell.orchestrator")
OUTAGE_SECONDS = 5.0
"""Between two looks whether a party is there again."""


class Unrecorded(Unavailable):
    """Nobody knows whether a commit was done: only the database can say, to whoever claims it next."""


class Runner:
    """Carries out orchestrations that hints tell of. Whatever happens, Postgres knows the rest."""

    def __init__(
        self, pool: Pool, registry: Registry, lease_seconds: float, chance: Callable[[], float] = random.random
    ) -> None:
        self._pool, self._registry, self._lease_seconds, self._chance = pool, registry, lease_seconds, chance

    def __repr__(self) -> str:
        return f"<Runner of {self._registry!r}>"

    async def run(self, tenant_id: str, orchestration_id: str, epoch: int) -> float | None:
        """All that can be done now, if it is due and nobody is at it. The seconds until there is more, if ever."""
        with logs.bound(tenant=tenant_id, orchestration=orchestration_id, epoch=epoch):
            try:
                ownership = await again(lambda: self._claim(tenant_id, orchestration_id, epoch))
                if ownership is not None:
                    await ownership.use()
                    return ownership.wake_seconds
            except Unknown as workflow:
                # Left to a worker that knows it: during an upgrade there are both.
                log.warning("workflow_unknown", workflow=str(workflow))
            except NotHere:
                log.info("hint_dropped", reason="the tenant is not here at that epoch")
            except (LeaseLost, Unavailable) as reason:
                log.warning("orchestration_let_go", reason=str(reason))  # the lease runs out, and another goes on
            return None

    async def _claim(self, tenant_id: str, orchestration_id: str, epoch: int) -> "_Ownership | None":
        async with transaction(self._pool) as connection:
            await enter_at(connection, tenant_id, epoch)
            owned = await journal.claim(connection, tenant_id, orchestration_id, epoch, self._lease_seconds)
            if owned is None:
                return None
            bound = self._registry.get(owned.workflow, owned.version)
            if bound is None:
                raise Unknown(f"{owned.workflow} version {owned.version}")  # which undoes the claim
            ownership = _Ownership(self._pool, epoch, owned, bound, self._lease_seconds, self._chance)
            ownership.begun = await ownership.advance(connection, {})
            return ownership


class _Ownership:
    """The time between a claim and letting go."""

    def __init__(
        self,
        pool: Pool,
        epoch: int,
        owned: Owned,
        bound: Bound,
        lease_seconds: float,
        chance: Callable[[], float],
    ) -> None:
        self._pool, self._epoch, self._owned, self._bound = pool, epoch, owned, bound
        self._lease_seconds, self._chance = lease_seconds, chance
        self._alone = asyncio.Lock()
        """Branches end at the same time, but are recorded one after the other."""
        self._under_way: frozenset[str] = frozenset()
        self._committing: str | None = None
        """The step that is being committed, or whose commit did not come to an end."""
        self.begun: tuple[str, ...] = ()
        self.wake_seconds: float | None = None
        """Once it was let go."""

    async def use(self) -> None:
        """Act until nothing is left to do now. LeaseLost, NotHere, Unavailable: then nothing more is written."""
        try:
            async with asyncio.TaskGroup() as group:
                for name in self.begun:
                    group.create_task(stepped(self._carry_out(name, group)))
        except BaseExceptionGroup as ended:
            # Not by `except*`: until Python 3.11.4 what is raised within it is put into a group once more.
            known, others = ended.split((LeaseLost, NotHere, Unavailable))
            if known is None or others is not None:
                raise
            raise known.exceptions[0] from None

    async def _carry_out(self, name: str, group: asyncio.TaskGroup) -> None:
        for following in await self._perform(name):
            group.create_task(stepped(self._carry_out(following, group)))

    async def advance(self, connection: Connection, changed: Mapping[str, Entry]) -> tuple[str, ...]:
        """Record what changed, and the intent of what comes next; which steps that begins.

        In the caller's transaction; `_commit` follows it.
        """
        owned = self._owned
        steps = {**owned.steps, **changed}
        under_way = self._under_way - set(changed)
        facts = Facts(owned.cancelled, owned.signals, under_way)
        following = turn(self._bound.workflow, steps, facts, self._seconds)
        whole = replace(following, changed={**changed, **following.changed})
        busy = bool(under_way or whole.begun)
        await journal.record(connection, owned, whole, self._lease_seconds if busy else None)
        self._alarm(whole.changed)
        owned.steps, self.wake_seconds = {**steps, **whole.changed}, whole.wake_seconds
        self._under_way = under_way | set(whole.begun)
        return whole.begun

    def _alarm(self, changed: Mapping[str, Entry]) -> None:
        """What nobody but a person can help. Said before the commit: rather twice than never."""
        for name, entry in changed.items():
            if entry.status is Status.STUCK:
                log.error("step_stuck", step=name, error=entry.error)
                metrics.STUCK.labels(self._owned.workflow, name).inc()

    def _seconds(self, name: str, steps: Mapping[str, Entry]) -> float | None:
        action = self._bound.actions[name]
        if isinstance(action, After | Told) and action.seconds is not None:
            return max(0.0, action.seconds(self._owned.call(name, steps)))
        return None

    async def _perform(self, name: str) -> tuple[str, ...]:
        """One attempt at one step, forward or back; which steps follow."""
        action, step = self._bound.actions[name], self._bound.workflow.by_name[name]
        try:
            async with asyncio.timeout(step.deadline_seconds):
                if isinstance(action, Here):
                    return await self._here(name, action)
                if not isinstance(action, There):
                    raise TypeError(f"{name} has nothing to be carried out")
                ended = await self._there(name, action)
        except (NotHere, LeaseLost):
            raise
        except Exception as error:
            if self._committing == name:
                raise Unrecorded(f"whether {name} was recorded is not known: {error!r}") from error
            entry = self._failed(name, error)
        else:
            entry = ended
        return await self._recorded(name, entry)

    def _failed(self, name: str, error: Exception) -> Entry:
        step = self._bound.workflow.by_name[name]
        if isinstance(error, Outage) or _is_away(error):
            log.info("party_away", step=name, reason=str(error))
            return postponed(self._owned.steps[name], _described(error), OUTAGE_SECONDS)
        hopeless = isinstance(error, Unfit | NotAllowed)
        entry = failed(step, self._owned.steps[name], _described(error), self._chance(), hopeless=hopeless)
        log.warning("step_failed", step=name, status=entry.status.name, error=repr(error))
        return entry

    async def _here(self, name: str, action: Here) -> tuple[str, ...]:
        async with self._alone:
            before, under_way = self._owned.steps, self._under_way
            try:
                async with transaction(self._pool) as connection:
                    await enter_at(connection, self._owned.tenant_id, self._epoch)
                    ended = await self._acted_here(connection, name, action)
                    following = await self.advance(connection, {name: ended})
                    self._committing = name
            except BaseException:
                self._owned.steps, self._under_way = before, under_way
                raise
            self._committing = None
            return following

    async def _acted_here(self, connection: Connection, name: str, action: Here) -> Entry:
        entry, call = self._owned.steps[name], self._owned.call(name)
        if entry.status is Status.STARTED:
            return entry.after(Event.SUCCEED, output=await action.act(connection, call), error=None)
        if action.undo is not None:
            await action.undo(connection, call)
        return entry.after(Event.UNDONE, error=None)

    async def _there(self, name: str, action: There) -> Entry:
        entry, call = self._owned.steps[name], self._owned.call(name)
        if entry.status is not Status.STARTED:
            await action.party.undo(call)
            return entry.after(Event.UNDONE, error=None)
        output: Output | None = None
        if entry.attempts > 1 or entry.error is not None:
            output = await action.party.find(call)  # the one before may have been done after all
        if output is None:
            output = await action.party.act(call)
        return entry.after(Event.SUCCEED, output=output, error=None)

    async def _recorded(self, name: str, entry: Entry) -> tuple[str, ...]:
        async def write() -> tuple[str, ...]:
            before, under_way = self._owned.steps, self._under_way
            try:
                async with transaction(self._pool) as connection:
                    await enter_at(connection, self._owned.tenant_id, self._epoch)
                    return await self.advance(connection, {name: entry})
            except BaseException:
                self._owned.steps, self._under_way = before, under_way
                raise

        async with self._alone:
            return await again(write)


def _is_away(error: Exception) -> bool:
    """Whether this cell's own database went, which is no fault of the step. One that is too slow may well be."""
    cause = error.__cause__
    return (
        isinstance(error, Unavailable) and isinstance(cause, UNREACHABLE) and not isinstance(cause, TimeoutError)
    )


def _described(error: Exception) -> dict[str, Any]:
    """For the tenant: our own errors say what happened, others only that it was our fault."""
    if isinstance(error, Outage | Unavailable):
        return {"code": "UNAVAILABLE", "message": str(error)}
    if isinstance(error, Unfit | NotAllowed):
        return {"code": "FAILED_PRECONDITION", "message": str(error)}
    if isinstance(error, TimeoutError):
        return {"code": "UNAVAILABLE", "message": "it took too long"}
    return {"code": "INTERNAL", "message": "a fault of this service; it has been logged"}
