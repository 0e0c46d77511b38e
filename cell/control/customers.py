"""The lives of customers, for the operator: beginning the workflows, each in the tenant's own transaction."""

from collections.abc import Awaitable, Callable

import asyncpg

from cell.control.keys import enter_known
from cell.database import again, transaction
from cell.workflows import beginning
from directory.control.contract import OffboardingOrder, OnboardingOrder, WorkReport
from runtime.database import Connection, Pool

Ask = Callable[[Connection], Awaitable[asyncpg.Record]]


class Customers:
    """Every call may come twice: it begins nothing that was begun. ApiError 404; NoSubscription; NotAllowed."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def onboard(self, tenant_id: str, order: OnboardingOrder) -> WorkReport:
        payload = order.model_dump(exclude={"attempt"})
        return await self._ask(tenant_id, lambda c: beginning.onboard(c, order.attempt, payload))

    async def offboard(self, tenant_id: str, order: OffboardingOrder) -> WorkReport:
        return await self._ask(tenant_id, lambda c: beginning.offboard(c, order.retention_days))

    async def stay(self, tenant_id: str) -> WorkReport:
        return await self._ask(tenant_id, beginning.stay)

    async def suspend(self, tenant_id: str) -> WorkReport:
        return await self._ask(tenant_id, beginning.suspend)

    async def resume(self, tenant_id: str) -> WorkReport:
        return await self._ask(tenant_id, beginning.resume)

    async def _ask(self, tenant_id: str, ask: Ask) -> WorkReport:
        async def work() -> WorkReport:
            async with transaction(self._pool) as connection:
                await enter_known(connection, tenant_id)
                row = await ask(connection)
            return WorkReport(operation=row["orchestration_id"], state=row["state"])

        return await again(work)
