"""The process that makes the load, against a server that misbehaves: what is late is counted, none is left out."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import numpy as np

from loadtests.scenarios.load import Loading, Way, loading
from loadtests.scenarios.rules.arrivals import ARRIVAL, OPERATIONS, Arrivals
from loadtests.scenarios.rules.samples import NO_CONNECTION, Samples
from runtime.embedded import ports

HOST = "127.0.0.1"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
RATE, SECONDS = 50, 3.0
STALL_SECONDS = 1.0
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def serving(serve: Serve) -> AsyncIterator[int]:
    """A server; its port."""

    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await serve(reader, writer)
        writer.close()

    server = await asyncio.start_server(served, HOST, 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def reads(tenant: int) -> Arrivals:
    """Evenly, by one tenant."""
    arrivals = np.zeros(int(RATE * SECONDS), ARRIVAL)
    arrivals["due"], arrivals["operation"] = np.arange(len(arrivals)) / RATE, OPERATIONS.index("read")
    arrivals["tenant"] = tenant
    return arrivals


async def loaded(folder: Path, port: int, noise: Arrivals | None = None) -> tuple[Samples, Loading]:
    """Reads by one tenant, and the noise by another; what came of them."""
    tenants = [{"tenant_id": name, "path": f"/t/{name}", "api_key": f"ck_{name}_1"} for name in ("acme", "beta")]
    way = Way(f"http://{HOST}:{port}", tenants)
    async with loading(folder, way, reads(0), "r", noise) as load:
        await load.begin()
        samples = await load.ended(60.0)
    samples.sort(order="due")
    return samples, load


async def test_a_stall_makes_everything_late_that_was_due_meanwhile(tmp_path: Path) -> None:
    """A closed loop would have seen one slow request; here each counts from the moment it was due."""
    asked = 0
    stalled_until = 0.0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked, stalled_until
        clock = asyncio.get_running_loop().time
        while await reader.readuntil(b"\r\n\r\n"):
            asked += 1
            if asked == RATE:
                stalled_until = clock() + STALL_SECONDS
            await asyncio.sleep(max(0.0, stalled_until - clock()))
            writer.write(ANSWER)

    async with serving(serve) as port:
        samples, load = await loaded(tmp_path, port)
    assert len(samples) == asked == RATE * SECONDS == load.counted_by_locust
    assert set(samples["status"]) == {200}
    late = samples["seconds"] > 0.1 * STALL_SECONDS
    assert late.sum() >= 0.8 * RATE * STALL_SECONDS
    hit = samples[late]["seconds"]
    assert hit.max() >= 0.95 * STALL_SECONDS
    # Who was due later waited less: the mean of a stall is half of it.
    assert 0.3 * STALL_SECONDS < hit.mean() < 0.8 * STALL_SECONDS


async def test_a_kept_connection_that_is_closed_is_no_failure(tmp_path: Path) -> None:
    """As a router does that drains: after its answer, without a word."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(2):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(ANSWER)
        await reader.readuntil(b"\r\n\r\n")  # taken, and not answered

    async with serving(serve) as port:
        samples, load = await loaded(tmp_path, port)
    assert set(samples["status"]) == {200}
    assert load.repeated > 0


async def test_who_is_not_there_is_a_failure_of_each_request(tmp_path: Path) -> None:
    """None is tried again until somebody is."""
    samples, load = await loaded(tmp_path, ports.free_port(HOST))
    assert len(samples) == RATE * SECONDS
    assert set(samples["status"]) == {NO_CONNECTION}
    assert load.repeated == 0


async def test_a_flood_comes_from_a_client_of_its_own(tmp_path: Path) -> None:
    """It shares no connection with the others' client; what came of both is one result."""
    heard: list[set[bytes]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tenants: set[bytes] = set()
        heard.append(tenants)
        while head := await reader.readuntil(b"\r\n\r\n"):
            tenants.add(head.split(b"/")[2])
            writer.write(ANSWER)

    async with serving(serve) as port:
        samples, load = await loaded(tmp_path, port, reads(1))
    assert len(samples) == load.counted_by_locust == 2 * RATE * SECONDS
    assert set(samples["status"]) == {200}
    assert np.bincount(samples["tenant"]).tolist() == [RATE * SECONDS, RATE * SECONDS]
    assert all(len(each) == 1 for each in heard)
