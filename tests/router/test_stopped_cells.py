"""A cell that is stopped: its kernel still accepts connections, and nothing ever answers. SIGSTOP does that."""

import asyncio
import contextlib
import json
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator

import pytest
from prometheus_client import REGISTRY

from directory.memory_feed import MemoryFeed
from directory.values import CellEntry, Change
from tests.router.upstreams import IDENTITY, KEY, Answer, FakeCell, ask, connected, get, running, snapshot_of
from tests.waiting import eventually

CELL = """
import asyncio

async def serve(reader, writer):
    while True:
        head = await reader.readuntil(b"\\r\\n\\r\\n")
        if b"/events" in head:
            writer.write(b"HTTP/1.1 200 OK\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n1\\r\\na\\r\\n")
        elif b"/hang" not in head:
            writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok")

async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()

asyncio.run(main())
"""


@contextlib.asynccontextmanager
async def process_cell() -> AsyncIterator[tuple[Process, str]]:
    """A cell in a process of its own, and its address."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", CELL, stdout=PIPE, stderr=PIPE)
    assert process.stdout is not None
    port = int(await process.stdout.readline())
    try:
        yield process, f"http://127.0.0.1:{port}"
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


def post(key: str = KEY, extra: str = "") -> bytes:
    return get("/hang", method="POST", extra=f"Content-Length: 1\r\n{extra}", key=key) + b"x"


def of_beta() -> bytes:
    return get().replace(b"acme", b"beta")


def problem(answer: Answer) -> dict[str, object]:
    assert answer.status == 503, answer
    found: dict[str, object] = json.loads(answer.body)
    return found


def given_up(cell_id: str, outcome: str) -> float:
    """What the router answered itself, as its page tells it."""
    labels = {"cell": cell_id, "outcome": outcome}
    return REGISTRY.get_sample_value("cellway_router_given_up_total", labels) or 0.0


@pytest.fixture
async def feed() -> MemoryFeed:
    return MemoryFeed()


async def test_tenants_of_a_stopped_cell_are_told_and_others_notice_nothing(
    feed: MemoryFeed, cell: FakeCell
) -> None:
    """Those who wait are told, those who come are told at once, and all goes on when the cell does."""
    async with process_cell() as (process, address):
        assignments = {"acme": ("stopped", 5), "beta": ("well", 6)}
        await feed.fill(snapshot_of({"stopped": address, "well": cell.address}, assignments))
        async with running(feed, response_seconds=30.0) as router:
            await eventually(lambda: len(router.table))
            assert (await ask(router, get())).status == 200
            assert (await ask(router, of_beta())).status == 200
            before = given_up("stopped", "silent"), given_up("stopped", "down")
            process.send_signal(signal.SIGSTOP)
            waiting = [
                asyncio.ensure_future(ask(router, data))
                for data in (get(), post(), post(extra="Idempotency-Key: a\r\n"), get())
            ]
            async with asyncio.timeout(5):  # far below the deadline for answers
                told = [problem(await each) for each in waiting]
            assert [each["retryable"] for each in told] == [True, False, True, True]
            assert all(each["metadata"] == {"outcome": "unknown"} for each in told)
            at_once = problem(await ask(router, post()))
            assert (at_once["retryable"], at_once["metadata"]) == (True, {})
            assert given_up("stopped", "silent") - before[0] == len(waiting)
            assert given_up("stopped", "down") - before[1] == 1
            assert (await ask(router, of_beta())).status == 200
            assert router.cells.pool("stopped").state == "stopped"
            assert router.cells.pool("well").state == "answers"
            assert router.cells.suspects() == ["stopped"]
            process.send_signal(signal.SIGCONT)
            await eventually(lambda: router.cells.pool("stopped").state == "answers")
            await eventually(lambda: not router.cells.suspects())
            assert (await ask(router, get())).status == 200


async def test_a_slow_answer_is_not_silence(feed: MemoryFeed) -> None:
    """The cell answers probes while one of its requests takes long."""
    async with process_cell() as (_process, address):
        await feed.fill(snapshot_of({"cell-1": address}, {"acme": ("cell-1", 5)}))
        async with running(feed, probe_seconds=0.05, stopped_seconds=0.5, response_seconds=1.5) as router:
            await eventually(lambda: len(router.table))
            assert (await ask(router, get("/hang"))).status == 504
            assert router.cells.pool("cell-1").state == "answers"


async def test_a_killed_cell_is_told_at_once_and_found_when_it_is_back(feed: MemoryFeed) -> None:
    """Its kernel resets what was under way, and refuses what comes: nothing to wait for."""
    async with process_cell() as (process, address):
        await feed.fill(snapshot_of({"cell-1": address}, {"acme": ("cell-1", 5)}))
        async with running(feed) as router:
            await eventually(lambda: len(router.table))
            waiting = asyncio.ensure_future(ask(router, get("/hang")))
            await eventually(lambda: router.cells.pool("cell-1").open)
            assert (await ask(router, get())).status == 200
            process.kill()
            await process.wait()
            assert (await waiting).status in (502, 503)
            # A connection whose end is not noticed yet could still take the request, whose fate would be unknown.
            await eventually(lambda: not router.cells.pool("cell-1").open)
            assert problem(await ask(router, post()))["retryable"] is True


async def test_a_cell_killed_while_stopped_is_no_longer_taken_for_silent(feed: MemoryFeed) -> None:
    """Its kernel says that nobody listens, which is an answer; who comes is told so without a wait."""
    async with process_cell() as (process, address):
        await feed.fill(snapshot_of({"cell-1": address}, {"acme": ("cell-1", 5)}))
        async with running(feed) as router:
            await eventually(lambda: len(router.table))
            process.send_signal(signal.SIGSTOP)
            problem(await ask(router, get()))
            process.kill()
            await process.wait()
            await eventually(lambda: router.cells.pool("cell-1").state == "unknown")
            assert problem(await ask(router, get()))["retryable"] is True


async def test_an_answer_that_began_is_left_to_its_own_deadline(feed: MemoryFeed) -> None:
    """A stream may be silent for long; only those who wait for a head are told."""
    async with process_cell() as (process, address):
        await feed.fill(snapshot_of({"cell-1": address}, {"acme": ("cell-1", 5)}))
        async with running(feed, response_idle_seconds=60.0) as router, connected(router) as client:
            await eventually(lambda: len(router.table))
            client.send(get("/events"))
            await client.reader.readuntil(b"1\r\na\r\n")
            process.send_signal(signal.SIGSTOP)
            problem(await ask(router, get()))
            assert not client.reader.at_eof()
            process.kill()
            assert await client.closed()


async def test_who_waits_at_the_address_that_a_cell_had_before_is_told_as_well(feed: MemoryFeed) -> None:
    """The cell has moved on; the machine that it left falls silent with requests under way."""
    async with process_cell() as (old, old_address), process_cell() as (_new, new_address):
        await feed.fill(snapshot_of({"cell-1": old_address}, {"acme": ("cell-1", 5)}))
        async with running(feed, response_seconds=30.0) as router:
            await eventually(lambda: len(router.table))
            waiting = asyncio.ensure_future(ask(router, get("/hang")))
            left = router.cells.pool("cell-1")
            await eventually(lambda: left.waiting)
            await feed.publish(IDENTITY, [Change(11, CellEntry("cell-1", "open", new_address))])
            await eventually(lambda: router.table.seq == 11)
            assert (await ask(router, get())).status == 200
            old.send_signal(signal.SIGSTOP)
            async with asyncio.timeout(5):  # far below the deadline for answers
                assert problem(await waiting)["metadata"] == {"outcome": "unknown"}
            assert (left.state, router.cells.pool("cell-1").state) == ("stopped", "answers")
            assert (await ask(router, get())).status == 200
            await eventually(lambda: not router.cells.leaving)
