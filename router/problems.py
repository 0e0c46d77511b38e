"""Answers of the router's own, as bytes."""

from email.utils import formatdate
from functools import lru_cache
from time import time
from typing import Final, NamedTuple

from router.errors import too_many
from router.rules.headers import connection_line, own_lines
from runtime.api.problem import ApiError

MOST_WAITS: Final = 64
"""Different `Retry-After` of which the answer is kept."""

_date: tuple[int, bytes] = (0, b"")


def date_line() -> bytes:
    """`Date`, of this second."""
    global _date
    second = int(time())
    if second != _date[0]:
        _date = (second, b"Date: %b\r\n" % formatdate(second, usegmt=True).encode())
    return _date[1]


class Prepared(NamedTuple):
    """An error, and what of its answer is the same each time: the first lines of its head, and the body."""

    error: ApiError
    first: bytes
    body: bytes


def prepared(error: ApiError) -> Prepared:
    """Made ready to be sent."""
    # In the order that a cell's problem has once it was passed on: who answered is not to be seen.
    lines = [(name.encode(), value.encode()) for name, value in error.shown_headers().items()]
    title = error.problem().title.encode()
    return Prepared(error, own_lines(error.status, title, lines), error.body())


@lru_cache(MOST_WAITS)
def wait_longer(seconds: int) -> Prepared:
    """`too_many`, kept: whoever floods is refused all the time, and each refusal takes time of everybody else."""
    return prepared(too_many(seconds))


def answer_bytes(
    answer: Prepared, minor: int, *, keep_alive: bool, ident: bytes = b"", empty: bool = False, about: bytes = b""
) -> bytes:
    """The response. `empty`: without the body, for HEAD. `about`: further header lines."""
    parts = (
        answer.first,
        date_line(),
        b"X-Request-Id: %b\r\n" % ident if ident else b"",
        b"Content-Length: %d\r\n" % len(answer.body),
        about,
        connection_line(minor, keep_alive=keep_alive),
        b"\r\n",
        b"" if empty else answer.body,
    )
    return b"".join(parts)


def problem_bytes(error: ApiError, minor: int, *, keep_alive: bool, ident: bytes = b"") -> bytes:
    """An error as a response."""
    return answer_bytes(prepared(error), minor, keep_alive=keep_alive, ident=ident)
