"""The servers, the movers and the tenants of these tests."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from importlib.resources import files
from pathlib import Path

import pytest

from directory.postgres import PostgresDirectory
from directory.postgres_moves import PostgresMoves
from runtime import database
from runtime.embedded.postgres import PostgresServer, Template
from tests.cell.crashes.points import Points
from tests.directory.examples import open_cell
from tests.migration.cells import new_place
from tests.migration.failpoints.tenants import TABLES
from tests.migration.failpoints.world import World
from tests.servers import PASSWORD, new_control_database

ALL = os.environ.get("CELLWAY_CRASHES") == "all"
"""Every boundary, which takes long; otherwise a part of them."""
MOVERS = 2
SERVERS = ("source", "destination", "directory")
SETTINGS = {
    "fsync": "off",
    # As on, but that it waits for no standby; whoever wants to, says so (`test_switch`).
    "synchronous_commit": "local",
    "shared_buffers": "16MB",
    # What was not waited for stays in the server's memory, and dies with it.
    "wal_writer_delay": "10s",
    "bgwriter_delay": "10s",
}


@pytest.fixture(scope="package")
def own_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, PostgresServer]]:
    """They may be killed: what the operating system has been given survives that, and need not be waited for."""
    folder = tmp_path_factory.mktemp("failpoints-postgres")
    template = Template(folder / "template")
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(
                PostgresServer(folder / name / "data", PASSWORD, settings=SETTINGS, template=template)
            )
            for name in SERVERS
        }


@pytest.fixture(scope="package")
async def running_world(
    own_servers: dict[str, PostgresServer], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[World]:
    """With movers that come back whenever they die."""
    folder = tmp_path_factory.mktemp("failpoints")
    points, cells = folder / "points", folder / "cells"
    for each in (points, cells):
        each.mkdir()
    ddl = files("tests.migration.failpoints").joinpath("ledger.sql").read_text(encoding="utf-8")
    tables = {f"ledger.{table}": "tenant_id" for table in TABLES}
    places = {}
    for cell_id in ("source", "destination"):
        places[cell_id] = await new_place(own_servers[cell_id], ddl, tables, prefix="failpoints")
        (cells / cell_id).write_text(places[cell_id].dsn("engine_mover"))
    control = await new_control_database(own_servers["directory"])
    pool = await database.open_pool(control.writer_dsn, name="test", size=10)
    directory = PostgresDirectory(pool)
    for cell_id in places:
        await open_cell(directory, cell_id, 100_000)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("CELLWAY")},
        "CELLWAY_MIGRATION_DIRECTORY_DSN": control.mover_dsn,
        "CELLWAY_MIGRATION_CELLS_PATH": str(cells),
        "CELLWAY_MIGRATION_LEASE_SECONDS": "1",
        "CELLWAY_MIGRATION_LOOK_SECONDS": "0.05",
        "CELLWAY_MIGRATION_LOG_FORMAT": "json",
    }
    with _movers(folder, points, environment):
        yield World(own_servers, places, directory, PostgresMoves(pool), Points(points), folder, control)
    pool.terminate()


@contextmanager
def _movers(folder: Path, points: Path, environment: Mapping[str, str]) -> Iterator[None]:
    """They end with their parent's standard input."""
    with (folder / "movers.log").open("ab") as out:
        parent = subprocess.Popen(
            (sys.executable, "-m", "tests.migration.failpoints.movers", str(MOVERS), str(points)),
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=out,
        )
    try:
        yield
    finally:
        parent.communicate(timeout=30)


@pytest.fixture
async def world(running_world: World) -> AsyncIterator[World]:
    """All of it runs; what an earlier test has laid or killed is no more."""
    for part in SERVERS:
        await running_world.start(part)
    yield running_world
    running_world.rouse()
    running_world.points.clear()
