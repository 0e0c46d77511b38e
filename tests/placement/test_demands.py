"""What tenants are reckoned with: measured, else by their plan."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from directory.errors import Unavailable
from directory.loads import MOST_AT_ONCE, Ended, Page, nothing_usual
from directory.memory import MemoryDirectory
from directory.memory_loads import MemoryLoads
from directory.rules.periods import part_of_week, period_of
from placement.balancing.demand import TIMES, Measured, prior
from placement.balancing.resources import RESOURCES, columns
from placement.demands import LEAST_SHARE, REVENUE, TOP_TIER, Demands, Loads, expected
from placement.rules import measuring
from runtime.clock import ManualClock
from tests.directory.examples import new_tenant, open_cell
from tests.directory.test_loads import reading

MONDAY = datetime(2026, 6, 1, 9, tzinfo=UTC)
WIDE = columns(TIMES)


def loads_of(
    tenants: Sequence[str], mean: Sequence[float], recent: Sequence[float] | None = None, seconds: float = 0.0
) -> Loads:
    """All of them take the same in all parts of the week."""
    weeks = nothing_usual(len(tenants))
    weeks[:] = mean
    lately = np.full((len(tenants), len(RESOURCES)), np.nan)
    lately[:, :4] = mean if recent is None else recent
    carried, known = np.full(len(tenants), 7.0), np.full(len(tenants), float(seconds))
    return Loads(tenants, Measured(weeks, np.zeros_like(weeks)), lately, carried, MONDAY, known)


def new(cpus: float, seconds: float, plan: str = "standard") -> float:
    """CPUs that a tenant is reckoned with which was measured for so long, and of which nothing is usual yet."""
    loads = loads_of(["acme"], [math.nan] * 4, [cpus, math.nan, math.nan, math.nan], seconds)
    found = expected(loads, ["acme"], [plan], MONDAY)[0]
    cpu = found[WIDE.resource == RESOURCES.index("cpu")]
    assert cpu == pytest.approx(cpu[0])
    assert of(found, "memory") == pytest.approx(prior(plan)[1])
    return float(cpu[0])


def of(row: np.ndarray[tuple[int], np.dtype[np.float64]], name: str) -> float:
    """The first column of the resource."""
    return float(row[WIDE.resource == RESOURCES.index(name)][0])


def test_who_was_never_measured_is_reckoned_with_by_its_plan() -> None:
    """Each by its own; caps go by revenue, and by the plan of the highest rank."""
    plans = ["standard", "premium", "of-a-later-version"]
    found = expected(Loads.nothing(), ["a", "b", "c"], plans, MONDAY, revenue=[10, 20, 30])
    assert found.shape == (3, len(WIDE))
    for row, plan in zip(found, plans, strict=True):
        assert [of(row, name) for name in RESOURCES[:5]] == pytest.approx(prior(plan)[:5])
    assert found[:, WIDE.resource == REVENUE].ravel() == pytest.approx([10, 20, 30])
    assert found[:, WIDE.resource == TOP_TIER].ravel() == pytest.approx([0, 1, 0])
    assert not Loads.nothing().known(["a"]).any()


def test_who_was_measured_is_reckoned_with_what_it_took() -> None:
    """In whatever order they are asked for; each tenant is 1."""
    loads = loads_of(["acme", "beta"], [0.5, 2e8, 3e9, 4e6])
    found = expected(loads, ["zeta", "beta"], ["standard", "standard"], MONDAY)
    assert [of(found[1], name) for name in RESOURCES] == pytest.approx([0.5, 2e8, 3e9, 4e6, 1, 0, 0])
    assert of(found[0], "cpu") == pytest.approx(prior("standard")[0])
    assert loads.known(["zeta", "beta"]).tolist() == [False, True]
    assert loads.carried(["zeta", "beta"]) == pytest.approx([math.nan, 7], nan_ok=True)
    assert loads.measured.mean.shape == (2, 42, 7)
    assert np.allclose(expected(loads, loads.tenants, ["standard"] * 2, MONDAY)[0], found[1])


def test_a_resource_that_is_not_measured_is_as_the_plan_lets_expect() -> None:
    """Such as memory in a cell that does not tell."""
    loads = loads_of(["acme"], [0.5, math.nan, math.nan, 4e6])
    found = expected(loads, ["acme"], ["premium"], MONDAY)[0]
    assert [of(found, name) for name in RESOURCES[:4]] == pytest.approx([0.5, *prior("premium")[1:3], 4e6])


def test_who_does_nothing_is_reckoned_with_a_little() -> None:
    """A hundredth of what its plan lets expect, and never with something that is no number."""
    loads = loads_of(["acme"], [0.0, 0.0, 0.0, 0.0], [0.001, 0, 0, 10])
    found = expected(loads, ["acme"], ["standard"], MONDAY)[0]
    assert np.isfinite(found).all()
    assert of(found, "cpu") == pytest.approx(LEAST_SHARE * prior("standard")[0])


def test_who_surges_is_reckoned_with_at_once() -> None:
    """Also whoever did nothing at all before, and who was never measured for a whole part of the week."""
    loads = loads_of(["acme"], [0.1, 1e8, 1e9, 1e6], [2.0, 1e8, 1e9, 1e6])
    assert of(expected(loads, ["acme"], ["standard"], MONDAY)[0], "cpu") == pytest.approx(2.0)
    asleep = loads_of(["acme"], [0.0, 1e8, 1e9, 1e6], [2.0, 1e8, 1e9, 1e6])
    assert of(expected(asleep, ["acme"], ["standard"], MONDAY)[0], "cpu") == pytest.approx(2.0)
    fresh = loads_of(["acme"], [math.nan] * 4, [2.0, math.nan, 1e8, 1e9])
    assert of(expected(fresh, ["acme"], ["standard"], MONDAY)[0], "cpu") == pytest.approx(2.0)


def test_the_longer_somebody_new_was_measured_the_less_counts_its_plan() -> None:
    """Half after ten minutes, next to nothing after two hours; who sleeps is still reckoned with a little."""
    plan = float(prior("standard")[0])
    assert new(0.01, 0) == pytest.approx(plan)
    assert new(0.01, 600) == pytest.approx((plan + 0.01) / 2)
    assert new(0.01, 7200) == pytest.approx(0.01, rel=0.01)
    assert new(0.0, 86_400) == pytest.approx(LEAST_SHARE * plan)


def test_whoever_new_takes_more_than_its_plan_lets_expect_is_reckoned_with_that_at_once() -> None:
    """However little more: that a surge is so many times the usual is for those of whom something is usual."""
    plan = float(prior("standard")[0])
    assert new(1.1 * plan, 5) == pytest.approx(1.1 * plan)
    assert new(40 * plan, 5) == pytest.approx(40 * plan)
    usual = loads_of(["acme"], [plan, 1e8, 1e9, 1e6], [1.1 * plan, 1e8, 1e9, 1e6], 600)
    assert of(expected(usual, ["acme"], ["standard"], MONDAY)[0], "cpu") == pytest.approx(plan)


@given(
    st.sampled_from(["standard", "premium"]),
    st.floats(0, 64),
    st.floats(0, 64),
    st.floats(0, 20_000),
    st.floats(0, 20_000),
)
def test_of_who_is_new_what_was_measured_counts_the_more_the_longer(
    plan: str, cpus: float, more: float, seconds: float, longer: float
) -> None:
    """Between what was measured and what the plan lets expect, never below either what was or the least share."""
    usual = float(prior(plan)[0])
    found = new(cpus, seconds, plan)
    assert max(cpus, LEAST_SHARE * usual) <= found * (1 + 1e-9)
    assert found <= max(cpus, usual) * (1 + 1e-9)
    assert new(cpus, seconds + longer, plan) <= found * (1 + 1e-9)
    assert new(cpus + more, seconds, plan) >= found * (1 - 1e-9)


@given(st.floats(0, 64), st.floats(0, 20_000), st.floats(0, 1))
def test_nothing_jumps_from_one_measurement_to_the_next(cpus: float, seconds: float, passed: float) -> None:
    """In a second a tenant's plan loses less than an eight hundredth of its weight."""
    assert abs(new(cpus, seconds + passed) - new(cpus, seconds)) <= passed * prior("standard")[0] / 800 + 1e-12


