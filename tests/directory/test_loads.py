"""The contract of loads, asked of memory and of the control database."""

import asyncio
import math
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from directory.loads import LONGEST_SECONDS, SMOOTHED_SECONDS, Load, Loads, Reading, nothing_usual
from directory.memory import MemoryDirectory
from directory.memory_loads import MemoryLoads
from directory.postgres import PostgresDirectory
from directory.postgres_loads import PostgresLoads
from directory.rules.periods import PERIOD_SECONDS, beginning, part_of_week, period_of
from directory.truth import Directory
from runtime import database
from tests.directory.examples import new_tenant, open_cell
from tests.servers import new_control_database

MONDAY = datetime(2026, 6, 1, tzinfo=UTC)
NAN = math.nan


@dataclass
class Stage:
    """An empty directory with two open cells, and its loads."""

    directory: Directory
    loads: Loads

    async def live(self, *names: str, cell_id: str = "cell-1") -> None:
        """Tenants come to live there."""
        for name in names:
            await self.directory.create_tenant(new_tenant(name), cell_id)

    async def delete(self, tenant_id: str) -> None:
        """It lives nowhere any more."""
        await self.directory.change_tenant(tenant_id, "suspend")
        deleted = await self.directory.change_tenant(tenant_id, "delete")
        await self.directory.applied(tenant_id, deleted.revision)

    async def known(self, tenant_id: str = "acme") -> Load:
        """What is known of it."""
        found = await self.loads.load(tenant_id)
        assert found is not None
        return found


