"""A second router beside the platform's own, and HAProxy in front of both, as in production."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp

from console.platform.blueprint import ROUTER, Blueprint, Commands
from console.platform.parts import HOST, Program, ProgramPart
from console.platform.platform import Platform
from console.platform.supervisor import Status, Supervisor
from loadtests.router.errors import CannotMeasure
from loadtests.router.pinned import program
from loadtests.router.template import written
from runtime.embedded import ports
from runtime.embedded.child import Child
from runtime.embedded.logfile import LogFile

SECOND = "router 2"
NAMES = (ROUTER, SECOND)
"""In the order of HAProxy's servers, router-1 and router-2."""
RETURN_SECONDS = 60.0
LOOK_SECONDS = 0.05
STOP_STEPS = ((signal.SIGTERM, 3.0), (signal.SIGKILL, 3.0))


class Pair:
    """Two routers. `url` leads to whichever is there."""

    def __init__(
        self, platform: Platform, second: Supervisor, session: aiohttp.ClientSession, port: int, figures: int
    ) -> None:
        self._platform, self._second, self._session = platform, second, session
        self.url = f"http://{HOST}:{port}"
        self._figures = f"http://{HOST}:{figures}/stats;csv"
        self.admins = {ROUTER: platform.url(f"{ROUTER} admin"), SECOND: ""}

    def status(self, name: str) -> Status:
        """How one of them is."""
        return self._second.status(name) if name == SECOND else self._platform.part(name)

    async def restart(self, name: str) -> None:
        """SIGTERM; wait for its end, and until it is there again as another process."""
        pid = self.status(name).pid
        if pid is None:
            raise CannotMeasure(f"{name} does not run")
        os.kill(pid, signal.SIGTERM)
        if name == ROUTER:
            await self._platform.returned(name, pid, RETURN_SECONDS)
            return
        await self._second.until(lambda: self.status(name).pid != pid, RETURN_SECONDS)
        await self._second.until_ready((name,), RETURN_SECONDS)

    async def drain(self, name: str) -> None:
        """Take it out of service, and wait until HAProxy has seen it."""
        async with self._session.put(f"{self.admins[name]}/draining/on", raise_for_status=True):
            pass
        await self.until(name, serves=False)

    async def until(self, name: str, *, serves: bool) -> None:
        """Wait until HAProxy sends requests there, or sends none. CannotMeasure."""
        server, end = f"router-{NAMES.index(name) + 1}", time.monotonic() + RETURN_SECONDS
        while await self._serves(server) != serves:
            if time.monotonic() > end:
                raise CannotMeasure(f"HAProxy does not see that {name} is {'there' if serves else 'leaving'}")
            await asyncio.sleep(LOOK_SECONDS)

    async def _serves(self, server: str) -> bool:
        async with self._session.get(self._figures, raise_for_status=True) as response:
            lines = (await response.text()).splitlines()
        columns = lines[0].removeprefix("# ").split(",")
        rows = [dict(zip(columns, line.split(","), strict=False)) for line in lines[1:]]
        return any(row["svname"] == server and row["status"].startswith("UP") for row in rows)


@contextlib.asynccontextmanager
async def pair(platform: Platform, session: aiohttp.ClientSession, folder: Path) -> AsyncIterator[Pair]:
    """Both, and HAProxy, until the end of the block. CannotMeasure where HAProxy is not installed."""
    haproxy = program("haproxy")
    port, admin, front, figures = (ports.free_port() for _ in range(4))
    second = Supervisor([_second(platform, port, admin)])
    second.begin()
    try:
        await second.until_ready((SECOND,), RETURN_SECONDS)
        path = written(
            str(Path(__file__).parent / "haproxy.cfg"),
            folder / "haproxy.cfg",
            port=front,
            figures_port=figures,
            port_1=platform.ports[ROUTER],
            admin_1=platform.ports[f"{ROUTER} admin"],
            port_2=port,
            admin_2=admin,
        )
        log = LogFile(folder / "haproxy.log")
        balancer = Child((haproxy, "-db", "-f", path), log, dies_by=signal.SIGTERM)
        try:
            found = Pair(platform, second, session, front, figures)
            found.admins[SECOND] = f"http://{HOST}:{admin}"
            await _listening(found, balancer)
            yield found
        finally:
            await asyncio.to_thread(balancer.stop, STOP_STEPS)
            log.close()
    finally:
        await second.stop()


async def _listening(found: Pair, balancer: Child) -> None:
    end = time.monotonic() + RETURN_SECONDS
    while True:
        with contextlib.suppress(aiohttp.ClientError):
            for name in NAMES:
                await found.until(name, serves=True)
            return
        if balancer.returncode is not None or time.monotonic() > end:
            raise CannotMeasure(f"HAProxy did not start: {' / '.join(balancer.tail()[-3:])}")
        await asyncio.sleep(LOOK_SECONDS)


def _second(platform: Platform, port: int, admin: int) -> ProgramPart:
    layout = platform.layout
    secrets = layout.secrets().values
    plan = Blueprint(layout, platform.settings, platform.ports, secrets, Commands())
    environment = {
        "CELLWAY_ROUTER_HOST": HOST,
        "CELLWAY_ROUTER_PORT": str(port),
        "CELLWAY_ROUTER_ADMIN_PORT": str(admin),
        "CELLWAY_ROUTER_DIRECTORY_REDIS_URL": plan.directory_redis_url(),
        "CELLWAY_ROUTER_SNAPSHOT_PATH": str(layout.snapshot.with_name("snapshot-2")),
    }
    program_of_it = Program(SECOND, Commands().router, environment, port, admin)
    return ProgramPart(program_of_it, layout.log(SECOND), layout.record(SECOND))
