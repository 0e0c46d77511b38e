"""Giving a namespace what it needs in this cell. The payload: `account_id`, `namespace_id`."""

import json

from cell.database import SQL
from cell.errors import Unavailable, Unfit
from cell.orchestrator.actions import Call
from cell.rules import states
from cell.rules.turns import Output
from directory.rules.plans import plan_of
from runtime.database import Connection

DOMAIN = "namespaces.localhost"


def _place(call: Call) -> tuple[str, str]:
    return call.payload["account_id"], call.payload["namespace_id"]


async def allocate(connection: Connection, call: Call) -> Output:
    """The least occupied shard of this cell."""
    shard_id = await connection.fetchval(SQL["choose_shard"])
    if shard_id is None:
        raise Unavailable("no shard of this cell has room")
    await connection.execute(SQL["insert_allocation"], *_place(call), shard_id)
    return {"shard_id": shard_id}


async def configure(connection: Connection, call: Call) -> Output:
    """What the plan gives."""
    plan = plan_of(await connection.fetchval(SQL["tenant_plan"]) or "")
    settings = {"most_users": plan.most_users, "storage_bytes": plan.storage_bytes}
    await connection.execute(SQL["set_allocation_settings"], *_place(call), json.dumps(settings))
    return settings


async def encryption_key(connection: Connection, call: Call) -> Output:
    """Which key its data is encrypted with."""
    return await _given(connection, call, "encryption_key", call.outputs["take_key"]["resource_id"])


async def search_attributes(connection: Connection, call: Call) -> Output:
    """Where its search attributes lie."""
    return await _given(connection, call, "search_attributes", call.outputs["take_attributes"]["resource_id"])


async def _given(connection: Connection, call: Call, name: str, value: str) -> Output:
    await connection.execute(SQL["merge_allocation_settings"], *_place(call), json.dumps({name: value}))
    return {name: value}


async def publish(connection: Connection, call: Call) -> Output:
    """The name under which it answers; then it is there."""
    account_id, namespace_id = _place(call)
    row = await connection.fetchrow(SQL["lock_namespace"], account_id, namespace_id)
    if row is None:
        raise Unfit("the namespace is gone")
    endpoint = f"{namespace_id}.{account_id}.{call.tenant_id}.{DOMAIN}"
    await connection.execute(SQL["set_allocation_endpoint"], account_id, namespace_id, endpoint)
    state = states.after(states.NAMESPACES, row["state"], "provisioned")
    await connection.execute(SQL["set_namespace_state"], account_id, namespace_id, state)
    return {"endpoint": endpoint}
