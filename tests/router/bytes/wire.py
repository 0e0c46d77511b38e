"""A cell that records bytes, a router before it, and what tests ask of the two.

The cell reads requests by h11 alone, and remembers whatever h11 refuses or never sees the end of: a router that
lets something odd through cannot hide it.
"""

import asyncio
import contextlib
import itertools
import re
import socket
import struct
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import cast

from directory.memory_feed import MemoryFeed
from router.app import Router
from tests.router.bytes.messages import SMUGGLED, request, sized
from tests.router.bytes.views import Answers, Message, Unreadable, answers_by_h11, next_request
from tests.router.upstreams import running, snapshot_of
from tests.waiting import eventually

SECONDS = 5.0
"""Deadline of everything that is waited for here."""
_FRESH = re.compile(rb"(?im)^(x-request-id|traceparent): [^\r]*\r\n")


@dataclass(frozen=True, slots=True)
class Forwarded:
    """A request as it came to the cell: its bytes, and what h11 makes of them. `connection` counts from 1."""

    connection: int
    wire: bytes
    message: Message

    @property
    def method(self) -> bytes:
        return cast(bytes, self.message.start[0])

    @property
    def target(self) -> bytes:
        return cast(bytes, self.message.start[1])

    @property
    def body(self) -> bytes:
        return self.message.body

    @property
    def head(self) -> bytes:
        return self.wire.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"

    def values(self, name: bytes) -> list[bytes]:
        """The values of the header `name` (lower case), in order."""
        return self.message.values(name)

    @property
    def repeatable(self) -> bytes:
        """Its bytes without the lines that differ from one time to the next."""
        return _FRESH.sub(b"", self.wire)


@dataclass(frozen=True, slots=True)
class Reply:
    """What the cell says: pieces, each in a segment of its own, and what becomes of the connection then."""

    pieces: Sequence[bytes]
    then: str = "keep"
    """`keep`, `close` or `reset`."""


Answering = Callable[[Forwarded], Reply]


def echo(forwarded: Forwarded) -> Reply:
    """An answer that tells its request."""
    body = b"%s %s" % (forwarded.method, forwarded.target)
    if forwarded.method == b"HEAD":
        return Reply([sized(body)[: -len(body)]])
    return Reply([sized(body)])


@dataclass
class WireCell:
    """`seen` are whole requests, `faults` is what h11 refused, `broken` what never ended."""

    answering: Answering = echo
    seen: list[Forwarded] = field(default_factory=list)
    faults: list[tuple[str, bytes]] = field(default_factory=list)
    broken: list[bytes] = field(default_factory=list)
    connections: int = 0
    open: set["Line"] = field(default_factory=set)

    def forget(self) -> None:
        """Begin anew; connections stay."""
        self.answering = echo
        for record in (self.seen, self.faults, self.broken):
            record.clear()

    @property
    def unfinished(self) -> list[bytes]:
        """What began and has not ended, or never will."""
        return [*self.broken, *(line.pending for line in self.open if line.pending)]


class Line(asyncio.Protocol):
    """One connection to the cell, which answers one request after the other."""

    def __init__(self, cell: WireCell) -> None:
        self._cell = cell
        self.pending = b""
        cell.connections += 1
        self._number = cell.connections
        self._replies: deque[Reply] = deque()
        """What is being told in pieces, and what comes after it."""
        self._telling: asyncio.Task[None] | None = None
        self._switched = False
        """Whether what comes is not HTTP any more."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._cell.open.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._cell.open.discard(self)
        if self.pending:
            self._cell.broken.append(self.pending)
        if self._telling is not None:
            self._telling.cancel()

    def data_received(self, data: bytes) -> None:
        if not self._switched:
            self.pending += data
        while self.pending:
            try:
                message, rest, _ = next_request(self.pending)
            except Unreadable as error:
                self._cell.faults.append((str(error), self.pending))
                self._transport.abort()
                return
            if message is None:
                return
            wire = self.pending[: len(self.pending) - len(rest)]
            self.pending = rest
            self._came(Forwarded(self._number, wire, message))
            if self._switched:
                self.pending = b""

    def _came(self, forwarded: Forwarded) -> None:
        if forwarded.target == b"/health/live" and not forwarded.values(b"cellway-tenant"):
            self._transport.write(sized(b"ok"))
            return
        self._cell.seen.append(forwarded)
        reply = self._cell.answering(forwarded)
        self._switched = bool(forwarded.values(b"upgrade")) and b"HTTP/1.1 101 " in b"".join(reply.pieces)
        if len(reply.pieces) == 1 and not self._replies:
            self._transport.write(reply.pieces[0])
            self._end(reply.then)
            return
        # A request can come while the answer before it is told: when that goes on after its end.
        self._replies.append(reply)
        if len(self._replies) == 1:
            self._telling = asyncio.get_running_loop().create_task(self._tell())

    async def _tell(self) -> None:
        while self._replies:
            for piece in self._replies[0].pieces:
                self._transport.write(piece)
                await turns(4)
            self._end(self._replies.popleft().then)

    def _end(self, then: str) -> None:
        if then == "close":
            self._transport.close()
        elif then == "reset":
            linger = struct.pack("ii", 1, 0)
            self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self._transport.abort()


async def turns(number: int) -> None:
    """Let the loop go round: router, client and cell all live in it, and what is sent in one turn is there in
    the next.
    """
    for _ in range(number):
        await asyncio.sleep(0)


@dataclass(frozen=True, slots=True)
class Said:
    """What a client got, and how its connection stands: `open`, `closed` in good order, or `reset`."""

    raw: bytes
    state: str

    def answers(self, method: bytes = b"GET") -> Answers:
        """The first answer in it, by h11."""
        return answers_by_h11(self.raw, method=method, ended=self.state == "closed")


class Speaker(asyncio.Protocol):
    """A client's connection: sends as it is told, and collects whatever comes, also while it sends."""

    def __init__(self) -> None:
        self.raw = b""
        self.state = "open"
        self._news = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.raw += data
        self._news.set()

    def eof_received(self) -> None:
        self.state = "closed"
        self._news.set()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.state == "open":
            self.state = "closed" if exc is None else "reset"
        self._news.set()

    @property
    def said(self) -> Said:
        return Said(self.raw, self.state)

    async def send(self, pieces: Sequence[bytes]) -> None:
        """Each in a segment of its own, as far as the kernel plays along."""
        for piece in pieces:
            if self.state != "open":
                return
            self._transport.write(piece)
            if len(pieces) > 1:
                await turns(2)

    def leave(self) -> None:
        """Close at once."""
        self._transport.abort()

    async def _more(self) -> None:
        self._news.clear()
        await self._news.wait()

    async def until_closed(self) -> Said:
        """Everything up to the connection's end."""
        async with asyncio.timeout(SECONDS):
            while self.state == "open":
                await self._more()
        return self.said

    async def until_answered(self, count: int = 1, method: bytes = b"GET") -> list[Answers]:
        """That many answers, the last perhaps broken off."""
        found: list[Answers] = []
        async with asyncio.timeout(SECONDS):
            while len(found) < count:
                answers = self.said.answers(method)
                if answers.complete:
                    found.append(answers)
                    self.raw = answers.rest
                elif self.state != "open":
                    return [*found, answers]
                else:
                    await self._more()
        return found

    async def until_quiet(self, cell: WireCell, *, rounds: int = 12) -> Said:
        """Until nothing more happens here or at the cell, which is only ever guessed: a wrong guess weakens a
        test, and never breaks one.
        """
        while self.state == "open":
            before = len(self.raw), len(cell.seen), len(cell.faults)
            await turns(rounds)
            if before == (len(self.raw), len(cell.seen), len(cell.faults)):
                break
        return self.said


