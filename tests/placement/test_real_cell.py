"""Placement and the cell itself, which know each other only by the control contract."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from cell.app.api import Api, assemble_api
from directory.control.token import control_token
from runtime.embedded.postgres import PostgresServer
from runtime.embedded.redis import RedisServer
from tests.cell.cells import new_cell_database, settings_for
from tests.placement.conftest import Client
from tests.placement.fake_cell import CONTROL_KEY
from tests.waiting import eventually


@pytest.fixture
async def real_cell(postgres_server: PostgresServer, redis_server: RedisServer) -> AsyncIterator[Api]:
    """A cell's API over a database of its own."""
    database = await new_cell_database(postgres_server)
    settings = settings_for(
        *(database, redis_server.url),
        region="eu",
        control_token=control_token(CONTROL_KEY, "cell-1"),
        cpus=2.5,
        storage_bytes=1_000_000_000_000,
    )
    api = await assemble_api(settings)
    await api.lifecycle.start()
    yield api
    await api.lifecycle.stop()


async def _status(api: Api, tenant: dict[str, Any]) -> int:
    headers = {
        "Cellway-Tenant": tenant["tenant_id"],
        "Cellway-Epoch": str(tenant["epoch"]),
        "Authorization": f"Bearer {tenant['api_key']}",
    }
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{api.site.url}/v1/accounts", headers=headers) as response,
    ):
        return response.status


async def test_a_tenants_whole_life_in_a_real_cell(placement: Client, real_cell: Api) -> None:
    """Created, served with its first key, suspended, resumed, deleted; and every invariant holds throughout."""
    body = {
        "cell_id": "cell-1",
        "region": "eu",
        "address": real_cell.site.url,
        "control_address": real_cell.admin_site.url,
        "capacity_tenants": 10,
    }
    registered = await placement("POST", "/v1/cells", body)
    assert registered.body["state"] == "open", registered
    told = registered.body["capacity"]
    assert (told["cpus"], told["memory_bytes"], told["storage_bytes"]) == (2.5, None, 1_000_000_000_000)
    tenant = (await placement.create("acme", key="intent")).body
    assert (await placement.create("acme", key="intent")).body["api_key"] == tenant["api_key"]
    assert await _status(real_cell, tenant) == 200
    further = (await placement("POST", "/v1/tenants/acme/keys", {"display_name": "robot"})).body
    assert await _status(real_cell, {**tenant, **further}) == 200
    await placement("POST", f"/v1/tenants/acme/keys/{further['key_id']}:revoke")
    assert await _status(real_cell, {**tenant, **further}) == 401
    assert (await placement("POST", "/v1/tenants/acme:suspend")).status == 200
    assert await _status(real_cell, tenant) == 403
    assert (await placement("POST", "/v1/tenants/acme:resume")).status == 200
    assert await _status(real_cell, tenant) == 200
    await _well(placement)
    await placement("POST", "/v1/tenants/acme:suspend")
    assert (await placement("DELETE", "/v1/tenants/acme")).body["cell_id"] is None
    assert await _status(real_cell, tenant) == 421
    await _well(placement)


async def test_what_tenants_of_a_real_cell_take_is_known_soon(placement: Client, real_cell: Api) -> None:
    """Counted in the cell, collected by whoever leads, told beside what the cell can hold."""
    body = {
        "cell_id": "cell-1",
        "region": "eu",
        "address": real_cell.site.url,
        "control_address": real_cell.admin_site.url,
        "capacity_tenants": 10,
        "capacity": {"cpus": 4, "storage_bytes": 2**40},
    }
    await placement("POST", "/v1/cells", body)
    tenant = (await placement.create("acme")).body

    async def measured() -> dict[str, Any]:
        assert await _status(real_cell, tenant) == 200
        await real_cell.loads.hand_over()
        load: dict[str, Any] = (await placement("GET", "/v1/tenants/acme/load")).body
        assert (load["requests"] or 0) > 0, load
        assert load["storage_bytes"], load
        return load

    load = await eventually(measured, seconds=20, every=0.2)
    assert 0 < load["cpus"] < 4
    assert load["network_bits"] > 0
    assert (load["cell_id"], load["measured_in"], load["parts_known"]) == ("cell-1", "cell-1", 0)
    use = (await placement("GET", "/v1/cells/cell-1/load")).body
    assert (use["tenants"], use["measured_tenants"]) == (1, 1)
    cpus, memory, storage, *_ = use["resources"]
    assert cpus["share"] == pytest.approx(cpus["used"] / 4, abs=1e-5)
    assert (memory["known_tenants"], memory["capacity"], memory["share"]) == (0, None, None)
    assert (storage["known_tenants"], storage["capacity"]) == (1, 2**40)


async def _well(placement: Client) -> None:
    async def well() -> bool:
        checks = (await placement("GET", "/v1/checks")).body
        assert checks["ok"], [check for check in checks["checks"] if not check["ok"]]
        return True

    await eventually(well)
