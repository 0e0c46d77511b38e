"""Starts the process that makes the load (`driver`), and reads what it noted."""

import asyncio
import contextlib
import json
import os
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from loadtests.router.errors import CannotMeasure
from loadtests.scenarios.rules.arrivals import Arrivals
from loadtests.scenarios.rules.samples import SAMPLE, Samples

READY_SECONDS = 60.0
AHEAD_SECONDS = 0.5
"""From `go` to the first second."""
END_SECONDS = 120.0
"""After the last request was due."""
MOST_WORDS = 2000
"""Of its last words, in characters."""


@dataclass(frozen=True, slots=True)
class Way:
    """Where requests go. `tenants`: of each its name, path and key, by number."""

    router: str
    tenants: Sequence[Mapping[str, str]]
    placement: str = ""
    operator_token: str = ""
    events_path: str = ""
    ca: str | None = None

    def plan(self, **more: Any) -> dict[str, Any]:
        """For the driver."""
        return {
            "router": self.router,
            "tenants": [dict(tenant) for tenant in self.tenants],
            "placement": self.placement,
            "operator_token": self.operator_token,
            "events_path": self.events_path,
            "ca": self.ca,
            "closed": None,
            "gives_way": False,
            **more,
        }


class _Driver:
    """A process that is told when to begin, and says what came of it."""

    def __init__(self, process: Process, folder: Path, log: Path) -> None:
        self._process, self._folder, self._log = process, folder, log

    async def go(self, at: float) -> None:
        """The first second begins at that time of the system's clock. CannotMeasure."""
        stdin = self._process.stdin
        if stdin is None:
            raise CannotMeasure("the load cannot be told to begin")
        stdin.write(f"go {at}\n".encode())
        await stdin.drain()

    async def ended(self, deadline_seconds: float) -> tuple[Samples, dict[str, Any]]:
        """Wait until all requests have been answered; what came of them, and what it tells. CannotMeasure."""
        told = json.loads(await self.line(deadline_seconds))
        await self._process.wait()
        return np.fromfile(self._folder / "samples", SAMPLE), told

    async def line(self, deadline_seconds: float) -> str:
        """The next one that it says. CannotMeasure."""
        stdout = self._process.stdout
        line = b""
        if stdout is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(deadline_seconds):
                    line = await stdout.readline()
        if not line:
            words = self._log.read_text(encoding="utf-8", errors="replace").strip()[-MOST_WORDS:]
            raise CannotMeasure(f"the load broke off: {words or 'it did not end in time'}")
        return line.decode()

    async def once_ready(self) -> None:
        """CannotMeasure when it is not."""
        if (await self.line(READY_SECONDS)).strip() != "ready":
            raise CannotMeasure(f"the load did not start: see {self._log}")


class Loading:
    """Drivers that are ready, and then send."""

    def __init__(self, drivers: Sequence[_Driver]) -> None:
        self._drivers = drivers
        self.repeated = self.counted_by_locust = 0
        self.cpu_seconds = 0.0
        self.said: Counter[str] = Counter()
        """Refusals by their words."""

    async def begin(self) -> float:
        """Say go; the monotonic moment of the first second."""
        began, at = time.monotonic() + AHEAD_SECONDS, time.time() + AHEAD_SECONDS
        for driver in self._drivers:
            await driver.go(at)
        return began

    async def ended(self, deadline_seconds: float) -> Samples:
        """Wait until all requests have been answered; what came of them. CannotMeasure."""
        ends = await asyncio.gather(*(driver.ended(deadline_seconds) for driver in self._drivers))
        for _samples, told in ends:
            self.repeated += told["repeated"]
            self.counted_by_locust += told["counted_by_locust"]
            self.cpu_seconds += told["cpu_seconds"]
            self.said.update(told["said"])
        return np.concatenate([samples for samples, _told in ends])


@contextlib.asynccontextmanager
async def loading(
    folder: Path, way: Way, arrivals: Arrivals, first: str, noise: Arrivals | None = None
) -> AsyncIterator[Loading]:
    """What makes the load waits for its beginning; it is stopped at the end of the block.

    `noise` comes from a process of its own, that gives way to everything else on this machine: who floods has no
    part of the others' client, nor its processor.
    """
    parts = [(folder, arrivals, False)]
    if noise is not None and len(noise):
        parts.append((folder / "noise", noise, True))
    async with contextlib.AsyncExitStack() as exits:
        drivers = []
        for place, drawn, gives_way in parts:
            plan = way.plan(first=first, gives_way=gives_way)
            drivers.append(await exits.enter_async_context(_driver(place, plan, drawn)))
        for driver in drivers:
            await driver.once_ready()
        yield Loading(drivers)


async def capacity(folder: Path, way: Way, arrivals: Arrivals, connections: int, seconds: float) -> float:
    """Requests a second that are answered when as many are asked as can be. CannotMeasure."""
    warm = seconds / 4
    closed = {"connections": connections, "seconds": seconds, "warm_seconds": warm}
    async with _driver(folder, way.plan(first="k", closed=closed), arrivals) as load:
        told = json.loads(await load.line(seconds + warm + READY_SECONDS))
    if told["failed"] or not told["per_second"]:
        raise CannotMeasure(f"the platform does not carry any load: {told}")
    return float(told["per_second"])


@contextlib.asynccontextmanager
async def _driver(folder: Path, plan: dict[str, Any], arrivals: Arrivals) -> AsyncIterator[_Driver]:
    path, log = _written(folder, plan, arrivals), folder / "driver.log"
    with log.open("wb") as words:
        process = await _started(path, words)
    try:
        yield _Driver(process, folder, log)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        path.unlink()  # it holds keys


def _written(folder: Path, plan: dict[str, Any], arrivals: Arrivals) -> Path:
    """The plan's file."""
    folder.mkdir(exist_ok=True)
    drawn, path = folder / "arrivals.npy", folder / "plan.json"
    np.save(drawn, arrivals)
    write_private(path, json.dumps({**plan, "arrivals": str(drawn), "samples": str(folder / "samples")}))
    return path


def write_private(path: Path, text: str) -> None:
    """A file for its owner's eyes: it holds keys."""
    path.touch(0o600)
    path.write_text(text, encoding="utf-8")


async def _started(plan: Path, words: IO[bytes]) -> Process:
    command = (sys.executable, "-m", "loadtests.scenarios.driver", str(plan))
    root = Path(__file__).parents[2]
    paths = os.pathsep.join([str(root), *filter(None, [os.environ.get("PYTHONPATH")])])
    return await asyncio.create_subprocess_exec(
        *command,
        stdin=PIPE,
        stdout=PIPE,
        stderr=words,
        env={**os.environ, "PYTHONPATH": paths},
        start_new_session=True,  # by which its priority counts
    )
