"""The admin port: metrics, health, settings, the log level."""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Iterator
from typing import ClassVar

import aiohttp
import pytest
import structlog

from runtime import admin, logs
from runtime.errors import StartFailed
from runtime.health import Health, Unhealthy
from runtime.settings import SecretStr, Settings
from runtime.site import Site


class Example(Settings):
    """Settings of a program that does not exist."""

    env_prefix: ClassVar[str] = "CELLWAY_EXAMPLE_"
    key: SecretStr = SecretStr("hush")


@pytest.fixture
def health() -> Health:
    """No checks yet."""
    return Health(deadline_seconds=0.05)


@pytest.fixture
async def page(health: Health) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of a served admin application."""
    site = Site("admin", admin.application(health, Example()), "127.0.0.1", 0)
    await site.start()
    async with aiohttp.ClientSession(site.url) as client:
        yield client
    await site.stop()


async def test_a_process_is_ready_when_its_required_checks_pass(
    health: Health, page: aiohttp.ClientSession
) -> None:
    """A check that is not required is shown and takes nothing out of service."""

    async def fine() -> str:
        return "3 of 3"

    async def away() -> None:
        raise Unhealthy("gone since noon")

    health.add("database", fine)
    health.add("cache", away, required=False)
    async with page.get("/health/ready") as response:
        body = await response.json()
    assert response.status == 200
    assert body["checks"][1] == {"name": "cache", "ok": False, "required": False, "detail": "gone since noon"}
    health.add("queue", away)
    async with page.get("/health/ready") as response:
        assert (response.status, (await response.json())["ready"]) == (503, False)


async def test_a_check_that_hangs_or_breaks_fails_without_telling_secrets(
    health: Health, page: aiohttp.ClientSession
) -> None:
    """Messages of drivers may hold addresses with passwords, so only the kind of error is shown."""

    async def broken() -> None:
        raise ValueError("postgresql://me:hunter2@host")

    async def hanging() -> None:
        await asyncio.Event().wait()

    health.add("broken", broken)
    health.add("hanging", hanging)
    async with page.get("/health/ready") as response:
        details = [check["detail"] for check in (await response.json())["checks"]]
    assert details == ["ValueError", "no answer in 0.05 s", None]


async def test_a_draining_process_lives_but_is_not_ready(health: Health, page: aiohttp.ClientSession) -> None:
    """Restarting it would be wrong; sending it traffic as well."""
    health.draining = True
    async with page.get("/health/live") as live, page.get("/health/ready") as ready:
        assert (live.status, ready.status) == (200, 503)


async def test_settings_are_shown_without_secrets(page: aiohttp.ClientSession) -> None:
    """The page is for operators, and screens are shared."""
    async with page.get("/settings") as response:
        assert (await response.json())["key"] == "**********"


async def test_metrics_are_in_the_format_of_prometheus(page: aiohttp.ClientSession) -> None:
    """Text exposition format."""
    async with page.get("/metrics") as response:
        assert "python_info" in await response.text()


async def test_checks_are_metrics_too(health: Health, page: aiohttp.ClientSession) -> None:
    """A store that is away is told before somebody asks; what is no check any more is not there."""

    async def fine() -> None:
        return None

    async def away() -> None:
        raise Unhealthy("gone since noon")

    health.add("database", fine)
    health.add("cache", away, required=False)
    async with page.get("/metrics") as response:
        text = await response.text()
    assert 'cellway_check_ok{check="database",required="yes"} 1.0' in text
    assert 'cellway_check_ok{check="cache",required="no"} 0.0' in text
    assert 'cellway_check_ok{check="draining",required="yes"} 1.0' in text
    assert text.count("cellway_check_ok{") == 3


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What the process logs, with the logs' set-up put back afterwards."""
    stream, before = io.StringIO(), structlog.get_config()
    yield stream
    structlog.configure(**before)
    structlog.contextvars.clear_contextvars()


async def test_the_log_level_can_be_switched_while_running(
    page: aiohttp.ClientSession, lines: io.StringIO
) -> None:
    """Looking closer must not need a restart, which would end what one wants to look at."""
    logs.configure("example", "info", "json", lines)
    log = logs.get("test")
    with logs.bound(tenant="acme", epoch=7):
        log.debug("unseen")
        async with page.put("/log-level/debug") as response:
            assert response.status == 200
        log.debug("seen", rows=3)
    async with page.put("/log-level/loud") as response:
        assert response.status == 400
    found = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert [line["event"] for line in found] == ["seen"]
    assert found[0] | {"timestamp": ""} == {
        "event": "seen",
        "rows": 3,
        "tenant": "acme",
        "epoch": 7,
        "program": "example",
        "source": "test",
        "level": "debug",
        "timestamp": "",
    }


async def test_a_taken_port_is_one_clear_sentence() -> None:
    """It names the port and the setting to change."""
    first = Site("first", admin.application(Health(), Example()), "127.0.0.1", 0)
    await first.start()
    second = Site("second", admin.application(Health(), Example()), "127.0.0.1", first.port, setting="ADMIN_PORT")
    with pytest.raises(StartFailed, match=rf"port {first.port} on 127.0.0.1 is taken.*ADMIN_PORT"):
        await second.start()
    await second.stop()
    await first.stop()
