"""Of several placements one leads; whoever dies, stops or freezes is followed, and all of them serve."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from runtime.embedded import ports
from tests.placement.conftest import TOKEN, Client, StartPlacement, environment
from tests.servers import ControlDatabase
from tests.waiting import START_SECONDS, eventually


async def _leader(placement: Client) -> dict[str, Any] | None:
    answer = await placement("GET", "/v1/leaders")
    assert answer.status == 200, answer
    found: list[dict[str, Any]] = [leader for leader in answer.body["leaders"] if leader["leads"]]
    return found[0] if found else None


async def _detail(admin_url: str) -> str | None:
    """What the health page says of the election."""
    try:
        async with aiohttp.ClientSession() as client, client.get(f"{admin_url}/health/ready") as response:
            checks = (await response.json())["checks"]
    except (aiohttp.ClientError, OSError):
        return None
    return next((str(check["detail"]) for check in checks if check["name"] == "leader"), None)


async def test_one_of_two_placements_leads_and_is_followed_when_it_stops(start_placement: StartPlacement) -> None:
    """At once, with a greater number; the API, the health page and the metrics say so."""
    one = await start_placement()
    first = await eventually(lambda: _leader(one))
    assert first is not None
    other = await start_placement()
    assert await _detail(one.admin_url) == f"leads in term {first['term']}"
    assert str(await _detail(other.admin_url)).startswith(f"follows {first['leader']}")
    await one.program.lifecycle.stop()

    async def followed() -> dict[str, Any] | None:
        leader = await _leader(other)
        return leader if leader is not None and leader["leader"] != first["leader"] else None

    second = await eventually(followed, seconds=5)
    assert second is not None
    assert second["term"] > first["term"]
    metrics = (await other("GET", f"{other.admin_url}/metrics")).body
    assert 'cellway_placement_leads{resource="placement"} 1.0' in metrics
    assert f'cellway_placement_term{{resource="placement"}} {float(second["term"])}' in metrics


async def test_the_doctor_tells_who_leads(placement: Client) -> None:
    """And that somebody does."""

    async def found() -> bool:
        checks = (await placement("GET", "/v1/checks")).body["checks"]
        line = next(check for check in checks if check["name"] == "one placement leads")
        return bool(line["ok"]) and " in term " in line["detail"]

    await eventually(found)


Start = Callable[[], Awaitable[tuple[Process, str]]]


@pytest.fixture
async def start(control_database: ControlDatabase, redis_url: str) -> AsyncIterator[Start]:
    """Starts placements as processes of their own; tells the addresses of their admin pages."""
    started: list[Process] = []

    async def start() -> tuple[Process, str]:
        port = ports.free_port("127.0.0.1")
        told = {"CELLWAY_PLACEMENT_ADMIN_PORT": str(port), "CELLWAY_PLACEMENT_LEADER_SECONDS": "2"}
        env = {**os.environ, **environment(control_database, redis_url), **told}
        started.append(await asyncio.create_subprocess_exec(sys.executable, "-m", "placement", env=env))
        return started[-1], f"http://127.0.0.1:{port}"

    yield start
    for process in started:
        process.kill()
        await process.wait()


async def test_a_placement_that_was_frozen_for_longer_than_its_lock_follows_when_it_wakes(start: Start) -> None:
    """Another leads meanwhile; the one that woke does not lead for a moment, and serves as before."""

    async def leads(url: str) -> int | None:
        detail = await _detail(url)
        return int(detail.rpartition(" ")[2]) if detail is not None and detail.startswith("leads") else None

    one, one_url = await start()
    first = await eventually(lambda: leads(one_url), seconds=START_SECONDS)
    _, other_url = await start()
    await eventually(lambda: _detail(other_url), seconds=START_SECONDS)
    one.send_signal(signal.SIGSTOP)
    second = await eventually(lambda: leads(other_url), seconds=START_SECONDS)
    assert first is not None
    assert second is not None
    assert second > first
    one.send_signal(signal.SIGCONT)
    # Its first answer after it woke: its own clock says that its lock is over.
    assert f"began term {second}" in str(await eventually(lambda: _detail(one_url)))
    assert await leads(other_url) == second


async def test_who_leads_is_for_operators(placement: Client) -> None:
    """Without a token nothing is told."""
    assert (await placement("GET", "/v1/leaders", token=None)).status == 401
    assert (await placement("GET", "/v1/leaders", token=TOKEN)).status == 200
