"""The audit log, kept in the control database."""

import json
from collections.abc import Sequence
from datetime import datetime

import asyncpg

from directory.audit import AuditEntry, NewAuditEntry
from directory.errors import AlreadyExists, NotAllowed
from directory.transactions import SQL, Transactions, fields_of, repeated
from directory.values import Term
from runtime.database import Pool


class PostgresAudit:
    """`AuditLog` over a pool of connections as `directory_writer`."""

    def __init__(self, pool: Pool) -> None:
        self._transactions = Transactions(pool)

    @repeated
    async def record(self, entry: NewAuditEntry, term: Term | None = None) -> int:
        try:
            async with self._transactions.begun(term) as connection:
                number = await connection.fetchval(
                    *(SQL["insert_audit_entry"], entry.concludes, entry.actor, entry.role, entry.action),
                    *(list(entry.targets), entry.request_id, entry.outcome),
                    json.dumps(dict(entry.detail), allow_nan=False),
                )
                return int(number)
        except asyncpg.UniqueViolationError as error:
            raise AlreadyExists(f"entry {entry.concludes} of the audit log is concluded already") from error

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
        wanted = None if targets is None else list(targets)
        asked = (before, limit, actor, action, wanted, since, until)
        return [_entry(row) for row in await self._transactions.rows("list_audit_entries", *asked)]

    @repeated
    async def forget(self, kept_seconds: float, most: int) -> int:
        try:
            async with self._transactions.begun() as connection:
                return int(await connection.fetchval(SQL["forget_audit"], float(kept_seconds), most))
        except asyncpg.InsufficientPrivilegeError as error:
            raise NotAllowed(str(error)) from error


def _entry(row: asyncpg.Record) -> AuditEntry:
    fields = fields_of(AuditEntry, row)
    return AuditEntry(**{**fields, "targets": tuple(row["targets"]), "detail": json.loads(row["detail"])})
