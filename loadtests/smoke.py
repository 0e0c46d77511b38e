"""A first figure: requests/s and latency through router → cell → Postgres, on an embedded platform of its own.

    python -m loadtests.smoke [--seconds 5] [--connections 16]

Closed loop: each connection sends its next request when the last one is answered. Client, router, cells and
databases share the machine, so the figure is a floor, and only good for comparing with itself.
"""

import argparse
import asyncio
import json
import os
import platform as machine
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import aiohttp

from console.platform.platform import Platform
from console.platform.settings import SYSTEM_PORTS, UpSettings

RESULT = Path(__file__).parent / "results" / "smoke.json"
WARM_UP_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Figures:
    """What one kind of request did."""

    requests: int
    failures: int
    requests_per_second: float
    latency_p50_ms: float
    latency_p99_ms: float
    latency_max_ms: float


@dataclass(frozen=True, slots=True)
class Tenant:
    """Whom to call as."""

    base: str
    api_key: str


Send = Callable[[aiohttp.ClientSession, Tenant, int], Awaitable[int]]


async def read(session: aiohttp.ClientSession, tenant: Tenant, _number: int) -> int:
    """Get one account; returns the status."""
    headers = {"Authorization": f"Bearer {tenant.api_key}"}
    async with session.get(f"{tenant.base}/v1/accounts/main", headers=headers) as response:
        await response.read()
        return response.status


async def write(session: aiohttp.ClientSession, tenant: Tenant, number: int) -> int:
    """Create one account; returns the status."""
    headers = {"Authorization": f"Bearer {tenant.api_key}", "Idempotency-Key": f"smoke-{number}"}
    body = {"account_id": f"a{number}", "display_name": f"Account {number}"}
    async with session.post(f"{tenant.base}/v1/accounts", json=body, headers=headers) as response:
        await response.read()
        return response.status


async def measure(tenants: list[Tenant], send: Send, wanted: int, seconds: float, connections: int) -> Figures:
    """Send for `seconds` on so many connections, after a short warm-up that is not counted."""
    latencies: list[float] = []
    failures = 0
    number = 0
    begin = time.perf_counter() + WARM_UP_SECONDS
    end = begin + seconds

    async def connection(session: aiohttp.ClientSession, tenant: Tenant) -> None:
        nonlocal failures, number
        while (started := time.perf_counter()) < end:
            number += 1
            status = await send(session, tenant, number)
            if started >= begin:
                latencies.append(time.perf_counter() - started)
                failures += status != wanted

    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
        asyncio.TaskGroup() as group,
    ):
        for n in range(connections):
            group.create_task(connection(session, tenants[n % len(tenants)]))
    latencies.sort()
    return Figures(
        requests=len(latencies),
        failures=failures,
        requests_per_second=round(len(latencies) / seconds, 1),
        latency_p50_ms=_ms(latencies, 0.50),
        latency_p99_ms=_ms(latencies, 0.99),
        latency_max_ms=_ms(latencies, 1.0),
    )


def _ms(latencies: list[float], share: float) -> float:
    return round(latencies[min(len(latencies) - 1, int(len(latencies) * share))] * 1000, 2) if latencies else 0.0


async def tenants_of(platform: Platform) -> list[Tenant]:
    """As many tenants as cells, each with an account to read."""
    headers = {"Authorization": f"Bearer {platform.operator_token}"}
    found = []
    async with aiohttp.ClientSession() as session:
        for number in range(len(platform.cells)):
            name = f"smoke-{number}"
            body = {"tenant_id": name, "display_name": name}
            url = f"{platform.url('placement')}/v1/tenants"
            async with session.post(url, json=body, headers=headers, raise_for_status=True) as response:
                api_key = (await response.json())["api_key"]
            tenant = Tenant(f"{platform.url('router')}/t/{name}", api_key)
            sent = {"Authorization": f"Bearer {api_key}", "Idempotency-Key": "main"}
            account = {"account_id": "main", "display_name": "Main"}
            async with session.post(
                f"{tenant.base}/v1/accounts", json=account, headers=sent, raise_for_status=True
            ):
                found.append(tenant)
    return found


async def run(seconds: float, connections: int) -> dict[str, object]:
    """Start a platform, measure reads and then writes, stop it."""
    with tempfile.TemporaryDirectory(prefix="cellway-smoke-") as folder:
        async with Platform(Path(folder) / "platform", 3, UpSettings(**SYSTEM_PORTS)) as platform:
            tenants = await tenants_of(platform)
            reads = await measure(tenants, read, 200, seconds, connections)
            writes = await measure(tenants, write, 201, seconds, connections)
    return {
        "read": asdict(reads),
        "write": asdict(writes),
        "seconds": seconds,
        "connections": connections,
        "cells": 3,
        "cores": os.cpu_count(),
        "python": machine.python_version(),
    }


def main() -> int:
    """Measure, print, and write the results; 1 when a request failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--connections", type=int, default=16)
    options = parser.parse_args()
    result = asyncio.run(run(options.seconds, options.connections))
    failures = 0
    for kind in ("read", "write"):
        figures = result[kind]
        if isinstance(figures, dict):
            failures += figures["failures"]
            print(
                f"{kind:5}  {figures['requests_per_second']:>8} requests/s   p50 {figures['latency_p50_ms']} ms   "
                f"p99 {figures['latency_p99_ms']} ms   failures {figures['failures']}"
            )
    RESULT.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(f"written to {RESULT}")
    return 1 if failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
