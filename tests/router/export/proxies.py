"""A real HAProxy and an exporter in this process: what these tests are made of."""

import asyncio
import contextlib
import signal
import tempfile
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from directory.memory_feed import MemoryFeed
from router.export.app import Exporter, Options, planned
from runtime.embedded.ports import free_port
from tests.programs import require_program
from tests.router.upstreams import Answer, ask, get, settings
from tests.waiting import START_SECONDS, eventually

OTHER_KEY = "ck_other_" + "k" * 43


def program() -> str:
    """Where HAProxy is; on Debian not on every user's path."""
    return require_program("haproxy", "the export for HAProxy")


@dataclass(frozen=True)
class Place:
    port: int


class Haproxy:
    """HAProxy on an export's folder. `site` makes it look like a router to `ask` and `connected`."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.site = folder, Place(port)
        self._process: Process | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        """Start it and wait until its port answers."""
        configuration = self.folder / "haproxy.cfg"
        with (self.folder / "log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(program(), "-db", "-f", configuration, stderr=log)
        await eventually(self._answers, seconds=START_SECONDS)

    async def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.returncode is None, (self.folder / "log").read_text()
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", self.site.port)
            writer.close()
            return True
        return False

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def stop(self, number: int = signal.SIGKILL) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)
            await self._process.wait()

    async def restart(self) -> None:
        await self.stop()
        await self.start()

    async def get(self, target: str = "/v1/things", **options: Any) -> Answer:
        """A plain request of tenant acme."""
        return await ask(self, get(target, **options))  # type: ignore[arg-type]


@dataclass
class Export:
    """An exporter that follows, and its HAProxy."""

    exporter: Exporter
    haproxy: Haproxy

    async def current(self) -> None:
        """Wait until HAProxy holds what the table says."""
        await eventually(lambda: self.exporter.teller.process is not None and self.told)

    @property
    def told(self) -> bool:
        return not self.exporter.ledger.news.is_set()


def short_folder() -> "tempfile.TemporaryDirectory[str]":
    """Sockets lie in it, so its path must be short wherever pytest keeps its own."""
    return tempfile.TemporaryDirectory(prefix="cellway-", dir="/tmp")


def exporter(folder: Path, feed: Any, *, lua: bool | None = None, **values: Any) -> Exporter:
    """An exporter to a folder, not started; it listens on a free port."""
    options = Options(folder, f"127.0.0.1:{free_port()}", lua=lua)
    return Exporter(planned(settings(**values), options), feed)


@contextlib.asynccontextmanager
async def exported(feed: MemoryFeed, *, lua: bool | None = None, **values: Any) -> AsyncIterator[Haproxy]:
    """HAProxy on files that were written once; nobody follows."""
    program()
    with short_folder() as name:
        made = exporter(Path(name), feed, lua=lua, **values)
        await made.once()
        await made.stop()
        haproxy = Haproxy(Path(name), int(made.plan.listen.rpartition(":")[2]))
        await haproxy.start()
        try:
            yield haproxy
        finally:
            await haproxy.stop()


@contextlib.asynccontextmanager
async def following(feed: Any, **values: Any) -> AsyncIterator[Export]:
    """HAProxy, and an exporter that follows."""
    program()
    with short_folder() as name:
        made = exporter(Path(name), feed, **values)
        await made.once()
        haproxy = Haproxy(Path(name), int(made.plan.listen.rpartition(":")[2]))
        await haproxy.start()
        await made.follow()
        export = Export(made, haproxy)
        try:
            await export.current()
            yield export
        finally:
            await made.stop()
            await haproxy.stop()


async def seconds_until(condition: Callable[[], Awaitable[Any]]) -> float:
    """How long it took until something was so; a figure for people."""
    started = time.monotonic()
    await eventually(condition, every=0.005)
    return time.monotonic() - started


async def accepts(configuration: Path) -> str:
    """What `haproxy -c` has against a configuration; empty when nothing."""
    process = await asyncio.create_subprocess_exec(
        program(), "-c", "-q", "-f", configuration, stdout=DEVNULL, stderr=PIPE
    )
    _, said = await process.communicate()
    return said.decode() if process.returncode or b"WARNING" in said else ""
