"""The control contract's calls about work: who may make them, whom they are about, and who hears of them."""

import pytest
import redis.asyncio

from cell.work.hints import Hint
from tests.cell.cells import Client, RunningCell, worker_of
from tests.cell.test_operations import ended, provision
from tests.waiting import eventually


async def test_only_the_control_plane_may_ask(cell: RunningCell, client: Client) -> None:
    """Neither a tenant's key nor nothing opens these calls."""
    for method, path in (
        ("GET", f"tenants/{client.tenant_id}/orchestrations"),
        ("POST", f"tenants/{client.tenant_id}/jobs:discard"),
        ("GET", "dead-jobs"),
    ):
        for token in (client.api_key, ""):
            assert (await cell.control(method, path, token=token)).status == 401


@pytest.mark.parametrize("tenant", ["nobody", "%00", "A"])
async def test_who_does_not_live_here_has_no_work_here(cell: RunningCell, tenant: str) -> None:
    """404, whatever is asked."""
    for method, path, body in (
        ("GET", "orchestrations", None),
        ("POST", "orchestrations/op-1:retry", {}),
        ("GET", "jobs", None),
        ("POST", "jobs:retry", {"all": True}),
    ):
        assert (await cell.control(method, f"tenants/{tenant}/{path}", body)).status == 404


async def test_one_tenants_work_is_not_found_under_another(cell: RunningCell, client: Client) -> None:
    """The name alone opens nothing."""
    name = (await provision(client)).json["name"].removeprefix("operations/")
    other = await cell.tenant()
    for path in (name, f"{name}:cancel", f"{name}:skip"):
        method, body = ("POST", {}) if ":" in path else ("GET", None)
        answer = await cell.control(method, f"tenants/{other.tenant_id}/orchestrations/{path}", body)
        assert answer.status == 404
    listed = await cell.control("GET", f"tenants/{other.tenant_id}/orchestrations")
    assert listed.json == {"orchestrations": []}


async def test_the_workers_hear_of_an_operators_word_at_once(cell: RunningCell, client: Client) -> None:
    """By a hint after the commit; and the tenant sees what comes of it."""
    operation = await provision(client)
    mark = Hint(client.tenant_id, client.epoch, "interactive").mark
    broker = redis.asyncio.Redis.from_url(cell.settings.redis_url)

    async def hinted() -> bool:
        return bool(await broker.exists(mark))

    try:
        await eventually(hinted)  # of the request itself
        await broker.delete(mark)
        name = operation.json["name"].removeprefix("operations/")
        path = f"tenants/{client.tenant_id}/orchestrations/{name}:cancel"
        cancelled = await cell.control("POST", path)
        assert (cancelled.status, cancelled.json["cancel_requested"]) == (200, True)
        await eventually(hinted)
    finally:
        await broker.aclose()
    async with worker_of(cell.settings):
        assert (await ended(client, operation)).json["state"] == "CANCELLED"


async def test_bad_queries_and_orders_are_refused(cell: RunningCell, client: Client) -> None:
    """400 with the field, never 500."""
    of_tenant = f"tenants/{client.tenant_id}"
    for query in ("limit=0", "limit=1001", "state=LOST", "before_name=x", "workflow=%00", "before_time=now"):
        assert (await cell.control("GET", f"{of_tenant}/orchestrations?{query}")).status == 400
    for query in ("lane=fast", "actor=%00", "state=LOST", "before_time=2026-01-01T00:00:00", "other=1"):
        assert (await cell.control("GET", f"{of_tenant}/jobs?{query}")).status == 400
    for body in ({}, {"jobs": ["\x00"]}, {"all": True, "state": "done"}, {"jobs": [], "all": False}):
        assert (await cell.control("POST", f"{of_tenant}/jobs:retry", body)).status == 400
