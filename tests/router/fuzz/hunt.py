"""The search: what behaves in a new way is kept and mutated again; what breaks a promise is saved."""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from tests.router.fuzz.case import Case
from tests.router.fuzz.mutate import mutated, seeds
from tests.router.fuzz.network import MemoryLoop
from tests.router.fuzz.shell import Behaviour, Found, Shell, shelled

SERVES_EVERY = 200
"""Cases between two ordinary requests."""


@dataclass
class Hunt:
    """What was tried and found."""

    artifacts: Path
    cases: int = 0
    known: set[Behaviour] = field(default_factory=set)
    found: list[tuple[Path, str]] = field(default_factory=list)

    async def run(self, chosen: Iterator[Case], kept: list[Case]) -> None:
        """Try cases until there are no more, or three broke a promise."""
        iterator = iter(chosen)
        while len(self.found) < 3:
            async with shelled() as shell:
                if await self._with(shell, iterator, kept):
                    return

    async def _with(self, shell: Shell, chosen: Iterator[Case], kept: list[Case]) -> bool:
        """Whether all were tried; after a broken promise the rest needs a new router."""
        for case in chosen:
            self.cases += 1
            try:
                behaviour = await shell.run(case)
                if self.cases % SERVES_EVERY == 0:
                    await shell.serves()
            except (Found, TimeoutError) as error:
                self.found.append((case.save(self.artifacts), repr(error)))
                return False
            if behaviour not in self.known:
                self.known.add(behaviour)
                kept.append(case)
        return True


def hunted(artifacts: Path, *, seed: int, seconds: float | None = None, cases: int | None = None) -> Hunt:
    """Every seed, then mutations until the time is over or so many cases were tried."""
    chance = random.Random(seed)  # noqa: S311 (repeatable, not secret)
    kept = seeds()
    beginning = list(kept)
    end = None if seconds is None else time.monotonic() + seconds

    def chosen() -> Iterator[Case]:
        tried = 0
        while (cases is None or tried < cases) and (end is None or time.monotonic() < end):
            # A short hunt tries other seeds each time it is told another number.
            yield (
                beginning.pop(chance.randrange(len(beginning)))
                if cases is None and beginning
                else mutated(chance, kept)
            )
            tried += 1

    hunt = Hunt(artifacts)
    in_memory(lambda: hunt.run(chosen(), kept))
    return hunt


def repeated(case: Case) -> Behaviour:
    """One case with a router of its own. Found."""
    result: list[Behaviour] = []

    async def run() -> None:
        async with shelled() as shell:
            result.append(await shell.run(case))
            await shell.serves()

    in_memory(run)
    return result[0]


def in_memory(
    run: Callable[[], Coroutine[Any, Any, None]], loop_factory: Callable[[], MemoryLoop] = MemoryLoop
) -> None:
    """Run it in a loop whose network is memory, and quietly."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(run())
    finally:
        structlog.configure(**before)
