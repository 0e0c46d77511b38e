"""Rounds of asking cells what their tenants take: counted once, whoever is away, dies, or asks too."""

import asyncio
import math
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from directory.control.client import CellControl
from directory.control.contract import LoadReport
from directory.loads import Load, Reading
from directory.memory import MemoryDirectory
from directory.memory_loads import MemoryLoads
from directory.rules.periods import part_of_week, period_of
from placement import metrics
from placement.measuring import WRITERS, Measuring
from placement.rules import measuring
from runtime.clock import ManualClock
from tests.directory.examples import new_tenant
from tests.placement.fake_cell import CONTROL_KEY, FakeCell

MONDAY = datetime(2026, 6, 1, 8, tzinfo=UTC)


@dataclass
class Stage:
    """A directory, two cells, and somebody who asks them."""

    directory: MemoryDirectory
    loads: MemoryLoads
    control: CellControl
    clock: ManualClock
    cells: dict[str, FakeCell]

    def measuring(self) -> Measuring:
        """Of a process of its own."""
        return Measuring(self.directory, self.loads, self.control, 60, lambda: True, self.clock)

    async def live(self, *names: str, cell_id: str = "cell-1") -> None:
        for name in names:
            await self.directory.create_tenant(new_tenant(name), cell_id)

    async def pass_minutes(self, minutes: float) -> None:
        """For everybody."""
        self.clock.advance(minutes * 60)
        for cell in self.cells.values():
            cell.age_seconds += minutes * 60

    async def known(self, tenant_id: str) -> Load:
        found = await self.loads.load(tenant_id)
        assert found is not None
        return found


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    """Empty."""
    clock = ManualClock(MONDAY)
    directory = MemoryDirectory(clock)
    cells = {name: await FakeCell(name).start() for name in ("cell-1", "cell-2")}
    for cell in cells.values():
        await directory.register_cell(cell.new())
        await directory.change_cell(cell.cell_id, "prove")
    control = CellControl(CONTROL_KEY)
    yield Stage(directory, MemoryLoads(directory), control, clock, cells)
    await control.close()
    for cell in cells.values():
        await cell.stop()


async def test_all_cells_are_asked_page_by_page(stage: Stage) -> None:
    """And what their tenants take is known after two rounds."""
    names = [f"tenant-{number}" for number in range(5)]
    await stage.live(*names)
    await stage.live("zeta", cell_id="cell-2")
    rounds, cell = stage.measuring(), stage.cells["cell-1"]
    for name in names:
        cell.takes(name, 0)
    stage.cells["cell-2"].takes("zeta", 100)
    await rounds.round()
    await stage.pass_minutes(1)
    for name in names:
        cell.takes(name, 30, network_bytes=7.5e6)
    await rounds.round()
    for name in names:
        found = await stage.known(name)
        assert (found.cpus, found.network_bits) == pytest.approx((0.5, 1e6))
        assert (found.storage_bytes, found.row_bytes) == (5000, 1000)
    assert (await stage.known("zeta")).cpus == pytest.approx(0, abs=1e-9)


async def test_two_who_ask_at_once_count_once(stage: Stage) -> None:
    """Such as a leader that does not know yet that it is none any more."""
    await stage.live("acme")
    one, other, cell = stage.measuring(), stage.measuring(), stage.cells["cell-1"]
    cell.takes("acme", 0)
    await asyncio.gather(one.round(), other.round())
    for _ in range(3):
        await stage.pass_minutes(1)
        cell.takes("acme", 60)
        await asyncio.gather(one.round(), other.round(), one.round())
    assert (await stage.known("acme")).cpus == pytest.approx(1.0)
    assert (await stage.loads.ended(period_of(MONDAY) + 1)).seconds == [180.0]


async def test_who_is_away_or_does_not_measure_is_left_out(stage: Stage) -> None:
    """And told by a metric; the others are measured all the same."""
    await stage.live("acme", "beta")
    await stage.live("zeta", cell_id="cell-2")
    stage.cells["cell-1"].takes("acme", 1)
    await stage.measuring().round()
    assert metrics.LOAD_UNMEASURED._value.get() == 2  # beta, and zeta in a cell that does not measure
    stage.cells["cell-2"].takes("zeta", 1)
    stage.cells["cell-1"].mode = "failing"
    await stage.measuring().round()
    assert metrics.LOAD_UNMEASURED._value.get() == 2
    assert (await stage.known("zeta")).cell_id == "cell-2"


ODD = {"cpu_seconds": 0, "network_bytes": 0, "requests": 0, "database_seconds": 0, "job_seconds": 0}
BEGUN: dict[str, Any] = {"start": "a", "age_seconds": 1, "cpu_seconds": 0, "tenants": []}


