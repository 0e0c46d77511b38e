"""A customer's life on a stage: parties as the cell plays them, the workflows, and what is left of them."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import asyncpg

from cell.access import enter_at
from cell.database import transaction
from cell.errors import Unfit
from cell.orchestrator.actions import Action, Call, Here, Outage, There
from cell.orchestrator.registry import Bound
from cell.parties.billing import LocalBilling
from cell.parties.identity import LocalIdentity
from cell.parties.mail import Outbox
from cell.parties.resources import LocalResources
from cell.parties.seams import Parties
from cell.rules.turns import Output
from cell.rules.workflows import Workflow
from cell.workflows import beginning, onboarding, trial
from cell.workflows.lifecycle import lifecycle
from runtime.database import Connection, Pool
from tests.cell.orchestrator.stage import Seen, Stage

CUSTOMER: Mapping[str, Any] = {
    "email": "ada@example.com",
    "display_name": "Analytical Engines",
    "account_id": "main",
    "namespace_id": "first",
    "plan": "standard",
    "trial_days": 14,
}
DOMAIN = {"domain": "namespaces.example"}
LEFT = ("accounts", "namespaces", "allocations", "subscriptions", "organisations", "organisation_users",
        "billing_subscriptions", "mails", "taken_resources", "exports")  # fmt: skip
"""Tables in which an onboarding that was undone leaves nothing."""


class Crash(BaseException):
    """The process is gone: no code of ours catches this."""


class Obstinate:
    """A party that never does what it is asked, and undoes like the one that it stands for."""

    def __init__(self, party: Any) -> None:
        self.party = party

    async def act(self, call: Call) -> Output:
        raise Unfit("no")

    async def find(self, call: Call) -> Output | None:
        return None

    async def undo(self, call: Call) -> None:
        await self.party.undo(call)


class Away(Obstinate):
    """A party that cannot be reached."""

    async def act(self, call: Call) -> Output:
        raise Outage("away")


class Unreachable(Obstinate):
    """A party that cannot be reached, not even to undo."""

    async def undo(self, call: Call) -> None:
        raise Outage("away")


class Dying(Obstinate):
    """Takes its worker along, once: before it acts, or after; or in the same places while it undoes."""

    def __init__(self, party: Any, moment: str) -> None:
        super().__init__(party)
        self.moment: str | None = moment

    def die(self, moment: str) -> None:
        if self.moment == moment:
            self.moment = None
            raise Crash(moment)

    async def act(self, call: Call) -> Output:
        self.die("before")
        done: Output = await self.party.act(call)
        self.die("after")
        return done

    async def find(self, call: Call) -> Output | None:
        found: Output | None = await self.party.find(call)
        return found

    async def undo(self, call: Call) -> None:
        self.die("before undoing")
        await self.party.undo(call)
        self.die("after undoing")


def dying(action: Action, moment: str) -> Action:
    """The same action, whose worker dies at a moment, once."""
    if isinstance(action, There):
        return There(Dying(action.party, moment))
    if not isinstance(action, Here):
        return action
    death = Dying(None, moment)

    async def act(connection: Connection, call: Call) -> Output:
        death.die("before")
        done = await action.act(connection, call)
        death.die("after")
        return done

    async def undo(connection: Connection, call: Call) -> None:
        death.die("before undoing")
        assert action.undo is not None
        await action.undo(connection, call)
        death.die("after undoing")

    return Here(act, None if action.undo is None else undo)


def failing(action: Action) -> Action:
    """The same action, which is given up at once; what it would undo, it still undoes."""
    if isinstance(action, There):
        return There(Obstinate(action.party))
    assert isinstance(action, Here)

    async def act(connection: Connection, call: Call) -> Output:
        await action.act(connection, call)
        raise Unfit("no")

    return Here(act, action.undo)


def with_step(bound: Bound, step: str, change: Callable[[Action], Action]) -> Bound:
    """The same workflow with one action changed."""
    return replace(bound, actions={**bound.actions, step: change(bound.actions[step])})


def local(pool: Pool) -> Parties:
    """As this cell plays them."""
    return Parties(LocalIdentity(pool), LocalBilling(pool), Outbox(pool), LocalResources(pool))


@dataclass(frozen=True)
class Life:
    """A tenant, the parties around it, and the workflows that it may meet."""

    stage: Stage
    parties: Parties
    bound: Mapping[str, Bound]

    @asynccontextmanager
    async def entered(self) -> AsyncIterator[Connection]:
        """A transaction of the tenant."""
        async with transaction(self.stage.pool) as connection:
            await enter_at(connection, self.stage.tenant_id, self.stage.epoch)
            yield connection

    async def ask(self, work: Callable[[Connection], Awaitable[asyncpg.Record]]) -> str:
        """What was begun."""
        async with self.entered() as connection:
            return str((await work(connection))["orchestration_id"])

    async def finish(self, name: str, *changed: Bound) -> Seen:
        """Hints until it ended, whatever time has to pass."""
        bound = {**self.bound, **{each.workflow.name: each for each in changed}}
        for _ in range(60):
            seen = await self.hint(name, *bound.values())
            if seen.outcome is not None or not seen.wakes:
                return seen
            await self.stage.time_passes(name)
        raise AssertionError(f"for ever: {seen}")

    async def hint(self, name: str, *bound: Bound) -> Seen:
        """One hint."""
        return await self.stage.run(name, *(bound or self.bound.values()))

    async def onboard(self, **more: Any) -> str:
        """Begun, not carried out."""
        return await self.ask(lambda c: beginning.onboard(c, 1, {**CUSTOMER, **DOMAIN, **more}))

    async def customer(self, **more: Any) -> str:
        """Onboarded; the name of its trial, empty without."""
        seen = await self.finish(await self.onboard(**more))
        assert seen.outcome == "COMPLETED", seen
        made: str = seen.outputs["trial"].get("operation", "")
        return made

    async def rows(self, table: str) -> Sequence[asyncpg.Record]:
        """All of the tenant's."""
        async with self.entered() as connection:
            return await connection.fetch(f"SELECT * FROM cell.{table}")  # noqa: S608 names of ours

    async def left(self) -> dict[str, int]:
        """Where rows are left, and how many."""
        counted = {table: len(await self.rows(table)) for table in LEFT}
        return {table: count for table, count in counted.items() if count}

    async def state(self) -> str:
        """Of the subscription."""
        [row] = await self.rows("subscriptions")
        return str(row["state"])

    async def billed(self) -> tuple[str, str]:
        """Plan and state at billing."""
        [row] = await self.rows("billing_subscriptions")
        return row["plan"], row["state"]

    async def subjects(self) -> list[str]:
        """Of all mails, in their order."""
        rows = await self.rows("mails")
        return [row["subject"] for row in sorted(rows, key=lambda row: row["created_at"])]

    async def namespaces(self, count: int) -> None:
        """So many more."""
        async with self.entered() as connection:
            await connection.execute(
                "INSERT INTO cell.namespaces (account_id, namespace_id, display_name, state) "
                "SELECT 'main', 'more-' || n, 'x', 'ACTIVE' FROM generate_series(1, $1::int) n",
                count,
            )


def life_on(stage: Stage) -> Life:
    """All of it."""
    parties = local(stage.pool)
    return Life(stage, parties, {each.workflow.name: each for each in lifecycle(parties, stage.pool)})


def described(value: str) -> Any:
    """A jsonb column."""
    return json.loads(value)


ONBOARDING: Workflow = onboarding.WORKFLOW
TRIAL: Workflow = trial.WORKFLOW
