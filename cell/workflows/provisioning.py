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
from cell.orchestrator.actions import Action, Call, Here, There
from cell.orchestrator.registry import Bound
from cell.parties.seams import Resources
from cell.rules import states
from cell.rules.states import NamespaceEvent
from cell.rules.workflows import Step, Workflow
from directory.rules.plans import plan_of
from runtime.database import Connection

Output = Mapping[str, Any]
NOTHING: Output = {}
TAKEN = ("encryption_key", "search_attributes")
"""What is taken from the pool for a namespace, and goes back when it is released."""


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


async def encryption_key(connection: Connection, call: Call) -> Output:
    """The one that was taken for it."""
    return await _give(connection, call, "encryption_key", call.outputs["take_key"]["resource_id"])


async def search_attributes(connection: Connection, call: Call) -> Output:
    """Likewise."""
    return await _give(connection, call, "search_attributes", call.outputs["take_attributes"]["resource_id"])


async def _give(connection: Connection, call: Call, name: str, value: str) -> Output:
    await connection.execute(SQL["merge_allocation_settings"], *_place(call), json.dumps({name: value}))
    return {name: value}


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
    """The row, and with it what it was given here; what was taken for it is told to those who give it back."""
    row = await connection.fetchrow(SQL["get_namespace"], *_place(call))
    given = {} if row is None else json.loads(row["settings"] or "{}")
    await remove(connection, call)
    return {kind: given[kind] for kind in TAKEN if kind in given}


async def _move(connection: Connection, call: Call, event: NamespaceEvent) -> None:
    row = await connection.fetchrow(SQL["lock_namespace"], *_place(call))
    if row is None:
        raise Unfit("the namespace is gone")
    state = states.after(states.NAMESPACES, row["state"], event)
    await connection.execute(SQL["set_namespace_state"], *_place(call), state)


PROVISION = Workflow(
    "provision_namespace",
    1,
    (
        Step("reserve", undoes=True),
        Step("take_key", undoes=True),
        Step("take_attributes", undoes=True),
        # What is given here goes with the row: undoing `reserve` undoes these.
        Step("allocate"),
        Step("configure"),
        Step("encryption_key"),
        Step("search_attributes"),
        Step("publish"),
    ),
)
RELEASE = Workflow(
    "release_namespace",
    1,
    (
        Step("mark", undoes=True),
        Step("remove", commits=True),
        Step("give_back_key"),
        Step("give_back_attributes"),
    ),
    cancellable=False,
)


def provisioning(resources: Resources) -> tuple[Bound, Bound]:
    """Both, with what they do. The payload: `account_id`, `namespace_id`, `domain`."""
    provision: dict[str, Action] = {
        "reserve": Here(reserved, remove),
        "take_key": There(resources.take(lambda _call: {"kind": "encryption_key"})),
        "take_attributes": There(resources.take(lambda _call: {"kind": "search_attributes"})),
        "allocate": Here(allocate),
        "configure": Here(configure),
        "encryption_key": Here(encryption_key),
        "search_attributes": Here(search_attributes),
        "publish": Here(publish),
    }
    release: dict[str, Action] = {
        "mark": Here(released, mark_failed),
        "remove": Here(take_back),
        "give_back_key": There(resources.give_back(lambda call: _given_to(call, "encryption_key"))),
        "give_back_attributes": There(resources.give_back(lambda call: _given_to(call, "search_attributes"))),
    }
    return Bound(PROVISION, provision), Bound(RELEASE, release)


def _given_to(call: Call, kind: str) -> Output:
    return {"resource_id": call.outputs["remove"].get(kind)}
