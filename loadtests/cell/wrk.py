"""The closed-loop client: each connection sends its next request when the last one is answered."""

import itertools
import json
from pathlib import Path

from loadtests.cell.servers import Server
from loadtests.cell.stage import NAMESPACES, create_request, read_request
from loadtests.router.cpu import cpu_seconds
from loadtests.router.figures import Figures
from loadtests.router.pinned import program, run_client

SCRIPT = Path(__file__).with_name("requests.lua")
CONNECTIONS = 16
TIMEOUT_SECONDS = 5
ERRORS = ("connect", "read", "write", "status", "timeout")
"""As wrk counts them: `status` is every answer from 400 on."""


class Client:
    """Sends one tenant's requests. Names of what it makes are never used again."""

    def __init__(self, api_key: str, folder: Path) -> None:
        self._api_key, self._path = api_key, folder / "request"
        self._prefixes = itertools.count()

    def measure(self, server: Server, kind: str, seconds: float, warm_up_seconds: float) -> Figures:
        """Warm up, then measure; the server's CPU time is what it used while the second wrk ran."""
        warmed = self._run(server, kind, warm_up_seconds)
        before = cpu_seconds(server.process.pid)
        found = self._run(server, kind, seconds)
        used = cpu_seconds(server.process.pid) - before
        failures = {name: int(found[name] + warmed[name]) for name in ERRORS if found[name] or warmed[name]}
        return Figures(
            requests=int(found["requests"]),
            seconds=found["microseconds"] / 1e6,
            cpu_seconds=used,
            p50_ms=found["p50_us"] / 1000,
            p99_ms=found["p99_us"] / 1000,
            failures=failures if found["requests"] else {**failures, "no answer": 1},
        )

    def _run(self, server: Server, kind: str, seconds: float) -> dict[str, float]:
        reads = kind == "read"
        made = f"{server.name}-{next(self._prefixes)}-"
        self._path.write_bytes(read_request(self._api_key) if reads else create_request(self._api_key, made))
        whole = max(1, round(seconds))  # wrk takes no others
        command = [program("wrk"), "--threads", "1", "--connections", str(CONNECTIONS)]
        command += ["--duration", f"{whole}s", "--timeout", f"{TIMEOUT_SECONDS}s", "--script", str(SCRIPT)]
        command += [f"http://127.0.0.1:{server.port}", "--", str(self._path), "0", str(NAMESPACES if reads else 0)]
        printed = run_client(command, whole + 30)
        found: dict[str, float] = json.loads(printed.rstrip().rpartition("\n")[2])
        return found
