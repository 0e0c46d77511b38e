"""Answers of the router's own, as bytes."""

from email.utils import formatdate
from time import time

from router.rules.headers import connection_line, own_bytes
from runtime.api.problem import ApiError

_date: tuple[int, bytes] = (0, b"")


def date_line() -> bytes:
    """`Date`, of this second."""
    global _date
    second = int(time())
    if second != _date[0]:
        _date = (second, b"Date: %b\r\n" % formatdate(second, usegmt=True).encode())
    return _date[1]


def problem_bytes(
    error: ApiError, minor: int, *, keep_alive: bool, ident: bytes = b"", empty: bool = False, about: bytes = b""
) -> bytes:
    """An error as a response. `empty`: without the body, for HEAD. `about`: further header lines."""
    body = error.body()
    # In the order that a cell's problem has once it was passed on: who answered is not to be seen.
    lines = [(name.encode(), value.encode()) for name, value in error.shown_headers().items()]
    last = b"X-Request-Id: %b\r\n" % ident if ident else b""
    last = b"%b%bContent-Length: %d\r\n%b" % (date_line(), last, len(body), about)
    title = error.problem().title.encode()
    head = own_bytes(error.status, title, lines, last + connection_line(minor, keep_alive=keep_alive))
    return head if empty else head + body
