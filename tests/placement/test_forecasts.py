"""When the fleet is full: written down by the leader, told to whoever asks."""

import asyncio
import contextlib
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY, generate_latest

from directory.errors import Unavailable
from directory.leading import Candidate
from directory.memory import MemoryDirectory
from directory.memory_leadership import MemoryLeadership, MemoryTerms
from directory.memory_uses import MemoryUses
from directory.values import Capacity, NewCell
from placement.checks.fleet import filling
from placement.forecasts import AGAIN_SECONDS, ROUND_SECONDS, Forecasts, Outlooks, show
from placement.rules.filling import Loads
from placement.settings import PlacementSettings
from runtime import database
from runtime.clock import ManualClock
from runtime.tasks import Tasks
from tests.directory.examples import new_tenant
from tests.placement.conftest import TOKEN, Client
from tests.placement.fake_cell import FakeCell
from tests.servers import ControlDatabase
from tests.waiting import eventually

DAY_SECONDS = 86400.0
KEEP = """
INSERT INTO directory.fleet_use (day, region, resource, used, most, cells)
VALUES ((now() AT TIME ZONE 'UTC')::date - $1::int, $2, $3, $4, $5, 1)
"""


class Measured:
    """What cells' tenants take, as a test says."""

    def __init__(self) -> None:
        self.loads: Loads = {}
        self.asked = 0
        self.away = False

    async def by_cell(self) -> Loads:
        self.asked += 1
        if self.away:
            raise Unavailable("not now")
        return self.loads


class Fleet:
    """A directory in memory, of which days pass."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.directory = MemoryDirectory(self.clock)
        self.uses, self.terms = MemoryUses(self.directory), MemoryTerms(self.directory)
        self.loads = Measured()
        self.forecasts = self.another()
        self._tenants = 0

    def another(self) -> Forecasts:
        """One more placement of the same fleet."""
        candidate = Candidate(MemoryLeadership(10, self.clock), self.terms, "placement", "me", self.clock)
        return Forecasts(self.directory, self.uses, candidate, 14, self.loads, self.clock)

    async def cell(self, name: str, places: int = 100, region: str = "eu", **fields: Any) -> None:
        """One more open cell."""
        at = "http://127.0.0.1:9000"
        await self.directory.register_cell(NewCell(name, region, at, at, places, **fields))
        await self.directory.change_cell(name, "prove")

    async def grow(self, days: int, daily: int = 2, cell: str = "cell-1") -> None:
        """So many new tenants on each day, which is written down at its end."""
        term = await self.terms.begin("placement", "one")
        for day in range(days):
            for _ in range(daily):
                self._tenants += 1
                await self.directory.create_tenant(new_tenant(f"tenant-{self._tenants}"), cell)
            await self.forecasts.record(term)
            if day < days - 1:
                self.clock.advance(DAY_SECONDS)

    async def look(self) -> Outlooks:
        """What is to be expected; by another placement, which has answered nobody lately."""
        return await self.another().look()

    def today(self) -> int:
        return self.clock.now().astimezone(UTC).date().toordinal()


@pytest.fixture
def fleet() -> Fleet:
    """Without cells."""
    return Fleet()


async def test_a_pool_that_fills_up_says_when_and_by_when_a_cell_is_due(fleet: Fleet) -> None:
    """Two of a hundred places a day: after thirty days there are twenty days left."""
    await fleet.cell("cell-1")
    await fleet.grow(30)
    [found] = (await fleet.look()).pools
    told = found.forecast
    assert (found.pool.region, found.pool.resource, told.outlook) == ("eu", "tenants", "filling")
    assert (told.used, told.limit, told.days_known) == (60, 100, 30)
    assert told.likely == fleet.today() + 20
    assert told.open_by == fleet.today() + 6
    assert told.cells_needed == 2
    assert found.why == "60 % of the limit is used, and each week 14.0 % of it more, by the last 30 days"


@pytest.mark.parametrize(
    ("days", "daily", "ok", "words"),
    [
        (30, 2, False, "eu is full of tenants on {20}, open a cell by {6}: 60 % of the limit is used"),
        (20, 2, True, "the first to be full is eu, of tenants on {30}"),
        (10, 10, False, "eu is full of tenants: "),
        (3, 30, False, "eu is full of tenants soon: 90% is used, use is known of 3 days, and 7 are needed"),
        (3, 1, True, "eu, tenants: use is known of 3 days"),
    ],
)
async def test_the_doctor_tells_of_a_pool_before_it_is_full(
    fleet: Fleet, days: int, daily: int, ok: bool, words: str
) -> None:
    """A week before the last day to begin to open a cell; and what to do."""
    await fleet.cell("cell-1")
    await fleet.grow(days, daily)
    [check] = await filling(fleet.another())
    for ahead in re.findall(r"\{(\d+)\}", words):
        words = words.replace(f"{{{ahead}}}", str(date.fromordinal(fleet.today() + int(ahead))))
    assert (check.name, check.ok, words in check.detail) == ("no pool fills up", ok, True), check
    assert ("open a cell in eu" in check.remedy) is not ok


async def test_a_fleet_without_open_cells_has_no_pool_that_fills_up(fleet: Fleet) -> None:
    """That there is no room is another check's to tell."""
    [check] = await filling(fleet.another())
    assert (check.ok, check.detail) == (True, "there is no open cell that could become full")


