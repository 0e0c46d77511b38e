"""The page on bringing one's own service is pasted, command by command, and a customer moves while it is used."""

import asyncio
import os
import re
import signal
import sys
from asyncio.subprocess import PIPE, STDOUT
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from runtime.embedded import ports
from runtime.embedded.postgres import PostgresServer
from tests.programs import require_program
from tests.servers import PASSWORD
from tests.waiting import eventually

pytestmark = pytest.mark.platform
COMMANDS = re.compile(r"<!-- commands: (\w+) -->\n```sh\n(.*?)```", re.DOTALL)
PORTS = ("8080", "8081", "8082", "8083", "8101", "8102", "8111", "8112")
BLOCK_SECONDS = 60.0


@pytest.fixture
def own_postgres(tmp_path: Path) -> Iterator[PostgresServer]:
    """A server on which nobody has made roles yet."""
    with PostgresServer(tmp_path / "postgres", PASSWORD) as server:
        yield server


class Shell:
    """One shell, into which blocks are pasted; what they start in the background goes on."""

    def __init__(self, process: asyncio.subprocess.Process, ports: dict[str, int]) -> None:
        self._process, self._ports = process, ports
        self.said: list[str] = []

    def url(self, port: str, path: str) -> str:
        """What the page calls so."""
        return f"http://127.0.0.1:{self._ports[port]}{path}"

    async def paste(self, block: str) -> None:
        """Run it to its end; every command has to succeed."""
        for written, port in self._ports.items():
            block = block.replace(f":{written}", f":{port}").replace(f"PORT={written}", f"PORT={port}")
            block = block.replace(f"shop.py {written}", f"shop.py {port}")
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(f"{block}\necho '== done'\n".encode())
        try:
            async with asyncio.timeout(BLOCK_SECONDS):
                while (line := (await stdout.readline()).decode()) != "== done\n":
                    self.said.append(line)
                    assert line, "".join(self.said[-60:])
        except TimeoutError:
            pytest.fail("".join(self.said[-60:]))


@asynccontextmanager
async def shell_in(folder: Path, project_root: Path, env: dict[str, str]) -> AsyncIterator[Shell]:
    """Everything that it started has ended afterwards."""
    (folder / "docs").symlink_to(project_root / "docs")
    (folder / "bin").mkdir()
    for name, command in (("python", '"$@"'), ("cellway", '-m console "$@"')):
        script = folder / "bin" / name
        script.write_text(f"#!/bin/sh\nexec {sys.executable} {command}\n")
        script.chmod(0o755)
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("CELLWAY", "PG"))}
    process = await asyncio.create_subprocess_exec(
        *(require_program("bash", "the page's commands"), "-eu"), cwd=folder,
        stdin=PIPE, stdout=PIPE, stderr=STDOUT, start_new_session=True, env={
            **plain, **env, "PATH": f"{folder / 'bin'}:{plain['PATH']}", "PYTHONPATH": str(project_root),
            **{name: value for name, value in os.environ.items() if name == "CELLWAY_INTERPRETED"},
        },
    )  # fmt: skip
    try:
        yield Shell(process, {port: ports.free_port("127.0.0.1") for port in PORTS})
    finally:
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(process.pid, number)
            except ProcessLookupError:
                break
            await asyncio.sleep(1.0 if number == signal.SIGTERM else 0)
        await process.wait()


class Shopper:
    """Orders one thing after another, and remembers what was acknowledged."""

    def __init__(self, session: aiohttp.ClientSession, shell: Shell, customer: str) -> None:
        self._session, self._shell = session, shell
        self._headers = {"X-Customer": customer}
        self.acknowledged: list[int] = []
        self.statuses: Counter[int] = Counter()
        self._stopping = False

    async def run(self) -> None:
        """Until `stop`: orders, payments and visits."""
        while not self._stopping:
            number = (await self._post("/orders", {"tea": 1, "cup": 2}))["order"]
            await self._post(f"/orders/{number}/paid", {})
            await self._post("/visits", {"page": f"/orders/{number}"})
            self.acknowledged.append(number)

    async def _post(self, path: str, body: dict[str, object]) -> dict[str, int]:
        url = self._shell.url("8080", path)
        async with self._session.post(url, json=body, headers=self._headers) as response:
            self.statuses[response.status] += 1
            return await response.json() if response.status in (200, 201) else {"order": 0}

    async def paid(self) -> set[int]:
        """The orders that can be read, paid and whole."""
        async with self._session.get(self._shell.url("8080", "/orders"), headers=self._headers) as response:
            found = (await response.json())["orders"]
        whole = {"tea": 1, "cup": 2}
        return {order["order"] for order in found if order["state"] == "paid" and order["lines"] == whole}

    def stop(self) -> None:
        """No further order."""
        self._stopping = True

    async def goes_on(self, orders: int = 5) -> None:
        """Wait until so many further orders were acknowledged."""
        wanted = len(self.acknowledged) + orders
        await eventually(lambda: len(self.acknowledged) >= wanted, seconds=30)


async def test_a_service_of_ones_own_moves_while_it_is_used(
    own_postgres: PostgresServer, redis_url: str, tmp_path: Path, project_root: Path
) -> None:
    """Two shops become two cells; who orders all the while notices nothing, and nothing is lost."""
    require_program("psql", "the page's commands")
    require_program("curl", "the page's commands")
    page = (project_root / "docs" / "adopting.md").read_text(encoding="utf-8")
    blocks = dict(COMMANDS.findall(page))
    env = {
        "ADMIN": own_postgres.admin_dsn,
        "SHOP_A": own_postgres.dsn("shop_a"),
        "SHOP_B": own_postgres.dsn("shop_b"),
        "REDIS": redis_url,
    }
    folder = tmp_path / "folder"
    folder.mkdir()
    async with shell_in(folder, project_root, env) as shell, aiohttp.ClientSession() as session:
        for name in ("today", "look", "mend", "adopt", "fleet", "register"):
            await shell.paste(blocks[name])
        assert "✗ public.order_lines" in "".join(shell.said)
        shopper = Shopper(session, shell, "1001")
        async with asyncio.TaskGroup() as group:
            group.create_task(shopper.run())
            await shopper.goes_on()
            await shell.paste(blocks["move"])
            await shopper.goes_on()
            await shell.paste(blocks["newcomer"])
            await shell.paste(blocks["back"])
            await shopper.goes_on()
            shopper.stop()
        assert set(shopper.statuses) == {200, 201, 204}, shopper.statuses
        assert set(shopper.acknowledged) <= await shopper.paid()
        first, *_, last = shopper.acknowledged  # both were given by the first shop, some by the second in between
        assert max(first, last) < 10**12 < max(shopper.acknowledged)
        assert PASSWORD not in "".join(shell.said)
