"""`python -m router` as an operator runs it: real processes, a real Redis, signals."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from directory.redis_feed import RedisFeed
from directory.values import Change, TenantEntry
from router.settings import RouterSettings
from runtime.embedded.ports import free_port
from runtime.embedded.redis import RedisServer
from runtime.errors import SettingsError
from tests.router.upstreams import IDENTITY, KEY, OK, FakeCell, Seen, snapshot_of
from tests.waiting import START_SECONDS, eventually

HEADERS = {"Authorization": f"Bearer {KEY}"}


@contextlib.asynccontextmanager
async def program(redis_url: str, root: Path, *arguments: str, **settings: object) -> AsyncIterator[Process]:
    """The router's process; ended at last."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("CELLWAY_")}
    own = {"directory_redis_url": redis_url, "log_format": "json", **settings}
    environment |= {f"CELLWAY_ROUTER_{key.upper()}": str(value) for key, value in own.items()}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "router", *arguments, cwd=root, env=environment, stderr=PIPE
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.communicate()


@contextlib.asynccontextmanager
async def filled(url: str, cell: FakeCell) -> AsyncIterator[RedisFeed]:
    feed = RedisFeed(url)
    await feed.fill(snapshot_of({"cell-1": cell.address}, {"acme": ("cell-1", 5)}))
    yield feed
    await feed.close()


async def asked(port: int, path: str = "/t/acme/x", **options: Any) -> httpx.Response:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=10.0) as client:
        return await client.get(path, headers=HEADERS, **options)


async def ready(admin_port: int) -> bool:
    try:
        return (await asked(admin_port, "/health/ready")).status_code == 200
    except httpx.TransportError:
        return False


async def test_a_router_restarts_and_serves_with_its_redis_dead(
    tmp_path: Path, cell: FakeCell, project_root: Path
) -> None:
    """kill -9 of the router, and no Redis any more: the table on disk is enough."""
    port, admin = free_port(), free_port()
    options = {"port": port, "admin_port": admin, "snapshot_path": tmp_path / "snapshot"}
    with RedisServer(tmp_path / "redis", "secret-word") as server:
        url = server.url
        async with filled(url, cell), program(url, project_root, **options) as process:
            await eventually(lambda: ready(admin), seconds=START_SECONDS)
            await eventually((tmp_path / "snapshot").exists)
            assert (await asked(port)).text == "ok"
            process.kill()
            await process.wait()
    async with program(url, project_root, **options) as process:
        await eventually(lambda: ready(admin), seconds=START_SECONDS)
        assert (await asked(port)).text == "ok"
        table = (await asked(admin, "/table")).json()
        assert (table["source"], table["tenants"]) == ("disk", 1)
        checks = {each["name"]: each for each in (await asked(admin, "/health/ready")).json()["checks"]}
        assert (checks["directory"]["ok"], checks["table"]["ok"]) == (False, True)


async def test_several_processes_share_the_port_and_are_replaced(
    redis_url: str, cell: FakeCell, project_root: Path
) -> None:
    """One that is killed is started again; all of them go when the parent is told to."""
    port, admin = free_port(), free_port()
    options = {"port": port, "admin_port": admin}
    async with filled(redis_url, cell), program(redis_url, project_root, "--processes", "2", **options) as parent:
        await eventually(lambda: ready(admin), seconds=START_SECONDS)
        children = psutil.Process(parent.pid).children()
        assert len(children) == 2
        children[0].kill()
        await eventually(
            lambda: {each.pid for each in psutil.Process(parent.pid).children()} - {*_pids(children)},
            seconds=START_SECONDS,
        )
        await eventually(lambda: ready(admin), seconds=START_SECONDS)
        for _ in range(20):
            assert (await asked(port)).text == "ok"
        left = psutil.Process(parent.pid).children()
        parent.terminate()
        assert await asyncio.wait_for(parent.wait(), 10) == 0
        assert not [each for each in left if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]