def test_many_are_reckoned_with_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same as all at once."""
    names = [f"tenant-{number:03}" for number in range(50)]
    loads = loads_of(names[::2], [0.5, 2e8, 3e9, 4e6])
    whole = expected(loads, names, ["standard"] * 50, MONDAY)
    monkeypatch.setattr("placement.demands.AT_ONCE", 7)
    assert np.allclose(expected(loads, names, ["standard"] * 50, MONDAY), whole)


async def test_demands_are_read_whole_and_kept_for_a_while() -> None:
    """Page by page, in the order of names."""
    directory, clock = MemoryDirectory(), ManualClock()
    loads = MemoryLoads(directory)
    demands = Demands(loads, clock)
    assert (await demands.read()).tenants == []
    await open_cell(directory, capacity_tenants=MOST_AT_ONCE + 2)
    names = [f"tenant-{number:05}" for number in range(MOST_AT_ONCE + 1)]
    for name in names:
        await directory.create_tenant(new_tenant(name), "cell-1")
    await loads.measure(reading(0, names, storage_bytes=4), MONDAY)
    assert (await demands.read()).tenants == []
    clock.advance(30)
    found = await demands.read()
    assert found.tenants == names
    assert found.recent.shape == (len(names), len(RESOURCES))
    assert found.seconds is not None
    assert found.seconds.tolist() == [0.0] * len(names)
    assert (found.recent[:, RESOURCES.index("storage")] == 4).all()
    assert found.at == MONDAY


async def test_demands_of_some_tenants_are_told_with_what_a_move_carries() -> None:
    """Of whom it is not known, that is the storage with which it is reckoned."""
    directory = MemoryDirectory()
    loads = MemoryLoads(directory)
    await open_cell(directory)
    await directory.create_tenant(new_tenant("acme"), "cell-1")
    await loads.measure(reading(0, storage_bytes=8e9), MONDAY)
    found = await Demands(loads).demand(["beta", "acme"], ["standard", "standard"], MONDAY)
    assert found.bytes == pytest.approx([prior("standard")[2], 4e9])
    assert [of(row, "storage") for row in found.expected] == pytest.approx([prior("standard")[2], 8e9])
    assert found.measured.tolist() == [False, False]


class Away(MemoryLoads):
    """The directory is away."""

    is_away = False

    async def page(self, after: str = "", limit: int = MOST_AT_ONCE) -> Page:
        if self.is_away:
            raise Unavailable("it is away")
        return await super().page(after, limit)


async def test_while_the_directory_is_away_what_was_known_counts() -> None:
    """Nobody fails for want of measurements."""
    directory, clock = MemoryDirectory(), ManualClock()
    loads = Away(directory)
    await open_cell(directory)
    await directory.create_tenant(new_tenant("acme"), "cell-1")
    await loads.measure(reading(0), MONDAY)
    demands = Demands(loads, clock)
    assert (await demands.read()).tenants == ["acme"]
    loads.is_away = True
    clock.advance(60)
    assert (await demands.read()).tenants == ["acme"]


# --- what is learnt when a part of the week has ended ---


def ended(value: Sequence[float], seconds: float = 14_400, within: float = 0.0) -> Ended:
    """Of one tenant, on Monday at eight, which was never measured before."""
    weeks = nothing_usual(1)
    return Ended(
        *(["acme"], [period_of(MONDAY)], [seconds], np.array([value], dtype=float), np.full((1, 4), within)),
        *(weeks, np.zeros_like(weeks)),
    )


def test_a_part_of_the_week_is_learnt_by_itself() -> None:
    """The others stay as they were."""
    mean, variance = measuring.usual(ended([1, 2, 3, 4], within=0.25))
    part = part_of_week(period_of(MONDAY))
    assert mean[0, part].tolist() == [1, 2, 3, 4]
    assert variance[0, part].tolist() == [0.25] * 4
    assert np.isnan(np.delete(mean[0], part, axis=0)).all()


def test_too_short_a_time_says_nothing() -> None:
    """A few minutes are no four hours."""
    mean, _ = measuring.usual(ended([1, 2, 3, 4], seconds=measuring.LEAST_SECONDS - 1))
    assert np.isnan(mean).all()


def test_what_is_not_known_this_time_stays_as_it_was() -> None:
    """Of that resource; the others are learnt."""
    part = part_of_week(period_of(MONDAY))
    first = ended([1, 2, 3, 4])
    mean, variance = measuring.usual(first)
    again = Ended(
        *(first.tenants, first.periods, first.seconds, np.array([[1.1, math.nan, 3, 4]]), first.within),
        *(mean, variance),
    )
    later, wavered = measuring.usual(again)
    assert later[0, part] == pytest.approx([1.03, 2, 3, 4])
    assert wavered[0, part, 1] == 0
    assert mean[0, part, 0] == 1


def test_many_weeks_are_learnt_from_what_cells_tell() -> None:
    """Tenants of different parts of the week at once, each in its own."""
    weeks = nothing_usual(2)
    periods = [period_of(MONDAY), period_of(MONDAY + timedelta(hours=4))]
    both = Ended(
        *(["acme", "beta"], periods, [14_400.0] * 2, np.ones((2, 4)), np.zeros((2, 4))),
        *(weeks, np.zeros_like(weeks)),
    )
    mean, _ = measuring.usual(both)
    known = ~np.isnan(mean[:, :, 0])
    assert np.argwhere(known).tolist() == [[0, part_of_week(periods[0])], [1, part_of_week(periods[1])]]
