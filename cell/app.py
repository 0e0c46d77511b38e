"""Builds the two programs of a cell; nothing else does."""

import asyncio

from aiohttp import web
from dramatiq.brokers.redis import RedisBroker

from cell.api.context import Tools
from cell.api.notices import Notices
from cell.api.serving import application
from cell.checks import Checks
from cell.control.keys import KeyMaker, Keys
from cell.control.serving import Control, add_control
from cell.control.tenants import Tenants
from cell.database import COMMAND_SECONDS, transaction
from cell.jobs.hints import Hinter, check_redis, open_broker
from cell.jobs.provisioning import JOBS
from cell.jobs.runner import Runner
from cell.jobs.sweep import Expiry, Sweep
from cell.schema_state import SchemaState
from cell.settings import CellSettings
from cell.working import Working
from directory.announcing import announcement, open_consul
from runtime import admin, logs
from runtime.api.pages import PageTokens
from runtime.backoff import Backoff
from runtime.database import UNREACHABLE, Pool, open_pool
from runtime.health import Health, Unhealthy
from runtime.lifecycle import Lifecycle, Part
from runtime.site import Site
from runtime.tasks import Tasks

log = logs.get("cell.app")
EXPIRY_SECONDS = 30.0


class _Shared:
    """What API and worker both have."""

    def __init__(self, settings: CellSettings, app_pool: Pool) -> None:
        self.settings, self.app_pool = settings, app_pool
        self.health = Health()
        self.tasks = Tasks()
        self.broker: RedisBroker = open_broker(settings.redis_url, settings.heartbeat_seconds)
        self.hinter = Hinter(self.broker)

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


async def build_api(settings: CellSettings) -> Lifecycle:
    """The tenants' API on `port`, the control contract, metrics and health on `admin_port`."""
    return (await assemble_api(settings)).lifecycle


class Api:
    """The API's lifecycle, its two sites for whoever wants to know their ports, and who waits for what."""

    def __init__(self, lifecycle: Lifecycle, site: Site, admin_site: Site, notices: Notices) -> None:
        self.lifecycle, self.site, self.admin_site, self.notices = lifecycle, site, admin_site, notices


async def assemble_api(settings: CellSettings) -> Api:
    """All parts of the API, not started."""
    app_pool = await open_pool(
        settings.app_dsn, name="cell-api", size=settings.pool_size, command_seconds=COMMAND_SECONDS, stateless=True
    )
    control_pool = await open_pool(
        settings.control_dsn, name="cell-control", size=4, command_seconds=COMMAND_SECONDS, stateless=True
    )
    shared = _Shared(settings, app_pool)
    state = SchemaState(app_pool, settings.owner_dsn)
    shared.watch(app_pool, state, needs_redis=False)
    pepper = settings.key_pepper.get_secret_value().encode()
    notices = Notices(settings.app_dsn)
    tools = Tools(pepper, PageTokens(settings.page_key.get_secret_value().encode()), notices)
    site = Site(
        *("api", application(app_pool, tools, shared.hinter), settings.host, settings.port),
        setting="CELLWAY_CELL_PORT",
        drain_seconds=settings.drain_seconds,
    )
    admin_site = _admin_site(shared, _with_control(shared, control_pool, pepper))
    lifecycle = Lifecycle(shared.health, settings.drain_seconds)
    lifecycle.add(Part("pools", stop=lambda: _close(app_pool, control_pool)))
    lifecycle.add(Part("schema", start=state.start, start_deadline_seconds=90.0))
    lifecycle.add(Part("tasks", start=lambda: _start_api_tasks(shared, state, notices), stop=shared.tasks.close))
    lifecycle.add(admin_site.part())
    lifecycle.add(site.part())
    if settings.consul_url:
        registry = open_consul(settings.consul_url, settings.consul_token)
        lifecycle.add(announcement(registry, "cell", site, admin_site, {"cell": settings.cell_id}))
    return Api(lifecycle, site, admin_site, notices)


