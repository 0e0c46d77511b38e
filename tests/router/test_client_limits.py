"""How many clients may be connected: fewer than would leave no file for a cell or for an operator."""

import resource

from directory.memory_feed import MemoryFeed
from router import files, metrics
from router.app import Router
from tests.router.upstreams import FakeCell, connected, get, running
from tests.waiting import eventually


async def test_one_client_too_many_is_told_so_and_counted(feed: MemoryFeed, cell: FakeCell) -> None:
    """Those who are connected are served, and there is room again when one of them leaves."""
    before = metrics.CLIENTS_REFUSED._value.get()
    async with running(feed, client_connections=2) as router:
        await eventually(lambda: len(router.table))
        async with connected(router) as first:
            async with connected(router):
                await eventually(lambda: len(router.lane.clients) == 2)
                async with connected(router) as third:
                    answer = await third.answer()
                    assert (answer.status, answer.values(b"retry-after")) == (503, [b"1"])
                    assert await third.closed()
                assert metrics.CLIENTS_REFUSED._value.get() == before + 1
                first.send(get())
                assert (await first.answer()).status == 200
            await eventually(lambda: len(router.lane.clients) == 1)
            async with connected(router) as again:
                again.send(get())
                assert (await again.answer()).status == 200


async def test_as_many_files_as_the_system_grants_are_asked_for(router: Router) -> None:
    """And clients get a third of them, less a reserve."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert soft == hard or soft >= files.MOST_FILES
    assert router.lane.most_connections == files.for_clients(files.allowed())
    assert files.for_clients(1024) == 298
    assert files.for_clients(64) == 1
