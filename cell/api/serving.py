"""What surrounds each handler: headers, body, fence, key, transaction, replay, audit, errors, metrics.

Nobody learns without a key that a tenant exists: whatever comes through the router, to an endpoint or to no page
at all, is answered as it deserves only after the key was accepted, and what is wrong with a body is remembered
until then. A body is read before the transaction begins, so a slow client holds no connection; one that is not
there at once is waited for only after the key was accepted.
"""

import asyncio
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from cell import metrics
from cell.access import enter
from cell.api.accounting import accounted
from cell.api.context import Context, NotYet, Tools
from cell.api.endpoints import AFTERWARDS, ENDPOINTS, openapi
from cell.api.idempotency import once
from cell.api.notices import Watch
from cell.database import again, transaction, translated
from cell.errors import NotAllowed, NotHere, Overfull, Unavailable
from cell.load import HEAD_BYTES, Charge, Meter, stepped
from cell.rules.headers import EPOCH, TENANT, Routed, came_through_router, routed
from cell.work.hints import Hinter
from cell.workflows.beginning import NoSubscription
from runtime import logs
from runtime.api.endpoint import Endpoint, Reply, mount, read, read_body
from runtime.api.problem import REQUEST_ID, ApiError, Handler, not_found, problems
from runtime.api.texts import ID
from runtime.database import Pool

MOST_BYTES = 1024 * 1024
OVERFULL_SECONDS = 5
AT_ONCE_SECONDS = 0.05
AT_ONCE_BYTES = 64 * 1024
"""A body that is no larger, and there so soon, is read with one look at the key; for another one it takes two."""
_ID = re.compile(ID.removesuffix("$") + r"\Z")


def application(pool: Pool, tools: Tools, hinter: Hinter, meter: Meter) -> web.Application:
    """The application for the data port."""
    serving = Serving(pool, tools, hinter, meter)
    app = web.Application(client_max_size=MOST_BYTES, middlewares=[problems(problem_of), serving.nowhere])
    mount(app, ENDPOINTS, serving.around)
    text = openapi()

    async def described(_request: web.Request) -> web.Response:
        return web.Response(body=text, content_type="application/json")

    async def live(_request: web.Request) -> web.Response:
        return web.json_response({"live": True})

    app.router.add_get("/openapi.json", serving.page(described))
    app.router.add_get("/health/live", serving.page(live))
    return app


def problem_of(error: Exception) -> ApiError | None:
    """What a client is told of the cell's own errors."""
    match translated(error):
        case NotHere(epoch=epoch):
            metrics.REFUSED_BY_FENCE.labels("request").inc()
            message = "this cell does not serve the tenant at that epoch: ask the router again"
            return ApiError(
                "FAILED_PRECONDITION", message, status=421, retryable=True, headers={EPOCH: str(epoch)}
            )
        case NoSubscription() as reason:
            return ApiError("NOT_FOUND", str(reason))
        case NotAllowed() as reason:
            return ApiError("FAILED_PRECONDITION", str(reason))
        case Overfull() as reason:
            message = f"{reason}: try again when some are done"
            return ApiError("RESOURCE_EXHAUSTED", message, headers={"Retry-After": str(OVERFULL_SECONDS)})
        case Unavailable() as reason:
            return ApiError("UNAVAILABLE", str(reason))
    return None


@dataclass(frozen=True, slots=True)
class _Visit:
    """One request that has come in. `fault`: what is wrong with its body, told after the key was accepted."""

    endpoint: Endpoint[Context]
    request: web.Request
    whose: Routed
    watch: Watch
    started: float
    fault: ApiError | None
    charge: Charge


