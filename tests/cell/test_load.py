"""What tenants take is counted, handed over once, and told by the control contract."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
import redis

from cell.access import enter_at
from cell.app.api import assemble_api
from cell.app.worker import Worker
from cell.database import COMMAND_SECONDS, transaction
from cell.jobs.queueing import enqueue
from cell.jobs.registry import JobType
from cell.jobs.registry import Registry as JobRegistry
from cell.jobs.runner import Runner as Jobs
from cell.load import MOST_FOLD, Charge, Meter, charging, stepped
from cell.orchestrator.actions import Call, Here
from cell.orchestrator.registry import Bound, Registry
from cell.orchestrator.runner import Runner as Orchestrations
from cell.rules.workflows import Step, Workflow
from cell.work import loads
from cell.work.hints import Hint
from cell.work.loads import LoadSums
from cell.work.turns import Turns
from directory.control.contract import LoadReport, TenantLoad
from runtime.database import Connection, Pool, open_pool
from runtime.embedded import ports
from tests.cell.cells import CellDatabase, Client, RunningCell, settings_for
from tests.cell.orchestrator.stage import Stage
from tests.waiting import eventually


class Clock:
    """Time that passes when somebody is busy; so does the process's."""

    def __init__(self) -> None:
        self.now_ns = 0

    def __call__(self) -> int:
        return self.now_ns

    def be_busy(self, nanoseconds: int) -> None:
        """Take the loop for so long."""
        self.now_ns += nanoseconds


@pytest.fixture
def clock() -> Clock:
    """Of the meter."""
    return Clock()


@pytest.fixture
def meter(clock: Clock) -> Meter:
    """By that clock."""
    return Meter(clock=clock, cpu_clock=clock)


# --- the meter ---


async def test_only_the_steps_of_a_task_are_counted(meter: Meter, clock: Clock) -> None:
    """What others do while it waits is not its own."""

    async def work(waits: int, nanoseconds: int) -> str:
        for _ in range(waits):
            clock.be_busy(nanoseconds)
            await asyncio.sleep(0)
        return "done"

    both = (stepped(work(4, 100), Charge(meter, "acme")), stepped(work(2, 7), Charge(meter, "beta")))
    assert list(await asyncio.gather(*both)) == ["done", "done"]
    assert (meter.of("acme").step_ns, meter.of("beta").step_ns) == (400, 14)


async def test_errors_and_cancellations_pass_through(meter: Meter, clock: Clock) -> None:
    """And what was taken until then is counted."""

    async def break_() -> None:
        clock.be_busy(10)
        await asyncio.sleep(0)
        clock.be_busy(5)
        raise ValueError("broken")

    async def wait_for_ever() -> str:
        clock.be_busy(3)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            clock.be_busy(4)
            return "cancelled"
        return "never"

    with pytest.raises(ValueError, match="broken"):
        await stepped(break_(), Charge(meter, "acme"))
    waiting = asyncio.ensure_future(stepped(wait_for_ever(), Charge(meter, "beta")))
    await asyncio.sleep(0)
    waiting.cancel()
    assert await waiting == "cancelled"
    assert (meter.of("acme").step_ns, meter.of("beta").step_ns) == (15, 7)


async def test_tasks_begun_for_a_tenant_are_its_own(meter: Meter, clock: Clock) -> None:
    """Also those that are begun by others that it began; outside nothing is counted."""

    async def leaf() -> None:
        clock.be_busy(10)

    async def branch() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(stepped(leaf()))
            group.create_task(stepped(leaf()))
        clock.be_busy(1)

    with charging(Charge(meter, "acme")):
        await stepped(branch())
    await stepped(leaf())
    assert meter.of("acme").step_ns == 21
    assert repr(meter) == "<Meter of 1 tenants>"


async def test_nobody_is_charged_before_it_is_known_who_it_is(meter: Meter) -> None:
    """Whoever invents tenants fills no memory."""
    await stepped(asyncio.sleep(0), Charge(meter))
    assert not meter.take()[0]


def test_a_meter_is_bounded_and_begins_anew() -> None:
    """Beyond its bound nobody new is counted; those who are known are."""
    meter = Meter(most_tenants=2)
    for name in ("acme", "beta", "gamma", "acme"):
        meter.of(name).requests += 1
    taken, _ = meter.take()
    assert {name: counts.requests for name, counts in taken.items()} == {"acme": 2, "beta": 1}
    assert not meter.take()[0]


