"""What becomes of records: hours are counted as they begin, records go into their minutes, what is old is removed.

Reading usage does not wait for it. A worker that dies in the middle of a bite has done all of it or nothing.
"""

from collections.abc import Mapping

from cell import metrics
from cell.database import SQL
from cell.usage import NAMESPACES_AT_ONCE, count_namespaces
from cell.work.expiry import BITE, removing
from cell.work.rounds import Bite, Rounds
from runtime.database import Connection, Pool

RECORDS_AT_ONCE = 2000


async def roll(connection: Connection) -> int:
    """Add some records of the tenant up; of how many, at most `RECORDS_AT_ONCE`."""
    rolled: int = await connection.fetchval(SQL["roll_usage"], RECORDS_AT_ONCE)
    metrics.USAGE_ROLLED.inc(rolled)
    return rolled


async def _expire_audit(connection: Connection) -> int:
    gone: int = await connection.fetchval(SQL["delete_expired_audit_entries"], BITE)
    metrics.EXPIRED.labels("audit_entries").inc(gone)
    return gone


CHORES: Mapping[str, Bite] = {
    "hours": Bite(count_namespaces, NAMESPACES_AT_ONCE),
    "records": Bite(roll, RECORDS_AT_ONCE),
    "usage_records": removing("usage_records"),
    "usage_minutes": removing("usage_minutes"),
    "audit_entries": Bite(_expire_audit, BITE),
}


def bookkeeping(relay_pool: Pool, app_pool: Pool) -> Rounds:
    """Rounds over all of it."""
    return Rounds(relay_pool, app_pool, "bookkeeping_tenants", CHORES)
