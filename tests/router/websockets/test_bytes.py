"""What goes through a pipe, and how much of it waits in the router."""

import asyncio
import os
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from directory.memory_feed import MemoryFeed
from router.app import Router
from tests.router.upstreams import FakeCell, running
from tests.router.websockets.wires import BINARY, CONTINUATION, PING, PONG, TEXT, End, frame, piped
from tests.waiting import eventually

LENGTHS = st.one_of(st.integers(0, 300), st.sampled_from([125, 126, 127, 65_535, 65_536, 100_000]))
OPCODES = st.sampled_from([CONTINUATION, TEXT, BINARY, PING, PONG, 0x3, 0xF])
PATTERN = bytes(range(256)) * 400
CUTS = st.lists(st.integers(min_value=0), max_size=20)
MEGABYTE = 2**20
MOST_WAITING_BYTES = 600_000
"""A write buffer's mark of 64 KiB, and what is read at a time; far less than what the other side would send."""


def wires(*, masked: bool) -> st.SearchStrategy[bytes]:
    """Some frames. What is in them does not matter, nor whether they make sense."""
    payloads = st.builds(lambda length, seed: PATTERN[seed % 256 :][:length], LENGTHS, st.integers())
    frames = st.builds(
        lambda payload, opcode, final: frame(payload, opcode, masked=masked, final=final),
        payloads,
        OPCODES,
        st.booleans(),
    )
    return st.lists(frames, max_size=5).map(b"".join)


async def in_pieces(end: End, data: bytes, cuts: list[int]) -> None:
    """Send `data`, cut up there."""
    places = sorted(cut % (len(data) + 1) for cut in cuts)
    for begin, stop in pairwise([0, *places, len(data)]):
        end.send(data[begin:stop])
        await asyncio.sleep(0)


@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(up=wires(masked=True), down=wires(masked=False), up_cuts=CUTS, down_cuts=CUTS)
async def test_bytes_pass_untouched_in_both_directions(
    router: Router, cell: FakeCell, up: bytes, down: bytes, up_cuts: list[int], down_cuts: list[int]
) -> None:
    """However frames are split, and whatever they are: what is wrong with them is for the other side to say."""
    async with piped(router, cell) as pipe:
        sent = asyncio.gather(in_pieces(pipe.client, up, up_cuts), in_pieces(pipe.cell, down, down_cuts))
        assert await pipe.cell.take(len(up)) == up
        assert await pipe.client.take(len(down)) == down
        await sent


@settings(max_examples=20, suppress_health_check=list(HealthCheck))
@given(up=st.binary(max_size=2000), down=st.binary(max_size=2000))
async def test_even_what_is_no_frame_passes(router: Router, cell: FakeCell, up: bytes, down: bytes) -> None:
    """The router is no judge of the protocol that both sides chose."""
    async with piped(router, cell, behind=up, early=down) as pipe:
        assert await pipe.cell.take(len(up)) == up
        assert await pipe.client.take(len(down)) == down


async def test_a_large_message_passes_in_both_directions_at_once(router: Router, cell: FakeCell) -> None:
    """It is passed on while it comes, not when it is whole."""
    up, down = frame(os.urandom(8 * MEGABYTE), masked=True), frame(os.urandom(8 * MEGABYTE))
    async with piped(router, cell) as pipe:
        pipe.client.send(up)
        pipe.cell.send(down)
        came_up, came_down = await asyncio.gather(pipe.cell.take(len(up)), pipe.client.take(len(down)))
        assert (came_up == up, came_down == down) == (True, True)


async def test_a_client_that_does_not_read_stops_its_cell(router: Router, cell: FakeCell) -> None:
    """What waits in the router is bounded, and all of it arrives once the client goes on."""
    data = os.urandom(40 * MEGABYTE)
    async with piped(router, cell, receive_bytes=4096) as pipe:
        pipe.client.transport.pause_reading()
        pipe.cell.send(data)
        passage = pipe.between.passage
        assert passage is not None
        connection = passage._connection
        assert connection is not None
        await eventually(lambda: connection._reading_paused)
        wire = pipe.between._transport
        assert wire is not None
        assert wire.get_write_buffer_size() < MOST_WAITING_BYTES
        assert pipe.cell.transport.get_write_buffer_size() > 0
        pipe.client.transport.resume_reading()
        assert await pipe.client.take(len(data), seconds=30.0) == data


async def test_a_cell_that_does_not_read_stops_its_client(router: Router, cell: FakeCell) -> None:
    """Likewise the other way."""
    data = os.urandom(40 * MEGABYTE)
    async with piped(router, cell) as pipe:
        pipe.cell.transport.pause_reading()
        pipe.client.send(data)
        await eventually(lambda: pipe.between._reading_paused)
        passage = pipe.between.passage
        assert passage is not None
        connection = passage._connection
        assert connection is not None
        assert connection._transport is not None
        assert connection._transport.get_write_buffer_size() < MOST_WAITING_BYTES
        assert pipe.client.transport.get_write_buffer_size() > 0
        pipe.cell.transport.resume_reading()
        assert await pipe.cell.take(len(data), seconds=30.0) == data


@pytest.mark.parametrize("stuck", ["client", "cell"])
async def test_a_direction_that_is_stuck_does_not_stop_the_other(
    router: Router, cell: FakeCell, stuck: str
) -> None:
    """Who sends a long message before it reads on must get it through, or both would wait for ever."""
    data = os.urandom(20 * MEGABYTE)
    async with piped(router, cell, receive_bytes=4096 if stuck == "client" else None) as pipe:
        reluctant, other = (pipe.client, pipe.cell) if stuck == "client" else (pipe.cell, pipe.client)
        reluctant.transport.pause_reading()
        other.send(bytes(40 * MEGABYTE))
        await eventually(lambda: pipe.between.write_paused or pipe.between._reading_paused)
        reluctant.send(data)
        assert await other.take(len(data), seconds=20.0) == data


async def test_a_client_that_takes_nothing_is_not_waited_for_for_ever(feed: MemoryFeed, cell: FakeCell) -> None:
    """By the same deadline as for ordinary answers, and its cell is told."""
    async with (
        running(feed, write_idle_seconds=0.3) as router,
        piped(router, cell, receive_bytes=4096) as pipe,
    ):
        pipe.client.transport.pause_reading()
        pipe.cell.send(bytes(40 * MEGABYTE))
        assert await pipe.cell.ended()
