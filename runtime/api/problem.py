"""Errors as RFC 9457 problem+json: `code`, `message`, `retryable`, `field`, `metadata`."""

import json
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong
from pydantic import BaseModel, ConfigDict, Field

from runtime import logs

log = logs.get("runtime.api")
CONTENT_TYPE = "application/problem+json"
REQUEST_ID = "X-Request-Id"

CODES: Mapping[str, tuple[int, bool]] = {
    # code: (status, retryable) unless an error says otherwise
    "INVALID_ARGUMENT": (400, False),
    "UNAUTHENTICATED": (401, False),
    "PERMISSION_DENIED": (403, False),
    "NOT_FOUND": (404, False),
    "ALREADY_EXISTS": (409, False),
    "FAILED_PRECONDITION": (409, False),
    "RESOURCE_EXHAUSTED": (429, True),
    "INTERNAL": (500, False),
    "UNIMPLEMENTED": (501, False),
    "UNAVAILABLE": (503, True),
}


class Problem(BaseModel):
    """The body of every error."""

    model_config = ConfigDict(frozen=True)

    type: str = Field(default="about:blank", description="RFC 9457 problem type")
    title: str = Field(description="the status in words")
    status: int
    code: str = Field(description="what went wrong, for programs", json_schema_extra={"enum": list(CODES)})
    message: str = Field(description="what went wrong, where, and what to do, for people")
    retryable: bool = Field(description="whether the same request may succeed later")
    field: str | None = Field(default=None, description="the part of the request that is at fault")
    metadata: dict[str, Any] = Field(default_factory=dict)


class ApiError(Exception):
    """An error that the client is told. `status` and `retryable` follow from `code` unless given."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        status: int | None = None,
        retryable: bool | None = None,
        field: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        usual_status, usually_retryable = CODES[code]
        self.code, self.message, self.field = code, message, field
        self.status = status or usual_status
        self.retryable = usually_retryable if retryable is None else retryable
        self.metadata = dict(metadata or {})
        self.headers = dict(headers or {})

    def problem(self) -> Problem:
        """The body."""
        return Problem(
            title=HTTPStatus(self.status).phrase,
            status=self.status,
            code=self.code,
            message=self.message,
            retryable=self.retryable,
            field=self.field,
            metadata=self.metadata,
        )

    def body(self) -> bytes:
        """The body as bytes."""
        return self.problem().model_dump_json().encode()

    def shown_headers(self) -> dict[str, str]:
        """The headers that belong to it, in the one order in which every program sends them."""
        usual = {"Content-Type": CONTENT_TYPE, "Cache-Control": "no-store"}
        if self.retryable:
            usual["Retry-After"] = "1"
        if self.status == 401:
            usual["WWW-Authenticate"] = "Bearer"
        return {**usual, **self.headers}

    def response(self) -> web.Response:
        """The whole answer."""
        return web.Response(body=self.body(), status=self.status, headers=self.shown_headers())


def not_found(what: str, name: str) -> ApiError:
    """The one answer for what does not exist and for what belongs to somebody else."""
    # The name is shown as JSON: it came from outside and may hold anything.
    return ApiError("NOT_FOUND", f"no {what} {json.dumps(name[:100])}")


def unauthenticated() -> ApiError:
    """The one answer to every credential that is not good: missing, malformed, revoked, or of nobody known."""
    return ApiError("UNAUTHENTICATED", "a valid API key is needed: Authorization: Bearer ck_<tenant>_<secret>")


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Translate = Callable[[Exception], ApiError | None]


def problems(translate: Translate) -> Any:
    """Middleware: every failure becomes a problem. `translate` knows the program's own errors."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except ApiError as error:
            return error.response()
        except web.HTTPException as error:
            return of_http(error, request)
        except Exception as error:
            return _of_exception(error, request, translate).response()

    return middleware


def _of_exception(error: Exception, request: web.Request, translate: Translate) -> ApiError:
    if isinstance(error, ConnectionError | TimeoutError) and request.transport is None:
        return ApiError("UNAVAILABLE", "the client went away")
    known = translate(error)
    if known is not None:
        return known
    log.error("request_failed", method=request.method, path=request.path, error=repr(error), exc_info=error)
    return internal()


def internal() -> ApiError:
    """The answer when the fault is ours."""
    return ApiError("INTERNAL", "a fault of this service, not of the request; it has been logged")


def unreadable(error: BaseException | None, largest_target_bytes: int) -> ApiError:
    """The answer to what aiohttp's parser refused: 414 or 431 when it is too large, 400 when it is no HTTP."""
    if isinstance(error, LineTooLong):
        # The limits differ, so the one that was passed tells which part was too long.
        if error.args[1] == largest_target_bytes:
            return ApiError("INVALID_ARGUMENT", "the request's target is too long", status=414)
        return ApiError("INVALID_ARGUMENT", "the request's head is too large", status=431)
    if "Too many headers" in str(error):
        return ApiError("INVALID_ARGUMENT", "the request has too many headers", status=431)
    return ApiError("INVALID_ARGUMENT", "this is not HTTP/1.1 as it must be")


def of_http(error: web.HTTPException, request: web.Request) -> web.StreamResponse:
    """What aiohttp raises of its own, as a problem; what is no error stays as it is."""
    if error.status == 404:
        return not_found("page", request.path).response()
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        message = f"{error.method} is not possible here, only {allowed}"
        return ApiError("UNIMPLEMENTED", message, status=405, headers={"Allow": allowed}).response()
    if isinstance(error, web.HTTPRequestEntityTooLarge):
        return too_large(request.app._client_max_size).response()
    if error.status < 400:
        return error
    return ApiError("INVALID_ARGUMENT", error.reason, status=error.status).response()


def too_large(limit_bytes: int) -> ApiError:
    """The answer to a body over the limit."""
    return ApiError("INVALID_ARGUMENT", f"the body is larger than {limit_bytes} bytes", status=413)
