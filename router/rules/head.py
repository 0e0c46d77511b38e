"""Heads of messages as they came over the wire; every decision is taken on these bytes."""

from dataclasses import dataclass

Header = tuple[bytes, bytes]
Headers = tuple[Header, ...]


def values(headers: Headers, name: bytes) -> list[bytes]:
    """The values of the header `name` (lower case), in order."""
    return [value for given, value in headers if given.lower() == name]


@dataclass(frozen=True, slots=True)
class RequestHead:
    """A request line and its headers. `version` is (1, 0) or (1, 1) once it passed `strict`."""

    method: bytes
    target: bytes
    version: tuple[int, int]
    headers: Headers


@dataclass(frozen=True, slots=True)
class ResponseHead:
    """A status line and its headers, from a cell."""

    status: int
    reason: bytes
    headers: Headers


@dataclass(frozen=True, slots=True)
class Framing:
    """How a body's end is known: after `length_bytes`, by chunks, or (both absent) there is none."""

    length_bytes: int | None = None
    chunked: bool = False

    @property
    def empty(self) -> bool:
        """Whether no body bytes follow."""
        return not self.chunked and not self.length_bytes
