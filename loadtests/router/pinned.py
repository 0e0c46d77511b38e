"""Child processes on one core each. Linux only, as is the accounting."""

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from loadtests.router.errors import CannotMeasure
from runtime.embedded.child import Child
from runtime.embedded.logfile import LogFile

PROXY_CORE, CLIENT_CORE = 0, 1
STOP_STEPS = ((signal.SIGTERM, 3.0), (signal.SIGKILL, 3.0))
DEBIAN_PACKAGES = {
    "nginx": "nginx",
    "haproxy": "haproxy",
    "wrk": "wrk",
    "taskset": "util-linux",
    "psql": "postgresql-client",
    "pgcopydb": "pgcopydb",
}


def program(name: str) -> str:
    """Its path. CannotMeasure names the package to install."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if found is None:
        raise CannotMeasure(f"{name} is not installed: on Debian, apt-get install {DEBIAN_PACKAGES[name]}")
    return found


def require_two_cores() -> None:
    """CannotMeasure where a proxy would share its core with the client."""
    if not hasattr(os, "sched_getaffinity") or not {PROXY_CORE, CLIENT_CORE} <= os.sched_getaffinity(0):
        raise CannotMeasure(
            "the proxies need core 0 for themselves and the client core 1: use Linux with two cores"
        )


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Wait until no other run measures on this machine; then no other does until the end of the block."""
    with (Path(tempfile.gettempdir()) / "cellway-bench.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("waiting for another run to end", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


class Pinned:
    """A server on `core`, with its output in a log under `folder`, until it is stopped."""

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        core: int,
        folder: Path,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.log = LogFile(folder / f"{name}.log")
        prefix = (program("taskset"), "--cpu-list", str(core))
        environment = {"PATH": os.environ.get("PATH", os.defpath), **(env or {})}
        self._child = Child(command, self.log, env=environment, prefix=prefix, dies_by=signal.SIGTERM)

    @property
    def pid(self) -> int:
        return self._child.pid

    def last_words(self) -> list[str]:
        """The end of its log."""
        return self._child.tail()[-3:]

    def require_running(self) -> None:
        """CannotMeasure with its last words when it has ended."""
        if self._child.returncode is not None:
            words = " / ".join(self.last_words()) or "it said nothing"
            raise CannotMeasure(f"{self.name} ended with code {self._child.returncode}: {words}")

    def stop(self) -> None:
        """Ask it to end, then make it."""
        self._child.stop(STOP_STEPS)
        self.log.close()


def run_client(command: Sequence[str | Path], deadline_seconds: float) -> str:
    """Run a client on its core; what it printed. CannotMeasure when it fails or takes too long."""
    words = [program("taskset"), "--cpu-list", str(CLIENT_CORE), *map(str, command)]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=deadline_seconds, check=False)  # noqa: S603 ours
    except subprocess.TimeoutExpired:
        raise CannotMeasure(f"{command[0]} did not end within {deadline_seconds:.0f} seconds") from None
    if done.returncode:
        raise CannotMeasure(f"{' '.join(words)} failed: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout
