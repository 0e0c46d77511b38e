"""What a public port says to bytes that are no request, or too large a one."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from runtime.api import connection, endpoint
from runtime.api.problem import CONTENT_TYPE, problems
from runtime.site import Site


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    """An application that tells the length of a body."""
    app = web.Application(middlewares=[problems(lambda _error: None)], client_max_size=1000)

    async def length(request: web.Request) -> web.Response:
        return web.json_response(len(await endpoint.read_body(request)))

    app.router.add_post("/", length)
    app.router.add_get("/", length)
    made = Site("example", app, "127.0.0.1", 0, drain_seconds=0.1)
    await made.start()
    yield made
    await made.stop()


async def ask(site: Site, sent: bytes) -> tuple[int, dict[str, str], Any]:
    """Status, headers and body of the answer to these bytes."""
    reader, writer = await asyncio.open_connection(site.host, site.port)
    async with asyncio.timeout(10):
        writer.write(sent)
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        body = await reader.readexactly(int(headers["Content-Length"]))
    writer.close()
    return int(first.split()[1]), headers, json.loads(body)


def head(*lines: bytes, first: bytes = b"GET / HTTP/1.1") -> bytes:
    """A request's head."""
    return b"\r\n".join([first, b"Host: x", *lines, b"", b""])


UNREADABLE = {
    "no HTTP": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    "an unknown method": (head(first=b"NONSENSE / HTTP/1.1"), 400),
    "a header without a name": (head(b": x"), 400),
    "two lengths": (head(b"Content-Length: 1", b"Content-Length: 2"), 400),
    "a target that is too long": (head(first=b"GET /" + b"x" * 100_000 + b" HTTP/1.1"), 414),
    "a header that is too long": (head(b"X-Long: " + b"x" * 140_000), 431),
    "too many headers": (head(*(b"X-%d: x" % number for number in range(250))), 431),
    "too much of a head": (head(*(b"X-%d: %s" % (n, b"x" * 60_000) for n in range(4))).removesuffix(b"\r\n"), 431),
    "an expectation that cannot be met": (head(b"Expect: nothing"), 417),
}


@pytest.mark.parametrize("name", UNREADABLE)
async def test_what_is_no_request_is_told_so_as_a_problem(
    site: Site, name: str, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """The client's fault: a problem for it, and no error in our log."""
    sent, status = UNREADABLE[name]
    found, headers, body = await ask(site, sent)
    assert (found, headers["Content-Type"], body["status"]) == (status, CONTENT_TYPE, status)
    assert headers["Cache-Control"] == "no-store"
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert "Traceback" not in "".join(capsys.readouterr())


async def test_a_head_that_the_router_lets_through_is_read(site: Site) -> None:
    """No tenant meets limits behind the router's own: those of lines, of their number, and of all together."""
    lines = [b"X-%d: x" % number for number in range(140)]
    lines += [b"X-Forwarded-For: " + b"1" * 65_536, b"X-Long: " + b"x" * 16_384]
    assert (await ask(site, head(*lines, first=b"GET /?" + b"x" * 16_384 + b" HTTP/1.1")))[0] == 200


async def test_many_requests_on_one_connection_are_no_large_head(site: Site) -> None:
    """Only what belongs to one head is counted together."""
    reader, writer = await asyncio.open_connection(site.host, site.port)
    async with asyncio.timeout(20):
        for _ in range(2 * connection.LARGEST_HEAD_BYTES // 60_000):
            writer.write(head(b"X-Long: " + b"x" * 60_000))
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
            await reader.readexactly(1)
    writer.close()


async def test_an_encoded_body_is_refused_and_not_unpacked(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """415, whether or not it is what it says; nothing is left for aiohttp to stumble over."""
    sent = head(b"Content-Encoding: gzip", b"Content-Length: 2", first=b"POST / HTTP/1.1") + b"{}"
    assert (await ask(site, sent))[0] == 415
    assert not caplog.records


async def test_a_broken_body_is_the_clients_fault(site: Site) -> None:
    """400, not 500: its chunks are no chunks."""
    sent = head(b"Transfer-Encoding: chunked", first=b"POST / HTTP/1.1") + b"zz\r\n"
    status, headers, _ = await ask(site, sent)
    assert (status, headers["Content-Type"]) == (400, CONTENT_TYPE)


async def test_a_body_must_arrive_in_time(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """408, in every program that reads bodies."""
    monkeypatch.setattr(endpoint, "BODY_SECONDS", 0.1)
    status, _, body = await ask(site, head(b"Content-Length: 10", first=b"POST / HTTP/1.1") + b"{")
    assert (status, body["retryable"]) == (408, True)


async def test_no_answer_names_a_version(site: Site) -> None:
    """Whoever looks for known faults has to try them."""
    for sent in (head(), head(first=b"GET /nopage HTTP/1.1"), b"nonsense\r\n\r\n"):
        assert (await ask(site, sent))[1]["Server"] == "cellway"