async def test_no_process_outlives_a_parent_that_was_killed(
    redis_url: str, cell: FakeCell, project_root: Path
) -> None:
    """They would hold the ports that the next start needs."""
    port, admin = free_port(), free_port()
    options = {"port": port, "admin_port": admin}
    async with filled(redis_url, cell), program(redis_url, project_root, "--processes", "2", **options) as parent:
        await eventually(lambda: ready(admin), seconds=START_SECONDS)
        children = psutil.Process(parent.pid).children()
        assert len(children) == 2
        parent.kill()
        await parent.wait()
        await eventually(lambda: not any(each.is_running() for each in children))


def _pids(processes: list[psutil.Process]) -> list[int]:
    return [process.pid for process in processes]


async def test_sigterm_lets_requests_finish(redis_url: str, cell: FakeCell, project_root: Path) -> None:
    """What was accepted is answered; then the process ends, without being asked twice."""
    port, admin = free_port(), free_port()
    held = asyncio.Event()

    async def script(_seen: Seen, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await held.wait()
        writer.write(OK)

    cell.script = script
    options = {"port": port, "admin_port": admin}
    async with filled(redis_url, cell), program(redis_url, project_root, **options) as process:
        await eventually(lambda: ready(admin), seconds=START_SECONDS)
        waiting = asyncio.ensure_future(asked(port))
        await eventually(lambda: cell.seen)
        process.send_signal(signal.SIGTERM)

        async def refuses() -> bool:
            try:
                await asked(port)
            except httpx.ConnectError:
                return True
            return False

        await eventually(refuses)
        held.set()
        answer = await waiting
        assert (answer.status_code, answer.text, answer.headers["connection"]) == (200, "ok", "close")
        assert await asyncio.wait_for(process.wait(), 10) == 0


async def test_an_operator_can_ask_where_a_tenant_lives(
    redis_url: str, cell: FakeCell, project_root: Path
) -> None:
    """And what the router thinks of its cells, its table and its settings; no secret among them."""
    port, admin = free_port(), free_port()
    options = {"port": port, "admin_port": admin}
    async with filled(redis_url, cell) as feed, program(redis_url, project_root, **options):
        await eventually(lambda: ready(admin), seconds=START_SECONDS)
        await feed.publish(IDENTITY, [Change(11, TenantEntry("acme", "cell-1", 9))])
        await eventually(lambda: _epoch(admin, 9))
        found = (await asked(admin, "/table/acme")).json()
        assert (found["cell"], found["address"], found["why"]) == ("cell-1", cell.address, "it is in the table")
        unknown = await asked(admin, "/table/nobody")
        assert (unknown.status_code, unknown.json()["cell"]) == (404, None)
        assert (await asked(port)).status_code == 200
        [seen] = (await asked(admin, "/cells")).json()["cells"]
        assert (seen["cell"], seen["state"]) == ("cell-1", "answers")
        metrics = (await asked(admin, "/metrics")).text
        assert 'cellway_router_requests_total{cell="cell-1",status="2xx"} 1.0' in metrics
        assert "acme" not in metrics
        assert json.loads((await asked(admin, "/settings")).text)["directory_redis_url"].startswith("***")


async def _epoch(admin: int, expected: int) -> bool:
    found: dict[str, Any] = (await asked(admin, "/table/acme")).json()
    return bool(found["epoch"] == expected)


async def test_a_wrong_setting_is_one_sentence(project_root: Path) -> None:
    """And an exit code of its own."""
    async with program("redis://127.0.0.1:1/0", project_root, misspelt="1") as process:
        _, said = await process.communicate()
    assert process.returncode == 2
    assert "MISSPELT" in said.decode()
    assert "Traceback" not in said.decode()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("IDENTIFY", "host,nonsense"),
        ("IDENTIFY", ""),
        ("TRUSTED_PROXIES", "10.0.0.300/8"),
        ("TENANT_HEADER", "X Tenant"),
        ("DOMAINS", "api..localhost"),
        ("PROBE_SECONDS", "5"),
        ("CELL_CONNECTIONS", "0"),
        ("VANISHING_SHARE", "2"),
    ],
)
def test_settings_that_make_no_sense_are_refused_by_name(name: str, value: str) -> None:
    """Before anything starts."""
    environment = {"CELLWAY_ROUTER_DIRECTORY_REDIS_URL": "redis://h/0", f"CELLWAY_ROUTER_{name}": value}
    with pytest.raises(SettingsError, match=name):
        RouterSettings.load(environment)
