"""Places at which a process of these tests may be told to die, or to wait while something else does.

A point that is to be used is a file, called as the point; who removes it has the point to himself.
"""

import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

Moment = Literal["before", "effect", "record"]
Way = Literal["act", "undo"]
MOMENTS: tuple[Moment, ...] = ("before", "effect", "record")
"""Before a step acts; when its effect is there and not recorded; when it is recorded."""
DEADLINE_SECONDS = 20.0
DIE, WAIT, WAIT_AND_DIE, STOP = "die", "wait", "wait and die", "stop"


def name_of(tenant_id: str, workflow: str, step: str, way: Way, moment: Moment) -> str:
    """Of the file."""
    return f"{tenant_id}.{workflow}.{step}.{way}.{moment}"


class Points:
    """A folder of them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def lay(self, names: Iterable[str], what: str = DIE) -> None:
        """These are to be used, once each."""
        for name in names:
            for used in ("reached", "done"):
                (self._folder / f"{name}.{used}").unlink(missing_ok=True)
            (self._folder / name).write_text(what)

    def left(self) -> set[str]:
        """Those that nobody came to."""
        return {path.name for path in self._folder.iterdir() if path.suffix not in (".reached", ".done")}

    def clear(self) -> None:
        """None is to be used any more."""
        for path in self._folder.iterdir():
            path.unlink()

    def reach(self, name: str) -> None:
        """In a worker: die here, or stop, or wait for whoever kills something else, or go on."""
        place = self._folder / name
        try:
            what = place.read_text()
            place.rename(place.with_name(f"{name}.reached"))
        except FileNotFoundError:
            return
        if what == STOP:
            place.with_name(f"{name}.reached").write_text(f"{STOP} {os.getpid()}")
            os.kill(os.getpid(), signal.SIGSTOP)
            return
        end = time.monotonic() + DEADLINE_SECONDS
        while what != DIE and not (self._folder / f"{name}.done").exists() and time.monotonic() < end:
            time.sleep(0.002)  # the whole process stands still, as if the rest of the world were faster
        if what != WAIT:
            os.kill(os.getpid(), signal.SIGKILL)

    def waiting(self) -> set[str]:
        """At which of them somebody waits."""
        waits = [path for path in self._folder.glob("*.reached") if path.read_text() != DIE]
        names = {path.name.removesuffix(".reached") for path in waits}
        return {name for name in names if not (self._folder / f"{name}.done").exists()}

    def stopped(self, name: str) -> int | None:
        """Which process has stopped itself there, until somebody continues it."""
        try:
            what, _, process = (self._folder / f"{name}.reached").read_text().partition(" ")
        except FileNotFoundError:
            return None
        return int(process) if what == STOP and process else None

    def go_on(self, name: str) -> None:
        """Whoever waits there may."""
        (self._folder / f"{name}.done").touch()
