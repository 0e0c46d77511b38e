"""A picture of all cells that may be old, and what the directory makes of it; over its twin in memory."""

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from directory.loads import nothing_usual
from directory.memory import MemoryDirectory
from directory.memory_loads import MemoryLoads
from directory.memory_moves import MemoryMoves
from directory.memory_reservations import MemoryReservations
from directory.reservations import Homes, Inhabitants, Passage, Tally
from directory.rules.capacities import misfit
from directory.rules.reservations import TAKEN
from directory.values import Capacity, Caps, MovePhase, NewCell, NewMove, NewTenant
from placement.balancing.choosing import Choice, Nowhere
from placement.balancing.demand import TIME_OF, Measured
from placement.balancing.resources import RESOURCES
from placement.choosing import Chooser
from placement.demands import Demands, Loads
from placement.reach import Reach
from placement.rooms import LOOK_SECONDS, Rooms
from placement.rules.picturing import WIDE, Wanted, count, demand_of, picture
from placement.weighing import Scales
from runtime.api.problem import ApiError
from runtime.clock import ManualClock
from tests.directory.test_loads import reading
from tests.waiting import eventually

GIB = 2**30
MONDAY = datetime(2026, 6, 1, 9, tzinfo=UTC)
ADDRESS = "http://127.0.0.1:9000"


