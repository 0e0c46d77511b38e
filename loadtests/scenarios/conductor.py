"""One run of one scenario: find the rate, draw the requests, load, disturb, and judge what came of it."""

import asyncio
import contextlib
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from loadtests.router.errors import CannotMeasure
from loadtests.router.noise import Noise
from loadtests.router.report import machine
from loadtests.scenarios import stage as stages
from loadtests.scenarios.faults import ACTIONS, Log, require_possible
from loadtests.scenarios.load import END_SECONDS, Loading, capacity, loading
from loadtests.scenarios.rules.arrivals import Arrivals, poisson, together, zipf
from loadtests.scenarios.rules.goals import Judged, judge
from loadtests.scenarios.rules.run import Run, Span
from loadtests.scenarios.rules.samples import reasons
from loadtests.scenarios.rules.telling import Circumstances, told
from loadtests.scenarios.scenario import Fault, Scenario
from loadtests.scenarios.stage import Given, Stage

CALIBRATING_SECONDS = 4.0
CALIBRATING_CONNECTIONS = 8
MOST_PER_SECOND = 5000.0
"""Of what is drawn beforehand to calibrate."""
LEAST_RATE = 5.0
MOST_SAID = 6
"""Kinds of refusals in the notes."""
NOISE_LIMIT = 0.1
"""What a tenant that floods is granted, in the rate of all others together."""
NOISE_USUAL = 0.5
"""The part of that it asks for all the time: the flood is judged, and not that there is one tenant more."""

