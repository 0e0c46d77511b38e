"""What a customer takes along: its rows as JSON, part by part, each in a transaction of its own.

A part says behind which key the next one begins, so an export goes on where it stopped, whoever carries it on.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg

from cell.database import SQL
from cell.errors import Unfit
from cell.orchestrator.actions import Call, Outage
from cell.parties.memory import UNDONE, Remembering, visit
from cell.rules.turns import Output
from runtime.database import Connection, Pool

SOURCES: Mapping[str, Sequence[str]] = {
    "tenants": ("tenant_id",),
    "subscriptions": ("tenant_id",),
    "organisations": ("organisation_id",),
    "organisation_users": ("organisation_id", "user_id"),
    "accounts": ("account_id",),
    "namespaces": ("account_id", "namespace_id"),
    "allocations": ("account_id", "namespace_id"),
    "namespace_storage": ("account_id", "namespace_id"),
    "api_keys": ("key_id",),
    "audit_entries": ("entry_id",),
    "billing_subscriptions": ("subscription_id",),
    "invoices": ("invoice_id",),
    "mails": ("mail_key",),
}
"""table → its key, in the order in which they are exported."""
ROWS = 200
"""In each part."""
AT_ONCE_SECONDS = 8.0
"""Then the rest waits for the next turn, so that the lease is never outlived."""


class Export(Remembering):
    """An export under the step's key."""

    party = "export"

    def __init__(self, pool: Pool, rows: int = ROWS, at_once_seconds: float = AT_ONCE_SECONDS) -> None:
        super().__init__(pool, lambda _call: {})
        self._rows, self._at_once_seconds = rows, at_once_seconds

    async def act(self, call: Call) -> Output:
        """Every part is written. Unfit after it was undone. Outage: more than fits into one turn."""
        loop = asyncio.get_running_loop()
        end = loop.time() + self._at_once_seconds
        while await self._next(call):
            if loop.time() > end:
                raise Outage("there is more to export")
        return await super().act(call)

    async def _next(self, call: Call) -> bool:
        """One more part; False when the last one is written."""
        async with visit(self._pool, call.tenant_id) as connection:
            await connection.execute(SQL["lock_export"], call.key)
            row = await connection.fetchrow(SQL["get_effect"], self.party, call.key)
            if row is not None and row["state"] == UNDONE:
                raise Unfit("this was undone before")
            end = await connection.fetchrow(SQL["get_export_end"], call.key)
            if end is not None and end["source"] is None:
                return False
            await self._write(connection, call.key, end)
            return True

    async def _write(self, connection: Connection, export_id: str, end: asyncpg.Record | None) -> None:
        part = 1 if end is None else end["part"] + 1
        sources = list(SOURCES)
        # Behind the last part's key; a table whose part was not full is done, but to look again finds nothing.
        behind: list[str] | None = None if end is None else end["last_key"]
        for source in sources if end is None else sources[sources.index(end["source"]) :]:
            rows = await self._read(connection, source, behind)
            if rows:
                content = "[" + ",".join(row["content"] for row in rows) + "]"
                await connection.execute(
                    SQL["insert_export_part"], export_id, part, source, content, rows[-1]["last_key"]
                )
                return
            behind = None
        summary = json.dumps({"parts": part - 1})
        await connection.execute(SQL["insert_export_part"], export_id, part, None, summary, [])

    async def _read(
        self, connection: Connection, source: str, behind: list[str] | None
    ) -> Sequence[asyncpg.Record]:
        keys = SOURCES[source]
        query = SQL["export_rows"].format(
            table=f"cell.{source}",
            keys=", ".join(f"t.{key}" for key in keys),
            after=", ".join(f"($1::text[])[{place}]" for place in range(1, len(keys) + 1)),
        )
        rows: Sequence[asyncpg.Record] = await connection.fetch(query, behind, self._rows)
        return rows

    async def do(self, connection: Connection, call: Call, what: Mapping[str, Any]) -> Output:
        """It is written: say so."""
        end = await connection.fetchrow(SQL["get_export_end"], call.key)
        return {"export_id": call.key, "parts": 0 if end is None else end["part"] - 1}

    async def take_back(self, connection: Connection, call: Call, done: Output | None) -> None:
        await connection.execute(SQL["lock_export"], call.key)
        await connection.execute(SQL["delete_export"], call.key)
