"""What the tenant's plan gives, and what is used of it: `quotas`."""

from cell import quotas
from cell.api.context import Context
from cell.api.models import QuotaReport, QuotaShare
from cell.rules.quotas import shares
from runtime.api.endpoint import Call, Reply


async def get(call: Call[Context]) -> Reply:
    """200."""
    connection = call.context.connection
    plan = await quotas.plan(connection)
    return Reply(
        body=QuotaReport(
            plan=plan.name,
            quotas=[
                QuotaShare(quota=share.quota.name, limit=share.most, used=share.used)
                for share in shares(plan, await quotas.use(connection))
            ],
        )
    )
