"""A client that sends at a constant rate, whatever the answers do.

A request's latency counts from the moment at which it was due, not from the moment of its sending: a proxy that
stalls makes every request late that fell due meanwhile. What is due is sent at ticks of a quarter of a
millisecond, so up to that much is the client's own; it is the same for every proxy. A due request takes any idle
connection, and waits (late) when there is none.
"""

import argparse
import asyncio
import contextlib
import random
import signal
import time
from collections import deque
from pathlib import Path
from typing import cast

from loadtests.router import clients
from loadtests.router.cpu import cpu_seconds
from loadtests.router.figures import Figures, percentile
from loadtests.router.fleet import read_requests

TICK_SECONDS = 0.00025
GRACE_SECONDS = 2.0
"""How long after the end an answer may still come."""


class Load:
    """The schedule and what came of it. Its clock is not the loop's, which is as coarse as a millisecond."""

    def __init__(self, requests: list[bytes], rate: float, warm_up_seconds: float, seconds: float) -> None:
        self._requests, self._interval = requests, 1 / rate
        self.idle: list[Connection] = []
        self._waiting: deque[float] = deque()
        self._due = time.perf_counter() + 0.1
        self.begin = self._due + warm_up_seconds
        self.end = self.begin + seconds
        self.latencies: list[float] = []
        self.sent = self.answered = self.failed = self.lost = 0
        self.finished = asyncio.Event()

    def tick(self) -> None:
        """Send all that has fallen due."""
        now = time.perf_counter()
        while self._due <= now and self._due < self.end:
            self._waiting.append(self._due)
            self._due += self._interval
        while self._waiting and self.idle:
            self._send(self.idle.pop(), self._waiting.popleft())

    def _send(self, connection: "Connection", due: float) -> None:
        self.sent += 1
        connection.ask(random.choice(self._requests), due)

    def came(self, connection: "Connection", due: float, well: bool) -> None:
        """One answer."""
        self.answered += 1
        self.failed += not well
        if due >= self.begin:
            self.latencies.append(time.perf_counter() - due)
        if self._waiting:
            self._send(connection, self._waiting.popleft())
        else:
            self.idle.append(connection)
            if self._due >= self.end and not self.unanswered:
                self.finished.set()

    @property
    def unanswered(self) -> int:
        return self.sent + len(self._waiting) - self.answered


class Connection(asyncio.Protocol):
    """One request at a time."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._transport: asyncio.Transport
        self._got = b""
        self._due = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._load.idle.append(self)

    def ask(self, request: bytes, due: float) -> None:
        self._due = due
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        got = self._got = self._got + data if self._got else data
        head = got.find(b"\r\n\r\n")
        if head < 0 or len(got) < head + 4 + _length(got[:head]):
            return
        self._got = b""
        self._load.came(self, self._due, got.startswith(b"HTTP/1.1 200"))

    def connection_lost(self, _error: Exception | None) -> None:
        self._load.lost += 1
        if self in self._load.idle:
            self._load.idle.remove(self)


def _length(head: bytes) -> int:
    """The value of Content-Length, whatever its case."""
    _, found, rest = head.lower().partition(b"\r\ncontent-length:")
    return int(rest.partition(b"\r\n")[0]) if found else 0


async def measure(options: argparse.Namespace) -> Figures:
    """Send until the end, then wait a little for the last answers."""
    loop = asyncio.get_running_loop()
    load = Load(read_requests(options.requests), options.rate, options.warm_up, options.seconds)
    for _ in range(options.connections):
        await loop.create_connection(lambda: Connection(load), "127.0.0.1", options.port)
    # The timers of the loop are too coarse as well.
    loop.add_signal_handler(signal.SIGALRM, load.tick)
    signal.setitimer(signal.ITIMER_REAL, TICK_SECONDS, TICK_SECONDS)
    await asyncio.sleep(load.begin - time.perf_counter())
    before, answered_before, began = cpu_seconds(options.pid), load.answered, time.perf_counter()
    await asyncio.sleep(load.end - time.perf_counter())
    used, answered, seconds = (
        cpu_seconds(options.pid) - before,
        load.answered - answered_before,
        time.perf_counter() - began,
    )
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(load.finished.wait(), GRACE_SECONDS)
    signal.setitimer(signal.ITIMER_REAL, 0)
    load.latencies.sort()
    counts = {"status": load.failed, "unanswered": load.unanswered, "connection lost": load.lost}
    return Figures(
        requests=answered,
        seconds=seconds,
        cpu_seconds=used,
        p50_ms=percentile(load.latencies, 0.50) * 1000,
        p99_ms=percentile(load.latencies, 0.99) * 1000,
        failures={kind: count for kind, count in counts.items() if count},
    )


if __name__ == "__main__":
    parser = clients.parser(__doc__)
    parser.add_argument("--rate", type=float, required=True, help="requests a second")
    parser.add_argument("--requests", type=Path, required=True)
    given = parser.parse_args()
    clients.main(lambda: measure(given))
