"""A platform of three cells, with proxies on the ways between router, movers and databases, and a second mover.

The second one is there so that a mover that is stopped finds, when it wakes up, that another has carried its moves
on.
"""

import contextlib
import functools
import os
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from console.platform.blueprint import CONTROL_POSTGRES, PLACEMENT, SUPERUSER, Blueprint, Commands
from console.platform.parts import HOST, Program, ProgramPart
from console.platform.platform import Platform
from console.platform.settings import SYSTEM_PORTS, UpSettings
from console.platform.states import State
from console.platform.supervisor import Supervisor
from loadtests.history.proxy import Proxy
from loadtests.history.through import through
from runtime.embedded import ports

CELLS = 3
SECOND_MOVER = "second mover"
LEASE_SECONDS = "3"
"""So short that a mover that is stopped for a moment loses its moves."""
READY_SECONDS = 90.0


@dataclass(frozen=True, slots=True)
class Tenant:
    """Whom to call as, and where."""

    tenant_id: str
    base: str
    api_key: str
    cell_id: str


class Stage:
    """What a run has: the platform, the second mover, the proxies by name."""

    def __init__(self, platform: Platform, second: Supervisor, proxies: Mapping[str, Proxy]) -> None:
        self.platform, self._second, self.proxies = platform, second, proxies

    def pid(self, part: str) -> int | None:
        """The process that a part is just now."""
        status = self._second.status(part) if part == SECOND_MOVER else self.platform.part(part)
        return status.pid if status.state is State.READY else None

    @property
    def parts(self) -> list[str]:
        """The names of everything that may be killed."""
        return [*(status.name for status in self.platform.parts), SECOND_MOVER]

    async def whole(self) -> None:
        """Wait until every part is ready."""
        await self._second.until_ready((SECOND_MOVER,), READY_SECONDS)
        for status in self.platform.parts:
            await self.platform.returned(status.name, None, READY_SECONDS)

    def superuser_dsn(self, cell_id: str) -> str:
        """A cell's database, for whoever breaks it on purpose."""
        port = self.platform.ports[f"{cell_id} postgres"]
        return f"postgresql://postgres:{self._secret(SUPERUSER)}@{HOST}:{port}/cell"

    def _secret(self, name: str) -> str:
        return self.platform.layout.secrets().values[name]

    async def tenant(self, session: aiohttp.ClientSession, name: str) -> Tenant:
        """A new one, with the largest plan."""
        answer = await self.operate(
            session,
            "POST",
            "/v1/tenants",
            {"tenant_id": name, "display_name": name, "plan": "premium"},
        )
        base = f"{self.platform.url('router')}/t/{name}"
        return Tenant(name, base, answer["api_key"], answer["cell_id"])

    async def operate(
        self, session: aiohttp.ClientSession, method: str, path: str, body: Mapping[str, str]
    ) -> dict[str, str]:
        """Ask placement as its operator."""
        headers = {"Authorization": f"Bearer {self.platform.operator_token}"}
        async with session.request(
            method, self.platform.url(PLACEMENT) + path, json=body, headers=headers, raise_for_status=True
        ) as response:
            answer: dict[str, str] = await response.json()
            return answer


@contextlib.asynccontextmanager
async def staged(folder: Path) -> AsyncIterator[Stage]:
    """Everything started and, when the block ends, stopped."""
    async with contextlib.AsyncExitStack() as exits:
        names = [f"{kind} of cell-{n}" for kind in ("requests", "rows") for n in range(1, CELLS + 1)]
        proxies = {name: await exits.enter_async_context(Proxy(name)) for name in (*names, "decisions")}
        command = (sys.executable, "-m", "loadtests.history.through", str(proxies["decisions"].port))
        os.environ["CELLWAY_MIGRATION_LEASE_SECONDS"] = LEASE_SECONDS
        platform = Platform(
            folder / ".cellway", CELLS, UpSettings(**SYSTEM_PORTS), commands=Commands(mover=command)
        )
        for name, proxy in proxies.items():
            proxy.target = functools.partial(_port, platform, _behind(name))
        await exits.enter_async_context(platform)
        second = Supervisor([_second_mover(platform, command)])
        second.begin()
        exits.push_async_callback(second.stop)
        stage = Stage(platform, second, proxies)
        _lead_movers(stage)
        async with aiohttp.ClientSession() as session:
            for cell_id in platform.cells:
                address = f"http://{HOST}:{proxies[f'requests of {cell_id}'].port}"
                await stage.operate(session, "PATCH", f"/v1/cells/{cell_id}", {"address": address})
        await stage.whole()
        yield stage


def _port(platform: Platform, part: str) -> int:
    """Ports are chosen while the platform starts."""
    return platform.ports.get(part, 0)


def _behind(name: str) -> str:
    """The part that a proxy leads to."""
    kind, _, cell_id = name.partition(" of ")
    return {"requests": f"{cell_id} api", "rows": f"{cell_id} postgres", "decisions": CONTROL_POSTGRES}[kind]


def _second_mover(platform: Platform, command: tuple[str, ...]) -> ProgramPart:
    layout, port = platform.layout, ports.free_port()
    secrets = layout.secrets().values
    directory = Blueprint(layout, platform.settings, platform.ports, secrets, Commands()).directory_dsn(
        "directory_mover"
    )
    environment = {
        "CELLWAY_MIGRATION_HOST": HOST,
        "CELLWAY_MIGRATION_ADMIN_PORT": str(port),
        "CELLWAY_MIGRATION_DIRECTORY_DSN": directory,
        "CELLWAY_MIGRATION_CELLS_PATH": str(layout.mover),
        "CELLWAY_MIGRATION_LOOK_SECONDS": "0.2",
    }
    program = Program(SECOND_MOVER, command, environment, None, port)
    return ProgramPart(program, layout.log(SECOND_MOVER), layout.record(SECOND_MOVER))


def _lead_movers(stage: Stage) -> None:
    """To the cells' databases by their proxies: the files are read whenever a move needs one."""
    for cell_id in stage.platform.cells:
        path = stage.platform.layout.mover / cell_id
        dsn = path.read_text(encoding="utf-8").strip()
        path.write_text(through(dsn, stage.proxies[f"rows of {cell_id}"].port) + "\n", encoding="utf-8")
