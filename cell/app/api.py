"""Builds the tenants' API."""

from functools import partial

from aiohttp import web

from cell.api.context import Tools
from cell.api.notices import Notices
from cell.api.serving import application
from cell.app.shared import Shared, admin_site_of, certificates_of, close
from cell.checks import Checks
from cell.control.customers import Customers
from cell.control.keys import KeyMaker, Keys
from cell.control.load import Load
from cell.control.serving import Control, add_control
from cell.control.tenants import Tenants
from cell.control.work import Work
from cell.database import COMMAND_SECONDS
from cell.schema_state import SchemaState
from cell.settings import CellSettings
from cell.work.hints import check_redis
from cell.work.loads import LoadSums
from cell.workflows.all import workflows
from directory.announcing import announcement, open_consul
from directory.control.contract import CapacityReport
from runtime import admin, logs
from runtime.api.pages import PageTokens
from runtime.backoff import Backoff
from runtime.database import Pool, keep_warm, open_pool
from runtime.lifecycle import Lifecycle, Part
from runtime.site import Site


async def build_api(settings: CellSettings) -> Lifecycle:
    """The tenants' API on `port`, the control contract, metrics and health on `admin_port`."""
    logs.identify(cell=settings.cell_id)
    return (await assemble_api(settings)).lifecycle


class Api:
    """The API's lifecycle, its two sites for whoever wants to know their ports, who waits for what, and loads."""

    def __init__(
        self, lifecycle: Lifecycle, site: Site, admin_site: Site, notices: Notices, loads: LoadSums
    ) -> None:
        self.lifecycle, self.site, self.admin_site = lifecycle, site, admin_site
        self.notices, self.loads = notices, loads


async def assemble_api(settings: CellSettings) -> Api:
    """All parts of the API, not started. StartFailed."""
    certificates = certificates_of(settings)
    app_pool = await open_pool(
        settings.app_dsn, name="cell-api", size=settings.pool_size, command_seconds=COMMAND_SECONDS, stateless=True
    )
    control_pool = await open_pool(
        settings.control_dsn, name="cell-control", size=4, command_seconds=COMMAND_SECONDS, stateless=True
    )
    relay_pool = await open_pool(
        settings.relay_dsn, name="cell-relay", size=1, command_seconds=COMMAND_SECONDS, stateless=True
    )
    shared = Shared(settings, app_pool, certificates)
    state = SchemaState(app_pool, settings.owner_dsn, settings.schema_phases)
    shared.watch(app_pool, state, needs_redis=False)
    pepper = settings.key_pepper.get_secret_value().encode()
    notices = Notices(settings.app_dsn, max(1, settings.pool_size // 4))
    known = workflows(settings, app_pool)
    tools = Tools(
        *(pepper, PageTokens(settings.page_key.get_secret_value().encode()), notices),
        *(known, settings.namespace_domain),
    )
    site = Site(
        *("api", application(app_pool, tools, shared.hinter, shared.meter), settings.host, settings.port),
        setting="CELLWAY_CELL_PORT",
        drain_seconds=settings.drain_seconds,
        tls=None if certificates is None else certificates.port("api"),
    )
    work = Work(control_pool, relay_pool, known, shared.hinter)
    admin_site = admin_site_of(shared, _with_control(shared, control_pool, pepper, work))
    lifecycle = Lifecycle(shared.health, settings.drain_seconds)
    lifecycle.add(Part("pools", stop=lambda: close(app_pool, control_pool, relay_pool)))
    lifecycle.add(Part("schema", start=state.start, start_deadline_seconds=90.0))
    start_tasks = partial(_start_api_tasks, shared, state, notices, app_pool)
    lifecycle.add(Part("tasks", start=start_tasks, stop=shared.tasks.close))
    lifecycle.add(admin_site.part())
    lifecycle.add(site.part())
    if settings.consul_url:
        registry = open_consul(settings.consul_url, settings.consul_token)
        lifecycle.add(
            announcement(registry, "cell", site, admin_site, {"cell": settings.cell_id}, health=shared.health)
        )
    return Api(lifecycle, site, admin_site, notices, shared.loads)


def _with_control(shared: Shared, control_pool: Pool, pepper: bytes, work: Work) -> web.Application:
    settings, maker = shared.settings, KeyMaker(pepper)
    checks = Checks(
        control_pool,
        {
            "Redis throws no hint away": (
                lambda: check_redis(shared.broker),
                "set maxmemory-policy to noeviction; is Redis running?",
            )
        },
    )
    control = Control(
        *(control_pool, settings.cell_id, settings.region),
        *(Tenants(control_pool, maker), Keys(control_pool, maker), checks),
        Customers(control_pool, settings.namespace_domain, shared.hinter.hint),
        work,
        Load(control_pool, shared.loads),
        CapacityReport.of(settings.cpus, settings.memory_bytes, settings.storage_bytes, settings.network_bits),
    )
    app = admin.application(shared.health, settings)
    add_control(app, control, settings.control_token.get_secret_value())
    return app


async def _start_api_tasks(shared: Shared, state: SchemaState, notices: Notices, app_pool: Pool) -> None:
    shared.keep_certificates()
    shared.tasks.keep("schema", state.settle, Backoff(initial_seconds=0.2, cap_seconds=2.0))
    shared.tasks.keep("hints", shared.hinter.run)
    shared.tasks.keep("loads", lambda: shared.loads.repeat(shared.settings.load_seconds))
    shared.tasks.keep("connections", partial(keep_warm, app_pool))
    shared.tasks.keep("notices", notices.follow, Backoff(initial_seconds=0.2, cap_seconds=2.0))
