"""The only place that builds things."""

import asyncio
from dataclasses import dataclass

from directory.announcing import announcement, open_consul, open_registry
from directory.postgres import PostgresDirectory
from directory.postgres_moves import PostgresMoves
from directory.registry import Registry
from migration import streams
from migration.copying import LANES
from migration.databases import Databases
from migration.mover import Mover
from migration.pacing import Paces
from migration.rules.pace import Bounds
from migration.settings import MigrationSettings
from runtime import admin, database, logs
from runtime.health import Health
from runtime.lifecycle import Lifecycle, Part
from runtime.site import Site

IDLE_SECONDS = 1.0
"""A mover that stops in the middle of a transaction keeps others from its moves no longer than that."""


@dataclass(frozen=True, slots=True)
class Program:
    """A whole mover, and where its metrics are once it has started."""

    lifecycle: Lifecycle
    admin_site: Site
    mover: Mover


async def build(settings: MigrationSettings) -> Lifecycle:
    """For `runtime.program`."""
    return (await assemble(settings)).lifecycle


async def assemble(settings: MigrationSettings) -> Program:
    """Everything, in the order of its start. Nothing is connected to before it is used."""
    logs.identify(program="migration")
    asyncio.get_running_loop().set_exception_handler(streams.unheard)
    pool = await database.open_pool(
        settings.directory_dsn,
        name="cellway-migration",
        size=settings.moves + 4,
        idle_seconds=IDLE_SECONDS,
        stateless=True,
    )
    directory = PostgresDirectory(pool)
    databases = Databases(settings.cells_path)
    bounds = Bounds(
        settings.latency_rise,
        settings.latency_tolerance_ms / 1000,
        settings.least_pace,
        most=LANES * settings.moves,
    )
    mover = Mover(
        PostgresMoves(pool),
        directory,
        databases,
        Paces(databases, bounds),
        most=settings.moves,
        most_of_a_cell=settings.moves_of_a_cell,
        lease_seconds=settings.lease_seconds,
        look_seconds=settings.look_seconds,
        keep_seconds=settings.keep_moves_days * 86_400,
    )

    async def directory_answers() -> str | None:
        await directory.head()
        return None

    async def close() -> None:
        pool.terminate()

    health = Health()
    health.add("directory", directory_answers)
    health.add("directory schema", mover.check)
    admin_site = Site(
        "migration admin",
        admin.application(health, settings),
        settings.host,
        settings.admin_port,
        setting="CELLWAY_MIGRATION_ADMIN_PORT",
        drain_seconds=1.0,
    )
    lifecycle = Lifecycle(health, 5.0)
    lifecycle.add(Part("stores", stop=close))
    lifecycle.add(admin_site.part())
    lifecycle.add(Part("mover", mover.start, stop=mover.stop))
    if (registry := _registry(settings)) is not None:
        lifecycle.add(announcement(registry, "mover", admin_site, admin_site, health=health))
    return Program(lifecycle, admin_site, mover)


def _registry(settings: MigrationSettings) -> Registry | None:
    """Where this process is seen; whether anybody sees it changes nothing for moves."""
    if settings.directory_redis_url is not None:
        url = settings.directory_redis_url.get_secret_value()
        return open_registry(url, settings.consul_url, settings.consul_token)
    return None if settings.consul_url is None else open_consul(settings.consul_url, settings.consul_token)
