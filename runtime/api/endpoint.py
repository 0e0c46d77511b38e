"""An endpoint as data, and reading a request into values or refusing it with a 4xx.

The same data mounts the route and writes the OpenAPI document, so the two cannot drift apart.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, TypeVar

from aiohttp import web
from pydantic import BaseModel, ConfigDict, ValidationError

from runtime.api.problem import ApiError, too_large

JSON_TYPES = ("application/json", "application/merge-patch+json")
IDEMPOTENCY_KEY = r"^[\x21-\x7e]{1,128}$"
BODY_SECONDS = 20.0
"""After this a body must have arrived whole."""


class Input(BaseModel):
    """A request's body or query: unknown fields are refused, nothing is coerced in bodies."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
    recorded: ClassVar[frozenset[str]] = frozenset()
    """Fields that an audit log may keep: no secrets, no mail addresses, nothing that people type freely."""


class Output(BaseModel):
    """A resource or an answer."""

    model_config = ConfigDict(frozen=True)


@dataclass(frozen=True, slots=True)
class Reply:
    """What a handler answers; `body` may be bytes that were made before (a replayed answer)."""

    status: int = 200
    body: BaseModel | bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def payload(self) -> bytes | None:
        """The body as bytes."""
        return self.body.model_dump_json().encode() if isinstance(self.body, BaseModel) else self.body

    def response(self) -> web.Response:
        """The whole answer."""
        payload = self.payload()
        content_type = None if payload is None else "application/json"
        # What a tenant or an operator is told, an API key perhaps, is kept by nobody on the way.
        headers = {"Cache-Control": "no-store", **self.headers}
        return web.Response(body=payload, status=self.status, headers=headers, content_type=content_type)


ContextT = TypeVar("ContextT")


@dataclass(frozen=True, slots=True)
class Call(Generic[ContextT]):
    """One request, read and checked. `context` is what the program adds: who asks, and a way to the rows."""

    request: web.Request
    path: Mapping[str, str]
    body: Any
    query: Any
    raw_body: bytes
    context: ContextT

    def header(self, name: str) -> str | None:
        """A header's value, None when absent."""
        return self.request.headers.get(name)


@dataclass(frozen=True, slots=True)
class Endpoint(Generic[ContextT]):
    """One method on one path.

    `path` holds `{name}` for each path parameter; `{name}:verb` is a custom method (AIP-136).
    `answers` maps statuses to models; `errors` are the problem statuses besides those that every endpoint has.
    """

    method: str
    path: str
    handler: Callable[[Call[ContextT]], Awaitable[Reply]]
    summary: str
    operation: str
    answers: Mapping[int, type[BaseModel] | None]
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    errors: Sequence[int] = ()
    tag: str = ""
    idempotency: str = "none"  # "required" for POST, "optional" for other mutations
    if_match: bool = False
    public: bool = False
    while_suspended: bool = False
    """Whether it is open to those as well who are refused everything else until they pay."""
    role: str = ""
    """Who may call it, in a program that knows roles; empty: as that program says of the method."""

    def key(self) -> str:
        """What an idempotency key is scoped to, besides the tenant."""
        return f"{self.method} {self.path}"


Around = Callable[[Endpoint[ContextT], web.Request], Awaitable[web.StreamResponse]]


def mount(app: web.Application, endpoints: Sequence[Endpoint[ContextT]], around: Around[ContextT]) -> None:
    """Route every endpoint to `around`, which authenticates, calls `read` and then the handler."""
    for endpoint in endpoints:
        app.router.add_route(endpoint.method, _route(endpoint.path), _bind(endpoint, around))


def _route(path: str) -> str:
    # A parameter takes anything but "/" and ":"; what is no identifier is simply not found.
    return path.replace("}", r":[^/:]+}")


