"""Several router processes on one port: a parent that starts them, and starts them again when they die.

The kernel spreads connections over all that listen with SO_REUSEPORT. Each child holds a table of its own; only
the first writes it to disk. A child ends when its standard input does, so none outlives a parent that was killed.
"""

import asyncio
import os
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Awaitable, Callable

from directory.redis_feed import RedisFeed
from router.app import Router
from router.settings import RouterSettings
from runtime import logs
from runtime.backoff import Backoff
from runtime.errors import StartFailed
from runtime.health import Health
from runtime.lifecycle import Lifecycle, Part
from runtime.program import EXIT_USELESS
from runtime.tasks import Tasks

log = logs.get("router.processes")
EXTRA_STOP_SECONDS = 7.0
"""After its drain a child closes what is left; then it is killed."""


def child(number: int) -> Callable[[RouterSettings], Awaitable[Lifecycle]]:
    """Builds process `number` of several."""

    async def build(settings: RouterSettings) -> Lifecycle:
        feed = RedisFeed(settings.directory_redis_url.get_secret_value())
        lifecycle = Router(settings, feed, shares_port=True, writes_disk=number == 0).lifecycle()
        asyncio.get_running_loop().add_reader(sys.stdin.fileno(), _parent_gone, lifecycle)
        return lifecycle

    return build


def _parent_gone(lifecycle: Lifecycle) -> None:
    if not os.read(sys.stdin.fileno(), 1):
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        lifecycle.end()


def parent(count: int) -> Callable[[RouterSettings], Awaitable[Lifecycle]]:
    """Builds the parent of `count` processes."""

    async def build(settings: RouterSettings) -> Lifecycle:
        lifecycle = Lifecycle(Health(), drain_seconds=settings.drain_seconds)
        children = Children(settings, count, lifecycle.end)
        lifecycle.add(Part("processes", children.start, children.drain, children.stop))
        # Children drain by their own deadline; the parent waits a little longer than they do.
        lifecycle.drain_seconds = settings.drain_seconds + EXTRA_STOP_SECONDS
        return lifecycle

    return build


class Children:
    """The processes that share the port."""

    def __init__(self, settings: RouterSettings, count: int, give_up: Callable[[], None]) -> None:
        self._settings, self._count, self._give_up = settings, count, give_up
        self._tasks = Tasks()
        self._running: dict[int, Process] = {}
        self._ending = False
        self._reserved: socket.socket | None = None

    async def start(self) -> None:
        """Reserve the port, so that all children get the same one, and start them."""
        self._reserved = self._reserve()
        for number in range(self._count):
            self._tasks.keep(
                f"router {number}", self._keeper(number), Backoff(initial_seconds=0.2, cap_seconds=2.0)
            )

    def _reserve(self) -> socket.socket:
        host = self._settings.host
        held = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            held.bind((host, self._settings.port))
        except OSError as error:
            held.close()
            message = f"router cannot listen on {host}:{self._settings.port}: {error.strerror or error}"
            raise StartFailed(f"{message}; free the port, or set PORT") from error
        return held

    def _keeper(self, number: int) -> Callable[[], Awaitable[None]]:
        async def run() -> None:
            await self._run(number)

        return run

    async def _run(self, number: int) -> None:
        command = (sys.executable, "-m", "router", "--process", str(number))
        process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, env=self._environment(number))
        self._running[number] = process
        log.info("process_started", number=number, pid=process.pid)
        code = await process.wait()
        del self._running[number]
        if self._ending:
            await asyncio.Event().wait()  # until cancelled: nothing is started again
        log.warning("process_ended", number=number, pid=process.pid, code=code)
        if code == EXIT_USELESS:
            self._give_up()
        raise ChildDied(f"process {number} ended with {code}")

    def _environment(self, number: int) -> dict[str, str]:
        prefix = self._settings.env_prefix
        port = self._reserved.getsockname()[1] if self._reserved is not None else self._settings.port
        admin = self._settings.admin_port
        own = {f"{prefix}PORT": str(port), f"{prefix}ADMIN_PORT": str(admin + number if admin else 0)}
        return {**os.environ, **own}

    async def drain(self) -> None:
        """Pass the signal on, and wait until every process has finished."""
        self._ending = True
        for process in list(self._running.values()):
            process.terminate()
        await asyncio.gather(*(process.wait() for process in list(self._running.values())))

    async def stop(self) -> None:
        """Kill what is left."""
        for process in list(self._running.values()):
            process.kill()
        await self._tasks.close()
        if self._reserved is not None:
            self._reserved.close()


class ChildDied(Exception):
    """A process ended that was not asked to."""
