"""Consul is killed and comes back while a plan is carried out: it goes on all the same, and moves nobody twice."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass

import pytest

from directory.errors import Unavailable
from directory.fallback_leadership import FallbackLeadership
from directory.leading import Candidate, open_leadership
from directory.plans import Plan
from directory.values import Move
from placement.planning.conducting import Conductor
from placement.planning.wishes import Wishes
from runtime import database
from runtime.database import Pool
from runtime.tasks import Tasks
from tests.consuls import ConsulServer
from tests.directory.planning import postgres_office
from tests.placement.planning.world import World
from tests.servers import ControlDatabase
from tests.waiting import eventually

LIVES_SECONDS = 3.0
"""The server of these tests allows sessions as short as that; long enough for a machine with much else to do."""
TENANTS = tuple(f"tenant-{number}" for number in range(24))
STEP_SECONDS = 0.05
"""Between two looks at the plan: a placement's own pace, which is slower."""
GRADUALLY = Wishes(moves_of_a_cell=2, moves_of_a_wave=2, cool_down_seconds=1.0)


@dataclass
class Placement:
    """What of a process has to do with leading."""

    leadership: FallbackLeadership
    candidate: Candidate
    conductor: Conductor
    tasks: Tasks

    def start(self) -> None:
        self.tasks.keep("lead", self.candidate.go_on)
        self.tasks.keep("carry plans out", self._carry_out)

    async def die(self) -> None:
        """Without a word: its locks stay for as long as they live."""
        await self.tasks.close()

    async def _carry_out(self) -> None:
        """As the conductor's own step, and sooner again."""
        if (term := self.candidate.term) is not None:
            with suppress(Unavailable):
                await self.conductor.round(term)
        await asyncio.sleep(STEP_SECONDS)


@dataclass
class Fleet:
    """Two placements over one control database and one Consul."""

    world: World
    pool: Pool
    consul: ConsulServer
    one: Placement
    other: Placement

    async def moves(self) -> list[Move]:
        return list(await self.world.office.stage.desk.moves(limit=1000))

    async def goes_on(self, by: Placement | None = None) -> None:
        """Some moves are begun that were not, in the term of `by`."""
        known = len(await self.moves())

        async def more() -> bool:
            await self.world.carry()
            return len(await self.moves()) >= known + 2

        await eventually(more, seconds=30)
        assert by is None or by.candidate.term is not None

    async def ended(self, plan: Plan) -> Plan:
        async def over() -> Plan | None:
            await self.world.carry()
            again = await self.world.again(plan)
            return again if again.ended_at is not None else None

        found = await eventually(over, seconds=60)
        assert found is not None
        return found


@pytest.fixture
async def fleet(control_database: ControlDatabase, own_consul: ConsulServer) -> AsyncIterator[Fleet]:
    """Nobody stands yet."""
    pool = await database.open_pool(control_database.writer_dsn, name="test", size=10)
    async with postgres_office(control_database) as office:
        world = World(office)
        await office.stage.prepare(capacity_tenants=40)
        made = []
        for name in ("one", "other"):
            leadership = open_leadership(pool, own_consul.url, None, LIVES_SECONDS)
            candidate, tasks = Candidate(leadership, office.terms, "placement", name), Tasks()
            assert isinstance(leadership, FallbackLeadership)
            made.append(Placement(leadership, candidate, world.new_conductor(), tasks))
        yield Fleet(world, pool, own_consul, *made)
        for each in made:
            await each.tasks.close()
            await each.candidate.close()
    await pool.close()


async def test_a_plan_under_way_goes_on_while_consul_is_gone_and_when_it_is_back(fleet: Fleet) -> None:
    """In the same term while its leader lives; by another placement when that dies, too."""
    world = fleet.world
    await world.settle("cell-1", *TENANTS)
    plan = await world.approved(GRADUALLY)
    fleet.one.start()
    first = await eventually(lambda: fleet.one.candidate.term, seconds=30)
    fleet.other.start()
    await fleet.goes_on(fleet.one)
    fleet.consul.kill()
    await eventually(lambda: fleet.one.leadership._is_gone() and fleet.other.leadership._is_gone(), seconds=30)
    await fleet.goes_on(fleet.one)
    assert fleet.one.candidate.term == first
    assert fleet.other.candidate.term is None
    await fleet.one.die()
    second = await eventually(lambda: fleet.other.candidate.term, seconds=30)
    await fleet.goes_on(fleet.other)
    assert first is not None
    assert second is not None
    assert second.number > first.number
    assert (await world.again(plan)).state == "APPROVED"
    fleet.consul.start()
    await fleet.consul.ready()
    await fleet.goes_on(fleet.other)
    key = "/v1/kv/cellway/leaders/placement"

    async def is_locked_again() -> bool:
        found = await fleet.consul.get(key)
        return bool(found and found[0].get("Session"))

    await eventually(is_locked_again, seconds=30)
    plan = await fleet.ended(plan)
    assert fleet.other.candidate.term == second
    assert (plan.state, plan.moved, plan.failed) == ("DONE", 16, 0)
    moved = [move.tenant_id for move in await fleet.moves()]
    assert len(moved) == len(set(moved)) == 16
