"""Kept connections to one address, for a process of greenlets. What a client may repeat is repeated, and counted.

A kept connection may be closed by the other side just when the next request is sent: whoever drains does that, and
HTTP has clients try again then (RFC 9112, 9.3.1). So a request that ended on a kept connection before a byte of
an answer came is sent once more, on a new one; every write of ours has an Idempotency-Key. Nothing else is
repeated.
"""

import socket
import ssl
from collections import deque
from dataclasses import dataclass
from urllib.parse import urlsplit

import gevent
from gevent.monkey import get_original
from geventhttpclient.response import HTTPResponse

from loadtests.scenarios.rules.samples import BROKEN, NO_CONNECTION, SILENT

CHUNK_BYTES = 65_536
CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 30.0
MOST_KEPT = 256
MOST_OPEN = 4000
"""Requests under way at once; what is due beyond them waits, and is late."""
_poll, _POLLIN = get_original("select", "poll"), 1


class _Response(HTTPResponse):
    """Parsed as it comes; `content` is what came of the body."""

    def __init__(self) -> None:
        super().__init__()
        self.content = bytearray()

    def _on_body(self, buf: bytearray) -> None:
        self.content += buf

    def _on_header_field(self, string: str) -> None:
        """Nobody here reads headers; those that tell where an answer ends are the parser's."""

    def _on_header_value(self, string: str) -> None:
        """Likewise."""


class Unanswered(Exception):
    """No answer; `status` says how."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


@dataclass(frozen=True, slots=True)
class Answer:
    """One that came whole."""

    status: int
    body: bytes


class Connections:
    """To the host and port of `url`; whose certificate is signed by `ca`, where that is said."""

    def __init__(self, url: str, ca: str | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"not an address of HTTP: {url}")
        self.host = parts.hostname
        self._address = (self.host, parts.port or (443 if parts.scheme == "https" else 80))
        self._tls = ssl.create_default_context(cafile=ca) if parts.scheme == "https" else None
        self._kept: deque[socket.socket] = deque()
        self.authority = parts.netloc.rpartition("@")[2].encode()
        self.repeated = 0

    def __repr__(self) -> str:
        return f"<Connections to {self.host}, {len(self._kept)} kept, {self.repeated} repeated>"

    def ask(self, request: bytes) -> Answer:
        """The answer. Unanswered."""
        answer, connection = self._begin(request)
        try:
            while not answer.message_complete:
                _feed(answer, connection)
        except BaseException as error:
            connection.close()
            raise _unanswered(error) from None
        self._back(answer, connection)
        return Answer(answer.status_code, bytes(answer.content))

    def listen(self, request: bytes) -> "Stream":
        """An answer that goes on, once its head is there. Unanswered."""
        return Stream(*self._begin(request))

    def _begin(self, request: bytes) -> tuple[_Response, socket.socket]:
        """Send it, and wait for the head."""
        connection, kept = self._take()
        try:
            return _head(connection, request), connection
        except (OSError, _Closed) as error:
            connection.close()
            if not kept or isinstance(error, TimeoutError) or (isinstance(error, _Closed) and error.begun):
                raise _unanswered(error) from None
        except BaseException as error:
            connection.close()
            raise _unanswered(error) from None
        self.repeated += 1
        connection = self._new()
        try:
            return _head(connection, request), connection
        except BaseException as error:
            connection.close()
            raise _unanswered(error) from None

    def _take(self) -> tuple[socket.socket, bool]:
        while self._kept:
            connection = self._kept.pop()
            if not _readable(connection):
                return connection, True
            connection.close()  # the other side has ended it meanwhile
        return self._new(), False

    def _new(self) -> socket.socket:
        try:
            connection = socket.create_connection(self._address, timeout=CONNECT_SECONDS)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_hostname=self.host)
        except OSError:
            raise Unanswered(NO_CONNECTION) from None
        connection.settimeout(ANSWER_SECONDS)
        return connection

    def _back(self, answer: _Response, connection: socket.socket) -> None:
        if answer.should_close() or len(self._kept) >= MOST_KEPT:
            connection.close()
        else:
            self._kept.append(connection)


class Stream:
    """Server-sent events, as they come. Close it."""

    def __init__(self, answer: _Response, connection: socket.socket) -> None:
        self._answer, self._connection = answer, connection
        self.status = answer.status_code

    def event(self, seconds: float) -> bool:
        """Wait for the next one; False when the stream has ended. Unanswered when it breaks, or is silent."""
        buffer = self._answer.content
        try:
            with gevent.Timeout(seconds, TimeoutError):
                while (end := buffer.find(b"\n\n")) < 0:
                    if self._answer.message_complete:
                        return False
                    _feed(self._answer, self._connection)
        except (OSError, _Closed) as error:
            raise _unanswered(error) from None
        del buffer[: end + 2]
        return True

    def close(self) -> None:
        self._connection.close()


class _Closed(Exception):
    """The other side has ended the connection. `begun`: after the beginning of an answer."""

    def __init__(self, begun: bool) -> None:
        super().__init__(begun)
        self.begun = begun


def _head(connection: socket.socket, request: bytes) -> _Response:
    answer = _Response()
    connection.sendall(request)
    while not answer.headers_complete:
        _feed(answer, connection)
    return answer


def _feed(answer: _Response, connection: socket.socket) -> None:
    data = connection.recv(CHUNK_BYTES)
    if not data:
        raise _Closed(answer.message_begun)
    answer.feed(data)


def _readable(connection: socket.socket) -> bool:
    """Whether something lies there, which between two requests can only be its end."""
    waiting = _poll()
    waiting.register(connection.fileno(), _POLLIN)
    return bool(waiting.poll(0))


def _unanswered(error: BaseException) -> BaseException:
    """As a status; what is no fault of the other side stays what it is."""
    if isinstance(error, Unanswered) or not isinstance(error, Exception):
        return error
    return Unanswered(SILENT if isinstance(error, TimeoutError) else BROKEN)