def test_what_the_process_takes_is_shared_out_by_steps(meter: Meter, clock: Clock) -> None:
    """Up to a bound: an idle process is busy with itself."""
    clock.be_busy(150)
    meter.of("acme").step_ns += 100
    assert meter.take()[1] == pytest.approx(1.5e-9)
    clock.be_busy(50)
    meter.of("acme").step_ns += 100
    assert meter.take()[1] == pytest.approx(0.5e-9)
    clock.be_busy(1000)
    meter.of("acme").step_ns += 1
    assert meter.take()[1] == pytest.approx(MOST_FOLD * 1e-9)
    assert meter.take()[1] == 0.0


# --- the sums ---


@pytest.fixture
async def sums(redis_url: str, meter: Meter) -> LoadSums:
    """Of one process, in an empty Redis."""
    return LoadSums(redis_url, meter)


@pytest.fixture
async def others(redis_url: str) -> LoadSums:
    """Of another process of the same cell."""
    return LoadSums(redis_url, Meter())


def count(sums: LoadSums, tenant_id: str, **taken: int) -> None:
    """The tenant takes something there."""
    counts = sums._meter.of(tenant_id)
    for name, number in taken.items():
        setattr(counts, name, getattr(counts, name) + number)


async def test_all_processes_add_to_the_same_sums(sums: LoadSums, others: LoadSums) -> None:
    """And each count once, however often it is handed over."""
    count(sums, "acme", requests=2, network_bytes=100)
    count(others, "acme", job_ns=5000, requests=1, database_bytes=70)
    for each in (sums, others, sums, others):
        await each.hand_over()
    found = await sums.read(["acme", "beta"])
    assert found.tenants == {"acme": [0, 100, 3, 0, 5, 70], "beta": [0, 0, 0, 0, 0, 0]}
    assert (await others.read(["acme"])).start == found.start
    assert found.memory_bytes is not None
    assert found.memory_bytes > 20_000_000


