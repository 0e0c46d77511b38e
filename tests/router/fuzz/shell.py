"""A router and its cell in memory, and what must hold after each case.

- Nothing escapes: no exception out of a callback or a task, and no answer that says "a fault of this service".
- What reaches the cell is read alike by h11 and aiohttp, and is no more than h11 sees in what was sent.
- Nothing hangs: when the client leaves, or every deadline has passed, no task is left and no connection busy.
- Nothing piles up: of what a stuck peer does not take, the router accepts a bounded number of bytes.
"""

import asyncio
import contextlib
import re
import sys
import traceback
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import cast

import pytest

from tests.router.bytes.messages import request
from tests.router.bytes.mutations import cut
from tests.router.bytes.test_requests_agree import accounted
from tests.router.bytes.test_responses_agree import agreed as answer_agreed
from tests.router.bytes.views import Unreadable, requests
from tests.router.bytes.wire import Forwarded, Reply, Said, Speaker, Wire, turns, wired
from tests.router.fuzz.case import Case, Mood
from tests.router.fuzz.network import MemoryLoop, MemoryTransport

MOST_ACCEPTED_BYTES = 2_000_000
"""Of what nobody takes: read ahead, parsed, buffered in transports of this process."""
REPLAY_BYTES = 100
"""So that there are bodies of either kind: some are kept for a second attempt, others passed on as they come."""
LARGEST_COMPARED_BYTES = 1_000_000
"""What h11 reads in little time."""
FLOOD_BYTES = 4_000_000
DEADLINE_STEPS_SECONDS = (1, 5, 11, 31, 61, 76, 301, 3601)
"""Past each of the router's deadlines in turn, up to the longest."""
TURNS_AFTER = 60
"""What is still on its way when the client leaves needs fewer."""
MOST_TURNS = 3000
_REASON = re.compile(rb'"detail":"([^"]*)"')


class Found(Exception):
    """A case after which something did not hold."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What the outside could tell of a case. A new one makes its case worth keeping."""

    statuses: tuple[bytes, ...]
    reasons: tuple[bytes, ...]
    state: str
    forwarded: tuple[tuple[object, ...], ...]
    broken: bool


def told(error: Exception) -> str:
    """What did not hold, and where it was asked: outside pytest an assertion alone says nothing."""
    asked = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({asked.name}: {asked.line})"


def _form(seen: Forwarded) -> tuple[object, ...]:
    """What kind of request it is."""
    framing = (bool(seen.values(b"content-length")), bool(seen.values(b"transfer-encoding")))
    return seen.method, *framing, len(seen.message.trailers), len(seen.message.headers), seen.target[:2]


