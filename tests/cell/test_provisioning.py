"""Namespaces come and go by orchestrations: whatever dies, each is carried out exactly once, or undone."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest
import redis

from cell.app.api import assemble_api
from cell.database import COMMAND_SECONDS
from cell.orchestrator.runner import Runner
from cell.work.hints import check_redis, open_broker
from cell.workflows.all import workflows
from runtime.database import open_pool
from runtime.embedded.postgres import PostgresServer
from runtime.embedded.redis import RedisServer
from tests.cell.cells import Answer, Client, RunningCell, new_cell_database, settings_for, worker_of
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
    """Carries orchestrations out without Redis."""
    pool = await open_pool(own.settings.app_dsn, name="test", size=8, command_seconds=COMMAND_SECONDS)
    yield Runner(pool, workflows(own.settings, pool), 2.0)
    await pool.close()


async def carried_out(runner: Runner, tenant: Client, operation: Answer) -> float | None:
    """All that can be done now; in how many seconds there is more."""
    return await runner.run(tenant.tenant_id, operation.json["name"].removeprefix("operations/"), tenant.epoch)


async def change(connection: "asyncpg.Connection[asyncpg.Record]", tenant: Client, statement: str) -> None:
    """Change the tenant's rows, under its fence like everybody."""
    async with connection.transaction():
        await connection.execute("SET LOCAL ROLE cell_app")  # a superuser would change everybody's
        await connection.execute("SELECT cellway.enter($1, $2)", tenant.tenant_id, tenant.epoch)
        await connection.execute(statement)


async def time_passes(superuser: "asyncpg.Connection[asyncpg.Record]", tenant: Client) -> None:
    """All that the tenant's orchestrations wait for is over."""
    for table in ("orchestrations", "orchestration_steps"):
        past = f"UPDATE cell.{table} SET wake_at = now() - interval '1 s' WHERE wake_at IS NOT NULL"  # noqa: S608
        await change(superuser, tenant, past)


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
            return bool(
                await observer.fetchval(
                    "SELECT count(*) FROM cell.orchestrations WHERE leased AND tenant_id = $1", tenant.tenant_id
                )
            )

        await eventually(at_work)
        worker.kill()
        await blocking.commit()
        await observer.close()
    async with running("cell.worker", own.settings, log):
        done = await ended(tenant, begun)
    assert done.json["state"] == "SUCCEEDED", log.read_text()
    assert await occupancy_is_true(superuser)


