"""What a router needs does not grow with what it has served."""

import asyncio
from pathlib import Path

import psutil

from tests.router.faults.load import lean, one_each, pipelined
from tests.router.faults.programs import started
from tests.router.upstreams import get

PIPELINES, AT_ONCE = 8, 50


async def serve(port: int, requests: int, connections: int) -> None:
    """So many requests over few connections, then so many connections of one request each."""
    each = requests // PIPELINES
    asking = (asyncio.to_thread(pipelined, port, get(f"/{number}"), each, AT_ONCE) for number in range(PIPELINES))
    assert sum(await asyncio.gather(*asking)) == each * PIPELINES
    for start in range(0, connections, 500):
        # Each of them different: nothing about them can be remembered for ever.
        batch = [get(f"/{start + at}", extra=f"X-Number: {start + at}\r\n") for at in range(500)]
        assert await asyncio.to_thread(one_each, port, batch) == 450


async def test_memory_is_flat_over_many_requests_and_connections(redis_url: str, project_root: Path) -> None:
    """A hundred thousand requests and ten thousand connections after a warm-up of the same kind."""
    patience = {"cell_waiting": 4096, "cell_wait_seconds": 20}
    async with lean() as cell, started(redis_url, project_root, cell, **patience) as router:
        process = psutil.Process(router.process.pid)
        await serve(router.site.port, 20_000, 10_000)
        before = process.memory_info().rss
        await serve(router.site.port, 100_000, 10_000)
        grown = process.memory_info().rss - before
        print(f"grown by {grown / 1e6:.1f} MB on {before / 1e6:.1f} MB")
        assert grown < 20_000_000
        assert cell.answered >= 138_000
