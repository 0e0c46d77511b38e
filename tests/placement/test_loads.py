"""What operators are told about load."""

import pytest

from placement.balancing.demand import prior
from tests.placement.conftest import Client
from tests.placement.fake_cell import FakeCell
from tests.waiting import eventually


async def test_of_a_tenant_that_was_never_measured_its_plan_is_told(placement: Client, cell: FakeCell) -> None:
    """What is not known is null, and named so."""
    await placement.create("acme", plan="premium")
    load = (await placement("GET", "/v1/tenants/acme/load")).body
    unknown = (
        "cpus",
        "memory_bytes",
        "storage_bytes",
        "network_bits",
        "requests",
        "database_bits",
        "move_bytes",
        "measure_time",
    )
    assert [load[name] for name in unknown] == [None] * len(unknown)
    expected = {each["what"]: each["amount"] for each in load["expected"]}
    assert expected["cpu on days"] == pytest.approx(prior("premium")[0])
    assert expected["storage"] == pytest.approx(prior("premium")[2])
    assert set(expected) == {
        *(
            f"{what} on {when}"
            for what in ("cpu", "network")
            for when in ("nights", "days", "evenings", "weekends")
        ),
        *("memory", "storage"),
    }


async def test_a_cells_load_is_told_beside_its_capacity(placement: Client, cell: FakeCell) -> None:
    """And of how many tenants it is known."""
    await placement.create("acme")
    await placement.create("beta")
    cell.takes("acme", 0)

    async def told() -> bool:
        return (await placement("GET", "/v1/cells/cell-1/load")).body["resources"][2]["known_tenants"] == 1  # type: ignore[no-any-return]

    await eventually(told)
    cell.age_seconds += 100
    cell.takes("acme", 50)

    async def measured() -> bool:
        return bool((await placement("GET", "/v1/cells/cell-1/load")).body["measured_tenants"] == 1)

    await eventually(measured)
    use = (await placement("GET", "/v1/cells/cell-1/load")).body
    by_resource = {each["resource"]: each for each in use["resources"]}
    assert by_resource["cpus"]["used"] == pytest.approx(0.5)
    assert by_resource["storage_bytes"]["used"] == 5000
    lately = {name: pytest.approx(use[name], abs=1e-6) for name in ("requests", "database_bits")}
    assert lately == {"requests": 0.01, "database_bits": 800}
    load = (await placement("GET", "/v1/tenants/acme/load")).body
    assert {name: load[name] for name in lately} == {name: use[name] for name in lately}
    assert by_resource["tenants"] == {
        "resource": "tenants",
        "used": 2,
        "capacity": 100,
        "share": 0.02,
        "known_tenants": 2,
    }


async def test_whoever_is_not_there_is_not_found(placement: Client) -> None:
    """Tenants and cells."""
    for path in ("/v1/tenants/nobody/load", "/v1/cells/cell-9/load", "/v1/tenants/No!/load"):
        assert (await placement("GET", path)).status == 404