async def test_a_cell_that_was_just_opened_counts_at_once(fleet: Fleet) -> None:
    """It brings room and no growth; one of which tenants are dedicated, or of another region, does not."""
    await fleet.cell("cell-1")
    await fleet.grow(30)
    await fleet.cell("cell-us", region="us")
    await fleet.cell("cell-own", dedicated_to="bank")
    assert (await fleet.look()).pools[0].forecast.likely == fleet.today() + 20
    await fleet.cell("cell-2")
    found = (await fleet.look()).pools[0]
    assert (found.pool.cells, found.forecast.limit) == (2, 200)
    assert found.forecast.likely == fleet.today() + 70
    assert found.forecast.per_week == pytest.approx(14)


async def test_a_drain_makes_a_pool_smaller_and_no_fuller(fleet: Fleet) -> None:
    """Its tenants are on their way into the others."""
    await fleet.cell("cell-1")
    await fleet.cell("cell-2")
    await fleet.grow(20)
    await fleet.grow(2, cell="cell-2")
    await fleet.directory.change_cell("cell-2", "drain")
    [found] = (await fleet.look()).pools
    assert (found.pool.cells, found.forecast.used, found.forecast.limit) == (1, 44, 100)
    assert found.forecast.per_week == pytest.approx(14)


async def test_a_region_whose_last_cell_drains_is_full(fleet: Fleet) -> None:
    """Its tenants have nowhere to go, however few they are; how large a new cell should be is nobody's guess."""
    await fleet.cell("cell-1")
    await fleet.grow(3)
    await fleet.directory.change_cell("cell-1", "drain")
    [found] = (await fleet.look()).pools
    told = found.forecast
    assert (found.pool.cells, told.outlook, told.used, told.limit) == (0, "full", 6, 0)
    assert (told.open_by, told.cells_needed) == (fleet.today(), None)
    assert found.why == "the pool has no room at all"


async def test_tenants_of_a_cordoned_cell_take_nothing_from_the_pool(fleet: Fleet) -> None:
    """That they left it is no decline, and that they come back no growth."""
    await fleet.cell("cell-1")
    await fleet.cell("cell-2")
    await fleet.grow(1, daily=50, cell="cell-2")
    fleet.clock.advance(DAY_SECONDS)
    await fleet.grow(20)
    fleet.clock.advance(DAY_SECONDS)
    await fleet.directory.change_cell("cell-2", "cordon")
    await fleet.grow(8)
    [found] = (await fleet.look()).pools
    assert (found.forecast.used, found.forecast.limit) == (56, 100)
    assert found.forecast.per_week == pytest.approx(14)
    assert found.forecast.likely == fleet.today() + 22


