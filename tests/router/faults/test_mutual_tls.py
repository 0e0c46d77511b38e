"""Mutual TLS between the router and cells: by the fleet's authority, and each cell under its own name."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from structlog.testing import capture_logs

from directory.memory_feed import MemoryFeed
from directory.values import CellEntry, Change
from router import metrics
from router.app import Router
from router.settings import RouterSettings
from router.upstream import pool as pools
from runtime.errors import SettingsError, StartFailed
from runtime.site import Site
from runtime.tls import credentials
from runtime.tls.serving import Serving
from tests.fleets import SETTING, Fleet, copied, put
from tests.router.faults.cells import CHUNKED, EVENT, EVENTS, chunk
from tests.router.faults.certificates import serving_tls
from tests.router.faults.rest import resting
from tests.router.upstreams import (
    IDENTITY,
    KEY,
    OK,
    FakeCell,
    Seen,
    ask,
    connected,
    get,
    serving,
    settings,
    snapshot_of,
)  # fmt: skip
from tests.waiting import eventually

POST = get(method="POST", extra="Content-Length: 1\r\n") + b"x"


async def lives_at(address: str) -> MemoryFeed:
    """A directory in which acme's cell is there."""
    feed = MemoryFeed()
    await feed.fill(snapshot_of({"cell-1": address}, {"acme": ("cell-1", 5)}))
    return feed


@contextlib.asynccontextmanager
async def with_cell(
    fleet: Fleet, cell: FakeCell, *, shows: str = "cell-1", told: dict[str, Any] | None = None
) -> AsyncIterator[Router]:
    """A router and a cell that know each other, unless the cell shows what is another's, or the router is told
    something else.
    """
    async with serving_tls(cell, fleet.serving(shows).port("api")) as address:
        own = {"cell_tls_folder": str(fleet.program())} if told is None else told
        async with resting(await lives_at(address), **own) as router:
            yield router


def evidence(router: Router) -> str:
    [pool] = router.cells.pools
    return pool.evidence


async def test_both_know_each_other_and_connections_are_kept(fleet: Fleet) -> None:
    """The cell by its name, though its address is an IP address that no certificate of the fleet is for."""
    cell = FakeCell()
    async with with_cell(fleet, cell) as router:
        for _ in range(5):
            assert (await ask(router, get())).body == b"ok"
        [writer] = cell.open
        assert writer.get_extra_info("cipher")[1] == "TLSv1.3"
        assert writer.get_extra_info("peercert")["subject"] == ((("commonName", "router"),),)
        assert cell.connections == 1