async def test_many_tenants_are_handed_over_in_pieces(sums: LoadSums, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them, once."""
    monkeypatch.setattr(loads, "AT_ONCE", 2)
    names = [f"tenant-{number}" for number in range(5)]
    for name in names:
        count(sums, name, requests=1)
    await sums.hand_over()
    assert [numbers[2] for numbers in (await sums.read(names)).tenants.values()] == [1] * 5


async def test_cpu_time_adds_up_to_that_of_all_tenants(sums: LoadSums, clock: Clock) -> None:
    """So that whoever reads a page can say what part it is."""
    clock.be_busy(8_000_000)
    count(sums, "acme", step_ns=3_000_000)
    count(sums, "beta", step_ns=1_000_000)
    await sums.hand_over()
    found = await sums.read(["acme", "beta"])
    assert (found.total_cpu_us, found.tenants["acme"][0], found.tenants["beta"][0]) == (8000, 6000, 2000)


async def test_sums_have_a_start_before_anything_was_done(sums: LoadSums) -> None:
    """So that the first request of a cell is counted."""
    found = await sums.read([])
    assert len(found.start) == 16
    assert 0 <= found.age_seconds < 10


async def test_what_redis_lost_begins_anew(sums: LoadSums, redis_url: str) -> None:
    """Under another start."""
    count(sums, "acme", requests=2)
    await sums.hand_over()
    before = await sums.read(["acme"])
    redis.Redis.from_url(redis_url).flushdb()
    after = await sums.read(["acme"])
    assert after.tenants["acme"][2] == 0
    assert after.start != before.start


async def test_sums_go_by_themselves(sums: LoadSums, redis_url: str) -> None:
    """Nothing in Redis grows for ever: a day's sums, and what processes say of themselves."""
    count(sums, "acme", requests=2)
    await sums.hand_over()
    client = redis.Redis.from_url(redis_url)
    assert all(0 < client.ttl(key) <= loads.KEPT_SECONDS for key in client.keys("cell:load:*"))


async def test_ended_processes_hold_no_memory(sums: LoadSums, redis_url: str) -> None:
    """Who has not told of itself for a while is forgotten."""
    client = redis.Redis.from_url(redis_url)
    client.hset(loads.PROCESSES, "gone", "1000000000000 1000")
    await sums.hand_over()
    found = await sums.read([])
    assert found.memory_bytes is not None
    assert found.memory_bytes < 10**12
    assert client.hlen(loads.PROCESSES) == 1


async def test_without_redis_counts_are_dropped_and_nothing_waits() -> None:
    """Some may be lost; requests go on, and memory stays bounded."""
    lost = LoadSums(f"redis://127.0.0.1:{ports.free_port()}/0", Meter())
    count(lost, "acme", requests=2)
    await lost.hand_over()
    assert not lost._meter.take()[0]


# --- a whole cell ---


async def met(expectation: Callable[[], Awaitable[None]]) -> None:
    """It is, after a while."""

    async def holds() -> bool:
        await expectation()
        return True

    await eventually(holds)


async def reported(cell: RunningCell, client: Client) -> TenantLoad:
    """What the cell tells about the tenant."""
    await cell.api.loads.hand_over()
    after = ""
    while True:
        answer = await cell.control("GET", f"load?after={after}&limit=1000")
        assert answer.status == 200, answer
        report = LoadReport.model_validate(answer.json)
        for told in report.tenants:
            if told.tenant_id == client.tenant_id:
                return told
        assert report.next_after is not None
        after = report.next_after


async def test_requests_are_counted(cell: RunningCell, client: Client) -> None:
    """Their CPU time, the time of their transactions, and what they carry."""
    before = await reported(cell, client)
    assert (before.requests, before.cpu_seconds, before.network_bytes) == (0, 0, 0)
    for number in range(5):
        answer = await client("POST", "/v1/accounts", {"account_id": f"a-{number}", "display_name": "A"})
        assert answer.status == 201, answer
    after = await reported(cell, client)
    assert after.requests == 5
    assert 0.001 < after.cpu_seconds < 1
    assert 0.002 < after.database_seconds < 5
    assert after.database_bytes is not None
    assert 5 * 500 < after.database_bytes < 5 * 50_000
    assert 5 * 700 < after.network_bytes < 5 * 2000


async def test_what_is_refused_is_nobodys(cell: RunningCell, client: Client) -> None:
    """Without a key nobody is charged, and whoever asks for a tenant that is not here fills nothing."""
    refused = await client("GET", "/v1/accounts", headers={"Authorization": "Bearer cw_wrong"})
    assert refused.status == 401
    elsewhere = await client("GET", "/v1/accounts", headers={"Cellway-Tenant": "not-here"})
    assert elsewhere.status in (401, 421)
    assert (await reported(cell, client)).requests == 0


async def test_work_is_counted(cell: RunningCell, client: Client, worker: Worker) -> None:
    """Of workflows, which the worker carries out, in the same sums."""
    await client("POST", "/v1/accounts", {"account_id": "main", "display_name": "Main"})
    created = await client(
        "POST", "/v1/accounts/main/namespaces", {"namespace_id": "shop", "display_name": "Shop"}
    )
    assert created.status in (200, 201, 202), created

    async def counted() -> None:
        await worker.loads.hand_over()
        assert (await reported(cell, client)).job_seconds > 0

    await met(counted)


@asynccontextmanager
async def relayed(dsn: str) -> AsyncIterator[tuple[str, list[int]]]:
    """The same database by another way, and how long the pieces are that pass on it."""
    parts = urlsplit(dsn)
    pieces: list[int] = []

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(65536):
            pieces.append(len(piece))
            writer.write(piece)
        writer.close()

    async def met(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(parts.hostname, parts.port)
        await asyncio.gather(carry(reader, back), carry(there, writer))

    async with await asyncio.start_server(met, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        yield parts._replace(netloc=f"{parts.netloc.rpartition('@')[0]}@127.0.0.1:{port}").geturl(), pieces


@pytest.fixture
async def watched(cell_database: CellDatabase) -> AsyncIterator[tuple[Pool, list[int]]]:
    """One connection, and the pieces that passed on it since it was opened."""
    async with relayed(cell_database.dsns["cell_app"]) as (dsn, pieces):
        pool = await open_pool(dsn, name="test", size=1, command_seconds=COMMAND_SECONDS, stateless=True)
        async with transaction(pool) as connection:
            await connection.execute("SELECT 1")
        pieces.clear()
        yield pool, pieces
        await pool.close()


async def test_transactions_are_of_whom_they_are_for(watched: tuple[Pool, list[int]], meter: Meter) -> None:
    """To the byte, however they end; what is for nobody is nobody's, and not that of whoever comes next."""
    pool, pieces = watched

    async def carry(many: int) -> int:
        async with transaction(pool) as connection:
            await connection.fetchval("SELECT $1::text", "x" * many)
            await connection.execute("SELECT pg_sleep(0.01)")
        passed = sum(pieces)
        pieces.clear()
        return passed

    with charging(Charge(meter, "acme")):
        taken = await carry(100_000)
    await carry(50_000)
    assert meter.of("acme").database_bytes == taken > 200_000
    assert 10e6 < meter.of("acme").database_ns < 6e9
    with charging(Charge(meter, "beta")):
        with suppress(asyncpg.DivisionByZeroError):
            async with transaction(pool) as connection:
                await connection.execute("SELECT 1 / 0")
        taken = await carry(10)  # and what was rolled back before
    assert 100 < meter.of("beta").database_bytes == taken < 5_000


class Deaf:
    """In the place of a `Hinter`: what is left is not asked for again."""

    def hint(self, hint: Hint) -> bool:
        return True


async def test_jobs_and_steps_of_workflows_count_what_their_transactions_carry(
    watched: tuple[Pool, list[int]], stage: Stage
) -> None:
    """All of it, and nothing twice: no more than passed on the wire."""
    pool, pieces = watched
    meter = Meter()

    async def write(connection: Connection, call: Call) -> Mapping[str, Any]:
        await connection.fetchval("SELECT $1::text", "x" * 10_000)
        return {}

    kind, step = JobType("carry", Here(write)), Step("carry")
    bound = Bound(Workflow("carry", 1, (step,)), {"carry": Here(write)})
    turns = Turns(
        pool,
        Jobs(pool, JobRegistry((kind,)), 30.0),
        Orchestrations(pool, Registry((bound,)), 30.0),
        Deaf(),  # type: ignore[arg-type]
        meter,
        most_at_once=4,
        most_of_a_tenant=2,
    )
    async with transaction(stage.pool) as connection:
        await enter_at(connection, stage.tenant_id, stage.epoch)
        await enqueue(connection, kind, {})
    await turns.take(Hint(stage.tenant_id, stage.epoch, "bulk"))
    job = meter.of(stage.tenant_id).database_bytes
    assert job == sum(pieces) > 20_000
    assert meter.of(stage.tenant_id).database_ns > 0
    orchestration_id = await stage.begin(bound)
    await turns.take(Hint(stage.tenant_id, stage.epoch, "interactive"))
    assert (await stage.seen(orchestration_id)).outcome == "COMPLETED"
    assert meter.of(stage.tenant_id).database_bytes == sum(pieces) > job + 20_000
    assert set(meter.take()[0]) == {stage.tenant_id}


async def test_bytes_of_which_nothing_is_known_are_not_told(cell: RunningCell, client: Client) -> None:
    """As of a database behind a Unix socket: there were transactions, and no bytes."""
    cell.api.loads._meter.of(client.tenant_id).database_ns += 1_000_000
    found = await reported(cell, client)
    assert (found.database_seconds, found.database_bytes) == (0.001, None)


async def test_what_a_tenant_holds_is_told_without_reading_its_tables(cell: RunningCell, client: Client) -> None:
    """As the planner believes of its rows; and what it said that its namespaces hold."""

    async def known() -> None:
        assert (await reported(cell, client)).storage_bytes is not None

    await met(known)
    found = await reported(cell, client)
    assert found.row_bytes is not None
    assert found.storage_bytes is not None
    assert 0 < found.row_bytes <= found.storage_bytes


async def test_loads_come_page_by_page(cell: RunningCell, client: Client) -> None:
    """In the order of names, until there is no more."""
    await cell.tenant()
    names: list[str] = []
    after: str | None = ""
    while after is not None:
        answer = await cell.control("GET", f"load?after={after}&limit=1")
        report: dict[str, Any] = answer.json
        names += [told["tenant_id"] for told in report["tenants"]]
        after = report["next_after"]
    assert client.tenant_id in names
    assert names == sorted(set(names))
    assert (await cell.control("GET", "load?limit=1001")).status == 400
    assert (await cell.control("GET", "load", token="wrong-control-token")).status == 401


@pytest.fixture
async def lonely(cell_database: CellDatabase, cell: RunningCell) -> AsyncIterator[RunningCell]:
    """A cell whose Redis is away."""
    settings = settings_for(cell_database, f"redis://127.0.0.1:{ports.free_port()}/0")
    api = await assemble_api(settings)
    await api.lifecycle.start()
    try:
        yield RunningCell(api, settings, cell_database, cell.session)
    finally:
        await api.lifecycle.stop()


async def test_without_redis_the_load_is_not_told(lonely: RunningCell) -> None:
    """And everything else goes on."""
    assert (await lonely.control("GET", "load")).problem == (503, "UNAVAILABLE", True)
    assert (await lonely.control("GET", "cell")).status == 200
