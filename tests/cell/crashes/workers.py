"""`python -m tests.cell.crashes.workers COUNT FOLDER [SECONDS [clocks]]`: real workers that die and come back.

Each is a process of its own that runs what `python -m cell.worker` runs; they are forked, so that a new one is
there at once. They die at points, and every so many seconds one of them by chance. They end when standard input
does.
"""

import os
import random
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Any

import cell.app.worker
from cell.app.worker import build_worker
from cell.orchestrator import runner
from cell.orchestrator.actions import Action, Call, Here, There
from cell.orchestrator.registry import Bound, Registry
from cell.rules.orchestration import Status
from cell.rules.turns import Output
from cell.settings import CellSettings
from runtime import program
from runtime.database import Connection
from tests.cell.crashes.forks import keep
from tests.cell.crashes.points import Moment, Points, Way, name_of


class Dying:
    """A party's answer, on either side of which its caller may die."""

    def __init__(self, party: Any, workflow: str, points: Points) -> None:
        self._party, self._workflow, self._points = party, workflow, points

    def _reach(self, call: Call, way: Way, moment: Moment) -> None:
        self._points.reach(name_of(call.tenant_id, self._workflow, call.step, way, moment))

    async def act(self, call: Call) -> Output:
        self._reach(call, "act", "before")
        output: Output = await self._party.act(call)
        self._reach(call, "act", "effect")
        return output

    async def find(self, call: Call) -> Output | None:
        found: Output | None = await self._party.find(call)
        if found is not None:  # somebody died between effect and record, if not at this point
            self._reach(call, "act", "effect")
        return found

    async def undo(self, call: Call) -> None:
        self._reach(call, "undo", "before")
        await self._party.undo(call)
        self._reach(call, "undo", "effect")


def dying(action: Action, workflow: str, points: Points) -> Action:
    """The same, on either side of which its worker may die."""
    if isinstance(action, There):
        return There(Dying(action.party, workflow, points))
    if not isinstance(action, Here):
        return action
    act, undo = action.act, action.undo

    async def acting(connection: Connection, call: Call) -> Output:
        points.reach(name_of(call.tenant_id, workflow, call.step, "act", "before"))
        output = await act(connection, call)
        points.reach(name_of(call.tenant_id, workflow, call.step, "act", "effect"))
        return output

    async def undoing(connection: Connection, call: Call) -> None:
        points.reach(name_of(call.tenant_id, workflow, call.step, "undo", "before"))
        if undo is not None:
            await undo(connection, call)
        points.reach(name_of(call.tenant_id, workflow, call.step, "undo", "effect"))

    return Here(acting, None if undo is None else undoing)


def prepare(points: Points) -> None:
    """Lay the points around all that workers know."""
    known, perform = cell.app.worker.workflows, runner._Ownership._perform

    def workflows(*args: Any) -> Registry:
        made = known(*args)
        return Registry([with_points(each) for each in made._bound.values()])

    def with_points(bound: Bound) -> Bound:
        actions: Mapping[str, Action] = {
            name: dying(action, bound.workflow.name, points) for name, action in bound.actions.items()
        }
        return replace(bound, actions=actions)

    async def performed(self: Any, name: str) -> tuple[str, ...]:
        forward = self._owned.steps[name].status is Status.STARTED
        following = await perform(self, name)
        way: Way = "act" if forward else "undo"
        points.reach(name_of(self._owned.tenant_id, self._owned.workflow, name, way, "record"))
        return following

    cell.app.worker.workflows = workflows
    runner._Ownership._perform = performed  # type: ignore[method-assign]


def shift_clock(seconds: float) -> None:
    """This process believes that it is earlier or later than it is."""
    real = time.time
    time.time = lambda: real() + seconds


def main() -> None:
    """Keep so many running until standard input ends."""
    count, folder, seconds = int(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]) if sys.argv[3:] else inf
    prepare(Points(folder))
    chance, killing_at = random.Random(1), time.monotonic() + seconds  # noqa: S311 no secret

    def run() -> int:
        if sys.argv[4:]:
            shift_clock(random.Random(os.getpid()).choice((-3600.0, 3600.0)))  # noqa: S311 no secret
        return program.main("cell.worker", CellSettings, build_worker)

    def kill_by_chance(running: list[int]) -> None:
        nonlocal killing_at
        if time.monotonic() > killing_at:
            os.kill(chance.choice(running), signal.SIGKILL)
            killing_at = time.monotonic() + chance.uniform(0.5, 1.5) * seconds

    keep(count, run, kill_by_chance)


if __name__ == "__main__":
    main()
