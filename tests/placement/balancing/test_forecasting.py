"""When a pool will be full."""

import math
from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from placement.balancing.fleet import limits
from placement.balancing.forecasting import LEAST_DAYS, Forecast, Outlook, Room, Use, forecast, trend
from placement.balancing.resources import RESOURCES, Floats
from placement.balancing.sites import Site, Sites

TODAY = 740_000
NEVER = math.inf
LEAD = 14

days = st.integers(LEAST_DAYS, 120)
slopes = st.floats(-50, 50)
numbers = st.floats(0, 1e15)
seeds = st.integers(0, 2**32)


def use(used: Floats, cells: list[int] | None = None) -> Use:
    """So much on each of the last days up to today."""
    count = len(used)
    return Use(
        np.arange(TODAY - count + 1, TODAY + 1),
        np.asarray(used, dtype=float),
        np.full(count, 3) if cells is None else np.array(cells),
    )


def line(count: int, slope: float, now: float) -> Floats:
    """A straight one that ends at `now`."""
    return now + slope * np.arange(1.0 - count, 1.0)


def room(limit: float) -> Room:
    """Three equal cells, of which one may be lost."""
    return Room(np.full(3, limit / 2), spared=True)


def foretold(used: Floats, limit: float, cells: list[int] | None = None) -> Forecast:
    """As of today."""
    return forecast(use(used, cells), room(limit), TODAY, LEAD)


def soon(day: int | None) -> float:
    """In how many days; for comparing, "not within a year" comes after all of them."""
    return NEVER if day is None else day - TODAY


@given(days, st.floats(0.5, 50), st.floats(1, 5000))
def test_of_a_straight_line_the_day_is_exact(count: int, slope: float, left: float) -> None:
    """And nothing else is thought possible."""
    # What is no whole number of days before the line's end cannot be mistaken for a day more or less.
    due = math.floor(left / slope) + 0.5
    found = foretold(line(count, slope, 10_000), 10_000 + due * slope)
    expected = math.ceil(due) if due <= 365 else NEVER
    assert [soon(day) for day in (found.earliest, found.likely, found.latest)] == [expected] * 3
    assert found.per_week == pytest.approx(7 * slope)
    assert found.outlook == ("filling" if expected < NEVER else "not_within_a_year")


