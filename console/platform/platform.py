"""A whole platform on one machine: start it, ask after its parts, stop it. See `Platform`."""

import asyncio
import functools
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

from console.certificates import PROGRAMS, Maker
from console.platform import blueprint
from console.platform.blueprint import MOVER, PLACEMENT, ROUTER, Blueprint, Commands
from console.platform.errors import FewerCellsThanThere
from console.platform.layout import OPERATOR_TOKEN, Layout, Remembered
from console.platform.parts import HOST
from console.platform.registration import Cell, Placement
from console.platform.settings import UpSettings
from console.platform.states import State
from console.platform.supervisor import Status, Supervisor
from runtime.embedded import disk, orphans, ports

DEFAULT_CELLS = 3
START_SECONDS = 120.0
"""A slow machine may take its time; a part that fails says so much earlier."""

_ORPHAN_STEPS = ((signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0))
_NEEDED_BYTES = 300_000_000


class Platform:
    """The platform in the folder `root`, with `cells` cells (by default what is there, or three).

    Invariant: while it runs it holds the folder's lock; when it has stopped, or its start failed, nothing of
    it runs.
    """

    def __init__(
        self,
        root: Path,
        cells: int | None = None,
        settings: UpSettings | None = None,
        *,
        commands: Commands | None = None,
        tell: Callable[[Status], None] = lambda _status: None,
    ) -> None:
        """`tell` hears of every change of a part."""
        self.layout = Layout(root)
        self.settings = settings or UpSettings()
        self.cells: tuple[str, ...] = ()
        self.ports: Mapping[str, int] = {}
        self.operator_token = ""
        self._cells_wanted = cells
        self._commands = commands or Commands()
        self._tell = tell
        self._supervisor: Supervisor | None = None
        self._held = ExitStack()

    def __repr__(self) -> str:
        return f"<Platform {self.layout.root} {len(self.cells)} cells {self._supervisor or 'stopped'}>"

    async def __aenter__(self) -> "Platform":
        await self.start()
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.stop()

    @property
    def parts(self) -> list[Status]:
        """How every part is."""
        return self._supervisor.statuses if self._supervisor is not None else []

    def part(self, name: str) -> Status:
        """How one part is: `router`, `placement`, `control postgres`, `directory redis`, `cell-1 api` …"""
        return self._running().status(name)

    def url(self, name: str) -> str:
        """Where a part listens: `router`, `placement`, `cell-1 api`; with ` admin` behind it, its admin port."""
        is_of_cell = name.partition(" ")[0] in self.cells
        return f"{'https' if is_of_cell and self.settings.tls else 'http'}://{HOST}:{self.ports[name]}"

    async def start(self) -> None:
        """Return when every part is ready and every cell is registered. Raises `StartFailed`."""
        self._held.enter_context(self.layout.lock())
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop everything, in reverse. A second call changes nothing."""
        if self._supervisor is not None:
            await self._supervisor.stop()
        self._held.close()

    def hurry(self) -> None:
        """Do not wait for anybody any more: kill what still runs."""
        if self._supervisor is not None:
            self._supervisor.hurry()

    async def returned(self, name: str, pid: int | None, deadline_seconds: float = 15.0) -> Status:
        """Wait until the part is ready as another process than `pid`. Raises `TimeoutError`."""

        def back() -> bool:
            status = self.part(name)
            return status.state is State.READY and status.pid != pid

        await self._running().until(back, deadline_seconds)
        return self.part(name)

    async def hold(self, *names: str) -> None:
        """Kill these parts and keep them down, to see how the rest does without them."""
        await self._running().hold(names)

    async def release(self, *names: str, deadline_seconds: float = 30.0) -> None:
        """Let them come back, and wait until they are ready."""
        self._running().release(names)
        await self._running().until_ready(names, deadline_seconds)

    def tenants(self) -> dict[str, int]:
        """How many tenants each cell has, as far as placement tells. Blocking."""
        return self._placement().tenants()

    async def _start(self) -> None:
        disk.require_space(self.layout.root, _NEEDED_BYTES)
        remembered = self.layout.remembered()
        self.cells = _cells(self.layout.root, remembered.cells, self._cells_wanted)
        await asyncio.to_thread(self._stop_orphans)
        self.ports = self._choose_ports(remembered.ports)
        secrets = self.layout.secrets_for(blueprint.secret_names(self.cells)).values
        self.operator_token = secrets[OPERATOR_TOKEN]
        if self.settings.tls:
            await asyncio.to_thread(self._make_certificates)
        self.layout.remember(Remembered(cells=self.cells, ports=self.ports, urls=self._urls()))
        plan = Blueprint(self.layout, self.settings, self.ports, secrets, self._commands)
        supervisor = self._supervisor = Supervisor(plan.parts(self.cells), self._tell)
        if self.settings.control_postgres is not None:
            await plan.prepare_directory()
        supervisor.begin()
        end = time.monotonic() + START_SECONDS
        await asyncio.gather(
            supervisor.until_ready([part.name for part in self.parts], START_SECONDS),
            *(self._register(supervisor, cell_id, end) for cell_id in self.cells),
        )

    def _make_certificates(self) -> None:
        """For all that have none, or one that expires soon. StartFailed without openssl."""
        maker = Maker(self.layout.certificates)
        maker.authority()
        for cell_id in self.cells:
            maker.cell(cell_id, (HOST, "localhost"), renew=maker.ends_soon(cell_id))
        for program in PROGRAMS:
            maker.program(program, renew=maker.ends_soon(program))

    async def _register(self, supervisor: Supervisor, cell_id: str, end: float) -> None:
        await supervisor.until_ready((PLACEMENT, f"{cell_id} api"), end - time.monotonic())
        cell = Cell(
            cell_id,
            self.settings.region,
            self.url(f"{cell_id} api"),
            self.url(f"{cell_id} api admin"),
            self.settings.capacity_tenants,
        )
        await asyncio.to_thread(functools.partial(self._placement().register, cell))

    def _placement(self) -> Placement:
        return Placement(self.ports[PLACEMENT], self.operator_token)

    def _running(self) -> Supervisor:
        if self._supervisor is None:
            raise LookupError("the platform has not been started")
        return self._supervisor

    def _stop_orphans(self) -> None:
        # Servers look after their own, beside their data.
        for record in sorted(self.layout.run.glob("*.process")):
            orphans.stop_orphan(record, _ORPHAN_STEPS)

    def _choose_ports(self, remembered: Mapping[str, int]) -> dict[str, int]:
        """Public ports as they are wanted; others as they were, unless somebody has taken them meanwhile."""
        public = blueprint.public_ports(self.settings)
        chosen: dict[str, int] = {}
        for name in blueprint.port_names(self.cells):
            if port := public.get(name, 0):
                ports.require_free(port, HOST, f"CELLWAY_UP_{name.replace(' ', '_').upper()}_PORT")
            else:
                port = remembered.get(name, 0)
            chosen[name] = port if port and ports.is_free(port) else ports.free_port()
        return chosen

    def _urls(self) -> dict[str, str]:
        programs = (
            PLACEMENT,
            ROUTER,
            MOVER,
            *(f"{cell_id} {name}" for cell_id in self.cells for name in ("api", "worker")),
        )
        names = (name for program in programs for name in (program, f"{program} admin"))
        return {name: self.url(name) for name in names if name in self.ports}


def _cells(root: Path, there: tuple[str, ...], wanted: int | None) -> tuple[str, ...]:
    count = wanted if wanted is not None else len(there) or DEFAULT_CELLS
    if count < len(there):
        raise FewerCellsThanThere(
            f"{root} has {len(there)} cells, and {count} were asked for: cells hold tenants and are not dropped; "
            f"ask for {len(there)} or more, or remove the folder and its data with `make clean`."
        )
    return tuple(f"cell-{number}" for number in range(1, count + 1))
