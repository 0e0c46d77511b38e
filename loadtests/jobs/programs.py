"""The sides: each a program on core 0, with a database of its own on one Postgres."""

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
from loadtests.jobs.ours import EPOCH, TENANTS, tenant
from loadtests.jobs.task import WARM_UP_JOBS
from loadtests.measured import Figures
from loadtests.router.errors import CannotMeasure
from runtime import database
from runtime.embedded.postgres import PostgresServer
from runtime.embedded.redis import RedisServer

OURS, THEIRS = "cellway", "procrastinate"


@dataclass(frozen=True, slots=True)
class Program:
    """How it is started, and where what it wrote is counted. The table may not be there at first."""

    name: str
    command: tuple[str | Path, ...]
    dsn: str
    admin_dsn: str
    table: str
    version: str

    def run(self, form: str, jobs: int, rate: float, at_once: int) -> Figures:
        """One measurement: what it told, if its jobs wrote what they should. CannotMeasure."""
        before = asyncio.run(self._rows())
        options = {"dsn": self.dsn, "form": form, "first": before, "jobs": jobs, "rate": rate, "at-once": at_once}
        told = measured.run(self.name, self.command, options)
        written = asyncio.run(self._rows()) - before
        if written != jobs + WARM_UP_JOBS:
            raise CannotMeasure(f"the jobs of {self.name} wrote {written} rows")
        return told

    async def _rows(self) -> int:
        connection = await asyncpg.connect(self.admin_dsn, timeout=10)
        try:
            if await connection.fetchval("SELECT to_regclass($1)", self.table) is None:
                return 0
            return int(await connection.fetchval(f"SELECT count(*) FROM {self.table}"))  # noqa: S608 names of ours
        finally:
            await connection.close()


@contextlib.contextmanager
def running(folder: Path, peers: Path) -> Iterator[Mapping[str, Program]]:
    """A Postgres with a database for each side, and a Redis for ours, until the end of the block."""
    password = token_hex(8)
    with (
        PostgresServer(folder / "postgres", password) as server,
        RedisServer(folder / "redis", password) as redis,
    ):
        sides = (cellway(server, redis, password), procrastinate(server, password, peers))
        yield {each.name: each for each in sides}


def cellway(server: PostgresServer, redis: RedisServer, password: str) -> Program:
    """See `ours`."""
    asyncio.run(make_cell(server, password, [tenant(number) for number in range(TENANTS)], EPOCH))
    relay_dsn = server.dsn("cell", "cell_relay", password)
    command = (sys.executable, "-m", "loadtests.jobs.ours", "--redis", redis.url, "--relay-dsn", relay_dsn)
    said = f"Python {sys.version.split()[0]}, asyncpg {version('asyncpg')}, dramatiq {version('dramatiq')}"
    dsn = server.dsn("cell", "cell_app", password)
    return Program(OURS, command, dsn, server.dsn("cell"), "cell.accounts", said)


def procrastinate(server: PostgresServer, password: str, peers: Path) -> Program:
    """See `peer`."""
    asyncio.run(database.bootstrap(server.admin_dsn, THEIRS, THEIRS, {THEIRS: password}))
    command = (peers / "bin" / "python", "-m", "loadtests.jobs.peer")
    said = ", ".join(versions_of(peers, ("procrastinate", "psycopg")))
    return Program(
        THEIRS, command, server.dsn(THEIRS, THEIRS, password), server.dsn(THEIRS), "public.effects", said
    )
