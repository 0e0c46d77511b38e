"""What clients noted. Moments are seconds of one monotonic clock; `began` is before the first byte was sent.

An attempt whose answer never came is unknown: it may have been done, at any time since it began, or not at all.
What was read later decides it. One that was refused must never be seen.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Outcome = Literal["acknowledged", "unknown", "refused"]
Fault = Literal["lost", "doubled", "stale", "phantom", "order", "undecided"]
"""lost: acknowledged, and not there. doubled: there or done more than once. stale: a read, or a write's place,
that is older than what was known before it began. phantom: there although it was refused, or nobody wrote it.
order: later than what came after it. undecided: what was there in the end could not be read."""
NEVER = float("inf")
INITIAL = "0"
"""The value with which every register is made."""


@dataclass(frozen=True, slots=True)
class Swap:
    """An attempt to set a register from `expected` to `value`, which nobody else ever writes there."""

    register: str
    expected: str
    value: str
    began: float
    ended: float
    outcome: Outcome
    version: int | None = None
    """Of the register afterwards, as the answer told it."""


@dataclass(frozen=True, slots=True)
class Read:
    """What a register was seen to be."""

    register: str
    value: str
    began: float
    ended: float
    version: int | None = None


@dataclass(frozen=True, slots=True)
class Append:
    """An attempt to add an entry to a log; its name is used for nothing else."""

    log: str
    entry: str
    began: float
    ended: float
    outcome: Outcome
    forgotten: bool = False
    """Repeated with the same Idempotency-Key, it was told that the entry is there already, not that it made it."""


@dataclass(frozen=True, slots=True)
class Look:
    """Whether one entry was seen."""

    log: str
    entry: str
    seen: bool
    began: float
    ended: float


@dataclass(frozen=True, slots=True)
class Count:
    """How many entries a log was said to have."""

    log: str
    entries: int
    began: float
    ended: float


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry that is there in the end. `at`: when its database says that it was made, in seconds."""

    entry: str
    at: float


@dataclass(frozen=True, slots=True)
class Provisioning:
    """An attempt to have something provisioned."""

    tenant: str
    target: str
    began: float
    ended: float
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Effects:
    """What a tenant's provisionings came to. Each a list in which nothing may be twice; `used` is the meter."""

    active: Sequence[str]
    unfinished: Sequence[str]
    operations: Sequence[str]
    """Targets of operations that succeeded, once for each."""
    used: int
    failed: Mapping[str, str] = field(default_factory=dict)
    """Targets of operations that ended otherwise, and how."""


@dataclass(frozen=True, slots=True)
class History:
    """A whole run: what was noted, and what was there in the end. What could not be read then is missing there."""

    swaps: Sequence[Swap] = ()
    reads: Sequence[Read] = ()
    appends: Sequence[Append] = ()
    looks: Sequence[Look] = ()
    counts: Sequence[Count] = ()
    provisionings: Sequence[Provisioning] = ()
    registers: Mapping[str, str] | None = None
    logs: Mapping[str, Sequence[Entry]] | None = None
    done: Mapping[str, Sequence[str]] | None = None
    """By log, the entries of which the audit log says that they were made, once for each time."""
    effects: Mapping[str, Effects] | None = None


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing that must not be; `where` is a register, a log or a tenant."""

    fault: Fault
    where: str
    text: str

    def __str__(self) -> str:
        return f"{self.fault} in {self.where}: {self.text}"
