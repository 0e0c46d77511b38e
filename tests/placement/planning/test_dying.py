"""The leader dies before or after any call that it makes; another one goes on, and all is as if it had not."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

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