async def test_bodies_and_streams_pass_both_ways(fleet: Fleet) -> None:
    """Large ones, chunked ones, and events of which each comes when it is sent."""
    cell, sent = FakeCell(), asyncio.Event()

    async def script(seen: Seen, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if seen.target.endswith(b"/events"):
            writer.write(EVENTS + chunk(EVENT))
            await writer.drain()
            await sent.wait()
            writer.write(chunk(EVENT) + chunk(b""))
        else:
            writer.write(CHUNKED + chunk(seen.body) + chunk(b""))

    cell.script = script
    body = bytes(range(256)) * 2000
    async with with_cell(fleet, cell) as router, connected(router) as client:
        client.send(get(method="PUT", extra=f"Content-Length: {len(body)}\r\n") + body)
        assert (await client.answer(b"PUT")).body == body
        client.send(get("/v1/events"))
        first = await asyncio.wait_for(client.reader.readuntil(b"\n\n"), 20)
        assert first.startswith(b"HTTP/1.1 200 ")
        sent.set()
        assert EVENT in await asyncio.wait_for(client.reader.readuntil(b"0\r\n\r\n"), 20)


async def test_websockets_pass(fleet: Fleet) -> None:
    """After the handshake bytes go both ways, over TLS as without."""

    async def echo(request: web.Request) -> web.WebSocketResponse:
        talk = web.WebSocketResponse()
        await talk.prepare(request)
        async for message in talk:
            await talk.send_bytes(message.data)
        return talk

    application = web.Application()
    application.router.add_get("/chat", echo)
    site = Site("talk", application, "127.0.0.1", 0, tls=fleet.serving().port("api"), drain_seconds=0.1)
    await site.start()
    try:
        async with (
            resting(await lives_at(site.url), cell_tls_folder=str(fleet.program())) as router,
            aiohttp.ClientSession(headers={"Authorization": f"Bearer {KEY}"}) as session,
            session.ws_connect(f"{router.site.url}/t/acme/chat") as talk,
        ):
            for said in (b"hello", bytes(300_000)):
                await talk.send_bytes(said)
                assert await talk.receive_bytes(timeout=20) == said
            await talk.close()
    finally:
        await site.stop()


async def test_another_cell_at_its_address_is_sent_nothing(fleet: Fleet) -> None:
    """503 at once, and whoever looks at the router sees which cell and why; it is logged once, not for each."""
    cell = FakeCell()
    counted = metrics.CELL_NOT_TRUSTED.labels("cell-1")._value
    before = counted.get()
    async with with_cell(fleet, cell, shows="cell-2") as router:
        with capture_logs() as logs:
            for _ in range(3):
                answer = await ask(router, POST, b"POST")
                assert (answer.status, b'"retryable":true' in answer.body) == (503, True)
                assert b"unknown" not in answer.body
        assert evidence(router).startswith("its certificate is another's")
        [told] = [entry for entry in logs if entry["event"] == "cell_not_trusted"]
        assert (told["cell"], told["log_level"]) == ("cell-1", "warning")
        assert counted.get() - before == 3
    assert not cell.seen


async def test_a_cell_that_refuses_the_router_has_done_nothing(fleet: Fleet) -> None:
    """By TLS 1.3 the request was under way when the cell refused; the client learns that it may send it again."""
    cell = FakeCell()
    by_host = Fleet(fleet.folder.parent / "by-host")
    serving = Serving(str(by_host.cell("cell-1", "127.0.0.1")), SETTING, "cell-1")
    async with (
        serving_tls(cell, serving.port("api")) as address,
        resting(await lives_at(address), cell_ca=str(by_host.authority)) as router,
    ):
        for request in (POST, get(method="POST", extra="Content-Length: 500000\r\n") + bytes(500_000)):
            answer = await ask(router, request, b"POST")
            assert (answer.status, b'"retryable":true' in answer.body) == (503, True)
            assert b"unknown" not in answer.body
        assert evidence(router) == "it demands a certificate and was shown none"
    assert not cell.seen


async def test_a_cell_that_dies_over_a_request_is_not_taken_for_one_that_refuses(fleet: Fleet) -> None:
    """What it did nobody knows: the client is told so, and nothing is sent again."""
    cell = FakeCell()

    async def script(_seen: Seen, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    cell.script = script
    async with with_cell(fleet, cell) as router:
        answer = await ask(router, POST, b"POST")
        assert (answer.status, b'"outcome":"unknown"' in answer.body) == (502, True)
    assert len(cell.seen) == 1


async def test_cells_without_tls_are_reached_only_while_a_fleet_changes_over(fleet: Fleet) -> None:
    """By default TLS is for all of them: nobody can have keys sent in plain text by an address."""
    cell = FakeCell()
    server = await asyncio.start_server(cell.serve, "127.0.0.1", 0)
    address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    folder = str(fleet.program())
    async with server:
        async with resting(await lives_at(address), cell_tls_folder=folder) as router:
            assert (await ask(router, get())).status == 503
            assert f"{address} is not encrypted, and CELLWAY_ROUTER_CELL_TLS_FOLDER wants TLS" in evidence(router)
        assert not cell.seen
        async with resting(await lives_at(address), cell_tls_folder=folder, cell_tls_only=False) as router:
            assert (await ask(router, get())).status == 200
            for writer in cell.open:
                writer.transport.abort()


async def test_a_fleet_changes_over_to_tls_without_a_failed_request(fleet: Fleet) -> None:
    """A second port beside the first, another address, and the first one ends: as for any cell that moves."""
    plain, secure, done = FakeCell(), FakeCell(), False
    statuses = list[int]()
    async with serving(plain), serving_tls(secure, fleet.serving().port("api")) as address:
        feed, folder = await lives_at(plain.address), str(fleet.program())
        async with resting(feed, cell_tls_folder=folder, cell_tls_only=False, connect_seconds=20.0) as router:

            async def requests() -> None:
                async with connected(router) as client:
                    while not done:
                        client.send(POST)
                        statuses.append((await client.answer(b"POST")).status)

            async with asyncio.TaskGroup() as group:
                for _ in range(4):
                    group.create_task(requests())
                await eventually(lambda: len(plain.seen) > 20)
                last = await feed.published(IDENTITY) or 0
                await feed.publish(IDENTITY, [Change(last + 1, CellEntry("cell-1", "open", address))])
                await eventually(lambda: len(secure.seen) > 20, seconds=30.0)
                done = True
    assert set(statuses) == {200}


async def test_a_cell_that_speaks_no_tls_where_it_should_is_told(fleet: Fleet) -> None:
    """Its HTTP server answers the handshake with HTTP."""
    site = Site("plain", web.Application(), "127.0.0.1", 0, drain_seconds=0.1)
    await site.start()
    feed = await lives_at(site.url.replace("http://", "https://"))
    async with resting(feed, cell_tls_folder=str(fleet.program())) as router:
        assert (await ask(router, POST, b"POST")).status == 503
        assert "it speaks no TLS" in evidence(router)
    await site.stop()


async def test_a_router_that_speaks_no_tls_where_it_should_is_told(fleet: Fleet) -> None:
    """By the cell's port, whose answer its client gets as that of a cell that cannot serve now."""
    cell = FakeCell()
    async with (
        serving_tls(cell, fleet.serving().port("api")) as address,
        resting(await lives_at(address.replace("https://", "http://"))) as router,
    ):
        answer = await ask(router, POST, b"POST")
        assert (answer.status, b"this port speaks TLS" in answer.body) == (503, True)
    assert not cell.seen


async def test_certificates_are_replaced_under_traffic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of both sides, again and again, authority and all: no request fails, and new connections use them."""
    monkeypatch.setattr(credentials, "LOOK_SECONDS", 0.01)
    fleet, other = Fleet(tmp_path / "one"), Fleet(tmp_path / "other")
    both = fleet.authority.read_bytes() + other.authority.read_bytes()
    served = copied(fleet.cell(), tmp_path / "cell")
    shown = copied(fleet.program(), tmp_path / "router")
    for folder in (served, shown):
        (folder / "ca.pem").write_bytes(both)
    serving, cell = Serving(str(served), SETTING, "cell-1"), FakeCell()
    stopped, statuses, names, number = False, list[int](), set[str](), itertools.count()

    async def script(_seen: Seen, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK)
        names.add(writer.get_extra_info("peercert")["subject"][0][0][1])

    def staged(source: Path) -> Path:
        """Made beforehand; both authorities are believed as long as both are in use."""
        made = copied(source, tmp_path / f"staged-{next(number)}")
        (made / "ca.pem").write_bytes(both)
        return made

    async def replaced(source: Path, folder: Path, credential: credentials.Credentials) -> None:
        before = credential.expires_at
        put(source, folder)
        await eventually(lambda: credential.expires_at != before and credential._seen == credential._look())

    cell.script = script
    renewals = [
        (staged(made.maker.program(f"router-{days}", days=days).folder), staged(reissued(made, days)))
        for days, made in enumerate((other, fleet, other, fleet), 50)
    ]
    async with (
        serving_tls(cell, serving.port("api")) as address,
        resting(await lives_at(address), cell_tls_folder=str(shown), connect_seconds=20.0) as router,
    ):
        calling = router._trust.fleet
        assert calling is not None

        async def requests() -> None:
            while not stopped:
                statuses.append((await ask(router, POST, b"POST")).status)
                for pool in router.cells.pools:
                    pool.close_idle(everything=len(statuses) % 3 == 0)

        async def many_more() -> None:
            count = len(statuses)
            await eventually(lambda: len(statuses) > count + 6)

        async with asyncio.TaskGroup() as group:
            for _ in range(3):
                group.create_task(requests())
            looking = group.create_task(looked(serving))
            await many_more()  # with the first ones
            for shows, serves in renewals:
                await replaced(shows, shown, calling)
                await replaced(serves, served, serving)
                await many_more()
            stopped = True
            looking.cancel()
    assert set(statuses) == {200}
    assert len(statuses) > 20
    assert names == {"router", "router-50", "router-51", "router-52", "router-53"}


def reissued(fleet: Fleet, days: int) -> Path:
    """Another certificate of cell-1, to be known by how long it is good."""
    return fleet.maker.cell("cell-1", days=days, renew=True).folder


async def looked(serving: Serving) -> None:
    """As the cell's tasks do."""
    while True:
        await serving.step()


def test_a_folder_that_cannot_be_used_ends_the_start(fleet: Fleet) -> None:
    """With the file that is wrong, and the setting that led there."""
    with pytest.raises(StartFailed, match=r"nowhere/ca\.pem is missing: CELLWAY_ROUTER_CELL_TLS_FOLDER names"):
        Router(settings(cell_tls_folder="nowhere"), MemoryFeed())


def test_two_ways_to_trust_cells_are_one_too_many(fleet: Fleet) -> None:
    """Which of them would count could not be seen."""
    told = {"DIRECTORY_REDIS_URL": "redis://127.0.0.1:1/0", "CELL_TLS_FOLDER": "/a", "CELL_CA": "/b"}
    with pytest.raises(SettingsError, match="CELL_TLS_FOLDER takes the place of CELL_CA"):
        RouterSettings.load({f"CELLWAY_ROUTER_{name}": value for name, value in told.items()})


async def test_refusals_are_logged_again_when_they_are_others(fleet: Fleet) -> None:
    """And after a while, so that a log that was turned over has one, too."""
    async with resting(await lives_at("http://127.0.0.1:1")) as router:
        pool = router.cells.pool("cell-1")
        with capture_logs() as logs:
            for why in ("one", "one", "two"):
                pool.distrusts(why)
            pool._distrust_told_at -= pools.AGAIN_SECONDS
            pool.distrusts("two")
        assert [entry["reason"] for entry in logs] == ["one", "two", "two"]
