"""Builds an export; nothing else does.

Once: read the directory's cache, write the files, end. Following: go on with both, and tell a running HAProxy.
"""

import asyncio
import contextlib
import hashlib
import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from directory.errors import DirectoryError
from directory.feed import Feed
from directory.redis_feed import RedisFeed
from router.export import folder
from router.export.errors import ExportFailed
from router.export.folder import Keeper
from router.export.ledger import Ledger
from router.export.plan import Folder, Plan, in_one_file, listening
from router.export.resolving import Servers
from router.export.teller import Teller
from router.rules.headers import VIA
from router.settings import RouterSettings
from router.table import Table
from runtime.backoff import Backoff
from runtime.health import Health
from runtime.lifecycle import Lifecycle, Part
from runtime.tasks import Tasks

PATIENCE_SECONDS = 10.0
"""How long the one export waits for the directory's cache."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says."""

    output: Path
    listen: str | None = None
    follow: bool = False
    lua: bool | None = None
    certificate: Path | None = None
    json: bool = False
    """Say as JSON what was written, once it is."""


class Exporter:
    """The parts of one export."""

    def __init__(self, plan: Plan, feed: Feed) -> None:
        self.plan, self.feed = plan, feed
        self.tasks = Tasks()
        self.table = Table(plan.settings.caution())
        self.ledger = Ledger(feed, self.table)
        self.servers = Servers(plan.settings)
        self.keeper = Keeper(plan, self.ledger, self.servers)
        self.teller = Teller(plan, self.ledger, self.servers)
        self._claim: BinaryIO | None = None

    async def once(self) -> dict[str, Any]:
        """Write everything; what was written, for people and scripts. ExportFailed."""
        await self.prepare()
        trouble = "it is empty"
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not self.ledger.filled:
                    trouble = await self._tried() or trouble
        except TimeoutError:
            raise ExportFailed(f"the directory's cache gives no table: {trouble}") from None
        await self.servers.refresh(self.ledger.cells)
        try:
            await self.keeper.save()
        except OSError as error:
            raise ExportFailed(f"{self.plan.folder.path} cannot be written to: {error}") from error
        return {
            "configuration": str(self.plan.folder.configuration),
            "listen": self.plan.listen,
            "tenants": len(self.ledger.homes),
            "cells": len(self.servers.known),
            "seq": self.table.seq,
        }

    async def _tried(self) -> str | None:
        try:
            await self.ledger.step()
        except DirectoryError as error:
            await asyncio.sleep(0.2)
            return str(error)
        return None

    async def prepare(self) -> None:
        """Take the folder, for this process alone. ExportFailed."""
        if self._claim is None:
            self._claim = folder.claim(self.plan)
        await asyncio.to_thread(folder.prepare, self.plan)

    async def follow(self) -> None:
        """Begin to follow, once prepared; `stop` ends it. Neither the directory nor HAProxy need be there."""
        soon = Backoff(initial_seconds=0.1, cap_seconds=0.5)
        self.tasks.keep("follow the directory", self.ledger.step, Backoff(initial_seconds=0.2, cap_seconds=2.0))
        self.tasks.keep("keep the files", self.keeper.step, Backoff(initial_seconds=0.5))
        self.tasks.keep("tell HAProxy", self.teller.step, soon)

    async def stop(self) -> None:
        """End, with the files as they should be."""
        await self.tasks.close()
        await self.teller.close()
        with contextlib.suppress(OSError):
            await self.keeper.save()
        if self._claim is not None:
            self._claim.close()
            self._claim = None
        if isinstance(self.feed, RedisFeed):
            await self.feed.close()


def planned(settings: RouterSettings, options: Options) -> Plan:
    """What to export; ExportFailed when the options make no sense."""
    output = Folder(options.output.absolute())
    if options.certificate is not None and not options.certificate.is_file():
        raise ExportFailed(f"{options.certificate} is no file: name one with the certificate and its key, in PEM")
    return Plan(
        in_one_file(settings, output),
        output,
        listening(options.listen or _own(settings)),
        _via(output.path),
        lua=_has_lua() if options.lua is None else options.lua,
        certificate=None if options.certificate is None else str(options.certificate.absolute()),
    )


def _own(settings: RouterSettings) -> str:
    return f"[{settings.host}]:{settings.port}" if ":" in settings.host else f"{settings.host}:{settings.port}"


def _via(path: Path) -> str:
    """A name of its own, and the same each time: what a loop is recognised by."""
    place = f"{socket.gethostname()} {path}".encode()
    return f"{VIA.decode()}-{hashlib.blake2s(place, digest_size=8).hexdigest()}"


def _has_lua() -> bool:
    """Whether the HAProxy that is installed can run a script; where none is, the one to come is supposed to."""
    program = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        return True
    said = subprocess.run([program, "-vv"], capture_output=True, check=False, timeout=10)  # noqa: S603 a fixed program
    return b"+LUA" in said.stdout or b"USE_LUA=1" in said.stdout


def _sentence(written: dict[str, Any]) -> str:
    what = "{tenants} tenants in {cells} cells at change {seq}".format_map(written)
    return f"{what}. To run it: haproxy -f {written['configuration']}\n"


def building(options: Options) -> Callable[[RouterSettings], Awaitable[Lifecycle]]:
    """For `runtime.program`: a process that ends by itself, unless it is to follow."""

    async def build(settings: RouterSettings) -> Lifecycle:
        plan = await asyncio.to_thread(planned, settings, options)
        exporter = Exporter(plan, RedisFeed(settings.directory_redis_url.get_secret_value()))
        lifecycle = Lifecycle(Health(), drain_seconds=settings.drain_seconds)
        lifecycle.add(Part("folder", exporter.prepare, stop=exporter.stop, stop_deadline_seconds=60.0))
        if options.follow:
            lifecycle.add(Part("export", exporter.follow))
            return lifecycle

        async def export() -> None:
            written = await exporter.once()
            sys.stdout.write(json.dumps(written, indent=2) + "\n" if options.json else _sentence(written))
            lifecycle.end()

        lifecycle.add(Part("export", export, start_deadline_seconds=600.0))
        return lifecycle

    return build
