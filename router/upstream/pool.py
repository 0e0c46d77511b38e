"""The connections to one cell, and what is known of how it bears the load.

Bounded in number; the last one used is used first, so that what is not needed grows idle and is closed. Whoever
waits for this cell (for a connection or for a response's head) is known: when the cell is found to be stopped, all
of them are told at once.
"""

import asyncio
import contextlib
import socket
import ssl
from bisect import bisect_left
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from time import monotonic
from typing import Final, Literal, cast
from urllib.parse import urlsplit

from aiohttp.abc import AbstractResolver

from directory.errors import BadAddress
from directory.resolver import checked
from directory.rules.addresses import check_encrypted
from directory.values import CellEntry
from router import metrics
from router.errors import RouterError, TransferBroken, Unreached
from router.metrics import BOUNDS_SECONDS
from router.outbox import Outbox
from router.rules import breaker
from router.rules.breaker import Breaker
from router.rules.budget import Budget
from router.rules.concurrency import Bounds, Concurrency
from router.rules.decide import Outcome
from router.rules.head import Framing
from router.rules.responses import ResponseHead
from router.tls import Trust
from router.upstream.connection import Borrower, Connection
from runtime import logs
from runtime.tls import saying

log = logs.get("router.upstream")

State = Literal["unknown", "answers", "stopped"]
BREAKER_LEVELS: Final = {breaker.State.CLOSED: 0, breaker.State.HALF_OPEN: 1, breaker.State.OPEN: 2}
FIRST_CONCURRENCY: Final = 256
"""Requests that a cell is given at a time before anything is known of it."""
NEXT_ADDRESS_SECONDS: Final = 0.25
"""After so long of silence the next of a cell's addresses is tried as well (RFC 8305 section 8)."""
AGAIN_SECONDS: Final = 10.0
"""That one of us does not trust the other is logged once in so long."""
OWN_TURNS: Final = 3
"""An answer that took no longer than so many turns of the event loop says nothing about its cell."""
PROBE: Final = b"GET /health/live HTTP/1.1\r\nHost: %s\r\nUser-Agent: cellway-router\r\nConnection: close\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Limits:
    """How many connections, how long they live, and how long one waits for them."""

    connections: int = 1024
    tenant_connections: int = 256
    """How many of them one tenant may have at a time; the others wait for their turn, or for nothing."""
    waiting: int = 1024
    wait_seconds: float = 1.0
    connect_seconds: float = 1.0
    idle_seconds: float = 15.0
    least_concurrency: int = 16
    """However slow a cell gets, so many requests at a time are sent to it."""

    @property
    def bounds(self) -> Bounds:
        """Of the requests at a time."""
        most = self.connections
        return Bounds(least=min(self.least_concurrency, most), most=most, first=min(most, FIRST_CONCURRENCY))

    @property
    def tenant_waiting(self) -> int:
        """How many requests of one tenant may wait: the same share as of the connections."""
        return min(self.waiting, -(-self.waiting * self.tenant_connections // self.connections))


class Pool:
    """All of one process's connections to one cell at one address."""

    def __init__(
        self,
        cell: CellEntry,
        limits: Limits,
        resolver: AbstractResolver,
        trust: Trust | None = None,
        outbox: Outbox | None = None,
    ) -> None:
        self.outbox = outbox or Outbox(asyncio.get_running_loop().call_soon)
        self.cell_id, self.address = cell.cell_id, cell.address
        self.counts = metrics.of_cell(cell.cell_id)
        self.breaker, self.budget = Breaker(), Budget(monotonic())
        self.concurrency = Concurrency(monotonic(), limits.bounds)
        self._limits, self._resolver, self._trust = limits, resolver, trust
        self._tenant_share = 0
        self._share()
        self._loop = asyncio.get_running_loop()
        self._idle: list[Connection] = []
        self._all: set[Connection] = set()
        self._opening = 0
        self._reached = ""
        """The address of the last connection, of those that the cell's name means."""
        self._queue: deque[tuple[Borrower, asyncio.Future[None]]] = deque()
        """Tenants and their turns."""
        self._deadlines: set[asyncio.Timeout] = set()
        self._silent_from = monotonic()
        self.awaiting = 0
        """Requests that were sent and whose response has not begun."""
        self.patient = 0
        """Likewise, but long polls, and those whose body is not sent yet."""
        self.closing = False
        self.state: State = "unknown"
        self.since = monotonic()
        """Of the state, by the monotonic clock."""
        self.evidence = "nobody asked it yet"
        self.probing = False
        self._distrust, self._distrust_told_at = "", 0.0
        """What was logged last of why one of us does not trust the other, and when."""

    def __repr__(self) -> str:
        return f"<Pool {self.cell_id} {self.state}: {len(self._all)} open, {len(self._idle)} kept>"

    @property
    def open(self) -> int:
        """Connections that are open or being opened."""
        return len(self._all) + self._opening

    @property
    def waiting(self) -> int:
        """Requests that wait for this cell, for a connection or for a response."""
        return len(self._deadlines) + self.awaiting + self.patient

    @property
    def used(self) -> bool:
        """Whether anybody waits for it, or any connection is open."""
        return self.waiting > 0 or self.open > 0

    # --- silence ---

    @contextlib.contextmanager
    def awaited(self, deadline: asyncio.Timeout) -> Iterator[None]:
        """List a deadline while its owner waits for a connection. Unreached when the cell is stopped."""
        if self.state == "stopped":
            raise Unreached(Outcome.DOWN)
        if not self.waiting:
            self._silent_from = monotonic()
        self._deadlines.add(deadline)
        try:
            yield
        finally:
            self._deadlines.discard(deadline)

    @property
    def silent_seconds(self) -> float:
        """For how long nothing was heard while somebody waited."""
        return monotonic() - self._silent_from

    def forgive(self, seconds: float) -> None:
        """Do not hold against the cell that this process itself stood still."""
        self._silent_from = min(monotonic(), self._silent_from + seconds)

    def heard(self, now: float) -> None:
        """A byte came from the cell, on whatever connection."""
        self._silent_from = now
        if self.state != "answers":
            self._turn("answers", "it sent bytes")

    def refused(self, reason: str) -> None:
        """The cell's host answered that nobody listens: it is not silent, whatever else it is."""
        self._silent_from = monotonic()
        if self.state == "stopped":
            self._turn("unknown", reason)
        self.evidence = reason

    def distrusts(self, why: str) -> None:
        """The cell did not prove who it is, or refuses our certificate: it is not silent, whatever else it is."""
        now = monotonic()
        self._silent_from = now
        metrics.CELL_NOT_TRUSTED.labels(self.cell_id).inc()
        if why != self._distrust or now - self._distrust_told_at >= AGAIN_SECONDS:
            self._distrust, self._distrust_told_at = why, now
            log.warning("cell_not_trusted", cell=self.cell_id, address=self.address, reason=why)
        if self.state == "stopped":
            self._turn("unknown", why)
        self.state, self.evidence, self.since = "unknown", why, now

    def stop_waiting(self) -> None:
        """The cell is stopped: everybody who waits for it is told now."""
        self._turn("stopped", f"silent for {self.silent_seconds:.2f} s while {self.waiting} requests waited")
        for deadline in list(self._deadlines):
            if not deadline.expired():
                deadline.reschedule(self._loop.time())
        for connection in list(self._all):
            if connection.awaits_head:
                connection.fail(Unreached(Outcome.SILENT))
        while self._idle:
            self._drop(self._idle.pop())

    def _turn(self, state: State, evidence: str) -> None:
        log.info("cell_turned", cell=self.cell_id, state=state, evidence=evidence)
        self.state, self.evidence, self.since = state, evidence, monotonic()
        self.show()

    def show(self) -> None:
        """Tell the metrics; what is shown of a cell is about the address that it has now."""
        if not self.closing:
            metrics.CELL_STOPPED.labels(self.cell_id).set(self.state == "stopped")
            metrics.CELL_BREAKER.labels(self.cell_id).set(BREAKER_LEVELS[self.breaker.state])
            metrics.CELL_CONNECTIONS.labels(self.cell_id).set(len(self._all))
            metrics.CELL_CONCURRENCY.labels(self.cell_id).set(self.concurrency.limit)

    # --- connections ---

    def lend(self, tenant: Borrower, now: float) -> Connection | None:
        """A kept connection for one request of a tenant, when there is one and nobody has to wait for it."""
        idle = self._idle
        if not idle or self._queue or self.awaiting >= self.concurrency.limit:
            return None
        if tenant.borrowed >= self._tenant_share and not self._has_share(tenant):
            return None
        connection = idle.pop()
        while connection.closed:
            if not idle:
                return None
            connection = idle.pop()
        if not self.awaiting and not self._deadlines:
            self._silent_from = now
        self.awaiting += 1
        tenant.borrowed += 1
        connection.borrower, connection.awaited = tenant, True
        return connection

    async def take(self, tenant: Borrower, *, fresh: bool = False) -> Connection:
        """A connection for one request of a tenant. Unreached when none can be made or comes free in time."""
        until = self._loop.time() + self._limits.wait_seconds
        again = False
        while True:
            if self._has_share(tenant) and self.awaiting < self.concurrency.limit:
                kept = None if fresh else self._kept()
                if kept is not None or self.open < self._limits.connections or self._drop_one_idle():
                    return await self._lend(tenant, kept)
            elif again:
                self._next()  # the tenant took its share meanwhile: the turn is somebody else's
            await self._turn_comes(tenant, until, again=again)
            again = True

    def _has_share(self, tenant: Borrower) -> bool:
        """Of the connections, and of the requests at a time, in which what takes its time does not count."""
        borrowed = tenant.borrowed
        return borrowed < self._limits.tenant_connections and borrowed - tenant.lasting < self._tenant_share

    def _share(self) -> None:
        """How many of one tenant's requests are awaited: not all that a cell is given, but for the last few."""
        self._tenant_share = min(self._limits.tenant_connections, -(-self.concurrency.limit * 3 // 4))

    async def _lend(self, tenant: Borrower, kept: Connection | None) -> Connection:
        tenant.borrowed += 1
        self.awaiting += 1
        try:
            connection = kept if kept is not None else await self._open()
        except BaseException:
            self.awaiting -= 1
            tenant.borrowed -= 1
            self._next()
            raise
        connection.borrower, connection.awaited = tenant, True
        return connection

    def _kept(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if not connection.closed:
                return connection
        return None

    def _drop(self, connection: Connection) -> None:
        connection.abort()
        self._all.discard(connection)

    def _drop_one_idle(self) -> bool:
        if not self._idle:
            return False
        self._drop(self._idle.pop(0))
        return True

    async def _turn_comes(self, tenant: Borrower, until: float, *, again: bool) -> None:
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

    def _check_queue(self, tenant: Borrower) -> None:
        if len(self._queue) >= self._limits.waiting:
            raise Unreached(Outcome.BUSY, "too many wait already")
        if sum(waiting is tenant for waiting, _ in self._queue) >= self._limits.tenant_waiting:
            raise Unreached(Outcome.BUSY, "too many of this tenant wait already")

    def _next(self) -> None:
        """Something came free: it is the turn of the first who may take it."""
        if not self._queue or self.awaiting >= self.concurrency.limit:
            return
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
        except ssl.SSLError as error:
            why = saying.of_called(error) or "TLS fails"
            self.distrusts(why)
            raise Unreached(Outcome.REFUSED, why) from error
        except (OSError, TimeoutError, BadAddress) as error:
            raise Unreached(Outcome.REFUSED, type(error).__name__) from error

    async def _connect(self) -> Connection:
        # Checked at the moment of connecting: a name may mean another address than when it was registered.
        parts = urlsplit(checked(self.address))
        host, tls = parts.hostname or "", parts.scheme == "https"
        port = parts.port or (443 if tls else 80)
        name = self._name_behind(host, tls=tls)
        found = await self._resolver.resolve(host, port, socket.AF_UNSPEC) if _is_name(host) else []
        addresses = [each["host"] for each in found] or [host]
        if len(addresses) == 1:
            return await self._connect_to(addresses[0], port, name)
        # The one that was reached last is first: so one that is silent costs its time once, not each time.
        addresses.sort(key=lambda address: address != self._reached)
        return await self._connect_to_any(addresses, port, name)

    def _name_behind(self, host: str, *, tls: bool) -> str | None:
        """For whom the certificate must be that is shown there; None: none is. Unreached when one must be."""
        trust = self._trust
        if tls:
            return host if trust is None else trust.name_of(self.cell_id, host)
        if trust is not None and trust.setting:
            try:
                check_encrypted(self.address, trust.setting)
            except BadAddress as error:
                self.distrusts(str(error))
                raise Unreached(Outcome.REFUSED, "its address is not encrypted") from error
        return None

    async def _connect_to_any(self, addresses: list[str], port: int, tls_name: str | None) -> Connection:
        """To the first that answers; each is tried once the one before failed, or was silent for a while."""
        left = deque(addresses)
        tried: dict[asyncio.Task[Connection | OSError], str] = {}
        found: Connection | OSError = OSError("the name means no address")
        try:
            async with asyncio.TaskGroup() as group:
                while not isinstance(found, Connection) and (left or tried):
                    if left:
                        address = left.popleft()
                        tried[group.create_task(self._attempt(address, port, tls_name))] = address
                    patience = NEXT_ADDRESS_SECONDS if left else None
                    done, _ = await asyncio.wait(tried, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
                    for each in done:
                        if not isinstance(found, Connection):
                            address, found = tried.pop(each), each.result()
                            self._reached = address if isinstance(found, Connection) else ""
                for each in tried:
                    each.cancel()
        finally:
            for each in tried:  # another was quicker, or the time is over
                _abandon(each)
        if isinstance(found, Connection):
            return found
        raise found

    async def _attempt(self, address: str, port: int, tls_name: str | None) -> Connection | OSError:
        try:
            return await self._connect_to(address, port, tls_name)
        except OSError as error:
            return error

    async def _connect_to(self, address: str, port: int, tls_name: str | None) -> Connection:
        _, protocol = await self._loop.create_connection(
            lambda: cast(asyncio.Protocol, Connection(self)),
            address,
            port,
            ssl=None if tls_name is None else self._context(),
            server_hostname=tls_name,
        )
        return cast(Connection, protocol)

    def _context(self) -> ssl.SSLContext:
        """As it is now: certificates may be replaced at any time."""
        trust = self._trust
        return ssl.create_default_context() if trust is None else trust.context

    def head_came(self, connection: Connection) -> None:
        """What was awaited on it came, or never will: another request may be sent."""
        if connection.awaited:
            connection.awaited = False
            self.awaiting -= 1
            self._lasts(connection)
        elif connection.excused:
            connection.excused = False
            self.patient -= 1
        if self._queue:
            self._next()

    def _lasts(self, connection: Connection) -> None:
        """Until it is given back, it counts among its tenant's connections alone."""
        tenant = connection.borrower
        if tenant is not None:
            tenant.lasting += 1
            tenant.freed(self)

    def excuse(self, connection: Connection) -> None:
        """It may take its time: it waits, but not among those of which the cell is given so many at a time."""
        if connection.awaited:
            connection.awaited, connection.excused = False, True
            self.awaiting -= 1
            self.patient += 1
            self._lasts(connection)
            if self._queue:
                self._next()

    def next_turn(self) -> None:
        """A tenant that may wait here gave a connection back elsewhere."""
        if self._queue:
            self._next()

    def give_back(self, connection: Connection, now: float) -> None:
        """Return a connection after its request; what cannot be used again is closed."""
        tenant, connection.borrower = connection.borrower, None
        if tenant is not None:
            tenant.borrowed -= 1
            if not connection.awaited:
                tenant.lasting -= 1
            tenant.freed(self)
        if connection.reusable and not self.closing and self.state != "stopped":
            connection.rest(now)
            self._idle.append(connection)
        else:
            self._drop(connection)
        if self._queue:
            self._next()

    def settled(self, connection: Connection, now: float) -> None:
        """All of a response came at once, and perhaps the connection can be lent again."""
        self._silent_from = now
        if self.state != "answers":
            self._turn("answers", "it sent bytes")
        tenant = connection.borrower
        if tenant is None:
            return  # a probe's: it was never lent, and must not be
        connection.awaited = False
        self.awaiting -= 1
        if self._queue or self.closing or not connection.keeps or tenant.pool is not self:
            tenant.lasting += 1  # which giving it back takes away, as of all whose head came
            self.give_back(connection, now)
            return
        connection.borrower = None
        tenant.borrowed -= 1
        connection.settle(now)
        self._idle.append(connection)

    def tally(self, status: int, seconds: float, now: float) -> None:
        """Count an answer that took `seconds`, in the counts, the breaker and the limit of requests at a time."""
        counts = self.counts
        self.breaker.succeeded(now)
        counts.by_class[status // 100] += 1
        counts.buckets[bisect_left(BOUNDS_SECONDS, seconds)] += 1
        counts.seconds += seconds
        self.sample(seconds)

    def sample(self, seconds: float) -> None:
        """Let the limit of requests at a time learn from an answer, unless it was this process that took long.

        What is sent at the end of a turn and comes during the next one is read in the one after that.
        """
        learns = self.concurrency
        if seconds <= OWN_TURNS * self.outbox.turn_seconds:
            seconds = learns.unloaded_seconds  # no evidence that it needed longer than it does
        if seconds:
            learns.sample(seconds, self.awaiting + 1)

    def lost(self, connection: Connection) -> None:
        """A connection is closed, whoever closed it."""
        if connection not in self._all:
            return  # it was a probe's, or is counted no more: nothing comes free by its end
        self._all.discard(connection)
        with contextlib.suppress(ValueError):
            self._idle.remove(connection)
        self._next()

    def sweep(self, now: float) -> None:
        """End what is late."""
        for connection in [each for each in self._all if each.deadline <= now]:
            if connection.awaits_head:
                connection.fail(Unreached(Outcome.LATE))
            else:
                connection.fail(TransferBroken("the cell's response stopped coming"))

    def adapt(self, now: float) -> None:
        """Move the limit of requests at a time. Who has room by that need not wait until an answer comes."""
        self.concurrency.adapt(now)
        self._share()
        for _ in range(min(len(self._queue), self.concurrency.limit - self.awaiting)):
            self._next()

    def close_idle(self, *, everything: bool = False) -> None:
        """Close what was not used for long, the longest first."""
        oldest_allowed = monotonic() - self._limits.idle_seconds
        while self._idle and (everything or self._idle[0].kept_at < oldest_allowed):
            self._drop(self._idle.pop(0))

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
                sign = Sign(self._loop.create_future())
                connection.begin(sign, b"GET", PROBE % urlsplit(self.address).netloc.encode(), last=True)
                await sign.came
        except (RouterError, TimeoutError) as error:
            if self.state == "stopped":
                self.evidence = f"no answer to the probe: {error or 'in time'}"
        finally:
            self.probing = False
            if connection is not None:
                connection.abort()


class Sign:
    """Waits for any answer at all: the receiver of a probe's response."""

    def __init__(self, came: "asyncio.Future[None]") -> None:
        self.came = came

    def answered_whole(self, _head: ResponseHead, _body: bytes, _now: float) -> None:
        if not self.came.done():
            self.came.set_result(None)

    def answered(self, _head: ResponseHead, _framing: Framing | None, _body: bytes) -> None:
        if not self.came.done():
            self.came.set_result(None)

    def failed(self, error: RouterError) -> None:
        if not self.came.done():
            self.came.set_exception(error)

    def interim(self, _head: ResponseHead) -> None:
        return None

    def switched(self, _head: ResponseHead, _data: bytes) -> None:
        return None

    def piece(self, _data: bytes) -> None:
        return None

    def ended(self) -> None:
        return None

    def cell_busy(self, _busy: bool) -> None:
        return None


def _abandon(attempt: "asyncio.Task[Connection | OSError]") -> None:
    """Close what was made all the same."""
    made = attempt.result() if attempt.done() and not attempt.cancelled() else None
    if isinstance(made, Connection):
        made.abort()


def _is_name(host: str) -> bool:
    """Whether the host is a name, not a literal address; literals were checked as text."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except OSError:
            continue
        return False
    return True
