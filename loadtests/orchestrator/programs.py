"""Starts a measured program on core 0, and counts afterwards what its steps wrote."""

import asyncio
import contextlib
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from secrets import token_hex

import asyncpg

from loadtests import measured
from loadtests.cell.servers import versions_of
from loadtests.cells import make_cell
from loadtests.measured import Figures
from loadtests.orchestrator.ours import EPOCH, TENANTS, tenant
from loadtests.orchestrator.task import STEPS
from loadtests.router.errors import CannotMeasure
from runtime import database
from runtime.embedded.postgres import PostgresServer

OURS, THEIRS, PLAIN = "cellway", "dbos", "dbos_steps"
PEER = "peer"
"""The role of the others: not called as a schema of theirs, or their tables would change places."""


@dataclass(frozen=True, slots=True)
class Program:
    """How it is started, and where what it wrote is counted."""

    name: str
    command: tuple[str | Path, ...]
    dsn: str
    admin_dsn: str
    count: str
    version: str

    def run(self, workflows: int, warm_up: int, at_once: int) -> Figures:
        """One measurement: what it told, if its steps wrote what they should. CannotMeasure."""
        before = asyncio.run(self._written())
        numbers = {"first": before // STEPS, "workflows": workflows, "warm-up": warm_up, "at-once": at_once}
        told = measured.run(self.name, self.command, {"dsn": self.dsn, **numbers})
        written = asyncio.run(self._written()) - before
        if written != (workflows + warm_up) * STEPS:
            raise CannotMeasure(f"the steps of {self.name} wrote {written} rows")
        return told

    async def _written(self) -> int:
        connection = await asyncpg.connect(self.admin_dsn, timeout=10)
        try:
            if await connection.fetchval("SELECT to_regclass($1)", self.count) is None:
                return 0
            return int(await connection.fetchval(f"SELECT count(*) FROM {self.count}"))  # noqa: S608 names of ours
        finally:
            await connection.close()


@contextlib.contextmanager
def running(folder: Path, peers: Path) -> Iterator[Mapping[str, Program]]:
    """A Postgres with a database for each program, until the end of the block."""
    password = token_hex(8)
    with PostgresServer(folder / "postgres", password) as server:
        asyncio.run(_prepare(server, password))
        python = peers / "bin" / "python"
        said = ", ".join(versions_of(peers, ("dbos", "sqlalchemy", "psycopg")))
        plain = ", ".join(versions_of(peers, ("dbos", "asyncpg")))
        ours = f"Python {sys.version.split()[0]}, asyncpg {version('asyncpg')}"
        peer = (python, "-m", "loadtests.orchestrator.peer", "--form")
        yield {
            each.name: each
            for each in (
                Program(
                    OURS,
                    (sys.executable, "-m", "loadtests.orchestrator.ours", "--form", "here"),
                    server.dsn("cell", "cell_app", password),
                    *(server.dsn("cell"), "cell.accounts", ours),
                ),
                Program(
                    *(THEIRS, (*peer, "transaction"), server.dsn("dbos", PEER, password)),
                    *(server.dsn("dbos"), "public.effects", said),
                ),
                Program(
                    *(PLAIN, (*peer, "step"), server.dsn("dbos_steps", PEER, password)),
                    *(server.dsn("dbos_steps"), "public.effects", plain),
                ),
            )
        }


async def _prepare(server: PostgresServer, password: str) -> None:
    await make_cell(server, password, [tenant(number) for number in range(TENANTS)], EPOCH)
    for name in ("dbos", "dbos_steps"):
        await database.bootstrap(server.admin_dsn, name, PEER, {PEER: password})
