"""From what cells measured to who moves, over everything that is in between; and all of it by itself."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from directory.postgres_loads import PostgresLoads
from directory.rules.periods import beginning, period_of
from runtime import database
from tests.directory.test_loads import reading
from tests.placement.carrying import Carrier
from tests.placement.carrying import carrier as carrier
from tests.placement.conftest import Client, StartCell, StartPlacement
from tests.placement.test_plans import carry_all
from tests.servers import ControlDatabase
from tests.waiting import eventually

HOUR = 3600.0
TAKES = {"acme": 0.8, "bolt": 0.8, "carl": 0.1, "dora": 0.1}
"""CPUs; the first two live in cell-1, the others in cell-2."""
CAPACITY = {"capacity_tenants": 10, "capacity": {"cpus": 4.0}}


@pytest.fixture
async def loads(control_database: ControlDatabase) -> AsyncIterator[PostgresLoads]:
    """Of the test's control database."""
    pool = await database.open_pool(control_database.writer_dsn, name="test")
    yield PostgresLoads(pool)
    await pool.close()


async def settle(placement: Client, start_cell: StartCell) -> None:
    """Two cells with two tenants each."""
    for cell_id, tenants in (("cell-1", ("acme", "bolt")), ("cell-2", ("carl", "dora"))):
        made = await start_cell(cell_id)
        assert (await placement("POST", "/v1/cells", {**made.body(), **CAPACITY})).body["state"] == "open"
        for tenant_id in tenants:
            assert (await placement.create(tenant_id)).body["cell_id"] == cell_id
        await placement("POST", f"/v1/cells/{cell_id}:cordon")
    for cell_id in ("cell-1", "cell-2"):
        await placement("POST", f"/v1/cells/{cell_id}:open")


async def measure(placement: Client, loads: PostgresLoads) -> None:
    """An hour of the part of the week before this one, which whoever leads closes."""
    at = beginning(period_of(datetime.now(UTC))) - timedelta(minutes=10)
    for age_seconds in (0.0, HOUR):
        for tenant_id, cpus in TAKES.items():
            cell_id = "cell-1" if tenant_id in ("acme", "bolt") else "cell-2"
            told = reading(age_seconds, [tenant_id], cpu_seconds=cpus * age_seconds, cell_id=cell_id)
            assert await loads.measure(told, at) == 1

    async def learnt() -> bool:
        known = [(await placement("GET", f"/v1/tenants/{name}/load")).body["parts_known"] for name in TAKES]
        return known == [1] * len(TAKES)

    await eventually(learnt)


async def planned(placement: Client) -> dict[str, Any]:
    """As soon as the plan knows of everybody what was measured: loads are read once a second."""

    async def made() -> dict[str, Any]:
        body = {"kind": "balance", "goals": {"seconds": 5, "reverse_seconds": 0, "exact": False}}
        answer = await placement("POST", "/v1/plans", body)
        assert answer.status == 201, answer
        assert answer.body["summary"]["unmeasured"] == 0
        return answer.body  # type: ignore[no-any-return]

    return await eventually(made)


async def homes(placement: Client) -> dict[str, set[str]]:
    """Who lives in each cell."""
    found: dict[str, set[str]] = {"cell-1": set(), "cell-2": set()}
    for tenant_id in TAKES:
        found[(await placement("GET", f"/v1/tenants/{tenant_id}")).body["cell_id"]].add(tenant_id)
    return found


def is_level(homes: dict[str, set[str]]) -> bool:
    """One of the busy ones, and one of the others, in each."""
    return all(len(tenants) == 2 and len(tenants & {"acme", "bolt"}) == 1 for tenants in homes.values())


async def test_what_was_measured_is_what_is_levelled(
    placement: Client, start_cell: StartCell, loads: PostgresLoads, carrier: Carrier
) -> None:
    """Numbers of tenants are level, and so would all be by their plans: what was measured is not."""
    await settle(placement, start_cell)
    await measure(placement, loads)
    plan = await planned(placement)
    summary, moves = plan["summary"], (await placement("GET", f"/v1/plans/{plan['plan_id']}/moves")).body["moves"]
    assert (summary["unmeasured"], summary["moves"], len(moves)) == (0, 2, 2)
    balances = {each["resource"]: each for each in summary["balances"]}
    for resource in ("cpu on nights", "cpu on days", "cpu on evenings", "cpu on weekends"):
        assert balances[resource]["before"] == pytest.approx(1.6 / 0.9)
        assert balances[resource]["after"] == pytest.approx(1.0)
        assert balances[resource]["use"] == pytest.approx(1.8 / 8)
    assert (balances["tenants"]["before"], balances["tenants"]["after"]) == (1.0, 1.0)
    out = next(move for move in moves if move["source"] == "cell-1")
    assert out["tenant_id"] in ("acme", "bolt")
    assert out["reason"].startswith("cell-1 has 1.78 × the mean of cpu on")
    assert not any("are new" in remark for remark in summary["remarks"])
    await placement("POST", f"/v1/plans/{plan['plan_id']}:approve")

    async def level() -> bool:
        await carry_all(placement, carrier)
        return is_level(await homes(placement))

    await eventually(level, seconds=30)


async def test_a_placement_that_may_levels_by_itself(
    start_placement: StartPlacement, start_cell: StartCell, loads: PostgresLoads, carrier: Carrier
) -> None:
    """From what was measured to the last move, without an operator; then it leaves the fleet alone."""
    first = await start_placement()
    await settle(first, start_cell)
    await measure(first, loads)
    assert (await first("GET", "/v1/plans")).body["plans"] == []
    await first.program.lifecycle.stop()
    placement = await start_placement(AUTOMATIC="true", AUTOMATIC_SECONDS="10", REVERSE_SECONDS="0")

    async def done() -> bool:
        await carry_all(placement, carrier)
        plans = (await placement("GET", "/v1/plans")).body["plans"]
        return [plan["state"] for plan in plans] == ["DONE"]

    await eventually(done, seconds=60)
    plan = (await placement("GET", "/v1/plans")).body["plans"][0]
    assert (plan["automatic"], plan["approved_by"], plan["moved"], plan["failed"]) == (True, "automatic", 2, 0)
    assert plan["goals"]["reverse_seconds"] == 0
    assert is_level(await homes(placement))
