"""Who leads: at most one process holds the lock of a resource, and acts for it.

Such a lock is only advice. Whoever holds it may be frozen, outlive it, and wake up in the middle of a decision. So
the seam has two sides, of which the second is what counts:

    Leadership   the lock: it keeps others from acting for nothing, and ends when its holder falls silent
    Terms        the number that whoever gained the lock takes from the directory; a decision that carries a lower
                 one is refused there (`NotLeader`), in the transaction that would record it

    memory_leadership     the twins of both
    postgres_leadership   a row that is kept, in the control database: the embedded default; and the terms of all
    consul_leadership     a key that is locked by a session, in Consul
    fallback_leadership   two locks: the second one counts, and the first says who may take it while it is there
    leading               stands for election and leads, in whichever of them the settings name

A resource is whatever one leader is for, such as `placement`; where each region has its own: `placement/eu`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from directory.values import Term


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock that was gained. `lock_id` is what the store knows it by; nobody else's is the same."""

    resource: str
    owner: str
    lock_id: str


class Leadership(Protocol):
    """Locks by resource."""

    @property
    def lives_seconds(self) -> float:
        """How long a lock is held after it was gained, or kept, at least; others get it some time later."""

    async def gain(self, resource: str, owner: str) -> Lock | None:
        """The lock, if it is free. Unavailable."""

    async def keep(self, lock: Lock) -> bool:
        """Hold it for `lives_seconds` more; False when it is lost, and stays so. Unavailable: nobody can tell."""

    async def give_up(self, lock: Lock) -> None:
        """Free it at once. One that was lost is not given up: it may be another's by now. Unavailable."""

    async def leader(self, resource: str) -> str | None:
        """The owner of the lock, None while it is free. Unavailable."""

    async def wait(self, resource: str, seconds: float) -> None:
        """Return when the lock may be free, or when the time is over. Unavailable."""

    async def close(self) -> None:
        """Close connections; locks stay for as long as they live."""


class Terms(Protocol):
    """The latest term of each resource, in the directory."""

    async def begin(self, resource: str, owner: str) -> Term:
        """A fresh number: from now on every lower one is outdated. Unavailable."""

    async def latest(self, resource: str) -> Term | None:
        """None when nobody ever led. Unavailable."""

    async def all(self) -> Sequence[Term]:
        """Of each resource, in the order of their names. Unavailable."""
