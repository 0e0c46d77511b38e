"""The side that is called: whom it lets in, and what it tells those whom it does not."""

import asyncio
import contextlib
import shutil
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import cast

import pytest
import uvloop
from structlog.testing import capture_logs

from runtime.tls import credentials, saying
from runtime.tls.calling import Calling
from runtime.tls.serving import Serving
from tests.fleets import SETTING, Fleet, copied, put

REQUEST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n" + bytes(100_000)
LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


class Caller(asyncio.Protocol):
    """Sends a request at once, and keeps what comes and how it ended."""

    def __init__(self, request: bytes) -> None:
        self.request, self.came = request, b""
        self.ended: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's are no subclasses
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.came += data

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended.set_result(exc)


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One request, and its answer."""
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
        await reader.readexactly(len(REQUEST))
        writer.write(b"served")
        await writer.drain()
    writer.close()


@contextlib.asynccontextmanager
async def listening(context: ssl.SSLContext) -> AsyncIterator[int]:
    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def call(port: int, context: ssl.SSLContext | None, name: str = "cell-1") -> tuple[bytes, Exception | None]:
    """What came, and by what the connection ended."""
    _, caller = await asyncio.get_running_loop().create_connection(
        lambda: Caller(REQUEST), "127.0.0.1", port, ssl=context, server_hostname=name if context else None
    )
    async with asyncio.timeout(20):
        error = await caller.ended
    return caller.came, error


async def said(port: int, context: ssl.SSLContext | None, name: str = "cell-1") -> str:
    """What the caller makes of it."""
    try:
        came, error = await call(port, context, name)
    except OSError as failed:
        return saying.of_called(failed) or repr(failed)
    if error is not None:
        return saying.of_called(error) or repr(error)
    return came.decode()


async def run_on(loop: str, work: Callable[[], Awaitable[None]]) -> None:
    """On a loop of the other kind, in a thread of its own."""

    async def worked() -> None:
        await work()

    def run() -> None:
        with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
            runner.run(worked())

    await asyncio.to_thread(run)


@pytest.mark.parametrize("loop", LOOPS)
async def test_a_caller_learns_why_it_is_refused(fleet: Fleet, tmp_path: Path, loop: str) -> None:
    """By an alert, though its request was under way by then: so it knows that nothing was done with it."""
    other = Fleet(tmp_path / "other")
    stranger = other.calling().context
    stranger.load_verify_locations(fleet.authority)
    old = fleet.calling().context
    old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2
    cell = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    cell.load_verify_locations(fleet.authority)
    cell.load_cert_chain(fleet.cell("cell-2") / "cert.pem", fleet.cell("cell-2") / "key.pem")
    expired = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    expired.load_verify_locations(fleet.authority)
    over = fleet.expired("router", tmp_path)
    expired.load_cert_chain(over / "cert.pem", over / "key.pem")

    async def work() -> None:
        async with listening(fleet.serving().port("api")) as port:
            assert await said(port, fleet.calling().context) == "served"
            assert await said(port, fleet.stranger()) == "it demands a certificate and was shown none"
            assert "ca.pem does not hold the authority that signed our certificate" in await said(port, stranger)
            assert "our certificate is not made for calling" in await said(port, cell)
            assert "our certificate has expired" in await said(port, expired)
            assert await said(port, old) == "it does not speak TLS 1.3"
            assert "its certificate is another's" in await said(port, fleet.calling().context, "cell-2")
            assert await said(port, fleet.calling().context) == "served"

    await run_on(loop, work)


@pytest.mark.parametrize("loop", LOOPS)
async def test_who_speaks_no_tls_is_told_that_the_port_does(fleet: Fleet, loop: str) -> None:
    """As an answer that it understands: 503, and nothing was done."""

    async def work() -> None:
        async with listening(fleet.serving().port("api")) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
            assert head.startswith(b"HTTP/1.1 503 ")
            assert b"Connection: close" in head
            body = await asyncio.wait_for(reader.readuntil(b"}"), 20)
            assert b"this port speaks TLS" in body
            writer.close()

    await run_on(loop, work)


@pytest.mark.parametrize("loop", LOOPS)
async def test_a_caller_that_goes_on_after_its_refusal_is_cut_off(fleet: Fleet, loop: str) -> None:
    """What it sends is thrown away for a while, and not kept."""

    async def work() -> None:
        async with listening(fleet.serving().port("api")) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
            with contextlib.suppress(ConnectionError):
                async with asyncio.timeout(20):
                    while not reader.at_eof():
                        writer.write(bytes(65_536))
                        await writer.drain()
                        await asyncio.sleep(0)
            writer.close()

    await run_on(loop, work)


async def test_refusals_are_logged_but_not_each(fleet: Fleet) -> None:
    """Anybody may knock as often as they like; why the first was refused says what to mend."""
    async with listening(fleet.serving().port("api")) as port:
        with capture_logs() as logs:
            for _ in range(3):
                await said(port, fleet.stranger())
    told = [entry for entry in logs if entry["event"] == "client_refused"]
    assert len(told) == 1
    assert (told[0]["port"], told[0]["reason"][:26]) == ("api", "it showed no certificate: ")


async def test_strangers_come_in_where_they_may(fleet: Fleet, tmp_path: Path) -> None:
    """For whoever answers to judge; a certificate that is shown must be right all the same."""
    wrong = Fleet(tmp_path / "other").calling().context
    wrong.load_verify_locations(fleet.authority)
    async with listening(fleet.serving().port("admin", strangers=True)) as port:
        assert await said(port, fleet.stranger()) == "served"
        assert "ca.pem does not hold the authority" in await said(port, wrong)


async def test_an_authority_is_replaced_while_connections_come(
    fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First both are believed, then the new one alone: from then on the old one's callers stay outside."""
    monkeypatch.setattr(credentials, "LOOK_SECONDS", 0.0)
    other = Fleet(tmp_path / "other")
    folder, caller = copied(fleet.cell(), tmp_path / "cell"), copied(fleet.program(), tmp_path / "router")
    both = fleet.authority.read_bytes() + other.authority.read_bytes()
    serving = Serving(str(folder), SETTING, "cell-1")
    old, new = Calling(str(caller), SETTING), other.calling()
    async with listening(serving.port("api")) as port:
        assert await said(port, old.context) == "served"
        for each, credential in ((folder, serving), (caller, old)):
            (each / "ca.pem").write_bytes(both)
            await credential.step()
        assert await said(port, old.context) == "served"
        shutil.copy(other.cell() / "cert.pem", folder / "cert.pem")
        shutil.copy(other.cell() / "key.pem", folder / "key.pem")
        await serving.step()
        assert await said(port, old.context) == "served"
        assert await said(port, new.context) == "served"
        put(other.cell(), folder)
        await serving.step()
        assert await said(port, new.context) == "served"
        assert "ca.pem does not hold the authority" in await said(port, old.context)
