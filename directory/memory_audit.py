"""The twin in memory of the audit log: the same promises and errors."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta

from directory.audit import SHORTEST_KEPT_SECONDS, AuditEntry, NewAuditEntry
from directory.errors import AlreadyExists, NotAllowed
from directory.memory import MemoryDirectory
from directory.values import Term


class MemoryAudit:
    """`AuditLog` beside a `MemoryDirectory`, with its clock and its terms."""

    def __init__(self, directory: MemoryDirectory) -> None:
        self._directory = directory
        self._entries: dict[int, AuditEntry] = {}
        self._number = 0

    def __repr__(self) -> str:
        return f"<MemoryAudit {len(self._entries)}>"

    async def record(self, entry: NewAuditEntry, term: Term | None = None) -> int:
        self._directory.check_term(term)
        if entry.concludes is not None and entry.concludes in self._concluded():
            raise AlreadyExists(f"entry {entry.concludes} of the audit log is concluded already")
        self._number += 1
        now = self._directory.clock.now()
        first = self._entries.get(entry.concludes or 0)
        # As it comes back from a store that keeps JSON; what is none is refused here too.
        told = {**asdict(entry), "detail": json.loads(json.dumps(dict(entry.detail), allow_nan=False))}
        began_at = now if first is None else first.at
        self._entries[self._number] = AuditEntry(**told, number=self._number, at=now, began_at=began_at)
        return self._number

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
        concluded = self._concluded()
        return [
            entry
            for number, entry in sorted(self._entries.items(), reverse=True)
            if number not in concluded
            and (before is None or number < before)
            and actor in (None, entry.actor)
            and action in (None, entry.action)
            and (targets is None or not set(targets).isdisjoint(entry.targets))
            and (since is None or entry.at >= since)
            and (until is None or entry.at < until)
        ][:limit]

    async def forget(self, kept_seconds: float, most: int) -> int:
        if not kept_seconds >= SHORTEST_KEPT_SECONDS:
            raise NotAllowed("the audit log of the last thirty days is not forgotten")
        before = self._directory.clock.now() - timedelta(seconds=kept_seconds)
        old = sorted((entry.at, number) for number, entry in self._entries.items() if entry.at <= before)[:most]
        for _, number in old:
            del self._entries[number]
        return len(old)

    def _concluded(self) -> set[int | None]:
        return {entry.concludes for entry in self._entries.values()} - {None}
