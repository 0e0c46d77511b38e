"""Jobs: Postgres is the truth. Whatever dies, every job completes exactly once."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest
import redis

from cell.app.api import assemble_api
from cell.app.worker import assemble_worker
from cell.database import COMMAND_SECONDS
from cell.errors import LeaseLost
from cell.jobs.hints import Hint, check_redis, open_broker
from cell.jobs.provisioning import JOBS
from cell.jobs.runner import Runner
from cell.rules.attempts import MOST_ATTEMPTS
from cell.settings import CellSettings
from runtime.database import open_pool
from runtime.embedded.postgres import PostgresServer
from runtime.embedded.redis import RedisServer
from tests.cell.cells import Client, RunningCell, new_cell_database, settings_for
from tests.cell.programs import running
from tests.cell.test_operations import ended, provision
from tests.servers import PASSWORD
from tests.waiting import eventually


@pytest.fixture(scope="module")
def own_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A Redis that may be killed."""
    with RedisServer(tmp_path_factory.mktemp("jobs") / "data", PASSWORD) as server:
        yield server


@pytest.fixture(scope="module")
async def own(
    postgres_server: PostgresServer, own_redis: RedisServer, session: aiohttp.ClientSession
) -> AsyncIterator[RunningCell]:
    """A cell of its own: no other test's jobs, no other test's shards."""
    made = await new_cell_database(postgres_server)
    settings = settings_for(made, own_redis.url)
    api = await assemble_api(settings)
    await api.lifecycle.start()
    try:
        yield RunningCell(api, settings, made, session)
    finally:
        await api.lifecycle.stop()


@pytest.fixture
async def tenant(own: RunningCell) -> Client:
    """A tenant of that cell."""
    return await own.tenant()


@pytest.fixture
async def superuser(own: RunningCell) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """Sees all rows, and may hold locks in a job's way."""
    connection = await own.database.connect()
    yield connection
    await connection.close()


@pytest.fixture
async def runner(own: RunningCell) -> AsyncIterator[Runner]:
    """Runs jobs without Redis."""
    pool = await open_pool(own.settings.app_dsn, name="test", size=8, command_seconds=COMMAND_SECONDS)
    yield Runner(pool, JOBS, 2.0, "namespaces.localhost")
    await pool.close()


@contextlib.asynccontextmanager
async def worker_of(settings: CellSettings) -> AsyncIterator[None]:
    """A worker in this process."""
    made = await assemble_worker(settings)
    await made.lifecycle.start()
    try:
        yield
    finally:
        await made.lifecycle.stop()


async def job_of(superuser: "asyncpg.Connection[asyncpg.Record]", tenant: Client) -> asyncpg.Record:
    """The tenant's one job."""
    rows = await superuser.fetch("SELECT * FROM cell.jobs WHERE tenant_id = $1", tenant.tenant_id)
    assert len(rows) == 1
    return rows[0]


async def change(connection: "asyncpg.Connection[asyncpg.Record]", tenant: Client, statement: str) -> None:
    """Change the tenant's rows, under its fence like everybody."""
    async with connection.transaction():
        await connection.execute("SET LOCAL ROLE cell_app")  # a superuser would change everybody's
        await connection.execute("SELECT cellway.enter($1, $2)", tenant.tenant_id, tenant.epoch)
        await connection.execute(statement)


async def occupancy_is_true(superuser: "asyncpg.Connection[asyncpg.Record]") -> bool:
    """Each shard counts exactly the allocations that there are."""
    return bool(
        await superuser.fetchval(
            "SELECT bool_and(occupancy = (SELECT count(*) FROM cell.allocations a WHERE a.shard_id = s.shard_id)) "
            "FROM cell.shards s"
        )
    )


async def test_a_worker_killed_in_the_middle_loses_and_doubles_nothing(
    own: RunningCell,
    tenant: Client,
    superuser: "asyncpg.Connection[asyncpg.Record]",
    session: aiohttp.ClientSession,
    tmp_path: Path,
) -> None:
    """kill -9 while a step runs: another worker takes the job over, and the effect is there once."""
    log = tmp_path / "worker.log"
    async with running("cell.worker", own.settings, log) as worker:
        await worker.ready(session)
        blocking = superuser.transaction()
        await blocking.start()
        await superuser.execute("LOCK TABLE cell.shards IN ACCESS EXCLUSIVE MODE")
        begun = await provision(tenant)
        observer = await own.database.connect()

        async def at_work() -> bool:
            return (await job_of(observer, tenant))["state"] == "running"

        await eventually(at_work)
        worker.kill()
        await blocking.commit()
        await observer.close()
    async with running("cell.worker", own.settings, log):
        done = await ended(tenant, begun)
    assert done.json["state"] == "SUCCEEDED", log.read_text()
    job = await job_of(superuser, tenant)
    assert (job["state"], job["attempts"]) == ("done", 2)
    assert await occupancy_is_true(superuser)


