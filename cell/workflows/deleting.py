"""Deleting what a customer leaves behind, bite by bite, each in a transaction of its own.

It stands behind the point of no return, so there is no way back from it; to do it twice deletes nothing more.
"""

import asyncio

from cell.database import SQL
from cell.orchestrator.actions import Call, Outage
from cell.parties.memory import visit
from cell.rules.turns import Output
from runtime.database import Pool

DELETED = (
    *("exports", "taken_resources", "mails", "organisation_users", "organisations"),
    *("jobs", "allocations", "namespaces", "accounts", "api_keys", "idempotency_keys"),
    *("usage_records", "usage_minutes"),
)
"""Whoever refers to others first."""
KEPT = frozenset(
    {
        *("orchestrations", "orchestration_steps", "orchestration_signals", "party_effects"),  # what was done
        "audit_entries",  # by whom
        *("billing_subscriptions", "invoices", "subscriptions"),  # what was charged
        "tenants",  # the directory decides about it
    }
)
GONE_WITH_ANOTHER = frozenset({"namespace_storage"})
"""With their namespaces."""
BITE = 5000
AT_ONCE_SECONDS = 8.0
"""Then the rest waits for the next turn, so that the lease is never outlived."""


class Deletion:
    """All rows but those that are kept."""

    def __init__(self, pool: Pool, bite: int = BITE, at_once_seconds: float = AT_ONCE_SECONDS) -> None:
        self._pool, self._bite, self._at_once_seconds = pool, bite, at_once_seconds

    async def act(self, call: Call) -> Output:
        """Nothing is left. Outage: more than fits into one turn."""
        loop = asyncio.get_running_loop()
        end, deleted = loop.time() + self._at_once_seconds, 0
        for table in DELETED:
            while True:
                if loop.time() > end:
                    raise Outage("there is more to delete")
                gone = await self._some(call.tenant_id, table)
                deleted += gone
                if gone < self._bite:
                    break
        async with visit(self._pool, call.tenant_id) as connection:
            await connection.execute(SQL["forget_subscriber"])
        return {"deleted": deleted}

    async def _some(self, tenant_id: str, table: str) -> int:
        async with visit(self._pool, tenant_id) as connection:
            tag = await connection.execute(SQL["delete_some"].format(table=f"cell.{table}"), self._bite)
        return int(tag.rpartition(" ")[2])

    async def find(self, call: Call) -> Output | None:
        """It bears being done again."""
        return None

    async def undo(self, call: Call) -> None:
        """What is deleted stays deleted."""
