"""The audit log: who changed what, written in the transaction of the change.

Nobody who serves tenants can change an entry, nor remove one before its time; the database sees to it. Secrets,
and hashes of them, are never part of `before` or `after`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import asyncpg

from cell.database import SQL
from runtime.database import Connection

OPERATOR = "operator"
"""Whoever came through the control contract."""
WORKER = "worker"
"""This cell itself."""


@dataclass(frozen=True, slots=True)
class Change:
    """What became of `target`, a resource's name; None: it was not there before, or is not there after."""

    target: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None


def key_actor(key_id: str) -> str:
    """The tenant's developer, by the API key that was used."""
    return f"keys/{key_id}"


def described_key(row: asyncpg.Record) -> dict[str, Any]:
    """A key as entries show it: neither the secret nor its hash."""
    return {"display_name": row["display_name"], "state": "ACTIVE" if row["revoked_at"] is None else "REVOKED"}


async def record(
    connection: Connection, actor: str, action: str, change: Change, request_id: str | None = None
) -> str:
    """Write an entry; its identifier. In the transaction of the tenant that was entered."""
    described = [None if side is None else json.dumps(dict(side)) for side in (change.before, change.after)]
    entry_id: str = await connection.fetchval(
        SQL["record_audit"], actor, action, change.target, *described, request_id
    )
    return entry_id
