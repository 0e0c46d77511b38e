"""What a timeline can do to a platform, by name. Each action begins when it is called and ends by itself.

`within` waits for the moment until which a fault is to last. What was done, and when, is told to the `Log`.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from console.platform.blueprint import CONTROL_POSTGRES, DIRECTORY_REDIS, PLACEMENT
from directory.rules.moves import ENDED
from loadtests.operator import Operator
from loadtests.router.errors import CannotMeasure
from loadtests.scenarios.routers import NAMES
from loadtests.scenarios.rules.run import Span, Switch
from loadtests.scenarios.scenario import Fault
from loadtests.scenarios.stage import Stage

RETURN_SECONDS = 60.0
MOVE_SECONDS = 120.0
LOOK_SECONDS = 0.1
STORM = 12
"""Tenants that move at once."""


@dataclass(slots=True)
class Log:
    """What was done, in seconds of the run. `began`, the monotonic first second, is known once the load begins."""

    began: float = 0.0
    spans: list[Span] = field(default_factory=list)
    switches: list[Switch] = field(default_factory=list)
    facts: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def now(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self.began

    def at(self, moment: str) -> float:
        """Of a time as placement tells it."""
        return datetime.fromisoformat(moment).timestamp() - time.time() + self.now()

    def add(self, name: str, count: float) -> None:
        """To a fact that is counted."""
        self.facts[name] = self.facts.get(name, 0.0) + count

    @contextlib.asynccontextmanager
    async def span(self, what: str, cell: str = "", *, disturbs: bool = True) -> AsyncIterator[None]:
        """What is done within the block."""
        since = self.now()
        try:
            yield
        finally:
            self.spans.append(Span(since, self.now(), what, cell, disturbs))


Within = Callable[[], Awaitable[None]]
Act = Callable[[Stage, Fault, Log, Within], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Action:
    """`embedded`: it kills processes, so it needs a platform of ours. `operator`: it is asked of placement."""

    act: Act
    embedded: bool = False
    operator: bool = False


async def lose_cell(stage: Stage, fault: Fault, log: Log, within: Within) -> None:
    """kill -9 of all that a cell is, and it stays away for a while."""
    platform = stage.require_platform()
    parts = [f"{fault.cell} {part}" for part in ("api", "worker", "redis", "postgres")]
    async with log.span(f"{fault.cell}: API, worker, Redis and Postgres killed", fault.cell):
        await platform.hold(*parts)
        await within()
    async with log.span(f"{fault.cell} starts again", fault.cell, disturbs=False):
        await platform.release(*parts, deadline_seconds=RETURN_SECONDS)


async def lose_directory(stage: Stage, _fault: Fault, log: Log, within: Within) -> None:
    """The control database, the directory's Redis and placement are gone."""
    platform = stage.require_platform()
    parts = (CONTROL_POSTGRES, DIRECTORY_REDIS, PLACEMENT)
    async with log.span("control database, directory's Redis and placement killed"):
        await platform.hold(*parts)
        since = log.now()
        await within()
        log.facts["outage_seconds"] = round(log.now() - since, 1)
    async with log.span("control database, directory's Redis and placement start again", disturbs=False):
        await platform.release(*parts, deadline_seconds=RETURN_SECONDS)


async def restart_routers(stage: Stage, _fault: Fault, log: Log, within: Within) -> None:
    """SIGTERM to one router and then the other, as a service manager does; nobody is told beforehand."""
    routers = stage.require_routers()
    for number, name in enumerate(NAMES, 1):
        async with log.span(f"router-{number}: SIGTERM, and started again"):
            await routers.restart(name)
            await routers.until(name, serves=True)
        log.add("restarts", 1)
    await within()


async def upgrade_routers(stage: Stage, _fault: Fault, log: Log, within: Within) -> None:
    """One after the other: out of service, ended once the balancer knows, replaced, back in service."""
    routers = stage.require_routers()
    for number, name in enumerate(NAMES, 1):
        async with log.span(f"router-{number}: drained, replaced, back"):
            await routers.drain(name)
            await routers.restart(name)
            await routers.until(name, serves=True)
        log.add("restarts", 1)
    await within()


async def move_busiest(stage: Stage, fault: Fault, log: Log, within: Within) -> None:
    """The busiest tenant goes from cell to cell, again and again."""
    await _again(within, lambda: _moved(stage, log, [0]))


async def move_many(stage: Stage, fault: Fault, log: Log, within: Within) -> None:
    """A dozen tenants at once, each to the next cell, again and again."""
    await _again(within, lambda: _moved(stage, log, range(min(STORM, len(stage.homes)))))