@given(days, slopes, seeds)
def test_days_that_are_off_do_not_move_the_trend(count: int, slope: float, seed: int) -> None:
    """An eighth of the days may be anything."""
    chance = np.random.default_rng(seed)
    used = line(count, slope, 10_000)
    off = chance.choice(count, count // 8, replace=False)
    used[off] *= chance.uniform(0, 10, len(off))
    found = trend(use(used), TODAY)
    assert found is not None
    assert found.slope == pytest.approx(slope, abs=1e-6)


@settings(deadline=None)
@given(days, st.floats(0, 30), seeds, st.floats(0.1, 20), st.booleans())
def test_more_growth_is_never_later(count: int, slope: float, seed: int, more: float, weekly: bool) -> None:
    """Neither the likely day nor the earliest nor the latest, nor the day to open a cell; nor fewer cells."""
    chance = np.random.default_rng(seed)
    noise = chance.normal(0, 20, count) + (50 * np.sin(2 * np.pi * np.arange(count) / 7) if weekly else 0)
    cells = (3 + np.cumsum(chance.random(count) < 0.1)).tolist()
    slower, faster = (foretold(line(count, each, 20_000) + noise, 22_000, cells) for each in (slope, slope + more))
    for name in ("earliest", "likely", "latest", "open_by"):
        # The two are reckoned with other numbers: the last digit of one may cross a midnight.
        assert soon(getattr(faster, name)) <= soon(getattr(slower, name)) + 1
    assert slower.cells_needed is not None
    assert faster.cells_needed is not None
    assert faster.cells_needed >= slower.cells_needed


@settings(deadline=None)
@given(
    st.lists(st.one_of(numbers, st.just(math.nan), st.just(math.inf), st.floats(-1e9, 0)), max_size=80),
    st.lists(st.one_of(st.just(0.0), numbers, st.just(math.inf)), max_size=8),
    st.booleans(),
    seeds,
)
def test_an_answer_has_no_nan_and_its_days_are_in_order(
    used: list[float], sizes: list[float], spared: bool, seed: int
) -> None:
    """Whatever was observed, on whichever days, and whatever is told of cells."""
    chance = np.random.default_rng(seed)
    when = np.sort(chance.choice(np.arange(TODAY - 100, TODAY + 1), len(used), replace=False))
    observed = Use(when, np.array(used, dtype=float), chance.integers(0, 4, len(used)))
    found = forecast(observed, Room(np.array(sizes, dtype=float), spared), TODAY, LEAD)
    assert not any(math.isnan(each) for each in astuple(found) if isinstance(each, float))
    assert soon(found.earliest) <= soon(found.likely) <= soon(found.latest)
    assert found.open_by is None or TODAY <= found.open_by <= TODAY + 365
    assert found.open_by is None or found.likely is not None
    assert found.cells_needed is None or found.cells_needed >= 0


@pytest.mark.parametrize("step", [-4000.0, -100.0, 100.0, 4000.0])
def test_what_comes_with_a_cell_or_leaves_with_one_is_no_growth(step: float) -> None:
    """A cell that is opened with its tenants, or cordoned: the trend goes on from there."""
    used = line(40, 5, 10_000)
    used[-10:] += step
    found = trend(use(used, [3] * 30 + [4] * 10), TODAY)
    assert found is not None
    assert found.slope == pytest.approx(5)
    assert found.fastest == pytest.approx(5)
    assert found.level == pytest.approx(10_000 + step)


def test_growth_is_growth_when_cells_are_opened_all_the_time() -> None:
    """A fleet that opens an empty one each day has not stopped growing for that."""
    found = trend(use(line(40, 5, 10_000), list(range(3, 43))), TODAY)
    assert found is not None
    assert found.slope == pytest.approx(5)


def test_who_comes_for_good_is_there_within_days() -> None:
    """The line begins where use has been lately, although the trend is that of weeks."""
    used = line(50, 5, 10_000)
    used[-5:] += 2000
    found = trend(use(used), TODAY)
    assert found is not None
    assert found.level == pytest.approx(12_000)
    assert found.slope == pytest.approx(5, abs=2)


def test_weekends_are_no_decline() -> None:
    """After four weeks each weekday is expected as it usually is, so the pool is full on a weekday."""
    weekday = np.arange(TODAY - 41, TODAY + 1) % 7
    used = line(42, 2, 10_000) - 300 * np.isin(weekday, (6, 0))
    found = foretold(used, 10_000 + 51)
    due = TODAY + 26
    while due % 7 in (6, 0):
        due += 1
    assert found.likely == due
    assert found.per_week == pytest.approx(14)
    assert (found.earliest, found.latest) == (due, due)


def test_a_band_says_how_sure_it_is() -> None:
    """The more use goes up and down, the earlier and the later it may be."""
    chance = np.random.default_rng(7)
    noise = chance.normal(0, 1, 56)
    calm, wild = (foretold(line(56, 10, 10_000) + many * noise, 11_000) for many in (10, 60))
    assert soon(wild.earliest) < soon(calm.earliest) < 100 < soon(calm.latest) < soon(wild.latest)
    assert soon(calm.likely) == pytest.approx(100, abs=3)


def simulated(kind: str, count: int, chance: np.random.Generator) -> Floats:
    """Use that grows by ten a day: around a line, by chance that adds up, or as tenants come and go."""
    match kind:
        case "noise":
            return 1000 + 10 * np.arange(count) + chance.normal(0, 30, count)
        case "walk":
            return 1000 + np.cumsum(chance.normal(10, 20, count))
        case _:
            return 1000 + np.cumsum(chance.poisson(12, count) - chance.poisson(2, count)).astype(float)


@pytest.mark.parametrize("kind", ["noise", "walk", "tenants"])
@pytest.mark.parametrize(("count", "share"), [(10, 0.65), (28, 0.8), (56, 0.8)])
def test_a_band_mostly_holds_the_day_on_which_it_happens(kind: str, count: int, share: float) -> None:
    """Of a limit that is three months away; the more is known, the more often."""
    chance = np.random.default_rng(1)
    held = 0
    for _ in range(150):
        used = simulated(kind, count + 400, chance)
        limit = used[count - 1] + 900
        due = 1 + int((used[count:] >= limit).argmax()) if (used[count:] >= limit).any() else NEVER
        found = forecast(use(used[:count]), Room(np.array([limit]), spared=False), TODAY, LEAD)
        held += soon(found.earliest) <= due <= soon(found.latest)
    assert held / 150 >= share


@pytest.mark.parametrize(
    ("slope", "now", "limit", "outlook"),
    [
        (10, 900, 1000, "filling"),
        (0.1, 900, 1000, "not_within_a_year"),
        (-1, 900, 1000, "falling"),
        (10, 1000, 1000, "full"),
        (-10, 1200, 1000, "full"),
        (10, 900, math.inf, "no_limit"),
    ],
)
def test_each_outlook(slope: float, now: float, limit: float, outlook: Outlook) -> None:
    """In one word."""
    found = foretold(line(20, slope, now), limit)
    assert found.outlook == outlook
    assert (found.open_by is not None) == (outlook in ("filling", "full"))


def test_a_few_days_say_too_little() -> None:
    """But how much is used, and of how many days is known."""
    found = foretold(line(LEAST_DAYS - 1, 10, 900), 1000)
    assert (found.outlook, found.used, found.days_known) == ("too_little_known", 900, LEAST_DAYS - 1)
    assert (found.likely, found.per_week, found.cells_needed) == (None, None, None)
    nothing = forecast(use(np.zeros(0)), room(1000), TODAY, LEAD)
    assert (nothing.outlook, nothing.used, nothing.days_known) == ("too_little_known", 0, 0)


def test_a_cell_is_opened_before_its_pool_is_full() -> None:
    """By as many days as opening one takes; when it is too late for that, today."""
    used = line(30, 10, 900)
    far, near = foretold(used, 900 + 305), foretold(used, 900 + 55)
    assert (soon(far.likely), soon(far.open_by)) == (31, 31 - LEAD)
    assert (soon(near.likely), soon(near.open_by)) == (6, 0)


@given(st.lists(st.floats(1, 1000), min_size=1, max_size=9), st.booleans(), st.floats(0, 100_000))
def test_so_many_cells_as_are_needed_hold_a_quarters_growth(sizes: list[float], spared: bool, now: float) -> None:
    """And one fewer would not; with the largest one lost, if so much is kept free."""
    free = Room(np.array(sizes), spared)
    found = forecast(use(np.full(20, now)), free, TODAY, LEAD)
    assert found.cells_needed is not None
    if found.cells_needed:
        assert free.limit_with(found.cells_needed) >= now * (1 - 1e-9)
        assert free.limit_with(found.cells_needed - 1) <= now * (1 + 1e-9)
    else:
        assert now < free.limit


@given(st.lists(st.floats(1, 1000), min_size=1, max_size=9), st.booleans())
def test_the_limit_of_a_pool_is_that_of_its_cells(sizes: list[float], spared: bool) -> None:
    """As plans are made with."""
    sites = Sites([Site(f"cell-{number}", "eu") for number in range(len(sizes))])
    resource = RESOURCES.index("storage" if spared else "tenants")
    capacity = np.full((len(sizes), len(RESOURCES)), np.inf)
    capacity[:, resource] = sizes
    assert Room(np.array(sizes), spared).limit == pytest.approx(limits(sites, capacity)[:, resource].sum())
