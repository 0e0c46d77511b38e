"""One request on its way: who is it for, where does that tenant live, send it, pass the answer on.

What to decide is in `rules/`; this is what is done about it. A response is passed on as it comes, piece by piece;
nothing is kept but a small request body, in case the cell says that the tenant has moved.
"""

import asyncio
import contextlib
import ipaddress
import secrets
import time
from dataclasses import dataclass
from email.utils import formatdate

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
from router.rules import headers, strict
from router.rules.decide import Again, Attempt, GiveUp, Outcome, decide
from router.rules.head import Framing, RequestHead, ResponseHead, values
from router.rules.headers import Client
from router.rules.identify import Identified, Unidentified, identify
from router.server import Sent, Server, cut_off, problem_bytes
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


@dataclass(slots=True)
class Passage:
    """One request, from its head to the end of its answer."""

    request: web.BaseRequest
    head: RequestHead
    ident: bytes
    started: float
    body: RequestBody
    keep_alive: bool
    answering: bool = False
    """Whether bytes of a final response were written: from then on only a cut tells of a failure."""


@dataclass(slots=True)
class Exchange:
    """An answer that began: the head is here, the rest is read from the connection."""

    pool: Pool
    connection: Connection
    head: ResponseHead
    pump: "asyncio.Task[None] | None"