@dataclass
class Wire:
    """A router, and the cell of its tenants acme and beta."""

    router: Router
    cell: WireCell
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    @contextlib.asynccontextmanager
    async def speaking(self) -> AsyncIterator[Speaker]:
        """A client's connection."""
        port = self.router.site.port
        _, speaker = await asyncio.get_running_loop().create_connection(Speaker, "127.0.0.1", port)
        try:
            yield speaker
        finally:
            speaker.leave()

    async def refused(self, data: bytes, *, behind: bytes = SMUGGLED, trickled: bool = False) -> Answers:
        """Send what must be refused. It is answered once, the connection ends, and nothing reaches the cell."""
        self.cell.forget()
        everything = data + behind
        async with self.speaking() as speaker:
            await speaker.send([bytes([byte]) for byte in everything] if trickled else [everything])
            said = await speaker.until_closed()
        answers = said.answers()
        assert answers.complete, f"no whole answer: {said}"
        assert not answers.rest, f"more than one answer: {said}"
        assert len(answers.messages) == 1, f"not refused at once: {said}"
        await self.nothing_came()
        return answers

    async def nothing_came(self) -> None:
        """Not a byte reached the cell: the next request of somebody else is the first that it sees."""
        target = b"/barrier/%d" % next(self._numbers)
        await self.exchange(request(line=b"GET %s HTTP/1.1" % target), forget=False)
        assert [each.target for each in self.cell.seen] == [target]
        assert not self.cell.faults
        assert not self.cell.unfinished

    async def settled(self) -> None:
        """What was sent before has come to the cell, or never will: a later request has."""
        known = list(self.cell.seen)
        self.cell.answering = echo
        target = b"/barrier/%d" % next(self._numbers)
        await self.exchange(request(line=b"GET %s HTTP/1.1" % target), forget=False)
        self.cell.seen[:] = [each for each in self.cell.seen if each.target != target]
        assert self.cell.seen[: len(known)] == known

    async def exchange(
        self, *pieces: bytes, method: bytes = b"GET", forget: bool = True, reply: Reply | None = None
    ) -> Answers:
        """One request, and its answer."""
        if forget:
            self.cell.forget()
        if reply is not None:
            self.cell.answering = lambda _forwarded: reply
        async with self.speaking() as speaker:
            await speaker.send(pieces)
            [answers] = await speaker.until_answered(1, method)
        return answers

    async def forwarded(self, *pieces: bytes) -> Forwarded:
        """Send one request that must pass; as it came to the cell."""
        answers = await self.exchange(*pieces)
        assert answers.complete
        assert answers.final.start[0] == 200, answers
        assert not self.cell.faults
        [seen] = self.cell.seen
        return seen

    async def not_used_again(self, connection: int) -> None:
        """The cell's connection of that number sees no further request, and ends."""
        self.cell.answering = echo
        for _ in range(3):
            await self.exchange(request(), forget=False)
        await eventually(lambda: connection not in {line._number for line in self.cell.open})
        assert [each.connection for each in self.cell.seen].count(connection) == 1


@contextlib.asynccontextmanager
async def wired(**settings: object) -> AsyncIterator[Wire]:
    """A router of its own, and its cell."""
    cell = WireCell()
    server = await asyncio.get_running_loop().create_server(lambda: Line(cell), "127.0.0.1", 0)
    address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    feed = MemoryFeed()
    await feed.fill(snapshot_of({"cell-1": address}, {"acme": ("cell-1", 5), "beta": ("cell-1", 7)}))
    try:
        async with running(feed, **settings) as router:
            await eventually(lambda: len(router.table))
            yield Wire(router, cell)
    finally:
        server.close()
        for line in list(cell.open):
            line._transport.abort()
