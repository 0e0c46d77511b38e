"""What surrounds each handler: headers, body, fence, key, transaction, replay, errors, metrics.

The body is read before the transaction begins, so a slow client holds no connection; it is looked at only after
the key was accepted, so nobody learns from a 400 that a tenant exists.
"""

import asyncio
import re
import time
from collections.abc import Mapping

from aiohttp import web

from cell import metrics
from cell.access import enter
from cell.api.context import Context, NotYet, Tools
from cell.api.endpoints import AFTERWARDS, ENDPOINTS, openapi
from cell.api.idempotency import once
from cell.api.notices import Watch
from cell.database import again, transaction, translated
from cell.errors import NotAllowed, NotHere, Unavailable
from cell.jobs.hints import Hinter
from cell.rules.headers import EPOCH, TENANT, Routed, routed
from runtime import logs
from runtime.api.endpoint import Endpoint, Reply, mount, read, read_body
from runtime.api.problem import REQUEST_ID, ApiError, not_found, problems
from runtime.api.texts import ID
from runtime.database import Pool

MOST_BYTES = 1024 * 1024
_ID = re.compile(ID.removesuffix("$") + r"\Z")


def application(pool: Pool, tools: Tools, hinter: Hinter) -> web.Application:
    """The application for the data port."""
    app = web.Application(client_max_size=MOST_BYTES, middlewares=[problems(problem_of)])
    mount(app, ENDPOINTS, Serving(pool, tools, hinter).around)
    text = openapi()

    async def described(_request: web.Request) -> web.Response:
        return web.Response(body=text, content_type="application/json")

    async def live(_request: web.Request) -> web.Response:
        return web.json_response({"live": True})

    app.router.add_get("/openapi.json", described)
    app.router.add_get("/health/live", live)
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
        case NotAllowed() as reason:
            return ApiError("FAILED_PRECONDITION", str(reason))
        case Unavailable() as reason:
            return ApiError("UNAVAILABLE", str(reason))
    return None


class Serving:
    """Runs the handlers. A body must have arrived after `body_seconds`."""

    body_seconds = 20.0

    def __init__(self, pool: Pool, tools: Tools, hinter: Hinter) -> None:
        self._pool, self._tools, self._hinter = pool, tools, hinter

    async def around(self, endpoint: Endpoint[Context], request: web.Request) -> web.StreamResponse:
        """One request from head to answer."""
        started = time.monotonic()
        status = "5xx"
        try:
            response = await self._answer(endpoint, request)
            status = _class_of(response.status)
            return response
        except Exception as error:
            problem = error if isinstance(error, ApiError) else problem_of(error)
            status = _class_of(problem.status if problem else 500)
            raise
        finally:
            metrics.REQUESTS.labels(endpoint.operation, status).inc()
            metrics.REQUEST_SECONDS.labels(endpoint.operation).observe(time.monotonic() - started)

    async def _answer(self, endpoint: Endpoint[Context], request: web.Request) -> web.Response:
        headers = request.headers
        whose = routed(headers.getall(TENANT, []), headers.getall(EPOCH, []))
        identities = {"tenant": whose.tenant_id, "epoch": whose.epoch, "request_id": headers.get(REQUEST_ID)}
        with logs.bound(**identities), self._tools.notices.watch() as watch:
            await self._receive(request)
            reply = await self._patiently(endpoint, request, whose, watch)
        return reply.response()

    async def _receive(self, request: web.Request) -> None:
        if not request.body_exists:
            return
        try:
            async with asyncio.timeout(self.body_seconds):
                await read_body(request)
        except TimeoutError:
            message = f"the body did not arrive within {self.body_seconds:g} s"
            raise ApiError("INVALID_ARGUMENT", message, status=408, retryable=True) from None

    async def _patiently(
        self, endpoint: Endpoint[Context], request: web.Request, whose: Routed, watch: Watch
    ) -> Reply:
        """Again and again while the handler says that it is not yet time; no transaction is held in between."""
        started = time.monotonic()
        while True:
            try:
                return await again(lambda: self._once(endpoint, request, whose, watch, started))
            except NotYet as later:
                await watch.wait(later.seconds)

    async def _once(
        self, endpoint: Endpoint[Context], request: web.Request, whose: Routed, watch: Watch, started: float
    ) -> Reply:
        async with transaction(self._pool) as connection:
            credentials = request.headers.getall("Authorization", [])
            credential = credentials[0] if len(credentials) == 1 else None
            writing = endpoint.method != "GET"
            caller = await enter(connection, self._tools.pepper, whose, credential, writing=writing)
            context = Context(caller, connection, self._tools, started, watch)
            _require_identifiers(request.match_info)
            call = await read(endpoint, request, context)
            if endpoint.idempotency == "none":
                reply = await endpoint.handler(call)
            else:
                reply = await once(endpoint, call, lambda: endpoint.handler(call))
        for hint in context.hints:
            self._hinter.hint(hint)
        afterwards = AFTERWARDS.get(endpoint.operation)
        return reply if afterwards is None else afterwards(context, reply)


def _require_identifiers(path: Mapping[str, str]) -> None:
    """What cannot be an identifier is not found, as an unknown one is; it never reaches the database."""
    for name, value in path.items():
        if _ID.match(value) is None:
            raise not_found(name, value)


def _class_of(status: int) -> str:
    return f"{status // 100}xx"
