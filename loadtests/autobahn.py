"""Autobahn's fuzzing client against a WebSocket echo server, straight and through the router: the same verdicts?

    python -m loadtests.autobahn --python2 python2.7 [--all]

The router is a pipe after the handshake, so whatever the suite finds fault with has to be the echo server's own.
Verdicts are compared case by case, with the codes of the Close frames. Without `--all` the cases that measure
speed or send a thousand messages each (9, 12 and 13) are left out. The suite itself runs on Python 2.7 only; it is
installed into a folder of its own (`autobahn.txt`) on the first run.
"""

import argparse
import asyncio
import contextlib
import json
import os
import secrets
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from aiohttp import WSMsgType, web

from directory.redis_feed import RedisFeed
from directory.values import CellEntry, Snapshot, TenantEntry
from runtime.embedded.ports import free_port
from runtime.embedded.redis import RedisServer
from runtime.site import Site

HERE = Path(__file__).parent
RESULT = HERE / "results" / "autobahn.json"
REQUIREMENTS = HERE / "autobahn.txt"
LARGEST_MESSAGE_BYTES = 32 * 2**20
"""The suite's largest message has 16 MiB."""
SLOW_CASES = ["9.*", "12.*", "13.*"]
ANSWER_SECONDS = 30.0
DIRECT, ROUTED = "direct", "router"
REPEATS = 20
"""Of a case whose verdicts differ."""
COMPARED = ("behavior", "behaviorClose", "remoteCloseCode")
LAUNCH = "import site, sys; site.addsitedir(sys.argv.pop(1)); from autobahntestsuite import wstest; wstest.run()"
"""Not by a path alone: some of its packages share a namespace, which only a site's folder makes whole."""

Verdict = tuple[Any, ...]
"""The values of COMPARED."""
Verdicts = dict[str, dict[str, Verdict]]
"""Agent → case → verdict."""


async def echo(request: web.Request) -> web.WebSocketResponse:
    """Send every message back as it came."""
    socket = web.WebSocketResponse(max_msg_size=LARGEST_MESSAGE_BYTES)
    await socket.prepare(request)
    async for message in socket:
        if message.type is WSMsgType.TEXT:
            await socket.send_str(message.data)
        elif message.type is WSMsgType.BINARY:
            await socket.send_bytes(message.data)
    return socket


