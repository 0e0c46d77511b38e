"""What all requests of one router process share: settings, the tenants, the cells, and a coarse clock.

Deadlines are compared with the clock ten times a second, for all connections together: a timer of its own for each
would cost more than the request.
"""

import asyncio
import contextlib
import functools
import ipaddress
import random
import secrets
from binascii import hexlify
from collections.abc import Collection
from time import monotonic
from typing import TYPE_CHECKING, Final

from directory.values import TenantEntry
from router import metrics
from router.errors import overloaded
from router.holds import HoldLimits, Holds
from router.look_ups import Away, LookUps
from router.problems import problem_bytes
from router.rules import headers
from router.rules.headers import Client as Sender
from router.rules.overload import Lag
from router.rules.requests import Requests
from router.settings import RouterSettings
from router.table import Table
from router.tenants import Tenants
from router.upstream.cells import Cells
from router.upstream.pool import Pool
from runtime import logs
from runtime.tasks import Tasks

if TYPE_CHECKING:
    from router.client import Client
    from router.passage import Passage

log = logs.get("router.access")
NO_TENANT: Final = "nothing names a tenant: use its host name, /t/<tenant>/…, the header {} or its API key"
TICK_SECONDS: Final = 0.1
COUNT_SECONDS: Final = 2.0
"""Between two counts of the busiest tenants: to count ten thousand takes 15 ms."""
COUNTED_AT_ONCE: Final = 50
LAST_REQUEST_SECONDS: Final = 0.5
"""How long a draining router waits for one more request on a kept connection, to answer it with `close`."""


