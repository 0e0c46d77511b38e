"""TLS from clients and to cells: certificates that change, that are wrong, and handshakes that stand still."""

import asyncio
import contextlib
import shutil
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from directory.memory_feed import MemoryFeed
from router import tls
from router.app import Router
from tests.router.faults.cells import ENDLESS
from tests.router.faults.certificates import Authority, Pair, serving_tls
from tests.router.faults.rest import resting
from tests.router.upstreams import Client, FakeCell, ask, get, snapshot_of
from tests.waiting import eventually


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def shown(authority: Authority, tmp_path: Path) -> Pair:
    """The router's own, in files that may be replaced."""
    pair = Pair(tmp_path / "chain.pem", tmp_path / "key.pem")
    put(authority.signs("first"), pair)
    return pair


def put(fresh: Pair, place: Pair) -> None:
    """As a renewal does: the files are replaced, the one after the other."""
    for source, target in ((fresh.key, place.key), (fresh.certificate, place.certificate)):
        shutil.copy(source, target.with_suffix(".new"))
        target.with_suffix(".new").replace(target)


@contextlib.asynccontextmanager
async def secured(router: Router, authority: Authority) -> AsyncIterator[Client]:
    """A client's connection over TLS."""
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", router.site.port, ssl=authority.client_context(), server_hostname="acme.api.localhost"
    )
    client = Client(reader, writer)
    try:
        yield client
    finally:
        client.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await writer.wait_closed()


def name_shown(client: Client) -> str:
    found = client.writer.get_extra_info("peercert")["subject"][0][0][1]
    return str(found)


def tls_of(pair: Pair) -> dict[str, str]:
    return {"tls_certificate": str(pair.certificate), "tls_key": str(pair.key)}


async def test_requests_come_over_tls(feed: MemoryFeed, cell: FakeCell, authority: Authority, shown: Pair) -> None:
    """The cell hears that it was https, and everything else is as without."""
    async with resting(feed, **tls_of(shown)) as router:
        async with secured(router, authority) as client:
            for _ in range(3):
                client.send(get(method="POST", extra="Content-Length: 200000\r\n") + bytes(200_000))
                assert (await client.answer(b"POST")).body == b"ok"
        assert {seen.values(b"x-forwarded-proto")[0] for seen in cell.seen} == {b"https"}
        assert [len(seen.body) for seen in cell.seen] == [200_000] * 3


