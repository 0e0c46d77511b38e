"""The version pointer: how far the stream of changes has been published, told beside the cache that carries it.

A router follows the directory's Redis. Whether that Redis is itself behind (a replica that was cut off, one that
was restored) it cannot learn from there; so the number is kept in Consul where there is one. It is a hint: a
router that is behind says so, and goes on serving.

    memory_pointer    the twin
    redis_pointer     a key that is looked at, in the directory's Redis: the embedded default
    consul_pointer    a key, watched by a blocking query
"""

import json
from dataclasses import asdict, dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Position:
    """Change number `seq` of the directory called `identity`."""

    identity: str
    seq: int


class Pointer(Protocol):
    """The latest position."""

    async def put(self, position: Position) -> None:
        """Point there. An earlier number of the same directory changes nothing, whoever comes late.
        Unavailable."""

    async def next(self, seconds: float) -> Position | None:
        """Where it points: at once the first time, then when that has changed, or the time is over.

        None: nowhere yet. Unavailable: whoever asks goes on with what they know, and asks again after a while.
        """

    async def close(self) -> None:
        """Close connections."""


def leads_on(known: Position | None, position: Position) -> bool:
    """Whether `position` is news to whoever knows `known`; another directory always is."""
    return known is None or known.identity != position.identity or known.seq < position.seq


def encoded(position: Position) -> str:
    """As a key says it."""
    return json.dumps(asdict(position))


def decoded(text: str | bytes | None) -> Position | None:
    """What a key says; None also for what is none, as people can write anything there."""
    try:
        told = json.loads(text) if text is not None else None
        return None if told is None else Position(str(told["identity"]), int(told["seq"]))
    except (ValueError, KeyError, TypeError):
        return None
