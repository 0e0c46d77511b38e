"""aiohttp's server with problems where it would answer in plain text: what is no HTTP, heads too large."""

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong
from aiohttp.streams import EMPTY_PAYLOAD
from aiohttp.web_protocol import RequestHandler, _ErrInfo

from runtime import logs
from runtime.api.problem import ApiError, internal, of_http, unreadable

log = logs.get("runtime.api")
LARGEST_TARGET_BYTES = 98_304
LARGEST_FIELD_BYTES = 131_072
MOST_HEADERS = 192
"""All above what the router lets through, plus what it adds: a tenant is refused by the router alone."""
LARGEST_HEAD_BYTES = 196_608
SERVER = "cellway"


class Connection(RequestHandler):
    """One connection: every refusal is a problem, and none names the software's version."""

    _head_bytes = 0

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        waiting = self._waiter
        if waiting is None or waiting.done():
            self._head_bytes = 0
            return
        # Each line is bounded by the parser, and so is their number; this bounds them together.
        self._head_bytes += len(data)
        if self._head_bytes > LARGEST_HEAD_BYTES:
            too_large = LineTooLong(b"", LARGEST_HEAD_BYTES)
            self._messages.append((_ErrInfo(status=400, exc=too_large, message=""), EMPTY_PAYLOAD))
            waiting.set_result(None)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The answer to what the parser refused (`status` 400), or to what no handler caught."""
        if request.writer.output_size > 0:
            raise ConnectionError("the answer has begun: only closing the connection tells that it failed")
        response = self._error(request, status, exc).response()
        response.force_close()
        return response

    def _error(self, request: web.BaseRequest, status: int, exc: BaseException | None) -> ApiError:
        if status == 400:
            error = unreadable(exc, LARGEST_TARGET_BYTES)
            log.debug("unreadable_request", status=error.status, remote=request.remote)
            return error
        log.error("request_failed", method=request.method, path=request.path, error=repr(exc), exc_info=exc)
        return internal()

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """As aiohttp does, which would otherwise name itself, Python and both their versions."""
        if isinstance(resp, web.StreamResponse):
            resp.headers.setdefault("Server", SERVER)
        return await super().finish_response(request, resp, start_time)


class _Server(web.Server):
    def __call__(self) -> RequestHandler:
        return Connection(self, loop=self._loop, **self._kwargs)


class Runner(web.AppRunner):
    """Runs an application on such connections."""

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()

        async def handled(request: web.BaseRequest) -> web.StreamResponse:
            try:
                return await made.request_handler(request)
            except web.HTTPException as error:
                # Raised before any middleware, as for an expectation that cannot be met.
                if error.status < 400 or not isinstance(request, web.Request):
                    raise
                return of_http(error, request)

        return _Server(
            handled,
            request_factory=made.request_factory,
            handler_cancellation=made.handler_cancellation,
            **made._kwargs,
        )
