"""`cellway up`: start the platform, say where everything listens, show it until Ctrl-C, stop it."""

import asyncio
import shutil
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Protocol

from rich.console import Console
from rich.live import Live
from rich.table import Table

from console.platform import table
from console.platform.blueprint import PLACEMENT, ROUTER, Commands
from console.platform.platform import Platform
from console.platform.settings import UpSettings
from console.platform.states import State
from console.platform.supervisor import Status
from runtime import logs
from runtime.errors import RuntimeFault
from runtime.tasks import Tasks

EXIT_FAULT = 1

_TENANTS_SECONDS = 2.0  # how often placement is asked how many tenants each cell has
_REFRESHES_PER_SECOND = 4
_STOP_SECONDS = 60.0
_TOLD = frozenset({State.READY, State.BACKING_OFF, State.FAILED})


async def up(
    root: Path,
    cells: int | None = None,
    settings: UpSettings | None = None,
    *,
    commands: Commands | None = None,
    console: Console | None = None,
) -> int:
    """Run the platform in `root` until SIGINT or SIGTERM; the exit code. Faults are one sentence on stderr.

    `cells` is None for what the folder has, or three. A second signal kills instead of waiting.
    """
    out = console or Console(highlight=False)
    try:
        told = settings or UpSettings.load()
        view: _View = _Terminal(out) if out.is_terminal else _Lines(out)
        platform = Platform(root, cells, told, commands=commands, tell=view.tell)
        with platform.layout.lock(), platform.layout.log("up").open("w") as log:
            logs.configure("up", told.log_level, told.log_format, stream=log)
            await _run(out, view, platform)
    except RuntimeFault as fault:
        sys.stderr.write(f"cellway: {fault}\n")
        return EXIT_FAULT
    return 0


async def _run(out: Console, view: "_View", platform: Platform) -> None:
    began = time.monotonic()
    with _signals(platform.hurry) as asked:
        async with view.over(platform):
            if await _start(platform, asked):
                out.print(_welcome(platform, time.monotonic() - began), soft_wrap=True)
                await asked.wait()
                out.print("Stopping …")
            await platform.stop()
    out.print(f"Stopped. The data stays in {platform.layout.root}.", soft_wrap=True)


async def _start(platform: Platform, asked: asyncio.Event) -> bool:
    """Start; False when somebody asked to stop before it was done."""
    tasks = Tasks()
    starting, asking = tasks.spawn("start", platform.start()), tasks.spawn("asked", asked.wait())
    await asyncio.wait((starting, asking), return_when=asyncio.FIRST_COMPLETED)
    await tasks.close(_STOP_SECONDS)
    if starting.cancelled():
        return False
    starting.result()
    return True


@contextmanager
def _signals(hurry: Callable[[], None]) -> Iterator[asyncio.Event]:
    """An event that SIGINT, SIGTERM or the end of the terminal sets; the second time calls `hurry`."""
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in numbers:
        loop.add_signal_handler(number, lambda: hurry() if asked.is_set() else asked.set())
    try:
        yield asked
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


class _View(Protocol):
    """How people follow what happens."""

    def tell(self, status: Status) -> None: ...
    def over(self, platform: Platform) -> AbstractAsyncContextManager[None]: ...


class _Lines:
    """A line a change."""

    def __init__(self, out: Console) -> None:
        self._out = out

    def tell(self, status: Status) -> None:
        if status.state in _TOLD:
            self._out.print(table.line(status), soft_wrap=True, markup=False)

    @asynccontextmanager
    async def over(self, _platform: Platform) -> AsyncIterator[None]:
        yield


class _Terminal:
    """The live table; it draws itself in a thread of its own, from values that are replaced whole."""

    def __init__(self, out: Console) -> None:
        self._out = out
        self._platform: Platform | None = None
        self._tenants: dict[str, int] = {}

    def tell(self, _status: Status) -> None:
        """The next drawing shows it."""

    @asynccontextmanager
    async def over(self, platform: Platform) -> AsyncIterator[None]:
        self._platform = platform
        tasks = Tasks()
        with Live(get_renderable=self._draw, console=self._out, refresh_per_second=_REFRESHES_PER_SECOND):
            tasks.spawn("tenants", self._count_tenants(platform))
            try:
                yield
            finally:
                await tasks.close()

    def _draw(self) -> Table:
        parts = self._platform.parts if self._platform is not None else []
        if len(parts) >= self._out.height:
            # What does not fit is cut off below: what needs attention must not be.
            parts = sorted(parts, key=lambda part: part.state is State.READY)
        return table.table(parts, self._tenants, time.monotonic())

    async def _count_tenants(self, platform: Platform) -> None:
        while True:
            await asyncio.sleep(_TENANTS_SECONDS)
            if platform.parts and platform.part(PLACEMENT).state is State.READY:
                self._tenants = await asyncio.to_thread(platform.tenants)


def _secured(platform: Platform) -> str:
    if not platform.settings.tls:
        return ""
    return (
        f"\n  TLS        router and placement speak it with cells; certificates in {platform.layout.certificates}"
    )


def _welcome(platform: Platform, seconds: float) -> str:
    cellway = "cellway" if shutil.which("cellway") else _beside_python()
    port = platform.ports[ROUTER]
    return f"""
Cellway is ready after {seconds:.1f} s: {len(platform.cells)} cells in {platform.layout.root}

  router     {platform.url(ROUTER)}   what tenants call, also as http://<tenant>.api.localhost:{port}
  placement  {platform.url(PLACEMENT)}   what operators call
  metrics    {platform.url(f"{ROUTER} admin")}/metrics
  logs       {platform.layout.logs}{_secured(platform)}

Try next, in another terminal:

  {cellway} demo
  {cellway} tenants create acme
  {cellway} status

Ctrl-C stops everything.
"""


def _beside_python() -> str:
    """The command as it can be typed where nobody has activated the environment."""
    path = Path(sys.executable).with_name("cellway")
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