class Forwarder:
    """Handles every request of the public port."""

    def __init__(
        self, settings: RouterSettings, table: Table, look_ups: LookUps, cells: Cells, tasks: Tasks
    ) -> None:
        self._settings, self._table, self._look_ups = settings, table, look_ups
        self._cells, self._tasks = cells, tasks
        self._sources = settings.sources()
        self._once = (*strict.AT_MOST_ONCE, self._sources.tenant_header)
        self._trusted = tuple(ipaddress.ip_network(network) for network in settings.trusted_proxies)
        self.server: Server | None = None
        """Whose draining ends kept connections."""

    @property
    def _draining(self) -> bool:
        return self.server is not None and self.server.draining

    # --- the request ---

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request, whatever happens; aiohttp only learns whether the connection goes on."""
        passage = self._begin(request)
        try:
            return await self._answer(passage)
        except BodyRefused as refused:
            return self._refuse(passage, refused.error, "body", close=True)
        except ApiError as error:
            return self._refuse(passage, error, error.code.lower())
        except TransferBroken as broken:
            return self._cut(passage, "cell", broken)
        except TimeoutError:
            return self._cut(passage, "client_slow", None)
        except ConnectionError as error:
            return self._cut(passage, "client_gone", error)
        except Exception as error:
            log.error("request_failed", error=repr(error), exc_info=error)
            fault = ApiError("INTERNAL", "a fault of this service, not of the request; it has been logged")
            return self._refuse(passage, fault, "internal", close=True)

    def _begin(self, request: web.BaseRequest) -> Passage:
        version = (request.version[0], request.version[1])
        target = request._message.path.encode("utf-8", "surrogateescape")
        head = RequestHead(request.method.encode(), target, version, tuple(request.raw_headers))
        fault = strict.request_fault(head, self._once)
        framing = Framing() if fault else strict.request_framing(head)
        go_on = None
        if not fault and strict.awaits_continue(head) and not framing.empty:
            go_on = lambda: _write(request, CONTINUE)  # noqa: E731 a bound call, not worth a name
        body = RequestBody(
            request,
            framing,
            most_kept_bytes=self._settings.replay_bytes,
            idle_seconds=self._settings.body_idle_seconds,
            go_on=go_on,
        )
        ident = headers.request_id(head.headers, secrets.token_hex(16).encode())
        keep_alive = bool(request.keep_alive) and not fault
        return Passage(request, head, ident, time.monotonic(), body, keep_alive)

    async def _answer(self, passage: Passage) -> web.StreamResponse:
        fault = strict.request_fault(passage.head, self._once)
        if fault is not None:
            return self._refuse(passage, malformed(fault), "malformed", close=True)
        if strict.unexpected(passage.head):
            raise malformed("the only expectation met here is 100-continue", status=417)
        found = identify(passage.head, self._sources)
        if isinstance(found, Unidentified):
            raise self._unidentified(found)
        entry = await self._locate(found)
        exchange = await self._reach(passage, found, entry)
        return await self._pass_on(passage, exchange)

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
        await passage.body.read_if_small()
        while True:
            try:
                return await self._attempt(passage, found, entry, fresh=fresh)
            except Unreached as unreached:
                action = decide(unreached.outcome, self._facts(passage, number))
                if isinstance(action, GiveUp):
                    log.debug("gave_up", cell=entry.cell_id, tenant=found.tenant, reason=str(unreached))
                    raise gave_up(unreached.outcome, action) from unreached
                metrics.SECOND_ATTEMPTS.labels(entry.cell_id, unreached.outcome.name.lower()).inc()
                if isinstance(action, Again):
                    fresh = True
                else:
                    entry = await self._refreshed(found, entry)
                number += 1

    def _facts(self, passage: Passage, number: int) -> Attempt:
        return Attempt(
            method=passage.head.method,
            has_body=not passage.body.framing.empty,
            replayable=passage.body.replayable,
            has_idempotency_key=bool(values(passage.head.headers, b"idempotency-key")),
            number=number,
        )

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
                    connection = await pool.take(fresh=fresh)
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
        passed = headers.for_cell(
            passage.head,
            found,
            self._client(passage.request),
            ident=passage.ident,
            epoch=entry.epoch,
            tenant_header=self._sources.tenant_header,
        )
        return headers.request_bytes(
            passage.head.method, found.target, headers.framed(passed, passage.body.framing)
        )

    def _client(self, request: web.BaseRequest) -> Client:
        address = request.remote or "unknown"
        try:
            ip = ipaddress.ip_address(address)
        except ValueError:
            return Client(b"unknown")
        return Client(address.encode(), b"http", any(ip in network for network in self._trusted))

    def _send(self, passage: Passage, connection: Connection, head: bytes) -> None:
        body = passage.body
        connection.expect(passage.head.method)
        connection.send(head + body.framed(body.kept or b""), last=body.complete)

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

    # --- to the client ---

    async def _pass_on(self, passage: Passage, exchange: Exchange) -> web.StreamResponse:
        framing = exchange.connection.framing
        status, cell_id = exchange.head.status, exchange.pool.cell_id
        metrics.REQUESTS.labels(cell_id, f"{status // 100}xx").inc()
        metrics.SECONDS.labels(cell_id).observe(time.monotonic() - passage.started)
        try:
            await self._pass_body(passage, exchange, framing)
        finally:
            await _stop(exchange.pump)
            exchange.pool.give_back(exchange.connection)
        return Sent(status, passage.keep_alive)

    async def _pass_body(self, passage: Passage, exchange: Exchange, framing: Framing | None) -> None:
        chunked = (framing is None or framing.chunked) and passage.head.version == (1, 1)
        if exchange.pump is not None and not exchange.pump.done():
            passage.keep_alive = False  # the answer came before the body's end: who knows what follows
        if (framing is None or framing.chunked) and not chunked:
            passage.keep_alive = False  # HTTP/1.0: the body ends with the connection
        passage.keep_alive = passage.keep_alive and not self._draining
        writer = passage.request.writer
        passage.answering = True
        _write(passage.request, self._response_head(passage, exchange, framing, chunked))
        if chunked:
            writer.enable_chunking()
        while data := await self._next_piece(exchange.connection):
            async with asyncio.timeout(self._settings.write_idle_seconds):
                await writer.write(data)
        async with asyncio.timeout(self._settings.write_idle_seconds):
            await writer.write_eof()

    def _response_head(
        self, passage: Passage, exchange: Exchange, framing: Framing | None, chunked: bool
    ) -> bytes:
        head = exchange.head
        passed = headers.for_client(head, ident=passage.ident, date=formatdate(usegmt=True).encode())
        passed = headers.framed(passed, _shown_framing(passage.head.method, head, framing, chunked))
        passed += headers.connection(passage.head.version, passage.keep_alive)
        return headers.response_bytes(head.status, head.reason, passed)

    async def _next_piece(self, connection: Connection) -> bytes:
        try:
            async with asyncio.timeout(self._settings.response_idle_seconds):
                return await connection.read()
        except TimeoutError:
            raise TransferBroken("the cell's response stopped coming") from None
        except RouterError as error:
            raise TransferBroken(str(error)) from error

    def _refuse(
        self, passage: Passage, error: ApiError, reason: str, *, close: bool = False
    ) -> web.StreamResponse:
        if passage.answering:
            return self._cut(passage, "refused_late", error)
        # A body that nobody read would be taken for the next request.
        keep_alive = passage.keep_alive and passage.body.complete and not (close or self._draining)
        data, status = problem_bytes(
            error,
            passage.head.version,
            keep_alive=keep_alive,
            ident=passage.ident,
            empty=passage.head.method == b"HEAD",
        )
        metrics.REFUSALS.labels(str(status), reason).inc()
        with contextlib.suppress(ConnectionError):
            _write(passage.request, data)
        return Sent(status, keep_alive)

    def _cut(self, passage: Passage, cause: str, error: Exception | None) -> web.StreamResponse:
        metrics.ABORTS.labels(cause).inc()
        log.debug("transfer_cut", cause=cause, error=repr(error))
        cut_off(passage.request.transport)
        return Sent(0, keep_alive=False)


def _write(request: web.BaseRequest, data: bytes) -> None:
    transport = request.transport
    if transport is None or transport.is_closing():
        raise ConnectionResetError("the client is gone")
    transport.write(data)


async def _stop(pump: "asyncio.Task[None] | None") -> None:
    if pump is not None and not pump.done():
        pump.cancel()
        await asyncio.wait([pump])


def _late(pool: Pool, *, sent: bool) -> Outcome:
    if pool.state == "stopped":
        return Outcome.SILENT if sent else Outcome.DOWN
    return Outcome.LATE if sent else Outcome.BUSY


def _shown_framing(method: bytes, head: ResponseHead, framing: Framing | None, chunked: bool) -> Framing:
    """What the client is told about the body's end."""
    lengths = values(head.headers, b"content-length")
    if head.status in strict.NO_BODY or method == b"HEAD":
        # A length may say how long the body would be; it says nothing with 204 (RFC 9110 section 8.6).
        return Framing(int(lengths[0])) if lengths and head.status != 204 else Framing()
    if chunked:
        return Framing(chunked=True)
    return Framing() if framing is None or framing.chunked else framing
