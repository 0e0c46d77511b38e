"""A request that waits as often as a real one does, but does nothing else, with the meter and without, in turns.

The quickest of many rounds counts, because all that others do only makes a round slower. The connection whose
bytes are asked for is one of TCP within this machine.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any, TypeAlias

from cell.load import HEAD_BYTES, Charge, Meter, charged, stepped
from runtime.database import Told
from runtime.wire import Wire

STEPS: Mapping[str, int] = {"read": 7, "create": 26}
"""How often such a request is gone on with, after waits for Postgres most of all; counted in a running cell."""
ROUNDS, REQUESTS = 60, 300
Driven: TypeAlias = Coroutine[Any, Any, None]


class Waiting:
    """Something that is there as soon as the loop looks again, without the loop's own cost."""

    def __await__(self) -> Any:
        yield None


class Connection:
    """As asyncpg makes one."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire


class Lent:
    """As its pool hands it out."""

    __slots__ = ("_con",)

    def __init__(self, connection: Connection) -> None:
        self._con = connection


async def request(steps: int) -> None:
    """Waits so often."""
    for _ in range(steps - 1):
        await Waiting()


async def plain(steps: int) -> None:
    """As the cell's API would do it if it counted nothing."""

    async def work() -> None:
        await request(steps)

    await work()


async def measured(steps: int, meter: Meter, lent: Lent) -> None:
    """As the cell's API does it: steps, one transaction, network."""
    charge = Charge(meter)

    async def work() -> None:
        charge.tenant_id = "acme"
        told = transacting(charge)
        wire, began_ns = lent._con.wire, time.perf_counter_ns()
        try:
            await request(steps)
        finally:
            passed = wire.passed()
            if told is not None:
                told(time.perf_counter_ns() - began_ns, passed)

    await stepped(work(), charge)
    counts = charge.counts()
    counts.network_bytes += HEAD_BYTES
    counts.requests += 1


def transacting(charge: Charge | None) -> Told | None:
    """As in `cell.database.transaction`."""
    charge = charge or charged()
    return None if charge is None else charge.transacted


def drive(work: Driven) -> None:
    """To its end, as a task does."""
    try:
        while True:
            work.send(None)
    except StopIteration:
        return


def took(one: Callable[[], object]) -> int:
    """Nanoseconds that a round of them takes."""
    began = time.perf_counter_ns()
    for _ in range(REQUESTS):
        one()
    return time.perf_counter_ns() - began


def quickest(one: Callable[[], object]) -> float:
    """Nanoseconds that one of them takes."""
    return min(took(one) for _ in range(ROUNDS)) / REQUESTS


def between(one: Callable[[], Driven], other: Callable[[], Driven]) -> float:
    """How many nanoseconds more the other takes."""
    rounds = [(took(lambda: drive(one())), took(lambda: drive(other()))) for _ in range(ROUNDS)]
    ones, others = zip(*rounds, strict=True)
    return float(min(others) - min(ones)) / REQUESTS


async def nanoseconds() -> dict[str, float]:
    """That the meter takes of each kind of request; and as `wire`, asking the kernel once for bytes."""
    async with await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0) as server:
        _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        wire, meter = Wire(writer.transport), Meter()
        lent = Lent(Connection(wire))
        if wire.passed() is None:
            raise RuntimeError("this system does not say how many bytes passed")
        found = {"wire": quickest(wire.passed)}
        for kind, steps in STEPS.items():
            found[kind] = between(partial(plain, steps), partial(measured, steps, meter, lent))
        writer.close()
    return found
