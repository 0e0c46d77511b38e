"""A process that leads and decides, for tests that freeze it: `python -m tests.directory.deciding DSN RESOURCE
[CONSUL]`.

It says `term N` when it has read the term for a decision, waits for a line, and only then decides with that
number; it says `decided` or `refused`, and begins again.
"""

import asyncio
import sys
from contextlib import suppress

from directory.errors import NotLeader, Unavailable
from directory.leading import Candidate, open_leadership
from directory.postgres import PostgresDirectory
from directory.postgres_leadership import PostgresTerms
from runtime import database, logs
from runtime.tasks import Tasks
from tests.waiting import eventually

LIVES_SECONDS = 1.0
STANDS_SECONDS = 600.0
"""Longer than any test lets another lead."""


async def main(dsn: str, resource: str, consul_url: str | None = None) -> None:
    """Until the input ends."""
    pool = await database.open_pool(dsn, name="deciding")
    directory = PostgresDirectory(pool)
    leadership = open_leadership(pool, consul_url, None, LIVES_SECONDS)
    candidate, tasks = Candidate(leadership, PostgresTerms(pool), resource, "deciding"), Tasks()

    async def stand() -> None:
        with suppress(Unavailable):
            await candidate.step()

    tasks.keep("lead", stand)
    while True:
        term = await eventually(lambda: candidate.term, seconds=STANDS_SECONDS)
        assert term is not None
        sys.stdout.write(f"term {term.number}\n")
        sys.stdout.flush()
        if not await asyncio.to_thread(sys.stdin.readline):
            break
        try:
            cell = await directory.cell("cell-1")
            await directory.change_cell("cell-1", "cordon" if cell.state == "open" else "open", term)
            sys.stdout.write("decided\n")
        except NotLeader:
            sys.stdout.write("refused\n")
            await candidate.give_up()
        sys.stdout.flush()
    await tasks.close()
    await candidate.close()
    pool.terminate()


if __name__ == "__main__":
    logs.configure("deciding", "error", "json", stream=sys.stderr)
    asyncio.run(main(*sys.argv[1:]))
