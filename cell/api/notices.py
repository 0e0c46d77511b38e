"""Waking those who wait for an operation: Postgres' NOTIFY, heard once a process.

A notice may be lost while the connection is down; whoever waits looks again by himself every few seconds.
"""

import asyncio
import contextlib
from collections.abc import Iterator

import asyncpg

from cell import metrics
from runtime.api.problem import ApiError
from runtime.database import CONNECT_SECONDS

CHANNEL = "cell_operations"
MOST_WAITERS = 1000
LOOK_AGAIN_SECONDS = 3.0
PROBE_SECONDS = 10.0


class Watch:
    """One request's ear. `topic` is what it listens for once the handler said so."""

    def __init__(self, notices: "Notices") -> None:
        self._notices = notices
        self._heard = asyncio.Event()
        self._topic: str | None = None

    def listen(self, topic: str) -> None:
        """Listen from now on: to be called before looking, so that nothing falls between. ApiError 429."""
        if self._topic is None:
            self._notices.add(topic, self._heard)
            self._topic = topic
        self._heard.clear()

    async def wait(self, seconds: float) -> None:
        """Until a notice, or `seconds`, or until it is time to look anyway."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._heard.wait(), min(seconds, LOOK_AGAIN_SECONDS))

    def close(self) -> None:
        if self._topic is not None:
            self._notices.remove(self._topic, self._heard)


class Notices:
    """Topics and who waits for them. `follow` is a task that ends with an error when the connection does."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._waiters: dict[str, set[asyncio.Event]] = {}
        self._count = 0

    def __repr__(self) -> str:
        return f"<Notices {self._count} waiting>"

    @contextlib.contextmanager
    def watch(self) -> Iterator[Watch]:
        """An ear for one request."""
        watch = Watch(self)
        try:
            yield watch
        finally:
            watch.close()

    def add(self, topic: str, event: asyncio.Event) -> None:
        if self._count >= MOST_WAITERS:
            message = "too many requests wait for operations: poll instead, or try again"
            raise ApiError("RESOURCE_EXHAUSTED", message)
        self._waiters.setdefault(topic, set()).add(event)
        self._counted(+1)

    def remove(self, topic: str, event: asyncio.Event) -> None:
        waiting = self._waiters[topic]
        waiting.discard(event)
        if not waiting:
            del self._waiters[topic]
        self._counted(-1)

    def _counted(self, change: int) -> None:
        self._count += change
        metrics.WAITERS.set(self._count)

    def waiting(self, topic: str) -> int:
        """How many wait for `topic`."""
        return len(self._waiters.get(topic, ()))

    def tell(self, topic: str) -> None:
        """Wake whoever waits for `topic`."""
        for event in self._waiters.get(topic, ()):
            event.set()

    async def follow(self) -> None:
        """Listen until the connection fails."""
        connection = await asyncpg.connect(self._dsn, timeout=CONNECT_SECONDS, command_timeout=CONNECT_SECONDS)
        try:
            await connection.add_listener(CHANNEL, lambda *heard: self.tell(str(heard[3])))
            while True:
                await asyncio.sleep(PROBE_SECONDS)
                await connection.execute("SELECT 1")
        finally:
            connection.terminate()
