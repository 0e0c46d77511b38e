"""Makes plans: gathers the fleet, and has it solved within a deadline. Nothing is written anywhere."""

import asyncio
import contextlib
import pickle
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence, Set

from directory.errors import NotFound, Unavailable
from directory.moves import Moves
from directory.reservations import Reservations
from directory.truth import Directory
from placement import metrics
from placement.errors import NotSolved
from placement.gathering import Reckons, gather
from placement.planning.solving import Made, Task, solve
from placement.planning.wishes import Wishes
from placement.rules.predicting import Measured, measured
from runtime import logs
from runtime.clock import Clock, SystemClock

log = logs.get("placement.planning.making")

GRACE_SECONDS = 30.0
"""Beyond the search's own deadline: for a process to start, programs to end, and reasons to be told."""
WAIT_SECONDS = 300.0
"""At most, until others' plans are made; those who ask in person wait less."""
MOST_MEASURED = 20
"""Earlier moves that tell how long moves take."""
Solver = Callable[[Task], Awaitable[Made]]


async def at_once(task: Task) -> Made:
    """In this very process, for fleets that are small."""
    return solve(task)


async def in_a_process(task: Task) -> Made:
    """In one of its own, that is killed when it takes too long. NotSolved."""
    order = await asyncio.to_thread(pickle.dumps, task)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "placement.planning", stdin=PIPE, stdout=PIPE
    )
    try:
        async with asyncio.timeout(task.wishes.seconds + GRACE_SECONDS):
            answer, _ = await process.communicate(order)
    except TimeoutError:
        raise NotSolved(f"no plan was found within {task.wishes.seconds + GRACE_SECONDS:g} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise NotSolved(f"the search ended with code {process.returncode}: placement's log says why")
    made: Made = await asyncio.to_thread(pickle.loads, answer)  # from the process that was started here
    return made


class Maker:
    """Makes one plan at a time: whoever comes meanwhile waits."""

    def __init__(
        self,
        directory: Directory,
        reservations: Reservations,
        moves: Moves,
        demands: Reckons,
        *,
        solver: Solver = in_a_process,
        silent: Callable[[], Set[str]] = frozenset,
        clock: Clock | None = None,
    ) -> None:
        self._directory, self._reservations, self._moves = directory, reservations, moves
        self._demands = demands
        self._solver, self._silent, self._clock = solver, silent, clock or SystemClock()
        self._one = asyncio.Lock()

    async def make(
        self,
        wishes: Wishes,
        drained: str | None = None,
        *,
        begun: Set[str] = frozenset(),
        wait_seconds: float = WAIT_SECONDS,
    ) -> Made:
        """The plan for the balance, or for draining one cell. NotFound; NotSolved; Unavailable.

        `begun` names cells of which a plan that is carried out still was to move somebody.
        """
        async with self._alone(wait_seconds):
            began = self._clock.monotonic()
            fleet = await gather(
                self._directory,
                self._reservations,
                self._moves,
                self._demands,
                self._clock.now(),
                cool_down_seconds=wishes.cool_down_seconds,
                avoid=self._silent(),
            )
            if drained is not None and drained not in fleet.sites.names:
                raise NotFound(f"no cell {drained}")
            made = await self._solver(Task(fleet, wishes, drained, begun, await self._measured()))
            seconds = self._clock.monotonic() - began
        metrics.PLANNING_SECONDS.observe(seconds)
        for balance in made.summary["balances"]:
            metrics.RATIO.labels(balance["resource"]).set(balance["before"])
        log.info(
            "plan_made", cell=drained, tenants=made.summary["tenants"], moves=made.summary["moves"],
            peak_before=made.summary["peak_before"], peak_after=made.summary["peak_after"],
            seconds=round(seconds, 2),
        )  # fmt: skip
        return made

    async def offers(self) -> Mapping[str, int]:
        """Which of its offers each cell makes now; with another number it is not what was planned with."""
        return {room.cell.cell_id: room.offer for room in await self._reservations.rooms()}

    @contextlib.asynccontextmanager
    async def _alone(self, wait_seconds: float) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(wait_seconds):
                await self._one.acquire()
        except TimeoutError:
            raise NotSolved(
                f"another plan is being made, for more than {wait_seconds:g} s already: try again in a while"
            ) from None
        try:
            yield
        finally:
            self._one.release()

    async def _measured(self) -> Sequence[Measured]:
        """How long earlier moves took. Nothing is known of them: what is usual is believed."""
        found = []
        try:
            for move in await self._moves.latest(MOST_MEASURED):
                took = measured(move, await self._moves.events(move.move_id))
                if took is not None:
                    found.append(took)
        except (NotFound, Unavailable):
            return found
        return found
