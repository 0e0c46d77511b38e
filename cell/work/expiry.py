"""Removing rows whose time is over: answers of old Idempotency-Keys, ended jobs and orchestrations."""

import time
from collections.abc import Callable

from cell import metrics
from cell.database import SQL
from cell.work.rounds import LOOK_SECONDS, TENANTS_A_PAGE, Bite, Rounds
from runtime.database import Connection, Pool

__all__ = ["BITE", "TENANTS_A_PAGE", "Expiry", "removing"]

BITE = 500
TABLES = ("keys", "orchestrations", "jobs")


def removing(table: str) -> Bite:
    """A bite of the rows that `delete_expired_….sql` names."""

    async def act(connection: Connection) -> int:
        tag = await connection.execute(SQL[f"delete_expired_{table}"], BITE)
        gone = int(tag.rpartition(" ")[2])
        metrics.EXPIRED.labels(table).inc(gone)
        return gone

    return Bite(act, BITE)


class Expiry(Rounds):
    """Rounds over what expires."""

    def __init__(
        self,
        relay_pool: Pool,
        app_pool: Pool,
        look_seconds: float = LOOK_SECONDS,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        chores = {table: removing(table) for table in TABLES}
        super().__init__(relay_pool, app_pool, "expired_tenants", chores, look_seconds, now)
