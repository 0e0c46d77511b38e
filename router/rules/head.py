"""Heads of messages as they came over the wire; every decision is taken on these bytes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

Header = tuple[bytes, bytes]
Headers = tuple[Header, ...]
Named = Mapping[bytes, Sequence[bytes]]
"""Lower-case name → values in order."""


def named(headers: Headers) -> Named:
    """Headers by name: looked into a dozen times a request, so the names are lowered once."""
    found: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        found.setdefault(name.lower(), []).append(value)
    return found


@dataclass(frozen=True, slots=True)
class RequestHead:
    """A request line and its headers. `version` is (1, 0) or (1, 1) once it passed `strict`."""

    method: bytes
    target: bytes
    version: tuple[int, int]
    headers: Headers
    named: Named = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "named", named(self.headers))

    def values(self, name: bytes) -> Sequence[bytes]:
        """The values of the header `name` (lower case), in order."""
        return self.named.get(name, ())


@dataclass(frozen=True, slots=True)
class ResponseHead:
    """A status line and its headers, from a cell."""

    status: int
    reason: bytes
    headers: Headers
    version: tuple[int, int] = (1, 1)
    named: Named = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "named", named(self.headers))

    def values(self, name: bytes) -> Sequence[bytes]:
        """The values of the header `name` (lower case), in order."""
        return self.named.get(name, ())


@dataclass(frozen=True, slots=True)
class Framing:
    """How a body's end is known: after `length_bytes`, by chunks, or (both absent) there is none."""

    length_bytes: int | None = None
    chunked: bool = False

    @property
    def empty(self) -> bool:
        """Whether no body bytes follow."""
        return not self.chunked and not self.length_bytes