RUSH = (0.2, 0.8)
"""Shares of the run between which customers come."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a run is told. `seconds` and `rate` are the scenario's and the machine's own where they are None."""

    seconds: float | None = None
    rate: float | None = None
    seed: int = 1
    given: Given | None = None
    folder: Path | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it. `others_cores`: what other programs used of the machine meanwhile."""

    judged: list[Judged]
    told: dict[str, Any]
    others_cores: float

    @property
    def passed(self) -> bool:
        return all(each.passed for each in self.judged)


def require_runnable(scenario: Scenario, options: Options) -> None:
    """CannotMeasure when its faults are not possible there."""
    where = options.given
    for fault in scenario.faults:
        operator, cell = bool(where and where.placement), where.cell if where else ""
        require_possible(fault, embedded=where is None, operator=operator, cell=cell)
    if where is None:
        return
    if scenario.newcomers_per_second and not where.placement:
        raise CannotMeasure("customers come by placement: say --placement and --token-file")
    if any(surge.noisy for surge in scenario.surges) and not where.placement and len(where.keys) < 2:
        raise CannotMeasure("a noisy neighbour takes at least two tenants")


async def run(scenario: Scenario, options: Options, say: Callable[[str], None]) -> Outcome:
    """From its beginning to its verdict. CannotMeasure."""
    require_runnable(scenario, options)
    seconds = options.seconds or scenario.seconds
    with tempfile.TemporaryDirectory(prefix="cellway-load-") as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        async with _stage(scenario, options, folder) as stage:
            chance = np.random.default_rng(options.seed)
            rate, how = await _rate(scenario, options, stage, folder, chance)
            say(how)
            if stage.noisy is not None and stage.operator is not None:
                await _limit(stage, stage.noisy, rate)
            return await _played(scenario, options, stage, folder, chance, rate, seconds, how)


@contextlib.asynccontextmanager
async def _stage(scenario: Scenario, options: Options, folder: Path) -> AsyncIterator[Stage]:
    where = stages.embedded(scenario, folder) if options.given is None else stages.given(scenario, options.given)
    async with where as stage:
        yield stage


def mix_of(scenario: Scenario, stage: Stage) -> dict[str, float]:
    """Streams are asked for where there are some."""
    return {name: share for name, share in scenario.mix.items() if name != "stream" or stage.way.events_path}


async def _rate(
    scenario: Scenario, options: Options, stage: Stage, folder: Path, chance: np.random.Generator
) -> tuple[float, str]:
    """Requests a second, and why so many, for people."""
    if options.rate is not None:
        return options.rate, f"{scenario.name}: {options.rate:.0f} requests a second, as was asked for"
    # A stream lasts, so it would say nothing of how many requests are carried.
    mix = {name: share for name, share in mix_of(scenario, stage).items() if name != "stream"}
    quiet = _quiet(stage)
    shares, lasting = zipf(len(quiet), scenario.zipf), (0.0, 1.5 * CALIBRATING_SECONDS)
    most = poisson(chance, MOST_PER_SECOND, lasting, quiet, shares, mix)
    carried = await capacity(folder, stage.way, most, CALIBRATING_CONNECTIONS, CALIBRATING_SECONDS)
    rate = max(LEAST_RATE, scenario.share * carried)
    where = "this machine carried, with client, routers, cells and databases on it"
    if options.given is not None:
        where = f"were answered to {CALIBRATING_CONNECTIONS} connections"
    return (
        rate,
        f"{scenario.name}: {rate:.0f} requests a second, {scenario.share:.0%} of the {carried:.0f} that {where}",
    )


def _quiet(stage: Stage) -> list[int]:
    """Numbers of the tenants that share the usual load."""
    return [number for number in range(len(stage.homes)) if number != stage.noisy]


async def _limit(stage: Stage, noisy: int, rate: float) -> None:
    limit = {"per_second": max(1.0, NOISE_LIMIT * rate), "burst": max(2, round(NOISE_LIMIT * rate))}
    await stage.require_operator().call("PUT", f"/v1/tenants/{stage.names[noisy]}/rate", limit)


def draw(scenario: Scenario, chance: np.random.Generator, stage: Stage, rate: float, seconds: float) -> Arrivals:
    """All requests of the run."""
    quiet = _quiet(stage)
    shares, mix = zipf(len(quiet), scenario.zipf), mix_of(scenario, stage)
    alone = zipf(1, scenario.zipf)
    drawn = [poisson(chance, rate, (0.0, seconds), quiet, shares, mix)]
    if stage.noisy is not None:
        usual = NOISE_USUAL * NOISE_LIMIT * rate
        drawn.append(poisson(chance, usual, (0.0, seconds), [stage.noisy], alone, {"read": 1.0}))
    for surge in scenario.surges:
        within = surge.at * seconds, surge.until * seconds
        if surge.noisy and stage.noisy is not None:
            drawn.append(poisson(chance, surge.times * rate, within, [stage.noisy], alone, {"read": 1.0}))
        else:
            drawn.append(poisson(chance, (surge.times - 1) * rate, within, quiet, shares, mix))
    if scenario.newcomers_per_second:
        within = RUSH[0] * seconds, RUSH[1] * seconds
        drawn.append(poisson(chance, scenario.newcomers_per_second, within, [quiet[0]], alone, {"onboard": 1.0}))
    return together(*drawn)


async def _played(
    scenario: Scenario,
    options: Options,
    stage: Stage,
    folder: Path,
    chance: np.random.Generator,
    rate: float,
    seconds: float,
    how: str,
) -> Outcome:
    log, notes = Log(), [how]
    arrivals = draw(scenario, chance, stage, rate, seconds)
    noisy = () if stage.noisy is None else (stage.noisy,)
    noise = np.isin(arrivals["tenant"], noisy)
    async with loading(folder, stage.way, arrivals[~noise], f"{stage.first}r", arrivals[noise]) as load:
        others, began = Noise(), datetime.now(UTC)
        log.began = await load.begin()
        async with asyncio.TaskGroup() as group:
            for fault in scenario.faults:
                meant = replace(fault, cell=options.given.cell) if options.given and fault.cell else fault
                group.create_task(_disturb(stage, meant, log, seconds))
            samples = await load.ended(seconds + END_SECONDS)
        others_cores = others.cores()
    spans = [*log.spans, *_expected(scenario, seconds)]
    found = Run(
        seconds=seconds,
        rate=rate,
        samples=samples,
        homes=stage.homes,
        spans=sorted(spans, key=lambda span: span.from_second),
        switches=log.switches,
        noisy=noisy,
        facts=log.facts,
    )
    judged = judge(scenario.goals, found)
    notes += [*log.notes, *_notes(found, load, others_cores, embedded=options.given is None)]
    circumstances = Circumstances(
        began.strftime("%Y-%m-%dT%H:%M:%SZ"), machine(), stage.target, options.seed, mix_of(scenario, stage), notes
    )
    return Outcome(judged, told(scenario, found, judged, circumstances), others_cores)


async def _disturb(stage: Stage, fault: Fault, log: Log, seconds: float) -> None:
    await _until(log, fault.at * seconds)
    await ACTIONS[fault.action].act(stage, fault, log, lambda: _until(log, fault.until * seconds))


async def _until(log: Log, second: float) -> None:
    await asyncio.sleep(max(0.0, log.began + second - time.monotonic()))


def _expected(scenario: Scenario, seconds: float) -> list[Span]:
    """What the load itself does to the platform."""
    found = [Span(surge.at * seconds, surge.until * seconds, surge.what) for surge in scenario.surges]
    if scenario.newcomers_per_second:
        what = f"{scenario.newcomers_per_second:g} new customers a second"
        found.append(Span(RUSH[0] * seconds, RUSH[1] * seconds, what))
    return found


def _notes(run: Run, load: Loading, others_cores: float, *, embedded: bool) -> list[str]:
    """What people should know when they read the figures."""
    found = []
    late = run.samples["late"][~np.isin(run.samples["tenant"], list(run.noisy))]
    if len(late):
        found.append(
            f"The client itself sent half of the requests within {np.quantile(late, 0.5) * 1000:.1f} ms of their "
            f"due time and 99 of 100 within {np.quantile(late, 0.99) * 1000:.1f} ms; that is part of each latency."
        )
        milliseconds = load.cpu_seconds / len(run.samples) * 1000
        found.append(f"The client took {milliseconds:.2f} ms of CPU time for each request.")
    if run.noisy:
        found.append("The noisy tenant has a client of its own, that gives way to all else on this machine.")
    if embedded:
        found.append(f"Other programs used {others_cores:.2f} cores of this machine meanwhile.")
    if load.repeated:
        found.append(
            f"{load.repeated} requests were sent once more on a new connection, for the kept one was closed "
            "before an answer began, as HTTP has clients do."
        )
    if bad := reasons(run.samples):
        found.append(
            "Failures by what clients saw: " + ", ".join(f"{k}: {n}" for k, n in sorted(bad.items())) + "."
        )
    if load.said:
        said = load.said.most_common(MOST_SAID)
        found.append(
            "Refusals, in the words of the answers: " + "; ".join(f"{words} ({n})" for words, n in said) + "."
        )
    found += [f"{name.replace('_', ' ')}: {value:g}" for name, value in sorted(run.facts.items())]
    return found