def _bind(
    endpoint: Endpoint[ContextT], around: Around[ContextT]
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(request: web.Request) -> web.StreamResponse:
        return await around(endpoint, request)

    return handle


async def read(endpoint: Endpoint[ContextT], request: web.Request, context: ContextT) -> Call[ContextT]:
    """Body, query and headers as values; ApiError 400, 408, 413 or 415 when they are not what is expected."""
    if endpoint.idempotency != "none":
        idempotency_key(endpoint, request)
    raw = await read_body(request) if request.body_exists or endpoint.body else b""
    if raw and endpoint.body is None and endpoint.method in ("GET", "DELETE"):
        raise ApiError("INVALID_ARGUMENT", f"{endpoint.method} takes no body here")
    return Call(
        request=request,
        path=dict(request.match_info),
        body=_body(endpoint, request, raw),
        query=_query(endpoint, request),
        raw_body=raw,
        context=context,
    )


async def read_body(request: web.Request) -> bytes:
    """The whole body, bounded in time and by `client_max_size`. ApiError 400, 408, 413 or 415."""
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise ApiError("INVALID_ARGUMENT", "send the body without Content-Encoding", status=415)
    most_bytes = request.app._client_max_size
    if (request.content_length or 0) > most_bytes:
        raise too_large(most_bytes)
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise too_large(most_bytes) from None
    except web.RequestPayloadError:
        raise ApiError("INVALID_ARGUMENT", "the body's framing is malformed") from None
    except TimeoutError:
        message = f"the body did not arrive within {BODY_SECONDS:g} s"
        raise ApiError("INVALID_ARGUMENT", message, status=408, retryable=True) from None


def idempotency_key(endpoint: Endpoint[ContextT], request: web.Request) -> str | None:
    """The request's Idempotency-Key; ApiError 400 when it is malformed, or missing where it is required."""
    values = request.headers.getall("Idempotency-Key", [])
    if not values:
        if endpoint.idempotency == "required":
            message = "send an Idempotency-Key of your own making (a UUID will do), the same for every retry"
            raise ApiError("INVALID_ARGUMENT", message, field="Idempotency-Key")
        return None
    key = values[0]
    if len(values) > 1 or not 1 <= len(key) <= 128 or not all("\x21" <= c <= "\x7e" for c in key):
        message = "one Idempotency-Key of 1 to 128 visible ASCII characters is expected"
        raise ApiError("INVALID_ARGUMENT", message, field="Idempotency-Key")
    return key


def _body(endpoint: Endpoint[ContextT], request: web.Request, raw: bytes) -> Any:
    if endpoint.body is None:
        return None
    if request.content_type not in JSON_TYPES or request.charset not in (None, "utf-8", "UTF-8"):
        message = "send the body as application/json in UTF-8"
        raise ApiError("INVALID_ARGUMENT", message, status=415, field="Content-Type")
    try:
        return endpoint.body.model_validate_json(raw or b"null", strict=True)
    except ValidationError as error:
        raise invalid(error) from None


def _query(endpoint: Endpoint[ContextT], request: web.Request) -> Any:
    given = request.query
    repeated = [name for name in given if len(given.getall(name)) > 1]
    if repeated:
        raise ApiError("INVALID_ARGUMENT", f"{repeated[0]!r} is given twice", field=repeated[0])
    model = endpoint.query or _NoQuery
    try:
        return model.model_validate(dict(given))
    except ValidationError as error:
        raise invalid(error) from None


class _NoQuery(Input):
    """Nothing is expected after the question mark."""


def invalid(error: ValidationError) -> ApiError:
    """The first fault as the answer, all of them in `metadata.violations`; never the values themselves."""
    faults = [
        {"field": ".".join(str(part) for part in fault["loc"]), "message": fault["msg"]}
        for fault in error.errors(include_url=False, include_input=False, include_context=False)[:20]
    ]
    first = faults[0]
    where = f"{first['field']}: " if first["field"] else ""
    return ApiError(
        "INVALID_ARGUMENT",
        f"{where}{first['message']}",
        field=first["field"] or None,
        metadata={"violations": faults},
    )
