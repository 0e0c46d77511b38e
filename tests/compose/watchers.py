"""Who watches, as real programs: Prometheus, Alertmanager, and of what is not ours HAProxy and Consul."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from runtime.embedded import ports
from tests.consuls import ConsulServer
from tests.programs import require_program
from tests.waiting import START_SECONDS, eventually

HOST = "127.0.0.1"
MANAGER = Path(__file__).parents[2] / "compose" / "alertmanager"
TELEMETRY = 'telemetry { prometheus_retention_time = "60s"\n disable_hostname = true }\n'
"""As compose/consul has it."""
HAPROXY = """
defaults
    mode http
    timeout connect 1s
    timeout client 5s
    timeout server 5s
frontend tenants
    bind {host}:{tenants}
    default_backend routers
backend routers
    server router-1 {host}:1
frontend watch
    bind {host}:{watch}
    http-request use-service prometheus-exporter if {{ path /metrics }}
"""


def ran(*command: str | Path, within: Path | None = None) -> subprocess.CompletedProcess[str]:
    """A command that ends, with what it said."""
    words = [str(word) for word in command]
    return subprocess.run(words, cwd=within, capture_output=True, text=True, timeout=120, check=False)


@asynccontextmanager
async def running(folder: Path, command: Sequence[str | Path], url: str) -> AsyncIterator[str]:
    """A program, from when `url` answers until it is stopped."""
    with (folder / "log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(*map(str, command), stdout=log, stderr=log, cwd=folder)
    try:

        async def there() -> bool:
            assert process.returncode is None, (folder / "log").read_text()[-2000:]
            return await page(url) is not None

        await eventually(there, seconds=START_SECONDS, every=0.05)
        yield url
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def page(url: str, **parameters: str) -> str | None:
    """What is there; None: nothing, or not now."""
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(20)) as session,
            session.get(url, params=parameters) as response,
        ):
            return await response.text() if response.status == 200 else None
    except (aiohttp.ClientError, TimeoutError):
        return None


class Prometheus:
    """One that runs."""

    def __init__(self, url: str) -> None:
        self.url = url

    async def ask(self, path: str, **parameters: str) -> Mapping[str, Any]:
        """The answer of its API, also one that says what is wrong."""
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(20)) as session,
            session.get(f"{self.url}/api/v1/{path}", params=parameters) as response,
        ):
            found: Mapping[str, Any] = await response.json()
            return found


@asynccontextmanager
async def prometheus(folder: Path, configuration: str) -> AsyncIterator[Prometheus]:
    """Prometheus with this configuration."""
    program, port = require_program("prometheus", "what dashboards and rules ask for"), ports.free_port(HOST)
    (folder / "prometheus.yml").write_text(configuration, encoding="utf-8")
    command = [program, "--config.file=prometheus.yml", "--storage.tsdb.path=data", "--log.level=warn"]
    command += [f"--web.listen-address={HOST}:{port}"]
    async with running(folder, command, f"http://{HOST}:{port}/-/ready"):
        yield Prometheus(f"http://{HOST}:{port}")


@asynccontextmanager
async def alertmanager(folder: Path) -> AsyncIterator[str]:
    """Alertmanager with the folder's alertmanager.yml; its address."""
    program, port = require_program("prometheus-alertmanager", "who is told of alerts"), ports.free_port(HOST)
    command = [program, "--config.file=alertmanager.yml", "--storage.path=data", "--cluster.listen-address="]
    command += [f"--web.listen-address={HOST}:{port}"]
    async with running(folder, command, f"http://{HOST}:{port}/-/ready"):
        yield f"http://{HOST}:{port}"


@asynccontextmanager
async def haproxy(folder: Path) -> AsyncIterator[str]:
    """HAProxy with a balancer's sections; the address of its page of metrics."""
    program = require_program("haproxy", "what dashboards ask of the balancer")
    watch = ports.free_port(HOST)
    text = HAPROXY.format(host=HOST, tenants=ports.free_port(HOST), watch=watch)
    (folder / "haproxy.cfg").write_text(text, encoding="utf-8")
    async with running(folder, [program, "-f", "haproxy.cfg"], f"http://{HOST}:{watch}/metrics") as url:
        yield url


@asynccontextmanager
async def consul(folder: Path) -> AsyncIterator[str]:
    """A Consul that leads itself; the address of its page of metrics."""
    server = ConsulServer(folder, more=TELEMETRY).start()
    url = f"{server.url}/v1/agent/metrics?format=prometheus"
    try:
        await server.ready()

        async def told() -> bool:
            text = await page(url) or ""
            return "consul_raft_commitTime_sum" in text and "consul_autopilot_healthy" in text

        await eventually(told, seconds=START_SECONDS)
        yield url
    finally:
        server.kill()