@pytest.mark.parametrize(
    "odd",
    [
        BEGUN | {"tenants": [ODD | {"tenant_id": "acme"}, ODD | {"tenant_id": "acme"}]},
        BEGUN | {"start": "a\0b"},
        BEGUN | {"tenants": [ODD | {"tenant_id": "ac\0me"}]},
        BEGUN | {"tenants": [ODD | {"tenant_id": "Acme"}]},
    ],
)
async def test_a_cell_that_tells_what_cannot_be_keeps_nobody_from_being_measured(
    stage: Stage, odd: dict[str, Any]
) -> None:
    """It is left out as one that does not answer."""
    await stage.live("acme")
    await stage.live("zeta", cell_id="cell-2")
    stage.cells["cell-1"].odd_load = odd
    stage.cells["cell-2"].takes("zeta", 1)
    await stage.measuring().round()
    assert await stage.loads.load("acme") is None
    assert (await stage.known("zeta")).cell_id == "cell-2"
    assert metrics.LOAD_UNMEASURED._value.get() == 1


class Choosy(MemoryLoads):
    """One that breaks about a cell, and counts who writes at once."""

    at_once = most_at_once = 0

    async def measure(self, reading: Reading, at: datetime) -> int:
        if reading.cell_id == "cell-1":
            raise asyncpg.CardinalityViolationError("twice the same")
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0.001)
        self.at_once -= 1
        return await super().measure(reading, at)


async def test_whatever_goes_wrong_about_one_cell_the_round_ends_with_all_others(stage: Stage) -> None:
    """And few write at once, for requests need connections, too."""
    stage.loads = Choosy(stage.directory)
    names = [f"cell-{number}" for number in range(3, 11)]
    for name in names:
        stage.cells[name] = await FakeCell(name).start()
        await stage.directory.register_cell(stage.cells[name].new())
        await stage.directory.change_cell(name, "prove")
    for name in ("cell-1", *names):
        await stage.live(f"tenant-{name}", cell_id=name)
        stage.cells[name].takes(f"tenant-{name}", 1)
    await stage.measuring().round()
    for name in names:
        assert (await stage.known(f"tenant-{name}")).cell_id == name
    assert await stage.loads.load("tenant-cell-1") is None
    assert 1 < stage.loads.most_at_once <= WRITERS


async def test_a_part_of_the_week_is_learnt_when_it_has_ended(stage: Stage) -> None:
    """By whoever is there: the one who measured may be dead."""
    await stage.live("acme")
    cell = stage.cells["cell-1"]
    cell.takes("acme", 0)
    await stage.measuring().round()
    for _ in range(8):
        await stage.pass_minutes(20)
        cell.takes("acme", 600)
        await stage.measuring().round()
    await stage.pass_minutes(90)
    cell.takes("acme", 0)
    await stage.measuring().round()
    usual = (await stage.known("acme")).usual
    assert usual is not None
    assert usual[part_of_week(period_of(MONDAY))][0] == pytest.approx(0.5)


async def test_memory_is_shared_out_by_who_keeps_the_cell_busy(stage: Stage) -> None:
    """Once it is known who does."""
    await stage.live("acme", "beta")
    cell = stage.cells["cell-1"]
    cell.memory_bytes = 800.0
    cell.takes("acme", 30)
    cell.takes("beta", 10)
    await stage.measuring().round()
    assert (await stage.known("acme")).memory_bytes is None
    await stage.pass_minutes(measuring.SETTLED_SECONDS / 60)
    await stage.measuring().round()
    held = [(await stage.known(name)).memory_bytes for name in ("acme", "beta")]
    assert held == pytest.approx([600.0, 200.0])


async def test_only_who_leads_asks(stage: Stage) -> None:
    """The others rest, and say that it is not their business."""
    await stage.live("acme")
    stage.cells["cell-1"].takes("acme", 1)
    leads = False
    rounds = Measuring(stage.directory, stage.loads, stage.control, 60, lambda: leads, stage.clock)
    resting = asyncio.ensure_future(rounds.step())
    await asyncio.sleep(0)
    stage.clock.advance(60)
    await resting
    assert await stage.loads.load("acme") is None
    leads = True
    await rounds.round()
    assert (await stage.known("acme")).cell_id == "cell-1"


def test_cells_of_other_versions_are_understood() -> None:
    """An older one does not tell of its database's bytes; what only a newer one tells is passed over."""
    older = {"tenant_id": "acme", "cpu_seconds": 1, "network_bytes": 2, "requests": 3, "database_seconds": 4}
    older["job_seconds"] = 5
    newer = {**older, "tenant_id": "beta", "database_bytes": 6, "moods": 7}
    told = {"start": "a", "age_seconds": 60, "cpu_seconds": 2, "tenants": [older, newer], "moods": 8}
    kept = measuring.reading("cell-1", LoadReport.model_validate(told))
    assert math.isnan(kept.database_bytes[0])
    assert (kept.tenants, kept.database_bytes[1], kept.job_seconds) == (["acme", "beta"], 6, [5, 5])