class Serving:
    """Runs the handlers."""

    def __init__(self, pool: Pool, tools: Tools, hinter: Hinter, meter: Meter) -> None:
        self._pool, self._tools, self._hinter, self._meter = pool, tools, hinter, meter

    # --- what is no endpoint ---

    @property
    def nowhere(self) -> Any:
        """Middleware: 404 and 405 as well are for those alone who hold a key."""

        @web.middleware
        async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
            lost = request.match_info.http_exception is not None
            return await (self.page(handler) if lost else handler)(request)

        return middleware

    def page(self, handler: Handler) -> Handler:
        """A page that is open to those who ask the cell directly; through the router it takes a key."""

        async def guarded(request: web.Request) -> web.StreamResponse:
            if came_through_router(request.headers):
                await self._admit(request, _whose(request))
            return await handler(request)

        return guarded

    async def _admit(
        self, request: web.Request, whose: Routed, charge: Charge | None = None, *, suspended: bool = False
    ) -> None:
        """Look at fence and key, and at nothing else. NotHere; ApiError 401 and 403."""

        async def once() -> None:
            async with transaction(self._pool, charge) as connection:
                caller = await enter(
                    connection,
                    self._tools.pepper,
                    whose,
                    _credential(request),
                    writing=False,
                    suspended=suspended,
                )
                if charge is not None:
                    charge.tenant_id = caller.tenant_id

        await again(once)

    # --- endpoints ---

    async def around(self, endpoint: Endpoint[Context], request: web.Request) -> web.StreamResponse:
        """One request from head to answer."""
        started = time.monotonic()
        status = "5xx"
        try:
            charge = Charge(self._meter)
            response = await stepped(self._answer(endpoint, request, charge), charge)
            status = _class_of(response.status)
            sent = HEAD_BYTES + (request.content_length or 0) + (response.content_length or 0)
            counts = charge.counts()
            counts.network_bytes += sent
            counts.requests += 1
            return response
        except Exception as error:
            problem = error if isinstance(error, ApiError) else problem_of(error)
            status = _class_of(problem.status if problem else 500)
            raise
        finally:
            metrics.REQUESTS.labels(endpoint.operation, status).inc()
            metrics.REQUEST_SECONDS.labels(endpoint.operation).observe(time.monotonic() - started)

    async def _answer(self, endpoint: Endpoint[Context], request: web.Request, charge: Charge) -> web.Response:
        whose = _whose(request)
        request_id = request.headers.get(REQUEST_ID)
        identities = {"tenant": whose.tenant_id, "epoch": whose.epoch, "request_id": request_id}
        with logs.bound(**identities), self._tools.notices.watch() as watch:
            fault = await self._receive(request, whose, charge, suspended=endpoint.while_suspended)
            visit = _Visit(endpoint, request, whose, watch, time.monotonic(), fault, charge)
            reply = await self._patiently(visit)
        return reply.response()

    async def _receive(
        self, request: web.Request, whose: Routed, charge: Charge, *, suspended: bool
    ) -> ApiError | None:
        """Take the body in; what is wrong with it."""
        if not request.body_exists:
            return None
        if not await _is_there(request):
            await self._admit(request, whose, charge, suspended=suspended)
        try:
            await read_body(request)
        except ApiError as fault:
            return fault
        return None

    async def _patiently(self, visit: _Visit) -> Reply:
        """Again and again while the handler says that it is not yet time; no transaction is held in between."""
        while True:
            try:
                return await again(lambda: self._once(visit))
            except NotYet as later:
                await visit.watch.wait(later.seconds)

    async def _once(self, visit: _Visit) -> Reply:
        endpoint, request = visit.endpoint, visit.request
        async with transaction(self._pool, visit.charge) as connection:
            writing = endpoint.method != "GET"
            caller = await enter(
                connection,
                self._tools.pepper,
                visit.whose,
                _credential(request),
                writing=writing,
                suspended=endpoint.while_suspended,
            )
            visit.charge.tenant_id = caller.tenant_id
            if visit.fault is not None:
                raise visit.fault
            context = Context(caller, connection, self._tools, visit.started, visit.watch)
            _require_identifiers(request.match_info)
            call = await read(endpoint, request, context)
            if endpoint.idempotency == "none":
                reply = await accounted(endpoint, call)
            else:
                reply = await once(endpoint, call, lambda: accounted(endpoint, call))
        for hint in context.hints:
            self._hinter.hint(hint)
        afterwards = AFTERWARDS.get(endpoint.operation)
        return reply if afterwards is None else afterwards(context, reply)


def _whose(request: web.Request) -> Routed:
    return routed(request.headers.getall(TENANT, []), request.headers.getall(EPOCH, []))


def _credential(request: web.Request) -> str | None:
    """The one `Authorization`; several are as good as none."""
    given = request.headers.getall("Authorization", [])
    return given[0] if len(given) == 1 else None


async def _is_there(request: web.Request) -> bool:
    """Whether the body is small and has arrived, or arrives at once."""
    if (request.content_length or 0) > AT_ONCE_BYTES:
        return False
    try:
        async with asyncio.timeout(AT_ONCE_SECONDS):
            await request.content.wait_eof()
    except TimeoutError:
        return False
    except web.RequestPayloadError:
        return True  # it is broken, which reading it will tell
    return True


def _require_identifiers(path: Mapping[str, str]) -> None:
    """What cannot be an identifier is not found, as an unknown one is; it never reaches the database."""
    for name, value in path.items():
        if _ID.match(value) is None:
            raise not_found(name, value)


def _class_of(status: int) -> str:
    return f"{status // 100}xx"
