"""What the cell's API and its worker both have."""

import asyncio

from aiohttp import web
from dramatiq.brokers.redis import RedisBroker

from cell.database import transaction
from cell.load import Meter
from cell.schema_state import SchemaState
from cell.settings import CellSettings
from cell.work.hints import Hinter, check_redis, open_broker
from cell.work.loads import LoadSums
from runtime.database import UNREACHABLE, Pool
from runtime.health import Health, Unhealthy
from runtime.site import Site
from runtime.tasks import Tasks
from runtime.tls.serving import Serving


def certificates_of(settings: CellSettings) -> Serving | None:
    """What the cell's ports prove it by; None: they speak plain HTTP. StartFailed."""
    folder = settings.tls_folder
    return Serving(folder, "CELLWAY_CELL_TLS_FOLDER", settings.cell_id) if folder else None


class Shared:
    """What API and worker both have."""

    def __init__(self, settings: CellSettings, app_pool: Pool, certificates: Serving | None = None) -> None:
        self.settings, self.app_pool, self.certificates = settings, app_pool, certificates
        self.health = Health()
        self.tasks = Tasks()
        self.broker: RedisBroker = open_broker(settings.redis_url, settings.heartbeat_seconds)
        self.hinter = Hinter(self.broker, settings.hint_again_seconds)
        self.meter = Meter()
        self.loads = LoadSums(settings.redis_url, self.meter)

    def watch(self, pool: Pool, state: SchemaState, *, needs_redis: bool) -> None:
        async def postgres() -> str | None:
            async with transaction(pool) as connection:
                await connection.fetchval("SELECT 1")
            return None

        async def redis_keeps() -> str | None:
            if (finding := await check_redis(self.broker)) is not None:
                raise Unhealthy(finding)
            return None

        self.health.add("postgres", postgres)
        self.health.add("schema", state.check)
        self.health.add("redis", redis_keeps, required=needs_redis)
        if self.certificates is not None:
            self.health.add("certificates", self.certificates.check, required=False)

    def keep_certificates(self) -> None:
        """From now on take up those that are replaced."""
        if self.certificates is not None:
            self.tasks.keep("certificates", self.certificates.step)


def admin_site_of(shared: Shared, app: web.Application) -> Site:
    settings, certificates = shared.settings, shared.certificates
    return Site(
        *("admin", app, settings.host, settings.admin_port),
        setting="CELLWAY_CELL_ADMIN_PORT",
        tls=None if certificates is None else certificates.port("admin", strangers=True),
    )


async def close(*pools: Pool) -> None:
    for pool in pools:
        try:
            await asyncio.wait_for(pool.close(), 1.0)
        except (TimeoutError, *UNREACHABLE):
            # Nothing is in flight any more; a database that is away must not hold the process back.
            pool.terminate()
