"""The seam of the audit log: who decided what, and what came of it. It is only ever added to.

A decision is written down twice: before it is made, with an outcome of None, and again when its end is known, by
an entry that `concludes` the first. Read, it is one. So whoever dies in between leaves an entry without outcome,
and nothing that was done is missing.

    postgres_audit   the control database, where placement's role may add and read, and change nothing
    memory_audit     its twin
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

from directory.values import Term

AuditRole = Literal["viewer", "operator", "admin", "placement"]
DONE = "DONE"
"""The outcome of what succeeded; otherwise it is the code of the problem that was answered."""
SHORTEST_KEPT_SECONDS = 30 * 86_400.0
"""What is younger nobody can have forgotten."""


@dataclass(frozen=True, slots=True)
class NewAuditEntry:
    """What is to be written down. `detail` holds neither secrets nor mail addresses: whoever writes sees to it."""

    actor: str
    role: AuditRole
    action: str
    targets: tuple[str, ...] = ()  # `tenant/acme`, `cell/cell-1`, …
    request_id: str = ""
    outcome: str | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)
    concludes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry(NewAuditEntry):
    """One decision as it is read: by its end if that is known. `at`: of this entry, `began_at`: of its first."""

    number: int
    at: datetime
    began_at: datetime


class AuditLog(Protocol):
    """Entries by number, which is nearly the order of their time."""

    async def record(self, entry: NewAuditEntry, term: Term | None = None) -> int:
        """Its number. With the `term` of a leader: NotLeader. AlreadyExists: what it concludes is concluded."""

    async def entries(
        self,
        *,
        before: int | None = None,
        limit: int = 100,
        actor: str | None = None,
        action: str | None = None,
        targets: Sequence[str] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Sequence[AuditEntry]:
        """Each decision once, the newest first; `targets`: those about any of these; `until`: not included."""

    async def forget(self, kept_seconds: float, most: int) -> int:
        """Remove entries that are so old, the oldest first; how many. NotAllowed when that is not old."""