@pytest.fixture(params=["memory", "postgres"])
async def stage(request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    """Of each kind."""
    if request.param == "memory":
        directory = MemoryDirectory()
        made = Stage(directory, MemoryLoads(directory))
        await open_cell(directory, "cell-1")
        await open_cell(directory, "cell-2")
        yield made
        return
    control = await new_control_database(request.getfixturevalue("postgres_server"))
    pool = await database.open_pool(control.writer_dsn, name="test", size=10)
    truth = PostgresDirectory(pool)
    await open_cell(truth, "cell-1")
    await open_cell(truth, "cell-2")
    yield Stage(truth, PostgresLoads(pool))
    await truth.close()
    await pool.close()


def reading(
    age_seconds: float,
    tenants: Sequence[str] = ("acme",),
    *,
    cpu_seconds: float = 0.0,
    network_bytes: float = 0.0,
    memory_bytes: float = NAN,
    storage_bytes: float = NAN,
    database_bytes: float = NAN,
    cell_id: str = "cell-1",
    start: str = "a",
) -> Reading:
    """The same counters for all of them."""
    many = len(tenants)
    return Reading(
        *(cell_id, start, age_seconds, tenants, [cpu_seconds] * many, [network_bytes] * many),
        *([cpu_seconds * 10] * many, [cpu_seconds * 2] * many, [cpu_seconds * 3] * many),
        *([memory_bytes] * many, [storage_bytes] * many, [storage_bytes / 2] * many),
        [database_bytes] * many,
    )


async def test_rates_come_from_two_measurements(stage: Stage) -> None:
    """The first counters are where counting begins; what they grew by since is the rate."""
    await stage.live("acme")
    assert await stage.loads.measure(reading(1000, cpu_seconds=500), MONDAY) == 1
    first = await stage.known()
    assert (first.cpus, first.memory_bytes, first.cell_id) == (None, None, "cell-1")
    later = reading(1060, cpu_seconds=530, network_bytes=7.5e6, memory_bytes=1e8, storage_bytes=5e9)
    await stage.loads.measure(later, MONDAY + timedelta(minutes=1))
    found = await stage.known()
    assert (found.cpus, found.network_bits) == pytest.approx((0.5, 1e6))
    assert (found.memory_bytes, found.storage_bytes, found.row_bytes) == (1e8, 5e9, 2.5e9)
    assert (found.request_rate, found.database_share, found.job_share) == pytest.approx((5.0, 1.0, 1.5))
    assert found.measured_at == MONDAY + timedelta(minutes=1)


async def test_bytes_of_the_database_are_known_from_cells_that_count_them(stage: Stage) -> None:
    """From the second time that they are told; no longer once they are not; and a cell adds up those that are."""
    await stage.live("acme")

    async def after(age_seconds: float, database_bytes: float) -> tuple[float | None, float | None]:
        told = reading(age_seconds, cpu_seconds=age_seconds, database_bytes=database_bytes)
        await stage.loads.measure(told, MONDAY + timedelta(seconds=age_seconds))
        return (await stage.known()).database_bits, (await stage.loads.cell("cell-1")).database_bits

    assert [await after(0, NAN), await after(60, 6e6), await after(120, 6e6 + 7.5e6)] == [
        *((None, None), (None, None)),
        pytest.approx((1e6, 1e6)),
    ]
    assert await after(180, 21e6) == pytest.approx((1e6, 1e6))
    assert [await after(240, NAN), await after(300, 22e6)] == [(None, None)] * 2
    cell = await stage.loads.cell("cell-1")
    assert (cell.database_share, cell.job_share) == pytest.approx((2.0, 3.0))


async def test_rates_are_smoothed(stage: Stage) -> None:
    """A minute says little; what was before it counts as much as the time constant gives it."""
    await stage.live("acme")
    for age, cpu_seconds in ((0, 0.0), (SMOOTHED_SECONDS, 900.0), (SMOOTHED_SECONDS + 60, 900.0)):
        await stage.loads.measure(reading(age, cpu_seconds=cpu_seconds), MONDAY + timedelta(seconds=age))
    assert (await stage.known()).cpus == pytest.approx(math.exp(-60 / SMOOTHED_SECONDS))


async def test_rates_of_who_is_new_are_the_mean_of_all_that_was_measured(stage: Stage) -> None:
    """The first minute counts no more than the others, until a part of the week was closed."""
    await stage.live("acme")
    for age, cpu_seconds in ((0, 0.0), (20, 20.0), (30, 20.0), (120, 60.0)):
        await stage.loads.measure(reading(age, cpu_seconds=cpu_seconds), MONDAY)
    found = await stage.known()
    assert found.cpus == pytest.approx(0.5)
    assert found.measured_seconds == 120
    assert (await stage.loads.page()).seconds == pytest.approx([120])
    now = period_of(MONDAY) + 1
    ended = await stage.loads.ended(now)
    await stage.loads.close(ended, ended.mean, ended.variance, now)
    await stage.loads.measure(reading(180, cpu_seconds=60), beginning(now))
    assert (await stage.known()).cpus == pytest.approx(0.5 * math.exp(-60 / SMOOTHED_SECONDS))
    assert (await stage.known()).measured_seconds == 60


async def test_what_comes_twice_or_late_counts_once(stage: Stage) -> None:
    """Two placements may read the same cell, in any order."""
    await stage.live("acme")
    await stage.loads.measure(reading(0), MONDAY)
    later = reading(60, cpu_seconds=30)
    assert await stage.loads.measure(later, MONDAY) == 1
    assert await stage.loads.measure(later, MONDAY) == 0
    assert await stage.loads.measure(reading(30, cpu_seconds=15), MONDAY) == 0
    next_period = period_of(MONDAY) + 1
    ended = await stage.loads.ended(next_period)
    assert ended.seconds == [60.0]
    assert ended.value[0, 0] == pytest.approx(0.5)


async def test_two_placements_at_once_count_once(stage: Stage) -> None:
    """Whatever their order, what adds up is what the counters grew by."""
    names = [f"tenant-{number}" for number in range(8)]
    await stage.live(*names)
    await stage.loads.measure(reading(0, names), MONDAY)
    readings = [reading(age, names, cpu_seconds=age / 2) for age in range(10, 101, 10)]
    await asyncio.gather(*(stage.loads.measure(each, MONDAY) for each in [*readings, *readings[::-1]]))
    ended = await stage.loads.ended(period_of(MONDAY) + 1)
    assert ended.tenants == names
    assert ended.seconds == [100.0] * 8
    assert np.allclose(ended.value[:, 0] * 100, 50.0)


async def test_another_start_is_where_counting_begins_anew(stage: Stage) -> None:
    """Counters of another start say nothing about what these counted; the rate stays as it was known."""
    await stage.live("acme")
    await stage.loads.measure(reading(0), MONDAY)
    await stage.loads.measure(reading(60, cpu_seconds=60), MONDAY)
    await stage.loads.measure(reading(5, cpu_seconds=100, start="b"), MONDAY)
    assert (await stage.known()).cpus == pytest.approx(1.0)
    await stage.loads.measure(reading(65, cpu_seconds=160, start="b"), MONDAY)
    assert (await stage.known()).cpus == pytest.approx(1.0)
    assert (await stage.loads.ended(period_of(MONDAY) + 1)).seconds == [120.0]


async def test_a_cell_is_not_believed_about_tenants_that_live_elsewhere(stage: Stage) -> None:
    """Nor about those that nobody knows. Once a tenant has moved, its new cell is."""
    await stage.live("acme")
    assert await stage.loads.measure(reading(0, ["acme", "nobody"], cell_id="cell-2"), MONDAY) == 0
    assert await stage.loads.load("acme") is None
    await stage.loads.measure(reading(0), MONDAY)
    await stage.loads.measure(reading(60, cpu_seconds=6), MONDAY)
    tenant = await stage.directory.tenant("acme")
    assert tenant.assignment is not None
    await stage.directory.reassign("acme", tenant.assignment.epoch, "cell-2")
    assert await stage.loads.measure(reading(120, cpu_seconds=600), MONDAY) == 0
    assert await stage.loads.measure(reading(900, cpu_seconds=70, cell_id="cell-2", start="z"), MONDAY) == 1
    found = await stage.known()
    assert found.cell_id == "cell-2"
    assert found.cpus == pytest.approx(0.1)


async def test_a_part_of_the_week_is_closed_once(stage: Stage) -> None:
    """And until then counters wait, so that what follows is not counted in it, nor lost."""
    await stage.live("acme")
    late = beginning(period_of(MONDAY) + 1) - timedelta(minutes=1)
    await stage.loads.measure(reading(0, memory_bytes=100, storage_bytes=1000), late)
    await stage.loads.measure(reading(60, cpu_seconds=30), late)
    await stage.loads.measure(reading(120, cpu_seconds=30), late)
    now = period_of(MONDAY) + 1
    after = beginning(now) + timedelta(minutes=1)
    assert await stage.loads.measure(reading(180, cpu_seconds=90), after) == 0
    assert not (await stage.loads.ended(now - 1)).tenants
    ended = await stage.loads.ended(now)
    assert (ended.tenants, ended.periods, ended.seconds) == (["acme"], [now - 1], [120.0])
    assert ended.value[0] == pytest.approx([0.25, 100, 1000, 0])
    assert ended.within[0] == pytest.approx([0.0625, 0, 0, 0])
    assert np.isnan(ended.mean).all()
    assert (ended.variance == 0).all()
    mean, variance = nothing_usual(1), np.zeros_like(nothing_usual(1))
    part = part_of_week(now - 1)
    mean[0, part] = ended.value[0]
    both = (stage.loads.close(ended, mean, variance, now) for _ in range(2))
    assert sorted(await asyncio.gather(*both)) == [0, 1]
    assert not (await stage.loads.ended(now)).tenants
    known = await stage.known()
    usual = known.usual
    assert usual is not None
    assert known.variance is not None
    assert (known.variance == 0).all()
    assert usual[part] == pytest.approx([0.25, 100, 1000, 0])
    assert np.isnan(np.delete(usual, part, axis=0)).all()
    assert await stage.loads.measure(reading(180, cpu_seconds=90), after) == 1
    following = await stage.loads.ended(now + 1)
    assert following.value[0, 0] == pytest.approx(1.0)
    assert np.array_equal(following.mean, mean, equal_nan=True)


async def test_a_long_time_without_measurements_says_nothing_of_a_part_of_the_week(stage: Stage) -> None:
    """Its mean is what the tenant took lately, and that is all."""
    await stage.live("acme")
    await stage.loads.measure(reading(0), MONDAY)
    await stage.loads.measure(reading(LONGEST_SECONDS + 100, cpu_seconds=LONGEST_SECONDS), MONDAY)
    assert (await stage.known()).cpus == pytest.approx(1.0, rel=0.02)
    assert not (await stage.loads.ended(period_of(MONDAY) + 1)).tenants


async def test_a_clock_that_ran_ahead_does_not_stop_counting(stage: Stage) -> None:
    """What was counted in a far future is dropped; from a clock slightly behind it goes to the later part."""
    await stage.live("acme")
    far, period = MONDAY + timedelta(days=900), period_of(MONDAY)
    await stage.loads.measure(reading(0), far)
    await stage.loads.measure(reading(60, cpu_seconds=60), far)
    await stage.loads.measure(reading(120, cpu_seconds=90), beginning(period + 1))
    await stage.loads.measure(reading(180, cpu_seconds=120), beginning(period + 1) - timedelta(seconds=1))
    ended = await stage.loads.ended(period + 2)
    assert (ended.periods, ended.seconds) == ([period + 1], [120.0])
    assert ended.value[0, 0] == pytest.approx(0.5)


async def test_who_does_nothing_is_written_only_now_and_then(stage: Stage) -> None:
    """Most of a large fleet is idle at any moment; its part of the week is still known to be idle."""
    await stage.live("acme")
    changed = 0
    for minute in range(4 * 60):
        changed += await stage.loads.measure(reading(minute * 60), MONDAY + timedelta(minutes=minute))
    assert changed < 15
    ended = await stage.loads.ended(period_of(MONDAY) + 1)
    assert ended.seconds[0] > 3 * 3600
    assert ended.value[0, 0] == 0.0


async def test_rates_of_an_idle_tenant_fade_without_end(stage: Stage) -> None:
    """Numbers that get too small for the database would stop a whole cell's measurements."""
    await stage.live("acme")
    await stage.loads.measure(reading(0), MONDAY)
    await stage.loads.measure(reading(60, cpu_seconds=60, network_bytes=1e9), MONDAY)
    for hours in range(1, 200):
        at = MONDAY + timedelta(hours=hours)
        ended = await stage.loads.ended(period_of(at))
        await stage.loads.close(ended, ended.mean, ended.variance, period_of(at))
        quiet = reading(60 + hours * 3600, cpu_seconds=60, network_bytes=1e9)
        assert await stage.loads.measure(quiet, at) == 1
    assert (await stage.known()).cpus == pytest.approx(0, abs=1e-9)


async def test_a_deleted_tenant_takes_its_row_along(stage: Stage) -> None:
    """So there are never more rows than tenants that live somewhere."""
    await stage.live("acme", "beta")
    await stage.loads.measure(reading(0, ["acme", "beta"]), MONDAY)
    await stage.loads.measure(reading(60, ["acme", "beta"]), MONDAY)
    now = period_of(MONDAY) + 1
    ended = await stage.loads.ended(now)
    await stage.loads.close(ended, ended.mean, ended.variance, now)
    await stage.delete("acme")
    assert (await stage.loads.page()).tenants == ["beta"]
    assert await stage.loads.load("acme") is None
    assert await stage.loads.measure(reading(120, ["acme", "beta"]), MONDAY + timedelta(hours=4)) == 1
    assert await stage.loads.close(ended, ended.mean, ended.variance, now) == 0


async def test_all_are_read_page_by_page(stage: Stage) -> None:
    """In the order of their names, with NaN where nothing is known."""
    names = ["acme", "beta", "gamma"]
    await stage.live(*names)
    assert (await stage.loads.page()).tenants == []
    await stage.loads.measure(reading(0, ["beta", "gamma"], storage_bytes=7), MONDAY)
    await stage.loads.measure(reading(60, ["gamma"], cpu_seconds=60), MONDAY + timedelta(minutes=1))
    page = await stage.loads.page()
    assert page.tenants == ["beta", "gamma"]
    assert page.recent == pytest.approx(np.array([[NAN, NAN, 7, NAN], [1, NAN, 7, 0]]), nan_ok=True)
    assert page.bytes == pytest.approx([3.5, 3.5])
    assert page.mean.shape == page.variance.shape == (2, 42, 4)
    assert page.at == MONDAY + timedelta(minutes=1)
    assert (await stage.loads.page("beta", 1)).tenants == ["gamma"]
    assert (await stage.loads.page("gamma")).at is None


async def test_a_cells_load_is_that_of_its_tenants(stage: Stage) -> None:
    """Also of those that were measured where they lived before; who was not is counted."""
    await stage.live("acme", "beta", "gamma")
    await stage.loads.measure(reading(0, ["acme", "beta"]), MONDAY)
    await stage.loads.measure(reading(60, ["acme", "beta"], cpu_seconds=30, memory_bytes=10), MONDAY)
    found = await stage.loads.cell("cell-1")
    assert (found.tenants, found.measured, found.memory_known, found.storage_known) == (3, 2, 2, 0)
    assert (found.cpus, found.memory_bytes) == pytest.approx((1.0, 20))
    assert found.measured_at == MONDAY
    tenant = await stage.directory.tenant("acme")
    assert tenant.assignment is not None
    await stage.directory.reassign("acme", tenant.assignment.epoch, "cell-2")
    assert (await stage.loads.cell("cell-2")).cpus == pytest.approx(0.5)
    empty = await stage.loads.cell("cell-9")
    assert (empty.tenants, empty.cpus, empty.measured_at) == (0, 0.0, None)


async def test_deleting_tenants_while_they_are_measured_harms_nobody(stage: Stage) -> None:
    """Whoever is deleted meanwhile is left out, and the others are counted."""
    names = [f"tenant-{number}" for number in range(8)]
    await stage.live(*names)

    measured = (stage.loads.measure(reading(age, names), MONDAY) for age in range(0, 100, 10))
    await asyncio.gather(*measured, *(stage.delete(name) for name in names[::2]))
    assert (await stage.loads.page()).tenants == names[1::2]


def test_parts_of_the_week_begin_on_monday() -> None:
    """In UTC, four hours each."""
    monday = period_of(MONDAY)
    assert [part_of_week(monday + number) for number in (0, 1, 41, 42)] == [0, 1, 41, 0]
    assert beginning(monday) == MONDAY
    assert beginning(monday + 1) - MONDAY == timedelta(seconds=PERIOD_SECONDS)
