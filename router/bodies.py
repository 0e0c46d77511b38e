"""A client's body on its way to a cell: read by deadlines, and kept while it is small enough to be sent again."""

import asyncio
from collections.abc import Callable

from aiohttp import StreamReader, web
from aiohttp.http_exceptions import HttpProcessingError

from router.errors import BodyRefused, malformed
from router.rules.head import Framing
from runtime.api.problem import ApiError

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
PARSE_ERRORS = (HttpProcessingError, web.RequestPayloadError, ValueError)


class RequestBody:
    """The body of one request. `kept` is what was read of it, None once that is too much to keep."""

    def __init__(
        self,
        content: StreamReader,
        framing: Framing,
        *,
        most_kept_bytes: int,
        idle_seconds: float,
    ) -> None:
        self.framing = framing
        self.kept: bytearray | None = bytearray()
        self.complete = framing.empty
        """Whether all of it was read."""
        self.ask_first: Callable[[], None] | None = None
        """What tells the client to send it, when it waits to be told."""
        self._content = content
        self._ahead = b""
        """What was read before it is sent, when that is too much to keep."""
        self._most_kept_bytes, self._idle_seconds = most_kept_bytes, idle_seconds

    @property
    def replayable(self) -> bool:
        """Whether a second attempt can send it from its beginning."""
        return self.kept is not None

    async def read_ahead(self) -> None:
        """Read all of it now unless it is large: a slow client then occupies no cell. BodyRefused.

        How large a chunked one is shows only by reading it, up to where it is too much to keep.
        """
        known_bytes = self.framing.length_bytes or 0
        while not self.complete and self.kept is not None and known_bytes <= self._most_kept_bytes:
            before = self.kept
            data = await self.read()
            if not self.replayable:
                self._ahead = bytes(before) + data

    def beginning(self) -> bytes:
        """What was read of it before it is sent, as it travels to the cell. The rest is read and sent in turn."""
        if self.kept is None:
            ahead, self._ahead = self._ahead, b""
            return self.framed(ahead)
        return self.framed(self.kept)

    async def read(self) -> bytes:
        """What came since, b"" at the end. BodyRefused when it is late or malformed."""
        if self.ask_first is not None:
            # Asked for only now: whatever is refused before costs the client no upload.
            self.ask_first()
            self.ask_first = None
        try:
            async with asyncio.timeout(self._idle_seconds):
                data = await self._content.readany()
            broken = self._content.exception()
            if broken is not None:
                raise broken  # it broke after these bytes, which are therefore no whole
        except TimeoutError:
            late = ApiError("INVALID_ARGUMENT", "the body did not come in time", status=408, retryable=True)
            raise BodyRefused(late) from None
        except PARSE_ERRORS as error:
            raise BodyRefused(malformed("the body's framing is malformed")) from error
        self.complete = not data or self._content.at_eof()
        self._keep(data)
        return data

    def _keep(self, data: bytes) -> None:
        if self.kept is None:
            return
        if len(self.kept) + len(data) > self._most_kept_bytes:
            self.kept = None
        else:
            self.kept += data

    def framed(self, data: bytes | bytearray) -> bytes:
        """Bytes of it as they travel to the cell."""
        if not self.framing.chunked:
            return bytes(data)
        piece = b"%x\r\n%s\r\n" % (len(data), data) if data else b""
        return piece + b"0\r\n\r\n" if self.complete else piece
