"""Builds the steward; nothing else does."""

from dataclasses import dataclass

from migration.steward.errors import SQL, transaction
from migration.steward.serving import Control, add_control
from migration.steward.settings import StewardSettings
from runtime import admin, logs
from runtime.database import open_pool
from runtime.health import Health
from runtime.lifecycle import Lifecycle, Part
from runtime.site import Site
from runtime.tasks import Tasks
from runtime.tls.serving import Serving

POOL = 4
COMMAND_SECONDS = 4.0


@dataclass(frozen=True, slots=True)
class Program:
    """A whole steward, and where it answers once it has started."""

    lifecycle: Lifecycle
    site: Site


async def build(settings: StewardSettings) -> Lifecycle:
    """For `runtime.program`."""
    return (await assemble(settings)).lifecycle


async def assemble(settings: StewardSettings) -> Program:
    """Everything, in the order of its start. Nothing is connected to before it is used. StartFailed."""
    folder = settings.tls_folder
    certificates = Serving(folder, "CELLWAY_STEWARD_TLS_FOLDER", settings.cell_id) if folder else None
    logs.identify(cell=settings.cell_id)
    pool = await open_pool(
        settings.database_dsn, name="cellway-steward", size=POOL, command_seconds=COMMAND_SECONDS, stateless=True
    )

    async def adopted() -> str | None:
        async with transaction(pool) as connection:
            return f"{await connection.fetchval(SQL['count_tenants'])} tenants"

    async def close() -> None:
        pool.terminate()

    health = Health()
    health.add("the adopted database", adopted)
    app = admin.application(health, settings)
    add_control(app, Control(pool, settings), settings.control_token.get_secret_value())
    site = Site(
        *("control", app, settings.host, settings.port), setting="CELLWAY_STEWARD_PORT",
        drain_seconds=settings.drain_seconds,
        tls=None if certificates is None else certificates.port("control", strangers=True),
    )  # fmt: skip
    lifecycle = Lifecycle(health, settings.drain_seconds)
    lifecycle.add(Part("pool", stop=close))
    if certificates is not None:
        health.add("certificates", certificates.check, required=False)
        lifecycle.add(_renewed(certificates))
    lifecycle.add(site.part())
    return Program(lifecycle, site)


def _renewed(certificates: Serving) -> Part:
    """Takes up certificates that are replaced."""
    tasks = Tasks()

    async def start() -> None:
        tasks.keep("certificates", certificates.step)

    return Part("certificates", start, stop=tasks.close)
