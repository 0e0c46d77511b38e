"""One request on its way: whom is it for, where does that tenant live, send it, pass the answer on.

What to decide is in `rules/`; this is what is done about it. Nothing is kept of a request but a small body, in
case the cell says that the tenant has moved.
"""

import asyncio
import contextlib
import functools
import ipaddress
import secrets

from aiohttp import web

from directory.values import TenantEntry
from router import metrics
from router.bodies import CONTINUE, RequestBody
from router.errors import (
    BodyRefused,
    RouterError,
    TransferBroken,
    Unreached,
    gave_up,
    malformed,
    no_such_tenant,
    unavailable,
)
from router.look_ups import Away, LookUps
from router.passage import Exchange, Passage, Patience
from router.rules import headers, strict
from router.rules.decide import Again, Attempt, GiveUp, Outcome, decide
from router.rules.head import Framing, RequestHead
from router.rules.headers import Client
from router.rules.identify import Identified, Unidentified, identify
from router.server import Server
from router.settings import RouterSettings
from router.table import Table
from router.upstream.cells import Cells
from router.upstream.connection import Connection
from router.upstream.pool import Pool
from runtime import logs
from runtime.api.problem import ApiError, unauthenticated
from runtime.tasks import Tasks

log = logs.get("router.forward")
NO_TENANT = "nothing names a tenant: use its host name, /t/<tenant>/…, the header {} or its API key"