class Shell:
    """Runs cases, one after the other, through one router."""

    def __init__(self, wire: Wire, loop: MemoryLoop) -> None:
        self._wire, self._loop = wire, loop
        self._idle_tasks = len(asyncio.all_tasks())

    async def run(self, case: Case) -> Behaviour:
        """Found when something did not hold."""
        cell = self._wire.cell
        cell.forget()
        if case.cell:
            reply = Reply(cut(case.cell, list(case.cell_cuts)), case.then)
            cell.answering = lambda _forwarded: reply
        said = await self._play(case)
        try:
            await self._judge(case, said)
        except (AssertionError, Unreadable) as error:
            raise Found(told(error)) from error
        statuses = re.findall(rb"(?m)^HTTP/1\.1 (\d{3})", said.raw)
        return Behaviour(
            tuple(statuses[:4]),
            tuple(_REASON.findall(said.raw)[:2]),
            said.state,
            tuple(_form(seen) for seen in cell.seen[:3]),
            bool(cell.broken),
        )

    # --- playing ---

    async def _play(self, case: Case) -> Said:
        transport, protocol = await self._loop.create_connection(Speaker, "127.0.0.1", self._wire.router.site.port)
        speaker = cast(Speaker, protocol)
        if case.mood is Mood.FLOOD:
            await self._flood(case, transport, speaker)
        elif case.mood is Mood.DEAF:
            await self._deafen(case, transport)
        else:
            await speaker.send(cut(case.client, list(case.client_cuts)))
            await speaker.until_quiet(self._wire.cell)
        if case.mood is Mood.PATIENT:
            await self._let_deadlines_pass(speaker)
        said = speaker.said
        transport.abort()
        await turns(TURNS_AFTER)
        await self._until_idle()
        return said

    async def _flood(self, case: Case, transport: MemoryTransport, speaker: Speaker) -> None:
        """Send as long as the router takes it, to a cell that is stuck."""
        self._wire.cell.answering = lambda _forwarded: Reply([])
        read_before = self._read_by_cell()
        piece = case.client * (50_000 // max(1, len(case.client)) + 1)
        with self._stuck():
            sent = 0
            while sent < FLOOD_BYTES and not (speaker.raw or transport.is_closing() or transport.peer.is_stuck):
                transport.write(piece)
                sent += len(piece)
                await turns(6)
        taken = transport.peer.delivered - self._read_by_cell() + read_before
        if speaker.state == "open" and not speaker.raw and taken > MOST_ACCEPTED_BYTES:
            raise Found(f"{taken} bytes were taken of a client whose cell takes none")

    def _read_by_cell(self) -> int:
        return sum(cast(MemoryTransport, line._transport).delivered for line in self._wire.cell.open)

    @contextlib.contextmanager
    def _stuck(self) -> Iterator[None]:
        lines = list(self._wire.cell.open)
        for line in lines:
            line._transport.pause_reading()
        yield
        for line in lines:
            if not line._transport.is_closing():
                line._transport.resume_reading()

    async def _deafen(self, case: Case, transport: MemoryTransport) -> None:
        """Read nothing of many answers."""
        transport.pause_reading()
        sent = 0
        while sent < FLOOD_BYTES and not (transport.is_closing() or transport.peer.is_stuck):
            piece = case.client * (20_000 // max(1, len(case.client)) + 1)
            transport.write(piece)
            sent += len(piece)
            await turns(10)
        unread = transport.held
        if unread > MOST_ACCEPTED_BYTES:
            raise Found(f"{unread} bytes were kept for a client that reads none")

    async def _let_deadlines_pass(self, speaker: Speaker) -> None:
        for seconds in DEADLINE_STEPS_SECONDS:
            self._loop.advance(seconds)
            await turns(30)
            if speaker.state != "open":
                return
        heard = -1
        while len(speaker.raw) > heard:  # an answer: the requests that follow it have deadlines of their own
            heard = len(speaker.raw)
            self._loop.advance(DEADLINE_STEPS_SECONDS[-1])
            await turns(30)
            if speaker.state != "open":
                return
        raise Found("every deadline has passed, and the client still waits")

    async def _until_idle(self) -> None:
        for _ in range(MOST_TURNS):
            if len(asyncio.all_tasks()) <= self._idle_tasks and not self._busy():
                return
            await asyncio.sleep(0)
        left = [task.get_name() for task in asyncio.all_tasks()]
        raise Found(f"the client has left, and something goes on: {left}, {self._busy()}")

    def _busy(self) -> list[bytes]:
        return [line.pending for line in self._wire.cell.open if line.pending]

    # --- judging ---

    async def _judge(self, case: Case, said: Said) -> None:
        escaped, self._loop.escaped = self._loop.escaped, []
        assert not escaped, escaped
        assert b"HTTP/1.1 500 " not in said.raw or b"HTTP/1.1 500 " in case.cell, said.raw
        cell = self._wire.cell
        assert not cell.faults, cell.faults
        data = case.client
        if case.mood in (Mood.FLOOD, Mood.DEAF):
            data *= 1 + (20 * len(cell.seen))
        if len(data) < LARGEST_COMPARED_BYTES:
            accounted(requests(data), cell.seen, disowned=b" 421" in case.cell)
        switched = b"HTTP/1.1 101 " in said.raw
        if (
            case.mood is Mood.ORDINARY
            and not switched
            and len(requests(case.client)) == 1
            and not case.client_cuts
        ):
            method = cast(bytes, requests(case.client)[0].start[0])
            if cell.seen and method in (b"GET", b"POST", b"HEAD"):
                rest = said.answers(method).rest
                answer_agreed(Said(said.raw.removesuffix(rest), said.state), method)

    async def serves(self) -> None:
        """After all that the router answers as if nothing had been. Found when it does not."""
        for _ in range(40):
            self._wire.cell.forget()
            answers = await self._wire.exchange(request())
            if answers.complete and answers.final.start[0] == 200:
                return
            self._loop.advance(1.0)
            await turns(30)
        raise Found("an ordinary request is not answered any more")


@contextlib.contextmanager
def clock_of(loop: MemoryLoop) -> Iterator[None]:
    """The router's modules read the loop's time, which can be turned on, in place of the machine's."""
    with pytest.MonkeyPatch.context() as patch:
        for name, module in list(sys.modules.items()):
            if name.startswith("router.") and hasattr(module, "monotonic"):
                patch.setattr(module, "monotonic", loop.time)
        yield


@contextlib.asynccontextmanager
async def shelled() -> AsyncIterator[Shell]:
    """A shell with a router of its own, in the running loop, which is a `MemoryLoop`."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, MemoryLoop)
    with clock_of(loop):
        async with wired(replay_bytes=REPLAY_BYTES) as wire:
            shell = Shell(wire, loop)
            await wire.exchange(request())
            await turns(200)
            shell._idle_tasks = len(asyncio.all_tasks())
            yield shell
