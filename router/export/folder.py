"""The files of an export: each written beside and renamed over the last, so HAProxy never reads half of one."""

import asyncio
import fcntl
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import BinaryIO

from router.export import forwarding
from router.export.configuration import configuration
from router.export.errors import ExportFailed
from router.export.ledger import Ledger
from router.export.plan import Plan, Server
from router.export.resolving import Servers
from runtime import logs
from runtime.tls.calling import Calling

log = logs.get("router.export.folder")
REST_SECONDS = 1.0
"""The shortest time between two writings."""
BUSY_SHARE = 20
"""Writing takes at most one part in so many of the time, however many tenants there are."""


def claim(plan: Plan) -> BinaryIO:
    """Make the folder ours until the handle is closed: two who tell one HAProxy would contradict each other.

    ExportFailed while another process has it.
    """
    path = plan.folder.path
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = (path / "lock").open("wb")
    except OSError as error:
        raise ExportFailed(f"{path} cannot be written to: {error}") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        handle.close()
        raise ExportFailed(f"{path} is kept by another export: end it first, or choose another folder") from None
    return handle


def prepare(plan: Plan) -> None:
    """Write what never changes. ExportFailed; StartFailed."""
    try:
        write(plan.folder.recent, "")
        if plan.lua:
            write(plan.folder.script, forwarding.script(plan))
        if plan.settings.cell_tls_folder:
            name = f"{plan.settings.env_prefix}CELL_TLS_FOLDER"
            shown = Calling(plan.settings.cell_tls_folder, name)
            both = shown.certificate.read_text(encoding="ascii") + shown.key.read_text(encoding="ascii")
            write(plan.folder.certificate, both, mode=0o600)
    except OSError as error:
        raise ExportFailed(f"{plan.folder.path} cannot be written to: {error}") from error


def write(path: Path, text: str, mode: int = 0o666) -> None:
    """Replace a file; OSError leaves the last one in place."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def write_cells(plan: Plan, servers: Mapping[str, Server]) -> None:
    """The configuration and the map of its servers. In between HAProxy would miss a new cell, not err."""
    write(plan.folder.configuration, configuration(plan, servers.values()))
    write(plan.folder.cells, "".join(f"{cell} {server.name}\n" for cell, server in sorted(servers.items())))


def write_homes(plan: Plan, homes: Iterable[tuple[str, str]]) -> None:
    """Every tenant's home."""
    write(plan.folder.base, "".join(f"{tenant} {home}\n" for tenant, home in homes))


class Keeper:
    """Writes what changed, not too often."""

    def __init__(self, plan: Plan, ledger: Ledger, servers: Servers) -> None:
        self._plan, self._ledger, self._servers = plan, ledger, servers
        self._homes_written = self._servers_written = -1

    async def step(self) -> None:
        """Write if there is anything new, then rest. OSError when the disk refuses; the next step tries again."""
        started = time.monotonic()
        await self.save()
        await asyncio.sleep(max(REST_SECONDS, BUSY_SHARE * (time.monotonic() - started)))

    async def save(self) -> None:
        """Write what is not on disk yet. Without a table nothing is written: an older file is better than none."""
        if not self._ledger.filled:
            return
        homes, servers = self._ledger.version, self._servers.version
        if servers != self._servers_written:
            await asyncio.to_thread(write_cells, self._plan, dict(self._servers.known))
            self._servers_written = servers
        if homes != self._homes_written:
            await asyncio.to_thread(write_homes, self._plan, list(self._ledger.homes.items()))
            self._homes_written = homes
            log.debug("homes_written", tenants=len(self._ledger.homes))
