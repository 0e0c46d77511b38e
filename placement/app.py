"""The only place that builds things."""

from dataclasses import dataclass

from directory.control.client import CellControl
from directory.postgres import PostgresDirectory
from directory.publisher import Publisher
from directory.redis_feed import RedisFeed
from placement import metrics, readiness
from placement.access import Access
from placement.api import front
from placement.api.cells import CellHandlers
from placement.api.checks import CheckHandlers
from placement.api.keys import Keys
from placement.api.tenants import Tenants
from placement.carrying import Carrier
from placement.cells import Cells
from placement.checks.doctor import Doctor
from placement.creation import Creation
from placement.decisions import Decisions
from placement.reach import Reach
from placement.readiness import Readiness
from placement.reconciler import Reconciler
from placement.seeds import Seeds
from placement.settings import PlacementSettings
from runtime import admin, database
from runtime.api.pages import PageTokens
from runtime.backoff import Backoff
from runtime.health import Health
from runtime.lifecycle import Lifecycle, Part
from runtime.site import Site
from runtime.tasks import Tasks

QUICK = Backoff(initial_seconds=0.1, cap_seconds=1.0)
"""For what others wait for: a router notices a change late by this at most once Redis is back."""


@dataclass(frozen=True, slots=True)
class Program:
    """A whole placement, and where it listens once it has started."""

    lifecycle: Lifecycle
    site: Site
    admin_site: Site
    reconciler: Reconciler


async def build(settings: PlacementSettings) -> Lifecycle:
    """For `runtime.program`."""
    return (await assemble(settings)).lifecycle


async def assemble(settings: PlacementSettings) -> Program:
    """Build everything; nothing is connected to before `start`."""
    pool = await database.open_pool(settings.directory_dsn, name="cellway-placement")
    directory = PostgresDirectory(pool)
    feed = RedisFeed(settings.directory_redis_url)
    control_key = settings.control_key.get_secret_value()
    control, reach, seeds = CellControl(control_key), Reach(), Seeds(settings.control_key)
    tokens = PageTokens(settings.page_key.get_secret_value().encode())
    ready = Readiness(settings.directory_owner_dsn, directory)
    carrier = Carrier(directory, control, reach)
    decisions, cells = Decisions(directory, carrier), Cells(directory, control, reach)
    reconciler = Reconciler(directory, carrier)
    endpoints = [
        *Tenants(directory, Creation(directory, carrier, reach, seeds), decisions, tokens).endpoints(),
        *Keys(directory, control, decisions, seeds).endpoints(),
        *CellHandlers(directory, cells, tokens).endpoints(),
        *CheckHandlers(Doctor(directory, feed, control)).endpoints(),
    ]
    health = Health()
    health.add("directory", ready.check)
    health.add("directory redis", lambda: readiness.redis_check(feed), required=False)
    tasks = Tasks()
    publisher = Publisher(directory, feed)

    async def publish() -> None:
        await ready.usable.wait()
        metrics.PUBLISHED.set(await publisher.step())

    async def reconcile() -> None:
        await ready.usable.wait()
        await reconciler.step()

    async def open_joining() -> None:
        await ready.usable.wait()
        await cells.open_joining()

    async def look_around() -> None:
        await ready.usable.wait()
        await cells.look_around()

    async def begin() -> None:
        await ready.begin()
        tasks.keep("prepare", ready.step)
        tasks.keep("publish", publish, QUICK)
        tasks.keep("reconcile", reconcile, QUICK)
        tasks.keep("open joining cells", open_joining, QUICK)
        tasks.keep("look at cells", look_around)

    async def close() -> None:
        await tasks.close()
        await directory.close()
        await control.close()
        await feed.close()
        pool.terminate()

    site = Site(
        "placement", front.application(endpoints, Access(settings.operator_tokens), ready), settings.host,
        settings.port, setting="CELLWAY_PLACEMENT_PORT", drain_seconds=settings.drain_seconds,
    )  # fmt: skip
    admin_site = Site(
        "placement admin", admin.application(health, settings), settings.host, settings.admin_port,
        setting="CELLWAY_PLACEMENT_ADMIN_PORT", drain_seconds=1.0,
    )  # fmt: skip
    lifecycle = Lifecycle(health, settings.drain_seconds)
    lifecycle.add(admin_site.part())
    lifecycle.add(Part("work", begin, stop=close, start_deadline_seconds=readiness.UPGRADE_SECONDS + 10.0))
    lifecycle.add(site.part())
    return Program(lifecycle, site, admin_site, reconciler)
