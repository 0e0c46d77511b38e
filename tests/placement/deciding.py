"""A whole placement that decides as its leader when it is told to, for tests that freeze it:
`python -m tests.placement.deciding`, with a placement's environment.

It says `term N` when it has read the term for a decision, waits for a line, and only then decides with that
number: `cell` opens or cordons cell-1, `move` plans a move of acme to cell-2. It says what came of it: `done`,
`refused` or `unavailable`; and begins again.
"""

import asyncio
import sys

from directory.errors import NotLeader, Unavailable
from directory.leading import Candidate
from directory.postgres import PostgresDirectory
from directory.postgres_moves import PostgresMoves
from directory.values import NewMove, Term
from placement.app import assemble
from placement.settings import PlacementSettings
from runtime import database, program
from runtime.lifecycle import Lifecycle, Part
from runtime.tasks import Tasks
from tests.placement.impatient import allow
from tests.waiting import eventually

STANDS_SECONDS = 600.0
"""Longer than any test lets another lead."""
IDLE_SECONDS = 4.0
"""After so long Postgres ends the transaction of a decider that stands still; a placement's own after 20 s."""


class Decider:
    """Decides as placement's leader does: the term is read first, and carried."""

    def __init__(self, candidate: Candidate, dsn: str) -> None:
        self._candidate, self._dsn = candidate, dsn
        self._tasks = Tasks()

    async def start(self) -> None:
        """Listen, from now on."""
        self._pool = await database.open_pool(self._dsn, name="cellway-placement", idle_seconds=IDLE_SECONDS)
        self._tasks.keep("decide", self._step)

    async def stop(self) -> None:
        """Decide nothing more."""
        await self._tasks.close()
        self._pool.terminate()

    async def _step(self) -> None:
        term = await eventually(lambda: self._candidate.term, seconds=STANDS_SECONDS)
        assert term is not None
        _say(f"term {term.number}")
        what = (await asyncio.to_thread(sys.stdin.readline)).strip()
        try:
            await self._decide(what, term)
            _say("done")
        except NotLeader:
            _say("refused")
        except Unavailable:
            _say("unavailable")

    async def _decide(self, what: str, term: Term) -> None:
        if what == "move":
            await PostgresMoves(self._pool).plan(NewMove("acme", "cell-2"), term)
            return
        directory = PostgresDirectory(self._pool)
        cell = await directory.cell("cell-1")
        await directory.change_cell("cell-1", "cordon" if cell.state == "open" else "open", term)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def build(settings: PlacementSettings) -> Lifecycle:
    """Placement, and one more part."""
    made = await assemble(settings)
    decider = Decider(made.candidate, settings.directory_dsn)
    made.lifecycle.add(Part("decider", decider.start, stop=decider.stop))
    return made.lifecycle


if __name__ == "__main__":
    allow()
    sys.exit(program.main("placement", PlacementSettings, build))
