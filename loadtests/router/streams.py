"""A client that listens to many streams of events; every stream is another tenant's.

Every event is counted; a proxy that delivers fewer than the cell sends is slow, not wrong. How long an event was
on its way is read from the first streams only, which is enough for a percentile and leaves the client cheap.
"""

import argparse
import asyncio
import re
import time
from functools import partial
from typing import cast

from loadtests.router import clients
from loadtests.router.cpu import cpu_seconds
from loadtests.router.figures import Figures, percentile
from loadtests.router.fleet import request, stream_tenant

WATCHED_STREAMS = 20
_SENT = re.compile(rb'"sent_ns": (\d+)}~')


class Listening:
    """What all streams have seen."""

    def __init__(self) -> None:
        self.events = self.refused = self.lost = self.open = 0
        self.ways_seconds: list[float] = []


class Stream(asyncio.Protocol):
    """One stream."""

    def __init__(self, number: int, listening: Listening) -> None:
        self._number, self._all = number, listening
        self._head = b""
        self._begun = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        asking = request(stream_tenant(self._number), "GET", "/v1/events")
        cast(asyncio.Transport, transport).write(asking)

    def data_received(self, data: bytes) -> None:
        if not self._begun:
            self._head += data
            self._begun = b"\r\n\r\n" in self._head
            self._all.open += self._begun
            self._all.refused += self._begun and not self._head.startswith(b"HTTP/1.1 200")
            return
        self._all.events += data.count(b"~")
        if self._number < WATCHED_STREAMS:
            now = time.monotonic_ns()
            self._all.ways_seconds += [(now - int(sent)) / 1e9 for sent in _SENT.findall(data)]

    def connection_lost(self, _error: Exception | None) -> None:
        self._all.lost += 1


async def measure(options: argparse.Namespace) -> Figures:
    """Open all streams, then count for so many seconds."""
    loop = asyncio.get_running_loop()
    seen = Listening()
    for number in range(options.connections):
        await loop.create_connection(partial(Stream, number, seen), "127.0.0.1", options.port)
    await asyncio.sleep(options.warm_up)
    seen.ways_seconds.clear()
    before, events_before, began = cpu_seconds(options.pid), seen.events, time.perf_counter()
    await asyncio.sleep(options.seconds)
    used, events, seconds = (
        cpu_seconds(options.pid) - before,
        seen.events - events_before,
        time.perf_counter() - began,
    )
    ways = sorted(seen.ways_seconds)
    counts = {
        "not open": options.connections - seen.open,
        "status": seen.refused,
        "connection lost": seen.lost,
        "no events": int(not events),
    }
    return Figures(
        requests=events,
        seconds=seconds,
        cpu_seconds=used,
        p50_ms=percentile(ways, 0.50) * 1000,
        p99_ms=percentile(ways, 0.99) * 1000,
        failures={kind: count for kind, count in counts.items() if count},
    )


if __name__ == "__main__":
    given = clients.parser(__doc__).parse_args()
    clients.main(lambda: measure(given))
