"""A TCP proxy that can be told to misbehave: for as long as a fault is there, and no longer."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Callable

from runtime.tasks import Tasks

HOST = "127.0.0.1"
CHUNK_BYTES = 65_536
CONNECT_SECONDS = 3.0
_RESET = struct.pack("ii", 1, 0)
"""Nothing lingers: the other side gets a reset instead of an end."""


class Proxy:
    """Listens on a port of its own and passes bytes on to `target`, which is asked each time (0: to nobody).

    Whatever a fault leaves in an unnatural state (bytes that were swallowed) ends with its connection.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.target: Callable[[], int] = lambda: 0
        self.port = 0
        self._server: asyncio.Server | None = None
        self._tasks = Tasks()
        self._writers: set[asyncio.StreamWriter] = set()
        self._refusing = False
        self._deaf = False
        self._delay_seconds = 0.0
        self._flowing = asyncio.Event()
        self._flowing.set()

    def __repr__(self) -> str:
        return f"<Proxy {self.name} :{self.port} to :{self.target()}, {len(self._writers) // 2} connections>"

    async def __aenter__(self) -> "Proxy":
        self._server = await asyncio.start_server(self._accepted, HOST, 0, limit=CHUNK_BYTES)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_error: object) -> None:
        if self._server is not None:
            self._server.close()
        self._break()
        await self._tasks.close()

    @contextlib.asynccontextmanager
    async def cut(self) -> AsyncIterator[None]:
        """Every connection is reset, and none is taken."""
        self._refusing = True
        self._break()
        try:
            yield
        finally:
            self._refusing = False

    @contextlib.asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Nothing gets through in either direction; afterwards all of it does, late."""
        self._flowing.clear()
        try:
            yield
        finally:
            self._flowing.set()

    @contextlib.asynccontextmanager
    async def delayed(self, seconds: float) -> AsyncIterator[None]:
        """Each chunk is late."""
        self._delay_seconds = seconds
        try:
            yield
        finally:
            self._delay_seconds = 0.0

    @contextlib.asynccontextmanager
    async def deaf(self) -> AsyncIterator[None]:
        """What is asked gets through, and is done; no answer comes back, and in the end the connection breaks."""
        self._deaf = True
        try:
            yield
        finally:
            self._break()
            self._deaf = False

    def _refuses(self) -> bool:
        return self._refusing or not self.target()

    def _break(self) -> None:
        for writer in self._writers:
            if not writer.transport.is_closing():
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                writer.transport.abort()

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        if self._refuses():
            self._break()
            self._writers.discard(writer)
            return
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                far_reader, far_writer = await asyncio.open_connection(HOST, self.target(), limit=CHUNK_BYTES)
        except OSError:
            self._writers.discard(writer)
            writer.transport.abort()
            return
        self._writers.add(far_writer)
        if self._refuses():  # by now
            self._break()
        asked = self._tasks.spawn("asked", self._pass(reader, far_writer, lambda: False))
        answered = self._tasks.spawn("answered", self._pass(far_reader, writer, lambda: self._deaf))
        try:
            await asyncio.wait((asked, answered))
        finally:
            for each in (writer, far_writer):
                self._writers.discard(each)
                each.transport.abort()

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, swallows: Callable[[], bool]
    ) -> None:
        try:
            while chunk := await reader.read(CHUNK_BYTES):
                if self._delay_seconds:
                    await asyncio.sleep(self._delay_seconds)
                await self._flowing.wait()
                if not swallows():
                    writer.write(chunk)
                    await writer.drain()
            if not swallows():
                writer.write_eof()
        except OSError:
            writer.transport.abort()
