"""The audit log of the tenant: `audit/{entry}`. It is read here; entries come from `accounting` alone."""

import json

import asyncpg

from cell.api.context import Context
from cell.api.lists import Listing, page
from cell.api.models import AuditEntry, AuditPage
from cell.database import SQL
from runtime.api.endpoint import Call, Reply
from runtime.api.filters import Column
from runtime.api.ordering import Order
from runtime.api.problem import not_found

LISTING = Listing(
    query="list_audit_entries",
    count="count_audit_entries",
    columns={
        "entry": Column("entry_id"),
        "create_time": Column("at", "time"),
        "actor": Column("actor"),
        "action": Column("action"),
        "target": Column("target"),
        "request_id": Column("COALESCE(request_id, '')"),
    },
    orders={
        "entry": Order("entry", "entry_id"),
        "create_time": Order("create_time", "at", cast="timestamptz"),
        **{name: Order(name, name) for name in ("actor", "action", "target")},
    },
    tie="entry",
)


def _entry(row: asyncpg.Record) -> AuditEntry:
    return AuditEntry(
        name=f"audit/{row['entry_id']}",
        create_time=row["at"],
        actor=row["actor"],
        action=row["action"],
        target=row["target"],
        before=row["before"] and json.loads(row["before"]),
        after=row["after"] and json.loads(row["after"]),
        request_id=row["request_id"],
    )


async def get(call: Call[Context]) -> Reply:
    """200."""
    entry_id = call.path["entry"]
    row = await call.context.connection.fetchrow(SQL["get_audit_entry"], entry_id)
    if row is None:
        raise not_found("audit entry", entry_id)
    return Reply(body=_entry(row))


async def list_(call: Call[Context]) -> Reply:
    """200, the oldest first unless asked otherwise."""
    found = await page(call.context, LISTING, call.query)
    return Reply(
        body=AuditPage(
            entries=[_entry(row) for row in found.rows],
            next_page_token=found.next_page_token,
            total_size=found.total_size,
        )
    )
