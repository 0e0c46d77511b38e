"""Giving a namespace what it needs in this cell, and taking it back.

The row of a namespace is written by whoever asks for it, so that its name is taken at once; it is the first step,
and goes again when a later one fails.
"""

import json
from collections.abc import Mapping
from typing import Any

from cell import usage
from cell.database import SQL
from cell.errors import Unavailable, Unfit
from cell.orchestrator.actions import Call, Here
from cell.orchestrator.registry import Bound
from cell.rules import states
from cell.rules.states import NamespaceEvent
from cell.rules.workflows import Step, Workflow
from directory.rules.plans import plan_of
from runtime.database import Connection

Output = Mapping[str, Any]
NOTHING: Output = {}


def _place(call: Call) -> tuple[str, str]:
    return call.payload["account_id"], call.payload["namespace_id"]


async def reserved(_connection: Connection, _call: Call) -> Output:
    """The row is there already."""
    return NOTHING


async def remove(connection: Connection, call: Call) -> None:
    """The row, and with it what it was given; what it used counts."""
    await usage.count_namespace(connection, *_place(call))
    await connection.execute(SQL["delete_namespace"], *_place(call))


async def allocate(connection: Connection, call: Call) -> Output:
    """The least occupied shard of this cell."""
    shard_id = await connection.fetchval(SQL["choose_shard"])
    if shard_id is None:
        # Somebody else's namespaces may go: worth trying again.
        raise Unavailable("no shard of this cell has room")
    await connection.execute(SQL["insert_allocation"], *_place(call), shard_id)
    return {"shard": shard_id}


async def configure(connection: Connection, call: Call) -> Output:
    """What the plan gives."""
    plan = plan_of(await connection.fetchval(SQL["tenant_plan"]))
    settings = {"most_users": plan.most_users, "storage_bytes": plan.storage_bytes}
    await connection.execute(SQL["set_allocation_settings"], *_place(call), json.dumps(settings))
    return settings


async def publish(connection: Connection, call: Call) -> Output:
    """The name under which it answers; then it is there."""
    account_id, namespace_id = _place(call)
    endpoint = f"{namespace_id}.{account_id}.{call.tenant_id}.{call.payload['domain']}"
    await connection.execute(SQL["set_allocation_endpoint"], account_id, namespace_id, endpoint)
    await _move(connection, call, "provisioned")
    await usage.begin_namespace(connection, account_id, namespace_id)
    return {"endpoint": endpoint}


async def released(_connection: Connection, _call: Call) -> Output:
    """It was marked by whoever asked."""
    return NOTHING


async def mark_failed(connection: Connection, call: Call) -> None:
    """It could not be released: it stays, and can be released again."""
    await _move(connection, call, "fail")


async def take_back(connection: Connection, call: Call) -> Output:
    """The row, and with it what it was given."""
    await remove(connection, call)
    return NOTHING


async def _move(connection: Connection, call: Call, event: NamespaceEvent) -> None:
    row = await connection.fetchrow(SQL["lock_namespace"], *_place(call))
    if row is None:
        raise Unfit("the namespace is gone")
    state = states.after(states.NAMESPACES, row["state"], event)
    await connection.execute(SQL["set_namespace_state"], *_place(call), state)


PROVISION = Bound(
    Workflow(
        "provision_namespace",
        1,
        (Step("reserve", undoes=True), Step("allocate"), Step("configure"), Step("publish")),
    ),
    {
        "reserve": Here(reserved, remove),
        "allocate": Here(allocate),
        "configure": Here(configure),
        "publish": Here(publish),
    },
)
RELEASE = Bound(
    Workflow("release_namespace", 1, (Step("mark", undoes=True), Step("remove")), cancellable=False),
    {"mark": Here(released, mark_failed), "remove": Here(take_back)},
)
