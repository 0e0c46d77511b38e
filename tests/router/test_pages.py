"""What an operator is shown of a router, and may tell it."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from directory.memory_feed import MemoryFeed
from directory.values import CellEntry, Change, Rate, Snapshot, TenantEntry
from router import report
from router.app import Router
from tests.router.upstreams import (
    IDENTITY,
    OK,
    FakeCell,
    Seen,
    ask,
    connected,
    get,
    move,
    running,
    snapshot_of,
)
from tests.waiting import eventually

FAILS = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
NOT_HERE = b"HTTP/1.1 421 Misdirected Request\r\nContent-Length: 0\r\n\r\n"
EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"


async def called(router: Router, path: str, method: str = "GET") -> httpx.Response:
    async with httpx.AsyncClient(base_url=router.admin.url, trust_env=False) as client:
        return await client.request(method, path)


async def page(router: Router, path: str) -> Any:
    answer = await called(router, path)
    assert answer.status_code == 200, answer.text
    return answer.json()


def of_tenant(name: str) -> bytes:
    key = f"ck_{name}_{'k' * 43}"
    return get(key=key).replace(b"Host: acme.", f"Host: {name}.".encode())


async def test_a_tenants_page_says_where_it_lives_and_what_it_may_ask(router: Router, feed: MemoryFeed) -> None:
    """Its cell, the cell's address, its limit, and what is left of it here."""
    limited = TenantEntry("acme", "cell-1", 6, Rate(0.001, 5))
    await feed.publish(IDENTITY, [Change(11, limited)])
    await eventually(lambda: router.table.seq == 11)
    before = await page(router, "/table/acme")
    assert (before["cell"], before["epoch"], before["hold"], before["bucket"]) == ("cell-1", 6, None, None)
    assert before["rate"] == {"per_second": 0.001, "burst": 5}
    for _ in range(2):
        assert (await ask(router, get())).status == 200
    found = await page(router, "/table/acme")
    assert (found["bucket"]["burst"], found["bucket"]["remaining"]) == (5, 3)
    assert found["bucket"]["full_in_seconds"] > 1000
    assert found["address"].startswith("http://127.0.0.1:")


async def test_a_cells_page_says_how_it_bears_the_load(router: Router) -> None:
    """Its breaker, how many requests it is given at a time, second attempts, and what it answered how fast."""
    [unasked] = (await page(router, "/cells"))["cells"]
    assert (unasked["state"], unasked["evidence"]) == ("unknown", "nobody asked it yet")
    assert (await ask(router, get())).status == 200
    [cell] = (await page(router, "/cells"))["cells"]
    assert (cell["state"], cell["breaker"]["state"], cell["breaker"]["failures"]) == ("answers", "closed", 0)
    assert (cell["concurrency"]["limit"], cell["concurrency"]["under_way"]) == (256, 0)
    assert (cell["second_attempts_left"], cell["connections"], cell["waiting"]) == (10, 1, 0)
    assert cell["requests"] >= cell["by_class"]["2xx"] >= 1
    assert 0 < cell["p50_seconds"] <= cell["p99_seconds"]


async def test_a_breaker_that_is_not_closed_is_listed_and_its_cell_comes_first(cell: FakeCell) -> None:
    """Whoever has a thousand cells looks for the one."""
    feed = MemoryFeed()
    tenants = dict.fromkeys(("acme", "bolt", "crux"), ("cell-2", 5))
    await feed.fill(snapshot_of({"cell-1": "http://127.0.0.1:9", "cell-2": cell.address}, tenants))
    cell.answers = [FAILS] * 12
    async with running(feed) as router:
        await eventually(lambda: len(router.table))
        assert (await page(router, "/breakers")) == {"breakers": [], "more": 0, "closed": 0}
        for number in range(12):
            await ask(router, of_tenant(("acme", "bolt", "crux")[number % 3]))
        found = await page(router, "/breakers")
        [shown] = found["breakers"]
        assert (shown["cell"], shown["state"], shown["failures"], shown["tenants"]) == ("cell-2", "open", 10, 3)
        assert 0 < shown["retry_after_seconds"] <= 1
        assert [one["cell"] for one in (await page(router, "/cells"))["cells"]] == ["cell-2", "cell-1"]


async def test_a_held_tenant_is_listed_until_its_next_cell_answers(
    router: Router, cell: FakeCell, feed: MemoryFeed
) -> None:
    """How many of its requests wait, how many bytes of bodies, and since when."""
    cell.answers = [NOT_HERE]
    first = asyncio.ensure_future(ask(router, get()))
    await eventually(lambda: router.lane.holds.by_tenant)
    post = get(method="POST", extra="Content-Length: 3\r\n") + b"abc"
    second = asyncio.ensure_future(ask(router, post))

    async def waits() -> bool:
        shown = (await page(router, "/holds"))["holds"]
        return [(one["tenant"], one["waiting"], one["bytes"]) for one in shown] == [("acme", 1, 3)]

    await eventually(waits)
    assert (await page(router, "/table/acme"))["hold"]["since_seconds"] >= 0
    assert (await page(router, "/top"))["holds"]["holds"][0]["tenant"] == "acme"
    await move(feed, "acme", "cell-1", 6)
    assert [answer.status for answer in await asyncio.gather(first, second)] == [200, 200]
    held = await page(router, "/holds")
    assert (held["holds"], held["limits"]["requests"]) == ([], 1000)


