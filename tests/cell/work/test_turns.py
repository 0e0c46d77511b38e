"""Turns: a flood fills its own, and nobody else's."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from cell import metrics
from cell.access import enter_at
from cell.database import COMMAND_SECONDS, transaction
from cell.jobs.queueing import enqueue
from cell.jobs.registry import JobType
from cell.jobs.registry import Registry as JobRegistry
from cell.jobs.runner import Runner as Jobs
from cell.load import Meter
from cell.orchestrator.actions import Call, Here
from cell.orchestrator.registry import Registry
from cell.orchestrator.runner import Runner as Orchestrations
from cell.work import turns
from cell.work.hints import Hint, Hinter, open_broker, queue_of
from cell.work.turns import Turns
from runtime.database import Connection, Pool, open_pool
from runtime.embedded.redis import RedisServer
from tests.cell.cells import CellDatabase, next_epoch

DONE: list[str] = []


async def write(connection: Connection, call: Call) -> Mapping[str, Any]:
    """A row of the tenant's."""
    await connection.execute(
        "INSERT INTO cell.accounts (account_id, display_name) VALUES ($1, 'x')", call.payload["name"]
    )
    return {}


KIND = JobType("write", Here(write))


class Told:
    """Hears what a `Hinter` would send."""

    def __init__(self) -> None:
        self.now: list[Hint] = []
        self.later: list[tuple[Hint, float]] = []

    def hint(self, hint: Hint) -> bool:
        self.now.append(hint)
        return True

    def hint_later(self, hint: Hint, seconds: float) -> None:
        self.later.append((hint, seconds))


@pytest.fixture
async def pool(cell_database: CellDatabase) -> AsyncIterator[Pool]:
    """As the workers' role."""
    made = await open_pool(
        cell_database.dsns["cell_app"], name="test", size=6, command_seconds=COMMAND_SECONDS, stateless=True
    )
    yield made
    await made.close()


@pytest.fixture
async def hint(cell_database: CellDatabase) -> Hint:
    """A new tenant's."""
    tenant_id, epoch = f"t-{secrets.token_hex(4)}", next_epoch()
    control = await cell_database.connect("cell_control")
    await control.execute("SELECT cellway.set_fence($1, $2, 'active', NULL)", tenant_id, epoch)
    await control.close()
    return Hint(tenant_id, epoch, "bulk")


async def ask(pool: Pool, hint: Hint, kind: JobType, count: int) -> None:
    """So many jobs."""
    async with transaction(pool) as connection:
        await enter_at(connection, hint.tenant_id, hint.epoch)
        for number in range(count):
            await enqueue(connection, kind, {"name": f"{kind.name}-{number}"})


async def accounts(pool: Pool, hint: Hint) -> int:
    """What was done."""
    async with transaction(pool) as connection:
        await enter_at(connection, hint.tenant_id, hint.epoch)
        count: int = await connection.fetchval("SELECT count(*) FROM cell.accounts")
        return count


def turns_of(pool: Pool, told: Told, *kinds: JobType, most_of_a_tenant: int = 2) -> Turns:
    """A worker's."""
    return Turns(
        pool,
        Jobs(pool, JobRegistry(kinds), 30.0),
        Orchestrations(pool, Registry(()), 30.0),
        told,  # type: ignore[arg-type]
        Meter(),
        most_at_once=4,
        most_of_a_tenant=most_of_a_tenant,
    )


async def test_a_turn_does_all_there_is_when_it_is_little(
    pool: Pool, hint: Hint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And hints nothing again. How long that takes is the machine's affair."""
    monkeypatch.setattr(turns, "TURN_SECONDS", 60.0)
    told, taken = Told(), metrics.WORK_TAKEN.labels("bulk")._value
    before = taken.get()
    await ask(pool, hint, KIND, 120)
    await turns_of(pool, told, KIND).take(hint)
    assert (await accounts(pool, hint), told.now) == (120, [])
    assert taken.get() == before + 120


async def test_a_turn_ends_and_the_rest_is_hinted_again(
    pool: Pool, hint: Hint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the end of the queue, behind everybody else."""
    monkeypatch.setattr(turns, "TURN_SECONDS", 1e-9)
    told = Told()
    await ask(pool, hint, KIND, turns.MOST_JOBS + 1)
    await turns_of(pool, told, KIND).take(hint)
    assert (await accounts(pool, hint), told.now) == (turns.MOST_JOBS, [hint])


async def test_a_tenant_has_only_so_many_turns_at_a_time(pool: Pool, hint: Hint) -> None:
    """What it may not have now is hinted again when one of its turns ends."""
    arrived, go_on = asyncio.Event(), asyncio.Event()

    async def wait(_connection: Connection, _call: Call) -> Mapping[str, Any]:
        arrived.set()
        await go_on.wait()
        return {}

    kind, told = JobType("wait", Here(wait)), Told()
    made = turns_of(pool, told, kind, most_of_a_tenant=1)
    await ask(pool, hint, kind, 1)
    first = asyncio.ensure_future(made.take(hint))
    await arrived.wait()
    await made.take(hint)
    assert told.now == []
    go_on.set()
    await first
    assert told.now == [hint]


async def test_what_failed_is_hinted_when_its_time_comes(pool: Pool, hint: Hint) -> None:
    """By the worker itself: the sweep would come later."""

    async def fail(_connection: Connection, _call: Call) -> Mapping[str, Any]:
        raise RuntimeError

    kind, told = JobType("fail", Here(fail)), Told()
    await ask(pool, hint, kind, 1)
    await turns_of(pool, told, kind).take(hint)
    [(later, seconds)] = told.later
    assert later == hint
    assert 0 < seconds < turns.LATER_SECONDS


async def test_a_hint_with_another_epoch_is_dropped(pool: Pool, hint: Hint) -> None:
    """It was left behind by a move: the fence refuses, and the work stays as it is."""
    told = Told()
    await ask(pool, hint, KIND, 1)
    for epoch in (hint.epoch - 1, hint.epoch + 1):
        await turns_of(pool, told, KIND).take(Hint(hint.tenant_id, epoch, "bulk"))
    assert (await accounts(pool, hint), told.now) == (0, [])


async def test_there_is_one_hint_for_a_tenant_and_lane(redis_server: RedisServer) -> None:
    """However often it is given; a new one once it was taken."""
    broker = open_broker(redis_server.url, 15.0)
    broker.flush_all()
    hinters = [Hinter(broker, marked_seconds=60.0) for _ in range(2)]
    hint, other = Hint("acme", 1, "bulk"), Hint("acme", 1, "interactive")
    for hinter in hinters:
        for each in (hint, hint, other):
            assert hinter.hint(each)
        await hinter.run()
    assert [broker.do_qsize(queue_of(lane)) for lane in ("bulk", "interactive")] == [1, 1]
    hinters[0].took(hint)
    hinters[1].hint(hint)
    await hinters[1].run()
    assert broker.do_qsize(queue_of("bulk")) == 2
    broker.flush_all()


async def test_of_hints_for_later_the_earliest_counts(redis_server: RedisServer) -> None:
    """One timer for each tenant and lane."""
    hinter = Hinter(open_broker(redis_server.url, 15.0), marked_seconds=60.0)
    hint = Hint("acme", 1, "bulk")
    for seconds in (50.0, 0.01, 40.0):
        hinter.hint_later(hint, seconds)
    async with asyncio.timeout(30.0):
        await hinter._any.wait()
    assert (list(hinter._waiting), hinter._later) == ([hint], {})
