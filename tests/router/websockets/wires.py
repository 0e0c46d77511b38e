"""Frames as bytes, and both ends of a pipe in a test's hands."""

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import cast

from router import metrics
from router.app import Router
from router.client import Client as ServerSide
from router.upstream.connection import Connection
from tests.router.upstreams import Client, FakeCell, Seen, connected, get
from tests.waiting import eventually

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
NONCE = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
"""Both from RFC 6455 section 1.3."""
UPGRADE = "Upgrade: websocket\r\nConnection: Upgrade\r\n"
NONCE_LINE = f"Sec-WebSocket-Key: {NONCE}\r\n"
SWITCHING = f"HTTP/1.1 101 Switching Protocols\r\n{UPGRADE}Sec-WebSocket-Accept: {ACCEPT}\r\n".encode()
"""Without the empty line that ends it."""


def handshake(extra: str = "") -> bytes:
    """A client's opening handshake, as it should be."""
    return get("/chat", extra=f"{UPGRADE}{NONCE_LINE}Sec-WebSocket-Version: 13\r\n{extra}")


def frame(payload: bytes, opcode: int = BINARY, *, masked: bool = False, final: bool = True) -> bytes:
    """A frame with the shortest header that its length allows."""
    bit, length = (0x80 if masked else 0), len(payload)
    head = bytes([(0x80 if final else 0) | opcode])
    if length > 65_535:
        head += bytes([bit | 127]) + length.to_bytes(8)
    elif length > 125:
        head += bytes([bit | 126]) + length.to_bytes(2)
    else:
        head += bytes([bit | length])
    if not masked:
        return head + payload
    mask = os.urandom(4)
    return head + mask + unmasked(payload, mask)


def unmasked(payload: bytes, mask: bytes) -> bytes:
    """Also the other way round (RFC 6455 section 5.3)."""
    if not payload:
        return b""
    stream = (mask * (len(payload) // 4 + 1))[: len(payload)]
    return (int.from_bytes(payload) ^ int.from_bytes(stream)).to_bytes(len(payload))


@dataclass(frozen=True, slots=True)
class Frame:
    """One as it was received, unmasked."""

    opcode: int
    payload: bytes
    masked: bool = False
    final: bool = True

    @property
    def code(self) -> int:
        """Of a Close frame."""
        return int.from_bytes(self.payload[:2])


@dataclass
class End:
    """One end of a pipe."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @property
    def transport(self) -> asyncio.Transport:
        return cast(asyncio.Transport, self.writer.transport)

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def has(self, size: int) -> None:
        """Wait until so much came, and leave it there."""
        came: bytearray = self.reader._buffer  # type: ignore[attr-defined]
        await eventually(lambda: len(came) >= size, every=0.001)

    async def take(self, size: int, seconds: float = 30.0) -> bytes:
        """Exactly so many bytes."""
        async with asyncio.timeout(seconds):
            return await self.reader.readexactly(size)

    async def frame(self) -> Frame:
        """The next one."""
        first, second = await self.take(2)
        length, masked = second & 0x7F, bool(second & 0x80)
        if length > 125:
            length = int.from_bytes(await self.take(2 if length == 126 else 8))
        mask = await self.take(4) if masked else b""
        payload = await self.take(length)
        return Frame(first & 0x0F, unmasked(payload, mask) if masked else payload, masked, bool(first & 0x80))

    async def rest(self, seconds: float = 8.0) -> bytes:
        """All that comes until the other side has no more to say. ConnectionError when it broke off."""
        async with asyncio.timeout(seconds):
            return await self.reader.read()

    async def ended(self, seconds: float = 8.0) -> bool:
        """Whether the other side ends, one way or the other, whatever comes before."""
        with contextlib.suppress(ConnectionError):
            await self.rest(seconds)
        return True


def closes(end: End) -> None:
    """It ends both directions."""
    end.writer.close()


def stops_sending(end: End) -> None:
    """It ends one direction, and would still hear the other."""
    end.writer.write_eof()


async def unread(end: End) -> None:
    """Wait until something lies in its socket, which is paused."""
    with socket.socket(fileno=os.dup(end.transport.get_extra_info("socket").fileno())) as raw:
        raw.setblocking(False)

        def lies() -> bool:
            with contextlib.suppress(BlockingIOError):
                return bool(raw.recv(1, socket.MSG_PEEK))
            return False

        await eventually(lies)


async def writes_until_lost(near: End, data: bytes, connection: Connection) -> None:
    """Send `data` on and on, until the router notices that nobody takes it."""

    def lost() -> bool:
        near.send(data)
        return connection.closed

    await eventually(lost)


def resets(end: End) -> None:
    """The other side gets a reset instead of an end."""
    linger = struct.pack("ii", 1, 0)
    end.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    end.transport.abort()


@dataclass
class Pipe:
    """The client's end and the cell's, and what the router has between them."""

    client: End
    cell: End
    between: ServerSide
    head: bytes
    """What the client got as the answer to its handshake."""


def accepting(cell: FakeCell, *, extra: bytes = b"", early: bytes = b"") -> "asyncio.Queue[End]":
    """Let the cell accept handshakes; its ends come out of the queue. `early`: what it sends behind the 101."""
    ends: asyncio.Queue[End] = asyncio.Queue()

    async def accept(_seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(SWITCHING + extra + b"\r\n" + early)
        ends.put_nowait(End(reader, writer))
        await writer.wait_closed()

    cell.script = accept
    return ends


async def answer_head(client: Client) -> bytes:
    """The head of an answer, with the empty line; what follows stays to be read."""
    async with asyncio.timeout(10.0):
        return await client.reader.readuntil(b"\r\n\r\n")


@contextlib.asynccontextmanager
async def piped(
    router: Router,
    cell: FakeCell,
    *,
    behind: bytes = b"",
    early: bytes = b"",
    extra: bytes = b"",
    receive_bytes: int | None = None,
) -> AsyncIterator[Pipe]:
    """An open WebSocket. `behind`: what the client sends right behind its handshake."""
    ends = accepting(cell, extra=extra, early=early)
    # What blocks this process's loop (many examples do) makes the router in it shed requests.
    await eventually(lambda: not router.lane.behind)
    before = set(router.lane.clients)
    async with connected(router, receive_bytes=receive_bytes) as client:
        client.send(handshake() + behind)
        head = await answer_head(client)
        assert head.startswith(b"HTTP/1.1 101 "), head
        async with asyncio.timeout(10.0):
            far = await ends.get()
        [between] = set(router.lane.clients) - before
        try:
            yield Pipe(End(client.reader, client.writer), far, between, head)
        finally:
            client.writer.transport.abort()
            far.transport.abort()


async def at_rest(router: Router) -> None:
    """Nothing of a pipe is left in what the router counts."""
    tenant = router.lane.active[b"acme"]
    pool = tenant.pool
    assert pool is not None

    def quiet() -> bool:
        counted = (metrics.PIPES._value.get(), pool.open, pool.awaiting, tenant.borrowed, len(router.lane.clients))
        assert counted == (0, 0, 0, 0, 0)
        return True

    await eventually(quiet, seconds=8.0)
