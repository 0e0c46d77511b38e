"""What cells do wrong, as scripts for `FakeCell`."""

import asyncio
import socket
import struct

from tests.router.upstreams import RawScript, Script, Seen

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
ENDLESS = b"HTTP/1.1 200 OK\r\n\r\n"
EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
EVENT = b"data: " + b"e" * 1000 + b"\n\n"
PIECE = bytes(65_536)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def long(piece: bytes = PIECE) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (len(piece) * 1_000_000)


def reset(writer: asyncio.StreamWriter) -> None:
    """End the connection as a cell does that crashed: with RST, not FIN."""
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def endless(head: bytes, piece: bytes) -> Script:
    """A response that never ends, as fast as it is taken."""

    async def script(_seen: Seen, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        while True:
            writer.write(piece)
            await writer.drain()

    return script


async def silent(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Read nothing, say nothing."""
    await asyncio.Event().wait()


async def deaf(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Read all, say nothing."""
    while await reader.read(65_536):
        pass


def saying(data: bytes, then: RawScript = deaf) -> RawScript:
    """Say `data` after the request's head, whatever it was."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()
        await then(reader, writer)

    return script
