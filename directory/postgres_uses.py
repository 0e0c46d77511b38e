"""What pools used, in the control database; its clock tells which day it is, so that it is one day for all."""

from collections.abc import Sequence
from datetime import date

from directory.transactions import SQL, Transactions, found, repeated
from directory.uses import KEPT_DAYS, DayUse, PoolUse
from directory.values import Term
from runtime.database import Pool


class PostgresUses:
    """`Uses` over a pool of connections as `directory_writer`."""

    def __init__(self, pool: Pool) -> None:
        self._transactions = Transactions(pool)

    @repeated
    async def record(self, uses: Sequence[PoolUse], term: Term) -> None:
        columns = (
            [use.region for use in uses],
            [use.resource for use in uses],
            [use.used for use in uses],
            [use.most for use in uses],
            [use.cells for use in uses],
        )
        async with self._transactions.begun(term) as connection:
            await connection.execute(SQL["record_fleet_use"], *columns)
            await connection.execute(SQL["forget_fleet_use"], KEPT_DAYS)

    async def latest(self, days: int) -> Sequence[DayUse]:
        return [
            DayUse(row["day"], PoolUse(row["region"], row["resource"], row["used"], row["most"], row["cells"]))
            for row in await self._transactions.rows("list_fleet_use", days)
        ]

    async def today(self) -> date:
        row = found(await self._transactions.row("get_day"), "day", "today")
        day: date = row["day"]
        return day