async def test_what_is_measured_is_told_beside_the_number_of_tenants(fleet: Fleet) -> None:
    """The most urgent first; so much is kept free that the largest cell can be lost. Without a limit: why."""
    for name in ("cell-1", "cell-2", "cell-3"):
        await fleet.cell(name, capacity=Capacity(storage_bytes=1000, memory_bytes=500))
    term = await fleet.terms.begin("placement", "one")
    for day in range(20):
        load = {"storage": 500.0 + 10 * day, "memory": 100.0, "cpu": 1.0}
        fleet.loads.loads = dict.fromkeys(("cell-1", "cell-2", "cell-3", "cell-4"), load)
        await fleet.forecasts.record(term)
        fleet.clock.advance(DAY_SECONDS if day < 19 else 0)
    found = {one.pool.resource: one for one in (await fleet.look()).pools}
    assert list(found) == ["storage", "memory", "tenants", "cpu"]
    storage, cpu = found["storage"].forecast, found["cpu"]
    assert (storage.limit, storage.used, storage.outlook) == (2000, 2070, "full")
    assert found["memory"].forecast.outlook == "not_within_a_year"
    assert (cpu.forecast.outlook, cpu.why) == ("no_limit", "not every cell of the pool says how much it holds")


async def test_the_leader_alone_writes_and_once_an_hour(fleet: Fleet) -> None:
    """In a term of its own at once; a leader that another has followed meanwhile writes nothing."""
    await fleet.cell("cell-1")
    locks = MemoryLeadership(1e9, fleet.clock)
    leader = Candidate(locks, fleet.terms, "placement", "one", fleet.clock)
    forecasts = Forecasts(fleet.directory, fleet.uses, leader, 14, fleet.loads, fleet.clock)
    tasks = Tasks()
    tasks.keep("forecast", forecasts.step)

    async def told(count: int) -> bool:
        return [one.use.used for one in await fleet.uses.latest(1)] == [count]

    async def later(seconds: float, count: int) -> bool:
        fleet.clock.advance(seconds)
        return await told(count)

    for _ in range(3):
        fleet.clock.advance(10)
        await asyncio.sleep(0)
    assert await fleet.uses.latest(1) == []
    await leader.step()
    await eventually(lambda: later(10, 0))
    await fleet.directory.create_tenant(new_tenant("acme"), "cell-1")
    for _ in range(3):
        fleet.clock.advance(10)
        await asyncio.sleep(0)
    assert await told(0)
    await eventually(lambda: later(600, 1))
    await fleet.directory.create_tenant(new_tenant("other"), "cell-1")
    await fleet.terms.begin("placement", "another")
    for _ in range(3):
        fleet.clock.advance(3600)
        await asyncio.sleep(0)
    assert await told(1)
    await tasks.close()


async def test_the_whole_fleet_is_gathered_only_for_pools_and_seldom_in_vain(fleet: Fleet) -> None:
    """Of dedicated cells nobody's load counts; and while it cannot be gathered, others need the machine."""
    await fleet.cell("cell-1", dedicated_to="bank")
    leader = Candidate(MemoryLeadership(1e9, fleet.clock), fleet.terms, "placement", "one", fleet.clock)
    forecasts = Forecasts(fleet.directory, fleet.uses, leader, 14, fleet.loads, fleet.clock)
    await leader.step()

    async def steps(count: int) -> int:
        for _ in range(count):
            stepping = asyncio.ensure_future(forecasts.step())
            while not stepping.done():
                await asyncio.sleep(0.001)
                fleet.clock.advance(ROUND_SECONDS)
            with contextlib.suppress(Unavailable):
                await stepping
        return fleet.loads.asked

    assert await steps(5) == 0
    fleet.loads.away = True
    await fleet.cell("cell-2")
    assert await steps(5) == 1
    fleet.clock.advance(AGAIN_SECONDS)
    assert await steps(5) == 2
    fleet.loads.away = False
    fleet.clock.advance(AGAIN_SECONDS)
    assert await steps(5) == 3
    assert [one.use.used for one in await fleet.uses.latest(1)] == [0]