async def drain_cell(stage: Stage, fault: Fault, log: Log, within: Within) -> None:
    """A cell is drained: placement plans where everybody goes, movers carry them. Afterwards it is open again."""
    operator = stage.require_operator()
    cell = fault.cell
    leaving = [number for number, home in enumerate(stage.homes) if home == cell]
    since = log.now()
    async with log.span(f"{cell} is drained"):
        await operator.call("POST", f"/v1/cells/{cell}:drain")
        drain = await _until_empty(operator, cell, within)
        log.facts["tenants_left"] = float(drain["tenants_left"])
        log.facts["drained_seconds"] = round(log.now() - since, 1)
    for number in leaving:
        moves = (await operator.call("GET", f"/v1/moves?tenant={stage.names[number]}"))["moves"]
        for move in moves:
            await _switched(operator, log, number, move)
    await operator.call("POST", f"/v1/cells/{cell}:open")


async def _until_empty(operator: Operator, cell: str, within: Within) -> Any:
    """How far it is once the cell is empty, or the time is over."""
    async with asyncio.TaskGroup() as group:
        late = group.create_task(_wait(within))
        while True:
            drain = await operator.call("GET", f"/v1/cells/{cell}/drain")
            if drain["state"] == "empty" or late.done():
                late.cancel()
                return drain
            await asyncio.sleep(LOOK_SECONDS)


async def _again(within: Within, once: Callable[[], Awaitable[None]]) -> None:
    """Until the moment has come; what was begun is done to its end."""
    async with asyncio.TaskGroup() as group:
        over = group.create_task(_wait(within))
        while not over.done():
            await once()


async def _wait(within: Within) -> None:
    await within()


async def _moved(stage: Stage, log: Log, numbers: Sequence[int]) -> None:
    """These tenants, together, each to the next cell."""
    operator = stage.require_operator()
    listed = (await operator.call("GET", "/v1/cells"))["cells"]
    cells = sorted(cell["cell_id"] for cell in listed if cell["state"] == "open")
    what = f"{stage.names[numbers[0]]} moves" if len(numbers) == 1 else f"{len(numbers)} tenants move"
    async with log.span(what):
        moves = {}
        for number in numbers:
            name = stage.names[number]
            home = (await operator.call("GET", f"/v1/tenants/{name}"))["cell_id"]
            destination = cells[(cells.index(home) + 1) % len(cells)]
            body = {"tenant_id": name, "destination": destination}
            moves[number] = (await operator.call("POST", "/v1/moves", body))["move_id"]
            log.add("moves", 1)
        for number, move_id in moves.items():
            move = await _ended(operator, move_id)
            log.add("moves_not_done", move["phase"] != "DONE")
            await _switched(operator, log, number, move)


async def _ended(operator: Operator, move_id: str) -> Any:
    """The move, once nothing becomes of it any more, or after a long time. Its way back is closed at once."""
    end, confirmed = time.monotonic() + MOVE_SECONDS, False
    while True:
        move = await operator.call("GET", f"/v1/moves/{move_id}")
        if move["phase"] in ENDED or time.monotonic() > end:
            return move
        if move["phase"] == "REVERSIBLE" and not confirmed:
            await operator.call("POST", f"/v1/moves/{move_id}:confirm")
            confirmed = True
        await asyncio.sleep(LOOK_SECONDS)


async def _switched(operator: Operator, log: Log, number: int, move: Mapping[str, Any]) -> None:
    """Note when the tenant was switched, and for how long nobody could write."""
    path = f"/v1/moves/{move['move_id']}/events?page_size=100"
    moments = {event["phase"]: event["time"] for event in (await operator.call("GET", path))["events"]}
    if "ACTIVATED" in moments:
        log.switches.append(Switch(log.at(moments["ACTIVATED"]), number, move["destination"]))
        log.add("switched", 1)
        log.facts["longest_pause_ms"] = max(log.facts.get("longest_pause_ms", 0.0), float(move["pause_ms"] or 0))


ACTIONS: Mapping[str, Action] = {
    "lose_cell": Action(lose_cell, embedded=True),
    "lose_directory": Action(lose_directory, embedded=True),
    "restart_routers": Action(restart_routers, embedded=True),
    "upgrade_routers": Action(upgrade_routers, embedded=True),
    "move_busiest": Action(move_busiest, operator=True),
    "move_many": Action(move_many, operator=True),
    "drain_cell": Action(drain_cell, operator=True),
}


def require_possible(fault: Fault, *, embedded: bool, operator: bool, cell: str = "") -> None:
    """CannotMeasure when the action needs what is not there. `cell`: the one that may be drained elsewhere."""
    action = ACTIONS[fault.action]
    if action.embedded and not embedded:
        raise CannotMeasure(
            f"{fault.action} kills processes, which only the embedded platform allows: run it without --url"
        )
    if action.operator and not (embedded or operator):
        raise CannotMeasure(f"{fault.action} is asked of placement: say --placement and --token-file")
    if fault.action == "drain_cell" and not (embedded or cell):
        raise CannotMeasure("drain_cell takes everybody out of a cell of yours: say which with --cell")