async def test_jobs_complete_although_redis_lost_all_hints(
    own: RunningCell, own_redis: RedisServer, tenant: Client
) -> None:
    """The sweep finds what nobody was told of."""
    begun = [await provision(tenant, f"n{i}") for i in range(5)]
    with redis.Redis.from_url(own_redis.url) as client:
        await eventually(lambda: client.dbsize() > 0)
        client.flushall()
    async with worker_of(own.settings):
        answers = [await ended(tenant, operation) for operation in begun]
    assert {answer.json["state"] for answer in answers} == {"SUCCEEDED"}


async def test_requests_and_jobs_survive_a_redis_that_is_away(
    own: RunningCell, own_redis: RedisServer, tenant: Client
) -> None:
    """Requests are accepted at once while Redis is dead; the jobs run when it is back."""
    async with worker_of(own.settings):
        assert own_redis.child is not None
        own_redis.child.signal(signal.SIGKILL)
        await asyncio.to_thread(own_redis.child.wait, 10)
        begun = await asyncio.wait_for(provision(tenant), 3)
        await asyncio.to_thread(own_redis.start)
        done = await ended(tenant, begun)
    assert done.json["state"] == "SUCCEEDED"


async def test_a_hint_that_comes_many_times_runs_the_job_once(
    tenant: Client, superuser: "asyncpg.Connection[asyncpg.Record]", runner: Runner
) -> None:
    """Hints may double: the row decides."""
    await provision(tenant)
    job = await job_of(superuser, tenant)
    hint = Hint(tenant.tenant_id, job["job_id"], tenant.epoch)
    await asyncio.gather(*(runner.run(hint) for _ in range(12)))
    job = await job_of(superuser, tenant)
    assert (job["state"], job["attempts"]) == ("done", 1)


@pytest.mark.parametrize("epoch_by", [-1, 1])
async def test_a_hint_with_another_epoch_is_dropped(
    tenant: Client, superuser: "asyncpg.Connection[asyncpg.Record]", runner: Runner, epoch_by: int
) -> None:
    """It was left behind by a move: the fence refuses, and the row stays as it is."""
    await provision(tenant)
    job = await job_of(superuser, tenant)
    await runner.run(Hint(tenant.tenant_id, job["job_id"], tenant.epoch + epoch_by))
    assert await job_of(superuser, tenant) == job


async def test_who_has_lost_the_lease_changes_nothing(
    tenant: Client, superuser: "asyncpg.Connection[asyncpg.Record]", runner: Runner
) -> None:
    """A worker that was thought dead comes back after another one took over."""
    await provision(tenant)
    hint = Hint(tenant.tenant_id, (await job_of(superuser, tenant))["job_id"], tenant.epoch)
    first = await runner._claim(hint)
    assert first is not None
    assert await runner._claim(hint) is None
    await change(superuser, tenant, "UPDATE cell.jobs SET lease_until = now() - interval '1 second'")
    second = await runner._claim(hint)
    assert second is not None
    with pytest.raises(LeaseLost):
        await runner._steps(first)
    assert await runner._steps(second) == "done"
    assert await occupancy_is_true(superuser)


async def test_an_operation_cancelled_while_running_is_undone(
    tenant: Client, superuser: "asyncpg.Connection[asyncpg.Record]", runner: Runner
) -> None:
    """The worker stops before its next step and takes back what it gave."""
    begun = await provision(tenant)
    hint = Hint(tenant.tenant_id, (await job_of(superuser, tenant))["job_id"], tenant.epoch)
    claim = await runner._claim(hint)
    assert claim is not None
    assert await runner._step(claim, JOBS.get("provision_namespace")) is None  # type: ignore[arg-type]
    asked = await tenant("POST", f"/v1/{begun.json['name']}:cancel")
    assert (asked.json["state"], asked.json["cancel_requested"]) == ("RUNNING", True)
    assert await runner._steps(claim) == "cancelled"
    assert (await tenant("GET", f"/v1/{begun.json['name']}")).json["state"] == "CANCELLED"
    assert (await tenant("GET", "/v1/accounts/acme/namespaces/prod")).status == 404
    assert await occupancy_is_true(superuser)


