"""Starts the process that makes the load (`driver`), and reads what it noted."""

import asyncio
import contextlib
import json
import os
import sys
import time
from asyncio.subprocess import PIPE, Process
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
            **more,
        }


class Loading:
    """A driver that is ready, and then sends."""

    def __init__(self, process: Process, folder: Path, log: Path) -> None:
        self._process, self._folder, self._log = process, folder, log
        self.told: dict[str, Any] = {}

    async def begin(self) -> float:
        """Say go; the monotonic moment of the first second."""
        stdin = self._process.stdin
        if stdin is None:
            raise CannotMeasure("the load cannot be told to begin")
        began = time.monotonic() + AHEAD_SECONDS
        stdin.write(f"go {time.time() + AHEAD_SECONDS}\n".encode())
        await stdin.drain()
        return began

    async def ended(self, deadline_seconds: float) -> Samples:
        """Wait until all requests have been answered; what came of them. CannotMeasure."""
        self.told = json.loads(await self.line(deadline_seconds))
        await self._process.wait()
        return np.fromfile(self._folder / "samples", SAMPLE)

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


@contextlib.asynccontextmanager
async def loading(folder: Path, way: Way, arrivals: Arrivals, first: str) -> AsyncIterator[Loading]:
    """A driver that waits for its beginning; stopped at the end of the block."""
    async with _driver(folder, way.plan(first=first), arrivals) as load:
        await load.once_ready()
        yield load


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
async def _driver(folder: Path, plan: dict[str, Any], arrivals: Arrivals) -> AsyncIterator[Loading]:
    np.save(folder / "arrivals.npy", arrivals)
    plan |= {"arrivals": str(folder / "arrivals.npy"), "samples": str(folder / "samples")}
    path, log = folder / "plan.json", folder / "driver.log"
    write_private(path, json.dumps(plan))
    with log.open("wb") as words:
        process = await _started(path, words)
    try:
        yield Loading(process, folder, log)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        path.unlink()  # it holds keys


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
