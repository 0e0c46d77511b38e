"""Suspension: once it was answered, nothing of the tenant's requests is written any more."""

import asyncio

from cell.database import SQL
from directory.control.contract import TenantOrder
from tests.cell.cells import CellDatabase, Client, RunningCell, next_epoch
from tests.waiting import eventually

WAITING = """
    SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid)
    WHERE NOT l.granted AND l.locktype = 'advisory' AND a.usename = 'cell_control'
      AND a.datname = current_database()
"""


def suspended(client: Client) -> TenantOrder:
    """The decision, newer than that which made the tenant."""
    return TenantOrder(
        epoch=client.epoch, revision=next_epoch(), state="suspended", display_name="x", plan="standard"
    )


async def test_suspending_waits_for_requests_that_are_inside_already(
    cell: RunningCell, cell_database: CellDatabase, client: Client
) -> None:
    """Also for one that has looked at the tenant's state but not written yet: it may; the answer comes after."""
    inside = await cell_database.connect("cell_app")
    watching = await cell_database.connect()
    scope = inside.transaction()
    await scope.start()
    row = await inside.fetchrow(SQL["enter"], client.tenant_id, client.epoch, b"", True)
    assert row is not None
    assert row["tenant_state"] == "active"
    suspending = asyncio.ensure_future(
        cell.control("PUT", f"tenants/{client.tenant_id}", suspended(client).model_dump())
    )
    await eventually(lambda: watching.fetchval(WAITING), every=0.001)
    await inside.execute("INSERT INTO cell.accounts (account_id, display_name) VALUES ('x', 'x')")
    assert not suspending.done()
    await scope.commit()
    assert (await suspending).json["state"] == "suspended"
    assert (await client("POST", "/v1/accounts", {"account_id": "y", "display_name": "y"})).status == 403
    await inside.close()
    await watching.close()


async def test_suspending_waits_for_no_reader(
    cell: RunningCell, cell_database: CellDatabase, client: Client
) -> None:
    """A reader changes nothing, however long it takes."""
    inside = await cell_database.connect("cell_app")
    async with inside.transaction():
        await inside.fetchrow(SQL["enter"], client.tenant_id, client.epoch, b"", False)
        answer = await cell.control("PUT", f"tenants/{client.tenant_id}", suspended(client).model_dump())
        assert answer.json["state"] == "suspended"
    await inside.close()
