"""Placers, reservers, plans, operators and the conductor at once, while cells fail: all caps are kept.

What may live where is asked of an oracle that is written here, from what the test has told of cells and tenants.
"""

import asyncio
import inspect
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from directory.errors import CellFull, Refused
from directory.memory import MemoryDirectory
from directory.memory_loads import MemoryLoads
from directory.reservations import Use
from directory.values import Caps, MoveOptions, MovePhase, NewCell, NewMove, NewTenant
from placement.choosing import Chooser
from placement.demands import Demands
from placement.errors import NotSolved
from placement.planning.wishes import Wishes
from placement.reach import Reach
from placement.rooms import Rooms
from placement.rules.picturing import Wanted
from runtime.api.problem import ApiError
from tests.directory.moving import PHASES
from tests.directory.planning import Office, memory_office, postgres_office
from tests.placement.planning.world import World
from tests.servers import new_control_database

ADDRESS = "http://127.0.0.1:9000"
EAGER = Wishes(
    start=1.01, stop=1.0, exact=False, seconds=5, cool_down_seconds=0, moves_of_a_wave=2, patience_seconds=5
)
MAY_ARRIVE = (*PHASES[: PHASES.index("COMMITTED")],)
FAR: tuple[MovePhase, ...] = ("COPYING", "READY", "FINALIZING", "COMMITTED", "REVERSIBLE", "DONE")

Step = tuple[str, int]
VERBS = (
    *("place", "place", "place", "reserve", "reserve", "use", "cancel", "count"),
    *("plan", "plan", "approve", "approve", "round", "round", "round", "carry", "carry", "carry", "give_up"),
    *("by_hand", "fail", "close", "drain", "open", "open", "open", "leave", "leave", "wait", "wait", "wait_long"),
)
some_cells = st.lists(
    st.builds(
        lambda places, region, tags, owner, revenue, top: NewCell(
            *("x", region, ADDRESS, ADDRESS, places), tags=tags, dedicated_to=owner, caps=Caps(revenue, top)
        ),
        st.integers(1, 6), st.sampled_from(["eu", "eu", "us"]), st.sampled_from([(), (), ("pci",)]),
        st.sampled_from(["", "", "", "acme"]), st.sampled_from([None, 10.0, 25.0]),
        st.sampled_from([None, 0, 1, 2]),
    ),
    min_size=2, max_size=5,
)  # fmt: skip
some_steps = st.lists(
    st.lists(st.tuples(st.sampled_from(VERBS), st.integers(0, 1000)), min_size=1, max_size=4), max_size=30
)


class Unhurried:
    """A part of the directory that lets others go first, before each call and after it."""

    def __init__(self, kept: Any, then: Callable[[], None]) -> None:
        self._kept, self._then = kept, then

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._kept, name)
        if not inspect.iscoroutinefunction(value):
            return value

        async def call(*args: Any, **kwargs: Any) -> Any:
            await asyncio.sleep(0)
            try:
                return await value(*args, **kwargs)
            finally:
                self._then()
                await asyncio.sleep(0)

        return call


