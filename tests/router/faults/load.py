"""A cell and clients that cost little, for tests with many requests."""

import asyncio
import contextlib
import socket
from collections import deque
from collections.abc import AsyncIterator, Sequence
from math import inf
from typing import cast

from tests.router.upstreams import OK

HEAD = b"HTTP/1.1 "
"""How an answer begins, and nothing else in it."""


class LeanCell:
    """Answers GETs with `ok`: at once, or so many at a time in `seconds` each, and others wait in line."""

    def __init__(self, *, slots: float = inf, seconds: float = 0.0) -> None:
        self.address = ""
        self.answered = 0
        self._slots, self._seconds = slots, seconds
        self._line: deque[LeanConnection] = deque()
        self._busy = 0

    def asked(self, connection: "LeanConnection") -> None:
        if not self._seconds:
            self._answer(connection)
        elif self._busy < self._slots:
            self._work(connection)
        else:
            self._line.append(connection)

    def _work(self, connection: "LeanConnection") -> None:
        self._busy += 1
        asyncio.get_running_loop().call_later(self._seconds, self._worked, connection)

    def _worked(self, connection: "LeanConnection") -> None:
        self._busy -= 1
        self._answer(connection)
        if self._line:
            self._work(self._line.popleft())

    def _answer(self, connection: "LeanConnection") -> None:
        self.answered += 1
        if connection.wire is not None:
            connection.wire.write(OK)


class LeanConnection(asyncio.Protocol):
    """One of its connections."""

    def __init__(self, cell: LeanCell) -> None:
        self._cell = cell
        self._rest = b""
        self.wire: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.wire = cast(asyncio.Transport, transport)

    def connection_lost(self, _error: Exception | None) -> None:
        self.wire = None

    def data_received(self, data: bytes) -> None:
        *heads, self._rest = (self._rest + data).split(b"\r\n\r\n")
        for _ in heads:
            self._cell.asked(self)


@contextlib.asynccontextmanager
async def lean(*, slots: float = inf, seconds: float = 0.0) -> AsyncIterator[LeanCell]:
    """The cell on a port of its own."""
    cell = LeanCell(slots=slots, seconds=seconds)
    made: list[LeanConnection] = []

    def connection() -> LeanConnection:
        made.append(LeanConnection(cell))
        return made[-1]

    server = await asyncio.get_running_loop().create_server(connection, "127.0.0.1", 0)
    cell.address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield cell
    finally:
        server.close()
        for each in made:
            if each.wire is not None:
                each.wire.abort()


def pipelined(port: int, requests: Sequence[bytes], at_once: int) -> int:
    """Send all over one connection, `at_once` in one go; blocks. Returns the answers of status 200."""
    good = 0
    with socket.create_connection(("127.0.0.1", port), timeout=30.0) as wire:
        for start in range(0, len(requests), at_once):
            batch = requests[start : start + at_once]
            wire.sendall(b"".join(batch))
            data = b""
            while data.count(HEAD) < len(batch) or len(data) < data.rfind(HEAD) + len(HEAD) + 4:
                came = wire.recv(262_144)
                assert came
                data += came
            good += data.count(HEAD + b"200 ")
    return good


def one_each(port: int, requests: list[bytes]) -> int:
    """As many connections as requests, all open at a time; blocks. Returns the answers of status 200."""
    with contextlib.ExitStack() as stack:
        wires = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30.0)) for _ in requests
        ]
        for wire, request in zip(wires, requests, strict=True):
            wire.sendall(request)
        # Every tenth does not wait for its answer.
        return sum(wire.recv(4096).startswith(b"HTTP/1.1 200 ") for at, wire in enumerate(wires) if at % 10)
