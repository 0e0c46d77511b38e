"""What embedded servers share: start by a deadline, explain a failure, stop by deadlines.

`start` and `stop` block. A restart after a crash is `start` again, on the same port.
"""

import random
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from runtime.backoff import Backoff
from runtime.embedded import disk, orphans, ports
from runtime.embedded.child import Child, StopStep
from runtime.embedded.errors import PortTaken, ServerFailed
from runtime.embedded.logfile import LogFile

HOST = "127.0.0.1"
_PORT_TRIES = 5
_AGAIN = Backoff(initial_seconds=0.05, cap_seconds=0.5, floor_seconds=0.02)


class Server(ABC):
    """One server on one data folder. `port` 0 takes a free one at the first start and keeps it."""

    title: str
    needed_bytes: int
    stop_steps: Sequence[StopStep]

    def __init__(self, data: Path, password: str, log_path: Path | None, port: int, port_setting: str) -> None:
        self.data = data.absolute()
        self.port = port
        self.password = password
        self.child: Child | None = None
        self._chosen_by_us = port == 0
        self._port_setting = port_setting
        self._log = LogFile(log_path or self.data.with_name(self.data.name + ".log"))
        self._record = self.data.with_name(self.data.name + ".process")
        self._lock = threading.RLock()  # start and stop may come from different threads

    def __repr__(self) -> str:
        return f"<{self.title} {HOST}:{self.port} {self.child or 'stopped'}>"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int | None:
        """None while it is not running."""
        return self.child.pid if self.child is not None and self.child.returncode is None else None

    @property
    def log_path(self) -> Path:
        return self._log.path

    def start(self, deadline_seconds: float = 30.0) -> None:
        """Return when it accepts connections. Raises `StartFailed` in one of its kinds; then nothing runs."""
        with self._lock:
            if self.pid is not None:
                return
            try:
                self._start(time.monotonic() + deadline_seconds)
            except OSError as error:
                raise (disk.full(self.data) if disk.is_full(error) else self._failed(str(error))) from error

    def stop(self) -> None:
        """Return when it has ended: asked at first, then forced. A second call changes nothing."""
        with self._lock:
            if self.child is not None:
                self.child.stop(self.stop_steps)
                orphans.forget(self._record)
            self._log.close()

    def on_exit(self, tell: Callable[[int], None]) -> None:
        """Call `tell(returncode)` from a thread when the process that runs now ends."""
        if self.child is not None:
            self.child.on_exit(tell)

    @abstractmethod
    def _prepare(self, end: float) -> None:
        """Make the data folder ready, by the monotonic time `end`."""

    @abstractmethod
    def _launch(self) -> Child:
        """Start the process."""

    @abstractmethod
    def _confirm(self, end: float) -> None:
        """It says that it is ready: make sure."""

    def _passing(self, _lines: Sequence[str]) -> bool:
        """Whether its last words tell of something that passes by itself."""
        return False

    def _start(self, end: float) -> None:
        self.data.parent.mkdir(parents=True, exist_ok=True)
        orphans.stop_orphan(self._record, self.stop_steps)
        disk.require_space(self.data, self.needed_bytes)
        self._prepare(end)
        tries = 0
        while True:
            self._choose_port()
            tries += 1
            try:
                if self._attempt(end):
                    return
            except PortTaken:
                if not self._chosen_by_us or tries >= _PORT_TRIES:
                    raise
                self.port = 0
            time.sleep(_AGAIN.wait_seconds(tries, random.random()))  # noqa: S311 jitter

    def _choose_port(self) -> None:
        if self.port == 0:
            self.port = ports.free_port(HOST)

    def _attempt(self, end: float) -> bool:
        """True when it is ready, False when trying again may help."""
        child = self.child = self._launch()
        try:
            orphans.remember(self._record, child.pid, str(self.data))
            if child.wait_ready(max(0.0, end - time.monotonic())):
                self._confirm(end)
                return True
        except BaseException:
            child.stop(self.stop_steps)  # what cannot be remembered or confirmed must not run on
            raise
        late = child.returncode is None
        child.stop(self.stop_steps)
        orphans.forget(self._record)
        if not late and self._passing(child.tail()) and time.monotonic() < end:
            return False
        raise self._explain(child, late)

    def _explain(self, child: Child, late: bool) -> Exception:
        lines = child.tail()
        if disk.says_full(lines):
            return disk.full(self.data)
        if any("Address already in use" in line for line in lines):
            return ports.taken(self.port, HOST, self._port_setting)
        if late:
            return self._failed("it was not ready in time")
        return self._failed(self._last_words(lines) or f"it ended with code {child.returncode}")

    def _failed(self, why: str) -> ServerFailed:
        return ServerFailed(f"{self.title} on {self.data} did not start: {why} (log: {self._log.path}).")

    def _last_words(self, lines: Sequence[str]) -> str:
        loud = [line for line in lines if any(sign in line for sign in ("FATAL", "PANIC", "ERROR", "Error", "# "))]
        return (loud or list(lines) or [""])[-1].strip()
