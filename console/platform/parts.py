"""A part of the platform: a server or a program, and how it starts, becomes ready, and stops.

Everything here blocks, by a deadline; the supervisor calls it from threads.
"""

import http.client
import json
import os
import signal
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from console.platform.errors import PartFailed
from runtime.embedded import disk, orphans
from runtime.embedded.child import Child
from runtime.embedded.logfile import LogFile
from runtime.embedded.server import Server

HOST = "127.0.0.1"
STOP_STEPS = ((signal.SIGTERM, 12.0), (signal.SIGKILL, 5.0))
"""A program drains for 10 seconds by default; a little later it is no longer asked."""
USELESS = 2
"""The exit code with which a program says that trying again is useless (`runtime.program`)."""

ANSWER_SECONDS = 2.0
_LOOK_SECONDS = 0.1  # how often a starting program is asked whether it is ready


class Part(Protocol):
    """What the supervisor needs to know. `start` returns when it is ready, and raises `StartFailed`."""

    @property
    def name(self) -> str: ...
    @property
    def needs(self) -> tuple[str, ...]: ...
    @property
    def rank(self) -> int: ...
    @property
    def pid(self) -> int | None: ...
    @property
    def port(self) -> int | None: ...
    @property
    def hopeless(self) -> bool: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...
    def kill(self) -> None: ...
    def on_exit(self, tell: Callable[[int], None]) -> None: ...
    def last_words(self) -> str: ...
    async def once_ready(self) -> None: ...


class ServerPart:
    """An embedded server. `prepare` runs once after its first start, for example to create roles."""

    needs: tuple[str, ...] = ()
    rank = 0

    def __init__(self, name: str, server: Server, prepare: Callable[[], Awaitable[None]] | None = None) -> None:
        self.name = name
        self.server = server
        self._prepare = prepare
        self.hopeless = True  # what prevents a server's first start does not pass by itself

    @property
    def pid(self) -> int | None:
        return self.server.pid

    @property
    def port(self) -> int | None:
        return self.server.port or None

    def start(self) -> None:
        self.server.start()

    def stop(self) -> None:
        self.server.stop()

    def kill(self) -> None:
        if self.server.child is not None:
            self.server.child.signal(signal.SIGKILL)

    def on_exit(self, tell: Callable[[int], None]) -> None:
        self.server.on_exit(tell)

    def last_words(self) -> str:
        return last_words(self.server.child.tail()) if self.server.child is not None else ""

    async def once_ready(self) -> None:
        """What has to be done before others may use it; once, because it stays done."""
        if self._prepare is not None:
            await self._prepare()
            self._prepare = None


@dataclass(frozen=True, slots=True)
class Program:
    """How to run a program. Ready is what `/health/ready` on its admin port says.

    `authority`: who signed the certificate that it shows there; None: it speaks plain HTTP.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    port: int | None
    admin_port: int
    needs: tuple[str, ...] = ()
    rank: int = 1
    ready_seconds: float = 30.0
    authority: Path | None = None


class ProgramPart:
    """One of our own programs, as a child process."""

    def __init__(self, program: Program, log_path: Path, record: Path) -> None:
        self._program = program
        self._log = LogFile(log_path)
        self._record = record
        self._child: Child | None = None
        self.name = program.name
        self.needs = program.needs
        self.rank = program.rank

    def __repr__(self) -> str:
        return f"<ProgramPart {self.name} {self._child or 'stopped'}>"

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child is not None and self._child.returncode is None else None

    @property
    def port(self) -> int | None:
        return self._program.port or self._program.admin_port

    @property
    def hopeless(self) -> bool:
        """Whether it said itself that starting it again is useless."""
        return self._child is not None and self._child.returncode == USELESS

    def start(self) -> None:
        """Run it, and wait until it is ready. Whatever goes wrong, nothing is left running."""
        command = self._program.command
        try:
            child = self._child = Child(command, self._log, env={**os.environ, **self._program.environment})
            orphans.remember(self._record, child.pid, " ".join(command))
            self._await_ready(child)
        except OSError as error:
            self.stop()
            raise (disk.full(self._record) if disk.is_full(error) else self._failed(str(error))) from error
        except BaseException:
            self.stop()
            raise

    def _await_ready(self, child: Child) -> None:
        end = time.monotonic() + self._program.ready_seconds
        while not is_ready(self._program.admin_port, self._program.authority):
            if child.wait(_LOOK_SECONDS) is not None:
                raise self._failed(f"ended with code {child.returncode}")
            if time.monotonic() > end:
                raise self._failed(f"was not ready within {self._program.ready_seconds:g} s")

    def stop(self) -> None:
        """Ask it to end, then force it. A second call changes nothing."""
        if self._child is not None:
            self._child.stop(STOP_STEPS)
            orphans.forget(self._record)
        self._log.close()

    def kill(self) -> None:
        if self._child is not None:
            self._child.signal(signal.SIGKILL)

    def on_exit(self, tell: Callable[[int], None]) -> None:
        if self._child is not None:
            self._child.on_exit(tell)

    def last_words(self) -> str:
        return last_words(self._child.tail()) if self._child is not None else ""

    async def once_ready(self) -> None:
        """Nothing: a program prepares itself."""

    def _failed(self, what: str) -> PartFailed:
        words = self.last_words()
        return PartFailed(f"{self.name} {what}{': ' + words if words else ''} (log: {self._log.path})")


def is_ready(admin_port: int, authority: Path | None = None) -> bool:
    """Ask a program; no answer in good time is a no."""
    connection = http.client.HTTPConnection(HOST, admin_port, timeout=ANSWER_SECONDS)
    if authority is not None:
        context = ssl.create_default_context(cafile=authority)
        connection = http.client.HTTPSConnection(HOST, admin_port, timeout=ANSWER_SECONDS, context=context)
    try:
        connection.request("GET", "/health/ready")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def last_words(lines: list[str]) -> str:
    """The last line that says what went wrong, else the last one; a line of JSON becomes a sentence."""
    spoken = [line for line in lines if line.strip()]
    loud = [line for line in spoken if any(sign in line for sign in ("rror", "FATAL", "PANIC", "cannot"))]
    return _sentence((loud or spoken or [""])[-1].strip())


def _sentence(line: str) -> str:
    try:
        event: Any = json.loads(line)
    except ValueError:
        return line
    if not isinstance(event, dict):
        return line
    return ": ".join(str(event[key]) for key in ("event", "error") if event.get(key))
