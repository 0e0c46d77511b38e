"""Who charges customers, played by this cell: one subscription a tenant, and its invoices.

What is changed remembers what was before, so that the way back leads there; but only as long as nobody has changed
it again since.
"""

import json
import secrets
from collections.abc import Mapping
from typing import Any

import asyncpg

from cell.database import SQL
from cell.errors import Unfit
from cell.orchestrator.actions import Call, Party
from cell.parties.memory import Remembering
from cell.parties.seams import What
from cell.rules.turns import Output
from runtime.database import Connection, Pool


class LocalBilling:
    """Keeps it in this cell's database."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def subscribe(self, what: What) -> Party:
        return _Subscribe(self._pool, what)

    def change_plan(self, what: What) -> Party:
        return _ChangePlan(self._pool, what)

    def pause(self, what: What) -> Party:
        return _Pause(self._pool, what)

    def resume(self, what: What) -> Party:
        return _Resume(self._pool, what)

    def close(self, what: What) -> Party:
        return _Close(self._pool, what)


async def _locked(connection: Connection) -> asyncpg.Record:
    row = await connection.fetchrow(SQL["lock_billing_subscription"])
    if row is None:
        raise Unfit("this customer has no subscription at billing")
    return row


class _Subscribe(Remembering):
    """A subscription, perhaps with a trial."""

    party = "billing"

    async def do(self, connection: Connection, call: Call, what: Mapping[str, Any]) -> Output:
        if await connection.fetchrow(SQL["lock_billing_subscription"]) is not None:
            raise Unfit("this customer has a subscription at billing already")
        subscription_id = f"sub-{secrets.token_hex(8)}"
        ends_at = await connection.fetchval(
            SQL["insert_billing_subscription"], subscription_id, what["plan"], what["trial_seconds"]
        )
        return {"subscription_id": subscription_id, "trial_ends_at": ends_at and ends_at.isoformat()}

    async def take_back(self, connection: Connection, call: Call, done: Output | None) -> None:
        if done is not None:
            await connection.execute(SQL["delete_billing_subscription"], done["subscription_id"])


class _Change(Remembering):
    """Changes plan or state of the subscription, and remembers what they were."""

    party = "billing"

    def wanted(self, row: asyncpg.Record, what: Mapping[str, Any]) -> Mapping[str, str]:
        """Plan and state that it is to have."""
        raise Unfit(f"{self!r} changes nothing of {row['subscription_id']} for {sorted(what)}")

    async def do(self, connection: Connection, call: Call, what: Mapping[str, Any]) -> Output:
        row = await _locked(connection)
        now = dict(self.wanted(row, what))
        await connection.execute(
            SQL["set_billing_subscription"], row["subscription_id"], now["plan"], now["state"]
        )
        before = {"plan": row["plan"], "state": row["state"]}
        return {"subscription_id": row["subscription_id"], **now, "before": before}

    async def take_back(self, connection: Connection, call: Call, done: Output | None) -> None:
        row = None if done is None else await connection.fetchrow(SQL["lock_billing_subscription"])
        if done is None or row is None:
            return
        if (row["subscription_id"], row["plan"], row["state"]) == (
            *(done["subscription_id"], done["plan"], done["state"]),
        ):
            before = done["before"]
            await connection.execute(
                SQL["set_billing_subscription"], row["subscription_id"], before["plan"], before["state"]
            )


class _ChangePlan(_Change):
    """Another plan, paid for from now on; so a trial ends."""

    def wanted(self, row: asyncpg.Record, what: Mapping[str, Any]) -> Mapping[str, str]:
        return {"plan": str(what["plan"]), "state": "ACTIVE"}


class _Pause(_Change):
    """Nothing is charged."""

    def wanted(self, row: asyncpg.Record, what: Mapping[str, Any]) -> Mapping[str, str]:
        return {"plan": row["plan"], "state": "PAUSED"}


class _Resume(_Change):
    """It goes on; one that is not paused stays as it is."""

    def wanted(self, row: asyncpg.Record, what: Mapping[str, Any]) -> Mapping[str, str]:
        was = row["paused_from"] or "ACTIVE"
        return {"plan": row["plan"], "state": was if row["state"] == "PAUSED" else row["state"]}


class _Close(Remembering):
    """The last invoice."""

    party = "billing"

    async def do(self, connection: Connection, call: Call, what: Mapping[str, Any]) -> Output:
        row = await _locked(connection)
        invoice_id = f"inv-{secrets.token_hex(8)}"
        lines = [{"plan": row["plan"], "since": row["created_at"].isoformat(), "state": row["state"]}]
        await connection.execute(
            SQL["insert_invoice"], invoice_id, row["subscription_id"], "FINAL", json.dumps(lines)
        )
        await connection.execute(SQL["set_billing_subscription"], row["subscription_id"], row["plan"], "CANCELLED")
        before = {"plan": row["plan"], "state": row["state"]}
        return {"invoice_id": invoice_id, "subscription_id": row["subscription_id"], "before": before}

    async def take_back(self, connection: Connection, call: Call, done: Output | None) -> None:
        if done is not None:
            before = done["before"]
            await connection.execute(SQL["void_invoice"], done["invoice_id"])
            await connection.execute(
                SQL["set_billing_subscription"], done["subscription_id"], before["plan"], before["state"]
            )
