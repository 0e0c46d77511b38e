"""Heads of messages as they came over the wire; every decision is taken on these bytes. Pure.

The grammar of RFC 9112 stands here as regular expressions, without any of the repairs that the RFC allows. Their
quantifiers are possessive, so that they take linear time whatever comes. What they match is split into lines:
those that mean something here are looked at by name, and all others travel on as the bytes that they were.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

Header = tuple[bytes, bytes]
Named = Mapping[bytes, Sequence[bytes]]
"""Lower-case name → values in order, without the white space around them."""

_TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
_TEXT: Final = rb"[\t\x20-\x7e\x80-\xff]*+"
REQUEST_LINE: Final = re.compile(rb"(" + _TOKEN + rb") ([\x21\x22\x24-\x7e]++) HTTP/1\.([01])\r\n")
"""(method, target, minor version). A target is visible ASCII without `#` (RFC 9112 section 3.2)."""
STATUS_LINE: Final = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9][0-9])(?: (" + _TEXT + rb"))?\r\n")
"""(minor version, status, reason phrase)."""
FIELDS: Final = re.compile(rb"(?:" + _TOKEN + rb":" + _TEXT + rb"\r\n)*+\Z")
"""Header lines up to the empty one."""
LINES: Final = re.compile(rb"(?:[^\r\n]*+\r\n)*+[^\r\n]*+\r?\Z")
"""What the beginning of any head looks like: lines that end in CR LF, and the last perhaps not whole yet."""
LARGEST_HEAD_BYTES: Final = 65_536
LARGEST_LINE_BYTES: Final = 16_384
MOST_HEADERS: Final = 128
MOST_SPELLINGS: Final = 4096
LONGEST_SPELLING_BYTES: Final = 128


class Meaning(NamedTuple):
    """What a header's name means here. `travels`: its line goes on as it came; `once`: it must not come twice."""

    name: bytes
    travels: bool
    once: bool


class Vocabulary(dict[bytes, Meaning | None]):
    """A name as it was spelled → its meaning, None for one that goes on untouched.

    Found out once a spelling: clients spell a few names alike a million times. Bounded in number and length,
    because spellings come from outside.
    """

    def __init__(
        self,
        *,
        travelling: Iterable[bytes] = (),
        staying: Iterable[bytes] = (),
        once: Iterable[bytes] = (),
        staying_prefixes: tuple[bytes, ...] = (),
        twins: Iterable[bytes] = (),
        twin_prefixes: tuple[bytes, ...] = (),
    ) -> None:
        """All names in lower case. `travelling` and `staying` are looked at; the latter's lines do not go on.

        `twins`: names whose spellings with an underscore do not go on either.
        """
        super().__init__()
        self._once = frozenset(once)
        self._staying, self._staying_prefixes = frozenset(staying), staying_prefixes
        self._travelling = frozenset(travelling) | self._once
        self._twins, self._twin_prefixes = frozenset(twins), twin_prefixes

    def __missing__(self, spelling: bytes) -> Meaning | None:
        meaning = self._find_out(spelling.lower())
        if len(spelling) <= LONGEST_SPELLING_BYTES:
            if len(self) >= MOST_SPELLINGS:
                self.clear()
            self[spelling] = meaning
        return meaning

    def _find_out(self, name: bytes) -> Meaning | None:
        if name in self._staying or name.startswith(self._staying_prefixes) or self._is_twin(name):
            return Meaning(name, travels=False, once=name in self._once)
        return Meaning(name, travels=True, once=name in self._once) if name in self._travelling else None

    def _is_twin(self, name: bytes) -> bool:
        if b"_" not in name:
            return False
        hyphened = name.replace(b"_", b"-")
        return hyphened in self._twins or hyphened.startswith(self._twin_prefixes)


class Repeated(ValueError):
    """A header came twice that must come once."""


class Head(Protocol):
    """What the heads of both directions have in common."""

    @property
    def minor(self) -> int:
        """Of the version: HTTP/1.0 or HTTP/1.1."""

    @property
    def named(self) -> Named:
        """The values of the headers that mean something here."""


class RequestLike(Head, Protocol):
    """What is judged of a request."""

    @property
    def method(self) -> bytes: ...
    @property
    def target(self) -> bytes: ...


class ResponseLike(Head, Protocol):
    """What is judged of a response."""

    @property
    def status(self) -> int: ...
    @property
    def count(self) -> int:
        """Of its header lines."""


def told_apart(
    block: bytes, vocabulary: Vocabulary
) -> tuple[tuple[bytes, ...], dict[bytes, tuple[bytes, ...]], int]:
    """(header lines that travel, values of those that mean something, number of all). Repeated.

    In tuples of bytes, which the garbage collector need not look through: a memo holds many.
    """
    lines: list[bytes] = []
    named: dict[bytes, list[bytes]] = {}
    found = block.split(b"\r\n")
    found.pop()  # what follows the last line's end
    for line in found:
        name, _, value = line.partition(b":")
        meaning = vocabulary[name]
        if meaning is None:
            lines.append(line)
            continue
        lower, travels, once = meaning
        if lower not in named:
            named[lower] = [value.strip(b" \t")]
        elif once:
            raise Repeated(f"the header {lower.decode()} is given more than once")
        else:
            named[lower].append(value.strip(b" \t"))
        if travels:
            lines.append(line)
    return tuple(lines), {name: tuple(values) for name, values in named.items()}, len(found)


def without(lines: Iterable[bytes], names: frozenset[bytes]) -> tuple[bytes, ...]:
    """The header lines but for those called `names` (lower case)."""
    return tuple(line for line in lines if line.partition(b":")[0].lower() not in names)


@dataclass(frozen=True, slots=True)
class Framing:
    """How a body's end is known: after `length_bytes`, by chunks, or (both absent) there is none."""

    length_bytes: int | None = None
    chunked: bool = False

    @property
    def empty(self) -> bool:
        """Whether no body bytes follow."""
        return not self.chunked and not self.length_bytes


NO_BODY: Final = Framing()
EMPTY_BODY: Final = Framing(0)
CHUNKED: Final = Framing(chunked=True)