async def test_work_is_done_although_redis_lost_all_hints(
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


async def test_requests_and_work_survive_a_redis_that_is_away(
    own: RunningCell, own_redis: RedisServer, tenant: Client
) -> None:
    """Requests are accepted at once while Redis is dead; the work is done when it is back."""
    async with worker_of(own.settings):
        assert own_redis.child is not None
        own_redis.child.signal(signal.SIGKILL)
        await asyncio.to_thread(own_redis.child.wait, 10)
        begun = await asyncio.wait_for(provision(tenant), 30)
        await asyncio.to_thread(own_redis.start)
        done = await ended(tenant, begun)
    assert done.json["state"] == "SUCCEEDED"


async def test_an_orchestration_that_is_hinted_many_times_runs_once(
    tenant: Client, superuser: "asyncpg.Connection[asyncpg.Record]", runner: Runner
) -> None:
    """Hints may double: the row decides."""
    begun = await provision(tenant)
    await asyncio.gather(*(carried_out(runner, tenant, begun) for _ in range(12)))
    attempts = await superuser.fetch(
        "SELECT step, attempts FROM cell.orchestration_steps WHERE tenant_id = $1", tenant.tenant_id
    )
    assert {row["attempts"] for row in attempts} == {1}
    assert (await tenant("GET", "/v1/accounts/acme/namespaces/prod")).json["state"] == "ACTIVE"


async def test_what_was_taken_for_a_namespace_goes_back_with_it(
    tenant: Client, superuser: "asyncpg.Connection[asyncpg.Record]", runner: Runner
) -> None:
    """Search attributes for whoever needs some next; an encryption key is nobody's ever after."""
    taken = "SELECT kind, resource_id FROM cell.taken_resources WHERE tenant_id = $1"
    await carried_out(runner, tenant, await provision(tenant))
    had = dict(await superuser.fetch(taken, tenant.tenant_id))
    settings = (await tenant("GET", "/v1/accounts/acme/namespaces/prod")).json["settings"]
    assert {kind: settings[kind] for kind in had} == had
    await carried_out(runner, tenant, await tenant("DELETE", "/v1/accounts/acme/namespaces/prod"))
    assert await superuser.fetch(taken, tenant.tenant_id) == []
    pool = await superuser.fetch("SELECT resource_id FROM cell.prepared_resources")
    assert {had["search_attributes"]} == {row["resource_id"] for row in pool} & set(had.values())


async def test_a_namespace_that_finds_no_room_waits_for_it(
    tenant: Client, superuser: "asyncpg.Connection[asyncpg.Record]", runner: Runner
) -> None:
    """The delay lies in Postgres; a hint that comes too early does nothing."""
    begun = await provision(tenant)
    await superuser.execute("UPDATE cell.shards SET capacity = 0")
    wait_seconds = await carried_out(runner, tenant, begun)
    await superuser.execute("UPDATE cell.shards SET capacity = 100000")
    assert wait_seconds is not None
    assert await carried_out(runner, tenant, begun) is None
    seen = (await tenant("GET", f"/v1/{begun.json['name']}")).json
    assert (seen["state"], seen["progress"]["step"], seen["progress"]["steps_done"]) == ("RUNNING", "allocate", 3)
    await time_passes(superuser, tenant)
    await carried_out(runner, tenant, begun)
    assert (await tenant("GET", f"/v1/{begun.json['name']}")).json["state"] == "SUCCEEDED"


async def test_a_namespace_that_never_finds_room_leaves_nothing_behind(
    tenant: Client, superuser: "asyncpg.Connection[asyncpg.Record]", runner: Runner
) -> None:
    """The operation tells why, and its name can be taken again."""
    begun = await provision(tenant)
    await superuser.execute("UPDATE cell.shards SET capacity = 0")
    while await carried_out(runner, tenant, begun) is not None:
        await time_passes(superuser, tenant)
    await superuser.execute("UPDATE cell.shards SET capacity = 100000")
    operation: Any = (await tenant("GET", f"/v1/{begun.json['name']}")).json
    assert (operation["state"], operation["error"]["code"]) == ("FAILED", "UNAVAILABLE")
    assert (await tenant("GET", "/v1/accounts/acme/namespaces/prod")).status == 404
    await provision(tenant)
    assert await occupancy_is_true(superuser)


async def test_an_operation_cancelled_while_running_is_undone(
    tenant: Client, superuser: "asyncpg.Connection[asyncpg.Record]", runner: Runner
) -> None:
    """What was given is taken back."""
    begun = await provision(tenant)
    await superuser.execute("UPDATE cell.shards SET capacity = 0")
    await carried_out(runner, tenant, begun)
    await superuser.execute("UPDATE cell.shards SET capacity = 100000")
    asked = await tenant("POST", f"/v1/{begun.json['name']}:cancel")
    assert (asked.json["state"], asked.json["cancel_requested"]) == ("RUNNING", True)
    await carried_out(runner, tenant, begun)
    operation: Any = (await tenant("GET", f"/v1/{begun.json['name']}")).json
    assert (operation["state"], operation["error"]) == ("CANCELLED", None)
    assert (await tenant("GET", "/v1/accounts/acme/namespaces/prod")).status == 404
    assert await occupancy_is_true(superuser)


async def test_a_namespace_that_cannot_be_released_stays_and_can_be_released_again(
    tenant: Client, superuser: "asyncpg.Connection[asyncpg.Record]", runner: Runner
) -> None:
    """FAILED, not half gone; a release cannot be cancelled."""
    await carried_out(runner, tenant, await provision(tenant))
    released = await tenant("DELETE", "/v1/accounts/acme/namespaces/prod")
    assert (await tenant("POST", f"/v1/{released.json['name']}:cancel")).problem[0] == 409
    await superuser.execute(
        "CREATE FUNCTION cell.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$; "
        "CREATE TRIGGER refuse BEFORE DELETE ON cell.namespaces FOR EACH ROW EXECUTE FUNCTION cell.refuse()"
    )
    while await carried_out(runner, tenant, released) is not None:
        await time_passes(superuser, tenant)
    await superuser.execute("DROP FUNCTION cell.refuse() CASCADE")
    assert (await tenant("GET", f"/v1/{released.json['name']}")).json["state"] == "FAILED"
    assert (await tenant("GET", "/v1/accounts/acme/namespaces/prod")).json["state"] == "FAILED"
    await carried_out(runner, tenant, await tenant("DELETE", "/v1/accounts/acme/namespaces/prod"))
    assert (await tenant("GET", "/v1/accounts/acme/namespaces/prod")).status == 404


async def test_what_programs_of_before_began_is_carried_on(
    own: RunningCell, tenant: Client, superuser: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    """Their jobs of several steps, however far they were, become orchestrations."""
    async with worker_of(own.settings):
        await ended(tenant, await provision(tenant, "first"))
        place = json.dumps({"account_id": "acme", "namespace_id": "old"})
        await change(
            superuser,
            tenant,
            "INSERT INTO cell.namespaces (account_id, namespace_id, display_name, state) "  # noqa: S608 texts of ours
            "VALUES ('acme', 'old', 'x', 'PROVISIONING');"
            "INSERT INTO cell.allocations (account_id, namespace_id, shard_id) VALUES ('acme', 'old', 'shard-1');"
            f"INSERT INTO cell.jobs (job_id, actor, args) VALUES ('j', 'provision_namespace', '{place}')",
        )

        async def active() -> bool:
            answer = await tenant("GET", "/v1/accounts/acme/namespaces/old")
            return bool(answer.json["state"] == "ACTIVE")

        await eventually(active)
    assert await occupancy_is_true(superuser)


async def test_shards_fill_evenly(
    tenant: Client, superuser: "asyncpg.Connection[asyncpg.Record]", runner: Runner
) -> None:
    """Each namespace goes to the least occupied shard."""
    counts = "SELECT shard_id, occupancy FROM cell.shards"
    for i in range(6):
        before = dict(await superuser.fetch(counts))
        await carried_out(runner, tenant, await provision(tenant, f"n{i}"))
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