class Fleet:
    """A directory in memory, and placements that choose from it."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.truth = MemoryDirectory(self.clock)
        self.reservations = MemoryReservations(self.truth)
        self.loads = MemoryLoads(self.truth)

    def placement(self) -> tuple[Rooms, Chooser]:
        """One more, with a picture of its own."""
        rooms = Rooms(self.reservations, Demands(self.loads, self.clock), Reach(self.clock), self.clock)
        return rooms, Chooser(self.reservations, rooms)

    async def open(self, new: NewCell) -> None:
        """A cell that takes tenants."""
        await self.truth.register_cell(new)
        await self.truth.change_cell(new.cell_id, "open")

    async def create(self, chooser: Chooser, tenant_id: str, wanted: Wanted) -> str:
        """A tenant, and where it lives now. ApiError."""
        new = NewTenant(
            *(tenant_id, tenant_id, wanted.plan, wanted.region), tags=wanted.tags, revenue=wanted.revenue,
            dedicated_to=wanted.dedicated_to,
        )  # fmt: skip
        _, choice = await chooser.settle(wanted, lambda cell, room: self.truth.create_tenant(new, cell, room))
        return choice.cell_id


def cell(cell_id: str, capacity_tenants: int = 100, region: str = "eu", **more: object) -> NewCell:
    """One that nobody calls."""
    return NewCell(cell_id, region, ADDRESS, ADDRESS, capacity_tenants, **more)  # type: ignore[arg-type]


def test_what_is_taken_has_one_order_everywhere() -> None:
    """The directory's arrays and placement's are the same."""
    assert [name.split("_")[0].rstrip("s") for name in TAKEN] == [
        name.split("_")[0].rstrip("s") for name in RESOURCES
    ]


some_cells = st.lists(
    st.builds(
        lambda capacity, region, tags, owner, cpus, revenue, top: cell(
            "x", capacity, region, tags=tags, dedicated_to=owner,
            capacity=Capacity(cpus=cpus), caps=Caps(revenue=revenue, top_tier=top),
        ),
        st.integers(0, 6), st.sampled_from(["eu", "us"]), st.sampled_from([(), ("pci",)]),
        st.sampled_from(["", "", "acme"]), st.sampled_from([None, 0.4, 2.0]), st.sampled_from([None, 10.0, 25.0]),
        st.sampled_from([None, 0, 2]),
    ),
    min_size=1, max_size=5,
)  # fmt: skip
some_wanted = st.lists(
    st.builds(
        Wanted, st.sampled_from(["standard", "premium"]), st.sampled_from([None, None, "eu", "us"]), st.just(()),
        st.sampled_from([(), (), ("pci",)]), st.sampled_from([0.0, 5.0, 9.0]), st.sampled_from(["", "", "acme"]),
    ),
    min_size=1, max_size=25,
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(some_cells, some_wanted, st.integers(0, 3))
def test_no_rule_limit_or_cap_is_ever_broken_by_placers_with_old_pictures(
    cells: list[NewCell], wanted: list[Wanted], reserving: int
) -> None:
    """Three placements choose at once, each from its own picture; some reserve, some create."""

    async def life() -> None:
        fleet = Fleet()
        for number, each in enumerate(cells):
            await fleet.open(replace(each, cell_id=f"cell-{number}"))
        choosers = [fleet.placement()[1] for _ in range(3)]

        async def one(number: int, each: Wanted) -> None:
            chooser = choosers[number % 3]
            if number % 4 < reserving:
                await chooser.reserve(each, 60)
            else:
                await fleet.create(chooser, f"tenant-{number}", each)

        results = await asyncio.gather(*map(one, range(len(wanted)), wanted), return_exceptions=True)
        refused = {str(getattr(result, "code", result)) for result in results if result is not None}
        assert refused <= {"RESOURCE_EXHAUSTED"}
        await check(fleet)

    async def check(fleet: Fleet) -> None:
        seen = picture(await fleet.reservations.rooms(), count(await fleet.reservations.tally(), None, {}))
        taken = seen.cells.used > 0
        assert (seen.cells.used <= seen.cells.limits * (1 + 1e-9) + 1e-9)[taken].all()
        for tenant in await fleet.truth.tenants():
            assert tenant.assignment is not None
            assert misfit(await fleet.truth.cell(tenant.assignment.cell_id), tenant) is None
        for kept in await fleet.reservations.reservations():
            home = await fleet.truth.cell(kept.cell_id)
            assert kept.region in (None, home.region)
            assert set(kept.tags) <= set(home.tags)
            assert kept.dedicated_to == home.dedicated_to

    asyncio.run(life())


async def test_without_loads_and_capacities_cells_fill_evenly_by_their_free_places() -> None:
    """As ever: the share counts, so a cell twice as large gets twice as many; also of those who come at once."""
    fleet = Fleet()
    await fleet.open(cell("small", 40))
    await fleet.open(cell("large", 80))
    _, chooser = fleet.placement()
    homes = await asyncio.gather(*(fleet.create(chooser, f"tenant-{n}", Wanted()) for n in range(60)))
    assert Counter(homes) == {"small": 20, "large": 40}


async def test_a_burst_chooses_from_one_look_and_hardly_twice() -> None:
    """Those who are on their way count, before the directory knows of them."""
    fleet = Fleet()
    for n in range(4):
        await fleet.open(cell(f"cell-{n}", 100, capacity=Capacity(cpus=16.0)))
    looks = 0
    rooms = fleet.reservations.rooms

    async def counted():  # type: ignore[no-untyped-def]
        nonlocal looks
        looks += 1
        return await rooms()

    fleet.reservations.rooms = counted  # type: ignore[method-assign]
    _, chooser = fleet.placement()
    homes = await asyncio.gather(*(fleet.create(chooser, f"tenant-{n}", Wanted()) for n in range(200)))
    assert set(Counter(homes).values()) == {50}
    assert looks == 1


async def test_nobody_is_refused_because_of_an_old_picture() -> None:
    """Room that came free a moment ago is found, also when somebody else freed it."""
    fleet = Fleet()
    await fleet.open(cell("cell-1", 1))
    (rooms, chooser), (_, other) = fleet.placement(), fleet.placement()
    kept, _ = await other.reserve(Wanted(), 60)
    assert isinstance(await rooms.choose(Wanted()), Nowhere)
    await other.cancel(kept.reservation_id)
    assert await fleet.create(chooser, "acme", Wanted()) == "cell-1"


async def test_what_somebody_else_changed_is_seen_within_a_moment_and_decided_at_once() -> None:
    """A cell that was closed is chosen from the old picture, refused by the directory, and chosen no more."""
    fleet = Fleet()
    await fleet.open(cell("cell-1", 100))
    await fleet.open(cell("cell-2", 10))
    rooms, chooser = fleet.placement()
    for n in range(3):
        await fleet.create(chooser, f"tenant-{n}", Wanted())
    await fleet.truth.change_cell("cell-1", "cordon")
    found = await rooms.choose(Wanted())
    assert not isinstance(found, Nowhere)
    assert found[0].cell_id == "cell-1"
    assert await fleet.create(chooser, "acme", Wanted()) == "cell-2"
    await fleet.truth.change_cell("cell-1", "open")
    fleet.clock.advance(LOOK_SECONDS + 0.1)
    assert await fleet.create(chooser, "late", Wanted()) == "cell-1"


async def test_a_placement_that_does_not_arrive_takes_nothing() -> None:
    """Who failed at something else leaves the room that it was expected in."""
    fleet = Fleet()
    await fleet.open(cell("cell-1", 100, capacity=Capacity(cpus=0.06)))
    rooms, chooser = fleet.placement()

    async def failing(_cell: str, _room: object) -> None:
        raise ValueError

    for _ in range(3):
        results = await asyncio.gather(
            *(chooser.settle(Wanted(), failing) for _ in range(3)), return_exceptions=True
        )
        assert {type(result) for result in results} == {ValueError}
    assert await fleet.create(chooser, "acme", Wanted()) == "cell-1"
    assert isinstance(await rooms.choose(Wanted()), Nowhere)


async def test_a_tenant_that_moves_takes_room_at_both_ends() -> None:
    """In the destination from the plan on; a place there is kept for it."""
    fleet = Fleet()
    await fleet.open(cell("cell-1", 5))
    await fleet.open(cell("cell-2", 1))
    await fleet.truth.create_tenant(NewTenant("acme", "Acme"), "cell-1")
    await MemoryMoves(fleet.truth).plan(NewMove("acme", "cell-2"))
    _, chooser = fleet.placement()
    told = await chooser.explain(Wanted())
    assert isinstance(told.found, Choice)
    assert told.found.cell_id == "cell-1"
    assert [miss.reason for miss in told.misses] == ["cell-2 is full: 1 of 1 tenants"]


async def test_a_move_that_began_since_the_count_is_in_the_next_look() -> None:
    """Loads are counted seldom; the last place of the highest plan is promised to nobody else meanwhile."""
    fleet = Fleet()
    await fleet.open(cell("cell-1", 5))
    await fleet.open(cell("cell-2", 5, caps=Caps(top_tier=1)))
    await fleet.truth.create_tenant(NewTenant("acme", "Acme", plan="premium"), "cell-1")
    (rooms, chooser), (_, other) = fleet.placement(), fleet.placement()
    for each in (chooser, other):
        await each.explain(Wanted())
    await MemoryMoves(fleet.truth).plan(NewMove("acme", "cell-2"))
    await fleet.truth.change_cell("cell-1", "cordon")
    rooms.outdate()
    told = await chooser.explain(Wanted("premium"))
    assert "cap" in [miss.rule for miss in told.misses]
    with pytest.raises(ApiError, match="no cell can take this tenant"):
        await fleet.create(other, "bolt", Wanted("premium"))


async def test_a_place_that_came_free_since_the_count_is_found_at_once() -> None:
    """Who has left is in no look."""
    fleet = Fleet()
    await fleet.open(cell("cell-1", 2))
    rooms, chooser = fleet.placement()
    for name in ("acme", "bolt"):
        await fleet.create(chooser, name, Wanted())
    await rooms.count()
    for event in ("suspend", "delete"):
        deleted = await fleet.truth.change_tenant("acme", event)
    await fleet.truth.applied("acme", deleted.revision)
    assert await fleet.create(chooser, "carl", Wanted()) == "cell-1"
    assert isinstance(await rooms.choose(Wanted()), Nowhere)


def passing(phase: MovePhase, home: str) -> dict[str, list[float]]:
    """What a premium tenant with a move from a to b takes where it does not live: CPUs, storage, places."""
    tally = Tally({}, [], [Passage("acme", "premium", 9.0, home, "a", "b", phase)])
    found = count(tally, None, {"acme": np.array([1.0, 2.0, 3.0, 4.0])}).elsewhere
    return {name: [takes[0], takes[2], takes[4]] for name, takes in found.items()}


def test_a_move_counts_at_the_end_where_its_tenant_does_not_live() -> None:
    """Whole until the tenant works in the destination; then its rows in the source are left."""
    coming: list[MovePhase] = ["PLANNED", "COPYING", "ABORTING"]
    assert [passing(phase, "a") for phase in coming] == [{"b": [1.0, 3.0, 1.0]}] * 3
    assert passing("COMMITTED", "b") == {"a": [1.0, 3.0, 1.0]}
    left: list[MovePhase] = ["DRAINING", "REVERSIBLE", "CLEANING"]
    assert [passing(phase, "b") for phase in left] == [{"a": [0.0, 3.0, 0.0]}] * 3
    assert passing("REVERSING", "b") == {}


def test_what_is_measured_comes_before_what_plans_let_expect() -> None:
    """Revenue and top tier are counted either way."""
    tally = Tally({}, [Inhabitants("a", "premium", 2, 30.0), Inhabitants("b", "standard", 4, 0.0)], [])
    found = count(tally, {"a": np.array([7.0, 8.0, 9.0, 10.0])}, {})
    assert found.load["a"].tolist() == [7.0, 8.0, 9.0, 10.0, 2.0, 30.0, 2.0]
    assert found.load["b"].tolist() == (4 * demand_of("standard", 0.0)).tolist()


async def test_what_was_placed_since_the_count_is_taken_and_counted_once() -> None:
    """Loads are counted seldom; places and promises are looked at each time."""
    fleet = Fleet()
    await fleet.open(cell("cell-1", 5, capacity=Capacity(cpus=1.0)))
    _, chooser = fleet.placement()
    counted = count(await fleet.reservations.tally(), None, {})
    for n in range(2):
        await fleet.create(chooser, f"tenant-{n}", Wanted())
    await chooser.reserve(Wanted(), 60)
    for base in (counted, count(await fleet.reservations.tally(), None, {})):
        used = picture(await fleet.reservations.rooms(), base).cells.used
        assert np.allclose(used[0], 3 * demand_of("standard", 0.0))
    assert used.shape == (1, WIDE)


def test_a_cell_is_as_full_as_its_tenants_are_together_at_their_busiest_time() -> None:
    """Two that are busy at different hours fill it less than two that are at the same."""
    nights, weeks = TIME_OF == 0, nothing_usual(4)
    weeks[:] = [0.5, 100, 100, 100]
    weeks[0, nights, 0] = weeks[2:, ~nights, 0] = 4.0
    weeks[1, ~nights, 0] = 4.0
    lately = np.full((4, WIDE), np.nan)
    measured = Measured(weeks, np.zeros_like(weeks))
    loads = Loads([*"abcd"], measured, lately, np.zeros(4), MONDAY)
    scales = Scales()
    scales.put(Homes(["d", "a"], ["same", "varied"], ["standard"] * 2))
    scales.put(Homes(["b", "c", "new"], ["varied", "same", "other"], ["standard", "standard", "premium"]))
    weights = scales.weights(loads, MONDAY)
    assert weights["varied"][0] == pytest.approx(4.5)
    assert weights["same"][0] == pytest.approx(8.0)
    assert weights["other"].tolist() == pytest.approx(demand_of("premium", 0.0)[:4].tolist())


async def test_what_a_tenant_was_measured_to_take_leaves_less_for_others() -> None:
    """By the next count; until there is a measurement, its plan says."""
    fleet = Fleet()
    await fleet.open(cell("cell-1", 100, capacity=Capacity(cpus=2.0)))
    rooms, chooser = fleet.placement()
    await fleet.create(chooser, "acme", Wanted())
    assert not isinstance(await rooms.choose(Wanted("premium")), Nowhere)
    for seconds in (0.0, 60.0):
        told = reading(60 + seconds, cpu_seconds=1.8 * seconds)
        await fleet.loads.measure(told, MONDAY + timedelta(seconds=seconds))
    fleet.clock.advance(60)
    await rooms.count()
    found = await rooms.choose(Wanted("premium"))
    assert isinstance(found, Nowhere)
    assert "over its limit of cpu" in found.reasons[0]


async def test_all_reservations_that_are_over_are_removed_whatever_becomes_of_the_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A few in one transaction, until none is left."""
    monkeypatch.setattr("placement.rooms.FORGET_AT_ONCE", 2)
    fleet = Fleet()
    await fleet.open(cell("cell-1"))
    rooms, chooser = fleet.placement()
    for seconds in (10, 10, 10, 10, 10, 3600):
        await chooser.reserve(Wanted(), seconds)
    fleet.clock.advance(11)
    forgetting = asyncio.ensure_future(rooms.forget())
    await eventually(lambda: len(fleet.truth.reservations) == 1)
    fleet.clock.advance(60)
    await forgetting
