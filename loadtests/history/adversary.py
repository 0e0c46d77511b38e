"""Kills, stops and cuts, one fault after another, as its seed says; everything heals by itself or is healed here.

`kill`  -9, a part; the platform starts it again
`stop`  SIGSTOP, a part with all its processes, for 2 seconds and longer, then SIGCONT
`cut`, `hold`, `delay`, `deaf`  what a proxy can do to its connections
`blackout`  -9, every Postgres at once

Movers are often hit just when one of their moves is about to be switched.
"""

import asyncio
import contextlib
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from console.platform.blueprint import CONTROL_POSTGRES, DIRECTORY_REDIS, MOVER, ROUTER
from loadtests.history.moving import Travels
from loadtests.history.stage import SECOND_MOVER, Stage

if TYPE_CHECKING:
    from loadtests.history.run import Options

AT_ONCE = 2
"""Faults at the same time."""
LEAST_STOP_SECONDS = 2.0
MOMENT_SECONDS = 5.0
"""For which it waits for the moment before a switch."""
DECISIVE = frozenset(("VERIFYING", "READY", "FENCING", "FINALIZING", "COMMITTED", "ACTIVATED"))
RETURN_SECONDS = 60.0
KINDS = ("kill", "stop", "cut", "hold", "delay", "deaf", "blackout")
WEIGHTS: Mapping[str, int] = {"kill": 6, "stop": 4, "cut": 2, "hold": 1, "delay": 1, "deaf": 2, "blackout": 1}
AFTER_SECONDS = 1.0
"""After a fault for which it still counts as disturbing."""


