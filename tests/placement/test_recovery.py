"""Whoever dies at whatever line: what was recorded is carried out, once."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import asyncpg
import pytest

from directory.audit import DONE
from directory.control.client import CellControl
from directory.errors import Unavailable
from directory.postgres import PostgresDirectory
from directory.postgres_audit import PostgresAudit
from directory.redis_feed import RedisFeed
from directory.values import NewTenant, Tenant, TenantEntry
from placement.app import assemble
from placement.carrying import Carrier
from placement.reach import Reach
from placement.reconciler import Reconciler
from placement.settings import PlacementSettings
from runtime import database
from runtime.backoff import Backoff
from runtime.embedded.ports import free_port
from runtime.embedded.redis import RedisServer
from tests.placement.conftest import TOKEN, Client, StartCell, StartPlacement, environment
from tests.placement.fake_cell import CONTROL_KEY, FakeCell
from tests.servers import ControlDatabase
from tests.waiting import START_SECONDS, eventually


@pytest.fixture
async def truth(control_database: ControlDatabase) -> AsyncIterator[PostgresDirectory]:
    """The directory as placement sees it."""
    pool = await database.open_pool(control_database.writer_dsn, name="test")
    yield PostgresDirectory(pool)
    await pool.close()


async def _settled(truth: PostgresDirectory, tenant_id: str) -> Tenant:
    async def settled() -> Tenant | None:
        tenant = await truth.tenant(tenant_id)
        return tenant if tenant.settled else None

    return await eventually(settled)


async def test_a_placement_that_died_after_recording_is_finished_by_another(
    truth: PostgresDirectory, start_cell: StartCell, start_placement: StartPlacement
) -> None:
    """Exactly what a `kill -9` between the record and the call to the cell leaves behind."""
    made = await start_cell()
    await truth.register_cell(made.new())
    await truth.change_cell("cell-1", "open")
    await truth.create_tenant(NewTenant("acme", "Acme"), "cell-1")
    await start_placement()
    tenant = await _settled(truth, "acme")
    assert tenant.assignment is not None
    assert made.fences["acme"].epoch == tenant.assignment.epoch
    assert "acme" not in made.keys


async def test_each_decision_that_was_only_recorded_is_finished(
    truth: PostgresDirectory, placement: Client, cell: FakeCell
) -> None:
    """Suspend, then delete: the cell hears of the last one, and the place is given back."""
    await placement.create("acme")
    await truth.change_tenant("acme", "suspend")
    await _settled(truth, "acme")
    assert cell.tenants["acme"].state == "suspended"
    await truth.change_tenant("acme", "delete")
    gone = await _settled(truth, "acme")
    assert gone.assignment is None
    assert (await truth.cell("cell-1")).tenants == 0


@pytest.mark.parametrize("mode", ["failing", "hanging"])
async def test_a_cell_that_is_away_gets_its_tenant_later_and_the_client_its_key(
    placement: Client, cell: FakeCell, truth: PostgresDirectory, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503 now; the reconciler opens it; the same Idempotency-Key then gets the one first key."""
    monkeypatch.setattr("placement.carrying.CARRY_SECONDS", 0.2)
    cell.mode = mode  # type: ignore[assignment]
    answer = await placement.create("acme", key="intent")
    assert (answer.status, answer.body["retryable"]) == (503, True)
    assert answer.headers["Retry-After"]
    assert not (await truth.tenant("acme")).settled
    cell.mode = "well"
    await _settled(truth, "acme")
    keys = [(await placement.create("acme", key="intent")).body["api_key"] for _ in range(2)]
    assert keys[0] == keys[1]
    assert len(cell.keys["acme"]) == 1


async def test_a_suspension_that_the_cell_did_not_hear_is_recorded_and_carried_out(
    placement: Client, cell: FakeCell, truth: PostgresDirectory
) -> None:
    """The client is told so; asking again waits for the same decision."""
    await placement.create("acme")
    cell.mode = "failing"
    answer = await placement("POST", "/v1/tenants/acme:suspend")
    assert answer.status == 503
    assert "recorded as suspended" in answer.body["message"]
    cell.mode = "well"
    again = await placement("POST", "/v1/tenants/acme:suspend")
    assert (again.status, again.body["settled"]) == (200, True)
    assert (await truth.tenant("acme")).revision == cell.tenants["acme"].revision


