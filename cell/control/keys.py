"""API keys for the operator: made from a seed, so that a repeated order answers with the same key."""

import asyncpg

from cell import audit
from cell.access import enter_at
from cell.audit import Change, described_key
from cell.database import SQL, again, transaction
from cell.errors import NotHere, Unavailable
from cell.rules.keys import api_key_of, hash_of, key_id_of
from directory.control.contract import KeyList, KeyOrder, KeyReport
from runtime.api.problem import not_found
from runtime.database import Connection, Pool


class KeyMaker:
    """Makes keys with the fleet's pepper, which is secret."""

    def __init__(self, pepper: bytes) -> None:
        self._pepper = pepper

    async def make(self, connection: Connection, tenant_id: str, seed: str, display_name: str) -> KeyReport:
        """The key of `seed`, made now or before, with its secret unless it was revoked since."""
        key_id = key_id_of(self._pepper, tenant_id, seed)
        api_key = api_key_of(self._pepper, tenant_id, key_id)
        row = await connection.fetchrow(SQL["insert_key"], key_id, display_name, hash_of(self._pepper, api_key))
        if row is not None:  # else it was made before, and written down then
            await _record(connection, "createKey", Change(f"keys/{key_id}", None, described_key(row)))
        row = row or await connection.fetchrow(SQL["get_key"], key_id)
        if row is None:
            raise Unavailable("the key vanished while it was made")
        return _report(row, api_key if row["revoked_at"] is None else None)


async def _record(connection: Connection, action: str, change: Change) -> None:
    await audit.record(connection, audit.OPERATOR, action, change)


def _report(row: asyncpg.Record, api_key: str | None = None) -> KeyReport:
    return KeyReport(
        key_id=row["key_id"],
        display_name=row["display_name"],
        created_at=row["created_at"],
        revoked_at=row["revoked_at"],
        api_key=api_key,
    )


class Keys:
    """API keys of any tenant that lives here."""

    def __init__(self, pool: Pool, maker: KeyMaker) -> None:
        self._pool, self._maker = pool, maker

    async def list_(self, tenant_id: str) -> KeyList:
        """ApiError 404 when the tenant does not live here."""
        async with transaction(self._pool) as connection:
            await enter_known(connection, tenant_id)
            rows = await connection.fetch(SQL["all_keys"])
        return KeyList(keys=[_report(row) for row in rows])

    async def create(self, tenant_id: str, order: KeyOrder) -> KeyReport:
        """ApiError 404 when the tenant does not live here."""

        async def work() -> KeyReport:
            async with transaction(self._pool) as connection:
                await enter_known(connection, tenant_id)
                return await self._maker.make(connection, tenant_id, order.seed, order.display_name)

        return await again(work)

    async def revoke(self, tenant_id: str, key_id: str) -> KeyReport:
        """ApiError 404 when there is no such key."""

        async def work() -> asyncpg.Record | None:
            async with transaction(self._pool) as connection:
                await enter_known(connection, tenant_id)
                known = await connection.fetchrow(SQL["lock_key"], key_id)
                row = await connection.fetchrow(SQL["revoke_key"], key_id)
                if known is not None and row is not None:
                    change = Change(f"keys/{key_id}", described_key(known), described_key(row))
                    await _record(connection, "revokeKey", change)
                return row or known

        row = await again(work)
        if row is None:
            raise not_found("key", key_id)
        return _report(row)


async def enter_known(connection: Connection, tenant_id: str) -> int:
    """At whatever epoch the fence is; which one. ApiError 404 when the tenant does not live here."""
    row = await connection.fetchrow(SQL["enter_fence"], tenant_id, 0)
    if row is None or row["epoch"] is None or row["state"] != "active":
        raise not_found("tenant", tenant_id)
    try:
        await enter_at(connection, tenant_id, row["epoch"])
    except NotHere:
        raise not_found("tenant", tenant_id) from None
    return int(row["epoch"])
