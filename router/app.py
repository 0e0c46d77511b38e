"""Builds the router; nothing else does."""

import asyncio
import contextlib
import gc
from pathlib import Path

from aiohttp import web

from directory.announcing import announcement, open_pointer, open_registry
from directory.feed import Feed
from directory.redis_feed import RedisFeed
from router import IS_COMPILED, disk, files, metrics, tls
from router.behind import Behind
from router.errors import SnapshotRefused
from router.follower import Follower
from router.lane import Lane
from router.listener import Listener
from router.look_ups import LookUps
from router.pages import Pages
from router.settings import RouterSettings
from router.table import Table
from router.upstream.cells import Cells
from router.upstream.pool import Limits
from runtime import admin, logs
from runtime.backoff import Backoff
from runtime.health import Health
from runtime.lifecycle import Lifecycle, Part
from runtime.site import Site
from runtime.tasks import Tasks

log = logs.get("router.app")

FIRST_ANSWER_SECONDS = 1.0
"""How long a starting router waits for the directory to say anything before it opens its port all the same."""


class Router:
    """The parts of one router process; tests reach in here, programs use `build`."""

    def __init__(
        self, settings: RouterSettings, feed: Feed, *, shares_port: bool = False, writes_disk: bool = True
    ) -> None:
        self.settings, self.feed = settings, feed
        self.tasks = Tasks()
        self.health = Health()
        self.table = Table(settings.caution())
        self.follower = Follower(feed, self.table)
        self._trust = tls.Trust(settings)
        self.cells = Cells(self.table, _limits(settings), settings.patience(), self.tasks, self._trust)
        self.look_ups = LookUps(
            feed,
            self.table,
            self.tasks,
            unknown_seconds=settings.negative_seconds,
            most_unknown=settings.negative_entries,
        )
        self._path = Path(settings.snapshot_path) if settings.snapshot_path else None
        self._writes_disk = writes_disk
        self.behind: Behind | None = None
        if settings.consul_url is not None or isinstance(feed, RedisFeed):
            redis_url = settings.directory_redis_url.get_secret_value()
            self._pointer = open_pointer(redis_url, settings.consul_url, settings.consul_token)
            self.behind = Behind(self._pointer, self.table)
        self.lane = Lane(settings, self.table, self.look_ups, self.cells, self.tasks)
        self.lane.most_connections = _most_clients(settings)
        self._certificate = (
            tls.Certificate(Path(settings.tls_certificate), Path(settings.tls_key))
            if settings.tls_certificate
            else None
        )
        self.site = Listener(
            self.lane,
            settings.host,
            settings.port,
            reuse_port=shares_port,
            tls=None if self._certificate is None else self._certificate.context,
            proxied=settings.proxy_protocol,
        )
        admin_host = settings.admin_host or settings.host
        self.admin = Site("router admin", self._admin(), admin_host, settings.admin_port, setting="ADMIN_PORT")

    def _admin(self) -> web.Application:
        self.health.add("table", self.follower.check_table)
        self.health.add("directory", self.follower.check_directory, required=False)
        if self.behind is not None:
            self.health.add("pointer", self.behind.check, required=False)
        if self._trust.fleet is not None:
            self.health.add("certificates", self._trust.fleet.check, required=False)
        pages = Pages(self.table, self.follower, self.look_ups, self.lane)
        self.health.add("service", pages.check_service)
        application = admin.application(self.health, self.settings)
        pages.add_to(application)
        return application

    def lifecycle(self) -> Lifecycle:
        """The parts in the order of their start."""
        lifecycle = Lifecycle(self.health, drain_seconds=self.settings.drain_seconds)
        lifecycle.add(Part("table", self._start_table, stop=self._stop_table))
        lifecycle.add(Part("cells", self._start_cells, stop=self.cells.close))
        lifecycle.add(self.admin.part())
        lifecycle.add(Part("router", self._start_serving, drain=self.site.drain, stop=self.site.stop))
        settings = self.settings
        registry = open_registry(
            settings.directory_redis_url.get_secret_value(), settings.consul_url, settings.consul_token
        )
        lifecycle.add(
            announcement(
                registry, "router", self.site, self.admin, health=self.health, suspects=self.cells.suspects
            )
        )
        return lifecycle

    async def _start_table(self) -> None:
        keeper = None
        if self._path is not None:
            self._load()
            keeper = disk.Keeper(self._path, self.table, self.settings.snapshot_every_seconds)
        self.tasks.keep("follow the directory", self.follower.step, Backoff(initial_seconds=0.2, cap_seconds=2.0))
        if self.behind is not None:
            self.tasks.keep("compare with the pointer", self.behind.step)
        if keeper is not None and self._path is not None and self._writes_disk:
            disk.clear(self._path)
            self.tasks.keep("keep the table on disk", keeper.step)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.follower.heard.wait(), FIRST_ANSWER_SECONDS)

    def _load(self) -> None:
        snapshot = disk.load(self._path) if self._path is not None else None
        if snapshot is not None:
            try:
                self.table.adopt(snapshot, "disk")
            except SnapshotRefused as refused:
                disk.log.error("snapshot_refused", reason=str(refused))

    async def _start_cells(self) -> None:
        self.tasks.keep("watch the cells", self.cells.watch)
        if self._trust.fleet is not None:
            self.tasks.keep("renew the certificate for cells", self._trust.fleet.step)

    async def _start_serving(self) -> None:
        metrics.RESPONSES.tenants = self.lane.busiest
        if not IS_COMPILED:
            log.info("interpreted", hint="a request costs about a quarter more than compiled: make compile")
        self.tasks.keep("look at deadlines", self.lane.tick)
        self.tasks.keep("count tenants", self.lane.count)
        if self._certificate is not None:
            self.tasks.keep("renew the certificate", self._certificate.step)
        # What is there now stays: looking through it again and again for garbage would stop everything else.
        gc.collect()
        gc.freeze()
        await self.site.start()

    async def _stop_table(self) -> None:
        await self.tasks.close()
        if self.behind is not None:
            await self._pointer.close()
        if self._path is not None and self._writes_disk and self.table.changed.is_set():
            await disk.Keeper(self._path, self.table, 1.0).save()
        if isinstance(self.feed, RedisFeed):
            await self.feed.close()


def _most_clients(settings: RouterSettings) -> int:
    possible = files.for_clients(files.allowed())
    return min(settings.client_connections or possible, possible)


def _limits(settings: RouterSettings) -> Limits:
    return Limits(
        connections=settings.cell_connections,
        tenant_connections=settings.tenant_connections or max(1, settings.cell_connections // 4),
        waiting=settings.cell_waiting,
        wait_seconds=settings.cell_wait_seconds,
        connect_seconds=settings.connect_seconds,
        idle_seconds=settings.cell_idle_seconds,
        least_concurrency=settings.least_concurrency,
    )


async def build(settings: RouterSettings) -> Lifecycle:
    """One router process on its own."""
    return Router(settings, RedisFeed(settings.directory_redis_url.get_secret_value())).lifecycle()