async def test_a_failed_attempt_waits_and_tries_again(
    tenant: Client, superuser: "asyncpg.Connection[asyncpg.Record]", runner: Runner
) -> None:
    """The delay lies in Postgres; a hint that comes too early does nothing."""
    begun = await provision(tenant)
    await superuser.execute("UPDATE cell.shards SET capacity = 0")
    hint = Hint(tenant.tenant_id, (await job_of(superuser, tenant))["job_id"], tenant.epoch)
    await runner.run(hint)
    await superuser.execute("UPDATE cell.shards SET capacity = 100000")
    job = await job_of(superuser, tenant)
    assert (job["state"], job["attempts"]) == ("waiting", 1)
    assert "no shard" in job["last_error"]
    assert job["run_at"] > job["created_at"]
    await change(superuser, tenant, "UPDATE cell.jobs SET run_at = now() + interval '1 hour'")
    await runner.run(hint)
    assert (await job_of(superuser, tenant))["attempts"] == 1
    await change(superuser, tenant, "UPDATE cell.jobs SET run_at = now()")
    await runner.run(hint)
    assert (await tenant("GET", f"/v1/{begun.json['name']}")).json["state"] == "SUCCEEDED"


@pytest.mark.parametrize("how", ["by failing", "by killing its worker"])
async def test_a_job_that_never_succeeds_is_given_up(
    tenant: Client, superuser: "asyncpg.Connection[asyncpg.Record]", runner: Runner, how: str
) -> None:
    """The operation tells why, the namespace is FAILED, and can be deleted."""
    begun = await provision(tenant)
    hint = Hint(tenant.tenant_id, (await job_of(superuser, tenant))["job_id"], tenant.epoch)
    if how == "by failing":
        await change(superuser, tenant, f"UPDATE cell.jobs SET attempts = {MOST_ATTEMPTS - 1}")  # noqa: S608 a number
        await superuser.execute("UPDATE cell.shards SET capacity = 0")
    else:
        gone = "state = 'running', lease_token = gen_random_uuid(), lease_until = now() - interval '1 second'"
        await change(superuser, tenant, f"UPDATE cell.jobs SET attempts = {MOST_ATTEMPTS}, {gone}")  # noqa: S608 ours
    await runner.run(hint)
    await superuser.execute("UPDATE cell.shards SET capacity = 100000")
    operation: Any = (await tenant("GET", f"/v1/{begun.json['name']}")).json
    assert operation["state"] == "FAILED"
    assert operation["error"]["code"] in ("UNAVAILABLE", "INTERNAL")
    assert (await tenant("GET", "/v1/accounts/acme/namespaces/prod")).json["state"] == "FAILED"
    assert (await job_of(superuser, tenant))["state"] == "dead"
    assert (await tenant("DELETE", "/v1/accounts/acme/namespaces/prod")).status == 202


async def test_shards_fill_evenly(
    tenant: Client, superuser: "asyncpg.Connection[asyncpg.Record]", runner: Runner
) -> None:
    """Each namespace goes to the least occupied shard."""
    counts = "SELECT shard_id, occupancy FROM cell.shards"
    for i in range(6):
        before = dict(await superuser.fetch(counts))
        await provision(tenant, f"n{i}")
        job_id = await superuser.fetchval(
            "SELECT job_id FROM cell.jobs WHERE tenant_id = $1 AND state = 'waiting'", tenant.tenant_id
        )
        await runner.run(Hint(tenant.tenant_id, job_id, tenant.epoch))
        after = dict(await superuser.fetch(counts))
        filled = [shard for shard in after if after[shard] != before[shard]]
        assert len(filled) == 1
        assert before[filled[0]] == min(before.values())
    assert await occupancy_is_true(superuser)


async def test_a_redis_that_evicts_is_reported(own_redis: RedisServer) -> None:
    """Hints thrown away silently would only be found by the sweep: the operator must know."""
    broker = open_broker(own_redis.url, 15)
    with redis.Redis.from_url(own_redis.url) as client:
        assert await check_redis(broker) is None
        client.config_set("maxmemory-policy", "allkeys-lru")
        finding = await check_redis(broker)
        client.config_set("maxmemory-policy", "noeviction")
    broker.client.close()
    assert finding is not None
    assert "noeviction" in finding