@contextlib.asynccontextmanager
async def echo_server() -> AsyncIterator[str]:
    """An ordinary server, which is the tenant's cell too. Yields host:port."""
    application = web.Application()
    application.router.add_get("/", echo)
    site = Site("echo", application, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"127.0.0.1:{site.port}"
    finally:
        await site.stop()


@contextlib.contextmanager
def router(redis_url: str) -> Iterator[tuple[int, int]]:
    """The router's own program. Yields its port and its administrative one."""
    port, admin = free_port(), free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CELLWAY_")}
    # The suite sends no header of ours, so the path names the tenant, and no key is asked for.
    environment |= {
        "CELLWAY_ROUTER_DIRECTORY_REDIS_URL": redis_url,
        "CELLWAY_ROUTER_PORT": str(port),
        "CELLWAY_ROUTER_ADMIN_PORT": str(admin),
        "CELLWAY_ROUTER_REQUIRE_API_KEY": "false",
    }
    process = subprocess.Popen([sys.executable, "-m", "router"], env=environment, cwd=HERE.parent)
    try:
        yield port, admin
    finally:
        process.terminate()
        process.wait()


async def ready(admin_port: int) -> None:
    """Wait until the router serves. TimeoutError."""
    async with asyncio.timeout(ANSWER_SECONDS), httpx.AsyncClient() as client:
        while True:
            with contextlib.suppress(httpx.TransportError):
                if (await client.get(f"http://127.0.0.1:{admin_port}/health/ready")).status_code == 200:
                    return
            await asyncio.sleep(0.1)


def installed(python2: str, folder: Path) -> Path:
    """The folder with the suite in it."""
    if not (folder / "autobahntestsuite").is_dir():
        print(f"Installing Autobahn's test suite into {folder} (once)")
        pip = [python2, "-m", "pip", "--disable-pip-version-check", "--quiet", "install", "--no-deps"]
        subprocess.run([*pip, "--target", folder, "--requirement", REQUIREMENTS], check=True)  # noqa: S603
    return folder


def specification(folder: str, servers: dict[str, str], cases: list[str], without: list[str]) -> Path:
    """The file that tells the suite what to do. `servers`: agent → URL."""
    path = Path(folder, "specification.json")
    said = {
        "outdir": folder,
        "servers": [{"agent": agent, "url": url} for agent, url in servers.items()],
        "cases": cases,
        "exclude-cases": without,
        "exclude-agent-cases": {},
    }
    path.write_text(json.dumps(said))
    return path


def verdicts(folder: str) -> Verdicts:
    """What the suite says of each agent's cases."""
    found = json.loads(Path(folder, "index.json").read_text())
    return {
        agent: {case: tuple(verdict.get(what) for what in COMPARED) for case, verdict in cases.items()}
        for agent, cases in found.items()
    }


@dataclass(frozen=True, slots=True)
class Suite:
    """The fuzzing client, and the two ways to the echo server."""

    python2: str
    folder: Path
    ways: dict[str, str]
    """DIRECT and ROUTED → URL."""

    async def judge(self, servers: dict[str, str], cases: list[str], without: list[str]) -> Verdicts:
        """Run it; it takes one server after the other. `servers`: agent → URL."""
        with tempfile.TemporaryDirectory() as folder:
            path = specification(folder, servers, cases, without)
            options = ["-m", "fuzzingclient", "-s", str(path)]
            command = [self.python2, "-W", "ignore", "-c", LAUNCH, str(self.folder), *options]
            process = await asyncio.create_subprocess_exec(*command, cwd=folder, stdout=asyncio.subprocess.DEVNULL)
            if await process.wait():
                raise SystemExit("the test suite failed; what it says of itself is above")
            return verdicts(folder)

    async def compare(self, without: list[str]) -> dict[str, Any]:
        """What is written down."""
        found = await self.judge(self.ways, ["*"], without)
        direct, routed = found[DIRECT], found[ROUTED]
        cases = sorted(direct.keys() | routed.keys(), key=lambda case: [int(part) for part in case.split(".")])
        unlike = [case for case in cases if direct.get(case) != routed.get(case)]
        different = await self.again(unlike) if unlike else []
        return {
            "cases": len(cases),
            "same": len(cases) - len(different),
            "different": different,
            "wavering": sorted(set(unlike) - {each["case"] for each in different}),
            "verdicts": Counter(str(verdict[0]) for verdict in routed.values()),
        }

    async def again(self, cases: list[str]) -> list[dict[str, Any]]:
        """Those that get a verdict through the router that the server never gets straight.

        Where the server closes while the client still sends, what of its Close frame arrives is up to chance.
        """
        servers = {f"{way} {number}": url for number in range(REPEATS) for way, url in self.ways.items()}
        found = await self.judge(servers, cases, [])
        seen: dict[tuple[str, str], set[Verdict]] = {}
        for agent, judged in found.items():
            for case, verdict in judged.items():
                seen.setdefault((agent.split()[0], case), set()).add(verdict)
        return [
            {"case": case, **{way: sorted(map(list, seen[way, case]), key=str) for way in self.ways}}
            for case in cases
            if not seen[ROUTED, case] <= seen[DIRECT, case]
        ]


async def run(python2: str, folder: Path, *, everything: bool) -> dict[str, Any]:
    """All of it, on servers of its own."""
    with tempfile.TemporaryDirectory() as data, RedisServer(Path(data, "redis"), secrets.token_hex(8)) as redis:
        async with echo_server() as address:
            feed = RedisFeed(redis.url)
            cells = {"cell-1": CellEntry("cell-1", "open", f"http://{address}")}
            await feed.fill(Snapshot("autobahn", 1, cells, {"acme": TenantEntry("acme", "cell-1", 1)}))
            await feed.close()
            with router(redis.url) as (port, admin):
                await ready(admin)
                ways = {DIRECT: f"ws://{address}/", ROUTED: f"ws://127.0.0.1:{port}/t/acme/"}
                return await Suite(python2, folder, ways).compare([] if everything else SLOW_CASES)


def main() -> int:
    """Run, write the result, and return 0 when no verdict differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python2", default="python2.7", help="a Python 2.7 with pip")
    parser.add_argument("--suite", type=Path, default=Path(".venv", "autobahn"), help="where the suite is kept")
    parser.add_argument("--all", action="store_true", help="the slow cases as well")
    options = parser.parse_args()
    try:
        folder = installed(options.python2, options.suite).resolve()
    except (OSError, subprocess.CalledProcessError) as error:
        print(
            f"Autobahn's test suite needs a Python 2.7 with pip; name one with --python2: {error}", file=sys.stderr
        )
        return 2
    result = asyncio.run(run(options.python2, folder, everything=options.all))
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))
    return 1 if result["different"] else 0


if __name__ == "__main__":
    sys.exit(main())
