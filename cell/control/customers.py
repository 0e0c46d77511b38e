"""The lives of customers, for the operator: beginning the workflows, each in the tenant's own transaction."""

from collections.abc import Awaitable, Callable

import asyncpg

from cell import audit
from cell.audit import Change
from cell.control.keys import enter_known
from cell.database import SQL, again, transaction
from cell.work.hints import Hint
from cell.workflows import beginning
from directory.control.contract import OffboardingOrder, OnboardingOrder, WorkReport
from runtime.database import Connection, Pool

Ask = Callable[[Connection], Awaitable[asyncpg.Record]]


class Customers:
    """Every call may come twice: it begins nothing that was begun. ApiError 404; NoSubscription; NotAllowed."""

    def __init__(self, pool: Pool, namespace_domain: str, hint: Callable[[Hint], bool]) -> None:
        """`hint` tells the workers, who would otherwise find it at their next sweep."""
        self._pool, self._domain, self._hint = pool, namespace_domain, hint

    async def onboard(self, tenant_id: str, order: OnboardingOrder) -> WorkReport:
        payload = {**order.model_dump(exclude={"attempt"}), "domain": self._domain}
        return await self._ask(tenant_id, "onboard", lambda c: beginning.onboard(c, order.attempt, payload))

    async def offboard(self, tenant_id: str, order: OffboardingOrder) -> WorkReport:
        return await self._ask(tenant_id, "offboard", lambda c: beginning.offboard(c, order.retention_days))

    async def stay(self, tenant_id: str) -> WorkReport:
        return await self._ask(tenant_id, "cancelOffboarding", beginning.stay)

    async def suspend(self, tenant_id: str) -> WorkReport:
        return await self._ask(tenant_id, "suspendSubscription", beginning.suspend)

    async def resume(self, tenant_id: str) -> WorkReport:
        return await self._ask(tenant_id, "resumeSubscription", beginning.resume)

    async def _ask(self, tenant_id: str, action: str, ask: Ask) -> WorkReport:
        async def work() -> WorkReport:
            async with transaction(self._pool) as connection:
                epoch = await enter_known(connection, tenant_id)
                row = await ask(connection)
                this_moment = await connection.fetchval(SQL["this_moment"])
                is_new = row["updated_at"] == this_moment  # else it was done before
                if is_new:
                    change = Change("subscription", None, {"operation": f"operations/{row['orchestration_id']}"})
                    await audit.record(connection, audit.OPERATOR, action, change)
            if is_new:
                self._hint(Hint(tenant_id, epoch, row["lane"]))
            return WorkReport(operation=row["orchestration_id"], state=row["state"])

        return await again(work)
