"""The leader dies before or after any call that it makes; another one goes on, and all is as if it had not."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from placement.planning.automatic import Limits
from placement.planning.wishes import Wishes
from tests.directory.planning import memory_office
from tests.placement.planning.world import World

TENANTS = tuple(f"tenant-{number}" for number in range(6))


class Died(BaseException):
    """As `kill -9`: nothing is caught, nothing is cleaned up."""


class Deadly:
    """Everything that is called of `inner` counts; at number `at` whoever calls dies, before it or after it."""

    def __init__(self, inner: Any, count: "Count") -> None:
        self._inner, self._count = inner, count

    def __getattr__(self, name: str) -> Callable[..., Any]:
        async def called(*args: Any, **kwargs: Any) -> Any:
            self._count.step()
            result = await getattr(self._inner, name)(*args, **kwargs)
            self._count.step()
            return result

        return called


class Count:
    """When to die."""

    def __init__(self, at: int) -> None:
        self.at, self.now = at, 0

    def step(self) -> None:
        """One more."""
        self.now += 1
        if self.now == self.at:
            raise Died


async def through(world: World, at: int, over: Callable[[], Any]) -> int:
    """A leader that dies at step `at`, and one that lives; how many steps the first one had made."""
    count = Count(at)
    office = world.office
    stage, plans = office.stage, office.plans
    deadly = world.new_conductor()
    for part in (deadly, deadly._automatic, deadly._drains):
        for name, inner in (("_plans", plans), ("_moves", stage.desk), ("_directory", stage.truth)):
            if hasattr(part, name):
                setattr(part, name, Deadly(inner, count))
    conductor = deadly
    for _ in range(60):
        try:
            await conductor.round(world.term)
        except Died:
            world.term = await office.terms.begin("placement", "another")
            conductor = world.new_conductor()
        if await over():
            return count.now
        await world.carry()
    raise AssertionError("it did not end")


@pytest.mark.parametrize("worker", range(4))
async def test_a_drain_ends_whenever_its_leader_dies(worker: int) -> None:
    """Each tenant is moved once, and the cell is empty in the end: for every call of the whole drain."""
    at = 1 + worker
    while await drained(at):
        at += 4
    assert at > 40


async def drained(at: int) -> bool:
    """A fleet of its own; whether its leader died before the drain was over."""
    small = World(await memory_office())
    await small.office.stage.prepare(capacity_tenants=20)
    await small.settle("cell-1", *TENANTS)
    await small.office.stage.truth.change_cell("cell-1", "drain")

    async def over() -> bool:
        cell = await small.office.stage.truth.cell("cell-1")
        return cell.state == "empty" and not await small.office.plans.plans(unfinished=True)

    steps = await through(small, at, over)
    moved = Counter(move.tenant_id for move in await small.office.stage.desk.moves())
    assert moved == dict.fromkeys(TENANTS, 1)
    drains = await small.office.plans.plans()
    assert [plan.state for plan in drains] == ["DONE"]
    assert drains[0].moved == len(TENANTS)
    return steps == at


@pytest.mark.parametrize("worker", range(2))
async def test_the_days_budget_is_kept_whenever_the_leader_dies(worker: int) -> None:
    """The plan ends when it is used up, and begins nothing more: for every call of the whole plan."""
    at = 1 + worker
    while await budgeted(at):
        at += 2
    assert at > 15


async def budgeted(at: int) -> bool:
    """As `drained`, of a plan that approves of itself and may move three."""
    small = World(await memory_office(), limits=Limits(on=True, moves=3))
    await small.office.stage.prepare(capacity_tenants=20)
    await small.settle("cell-1", *TENANTS)

    async def over() -> bool:
        known = await small.office.plans.plans()
        return bool(known) and known[0].ended_at is not None

    steps = await through(small, at, over)
    [plan] = await small.office.plans.plans()
    assert (plan.state, plan.moved, "is used up" in plan.error) == ("DONE", 3, True)
    assert len(await small.office.stage.desk.moves()) == 3
    return steps == at


@pytest.mark.parametrize("worker", range(2))
async def test_a_plan_that_is_stopped_ends_whenever_the_leader_dies(worker: int) -> None:
    """What was begun by then arrives, and nobody else is moved."""
    at = 1 + worker
    while await stopped(at):
        at += 2
    assert at > 10


async def stopped(at: int) -> bool:
    """As `drained`, of a plan that an operator stops after its first moves have begun."""
    small = World(await memory_office())
    await small.office.stage.prepare(capacity_tenants=20)
    await small.settle("cell-1", *TENANTS)
    plan = await small.approved(Wishes(moves_of_a_cell=2, moves_of_a_wave=2))
    await small.round()
    begun = {move.tenant_id for move in await small.office.stage.desk.moves()}
    await small.office.plans.ask(plan.plan_id, "stop", "ann")

    async def over() -> bool:
        return (await small.again(plan)).ended_at is not None

    steps = await through(small, at, over)
    assert ((await small.again(plan)).state, (await small.again(plan)).moved) == ("STOPPED", len(begun))
    assert {move.tenant_id for move in await small.office.stage.desk.moves()} == begun
    return steps == at
