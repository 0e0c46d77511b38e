"""Every request's way in: who asks comes before anything is read; one measurement and one log line each."""

import re
import time
import uuid
from collections.abc import Sequence

from aiohttp import web

from placement import metrics
from placement.access import Access
from placement.api.values import PARAMETERS
from placement.errors import translate
from placement.readiness import Readiness
from runtime import logs
from runtime.api import endpoint, openapi
from runtime.api.endpoint import Endpoint
from runtime.api.problem import REQUEST_ID, ApiError, Handler, problems

log = logs.get("placement.api")

LARGEST_BODY_BYTES = 64 * 1024
VERSION = "1"
OPERATION = web.RequestKey("operation", str)
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,128}\Z")


def application(endpoints: Sequence[Endpoint[None]], access: Access, readiness: Readiness) -> web.Application:
    """The public port."""
    app = web.Application(middlewares=[_identified, problems(translate)], client_max_size=LARGEST_BODY_BYTES)

    async def around(found: Endpoint[None], request: web.Request) -> web.StreamResponse:
        request[OPERATION] = found.operation
        access.require(request)
        call = await endpoint.read(found, request, None)
        if not readiness.usable.is_set():
            raise ApiError("UNAVAILABLE", "the control database is not there yet: placement waits for it")
        return (await found.handler(call)).response()

    endpoint.mount(app, endpoints, around)
    app.router.add_get("/openapi.json", _document(endpoints))
    return app


@web.middleware
async def _identified(request: web.Request, handler: Handler) -> web.StreamResponse:
    given = request.headers.get(REQUEST_ID, "")
    request_id = given if _REQUEST_ID.match(given) else uuid.uuid4().hex
    began = time.monotonic()
    with logs.bound(request_id=request_id):
        response = await handler(request)
        _seen(request, response.status, time.monotonic() - began)
    response.headers[REQUEST_ID] = request_id
    return response


def _seen(request: web.Request, status: int, seconds: float) -> None:
    operation = request.get(OPERATION, "none")
    metrics.REQUESTS.labels(operation, status).inc()
    metrics.SECONDS.labels(operation).observe(seconds)
    say = log.debug if request.method == "GET" and status < 500 else log.info
    say("request", method=request.method, path=request.path, status=status, milliseconds=round(seconds * 1000, 1))


def _document(endpoints: Sequence[Endpoint[None]]) -> Handler:
    body = openapi.document(
        "Cellway placement", VERSION, "Cells, tenants and their keys, for operators.", endpoints, PARAMETERS,
        "An operator token: op_ and 43 characters.",
    )  # fmt: skip

    async def serve(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=body, content_type="application/json")

    return serve
