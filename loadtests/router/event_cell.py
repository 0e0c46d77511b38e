"""A cell that sends events: `python -m loadtests.router.event_cell <port> <milliseconds between two events>`.

All streams get an event at the same moments. An event holds the time at which it was sent and ends in `~`, so that
a client can count them without parsing.
"""

import asyncio
import sys
import time
from typing import cast

import uvloop

HEALTHY = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n"
    # By which nginx is told not to hold events back.
    b"X-Accel-Buffering: no\r\nTransfer-Encoding: chunked\r\n\r\n"
)
MOST_UNSENT_BYTES = 1_000_000
"""A stream whose client is so far behind gets no more until it has caught up."""


class Stream(asyncio.Protocol):
    """One connection; `listening` holds all that have asked for events."""

    def __init__(self, listening: set["Stream"]) -> None:
        self._listening = listening
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if data.startswith(b"GET /v1/events "):
            self.transport.write(STREAM_HEAD)
            self._listening.add(self)
        else:
            self.transport.write(HEALTHY)

    def connection_lost(self, _error: Exception | None) -> None:
        self._listening.discard(self)


def event() -> bytes:
    """One event, as one chunk."""
    data = b'data: {"sent_ns": %d}~\n\n' % time.monotonic_ns()
    return b"%x\r\n%b\r\n" % (len(data), data)


async def serve(port: int, every_seconds: float) -> None:
    """Send events, for ever. Moments that were missed are left out."""
    loop = asyncio.get_running_loop()
    listening: set[Stream] = set()
    await loop.create_server(lambda: Stream(listening), "127.0.0.1", port, backlog=4096)
    due = loop.time()
    while True:
        due = max(due + every_seconds, loop.time())
        await asyncio.sleep(due - loop.time())
        now = event()
        for stream in listening:
            if stream.transport.get_write_buffer_size() < MOST_UNSENT_BYTES:
                stream.transport.write(now)


def main() -> None:
    """Serve until a signal."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(int(sys.argv[1]), float(sys.argv[2]) / 1000))


if __name__ == "__main__":
    main()
