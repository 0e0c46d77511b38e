"""Real Consul servers for tests: one in development mode, or several that choose a leader among them."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import aiohttp

from runtime.embedded import ports
from tests.programs import require_program
from tests.waiting import START_SECONDS, eventually

HOST = "127.0.0.1"
CONFIGURATION = """
session_ttl_min = "1s"
disable_update_check = true
limits { http_max_conns_per_client = 2000 }
performance { raft_multiplier = 1 }
"""


class ConsulServer:
    """One of `servers`, with `more` configuration; `token` is sent with its calls. Alone it is in development
    mode, and forgets everything when it ends; with 0 it is no server, but an agent as there is one on each
    machine.
    """

    def __init__(
        self, folder: Path, name: str = "alone", servers: int = 1, more: str = "", token: str = ""
    ) -> None:
        self._more, self._headers = more, {"X-Consul-Token": token} if token else {}
        self._program = require_program("consul", "what Cellway keeps in Consul")
        self._folder, self.name, self._servers = folder, name, servers
        self._process: subprocess.Popen[bytes] | None = None
        self.http, self._server, self.serf = (ports.free_port(HOST) for _ in range(3))
        self.url = f"http://{HOST}:{self.http}"

    def start(self, others: "tuple[ConsulServer, ...]" = ()) -> "ConsulServer":
        """Start, or start again on the same ports."""
        self._folder.mkdir(parents=True, exist_ok=True)
        configuration = self._folder / "configuration.hcl"
        configuration.write_text(CONFIGURATION + self._more, encoding="utf-8")
        command = [self._program, "agent", "-bind", HOST, "-node", self.name, "-config-file", str(configuration)]
        command += ["-dns-port", "-1", "-grpc-port", "-1", "-serf-wan-port", "-1", "-http-port", str(self.http)]
        command += ["-server-port", str(self._server), "-serf-lan-port", str(self.serf)]
        if self._servers == 1:
            command += ["-dev"]
        else:
            if self._servers:
                command += ["-server", "-bootstrap-expect", str(self._servers)]
            command += ["-data-dir", str(self._folder / "data"), "-retry-interval", "1s"]
            command += [word for other in others for word in ("-retry-join", f"{HOST}:{other.serf}")]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        return self

    def kill(self) -> None:
        """kill -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """SIGSTOP for a while: connections are accepted, and nothing is answered."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self._process.pid, signal.SIGCONT)

    async def get(self, path: str) -> Any:
        """What it answers; None while it does not, or cannot."""
        return await self._call("GET", path, None)

    async def put(self, path: str, body: Any) -> Any:
        """The same, for a change."""
        return await self._call("PUT", path, body)

    async def _call(self, method: str, path: str, body: Any) -> Any:
        timeout = aiohttp.ClientTimeout(2)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout, headers=self._headers) as client,
                client.request(method, self.url + path, json=body) as response,
            ):
                return await response.json() if response.status == 200 else None
        except (aiohttp.ClientError, TimeoutError, OSError):
            return None

    async def ready(self) -> None:
        """It knows a leader, and that its own machine is healthy: before that it begins no session."""
        await eventually(lambda: self.get("/v1/status/leader"), seconds=START_SECONDS)
        await eventually(lambda: self.get(f"/v1/health/node/{self.name}"), seconds=START_SECONDS)


class ConsulCluster:
    """Three servers, and the agent that programs talk to."""

    def __init__(self, folder: Path) -> None:
        self.servers = [ConsulServer(folder / name, name, 3) for name in ("one", "two", "three")]
        self.agent = ConsulServer(folder / "agent", "agent", 0)

    async def start(self) -> None:
        """All of them, until the agent knows a leader."""
        for server in (*self.servers, self.agent):
            self.start_one(server)
        await self.agent.ready()

    def start_one(self, server: ConsulServer) -> None:
        """As a member, also when it was one before."""
        server.start(tuple(other for other in self.servers if other is not server))

    async def leader(self) -> ConsulServer:
        """Who leads now, as most of them say."""

        async def known() -> ConsulServer | None:
            for server in self.servers:
                address = await server.get("/v1/status/leader")
                for candidate in self.servers:
                    if address == f"{HOST}:{candidate._server}":
                        return candidate
            return None

        found = await eventually(known, seconds=START_SECONDS)
        assert found is not None
        return found

    def stop(self) -> None:
        """All of them, at once."""
        with ExitStack() as stack:
            for server in (*self.servers, self.agent):
                stack.callback(server.kill)
