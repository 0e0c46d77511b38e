"""What a step does. The orchestrator knows nothing of it but these shapes.

A `Here` acts in the tenant's own transaction, in which its result is recorded too: it happens exactly once. A
`There` acts at an outside party, under a key that is the same for every attempt: the party remembers what it did
under a key, so that to ask again is safe, and refuses a key that was undone (a tombstone), however late it comes.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from cell.errors import CellError
from cell.rules.turns import Output
from runtime.database import Connection


class Outage(CellError):
    """The party does not answer. No attempt is counted: the work waits, and goes on by itself."""


@dataclass(frozen=True, slots=True)
class Call:
    """What an action is about. `outputs`: of the steps that ended well, by name."""

    tenant_id: str
    orchestration_id: str
    step: str
    payload: Mapping[str, Any]
    outputs: Mapping[str, Output]

    @property
    def key(self) -> str:
        """The same for every attempt at this step."""
        return f"{self.orchestration_id}/{self.step}"


@dataclass(frozen=True, slots=True)
class Here:
    """Acts in the tenant's transaction. Nothing of a failed attempt stays."""

    act: Callable[[Connection, Call], Awaitable[Output]]
    undo: Callable[[Connection, Call], Awaitable[None]] | None = None


class Party(Protocol):
    """Somebody outside. Each raises Outage, Unfit (no attempt can help), or anything else (this one failed)."""

    async def act(self, call: Call) -> Output:
        """Have it done, once for this key."""

    async def find(self, call: Call) -> Output | None:
        """What was done under this key; None when nothing was."""

    async def undo(self, call: Call) -> None:
        """Have nothing left of this key, now and later; succeeds also when nothing ever happened."""


@dataclass(frozen=True, slots=True)
class There:
    """Acts at a party's."""

    party: Party


@dataclass(frozen=True, slots=True)
class After:
    """A timer: so many seconds after the step began."""

    seconds: Callable[[Call], float]


@dataclass(frozen=True, slots=True)
class Told:
    """Waits for a signal called as the step, or for a time, after which it goes on without."""

    seconds: Callable[[Call], float] | None = None


Action = Here | There | After | Told
