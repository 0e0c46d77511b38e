"""The cell's programs as real processes, for tests that kill them."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp
from pydantic import SecretStr

from cell.settings import CellSettings
from runtime.embedded import ports
from tests.cell.cells import ask
from tests.waiting import eventually


def environment(settings: CellSettings) -> dict[str, str]:
    """The settings as the environment of a process."""

    def text(value: Any) -> str:
        return value.get_secret_value() if isinstance(value, SecretStr) else str(value)

    given = {name: getattr(settings, name) for name in settings.model_fields_set}
    prefixed = {f"CELLWAY_CELL_{name.upper()}": text(value) for name, value in given.items() if value is not None}
    return {**{name: value for name, value in os.environ.items() if not name.startswith("CELLWAY")}, **prefixed}


class Program:
    """One process with an admin port."""

    def __init__(
        self, module: str, env: Mapping[str, str], admin_port: int, log: Path, options: Sequence[str] = ()
    ) -> None:
        self.admin_url = f"http://127.0.0.1:{admin_port}"
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", module, *options], env=dict(env), stdout=out, stderr=out
            )

    async def ready(self, session: aiohttp.ClientSession, seconds: float = 60.0) -> None:
        """Return once it says that it is ready."""

        async def says_so() -> bool:
            try:
                return (await ask(session, "GET", f"{self.admin_url}/health/ready")).status == 200
            except aiohttp.ClientError:
                return False

        await eventually(says_so, seconds=seconds)

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal to this very process, and reap it when it ends by it."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        if number != signal.SIGSTOP:
            self.process.wait(15)


@contextlib.asynccontextmanager
async def running(
    module: str, settings: CellSettings, log: Path, options: Sequence[str] = (), **env: str
) -> AsyncIterator[Program]:
    """A process of `module`; killed at the end."""
    port = ports.free_port("127.0.0.1")
    variables = {**environment(settings), "CELLWAY_CELL_ADMIN_PORT": str(port), **env}
    program = Program(module, variables, port, log, options)
    try:
        yield program
    finally:
        await asyncio.to_thread(program.kill)
