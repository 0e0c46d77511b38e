"""Waking those who wait for an operation: Postgres' NOTIFY, heard once a process.

A notice may be lost while the connection is down; whoever waits looks again by himself every few seconds. Waiting
holds no connection, and looking again takes turns, so that waiters leave the pool to everybody else.
"""

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import asyncpg

from cell import metrics
from cell.errors import Unavailable
from runtime.api.problem import ApiError
from runtime.database import CONNECT_SECONDS

CHANNEL = "cell_operations"
MOST_WAITERS = 1000
MOST_OF_A_TENANT = 100
LOOK_AGAIN_SECONDS = 3.0
"""At least; at most twice that, so that those who came together do not come back together."""
TURN_SECONDS = 5.0
PROBE_SECONDS = 10.0


class Topic(NamedTuple):
    """What is waited for."""

    tenant_id: str
    operation_id: str

    def __str__(self) -> str:
        return f"{self.tenant_id}/{self.operation_id}"


class Watch:
    """One request's ear. `topic` is what it listens for once the handler said so."""

    def __init__(self, notices: "Notices") -> None:
        self._notices = notices
        self._heard = asyncio.Event()
        self._topic: Topic | None = None
        self._has_turn = False

    def listen(self, tenant_id: str, operation_id: str) -> None:
        """Listen from now on: to be called before looking, so that nothing falls between. ApiError 429."""
        if self._topic is None:
            topic = Topic(tenant_id, operation_id)
            self._notices.add(topic, self._heard)
            self._topic = topic
        self._heard.clear()

    async def wait(self, seconds: float) -> None:
        """Until a notice, or `seconds`, or until it is time to look anyway; then for a turn, which lasts until the
        next wait or the end. Unavailable when no turn comes."""
        self._end_turn()
        look_again_seconds = LOOK_AGAIN_SECONDS * (1 + random.random())  # noqa: S311 jitter
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._heard.wait(), min(seconds, look_again_seconds))
        try:
            async with asyncio.timeout(TURN_SECONDS):
                self._has_turn = await self._notices.turns.acquire()
        except TimeoutError:
            raise Unavailable("too many requests wait for operations") from None

    def _end_turn(self) -> None:
        if self._has_turn:
            self._has_turn = False
            self._notices.turns.release()

    def close(self) -> None:
        self._end_turn()
        if self._topic is not None:
            self._notices.remove(self._topic, self._heard)


class Notices:
    """Topics and who waits for them. `follow` is a task that ends with an error when the connection does.

    `turns`: how many of those who waited may look again at the same time.
    """

    def __init__(self, dsn: str, turns: int) -> None:
        self._dsn = dsn
        self.turns = asyncio.Semaphore(turns)
        self._waiters: dict[str, set[asyncio.Event]] = {}
        self._of_tenant: Counter[str] = Counter()
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

    def add(self, topic: Topic, event: asyncio.Event) -> None:
        if self._of_tenant[topic.tenant_id] >= MOST_OF_A_TENANT or self._count >= MOST_WAITERS:
            message = "too many requests wait for operations: poll instead, or try again"
            raise ApiError("RESOURCE_EXHAUSTED", message)
        self._waiters.setdefault(str(topic), set()).add(event)
        self._counted(topic, +1)

    def remove(self, topic: Topic, event: asyncio.Event) -> None:
        waiting = self._waiters[str(topic)]
        waiting.discard(event)
        if not waiting:
            del self._waiters[str(topic)]
        self._counted(topic, -1)

    def _counted(self, topic: Topic, change: int) -> None:
        self._count += change
        self._of_tenant[topic.tenant_id] += change
        if not self._of_tenant[topic.tenant_id]:
            del self._of_tenant[topic.tenant_id]
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
