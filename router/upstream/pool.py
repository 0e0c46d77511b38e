"""The connections to one cell.

Bounded in number; the last one used is used first, so that what is not needed grows idle and is closed. Whoever
waits for this cell (for a connection or for a response's head) is listed with its deadline: when the cell is found
to be stopped, all deadlines are now.
"""

import asyncio
import contextlib
import socket
import ssl
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from aiohttp.abc import AbstractResolver

from directory.errors import BadAddress
from directory.resolver import checked
from directory.values import CellEntry
from router import metrics
from router.errors import Unreached
from router.rules.decide import Outcome
from router.upstream.connection import Connection
from runtime import logs

log = logs.get("router.upstream")

State = Literal["unknown", "answers", "stopped"]
PROBE = b"GET /health/live HTTP/1.1\r\nHost: %s\r\nUser-Agent: cellway-router\r\nConnection: close\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Limits:
    """How many connections, how long they live, and how long one waits for them."""

    connections: int = 256
    tenant_connections: int = 64
    """How many of them one tenant may have at a time; the others wait for their turn, or for nothing."""
    waiting: int = 1024
    wait_seconds: float = 1.0
    connect_seconds: float = 1.0
    idle_seconds: float = 15.0

    @property
    def tenant_waiting(self) -> int:
        """How many requests of one tenant may wait: the same share as of the connections."""
        return min(self.waiting, -(-self.waiting * self.tenant_connections // self.connections))


class Pool:
    """All of one process's connections to one cell at one address."""

    def __init__(self, cell: CellEntry, limits: Limits, resolver: AbstractResolver) -> None:
        self.cell_id, self.address = cell.cell_id, cell.address
        self._limits, self._resolver = limits, resolver
        self._loop = asyncio.get_running_loop()
        self._idle: list[Connection] = []
        self._all: set[Connection] = set()
        self._opening = 0
        self._queue: deque[tuple[str, asyncio.Future[None]]] = deque()
        """Tenants and their turns."""
        self._borrowers: dict[Connection, str] = {}
        self._borrowed: Counter[str] = Counter()
        """tenant → connections that it has or is opening."""
        self._deadlines: set[asyncio.Timeout] = set()
        self._tls_context: ssl.SSLContext | None = None
        self._silent_from = self._loop.time()
        self.closing = False
        self.state: State = "unknown"
        self.since = self._loop.time()
        """Of the state, by the loop's clock."""
        self.evidence = "nobody asked it yet"
        self.probing = False
        self._show()

    def __repr__(self) -> str:
        return f"<Pool {self.cell_id} {self.state}: {len(self._all)} open, {len(self._idle)} kept>"

    @property
    def open(self) -> int:
        """Connections that are open or being opened."""
        return len(self._all) + self._opening

    @property
    def waiting(self) -> int:
        """Requests that wait for this cell."""
        return len(self._deadlines)

    @property
    def used(self) -> bool:
        """Whether anybody waits for it, or any connection is open."""
        return self.waiting > 0 or self.open > 0

    # --- silence ---

    @contextlib.contextmanager
    def awaited(self, deadline: asyncio.Timeout) -> Iterator[None]:
        """List a deadline while its owner waits for this cell. Unreached when the cell is known to be stopped."""
        if self.state == "stopped":
            raise Unreached(Outcome.DOWN)
        if not self._deadlines:
            self._silent_from = self._loop.time()
        self._deadlines.add(deadline)
        try:
            yield
        finally:
            self._deadlines.discard(deadline)

    @property
    def silent_seconds(self) -> float:
        """For how long nothing was heard while somebody waited."""
        return self._loop.time() - self._silent_from

    def forgive(self, seconds: float) -> None:
        """Do not hold against the cell that this process itself stood still."""
        self._silent_from = min(self._loop.time(), self._silent_from + seconds)

    def heard(self) -> None:
        """A byte came from the cell, on whatever connection."""
        self._silent_from = self._loop.time()
        if self.state != "answers":
            self._turn("answers", "it sent bytes")

    def refused(self, reason: str) -> None:
        """The cell's host answered that nobody listens: it is not silent, whatever else it is."""
        self._silent_from = self._loop.time()
        if self.state == "stopped":
            self._turn("unknown", reason)
        self.evidence = reason

    def stop_waiting(self) -> None:
        """The cell is stopped: everybody who waits for it is told now."""
        self._turn("stopped", f"silent for {self.silent_seconds:.2f} s while {self.waiting} requests waited")
        for deadline in list(self._deadlines):
            if not deadline.expired():
                deadline.reschedule(self._loop.time())
        while self._idle:
            self._idle.pop().abort()

    def _turn(self, state: State, evidence: str) -> None:
        log.info("cell_turned", cell=self.cell_id, state=state, evidence=evidence)
        self.state, self.evidence, self.since = state, evidence, self._loop.time()
        self._show()

    def _show(self) -> None:
        # What is shown of a cell is about the address that it has now.
        if not self.closing:
            metrics.CELL_STOPPED.labels(self.cell_id).set(self.state == "stopped")
            metrics.CELL_CONNECTIONS.labels(self.cell_id).set(len(self._all))

    # --- connections ---

    async def take(self, tenant: str = "", *, fresh: bool = False) -> Connection:
        """A connection for one request of a tenant. Unreached when none can be made or comes free in time."""
        until = self._loop.time() + self._limits.wait_seconds
        again = False
        while True:
            if self._has_share(tenant):
                kept = None if fresh else self._kept()
                if kept is not None or self.open < self._limits.connections or self._drop_one_idle():
                    return await self._lend(tenant, kept)
            elif again:
                self._next()  # the tenant took its share meanwhile: the turn is somebody else's
            await self._turn_comes(tenant, until, again=again)
            again = True

    def _has_share(self, tenant: str) -> bool:
        return self._borrowed[tenant] < self._limits.tenant_connections

    async def _lend(self, tenant: str, kept: Connection | None) -> Connection:
        self._borrowed[tenant] += 1
        try:
            connection = kept if kept is not None else await self._open()
        except BaseException:
            self._returned(tenant)
            self._next()
            raise
        self._borrowers[connection] = tenant
        return connection

    def _returned(self, tenant: str) -> None:
        self._borrowed[tenant] -= 1
        if not self._borrowed[tenant]:
            del self._borrowed[tenant]

    def _kept(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if not connection.closed:
                return connection
        return None

    def _drop_one_idle(self) -> bool:
        if not self._idle:
            return False
        connection = self._idle.pop(0)
        connection.abort()
        self._all.discard(connection)
        return True

    async def _turn_comes(self, tenant: str, until: float, *, again: bool) -> None:
        """Wait until something comes free; whoever was overtaken waits `again`, before all others."""
        if not again:
            self._check_queue(tenant)
        turn: asyncio.Future[None] = self._loop.create_future()
        place = (tenant, turn)
        (self._queue.appendleft if again else self._queue.append)(place)
        try:
            async with asyncio.timeout_at(until):
                await turn
        except TimeoutError:
            if turn.cancelled():
                raise Unreached(Outcome.BUSY) from None
            # Our turn came at the very moment in which the time was over: it must not be lost.
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._next()  # our turn had come: it goes to whoever is next
            raise
        finally:
            with contextlib.suppress(ValueError):
                self._queue.remove(place)

    def _check_queue(self, tenant: str) -> None:
        if len(self._queue) >= self._limits.waiting:
            raise Unreached(Outcome.BUSY, "too many wait already")
        if sum(waiting == tenant for waiting, _ in self._queue) >= self._limits.tenant_waiting:
            raise Unreached(Outcome.BUSY, "too many of this tenant wait already")

    def _next(self) -> None:
        """Something came free: it is the turn of the first who may take it."""
        for place in self._queue:
            tenant, turn = place
            if not turn.done() and self._has_share(tenant):
                self._queue.remove(place)
                turn.set_result(None)
                return

    async def _open(self) -> Connection:
        self._opening += 1
        try:
            connection = await self.connect()
            self._all.add(connection)
            self._show()
            return connection
        finally:
            self._opening -= 1

    async def connect(self) -> Connection:
        """A new connection that is not counted yet. Unreached."""
        try:
            async with asyncio.timeout(self._limits.connect_seconds):
                return await self._connect()
        except ConnectionRefusedError as error:
            self.refused("connections are refused")
            raise Unreached(Outcome.REFUSED) from error
        except (OSError, TimeoutError, BadAddress) as error:
            raise Unreached(Outcome.REFUSED, type(error).__name__) from error

    async def _connect(self) -> Connection:
        # Checked at the moment of connecting: a name may mean another address than when it was registered.
        parts = urlsplit(checked(self.address))
        host, tls = parts.hostname or "", parts.scheme == "https"
        port = parts.port or (443 if tls else 80)
        found = await self._resolver.resolve(host, port, socket.AF_UNSPEC) if _is_name(host) else []
        _, protocol = await self._loop.create_connection(
            lambda: Connection(self.heard, self._lost),
            found[0]["host"] if found else host,
            port,
            ssl=self._tls() if tls else None,
            server_hostname=host if tls else None,
        )
        return protocol

    def _tls(self) -> ssl.SSLContext:
        if self._tls_context is None:
            self._tls_context = ssl.create_default_context()
        return self._tls_context

    def give_back(self, connection: Connection) -> None:
        """Return a connection after its request; what cannot be used again is closed."""
        tenant = self._borrowers.pop(connection, None)
        if tenant is not None:
            self._returned(tenant)
        if connection.reusable and not self.closing and self.state != "stopped":
            connection.rest()
            self._idle.append(connection)
        else:
            connection.abort()
            self._all.discard(connection)
        self._next()

    def _lost(self, connection: Connection) -> None:
        if connection not in self._all:
            self._show()
            return  # it was a probe's, or is counted no more: nothing comes free by its end
        self._all.discard(connection)
        with contextlib.suppress(ValueError):
            self._idle.remove(connection)
        self._show()
        self._next()

    def close_idle(self, *, everything: bool = False) -> None:
        """Close what was not used for long, the longest first."""
        oldest_allowed = self._loop.time() - self._limits.idle_seconds
        while self._idle and (everything or self._idle[0].kept_at < oldest_allowed):
            connection = self._idle.pop(0)
            connection.abort()
            self._all.discard(connection)

    def close(self) -> None:
        """Take nothing back any more, and close what is idle; what is under way ends by itself."""
        self.closing = True
        self.close_idle(everything=True)

    # --- the probe ---

    async def probe(self, deadline_seconds: float) -> None:
        """Ask the cell whether it lives. Any byte is an answer, and so is a refusal (`heard`, `refused`)."""
        connection: Connection | None = None
        try:
            async with asyncio.timeout(deadline_seconds):
                connection = await self.connect()
                connection.expect(b"GET")
                connection.send(PROBE % urlsplit(self.address).netloc.encode(), last=True)
                await connection.head()
        except (Unreached, TimeoutError) as error:
            if self.state == "stopped":
                self.evidence = f"no answer to the probe: {error or 'in time'}"
        finally:
            self.probing = False
            if connection is not None:
                connection.abort()


def _is_name(host: str) -> bool:
    """Whether the host is a name, not a literal address; literals were checked as text."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except OSError:
            continue
        return False
    return True
