"""A client and a server as people use them, with the router between."""

import contextlib
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import WSMsgType, web

from directory.memory_feed import MemoryFeed
from router.app import Router
from runtime.site import Site
from tests.router.upstreams import KEY, running, snapshot_of
from tests.waiting import eventually


async def talk(request: web.Request) -> web.WebSocketResponse:
    """Echo; `compressed?` and `bye` are answered in their own way."""
    socket = web.WebSocketResponse(protocols=("chat.v2",), max_msg_size=2**25)
    await socket.prepare(request)
    async for message in socket:
        if message.type is WSMsgType.BINARY:
            await socket.send_bytes(message.data)
        elif message.data == "compressed?":
            await socket.send_str(str(socket.compress))
        elif message.data == "bye":
            await socket.close(code=4000, message=b"as you wish")
        elif message.data == "ping me":
            await socket.ping(b"are you there")
        else:
            await socket.send_str(message.data)
    return socket


@pytest.fixture(scope="module")
async def talking() -> AsyncIterator[Router]:
    """A router in front of such a server."""
    application = web.Application()
    application.router.add_get("/chat", talk)
    site = Site("talk", application, "127.0.0.1", 0)
    await site.start()
    feed = MemoryFeed()
    await feed.fill(snapshot_of({"cell-1": site.url}, {"acme": ("cell-1", 5)}))
    async with running(feed) as router:
        await eventually(lambda: len(router.table))
        yield router
    await site.stop()


@contextlib.asynccontextmanager
async def calling(
    router: Router, *, compress: int = 0, autoping: bool = True
) -> AsyncIterator["aiohttp.ClientWebSocketResponse[bool]"]:
    """An open WebSocket of aiohttp's client."""
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {KEY}"}) as session,
        session.ws_connect(
            f"{router.site.url}/t/acme/chat",
            protocols=("chat.v1", "chat.v2"),
            compress=compress,
            autoping=autoping,
            max_msg_size=2**25,
        ) as socket,
    ):
        yield socket


async def test_what_is_said_comes_back(talking: Router) -> None:
    """Text, bytes, nothing at all, and a message as large as they get."""
    async with calling(talking) as socket:
        assert socket.protocol == "chat.v2"
        for text in ["hello", "", "žluťoučký kůň", "x" * 70_000]:
            await socket.send_str(text)
            assert await socket.receive_str() == text
        for data in [b"", bytes(range(256)), bytes(2**24)]:
            await socket.send_bytes(data)
            assert await socket.receive_bytes() == data


async def test_pings_are_answered_by_the_other_side(talking: Router) -> None:
    """The router answers none itself: a ping asks whether the peer lives."""
    async with calling(talking, autoping=False) as socket:
        await socket.ping(b"anybody there")
        pong = await socket.receive()
        assert (pong.type, pong.data) == (WSMsgType.PONG, b"anybody there")
        await socket.send_str("ping me")
        ping = await socket.receive()
        assert (ping.type, ping.data) == (WSMsgType.PING, b"are you there")


async def test_compression_is_agreed_end_to_end(talking: Router) -> None:
    """The extension (RFC 7692) is negotiated through the router, which never unpacks anything."""
    async with calling(talking, compress=15) as socket:
        assert socket.compress == 15
        await socket.send_str("compressed?")
        assert await socket.receive_str() == "15"
        for text in ["a" * 100_000, "b" * 100_000]:
            await socket.send_str(text)
            assert await socket.receive_str() == text


async def test_the_code_and_reason_of_a_close_arrive(talking: Router) -> None:
    """As the server gave them."""
    async with calling(talking) as socket:
        await socket.send_str("bye")
        last = await socket.receive()
        assert (last.type, last.data, last.extra) == (WSMsgType.CLOSE, 4000, "as you wish")
        assert socket.close_code == 4000


async def test_a_refusal_is_an_ordinary_answer(talking: Router) -> None:
    """No such path: the server's 404 is what the client gets."""
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {KEY}"}) as session:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await session.ws_connect(f"{talking.site.url}/t/acme/nowhere")
    assert refused.value.status == 404
