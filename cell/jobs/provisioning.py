"""Giving a namespace what it needs in this cell, and taking it back."""

import json

from cell import usage
from cell.database import SQL
from cell.errors import Unavailable, Unfit
from cell.jobs.registry import JobType, Registry, Step, Work
from cell.rules import states
from cell.rules.states import NamespaceEvent
from directory.rules.plans import plan_of


def _place(work: Work) -> tuple[str, str]:
    return work.args["account_id"], work.args["namespace_id"]


async def _allocate(work: Work) -> None:
    """The least occupied shard of this cell."""
    shard_id = await work.connection.fetchval(SQL["choose_shard"])
    if shard_id is None:
        # Somebody else's namespaces may go: worth trying again.
        raise Unavailable("no shard of this cell has room")
    await work.connection.execute(SQL["insert_allocation"], *_place(work), shard_id)


async def _configure(work: Work) -> None:
    """What the plan gives."""
    plan = plan_of(await work.connection.fetchval(SQL["tenant_plan"]) or "")
    settings = {"most_users": plan.most_users, "storage_bytes": plan.storage_bytes}
    await work.connection.execute(SQL["set_allocation_settings"], *_place(work), json.dumps(settings))


async def _publish(work: Work) -> None:
    """The name under which it answers; then it is there."""
    account_id, namespace_id = _place(work)
    endpoint = f"{namespace_id}.{account_id}.{work.tenant_id}.{work.namespace_domain}"
    await work.connection.execute(SQL["set_allocation_endpoint"], account_id, namespace_id, endpoint)
    await _move(work, "provisioned")
    await usage.begin_namespace(work.connection, account_id, namespace_id)


async def _remove(work: Work) -> None:
    """The row, and with it what it was given."""
    await usage.count_namespace(work.connection, *_place(work))
    await work.connection.execute(SQL["delete_namespace"], *_place(work))


async def _fail(work: Work) -> None:
    await _move(work, "fail")


async def _move(work: Work, event: NamespaceEvent) -> None:
    row = await work.connection.fetchrow(SQL["lock_namespace"], *_place(work))
    if row is None:
        raise Unfit("the namespace is gone")
    state = states.after(states.NAMESPACES, row["state"], event)
    await work.connection.execute(SQL["set_namespace_state"], *_place(work), state)


PROVISION = JobType(
    name="provision_namespace",
    steps=(Step("allocate", _allocate), Step("configure", _configure), Step("publish", _publish)),
    give_up=_fail,
    undo=_remove,
)
RELEASE = JobType(name="release_namespace", steps=(Step("remove", _remove),), give_up=_fail)

JOBS = Registry((PROVISION, RELEASE))
