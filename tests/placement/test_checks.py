"""`GET /v1/checks` finds what is wrong, and says what to do."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from directory.control.contract import Check, FenceReport
from directory.redis_feed import RedisFeed
from directory.values import CellEntry, Rate, TenantEntry
from tests.placement.conftest import Client
from tests.placement.fake_cell import FakeCell
from tests.waiting import eventually


@pytest.fixture
async def feed(redis_url: str) -> AsyncIterator[RedisFeed]:
    """The cache, for a look behind placement's back."""
    made = RedisFeed(redis_url)
    yield made
    await made.close()


async def _failed(placement: Client) -> dict[str, dict[str, Any]]:
    answer = await placement("GET", "/v1/checks")
    assert answer.status == 200, answer
    failed = {check["name"]: check for check in answer.body["checks"] if not check["ok"]}
    assert answer.body["ok"] is not bool(failed)
    assert all(check["remedy"] and check["detail"] for check in failed.values())
    return failed


async def test_a_system_that_is_well_passes_every_check(placement: Client, cell: FakeCell) -> None:
    """Tenants of every state, moved fences and all."""
    for tenant_id in ("acme", "globex", "initech"):
        await placement.create(tenant_id)
    await placement("POST", "/v1/tenants/globex:suspend")
    await placement("POST", "/v1/tenants/initech:suspend")
    await placement("DELETE", "/v1/tenants/initech")
    assert await _failed(placement) == {}
    names = {check["name"] for check in (await placement("GET", "/v1/checks")).body["checks"]}
    assert {"the cache equals the directory", "cell-1 answers", "cell-1: row security"} <= names


async def test_fences_that_disagree_with_the_directory_are_found(placement: Client, cell: FakeCell) -> None:
    """Closed, outdated, missing, or of a tenant that is not assigned here."""
    for tenant_id in ("acme", "globex", "initech", "umbrella"):
        await placement.create(tenant_id)
    cell.fences["acme"] = cell.fences["acme"].model_copy(update={"state": "fenced"})
    cell.fences["globex"] = cell.fences["globex"].model_copy(update={"epoch": 1})
    del cell.fences["initech"]
    cell.fences["stranger"] = FenceReport(tenant_id="stranger", epoch=99, state="active")
    failed = await _failed(placement)
    detail = failed["cell-1 may write exactly for its tenants"]["detail"]
    assert all(name in detail for name in ("acme", "globex", "initech", "stranger"))
    assert "umbrella" not in detail


async def test_a_cells_own_findings_are_passed_on(placement: Client, cell: FakeCell) -> None:
    """With its own remedy."""
    cell.checks = [Check(name="row security", ok=False, detail="off on accounts", remedy="turn it on")]
    assert (await _failed(placement))["cell-1: row security"]["remedy"] == "turn it on"


async def test_a_cell_that_does_not_answer_is_named(placement: Client, cell: FakeCell) -> None:
    """The others are examined all the same."""
    cell.mode = "failing"
    assert "500" in (await _failed(placement))["cell-1 answers"]["detail"]


async def test_a_fleet_without_room_is_told(placement: Client, cell: FakeCell) -> None:
    """Before a tenant is refused."""
    await placement("POST", "/v1/cells/cell-1:cordon")
    assert "cordoned" in (await _failed(placement))["there is room for tenants"]["detail"]


async def test_a_pool_that_is_full_is_told(placement: Client, cell: FakeCell) -> None:
    """With what to do; `cellway capacity` tells more."""
    await placement.create("acme")
    await placement("PATCH", "/v1/cells/cell-1", {"capacity_tenants": 1})

    async def told() -> bool:
        return "eu is full of tenants" in (await _failed(placement)).get("no pool fills up", {}).get("detail", "")

    await eventually(told, seconds=10)


async def test_a_cache_that_differs_is_found_and_its_remedy_works(
    placement: Client, cell: FakeCell, feed: RedisFeed
) -> None:
    """A router that starts now would believe in a tenant that does not exist."""
    await placement.create("acme")
    assert await _failed(placement) == {}
    snapshot = await feed.snapshot()
    assert snapshot is not None
    wrong = {**snapshot.tenants, "ghost": TenantEntry("ghost", "cell-1", 1)}
    cells = {"cell-1": CellEntry("cell-1", "open", cell.url)}
    await feed.put_snapshot(replace(snapshot, cells=cells, tenants=wrong))
    assert "ghost" in (await _failed(placement))["the cache equals the directory"]["detail"]
    await feed._redis.delete("cellway:seq")

    async def healed() -> bool:
        return await _failed(placement) == {}

    await eventually(healed)


async def test_a_limit_that_routers_would_read_otherwise_is_found(
    placement: Client, cell: FakeCell, feed: RedisFeed
) -> None:
    """The cache is compared in everything that routers know of a tenant."""
    await placement.create("acme", rate={"per_second": 0.1, "burst": 3})
    assert await _failed(placement) == {}
    snapshot = await feed.snapshot()
    assert snapshot is not None
    truth = await placement("GET", "/v1/tenants/acme")
    wrong = TenantEntry("acme", "cell-1", truth.body["epoch"], Rate(0.2, 3))
    cells = {"cell-1": CellEntry("cell-1", "open", cell.url)}
    seq = await feed.published(snapshot.identity)
    await feed.put_snapshot(replace(snapshot, seq=seq, cells=cells, tenants={"acme": wrong}))
    assert "acme" in (await _failed(placement))["the cache equals the directory"]["detail"]


async def test_a_tenant_that_cannot_be_looked_up_is_found(
    placement: Client, cell: FakeCell, feed: RedisFeed
) -> None:
    """Routers that do not have it in their table would say that it does not exist."""
    await placement.create("acme")
    await feed._redis.hdel("cellway:tenants", "acme")
    failed = (await _failed(placement))["every tenant can be looked up"]
    assert "0 tenants" in failed["detail"]
    assert "cellway:seq" in failed["remedy"]


async def test_a_redis_that_evicts_is_told(placement: Client, cell: FakeCell, feed: RedisFeed) -> None:
    """It would forget tenants when it is full."""
    await feed._redis.config_set("maxmemory-policy", "allkeys-lru")
    try:
        failed = await _failed(placement)
        ready = (await placement("GET", f"{placement.admin_url}/health/ready")).body
    finally:
        await feed._redis.config_set("maxmemory-policy", "noeviction")
    assert "noeviction" in failed["directory redis keeps everything"]["remedy"]
    assert ready["ready"] is True
    assert any("noeviction" in (check["detail"] or "") for check in ready["checks"])
