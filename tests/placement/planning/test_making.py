"""Plans are made in a process of their own, within a deadline; what they promise can be read."""

import asyncio
import pickle
import signal
import sys
import time
from asyncio.subprocess import PIPE
from dataclasses import replace

import pytest

from directory.errors import NotFound
from directory.rules import planning
from placement.errors import NotSolved
from placement.gathering import gather
from placement.planning import making, solving
from placement.planning.making import Maker, in_a_process
from placement.planning.solving import Task, solve
from placement.planning.wishes import Wishes
from tests.placement.planning.world import World

TENANTS = tuple(f"tenant-{number}" for number in range(9))


async def task_of(world: World, wishes: Wishes | None = None, drained: str | None = None) -> Task:
    """As the maker hands it over."""
    stage = world.office.stage
    fleet = await gather(stage.truth, stage.room, stage.desk, world.demands, world.clock.now())
    return Task(fleet, wishes or Wishes(exact=False), drained)


async def test_a_process_of_its_own_finds_the_same_plan(small: World) -> None:
    """And the loop goes on meanwhile."""
    await small.settle("cell-1", *TENANTS)
    task = await task_of(small)
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)  # nothing is waited for: that the loop wakes in time is what is counted
            ticks += 1

    async with asyncio.TaskGroup() as group:
        ticking = group.create_task(tick())
        made = await in_a_process(task)
        ticking.cancel()
    assert ticks > 3
    assert made == solve(task)
    assert len(made.moves) == 6


async def test_a_search_that_does_not_end_is_killed(small: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """And said to be so; the next try may have less to do."""
    await small.settle("cell-1", *TENANTS)
    monkeypatch.setattr(making, "GRACE_SECONDS", 0.0)
    began = time.monotonic()
    with pytest.raises(NotSolved, match=r"within 0\.01 s"):
        await in_a_process(await task_of(small, Wishes(seconds=0.01)))
    assert time.monotonic() - began < 5


HANGS = """
import time, placement.planning.__main__ as search
search.LATER_SECONDS, search.solve = 0.5, lambda _task: time.sleep(60)
search.main()
"""


async def test_a_search_whose_starter_is_dead_ends_by_itself(small: World) -> None:
    """However long its solver would go on: nobody is left who would kill it."""
    await small.settle("cell-1", *TENANTS)
    order, began = pickle.dumps(await task_of(small, Wishes(seconds=0.01))), time.monotonic()
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", HANGS, stdin=PIPE, stdout=PIPE)
    try:
        await asyncio.wait_for(process.communicate(order), 30)
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == -signal.SIGALRM
    assert time.monotonic() - began < 30


async def test_a_search_that_breaks_is_a_fault_that_is_told(small: World) -> None:
    """Its own output says why."""
    task = await task_of(small)
    with pytest.raises(NotSolved, match="ended with code 1"):
        await in_a_process(replace(task, drained="cell-9"))


async def test_one_plan_is_made_at_a_time(small: World) -> None:
    """Whoever comes meanwhile waits, so that two searches do not take the machine from requests."""
    await small.settle("cell-1", *TENANTS)
    at_work, most = 0, 0

    async def solver(task: Task) -> solving.Made:
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        await asyncio.sleep(0)
        at_work -= 1
        return solve(task)

    stage = small.office.stage
    maker = Maker(stage.truth, stage.room, stage.desk, small.demands, solver=solver, clock=small.clock)
    await asyncio.gather(*(maker.make(Wishes(exact=False)) for _ in range(3)))
    assert most == 1
    with pytest.raises(NotFound):
        await maker.make(Wishes(), "cell-9")


async def test_who_asks_for_a_plan_while_another_is_made_is_told_so(small: World) -> None:
    """In time; and the next one is made as ever."""
    await small.settle("cell-1", *TENANTS)
    solved = asyncio.Event()

    async def solver(task: Task) -> solving.Made:
        await solved.wait()
        return solve(task)

    stage = small.office.stage
    maker = Maker(stage.truth, stage.room, stage.desk, small.demands, solver=solver, clock=small.clock)
    first = asyncio.ensure_future(maker.make(Wishes(exact=False)))
    await asyncio.sleep(0)
    with pytest.raises(NotSolved, match="another plan is being made"):
        await maker.make(Wishes(exact=False), wait_seconds=0.01)
    solved.set()
    assert len((await first).moves) == len((await maker.make(Wishes(exact=False), wait_seconds=0.01)).moves) == 6


async def test_a_plan_promises_what_it_brings_and_costs(small: World) -> None:
    """Balance before and after, bytes, time by what earlier moves took, and what is not known."""
    small.demands.cpus, small.demands.size = dict.fromkeys(TENANTS[:6], 1.0), 5e6
    await small.give_capacity(8.0, "cell-1", "cell-2", "cell-3")
    await small.settle("cell-1", *TENANTS)
    made = solve(await task_of(small, Wishes(moves_of_a_cell=2, moves_of_a_wave=2)))
    summary = made.summary
    assert (summary["tenants"], summary["cells"], summary["unmeasured"]) == (9, 3, 3)
    assert summary["moves"] == len(made.moves) >= 6
    assert summary["bytes"] == pytest.approx(5e6 * len(made.moves))
    assert (summary["peak_before"], summary["measured_moves"]) == (3.0, 0)
    assert summary["peak_after"] < 1.1
    # Six equal tenants in three cells, and three whom nothing is known to take: all of it can be level.
    assert summary["gap"] == pytest.approx(summary["peak_after"] - 1.0, abs=0.01)
    assert summary["waves"] == max(move.wave for move in made.moves) > 1
    # Of each wave of two, both at once: the usual ten seconds and one for its bytes.
    assert summary["seconds"] == pytest.approx(11.0 * summary["waves"], rel=0.01)
    slow = solve(await task_of(small, Wishes(bytes_an_hour=5e6)))
    assert slow.summary["seconds"] == pytest.approx(3600.0 * len(slow.moves))
    cpu = next(each for each in summary["balances"] if each["resource"] == "cpu on days")
    assert (cpu["before"], cpu["use"]) == (3.0, 0.25)
    assert any(
        "3 tenants are new: what they took lately counts, else their plans" in remark
        for remark in summary["remarks"]
    )


async def test_of_a_large_plan_a_part_is_kept(small: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The most urgent; it is made anew after each wave."""
    monkeypatch.setattr(solving, "MOST_MOVES", 2)
    await small.settle("cell-1", *TENANTS)
    made = solve(await task_of(small))
    assert (len(made.moves), made.summary["moves"]) == (2, 6)
    assert "the first 2 of 6 moves are kept: it is made anew" in made.summary["remarks"]
    assert planning.MOST_MOVES == 10_000


async def test_what_was_begun_is_brought_down_further_than_where_it_begins(small: World) -> None:
    """Half-way from `start` to `stop` is no reason to begin, and one to go on with that cell alone."""
    names = tuple(f"tenant-{number:02}" for number in range(36))
    small.demands.cpus = dict.fromkeys(names, 1.0)
    await small.give_capacity(40.0, "cell-1", "cell-2", "cell-3")
    for cell_id, count in (("cell-1", 14), ("cell-2", 11), ("cell-3", 11)):
        await small.settle(cell_id, *names[:count])
        names = names[count:]
    wishes = Wishes(exact=False, start=1.2)
    task = await task_of(small, wishes)
    assert solve(task).moves == []
    assert len(solve(Task(task.fleet, wishes, begun={"cell-1"})).moves) >= 1
    assert solve(Task(task.fleet, wishes, begun={"cell-2"})).moves == []
