"""Counting what a tenant uses, in the transaction that does it: counted if and only if it happened.

A record's key says what was done, so that saying it again counts no second time. `cell.work.bookkeeping` later
adds records up by minutes.
"""

from cell.database import SQL
from cell.rules.meters import NAMESPACE_HOURS, NAMESPACES_CREATED, STORAGE_BYTE_HOURS, Meter
from runtime.database import Connection

NAMESPACES_AT_ONCE = 200
_ALL = {"whose": "TRUE", "locking": "SKIP LOCKED"}
_ONE = {"whose": "s.account_id = $4 AND s.namespace_id = $5", "locking": ""}


async def record(connection: Connection, meter: Meter, key: str, quantity: int = 1) -> None:
    """Count `quantity` of what `key` tells; `key` must be the same whenever it is the same deed."""
    await connection.execute(SQL["record_usage"], meter.name, key, quantity)


async def begin_namespace(connection: Connection, account_id: str, namespace_id: str) -> None:
    """A namespace was provisioned: it is counted as created, and by the hour from now on."""
    await connection.execute(SQL["begin_metering"], account_id, namespace_id, NAMESPACES_CREATED.name)


async def count_namespace(connection: Connection, account_id: str, namespace_id: str) -> None:
    """Count its hours up to now: before it goes, and before what it stores changes."""
    while await _count(connection, _ONE, 1, account_id, namespace_id):
        pass


async def count_namespaces(connection: Connection) -> int:
    """Count hours of some namespaces of the tenant; of how many, at most `NAMESPACES_AT_ONCE`."""
    return await _count(connection, _ALL, NAMESPACES_AT_ONCE)


async def _count(connection: Connection, which: dict[str, str], most: int, *whose: str) -> int:
    sql = SQL["count_hours"].format(**which)
    tag = await connection.execute(sql, most, NAMESPACE_HOURS.name, STORAGE_BYTE_HOURS.name, *whose)
    return int(tag.rpartition(" ")[2])
