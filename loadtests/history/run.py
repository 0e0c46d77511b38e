"""One run: clients write, tenants travel, an adversary disturbs; then everything is healed, read and judged."""

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import aiohttp

from console.platform.blueprint import PLACEMENT
from loadtests.history.adversary import Adversary
from loadtests.history.calls import Calls
from loadtests.history.clients import Clients
from loadtests.history.desk import Desk, Journey
from loadtests.history.moving import Travels
from loadtests.history.rules import pauses
from loadtests.history.rules.pauses import Served, Window
from loadtests.history.rules.values import Effects, Entry, History
from loadtests.history.rules.verdict import Verdict, judge
from loadtests.history.stage import Stage

LATE_SECONDS = 2.0
"""After the last call, until what is still on its way has arrived or is given up."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a run is told."""

    moves: int = 200
    seconds: float = 1500.0
    seed: int = 1
    tenants: int = 4
    faults: Sequence[str] = ()
    most_stop_seconds: float = 30.0
    between_seconds: float = 4.0
    victims: Sequence[str] = ()
    """What faults are for; nothing: for everything."""
    name: str = "history"
    """What its tenants' names begin with."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it."""

    options: Options
    seconds: float
    verdict: Verdict
    moves: Counter[str]
    stuck: Sequence[Journey]
    faults: Counter[str]
    statuses: Counter[str]
    pauses_ms: Mapping[str, float]
    waits_ms: Mapping[str, float]
    undisturbed_waits_ms: Mapping[str, float]
    attempts: int
    """Switches that were given up and begun anew."""

    @property
    def holds(self) -> bool:
        """Nothing is wrong with the history, and every move has ended."""
        return self.verdict.holds and not self.stuck


@dataclass(slots=True)
class _Ends:
    registers: dict[str, str] = field(default_factory=dict)
    logs: dict[str, Sequence[Entry]] = field(default_factory=dict)
    done: dict[str, Sequence[str]] = field(default_factory=dict)
    effects: dict[str, Effects] = field(default_factory=dict)


async def run(stage: Stage, options: Options) -> Outcome:
    """A run with tenants of its own."""
    began = time.monotonic()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        everybody = []
        for number in range(options.tenants):
            tenant = await stage.tenant(session, f"{options.name}{options.seed}-{number}")
            everybody.append(Clients(Calls(session, tenant), random.Random(f"{options.seed} clients {number}")))
        await asyncio.gather(*(clients.prepare() for clients in everybody))
        desk = Desk(session, stage.platform.url(PLACEMENT), stage.platform.operator_token)
        chance = random.Random(f"{options.seed} moves")
        travels = Travels(desk, stage.platform.cells, chance, options.moves)
        adversary = Adversary(stage, travels, options)
        async with asyncio.TaskGroup() as group:
            writing = [group.create_task(clients.run()) for clients in everybody]
            timing = group.create_task(_by_time(travels, options.seconds))
            disturbing = group.create_task(adversary.run())
            await asyncio.gather(*(travels.run(each.tenant.tenant_id, each.tenant.cell_id) for each in everybody))
            travels.stop()
            await asyncio.gather(timing, disturbing)
            await stage.whole()
            for clients in everybody:
                clients.stop()
            await asyncio.gather(*writing)
        await asyncio.sleep(LATE_SECONDS)
        history = await _history(everybody)
        offset = time.time() - time.monotonic()
        windows = await travels.windows(lambda at: _monotonic(at, offset))
    return _outcome(options, time.monotonic() - began, everybody, travels, adversary, history, windows)


async def _by_time(travels: Travels, seconds: float) -> None:
    """No further moves when the time is over."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await travels.stopped.wait()
    travels.stop()


def _monotonic(at: datetime, offset: float) -> float:
    return at.timestamp() - offset


async def _history(everybody: Sequence[Clients]) -> History:
    ends = _Ends()
    for clients in everybody:
        try:
            ends.registers.update(await clients.registers())
            ends.effects[clients.tenant.tenant_id] = await clients.effects()
            ends.logs.update(await clients.logs())
            ends.done.update(await clients.done())
        except TimeoutError as error:
            print(f"cannot be read in the end: {error}")
    return History(
        swaps=[each for clients in everybody for each in clients.swaps],
        reads=[each for clients in everybody for each in clients.reads],
        appends=[each for clients in everybody for each in clients.appends],
        looks=[each for clients in everybody for each in clients.looks],
        counts=[each for clients in everybody for each in clients.counts],
        provisionings=[each for clients in everybody for each in clients.provisionings],
        registers=ends.registers,
        logs=ends.logs,
        done=ends.done,
        effects=ends.effects,
    )


def _outcome(
    options: Options,
    seconds: float,
    everybody: Sequence[Clients],
    travels: Travels,
    adversary: Adversary,
    history: History,
    windows: Sequence[Window],
) -> Outcome:
    served = []
    for clients in everybody:
        written = [(each.began, each.ended) for each in clients.swaps if each.outcome == "acknowledged"]
        written += [(each.began, each.ended) for each in clients.appends if each.outcome == "acknowledged"]
        served += [Served(clients.tenant.tenant_id, began, ended) for began, ended in written]
    undisturbed = [window for window in windows if not adversary.disturbed(window.began, window.ended)]
    return Outcome(
        options=options,
        seconds=seconds,
        verdict=judge(history),
        moves=travels.outcomes(),
        stuck=travels.stuck,
        faults=adversary.done,
        statuses=sum((clients.statuses for clients in everybody), Counter()),
        pauses_ms=pauses.spread([move.pause_ms for move in travels.ended if move.pause_ms is not None]),
        waits_ms=pauses.spread(pauses.longest_waits(served, windows)),
        undisturbed_waits_ms=pauses.spread(pauses.longest_waits(served, undisturbed)),
        attempts=sum(move.attempt - 1 for move in travels.ended),
    )