class Lane:
    """One router process's."""

    def __init__(
        self, settings: RouterSettings, table: Table, look_ups: LookUps, cells: Cells, tasks: Tasks
    ) -> None:
        self.table, self.look_ups, self.cells, self.tasks = table, look_ups, cells, tasks
        self.outbox = cells.outbox
        self.sources = settings.sources()
        self.no_tenant = NO_TENANT.format(settings.tenant_header)
        self.via = b"%b-%b" % (headers.VIA, secrets.token_hex(8).encode())
        """One's own alone: another router on the way is no loop."""
        self.tenants = Tenants(table, cells, rate_share=settings.rate_share)
        self.active = self.tenants.active
        self.holds = Holds(HoldLimits(settings.hold_requests, settings.hold_bytes, settings.hold_seconds))
        self.held = self.holds.by_tenant
        self.busiest = metrics.BusyTenants(settings.busiest_tenants)
        self.replay_bytes = settings.replay_bytes
        self.head_seconds, self.idle_seconds = settings.head_seconds, settings.idle_seconds
        self.body_idle_seconds, self.write_idle_seconds = settings.body_idle_seconds, settings.write_idle_seconds
        self.response_seconds = settings.response_seconds
        self.response_idle_seconds = settings.response_idle_seconds
        self.pipe_idle_seconds, self.refresh_seconds = settings.pipe_idle_seconds, settings.refresh_seconds
        self.pipes_open = settings.websockets
        self.now = monotonic()
        """The time, up to a tenth of a second ago."""
        self.clients: set[Client] = set()
        self.streams: set[Passage] = set()
        """Of server-sent events."""
        self.most_connections: int | None = None
        self.leaving = False
        """Whether clients are to leave: every answer ends its connection. So it is while draining, too."""
        self.draining = False
        """Whether the process ends: streams and WebSockets are ended as well."""
        self.behind = False
        """Whether some requests are to be refused unseen (`sheds`)."""
        self.shed_bytes = b""
        """What they are told."""
        self._empty = asyncio.Event()
        self._scheme = b"https" if settings.tls_certificate else b"http"
        networks = tuple(ipaddress.ip_network(network) for network in settings.trusted_proxies)
        self._sender = functools.lru_cache(4096)(functools.partial(_sender, networks, self._scheme))
        self._readers = {trusted: Requests(self.sources, trusted=trusted) for trusted in (False, True)}
        # Not for secrets: request ids have to be unlike, not unguessable.
        self._random = random.Random(secrets.randbits(128))  # noqa: S311
        self.bits = self._random.getrandbits
        self._lag = Lag()
        self._logged_share = settings.access_log_share
        self.logged_after = self._next_logged()

    # --- clients ---

    @property
    def full(self) -> bool:
        """Whether one more client could take the files that connections to cells need."""
        return self.most_connections is not None and len(self.clients) >= self.most_connections

    def sender(self, transport: asyncio.Transport) -> Sender:
        """Who is at the other end."""
        peer = transport.get_extra_info("peername")
        return self.sender_at(str(peer[0])) if peer else self.sender_at("")

    def sender_at(self, address: str, *, scheme: bytes | None = None) -> Sender:
        """Who has this address."""
        found = self._sender(address)
        return found if scheme is None else Sender(found.address, scheme, found.trusted)

    def reader(self, sender: Sender) -> Requests:
        """What reads the heads that this client sends."""
        return self._readers[sender.trusted]

    def gone(self, client: "Client") -> None:
        """A client's connection is closed."""
        self.clients.discard(client)
        if not self.clients:
            self._empty.set()

    # --- requests ---

    def fresh_id(self) -> bytes:
        """32 hexadecimal digits: a request id, which is a valid trace id too."""
        return hexlify(self.bits(128).to_bytes(16))

    def sheds(self) -> bool:
        """Whether a request is refused unseen, because the process is behind with its work."""
        return self._lag.sheds(self._random.random())

    async def newer(self, tenant: str, tried_epoch: int, wait_seconds: float) -> TenantEntry | None:
        """Where the tenant lives now, after a cell said: not here.

        None when nothing newer comes in time: a router may know of an assignment before its cell does.
        """
        entry = self.table.find(tenant)
        if entry is None or entry.epoch <= tried_epoch:
            with contextlib.suppress(Away):
                entry = await self.look_ups.refresh(tenant)
        if entry is None or entry.epoch <= tried_epoch:
            entry = await self.table.newer(tenant, tried_epoch, wait_seconds)
        return entry

    def access(self, passage: "Passage", pool: Pool, status: int, now: float) -> None:
        """Log a request: one in so many, when `logged_after` was counted down to nothing."""
        self.logged_after = self._next_logged()
        log.info(
            "request",
            tenant=passage.found.tenant.decode(),
            cell=pool.cell_id,
            method=passage.head.method.decode(),
            status=status,
            milliseconds=round((now - passage.started) * 1000, 2),
            request_id=passage.ident.decode(),
        )

    def _next_logged(self) -> int:
        """The number of requests until the next that is logged; 0 or less: none ever is."""
        return 1 + int(self._random.expovariate(self._logged_share)) if self._logged_share else -1

    # --- time ---

    async def tick(self) -> None:
        """Look at all deadlines; called again and again."""
        planned = self.now + TICK_SECONDS
        await asyncio.sleep(max(0.0, planned - monotonic()))
        now = self.now = monotonic()
        self._lag.beat(max(0.0, now - planned), now)
        self.behind = self._lag.share > 0
        if self.behind:
            self.shed_bytes = problem_bytes(overloaded(), 1, keep_alive=True)
        metrics.LAG.set(self._lag.late_seconds)
        metrics.CLIENT_CONNECTIONS.set(len(self.clients))
        for client in [each for each in self.clients if each.deadline <= now]:
            client.late()

    async def count(self) -> None:
        """Count the requests of tenants; called again and again."""
        await asyncio.sleep(COUNT_SECONDS)
        for number, tenant in enumerate(self.tenants):
            if number % COUNTED_AT_ONCE == COUNTED_AT_ONCE - 1:
                await asyncio.sleep(0)  # a turn for requests
            if tenant.requests:
                self.busiest.add(tenant.name.decode(), tenant.requests)
                tenant.requests = 0
        self.busiest.total += self.tenants.uncounted
        self.tenants.uncounted = 0

    # --- the end ---

    def leave(self, leaving: bool) -> None:
        """Let clients leave by and by (a balancer is to find another router), or stay again. A drain goes on."""
        self.leaving = leaving or self.draining

    async def drain(self, arriving: Collection[object] = ()) -> None:
        """Answer what came, and end every connection; returns once none is left, nor any `arriving`."""
        self.draining = self.leaving = True
        for stream in list(self.streams):
            stream.drain()
        for client in list(self.clients):
            if client.pipe is not None:
                client.pipe.drain()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_REQUEST_SECONDS):
                while self.clients or arriving:
                    self._empty.clear()
                    await self._empty.wait()
        while self.clients:
            for client in list(self.clients):
                if client.idle:
                    client.finish()
            self._empty.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TICK_SECONDS):
                    await self._empty.wait()

    def cut_off(self) -> None:
        """End what is left."""
        for client in list(self.clients):
            client.cut_off()


def _sender(
    networks: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...], scheme: bytes, address: str
) -> Sender:
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return Sender(b"unknown", scheme)
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return Sender(str(ip).encode(), scheme, any(ip in network for network in networks))