@dataclass
class Company:
    """What was told of cells and tenants, and who acts on it."""

    world: World
    cells: dict[str, NewCell]
    placers: list[tuple[Rooms, Chooser]]
    wanted: dict[str, Wanted] = field(default_factory=dict)
    clock: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Time passes once at a time."""
    carried: set[str] = field(default_factory=set)

    # The oracle

    def check(
        self, living: Sequence[tuple[str, str]], coming: Sequence[tuple[str, str]], kept: Sequence[tuple[str, Any]]
    ) -> None:
        """Tenants and cells: who lives there, who moves there, and what is reserved there."""
        for name, cell_id in (*living, *coming):
            needs, cell = self.wanted[name], self.cells[cell_id]
            assert needs.region in (None, cell.region), (name, cell_id)
            assert set(needs.tags) <= set(cell.tags), (name, cell_id)
            assert needs.dedicated_to == cell.dedicated_to, (name, cell_id)
        for cell_id, cell in self.cells.items():
            there = {name for name, home in (*living, *coming) if home == cell_id}
            reserved = [takes for home, takes in kept if home == cell_id]
            assert len(there) + len(reserved) <= cell.capacity_tenants, cell_id
            paid = sum(self.wanted[name].revenue for name in there) + sum(takes[5] for takes in reserved)
            assert cell.caps.revenue is None or paid <= cell.caps.revenue + 1e-6, cell_id
            top = sum(self.wanted[name].plan == "premium" for name in there) + sum(t[6] for t in reserved)
            assert cell.caps.top_tier is None or top <= cell.caps.top_tier, cell_id

    async def look(self) -> None:
        """As the directory tells it."""
        stage = self.world.office.stage
        moves = await stage.desk.moves(unfinished=True, limit=1000)
        tenants = await stage.truth.tenants(limit=1000)
        kept = [each for each in await stage.room.reservations(limit=1000) if each.holds]
        self.check(
            [(t.tenant_id, t.assignment.cell_id) for t in tenants if t.assignment is not None],
            [(move.tenant_id, move.destination) for move in moves if move.phase in MAY_ARRIVE],
            [(each.cell_id, each.takes) for each in kept],
        )

    # What happens

    async def run(self, steps: Sequence[Sequence[Step]]) -> None:
        """Those of one group at the same time."""
        for group in steps:
            done = await asyncio.gather(
                *(getattr(self, f"_{verb}")(n) for verb, n in group), return_exceptions=True
            )
            for each in done:
                if isinstance(each, BaseException) and not isinstance(each, Refused | ApiError | NotSolved):
                    raise each
            await self.look()

    def _tenant(self, n: int) -> str:
        return [*self.wanted][n % len(self.wanted)] if self.wanted else "nobody"

    def _cell(self, n: int) -> str:
        return [*self.cells][n % len(self.cells)]

    def _wish(self, n: int) -> Wanted:
        return Wanted(
            plan=("standard", "premium")[n % 2],
            region=(None, None, "eu", "us")[n // 2 % 4],
            tags=((), (), (), ("pci",))[n // 8 % 4],
            revenue=(0.0, 5.0, 9.0)[n // 32 % 3],
            dedicated_to=("", "", "", "", "acme")[n // 96 % 5],
        )

    async def _created(self, wanted: Wanted, record: Callable[[NewTenant], Any]) -> None:
        name = f"tenant-{len(self.wanted)}"
        self.wanted[name] = wanted
        new = NewTenant(
            *(name, name, wanted.plan, wanted.region), tags=wanted.tags, revenue=wanted.revenue,
            dedicated_to=wanted.dedicated_to,
        )  # fmt: skip
        await record(new)

    async def _place(self, n: int) -> None:
        wanted, truth = self._wish(n), self.world.office.stage.truth
        _, chooser = self.placers[n % len(self.placers)]

        async def record(new: NewTenant) -> None:
            await chooser.settle(wanted, lambda cell, room: truth.create_tenant(new, cell, room))

        await self._created(wanted, record)

    async def _reserve(self, n: int) -> None:
        _, chooser = self.placers[n % len(self.placers)]
        await chooser.reserve(self._wish(n), 1 + n % 60)

    async def _use(self, n: int) -> None:
        stage = self.world.office.stage
        known = await stage.room.reservations()
        if not known:
            return
        kept = known[n % len(known)]
        wanted = Wanted(
            *(kept.plan, kept.region), tags=kept.tags, revenue=kept.takes[5], dedicated_to=kept.dedicated_to
        )
        use = Use(kept.reservation_id, wanted.takes())
        await self._created(wanted, lambda new: stage.truth.create_tenant(new, kept.cell_id, use))

    async def _cancel(self, n: int) -> None:
        room = self.world.office.stage.room
        known = await room.reservations()
        if known:
            await room.cancel(known[n % len(known)].reservation_id)

    async def _count(self, n: int) -> None:
        await self.placers[n % len(self.placers)][0].count()

    async def _plan(self, _: int) -> None:
        await self.world.proposed(EAGER)

    async def _approve(self, _: int) -> None:
        plans = self.world.office.plans
        for plan in await plans.plans(unfinished=True):
            if plan.state == "PROPOSED":
                with suppress(Refused):  # there is another one, or it has expired
                    await plans.ask(plan.plan_id, "approve", "ann")

    async def _round(self, _: int) -> None:
        await self.world.round()

    async def _carry(self, n: int) -> None:
        stage, phase = self.world.office.stage, FAR[n % len(FAR)]
        for _ in range(1 + n % 4):
            move = await stage.moves.claim(f"mover-{n}", 60.0, 100)
            if move is None:
                return
            # Somebody else may have taken its destination out of use: then it waits.
            with suppress(CellFull):
                if PHASES.index(move.phase) < PHASES.index(phase):
                    move = await stage.bring(move, phase)
                    self.carried.add(move.reason)
            if move.phase != "DONE":
                await stage.moves.let_go(move.move_id, move.token, 1.0)

    async def _give_up(self, n: int) -> None:
        stage = self.world.office.stage
        if (move := await stage.moves.claim(f"mover-{n}", 60.0, 100)) is not None:
            await stage.moves.record(move.move_id, move.token, "abort")
            await stage.moves.record(move.move_id, move.token, "aborted")

    async def _by_hand(self, n: int) -> None:
        new = NewMove(self._tenant(n), self._cell(n // 7), MoveOptions())
        await self.world.office.stage.desk.plan(new)

    async def _fail(self, n: int) -> None:
        await self.world.office.stage.truth.change_cell(self._cell(n), "fail")

    async def _close(self, n: int) -> None:
        await self.world.office.stage.truth.change_cell(self._cell(n), "cordon")

    async def _drain(self, n: int) -> None:
        await self.world.office.stage.truth.change_cell(self._cell(n), "drain")

    async def _open(self, n: int) -> None:
        truth, cell_id = self.world.office.stage.truth, self._cell(n)
        if (await truth.cell(cell_id)).state == "failed":
            await truth.change_cell(cell_id, "cordon")
        await truth.change_cell(cell_id, "open")

    async def _leave(self, n: int) -> None:
        truth, name = self.world.office.stage.truth, self._tenant(n)
        for event in ("suspend", "delete"):
            changed = await truth.change_tenant(name, event)
        await truth.applied(name, changed.revision)

    async def _wait(self, n: int) -> None:
        async with self.clock:
            await self.world.office.pass_time(1.0 + n % 20)

    async def _wait_long(self, _: int) -> None:
        async with self.clock:
            await self.world.office.pass_time(1000.0)


async def company(office: Office, cells: Sequence[NewCell]) -> Company:
    """Its first two cells are open; the others are opened as it comes."""
    world, stage = World(office), office.stage
    told = {f"cell-{number}": replace(each, cell_id=f"cell-{number}") for number, each in enumerate(cells)}
    for number, new in enumerate(told.values()):
        await stage.truth.register_cell(new)
        await stage.truth.change_cell(new.cell_id, "open")
        if number > 1:
            await stage.truth.change_cell(new.cell_id, "cordon")
    kept = getattr(stage.truth, "_kept", None)
    loads = MemoryLoads(kept or MemoryDirectory(world.clock))  # nothing was ever measured
    reach = Reach(world.clock)
    rooms = [Rooms(stage.room, Demands(loads, world.clock), reach, world.clock) for _ in range(2)]
    return Company(world, told, [(each, Chooser(stage.room, each)) for each in rooms])


async def unhurried_company(cells: Sequence[NewCell]) -> Company:
    """In memory, where others come between any two calls, and each of them is followed by a look."""
    office = await memory_office()
    stage = office.stage
    truth: Any = stage.truth
    made: list[Company] = []

    def look() -> None:
        for each in made:
            moves = [kept.move for kept in truth.moves.values() if kept.move.phase in MAY_ARRIVE]
            now = truth.clock.now()
            each.check(
                [(t.tenant_id, t.assignment.cell_id) for t in truth.all_tenants() if t.assignment is not None],
                [(move.tenant_id, move.destination) for move in moves if move.ended_at is None],
                [(kept.cell_id, kept.takes) for kept in truth.reservations.values() if kept.until > now],
            )

    slow: Any = lambda part: Unhurried(part, look)  # noqa: E731 typed as any part
    stage = replace(
        stage, truth=slow(truth), desk=slow(stage.desk), moves=slow(stage.moves), room=slow(stage.room)
    )
    found = await company(replace(office, stage=stage, plans=slow(office.plans)), cells)
    made.append(found)
    return found


@settings(max_examples=60, deadline=None)
@given(some_cells, some_steps)
def test_no_cell_ever_gets_more_than_its_caps_whoever_acts_meanwhile(
    cells: list[NewCell], steps: list[list[Step]]
) -> None:
    """Nor anybody who may not live there; with waves partly applied, and cells that fail in between."""

    async def life() -> None:
        await (await unhurried_company(cells)).run(steps)

    asyncio.run(life())


def by_chance(seed: int, groups: int, largest: int) -> tuple[list[NewCell], list[list[Step]]]:
    """A longer life than search tries: there is somebody to be moved in it."""
    rng = random.Random(seed)  # noqa: S311 chance that can be had again
    cells = [
        NewCell(
            *("x", rng.choice(["eu", "eu", "eu", "us"]), ADDRESS, ADDRESS, rng.randint(3, 8)),
            tags=rng.choice([(), ("pci",)]),
            caps=Caps(rng.choice([None, 10.0, 25.0]), rng.choice([None, 1, 2])),
        )
        for _ in range(5)
    ]
    begin: list[Step] = [("place", rng.randrange(1000)) for _ in range(8)]
    steps = [
        [(rng.choice(VERBS), rng.randrange(1000)) for _ in range(rng.randint(1, largest))] for _ in range(groups)
    ]
    level: list[list[Step]] = [[("plan", 0)], [("approve", 0)], [("round", 0)], [("round", 0)], [("carry", 23)]]
    return cells, [begin, [("open", 2)], [("open", 3)], [("open", 4)], *level, *steps]


@pytest.mark.parametrize("seed", [4, 9, 11, 13])
async def test_long_lives_keep_all_caps(seed: int) -> None:
    """And somebody was moved in each of them, so it is no test of nothing."""
    cells, steps = by_chance(seed, 160, 3)
    made = await unhurried_company(cells)
    await made.run(steps)
    assert made.carried


@asynccontextmanager
async def postgres_company(postgres_server: Any, cells: Sequence[NewCell]) -> AsyncIterator[Company]:
    """Transactions that really overlap."""
    async with postgres_office(await new_control_database(postgres_server)) as office:
        yield await company(office, cells)


@pytest.mark.parametrize("seed", [4, 9])
async def test_transactions_that_overlap_keep_all_caps(postgres_server: Any, seed: int) -> None:
    """The same lives on Postgres, with more at once."""
    cells, steps = by_chance(seed, 40, 8)
    async with postgres_company(postgres_server, cells) as made:
        await made.run(steps)
    assert made.carried