async def test_the_metrics_page_tells_days_until_full(fleet: Fleet) -> None:
    """By pool and resource, and what may be is told apart from what is likely. What is not known is not there."""
    await fleet.cell("cell-1")
    await fleet.cell("cell-2", region="us")
    await fleet.grow(30)
    show(await fleet.look())
    page = generate_latest().decode()
    for estimate in ("earliest", "likely", "latest"):
        assert f'until_full{{estimate="{estimate}",pool="eu",resource="tenants"}} 20.0' in page
        assert f'until_full{{estimate="{estimate}",pool="us",resource="tenants"}} +Inf' in page
    assert 'cellway_placement_pool_used{pool="eu",resource="tenants"} 0.6' in page
    show(await Fleet().look())
    assert 'pool="eu"' not in generate_latest().decode()


def test_rules_to_alert_by_ask_for_metrics_and_settings_that_are_there(project_root: Path) -> None:
    """Whoever copies them from docs/placement.md is told in time."""
    page = (project_root / "docs" / "placement.md").read_text(encoding="utf-8")
    asked = set(re.findall(r"cellway_placement_\w+", page))
    there = {metric.name for metric in REGISTRY.collect()}
    assert {"cellway_placement_days_until_full", "cellway_placement_pool_used"} <= asked <= there
    assert (
        f"`CELLWAY_PLACEMENT_CELL_LEAD_DAYS` ({PlacementSettings.model_fields['cell_lead_days'].default})" in page
    )


async def _kept(control: ControlDatabase, rows: Sequence[tuple[int, str, str, float, float | None]]) -> None:
    connection = await database.reach(control.admin_dsn)
    await connection.executemany(KEEP, rows)
    await connection.close()


async def test_operators_ask_for_it(placement: Client, cell: FakeCell, control_database: ControlDatabase) -> None:
    """Of a real directory: what was kept, the cells as they are now, and today's use."""
    await _kept(control_database, [(day, "eu", "storage", 1000.0 - 10 * day, None) for day in range(30)])
    await placement("PATCH", "/v1/cells/cell-1", {"capacity_tenants": 10})
    await placement.create("acme")

    async def asked() -> dict[str, Any] | None:
        answer = await placement("GET", "/v1/capacity")
        assert answer.status == 200, answer
        body: dict[str, Any] = answer.body
        return body if [one["used"] for one in body["pools"]] == [1, 1000] else None

    found = await eventually(asked, seconds=15)
    assert found is not None
    tenants, storage = found["pools"]
    assert date.fromisoformat(found["day"]) - datetime.now(UTC).date() <= timedelta(days=1)
    assert found["lead_days"] == 14
    assert (tenants["pool"], tenants["resource"], tenants["limit"], tenants["share"]) == ("eu", "tenants", 10, 0.1)
    assert (tenants["outlook"], tenants["full_on"], tenants["open_by"]) == ("too_little_known", None, None)
    assert tenants["why"] == "use is known of 1 day, and 7 are needed"
    assert (storage["outlook"], storage["limit"], storage["share"]) == ("no_limit", None, None)
    assert storage["per_week"] == pytest.approx(70)
    assert [day["used"] for day in storage["history"][-2:]] == [990, 1000]
    assert (await placement("GET", "/v1/capacity", token=None)).status == 401
    assert (await placement("GET", "/v1/capacity", token=TOKEN)).status == 200


async def test_the_leader_of_a_real_platform_writes_todays_use(
    placement: Client, cell: FakeCell, control_database: ControlDatabase
) -> None:
    """Within seconds of its start, by itself."""
    connection = await database.reach(control_database.admin_dsn)

    async def rows() -> list[Any]:
        return [
            tuple(row) for row in await connection.fetch("SELECT region, resource, cells FROM directory.fleet_use")
        ]

    assert await eventually(rows, seconds=15) == [("eu", "tenants", 1)]
    await connection.close()
