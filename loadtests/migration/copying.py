"""One tenant's rows into another database: ours, a pipe of two psql, native logical replication, and pgcopydb."""

import asyncio
import os
import subprocess
import tempfile
import time
from pathlib import Path

from loadtests.migration.stage import MOVER, TENANT, TOKEN, Stage
from loadtests.router.errors import CannotMeasure
from loadtests.router.pinned import program
from migration.catalog import read_schema
from migration.copying import copy_table

SECONDS = 600.0
UNREADY = "SELECT count(*) FROM pg_subscription_rel WHERE srsubstate <> 'r'"


async def ours(stage: Stage) -> float:
    """Through the guard and its triggers, in chunks whose progress is kept, as a move does it. Seconds."""
    async with stage.ends() as (source, destination):
        async with source.connected() as connection:
            schema = await read_schema(connection)
        async with source.reading() as reader:
            since = await reader.snapshot()
        began = time.perf_counter()
        await copy_table(source, destination, TOKEN, schema.tables["public.orders"], schema, since)
        seconds = time.perf_counter() - began
    await _counted(stage, "orders")
    return seconds


async def psql(stage: Stage) -> float:
    """`psql COPY | psql COPY`, binary, into a table without any trigger. Seconds."""
    tool = program("psql")
    source, destination = stage.dsn(stage.source, MOVER), stage.dsn(stage.destination, MOVER)
    rows = f"SELECT * FROM orders WHERE tenant_id = '{TENANT}'"  # noqa: S608 a name of ours
    out = f"\\copy ({rows}) TO STDOUT (FORMAT binary)"
    began = time.perf_counter()
    reading = await asyncio.create_subprocess_exec(
        *(tool, "--no-psqlrc", source, "--command", out), stdout=(pipe := os.pipe())[1]
    )
    os.close(pipe[1])
    writing = await asyncio.create_subprocess_exec(
        *(tool, "--no-psqlrc", destination, "--command", "\\copy plain FROM STDIN (FORMAT binary)"),
        stdin=pipe[0],
        stdout=subprocess.DEVNULL,
    )
    os.close(pipe[0])
    async with asyncio.timeout(SECONDS):
        codes = await asyncio.gather(reading.wait(), writing.wait())
    seconds = time.perf_counter() - began
    if any(codes):
        raise CannotMeasure(f"psql ended with {codes}")
    await _counted(stage, "plain")
    return seconds


async def replication(stage: Stage) -> float:
    """A publication with a row filter, and the first copy of its subscription. Seconds."""
    filtered = f"CREATE PUBLICATION measured FOR TABLE plain WHERE (tenant_id = '{TENANT}')"
    async with stage.admin(stage.source) as here, stage.admin(stage.destination) as there:
        # The same rows under the name that the subscription will look for.
        await here.execute("ALTER TABLE orders RENAME TO set_aside; ALTER TABLE plain RENAME TO orders")
        await here.execute("ALTER TABLE set_aside RENAME TO plain; " + filtered)
        try:
            began = time.perf_counter()
            await there.execute(
                f"CREATE SUBSCRIPTION measured CONNECTION '{stage.source.dsn('shop')}' PUBLICATION measured"
            )
            async with asyncio.timeout(SECONDS):
                while await there.fetchval(UNREADY):  # noqa: ASYNC110 nobody tells
                    await asyncio.sleep(0.02)
            seconds = time.perf_counter() - began
        finally:
            await there.execute("DROP SUBSCRIPTION IF EXISTS measured")
            await here.execute("DROP PUBLICATION measured; ALTER TABLE plain RENAME TO set_aside")
            await here.execute("ALTER TABLE orders RENAME TO plain; ALTER TABLE set_aside RENAME TO orders")
    await _counted(stage, "plain")
    return seconds


FILTER = "[include-only-table]\npublic.single\n"


async def pgcopydb(stage: Stage) -> float:
    """A table of the tenant's rows alone, because it takes whole tables. Seconds, its start included."""
    with tempfile.TemporaryDirectory(prefix="cellway-pgcopydb-") as name:
        (filters := Path(name) / "filters.ini").write_text(FILTER, encoding="utf-8")
        ends = ("--source", stage.source.dsn("shop"), "--target", stage.destination.dsn("shop"))
        began = time.perf_counter()
        copying = await asyncio.create_subprocess_exec(
            *(
                program("pgcopydb"),
                "copy",
                "table-data",
                *ends,
                "--filters",
                str(filters),
                "--dir",
                f"{name}/work",
            ),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        async with asyncio.timeout(SECONDS):
            _, said = await copying.communicate()
        seconds = time.perf_counter() - began
    if copying.returncode:
        raise CannotMeasure(f"pgcopydb ended with {copying.returncode}: {said.decode(errors='replace')[-500:]}")
    await _counted(stage, "single")
    return seconds


async def _counted(stage: Stage, table: str) -> None:
    async with stage.admin(stage.destination) as there:
        rows = await there.fetchval(f"SELECT count(*) FROM {table}")  # noqa: S608 a name of ours
    if rows != stage.rows:
        raise CannotMeasure(f"{rows} rows came, not {stage.rows}")


async def measure(stage: Stage, rounds: int) -> dict[str, float]:
    """Rows a second of each way: the best of some rounds, in turn, so that all meet the same machine."""
    best: dict[str, float] = {}
    for _ in range(rounds):
        for name, way in (("ours", ours), ("psql", psql), ("replication", replication), ("pgcopydb", pgcopydb)):
            await stage.clear()
            rate = stage.rows / await way(stage)
            best[name] = max(best.get(name, 0.0), rate)
            print(f"  copy {name:12} {rate:12,.0f} rows/s", flush=True)
    return {name: round(rate) for name, rate in best.items()}
