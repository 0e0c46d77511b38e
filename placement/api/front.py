"""Every request's way in: who asks comes before anything is read; one measurement and one log line each."""

import re
import time
import uuid
from collections.abc import Sequence
from dataclasses import replace

from aiohttp import web

from directory.audit import NewAuditEntry
from placement import metrics
from placement.access import OPERATOR, Access, require
from placement.api.values import PARAMETERS
from placement.auditing import Audit
from placement.errors import translate
from placement.readiness import Readiness
from placement.rules import recording, roles
from runtime import logs
from runtime.api import endpoint, openapi
from runtime.api.endpoint import Call, Endpoint, Reply
from runtime.api.problem import REQUEST_ID, ApiError, Handler, problems

log = logs.get("placement.api")

LARGEST_BODY_BYTES = 64 * 1024
VERSION = "1"
OPERATION = web.RequestKey("operation", str)
IDENTIFIER = web.RequestKey("identifier", str)
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,128}\Z")


def application(
    endpoints: Sequence[Endpoint[None]], access: Access, readiness: Readiness, audit: Audit
) -> web.Application:
    """The public port. What viewers may call changes nothing; everything else is written into the audit log."""
    app = web.Application(middlewares=[_identified, problems(translate)], client_max_size=LARGEST_BODY_BYTES)
    known = [replace(each, role=roles.needed(each.method, each.role)) for each in endpoints]

    async def around(found: Endpoint[None], request: web.Request) -> web.StreamResponse:
        request[OPERATION] = found.operation
        request[OPERATOR] = access.operator(request)
        try:
            require(request[OPERATOR], roles.needed(found.method, found.role))
            call = await endpoint.read(found, request, None)
        except ApiError as error:
            if found.role != "viewer":
                await audit.refused(_entry(found, request), error)
            raise
        if not readiness.usable.is_set():
            raise ApiError("UNAVAILABLE", "the control database is not there yet: placement waits for it")
        reply = await (found.handler(call) if found.role == "viewer" else _recorded(found, call, audit))
        return reply.response()

    endpoint.mount(app, known, around)
    app.router.add_get("/openapi.json", _document(known))
    return app


async def _recorded(found: Endpoint[None], call: Call[None], audit: Audit) -> Reply:
    asked = _entry(found, call.request)
    targets = (*asked.targets, *recording.targets(call.body))
    detail = {"body": recording.body(call.body)} if call.body is not None else {}
    async with audit.recorded(replace(asked, targets=tuple(dict.fromkeys(targets)), detail=detail)) as entry:
        reply = await found.handler(call)
        entry.came({"answer": recording.answer(reply.body)}, recording.targets(reply.body))
    return reply


def _entry(found: Endpoint[None], request: web.Request) -> NewAuditEntry:
    operator = request[OPERATOR]
    targets = recording.targets_of_path(request.match_info, PARAMETERS)
    return NewAuditEntry(operator.name, operator.role, found.operation, targets, request[IDENTIFIER])


@web.middleware
async def _identified(request: web.Request, handler: Handler) -> web.StreamResponse:
    given = request.headers.get(REQUEST_ID, "")
    request_id = given if _REQUEST_ID.match(given) else uuid.uuid4().hex
    began = time.monotonic()
    request[IDENTIFIER] = request_id
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
    who = request[OPERATOR].name if OPERATOR in request else None
    milliseconds = round(seconds * 1000, 1)
    say("request", method=request.method, path=request.path, actor=who, status=status, milliseconds=milliseconds)


def _document(endpoints: Sequence[Endpoint[None]]) -> Handler:
    body = openapi.document(
        "Cellway placement", VERSION, "Cells, tenants and their keys, for operators.", endpoints, PARAMETERS,
        "An operator token: op_ and 43 characters. Operations say in `x-role` which role it needs.",
    )  # fmt: skip

    async def serve(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=body, content_type="application/json")

    return serve