def _with_control(shared: _Shared, control_pool: Pool, pepper: bytes) -> web.Application:
    settings, maker = shared.settings, KeyMaker(pepper)
    checks = Checks(
        control_pool,
        {"redis": (lambda: check_redis(shared.broker), "set maxmemory-policy to noeviction; is Redis running?")},
    )
    control = Control(
        *(control_pool, settings.cell_id, settings.region),
        *(Tenants(control_pool, maker), Keys(control_pool, maker), checks),
    )
    app = admin.application(shared.health, settings)
    add_control(app, control, settings.control_token.get_secret_value())
    return app


def _admin_site(shared: _Shared, app: web.Application) -> Site:
    settings = shared.settings
    return Site("admin", app, settings.host, settings.admin_port, setting="CELLWAY_CELL_ADMIN_PORT")


async def _start_api_tasks(shared: _Shared, state: SchemaState, notices: Notices) -> None:
    shared.tasks.keep("schema", state.settle, Backoff(initial_seconds=0.2, cap_seconds=2.0))
    shared.tasks.keep("hints", shared.hinter.run)
    shared.tasks.keep("notices", notices.follow, Backoff(initial_seconds=0.2, cap_seconds=2.0))


async def build_worker(settings: CellSettings) -> Lifecycle:
    """The worker: jobs, the sweep for forgotten ones, and its own admin port."""
    return (await assemble_worker(settings)).lifecycle


class Worker:
    """The worker's lifecycle, and its admin site."""

    def __init__(self, lifecycle: Lifecycle, admin_site: Site) -> None:
        self.lifecycle, self.admin_site = lifecycle, admin_site


async def assemble_worker(settings: CellSettings) -> Worker:
    """All parts of the worker, not started."""
    app_pool = await open_pool(
        settings.app_dsn,
        name="cell-worker",
        size=settings.worker_threads + 2,
        command_seconds=COMMAND_SECONDS,
        stateless=True,
    )
    relay_pool = await open_pool(
        settings.relay_dsn, name="cell-relay", size=2, command_seconds=COMMAND_SECONDS, stateless=True
    )
    shared = _Shared(settings, app_pool)
    state = SchemaState(app_pool, None)
    shared.watch(app_pool, state, needs_redis=True)
    runner = Runner(app_pool, JOBS, settings.lease_seconds, settings.namespace_domain)
    working = Working(shared.broker, runner, settings.worker_threads, settings.drain_seconds)
    sweep = Sweep(relay_pool, shared.hinter, settings.hint_again_seconds)
    expiry = Expiry(relay_pool, app_pool)
    admin_site = _admin_site(shared, admin.application(shared.health, settings))

    async def start_tasks() -> None:
        shared.tasks.keep("schema", state.settle, Backoff(initial_seconds=0.2, cap_seconds=2.0))
        shared.tasks.keep("hints", shared.hinter.run)
        shared.tasks.keep("sweep", lambda: sweep.repeat(settings.sweep_seconds))
        shared.tasks.keep("expiry", lambda: expiry.repeat(EXPIRY_SECONDS))

    lifecycle = Lifecycle(shared.health, settings.drain_seconds)
    lifecycle.add(Part("pools", stop=lambda: _close(app_pool, relay_pool)))
    lifecycle.add(Part("schema", start=state.start, start_deadline_seconds=90.0))
    lifecycle.add(admin_site.part())
    lifecycle.add(Part("tasks", start=start_tasks, stop=shared.tasks.close))
    lifecycle.add(
        Part("jobs", working.start, stop=working.stop, stop_deadline_seconds=settings.drain_seconds + 5.0)
    )
    if settings.consul_url:
        registry = open_consul(settings.consul_url, settings.consul_token)
        lifecycle.add(announcement(registry, "worker", admin_site, admin_site, {"cell": settings.cell_id}))
    return Worker(lifecycle, admin_site)


async def _close(*pools: Pool) -> None:
    for pool in pools:
        try:
            await asyncio.wait_for(pool.close(), 1.0)
        except (TimeoutError, *UNREACHABLE):
            # Nothing is in flight any more; a database that is away must not hold the process back.
            pool.terminate()
