"""Builds the worker."""

from functools import partial

from cell.app.shared import Shared, admin_site_of, certificates_of, close
from cell.database import COMMAND_SECONDS
from cell.jobs.runner import Runner as Jobs
from cell.orchestrator.runner import Runner as Orchestrations
from cell.parties.resources import prepare
from cell.schema_state import SchemaState
from cell.settings import CellSettings
from cell.work.bookkeeping import bookkeeping
from cell.work.expiry import Expiry
from cell.work.hints import open_broker
from cell.work.loads import LoadSums
from cell.work.sweep import Sweep
from cell.work.threads import Threads
from cell.work.turns import Turns
from cell.workflows.all import jobs, workflows
from directory.announcing import announcement, open_consul
from runtime import admin, logs
from runtime.backoff import Backoff
from runtime.database import open_pool
from runtime.lifecycle import Lifecycle, Part
from runtime.site import Site

EXPIRY_SECONDS = 30.0
BOOKKEEPING_SECONDS = 15.0
PREPARING_SECONDS = 20.0
RESERVED = 4
"""Connections for claims, expiry and health, beside those of the work itself."""


async def build_worker(settings: CellSettings) -> Lifecycle:
    """The worker: jobs, the sweep for forgotten ones, and its own admin port."""
    logs.identify(cell=settings.cell_id)
    return (await assemble_worker(settings)).lifecycle


class Worker:
    """The worker's lifecycle, its admin site, and the loads."""

    def __init__(self, lifecycle: Lifecycle, admin_site: Site, loads: LoadSums) -> None:
        self.lifecycle, self.admin_site, self.loads = lifecycle, admin_site, loads


async def assemble_worker(settings: CellSettings) -> Worker:
    """All parts of the worker, not started. StartFailed."""
    certificates = certificates_of(settings)
    app_pool_size = 2 * settings.worker_threads + RESERVED
    app_pool = await open_pool(
        settings.app_dsn,
        name="cell-worker",
        size=app_pool_size,
        command_seconds=COMMAND_SECONDS,
        stateless=True,
    )
    relay_pool = await open_pool(
        settings.relay_dsn, name="cell-relay", size=2, command_seconds=COMMAND_SECONDS, stateless=True
    )
    shared = Shared(settings, app_pool, certificates)
    state = SchemaState(app_pool, None)
    shared.watch(app_pool, state, needs_redis=True)
    turns = Turns(
        app_pool,
        Jobs(app_pool, jobs(settings), settings.lease_seconds),
        Orchestrations(app_pool, workflows(settings, app_pool), settings.lease_seconds),
        shared.hinter,
        shared.meter,
        most_at_once=app_pool_size - RESERVED,
        most_of_a_tenant=max(1, settings.worker_threads // 2),
    )
    threads = Threads(
        partial(open_broker, settings.redis_url, settings.heartbeat_seconds),
        *(shared.hinter, turns),
        threads=settings.worker_threads,
        drain_seconds=settings.drain_seconds,
    )
    sweep = Sweep(relay_pool, shared.hinter.hint)
    expiry, books = Expiry(relay_pool, app_pool), bookkeeping(relay_pool, app_pool)
    admin_site = admin_site_of(shared, admin.application(shared.health, settings))

    async def start_tasks() -> None:
        shared.keep_certificates()
        shared.tasks.keep("schema", state.settle, Backoff(initial_seconds=0.2, cap_seconds=2.0))
        shared.tasks.keep("hints", shared.hinter.run)
        shared.tasks.keep("loads", lambda: shared.loads.repeat(settings.load_seconds))
        shared.tasks.keep("sweep", lambda: sweep.repeat(settings.sweep_seconds))
        shared.tasks.keep("expiry", lambda: expiry.repeat(EXPIRY_SECONDS))
        shared.tasks.keep("prepared", lambda: prepare(app_pool, PREPARING_SECONDS))
        shared.tasks.keep("bookkeeping", lambda: books.repeat(BOOKKEEPING_SECONDS))

    lifecycle = Lifecycle(shared.health, settings.drain_seconds)
    lifecycle.add(Part("pools", stop=lambda: close(app_pool, relay_pool)))
    lifecycle.add(Part("schema", start=state.start, start_deadline_seconds=90.0))
    lifecycle.add(admin_site.part())
    lifecycle.add(Part("tasks", start=start_tasks, stop=shared.tasks.close))
    lifecycle.add(
        Part("turns", threads.start, stop=threads.stop, stop_deadline_seconds=settings.drain_seconds + 5.0)
    )
    if settings.consul_url:
        registry = open_consul(settings.consul_url, settings.consul_token)
        lifecycle.add(
            announcement(
                registry, "worker", admin_site, admin_site, {"cell": settings.cell_id}, health=shared.health
            )
        )
    return Worker(lifecycle, admin_site, shared.loads)
