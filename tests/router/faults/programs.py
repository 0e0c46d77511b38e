"""`python -m router` with a Redis, and a cell in this process."""

import contextlib
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from runtime.embedded.ports import free_port
from tests.router.faults.load import LeanCell
from tests.router.test_program import filled, program, ready
from tests.router.upstreams import FakeCell
from tests.waiting import START_SECONDS, eventually


@dataclass(frozen=True)
class Place:
    """Where something listens; a router's `site`, as `connected` wants it."""

    port: int


@dataclass(frozen=True)
class Program:
    """A running router, with acme in its cell."""

    process: Process
    site: Place
    admin_port: int


@contextlib.asynccontextmanager
async def started(
    redis_url: str, root: Path, cell: FakeCell | LeanCell, **settings: object
) -> AsyncIterator[Program]:
    port, admin = free_port(), free_port()
    options = {"port": port, "admin_port": admin, **settings}
    async with filled(redis_url, cast(FakeCell, cell)), program(redis_url, root, **options) as process:
        await eventually(lambda: ready(admin), seconds=START_SECONDS)
        yield Program(process, Place(port), admin)
