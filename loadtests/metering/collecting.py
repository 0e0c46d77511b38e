"""A cell and a directory with all their tenants busy: what is counted is handed over, told, and kept.

The cell's API, placement's measuring and the caller share one process; Postgres and Redis have their own.
"""

import asyncio
import secrets
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from cell.app.api import Api, assemble_api
from cell.load import Meter
from cell.settings import CellSettings
from cell.work.loads import LoadSums
from directory import postgres
from directory.control.client import CellControl
from directory.control.token import control_token
from directory.postgres_loads import PostgresLoads
from directory.values import Cell, NewCell
from loadtests.cells import ROLES, make_cell
from placement.measuring import Measuring
from runtime import database, schema
from runtime.embedded.postgres import PostgresServer
from runtime.embedded.redis import RedisServer

TENANTS, PAGE = 5000, 1000
HAND_OVER_SECONDS: float = CellSettings.model_fields["load_seconds"].default
REPEATS = 5
CELL, REGION = "cell-1", "eu"
NEWS_SECONDS = 1.2
"""A cell's counters are taken in when they are a second older than those before."""
DIRECTORY_ROLES = ("directory_owner", "directory_writer", "directory_mover")


@dataclass(frozen=True, slots=True)
class Took:
    """Of one thing: the median of some times, and of the CPU time of this process."""

    ms: float
    cpu_ms: float


async def median(work: Callable[[], Awaitable[Any]], before: Callable[[], Awaitable[Any]]) -> Took:
    """`before` each time comes what is not measured."""
    took = []
    for _ in range(REPEATS + 1):
        await before()
        began, began_cpu = time.perf_counter(), time.process_time()
        await work()
        took.append((time.perf_counter() - began, time.process_time() - began_cpu))
    wall, cpu = zip(*took[1:], strict=True)  # the first one connects, and makes rows instead of changing them
    return Took(round(1000 * statistics.median(wall), 2), round(1000 * statistics.median(cpu), 2))


def busy(meter: Meter, tenants: list[str]) -> None:
    """Each of them did something of everything."""
    for name in tenants:
        counts = meter.of(name)
        counts.step_ns += 1_000_000
        counts.database_ns += 2_000_000
        counts.job_ns += 3_000_000
        counts.network_bytes += 1000
        counts.database_bytes += 5000
        counts.requests += 1


async def collect(folder: Path) -> dict[str, Any]:
    """Start both servers, measure, stop them."""
    password = secrets.token_hex(8)
    tenants = [f"tenant-{number:05}" for number in range(TENANTS)]
    with (
        PostgresServer(folder / "postgres", password) as server,
        RedisServer(folder / "redis", password) as redis,
    ):
        await make_cell(server, password, tenants, 1)
        async with running(server, redis, password) as (api, control_key):
            return await measure(server, redis.url, password, tenants, api, control_key)


@asynccontextmanager
async def running(server: PostgresServer, redis: RedisServer, password: str) -> AsyncIterator[tuple[Api, str]]:
    """The cell's API, and the key of the fleet."""
    control_key = secrets.token_hex(16)
    dsns = {f"{role.removeprefix('cell_')}_dsn": server.dsn("cell", role, password) for role in ROLES[:4]}
    secret = dict.fromkeys(("key_pepper", "page_key"), secrets.token_hex(16))
    token = control_token(control_key, CELL)
    values = {"cell_id": CELL, "redis_url": redis.url, "control_token": token, **dsns, **secret}
    api = await assemble_api(CellSettings.model_validate(values))
    await api.lifecycle.start()
    try:
        yield api, control_key
    finally:
        await api.lifecycle.stop()


async def measure(
    server: PostgresServer, redis_url: str, password: str, tenants: list[str], api: Api, control_key: str
) -> dict[str, Any]:
    """All three."""
    await database.bootstrap(
        server.admin_dsn, "directory", "directory_owner", dict.fromkeys(DIRECTORY_ROLES, password)
    )
    owner = await database.reach(server.dsn("directory", "directory_owner", password))
    pool = await database.open_pool(server.dsn("directory", "directory_writer", password), name="bench")
    control, meter = CellControl(control_key), Meter()
    try:
        await schema.upgrade(owner, postgres.COMPONENT, postgres.UPGRADES)
        truth = postgres.PostgresDirectory(pool)
        cell = await register(truth, api)
        living = files("loadtests.metering").joinpath("living.sql").read_text(encoding="utf-8")
        await owner.execute(living, tenants, CELL)
        sums = LoadSums(redis_url, meter)

        async def some_are_busy() -> None:
            busy(meter, tenants[:PAGE])

        async def all_are_busy() -> None:
            busy(meter, tenants)
            await sums.hand_over()
            await asyncio.sleep(NEWS_SECONDS)

        async def nothing() -> None:
            pass

        measuring = Measuring(truth, PostgresLoads(pool), control, 60.0, lambda: True)
        handing = await median(sums.hand_over, some_are_busy)
        return {
            "hand_over": {
                "tenants": PAGE,
                "ms": handing.ms,
                "cpu_ms": handing.cpu_ms,
                "every_seconds": HAND_OVER_SECONDS,
                "share_of_a_cpu": round(handing.cpu_ms / 1000 / HAND_OVER_SECONDS, 5),
            },
            "control_page": {"tenants": PAGE, **told(await median(lambda: control.load(cell, ""), nothing))},
            "measure_round": {"tenants": TENANTS, "cells": 1, **told(await median(measuring.round, all_are_busy))},
        }
    finally:
        await control.close()
        await pool.close()
        await owner.close()


def told(took: Took) -> dict[str, float]:
    """For the file."""
    return {"ms": took.ms, "cpu_ms": took.cpu_ms}


async def register(truth: postgres.PostgresDirectory, api: Api) -> Cell:
    """Open."""
    new = NewCell(CELL, REGION, api.site.url, api.admin_site.url, 2 * TENANTS)
    await truth.register_cell(new)
    return await truth.change_cell(CELL, "open")