async def test_a_certificate_is_renewed_without_a_restart(
    feed: MemoryFeed, cell: FakeCell, authority: Authority, shown: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Connections that are open go on; a broken replacement, or a key that is another's, changes nothing."""
    monkeypatch.setattr(tls, "LOOK_SECONDS", 0.02)
    async with resting(feed, **tls_of(shown)) as router:
        certificate = router._certificate
        assert certificate is not None

        async def looked_at(change: Pair) -> None:
            put(change, shown)
            await eventually(lambda: certificate._seen == certificate._look())

        async def served_with() -> str:
            async with secured(router, authority) as client:
                client.send(get())
                assert (await client.answer()).status == 200
                return name_shown(client)

        async with secured(router, authority) as old:
            assert name_shown(old) == "first"
            second = authority.signs("second")
            await looked_at(second)

            async def renewed() -> bool:
                return await served_with() == "second"

            await eventually(renewed)
            old.send(get())
            assert (await old.answer()).status == 200
        broken = Pair(shown.certificate.with_name("broken.pem"), second.key)
        broken.certificate.write_text("-----BEGIN CERTIFICATE-----\nnonsense\n")
        await looked_at(broken)
        assert await served_with() == "second"
        await looked_at(Pair(authority.signs("third").certificate, second.key))
        assert await served_with() == "second"
        await looked_at(authority.signs("fourth"))

        async def healed() -> bool:
            return await served_with() == "fourth"

        await eventually(healed)


@pytest.mark.parametrize("said", [b"", b"\x16\x03\x01\x02", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"])
async def test_a_handshake_that_leads_nowhere_is_ended(feed: MemoryFeed, shown: Pair, said: bytes) -> None:
    """By the deadline of a head; what is no TLS at all, at once."""
    async with resting(feed, head_seconds=0.4, **tls_of(shown)) as router:
        reader, writer = await asyncio.open_connection("127.0.0.1", router.site.port)
        writer.write(said)
        with contextlib.suppress(ConnectionError):
            assert not (await asyncio.wait_for(reader.read(), 8.0)).startswith(b"HTTP")
        writer.close()


async def test_a_client_that_breaks_off_its_tls_leaves_nothing(
    feed: MemoryFeed, cell: FakeCell, authority: Authority, shown: Pair
) -> None:
    """At any point of the handshake or of a request."""
    hello = ssl.MemoryBIO()
    context = authority.client_context()
    talk = context.wrap_bio(ssl.MemoryBIO(), hello, server_hostname="acme.api.localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        talk.do_handshake()
    said = hello.read()
    async with resting(feed, head_seconds=5.0, **tls_of(shown)) as router:
        for length in (1, 5, len(said) // 2, len(said) - 1, len(said)):
            with socket.create_connection(("127.0.0.1", router.site.port)) as wire:
                wire.sendall(said[:length])
                await asyncio.sleep(0)
        async with secured(router, authority) as client:
            client.send(get(method="POST", extra="Content-Length: 10\r\n") + b"half")
            await eventually(lambda: not all(each.idle for each in router.lane.clients))
            client.writer.transport.abort()
        await eventually(lambda: not router.lane.clients)
    assert not cell.seen


# --- to cells ---


async def lives_at(feed: MemoryFeed, address: str) -> None:
    await feed.fill(snapshot_of({"cell-1": address}, {"acme": ("cell-1", 5)}))


async def test_a_cell_that_demands_a_certificate_gets_it(authority: Authority) -> None:
    """Both sides know each other; connections are kept as without TLS."""
    feed, cell = MemoryFeed(), FakeCell()
    mine = authority.signs("router")
    files = {"cell_certificate": str(mine.certificate), "cell_key": str(mine.key)}
    context = authority.server_context(authority.signs("cell"), clients=authority)
    async with serving_tls(cell, context) as address:
        await lives_at(feed, address)
        async with resting(feed, cell_ca=str(authority.certificate), **files) as router:
            for _ in range(3):
                assert (await ask(router, get())).body == b"ok"
            [writer] = cell.open
            assert writer.get_extra_info("peercert")["subject"] == ((("commonName", "router"),),)
            assert cell.connections == 1


async def test_a_router_without_the_certificate_that_a_cell_demands_is_not_served(authority: Authority) -> None:
    """Nor is its client told anything but that the cell cannot be reached."""
    feed, cell = MemoryFeed(), FakeCell()
    context = authority.server_context(authority.signs("cell"), clients=authority)
    async with serving_tls(cell, context) as address:
        await lives_at(feed, address)
        async with resting(feed, cell_ca=str(authority.certificate)) as router:
            assert (await ask(router, get())).status in (502, 503)
    assert not cell.seen


@pytest.mark.parametrize("wrong", ["authority", "plain"])
async def test_a_cell_that_cannot_prove_itself_is_sent_nothing(
    authority: Authority, tmp_path: Path, wrong: str
) -> None:
    """A certificate of another authority, or no TLS where there must be: 503, nothing was sent."""
    feed, cell = MemoryFeed(), FakeCell()
    other = Authority(tmp_path, "other")
    server = await asyncio.start_server(cell.serve, "127.0.0.1", 0)
    async with server, serving_tls(cell, other.server_context(other.signs("cell"))) as address:
        plain = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        await lives_at(feed, address if wrong == "authority" else plain)
        async with resting(feed, cell_ca=str(authority.certificate)) as router:
            answer = await ask(router, get(method="POST", extra="Content-Length: 1\r\n") + b"x", b"POST")
            assert (answer.status, b'"retryable":true' in answer.body) == (503, True)
    assert not cell.seen


async def test_a_cell_whose_handshake_stands_still_is_given_up(authority: Authority) -> None:
    """By the deadline for a connection; nothing was sent."""
    feed = MemoryFeed()
    came: list[asyncio.StreamWriter] = []

    async def stand(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.append(writer)

    async with await asyncio.start_server(stand, "127.0.0.1", 0) as server:
        await lives_at(feed, f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        async with resting(feed, connect_seconds=0.3, cell_ca=str(authority.certificate)) as router:
            assert (await ask(router, get())).status == 503
            assert came
        for writer in came:
            writer.transport.abort()


@pytest.mark.parametrize("clean", [True, False])
async def test_a_body_over_tls_is_whole_only_if_the_cell_says_so(authority: Authority, clean: bool) -> None:
    """Anybody can send a FIN; where the connection's end is the body's, only `close_notify` is the cell's word."""
    feed = MemoryFeed()
    context = authority.server_context(authority.signs("cell"))

    def answer_once(listener: socket.socket) -> None:
        raw, _ = listener.accept()
        with raw, context.wrap_socket(raw, server_side=True) as wire:
            wire.recv(65_536)
            wire.sendall(ENDLESS + b"begin")
            if clean:
                with contextlib.suppress(OSError):
                    wire.unwrap()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        await lives_at(feed, f"https://127.0.0.1:{listener.getsockname()[1]}")
        async with resting(feed, cell_ca=str(authority.certificate)) as router:
            answering = asyncio.ensure_future(asyncio.to_thread(answer_once, listener))
            answer = await ask(router, get())
            assert (answer.status, answer.body, answer.complete) == (200, b"begin", clean)
            await answering
