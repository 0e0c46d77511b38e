"""The same bytes as two other parsers see them: h11, strict and in Python, and aiohttp's, which is llhttp in C.

A cell may use either, or what behaves like either. Where they agree, nothing can be smuggled past one of them.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

import h11
from aiohttp import EMPTY_PAYLOAD
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_parser import HttpRequestParser, HttpResponseParser

LIMIT_BYTES = 2**22
"""Far more than any test sends, so that neither parser pauses or refuses for size."""
KNOWN_METHODS = frozenset({b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH"})
Headers = tuple[tuple[bytes, bytes], ...]


class Unreadable(Exception):
    """A parser refuses these bytes."""


@dataclass(frozen=True, slots=True)
class Message:
    """`start` is (method, target, version) or (status, reason). Names are lower case, codings too."""

    start: tuple[bytes | int, ...]
    headers: Headers
    body: bytes = b""
    trailers: Headers = ()

    def values(self, name: bytes) -> list[bytes]:
        """The values of the header `name` (lower case), in order."""
        return [value for given, value in self.headers if given == name]

    @property
    def read(self) -> tuple[tuple[bytes | int, ...], Headers, bytes]:
        """What both parsers show; aiohttp's does not show trailers."""
        return self.start, self.headers, self.body


def _alike(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    # h11 lowers codings, which are case-insensitive.
    return tuple(
        (lower, value.lower() if lower == b"transfer-encoding" else value)
        for name, value in headers
        if (lower := name.lower())
    )


# --- requests ---


def next_request(data: bytes) -> tuple[Message | None, bytes, bool]:
    """The first request that h11 sees, the bytes behind it, and whether another may follow. Unreadable.

    None when it is not whole.
    """
    parser = h11.Connection(h11.SERVER, max_incomplete_event_size=LIMIT_BYTES)
    parser.receive_data(data)
    found: Message | None = None
    body, trailers = b"", ()
    try:
        while not isinstance(event := parser.next_event(), h11.EndOfMessage):
            if event is h11.NEED_DATA:
                return None, data, False
            if isinstance(event, h11.Request):
                start = (event.method, event.target, event.http_version)
                found = Message(start, _alike(event.headers))
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
    except h11.RemoteProtocolError as error:
        raise Unreadable(str(error)) from error
    assert found is not None
    trailers = _alike(event.headers)
    return Message(found.start, found.headers, body, trailers), parser.trailing_data[0], _goes_on(found)


def _goes_on(message: Message) -> bool:
    # h11 itself knows no `keep-alive` of HTTP/1.0.
    options = {word.strip().lower() for line in message.values(b"connection") for word in line.split(b",")}
    return b"close" not in options and (message.start[2] == b"1.1" or b"keep-alive" in options)


def requests(data: bytes) -> list[Message]:
    """Every whole request that h11 sees, up to where it refuses to go on."""
    found: list[Message] = []
    goes_on = True
    while (data := _without_empty_lines(data)) and goes_on:
        try:
            message, data, goes_on = next_request(data)
        except Unreadable:
            return found
        if message is not None:
            found.append(message)
    return found


def _without_empty_lines(data: bytes) -> bytes:
    """h11 overlooks no empty line before a request; RFC 9112 section 2.2 does."""
    while data.startswith(b"\r\n"):
        data = data[2:]
    return data


def request_by_aiohttp(data: bytes) -> Message:
    """The one whole request that these bytes are. Unreadable when they are more, less or none."""
    method, _, rest = data.partition(b" ")
    if method not in KNOWN_METHODS:
        # llhttp has a list of methods; how a message is read does not depend on which it is.
        known = request_by_aiohttp(b"POST " + rest)
        return Message((method, *known.start[1:]), known.headers, known.body)
    loop = asyncio.get_running_loop()
    parser = HttpRequestParser(
        BaseProtocol(loop),
        loop,
        LIMIT_BYTES,
        max_line_size=LIMIT_BYTES,
        max_field_size=LIMIT_BYTES,
        max_headers=LIMIT_BYTES,
        auto_decompress=False,
    )
    try:
        messages, _upgraded, tail = parser.feed_data(data)
    except HttpProcessingError as error:
        raise Unreadable(str(error)) from error
    if len(messages) != 1 or tail:
        raise Unreadable(f"{len(messages)} requests, and {tail!r}")
    [(message, payload)] = messages
    if not payload.is_eof():
        raise Unreadable("the body is not whole")
    version = b"%d.%d" % message.version
    target = message.path.encode("utf-8", "surrogateescape")
    start = (message.method.encode(), target, version)
    return Message(start, _alike(message.raw_headers), _content(payload))


# --- responses ---


@dataclass(frozen=True, slots=True)
class Answers:
    """What a client saw: interim responses and the final one. `complete` is False when that broke off."""

    messages: list[Message]
    complete: bool
    rest: bytes = b""

    @property
    def final(self) -> Message:
        """The last of them."""
        return self.messages[-1]


def answers_by_h11(data: bytes, *, method: bytes = b"GET", ended: bool = False) -> Answers:
    """The answer to one request. `ended`: the other side closed in good order. Unreadable."""
    parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=LIMIT_BYTES)
    parser.send(h11.Request(method=method, target="/", headers=[("Host", "x")]))
    parser.send(h11.EndOfMessage())
    for received in (data, b"") if data and ended else (data,) if data else ():
        parser.receive_data(received)
    heads: list[Message] = []
    body = b""
    try:
        while not isinstance(event := parser.next_event(), h11.EndOfMessage):
            if event is h11.NEED_DATA or isinstance(event, h11.ConnectionClosed):
                return Answers(heads, complete=False)
            if isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.Response | h11.InformationalResponse):
                heads.append(Message((event.status_code, bytes(event.reason)), _alike(event.headers)))
    except h11.RemoteProtocolError as error:
        if "without sending complete message" in str(error) or "ConnectionClosed" in str(error):
            return Answers(heads, complete=False)
        raise Unreadable(str(error)) from error
    last = heads.pop()
    whole = Message(last.start, last.headers, body, _alike(event.headers))
    return Answers([*heads, whole], complete=True, rest=parser.trailing_data[0])


def answers_by_aiohttp(data: bytes, *, method: bytes = b"GET", ended: bool = False) -> Answers:
    """The same by aiohttp's parser, which is lenient. Unreadable."""
    loop = asyncio.get_running_loop()
    parser = HttpResponseParser(
        BaseProtocol(loop),
        loop,
        LIMIT_BYTES,
        max_line_size=LIMIT_BYTES,
        max_field_size=LIMIT_BYTES,
        max_headers=LIMIT_BYTES,
        response_with_body=method != b"HEAD",
        read_until_eof=True,
        auto_decompress=False,
    )
    try:
        messages, _upgraded, tail = parser.feed_data(data)
        if ended:
            parser.feed_eof()
    except HttpProcessingError as error:
        raise Unreadable(str(error)) from error
    found = [
        Message((message.code, message.reason.encode("utf-8", "surrogateescape")), _alike(message.raw_headers))
        for message, _ in messages
    ]
    if not found:
        return Answers([], complete=False)
    payload = messages[-1][1]
    last = Message(found[-1].start, found[-1].headers, _content(payload))
    final = not 100 <= int(str(last.start[0])) < 200
    return Answers([*found[:-1], last], complete=final and payload.is_eof() and not payload.exception(), rest=tail)


def _content(payload: object) -> bytes:
    return b"" if payload is EMPTY_PAYLOAD else b"".join(payload._buffer)  # type: ignore[attr-defined]
