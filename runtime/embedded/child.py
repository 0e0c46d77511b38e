"""One child process: its output in a bounded log, its end as an event, its death tied to ours.

Linux sends the death signal when the *thread* that forked the child ends, so every fork is made by one
thread that lives as long as this process.
"""

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from pathlib import Path

from runtime.embedded.logfile import LogFile

_TAIL_LINES = 100
_LINE_BYTES = 16_384  # a longer line is cut into pieces

StopStep = tuple[signal.Signals, float]
"""A signal, and how many seconds to wait for the end afterwards."""


class Child:
    """A running child. Its stdout and stderr go to `log`; `ready_line` in them makes it ready."""

    def __init__(
        self,
        command: Sequence[str | Path],
        log: LogFile,
        *,
        env: Mapping[str, str] | None = None,
        stdin: bytes | None = None,
        ready_line: str | None = None,
        dies_by: signal.Signals = signal.SIGKILL,
        prefix: Sequence[str] = (),
    ) -> None:
        """Start it. `prefix` is a launcher such as `setpriv …`; `dies_by` it gets when we are killed."""
        log.open()
        self._log = log
        self._ready_line = ready_line.encode() if ready_line else None
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._settled = threading.Event()
        self._exited = threading.Event()
        self._ready = False
        self._on_exit: list[Callable[[int], None]] = []
        self._lock = threading.Lock()
        words = [*prefix, *death_signal_prefix(dies_by), *map(str, command)]
        self._process = _spawner().submit(_popen, words, env, stdin is not None).result()
        self._pump = threading.Thread(target=self._pump_output, name=f"log-{self.pid}", daemon=True)
        self._pump.start()
        threading.Thread(target=self._await_end, name=f"wait-{self.pid}", daemon=True).start()
        if stdin is not None and self._process.stdin is not None:
            with suppress(BrokenPipeError), self._process.stdin as pipe:
                pipe.write(stdin)

    def __repr__(self) -> str:
        state = "running" if self.returncode is None else f"ended {self.returncode}"
        return f"<Child {self.pid} {state}>"

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """None while it runs; minus the signal's number when a signal ended it."""
        return self._process.returncode if self._exited.is_set() else None

    def tail(self) -> list[str]:
        """Its last lines, the oldest first."""
        with self._lock:
            return list(self._tail)

    def wait_ready(self, seconds: float) -> bool:
        """True once the ready line came; False when it ended first or the time is over."""
        self._settled.wait(seconds)
        return self._ready and not self._exited.is_set()

    def wait(self, seconds: float) -> int | None:
        """Its return code, or None when it still runs after `seconds`."""
        self._exited.wait(seconds)
        return self.returncode

    def on_exit(self, tell: Callable[[int], None]) -> None:
        """Call `tell(returncode)` from a thread when it ends, or at once when it has."""
        with self._lock:
            if not self._exited.is_set():
                self._on_exit.append(tell)
                return
        tell(self._process.returncode)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal; one that has ended is left alone."""
        with self._lock:  # under which alone it is reaped, so that its pid is still its own
            if self._process.returncode is None:
                os.kill(self.pid, number)

    def stop(self, steps: Sequence[StopStep]) -> int | None:
        """Go through the steps until it ends; its return code, or None if even the last step failed."""
        for number, seconds in steps:
            self.signal(number)
            if self.wait(seconds) is not None:
                break
        return self.returncode

    def _pump_output(self) -> None:
        pipe = self._process.stdout
        if pipe is None:
            return
        with pipe:
            while line := pipe.readline(_LINE_BYTES):
                self._log.write(line)
                with self._lock:
                    self._tail.append(line.decode(errors="replace").rstrip())
                if self._ready_line is not None and self._ready_line in line:
                    self._ready = True
                    self._settled.set()

    def _await_end(self) -> None:
        if hasattr(os, "waitid"):
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        else:
            self._process.wait()
        # Its last words matter to whoever asks why; a grandchild may hold the pipe for longer.
        self._pump.join(timeout=0.2)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)  # what it leaves behind; not reaped, its pid is not used again
        with self._lock:
            code = self._process.wait()
            self._exited.set()
            waiting = list(self._on_exit)
        self._settled.set()
        for tell in waiting:
            tell(code)


def run(
    command: Sequence[str | Path], deadline_seconds: float, env: Mapping[str, str] | None = None
) -> tuple[int, list[str]]:
    """Run a short command; its return code and its lines. Raises `TimeoutError`."""
    words = [*death_signal_prefix(signal.SIGKILL), *map(str, command)]
    process = _spawner().submit(_popen, words, env, False).result()
    try:
        output, _ = process.communicate(timeout=deadline_seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise TimeoutError(f"{command[0]} did not end within {deadline_seconds} seconds") from None
    return process.returncode, output.decode(errors="replace").splitlines()


@cache
def _spawner() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="cellway-spawn")


def _popen(words: list[str], env: Mapping[str, str] | None, with_stdin: bool) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 the command is ours
        words,
        env=env,
        stdin=subprocess.PIPE if with_stdin else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        # Ctrl-C reaches the whole group of the terminal; we stop children ourselves, in order.
        start_new_session=True,
    )


def death_signal_prefix(number: signal.Signals) -> tuple[str, ...]:
    """A launcher that has the kernel signal the child when we end, where there is one."""
    setpriv = _setpriv()
    return (setpriv, "--pdeathsig", number.name.removeprefix("SIG")) if setpriv else ()


@cache
def _setpriv() -> str | None:
    path = shutil.which("setpriv") if sys.platform == "linux" else None
    return path if path and works((path, "--pdeathsig", "KILL", "true")) else None


def works(command: Sequence[str]) -> bool:
    """Whether a launcher can be used here: `command` ends well, in good time."""
    try:
        probe = subprocess.run(command, capture_output=True, timeout=5, check=False)  # noqa: S603 ours
    except (OSError, subprocess.TimeoutExpired):
        return False
    return probe.returncode == 0