class Adversary:
    """Disturbs one stage until the moves are over."""

    def __init__(self, stage: Stage, travels: Travels, options: "Options") -> None:
        self._stage, self._travels, self._options = stage, travels, options
        self._chance = random.Random(f"{options.seed} faults")
        self._busy: set[str] = set()
        self._spans: list[tuple[float, float]] = []
        self.done: Counter[str] = Counter()
        self._faults: Mapping[str, Callable[[str], Awaitable[None]]] = {
            "kill": self._kill,
            "stop": self._stop,
            "cut": self._cut,
            "hold": self._hold,
            "delay": self._delay,
            "deaf": self._deaf,
            "blackout": self._blackout,
        }

    def __repr__(self) -> str:
        return f"<Adversary, {self.done.total()} faults, at {', '.join(sorted(self._busy)) or 'nothing'}>"

    def disturbed(self, began: float, ended: float) -> bool:
        """Whether a fault was there at that time, or had just been."""
        return any(fault < ended and healed + AFTER_SECONDS > began for fault, healed in self._spans)

    async def run(self) -> None:
        """Until the moves are over; when it returns, everything is healed, but may still be starting."""
        if not self._options.faults:
            return
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(self._again_and_again())

    async def _again_and_again(self) -> None:
        kinds = [kind for kind in KINDS if kind in self._options.faults]
        while not self._travels.over:
            if await self._ended_within(self._chance.uniform(0.2, 1.8) * self._options.between_seconds):
                return
            kind = self._chance.choices(kinds, [WEIGHTS[each] for each in kinds])[0]
            victim = self._victim(kind)
            if victim in self._busy:
                continue
            self._busy.add(victim)
            began = time.monotonic()
            try:
                await self._faults[kind](victim)
            finally:
                self._busy.discard(victim)
                self._spans.append((began, time.monotonic()))

    async def _ended_within(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._travels.stopped.wait()
        return self._travels.over

    def _victim(self, kind: str) -> str:
        if self._options.victims:
            return self._chance.choice(self._options.victims)
        if kind == "blackout":
            return "all"
        if kind in ("kill", "stop"):
            # Movers are what this is about: each fault of the first half is theirs.
            if self._chance.random() < 0.35:
                return self._chance.choice((MOVER, SECOND_MOVER))
            return self._chance.choice(self._stage.parts)
        return self._chance.choice(sorted(self._stage.proxies))

    async def _moment(self, victim: str) -> None:
        """What touches a switch waits for one, for a while."""
        touching = (MOVER, SECOND_MOVER, CONTROL_POSTGRES, DIRECTORY_REDIS, ROUTER, "decisions")
        if victim not in touching and "postgres" not in victim and "rows" not in victim:
            return
        end = time.monotonic() + self._chance.uniform(0.0, MOMENT_SECONDS)
        while time.monotonic() < end and not self._travels.over:
            if DECISIVE & set(self._travels.phases.values()):
                await asyncio.sleep(self._chance.uniform(0.0, 0.06))
                return
            await asyncio.sleep(0.005)

    def _told(self, kind: str, victim: str, seconds: float = 0.0) -> None:
        self.done[f"{kind} {_class_of(victim)}"] += 1
        lasting = f" for {seconds:.1f} s" if seconds else ""
        print(f"  {time.strftime('%H:%M:%S')} {kind} {victim}{lasting}", flush=True)

    # Processes

    async def _kill(self, victim: str) -> None:
        await self._moment(victim)
        pid = self._stage.pid(victim)
        if pid is None:
            return
        self._told("kill", victim)
        _signal(pid, signal.SIGKILL)
        await self._back(victim, pid)

    async def _blackout(self, _victim: str) -> None:
        await self._moment(CONTROL_POSTGRES)
        pids = {part: self._stage.pid(part) for part in self._stage.parts if part.endswith("postgres")}
        self._told("blackout", "every Postgres")
        for pid in pids.values():
            if pid is not None:
                _signal(pid, signal.SIGKILL)
        await asyncio.gather(*(self._back(part, pid) for part, pid in pids.items() if pid is not None))

    async def _back(self, part: str, pid: int) -> None:
        """Wait until it runs again: a fault that is not over would hide the next one."""
        end = time.monotonic() + RETURN_SECONDS
        while (found := self._stage.pid(part)) is None or found == pid:
            if time.monotonic() > end:
                raise TimeoutError(f"{part} did not come back within {RETURN_SECONDS:.0f} s")
            await asyncio.sleep(0.05)

    async def _stop(self, victim: str) -> None:
        await self._moment(victim)
        pid = self._stage.pid(victim)
        if pid is None:
            return
        seconds = self._seconds()
        self._told("stop", victim, seconds)
        stopped = family(pid)
        for each in stopped:
            _signal(each, signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            for each in (*stopped, *family(pid)):
                _signal(each, signal.SIGCONT)

    def _seconds(self) -> float:
        """Mostly short, sometimes as long as may be."""
        most = self._options.most_stop_seconds
        return (
            min(most, LEAST_STOP_SECONDS + self._chance.expovariate(1 / 5.0))
            if most > LEAST_STOP_SECONDS
            else most
        )

    # Connections

    async def _cut(self, victim: str) -> None:
        await self._through("cut", victim, self._stage.proxies[victim].cut())

    async def _hold(self, victim: str) -> None:
        await self._through("hold", victim, self._stage.proxies[victim].held())

    async def _deaf(self, victim: str) -> None:
        await self._through("deaf", victim, self._stage.proxies[victim].deaf())

    async def _delay(self, victim: str) -> None:
        late = self._stage.proxies[victim].delayed(self._chance.uniform(0.005, 0.2))
        await self._through("delay", victim, late)

    async def _through(self, kind: str, victim: str, fault: contextlib.AbstractAsyncContextManager[None]) -> None:
        await self._moment(victim)
        seconds = self._chance.uniform(0.1, 1.0) * min(8.0, self._options.most_stop_seconds)
        self._told(kind, victim, seconds)
        async with fault:
            await asyncio.sleep(seconds)


def family(pid: int) -> list[int]:
    """The process and all its descendants: a server's workers go on while only their parent is stopped."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, IndexError, ValueError):
                stat = (entry / "stat").read_text(encoding="utf-8", errors="replace")
                parents.setdefault(int(stat.rpartition(")")[2].split()[1]), []).append(int(entry.name))
    found = [pid]
    for each in found:
        found += parents.get(each, [])
    return found


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _class_of(victim: str) -> str:
    """Without the number of its cell."""
    return " ".join(word for word in victim.split() if not word.startswith("cell-") and word != "of")
