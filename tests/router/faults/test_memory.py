"""What a router needs does not grow with what it has served."""

import asyncio
from pathlib import Path

import psutil

from tests.router.faults.load import lean, one_each, pipelined
from tests.router.faults.programs import started
from tests.router.upstreams import get

PIPELINES, AT_ONCE = 8, 50
ENOUGH = 100_000
"""Requests that are to be served in all, warm-up and all."""


class Asking:
    """Requests of which a part is unlike any before, so that nothing about them may be remembered for ever."""

    def __init__(self, port: int) -> None:
        self._port, self._number = port, 0
        self.served = 0
        """The others were told to come again: a busy machine makes a router shed."""

    def _unlike(self, number: int) -> list[bytes]:
        first, self._number = self._number, self._number + number
        return [get(extra=f"X-Number: {each}\r\n") for each in range(first, self._number)]

    async def pipelines(self, alike: int, unlike: int) -> None:
        """So many requests over a few connections."""
        usual = [get()] * (alike // PIPELINES)
        each = [usual + self._unlike(unlike // PIPELINES) for _ in range(PIPELINES)]
        asking = (asyncio.to_thread(pipelined, self._port, requests, AT_ONCE) for requests in each)
        self.served += sum(await asyncio.gather(*asking))

    async def connections(self, number: int) -> None:
        """So many connections of one request each, some of which leave at once."""
        for _ in range(number // 500):
            self.served += await asyncio.to_thread(one_each, self._port, self._unlike(500))


async def test_memory_is_flat_over_many_requests_and_connections(redis_url: str, project_root: Path) -> None:
    """A hundred thousand requests and ten thousand connections after a warm-up of the same kind."""
    patience = {"cell_waiting": 4096, "cell_wait_seconds": 20}
    async with lean() as cell, started(redis_url, project_root, cell, **patience) as router:
        process = psutil.Process(router.process.pid)
        asking = Asking(router.site.port)
        await asking.pipelines(8_000, 32_000)
        await asking.connections(2_000)
        before = process.memory_info().rss
        await asking.pipelines(80_000, 20_000)
        await asking.connections(10_000)
        async with asyncio.timeout(300):
            while asking.served < ENOUGH:
                await asking.pipelines(8_000, 2_000)
        grown = process.memory_info().rss - before
        print(f"grown by {grown / 1e6:.1f} MB on {before / 1e6:.1f} MB")
        assert grown < 20_000_000
        assert cell.answered >= asking.served >= ENOUGH
