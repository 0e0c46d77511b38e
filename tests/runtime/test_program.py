"""A process speaks in sentences and ends with exit codes that mean something."""

import asyncio
import os
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path

import aiohttp

from runtime.embedded import ports
from tests.waiting import START_SECONDS, eventually

PROGRAM = Path(__file__).with_name("example_program.py")


async def _start(**environment: str) -> Process:
    told = {f"CELLWAY_EXAMPLE_{key}": value for key, value in environment.items()}
    root = str(PROGRAM.parents[2])
    return await asyncio.create_subprocess_exec(
        sys.executable, PROGRAM, env={**os.environ, "PYTHONPATH": root, **told}, stdout=PIPE, stderr=PIPE
    )


async def _ended(process: Process) -> tuple[int | None, str]:
    async with asyncio.timeout(30):
        _, said = await process.communicate()
    return process.returncode, said.decode()


async def test_wrong_settings_are_one_sentence_and_exit_code_two() -> None:
    """Starting again without changing them is useless, and whoever restarts it can know that."""
    code, said = await _ended(await _start(ADMIN_PORT="0", ADMIN_PROT="81", KEY="hush-hush"))
    assert code == 2
    assert said == "example: unknown setting CELLWAY_EXAMPLE_ADMIN_PROT: misspelt, or of another version?\n"


async def test_a_taken_port_is_one_sentence_and_exit_code_one() -> None:
    """No traceback: it is not the program's fault."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, said = await _ended(await _start(ADMIN_PORT=str(port)))
    assert code == 1
    assert said == f"example: port {port} on 127.0.0.1 is taken: stop what uses it, or set ADMIN_PORT\n"


async def test_sigterm_ends_a_process_in_order() -> None:
    """Exit code 0, and the logs say so."""
    port = ports.free_port("127.0.0.1")
    process = await _start(ADMIN_PORT=str(port), LOG_FORMAT="json")

    async def ready() -> bool:
        try:
            async with (
                aiohttp.ClientSession() as session,
                session.get(f"http://127.0.0.1:{port}/health/ready") as found,
            ):
                return found.status == 200
        except aiohttp.ClientError:
            return False

    await eventually(ready, seconds=START_SECONDS)
    process.send_signal(signal.SIGTERM)
    code, said = await _ended(process)
    assert code == 0
    assert [word in said for word in ('"started"', '"stopping"', '"stopped"')] == [True] * 3