async def test_a_client_that_goes_away_leaves_nothing_half_done(
    placement: Client, cell: FakeCell, truth: PostgresDirectory
) -> None:
    """Its request ends at whatever line it was; the decision was recorded before."""
    cell.mode = "hanging"
    cell.called.clear()
    request = asyncio.ensure_future(placement.create("acme", key="intent"))
    await cell.called.wait()
    await eventually(lambda: _known(truth, "acme"))
    request.cancel()
    cell.mode = "well"
    await _settled(truth, "acme")
    assert (await placement.create("acme", key="intent")).status == 201


async def _known(truth: PostgresDirectory, tenant_id: str) -> bool:
    return any(tenant.tenant_id == tenant_id for tenant in await truth.tenants())


async def test_a_silent_cell_does_not_hold_up_the_others(truth: PostgresDirectory, start_cell: StartCell) -> None:
    """It is left alone with all its tenants after the first failure; it is asked again later."""
    dead, well = await start_cell("cell-1"), await start_cell("cell-2")
    for made in (dead, well):
        await truth.register_cell(made.new())
        await truth.change_cell(made.cell_id, "open")
    for number in range(5):
        await truth.create_tenant(NewTenant(f"dead-{number}", "Dead"), "cell-1")
    await truth.create_tenant(NewTenant("living", "Living"), "cell-2")
    dead.mode = "failing"
    control = CellControl(CONTROL_KEY)
    never_again = Backoff(initial_seconds=1000.0, cap_seconds=1000.0, floor_seconds=1000.0)
    reconciler = Reconciler(truth, Carrier(truth, control, Reach()), backoff=never_again)
    assert await reconciler.round() == 6
    assert [tenant.tenant_id for tenant in await truth.unsettled()] == [f"dead-{n}" for n in range(5)]
    dead.mode = "well"
    assert await reconciler.round() == 5
    assert dead.told == 0
    reconciler = Reconciler(truth, Carrier(truth, control, Reach()))
    await reconciler.round()
    assert await truth.unsettled() == []
    await control.close()


async def test_two_reconcilers_and_a_request_have_one_effect(
    truth: PostgresDirectory, start_cell: StartCell
) -> None:
    """Messengers may be many; the cell acts once a revision."""
    made = await start_cell()
    await truth.register_cell(made.new())
    await truth.change_cell("cell-1", "open")
    tenant = await truth.create_tenant(NewTenant("acme", "Acme"), "cell-1")
    control = CellControl(CONTROL_KEY)
    carriers = [Carrier(truth, control, Reach()) for _ in range(3)]
    await asyncio.gather(*(carrier.carry_out(tenant) for carrier in carriers for _ in range(4)))
    assert made.told == 1
    await truth.change_tenant("acme", "suspend")
    carried = await carriers[0].carry_out(tenant)
    assert (carried.tenant.state, made.tenants["acme"].state) == ("suspended", "suspended")
    await control.close()


async def test_kill_9_of_the_whole_process_loses_nothing(
    truth: PostgresDirectory,
    start_cell: StartCell,
    control_database: ControlDatabase,
    redis_url: str,
    project_root: Path,
) -> None:
    """A real process, killed while it waits for the cell; the next one finishes and hands out the key."""
    made = await start_cell()
    await truth.register_cell(made.new())
    await truth.change_cell("cell-1", "open")
    made.mode = "hanging"
    port = free_port()
    told = {**os.environ, **environment(control_database, redis_url), "CELLWAY_PLACEMENT_PORT": str(port)}

    processes: list[asyncio.subprocess.Process] = []

    async def started() -> asyncio.subprocess.Process:
        processes.append(
            await asyncio.create_subprocess_exec(
                sys.executable, "-m", "placement", env=told, cwd=project_root, stderr=asyncio.subprocess.DEVNULL
            )
        )
        return processes[-1]

    body = b'{"tenant_id": "acme", "display_name": "Acme"}'
    head = (
        f"POST /v1/tenants HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nIdempotency-Key: intent\r\n"
        f"Connection: close\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )

    async def asked() -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return None
        writer.write(head.encode() + body)
        return reader, writer

    try:
        process = await started()
        _, first = await eventually(asked, seconds=START_SECONDS)
        await eventually(lambda: _known(truth, "acme"))
        process.send_signal(signal.SIGKILL)
        await process.wait()
        first.close()
        made.mode = "well"
        process = await started()
        await _settled(truth, "acme")
        reader, second = await eventually(asked, seconds=START_SECONDS)
        answer = await asyncio.wait_for(reader.read(), 10)
        second.close()
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 10) == 0
        assert answer.startswith(b"HTTP/1.1 201")
        assert b"ck_acme_" in answer
        assert len(made.keys["acme"]) == 1
        pool = await database.open_pool(control_database.writer_dsn, name="test", size=1)
        decisions = await PostgresAudit(pool).entries(action="createTenant")
        await pool.close()
        # What was begun by the one that was killed is in the log, and that nothing is known of its end.
        assert [each.outcome for each in decisions] == [DONE, None]
    finally:
        for left in processes:
            if left.returncode is None:
                left.kill()
                await left.wait()


