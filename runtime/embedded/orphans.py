"""What an earlier run left behind: recognised beyond doubt, then stopped.

A pid alone proves nothing, because pids are used again. A record therefore holds the moment the process
started (with the machine's boot) and a mark that its command line must contain.
"""

import json
import os
import select
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from runtime.embedded.child import StopStep, run
from runtime.embedded.errors import DataInUse

_PROC = Path("/proc")


def remember(record: Path, pid: int, mark: str) -> None:
    """Write down who runs, for a later run that finds it; `mark` is part of its command line."""
    about = {
        "pid": pid,
        "started": started(pid),
        "mark": mark,
        "keeper": os.getpid(),
        "kept": started(os.getpid()),
    }
    fresh = record.with_name(record.name + ".new")
    fresh.write_text(json.dumps(about))
    fresh.replace(record)


def forget(record: Path) -> None:
    """The process has ended, and we know it."""
    record.unlink(missing_ok=True)


def stop_orphan(record: Path, steps: Sequence[StopStep]) -> int | None:
    """Stop what `record` tells of, if it still runs; its pid, or None when there was nothing to do.

    Raises `DataInUse` when the process that started it is alive as well.
    """
    about = _read(record)
    if about is None or not is_same(about["pid"], about["started"], about["mark"]):
        forget(record)
        return None
    if about["keeper"] != os.getpid() and is_same(about["keeper"], about["kept"], ""):
        raise DataInUse(
            f"{record.parent} is in use by process {about['keeper']}: stop it, or choose another folder."
        )
    _stop(about, steps)
    forget(record)
    return int(about["pid"])


def is_same(pid: int, start: str, mark: str) -> bool:
    """Whether `pid` is still the process that started then, with `mark` in its command line."""
    return bool(start) and started(pid) == start and mark in command_line(pid)


def started(pid: int) -> str:
    """When the process started, as text to compare; empty when there is none, or it has ended."""
    if not _PROC.joinpath("self/stat").exists():
        return _ps(pid, "lstart")
    try:
        stat = _PROC.joinpath(str(pid), "stat").read_text()
        boot = _PROC.joinpath("sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()  # the name before it may contain anything
    return "" if fields[0] in "ZX" else f"{boot}:{fields[19]}"  # proc(5): state, and starttime (22)


def command_line(pid: int) -> str:
    """The command with its arguments; empty when there is no such process."""
    if not _PROC.joinpath("self/cmdline").exists():
        return _ps(pid, "command")
    try:
        return _PROC.joinpath(str(pid), "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def _ps(pid: int, column: str) -> str:
    code, lines = run(("ps", "-o", f"{column}=", "-p", str(pid)), deadline_seconds=5, env={"LC_ALL": "C"})
    return lines[0].strip() if code == 0 and lines else ""


def _read(record: Path) -> dict[str, Any] | None:
    try:
        about = json.loads(record.read_text())
        return about if {"pid", "started", "mark", "keeper", "kept"} <= about.keys() else None
    except (OSError, ValueError, AttributeError):
        return None


def _stop(about: dict[str, Any], steps: Sequence[StopStep]) -> None:
    for number, seconds in steps:
        if _signal_and_wait(about, number, seconds):
            return


def _signal_and_wait(about: dict[str, Any], number: signal.Signals, seconds: float) -> bool:
    """True once it has ended. The pidfd holds on to the process, so a reused pid cannot be hit."""
    pid = int(about["pid"])
    if not hasattr(os, "pidfd_open"):
        return _signal_and_poll(about, number, seconds)
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        if not is_same(pid, about["started"], about["mark"]):
            return True
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(handle, number)
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        return bool(poll.poll(seconds * 1000))
    finally:
        os.close(handle)


def _signal_and_poll(about: dict[str, Any], number: signal.Signals, seconds: float) -> bool:
    """Where the system offers no event for a process that is not our child."""
    pid = int(about["pid"])
    if not is_same(pid, about["started"], about["mark"]):
        return True
    with suppress(ProcessLookupError):
        os.kill(pid, number)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not started(pid):
            return True
        time.sleep(0.05)
    return False