class Forwarder:
    """Handles every request of the public port."""

    def __init__(
        self, settings: RouterSettings, table: Table, look_ups: LookUps, cells: Cells, tasks: Tasks
    ) -> None:
        self._settings, self._table, self._look_ups = settings, table, look_ups
        self._cells, self._tasks = cells, tasks
        self._sources = settings.sources()
        self._via = b"%s-%s" % (headers.VIA, secrets.token_hex(8).encode())
        """One's own alone: another router on the way is no loop."""
        self._once = (*strict.AT_MOST_ONCE, self._sources.tenant_header)
        self._patience = Patience(settings.response_idle_seconds, settings.write_idle_seconds)
        networks = tuple(ipaddress.ip_network(network) for network in settings.trusted_proxies)
        self._client = functools.lru_cache(4096)(functools.partial(_client, networks))
        self.server = Server(
            self.handle,
            head_seconds=settings.head_seconds,
            idle_seconds=settings.idle_seconds,
            write_idle_seconds=settings.write_idle_seconds,
        )

    # --- the request ---

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request, whatever happens; aiohttp only learns whether the connection goes on."""
        head = _head_of(request)
        fault = strict.request_fault(head, self._once)
        passage = self._begin(request, head, Framing() if fault else strict.request_framing(head))
        return await passage.taken(await self._told(passage, fault), self._patience.client_seconds)

    async def _told(self, passage: Passage, fault: str | None) -> web.StreamResponse:
        """What the client was told: an answer, a refusal, or nothing more."""
        if strict.too_large(passage.head):
            return passage.refuse(
                malformed("the request's head is too large", status=431), "too_large", close=True
            )
        if fault is not None:
            return passage.refuse(malformed(fault), "malformed", close=True)
        try:
            return await self._answer(passage)
        except BodyRefused as refused:
            return passage.refuse(refused.error, "body", close=True)
        except ApiError as error:
            return passage.refuse(error, error.code.lower())
        except (TransferBroken, Unreached) as broken:
            return passage.cut("cell", broken)
        except TimeoutError as late:
            return passage.cut("client_slow", late)
        except ConnectionError as gone:
            return passage.cut("client_gone", gone)
        except Exception as error:
            log.error("request_failed", error=repr(error), exc_info=error)
            fault_of_ours = "a fault of this service, not of the request; it has been logged"
            return passage.refuse(ApiError("INTERNAL", fault_of_ours), "internal", close=True)

    def _begin(self, request: web.BaseRequest, head: RequestHead, framing: Framing) -> Passage:
        body = RequestBody(
            request.content,
            framing,
            most_kept_bytes=self._settings.replay_bytes,
            idle_seconds=self._settings.body_idle_seconds,
        )
        ident = headers.request_id(head, secrets.token_hex(16).encode())
        passage = Passage(request, head, body, ident, self.server)
        if strict.awaits_continue(head) and not framing.empty:
            body.ask_first = functools.partial(passage.write, CONTINUE)
        return passage

    async def _answer(self, passage: Passage) -> web.StreamResponse:
        if headers.came_round(passage.head, self._via):
            raise ApiError("FAILED_PRECONDITION", "this request came round: a cell sent it back here", status=508)
        if strict.unexpected(passage.head):
            raise malformed("the only expectation met here is 100-continue", status=417)
        found = identify(passage.head, self._sources)
        if isinstance(found, Unidentified):
            raise self._unidentified(found)
        # Before anybody is looked up: whether a body was read must not tell who exists.
        await passage.body.read_ahead()
        entry = await self._locate(found)
        exchange = await self._reach(passage, found, entry)
        try:
            return await passage.pass_on(exchange, self._patience)
        finally:
            await _stop(exchange.pump)
            exchange.pool.give_back(exchange.connection)

    def _unidentified(self, why: Unidentified) -> ApiError:
        if why is Unidentified.NO_KEY:
            return unauthenticated()
        if why is Unidentified.NO_SUCH_TENANT:
            return no_such_tenant()
        return malformed(NO_TENANT.format(self._settings.tenant_header))

    async def _locate(self, found: Identified) -> TenantEntry:
        entry = self._table.find(found.tenant)
        if entry is None:
            try:
                entry = await self._look_ups.find(found.tenant)
            except Away as away:
                raise unavailable("the directory cannot be asked for this tenant now") from away
        if entry is None:
            # Exactly what a cell says to a key that it does not know: names cannot be tried out.
            raise unauthenticated() if found.by_key else no_such_tenant()
        return entry

    # --- to the cell ---

    async def _reach(self, passage: Passage, found: Identified, entry: TenantEntry) -> Exchange:
        """The beginning of an answer, after at most two attempts. ApiError when there is none."""
        number, fresh = 1, False
        while True:
            try:
                return await self._attempt(passage, found, entry, fresh=fresh)
            except Unreached as unreached:
                action = decide(unreached.outcome, _facts(passage, number))
                if isinstance(action, GiveUp):
                    log.debug("gave_up", cell=entry.cell_id, tenant=found.tenant, reason=str(unreached))
                    raise gave_up(unreached.outcome, action) from unreached
                metrics.SECOND_ATTEMPTS.labels(entry.cell_id, unreached.outcome.name.lower()).inc()
                if isinstance(action, Again):
                    fresh = True
                else:
                    entry = await self._refreshed(found, entry)
                number += 1

    async def _refreshed(self, found: Identified, tried: TenantEntry) -> TenantEntry:
        """Where the tenant lives now, after a cell said: not here.

        The same place when nothing newer comes in time: a router may know of an assignment before its cell does.
        """
        entry = self._table.find(found.tenant)
        if entry is None or entry.epoch <= tried.epoch:
            with contextlib.suppress(Away):
                entry = await self._look_ups.refresh(found.tenant)
        if entry is None or entry.epoch <= tried.epoch:
            entry = await self._table.newer(found.tenant, tried.epoch, self._settings.refresh_seconds)
        return entry or self._table.find(found.tenant) or tried

    async def _attempt(self, passage: Passage, found: Identified, entry: TenantEntry, *, fresh: bool) -> Exchange:
        """Send the request once. Unreached, with what is known about its fate."""
        pool = self._cells.pool(entry.cell_id or "")
        deadline = asyncio.timeout(self._settings.response_seconds)
        connection: Connection | None = None
        pump: asyncio.Task[None] | None = None
        try:
            async with deadline:
                with pool.awaited(deadline):
                    connection = await pool.take(found.tenant, fresh=fresh)
                    self._send(passage, connection, self._head_bytes(passage, found, entry))
                    if not passage.body.complete:
                        deadline.reschedule(None)  # the body has deadlines of its own
                        pump = self._tasks.spawn("pump", self._pump(passage.body, connection, deadline))
                    head = await connection.head()
            if head.status == 421:
                raise Unreached(Outcome.NOT_OURS)
        except BaseException as error:
            await _stop(pump)
            if connection is not None:
                connection.abort()
                pool.give_back(connection)
            if isinstance(error, TimeoutError):
                raise Unreached(_late(pool, sent=connection is not None)) from None
            raise
        return Exchange(pool, connection, head, pump)

    def _head_bytes(self, passage: Passage, found: Identified, entry: TenantEntry) -> bytes:
        head = passage.head
        passed = headers.for_cell(
            head,
            found,
            self._client(passage.request.remote or ""),
            ident=passage.ident,
            epoch=entry.epoch,
            tenant_header=self._sources.tenant_header,
            via=self._via,
        )
        return headers.request_bytes(head.method, found.target, headers.framed(passed, passage.body.framing))

    def _send(self, passage: Passage, connection: Connection, head: bytes) -> None:
        body = passage.body
        connection.expect(passage.head.method)
        connection.send(head + body.beginning(), last=body.complete)

    async def _pump(self, body: RequestBody, connection: Connection, deadline: asyncio.Timeout) -> None:
        """Carry the rest of the body to the cell, as fast as both sides can."""
        try:
            while not body.complete:
                data = await body.read()
                connection.send(body.framed(data), last=body.complete)
                async with asyncio.timeout(self._settings.response_seconds):
                    await connection.flushed()
        except BodyRefused as refused:
            connection.fail(refused)
        except TimeoutError:
            connection.fail(Unreached(Outcome.LATE, "it does not take the body"))
        except (RouterError, ConnectionError):
            return  # the connection is gone, and who waits for the answer knows why
        if not deadline.expired() and deadline.when() is None:
            with contextlib.suppress(RuntimeError):  # its block ended meanwhile: the answer is there
                deadline.reschedule(asyncio.get_running_loop().time() + self._settings.response_seconds)


def _head_of(request: web.BaseRequest) -> RequestHead:
    # What `request.path_qs` and its kin give was decoded and encoded again; this is what came over the wire.
    target = request._message.path.encode("utf-8", "surrogateescape")
    version = (request.version[0], request.version[1])
    return RequestHead(request.method.encode(), target, version, tuple(request.raw_headers))


def _facts(passage: Passage, number: int) -> Attempt:
    return Attempt(
        method=passage.head.method,
        has_body=not passage.body.framing.empty,
        replayable=passage.body.replayable,
        has_idempotency_key=bool(passage.head.values(b"idempotency-key")),
        number=number,
    )


def _client(networks: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...], address: str) -> Client:
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return Client(b"unknown")
    return Client(address.encode(), b"http", any(ip in network for network in networks))


async def _stop(pump: "asyncio.Task[None] | None") -> None:
    if pump is not None and not pump.done():
        pump.cancel()
        await asyncio.wait([pump])


def _late(pool: Pool, *, sent: bool) -> Outcome:
    if pool.state == "stopped":
        return Outcome.SILENT if sent else Outcome.DOWN
    return Outcome.LATE if sent else Outcome.BUSY