async def test_placement_starts_before_its_databases(
    postgres_server: object,
    control_database: ControlDatabase,
    start_placement: StartPlacement,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It says that it is not ready, answers 503, and goes on by itself once they are there."""
    connect = asyncpg.connect

    async def away(*_args: object, **_options: object) -> None:
        raise ConnectionRefusedError

    monkeypatch.setattr("placement.readiness.FIRST_TRY_SECONDS", 0.1)
    monkeypatch.setattr(asyncpg, "connect", away)
    client = await start_placement()
    answer = await client("GET", "/v1/tenants")
    assert (answer.status, answer.body["code"]) == (503, "UNAVAILABLE")
    ready = await client("GET", f"{client.admin_url}/health/ready")
    assert ready.status == 503
    monkeypatch.setattr(asyncpg, "connect", connect)

    async def usable() -> bool:
        return (await client("GET", "/v1/tenants")).status == 200

    await eventually(usable)


async def test_a_tenant_that_its_cell_never_heard_of_is_deleted_for_good(
    truth: PostgresDirectory, start_cell: StartCell
) -> None:
    """Its fence is closed all the same, so that a late messenger of its creation is refused."""
    made = await start_cell()
    await truth.register_cell(made.new())
    await truth.change_cell("cell-1", "open")
    created = await truth.create_tenant(NewTenant("acme", "Acme"), "cell-1")
    await truth.change_tenant("acme", "suspend")
    deleted = await truth.change_tenant("acme", "delete")
    control = CellControl(CONTROL_KEY)
    carrier = Carrier(truth, control, Reach())
    await carrier.carry_out(deleted)
    assert made.fences["acme"].state == "moved"
    late = await carrier.carry_out(created)
    assert (late.tenant.state, made.fences["acme"].state) == ("deleted", "moved")
    await control.close()


async def test_placement_goes_on_without_redis_and_fills_it_when_it_comes(
    control_database: ControlDatabase, start_cell: StartCell, tmp_path: Path
) -> None:
    """Routers hear of the tenants that were placed meanwhile as soon as there is a cache again."""
    server = RedisServer(tmp_path / "redis", "password-of-the-tests", port=free_port())
    with server:
        url = server.url
    program = await assemble(PlacementSettings.load(environment(control_database, url)))
    await program.lifecycle.start()
    feed = RedisFeed(url)
    async with aiohttp.ClientSession() as session:
        client = Client(session, program)
        made = await start_cell()
        assert (await client("POST", "/v1/cells", made.body())).body["state"] == "open"
        assert (await client.create("acme")).status == 201
        assert (await client("GET", f"{client.admin_url}/health/ready")).status == 200
        checks = (await client("GET", "/v1/checks")).body["checks"]
        assert {check["name"] for check in checks if not check["ok"]} >= {"changes reach the cache"}
        with server:
            entry = await eventually(lambda: _looked_up(feed, "acme"))
            assert (entry.cell_id, entry.epoch) == ("cell-1", made.fences["acme"].epoch)
            await feed.close()
            await program.lifecycle.stop()


async def _looked_up(feed: RedisFeed, tenant_id: str) -> TenantEntry | None:
    try:
        return await feed.look_up(tenant_id)
    except Unavailable:
        return None