async def test_the_document_for_the_display_has_absolute_counters(router: Router) -> None:
    """Two of them make rates, whoever else asks in between."""
    before = await page(router, "/top")
    for _ in range(3):
        assert (await ask(router, get())).status == 200
    assert (await ask(router, get(key=None))).status == 401
    after = await page(router, "/top")
    assert after["requests"] - before["requests"] == 3
    assert sum(after["latency"]["counts"]) - sum(before["latency"]["counts"]) == 3
    assert len(after["latency"]["counts"]) == len(after["latency"]["bounds_seconds"]) + 1
    assert refused(after) - refused(before) == 1
    assert after["at_seconds"] > before["at_seconds"]
    assert (after["table"]["seq"], after["table"]["tenants"], after["draining"]) == (10, 1, False)


def refused(top: Any) -> int:
    return sum(
        one["count"] for one in top["refusals"] if (one["status"], one["reason"]) == (401, "unauthenticated")
    )


async def test_open_connections_of_clients_are_counted(router: Router) -> None:
    """In the metrics and in the document alike."""
    async with connected(router), connected(router):
        await eventually(lambda: len(router.lane.clients) == 2)
        assert (await page(router, "/top"))["clients"] == 2

        async def told() -> bool:
            return "cellway_router_client_connections 2.0" in (await called(router, "/metrics")).text

        await eventually(told)


async def test_a_busy_tenant_is_shown_before_its_requests_are_counted_in(router: Router) -> None:
    """They are counted in once a second, which must not be seen in a rate."""
    assert (await ask(router, get())).status == 200
    await eventually(lambda: router.lane.busiest.top())
    assert (await ask(router, get())).status == 200
    assert (await page(router, "/top"))["busiest"] == {"tenants": [{"tenant": "acme", "requests": 2}], "more": 0}


async def test_lists_are_bounded_and_say_how_many_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many cells and held tenants there are."""
    monkeypatch.setattr(report, "MOST_IN_TOP", 3)
    feed = MemoryFeed()
    cells = {f"cell-{number}": CellEntry(f"cell-{number}", "open", "http://127.0.0.1:9") for number in range(8)}
    await feed.fill(Snapshot(IDENTITY, 10, cells, {}))
    async with running(feed) as router:
        await eventually(lambda: len(router.table.cells) == 8)
        for number in range(5):
            router.lane.holds.begin(b"tenant-%d" % number)
        top = await page(router, "/top")
        assert (len(top["cells"]["cells"]), top["cells"]["more"]) == (3, 5)
        assert (len(top["holds"]["holds"]), top["holds"]["more"]) == (3, 2)
        whole = await page(router, "/cells")
        assert (len(whole["cells"]), whole["more"]) == (8, 0)


async def test_draining_takes_a_router_out_of_service_without_hurting_anybody(
    router: Router, cell: FakeCell
) -> None:
    """Not ready, so that a balancer goes elsewhere; answers end their connections; what streams goes on."""
    release = asyncio.Event()

    async def script(seen: Seen, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if seen.target != b"/events":
            writer.write(OK)
            return
        writer.write(EVENTS + b"data: 1\n\n")
        await release.wait()
        writer.write(b"data: 2\n\n")
        writer.close()

    cell.script = script
    async with connected(router) as streaming, connected(router) as kept:
        streaming.send(get("/events"))
        await eventually(lambda: router.lane.streams)
        kept.send(get())
        assert (await kept.answer()).values(b"connection") == []
        assert (await called(router, "/draining/on", "PUT")).json() == {"draining": True}
        ready = await called(router, "/health/ready")
        assert (ready.status_code, "draining" in ready.text) == (503, True)
        kept.send(get())
        last = await kept.answer()
        assert (last.status, last.values(b"connection")) == (200, [b"close"])
        assert await kept.closed()
        refused = await ask(router, get(key=None))
        assert (refused.status, refused.values(b"connection")) == (401, [b"close"])
        assert (await called(router, "/draining/off", "PUT")).json() == {"draining": False}
        release.set()
        assert (await streaming.answer()).body == b"data: 1\n\ndata: 2\n\n"
    assert (await called(router, "/health/ready")).status_code == 200
    async with connected(router) as again:
        again.send(get())
        assert (await again.answer()).values(b"connection") == []


async def test_the_end_of_a_process_cannot_be_called_off(router: Router) -> None:
    """After SIGTERM its answers go on ending their connections, whatever an operator says."""
    await router.lane.drain()
    assert (await called(router, "/draining/off", "PUT")).status_code == 409
    assert (await called(router, "/draining")).json() == {"draining": True}
    assert (await ask(router, get())).values(b"connection") == [b"close"]


async def test_draining_is_on_or_off(router: Router) -> None:
    """Nothing else, and nothing happens."""
    assert (await called(router, "/draining/perhaps", "PUT")).status_code == 400
    assert (await called(router, "/draining")).json() == {"draining": False}


@pytest.mark.parametrize("path", ["/table", "/table/acme", "/cells", "/breakers", "/holds", "/top"])
async def test_no_page_shows_a_secret(feed: MemoryFeed, path: str) -> None:
    """Neither the directory's password nor a tenant's key."""
    async with running(feed, directory_redis_url="redis://:hush-hush@127.0.0.1:1/0") as router:
        await eventually(lambda: len(router.table))
        await ask(router, get())
        shown = json.dumps(await page(router, path))
        assert "hush-hush" not in shown
        assert "kkkk" not in shown
