"""The closed-loop client: wrk, one thread, with requests that were made ready before."""

import json
from pathlib import Path

from loadtests.router.cpu import cpu_seconds
from loadtests.router.figures import Figures
from loadtests.router.pinned import program, run_client
from loadtests.router.proxies import Proxy
from loadtests.router.scenarios import Scenario

SCRIPT = Path(__file__).parent / "requests.lua"
TIMEOUT_SECONDS = 5
ERRORS = ("connect", "read", "write", "status", "timeout")
"""As wrk counts them: `status` is every answer from 400 on."""


def measure(proxy: Proxy, scenario: Scenario, requests: Path, seconds: float, warm_up_seconds: float) -> Figures:
    """Warm up, then measure; the proxy's CPU time is what it used while the second wrk ran.

    Errors count in both.
    """
    warmed = _run(proxy, scenario, requests, warm_up_seconds)
    before = cpu_seconds(proxy.process.pid)
    found = _run(proxy, scenario, requests, seconds)
    used = cpu_seconds(proxy.process.pid) - before
    failures = {kind: int(found[kind] + warmed[kind]) for kind in ERRORS if found[kind] or warmed[kind]}
    if found["bytes"] < found["requests"] * scenario.received_bytes:
        failures["short"] = 1  # what is missing cannot be told by request
    return Figures(
        requests=int(found["requests"]),
        seconds=found["microseconds"] / 1e6,
        cpu_seconds=used,
        p50_ms=found["p50_us"] / 1000,
        p99_ms=found["p99_us"] / 1000,
        failures=failures if found["requests"] else {**failures, "no answer": 1},
    )


def _run(proxy: Proxy, scenario: Scenario, requests: Path, seconds: float) -> dict[str, float]:
    # wrk takes whole seconds only.
    whole = max(1, round(seconds))
    command = [program("wrk"), "--threads", "1", "--connections", str(scenario.connections)]
    command += ["--duration", f"{whole}s", "--timeout", f"{TIMEOUT_SECONDS}s", "--script", str(SCRIPT)]
    command += [f"http://127.0.0.1:{proxy.port}", "--", str(requests)]
    printed = run_client(command, whole + 30)
    found: dict[str, float] = json.loads(printed.rstrip().rpartition("\n")[2])
    return found
