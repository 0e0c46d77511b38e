"""Waiting for a connection to a cell: never longer than was said, and never because of one tenant alone."""

import asyncio
from collections.abc import AsyncIterator, Callable
from time import monotonic

import pytest

from directory.resolver import CheckedResolver
from directory.values import CellEntry
from router.errors import Unreached
from router.rules.decide import Outcome
from router.tenants import Tenant
from router.upstream.pool import Limits, Pool
from tests.router.upstreams import FakeCell

WAKE_SECONDS = 0.05
"""How often somebody is woken for nothing: several times while he has patience."""


@pytest.fixture
async def resolver() -> AsyncIterator[CheckedResolver]:
    made = CheckedResolver()
    yield made
    await made.close()


class _Tenants(dict[str, Tenant]):
    def __missing__(self, name: str) -> Tenant:
        return self.setdefault(name, Tenant(name.encode()))


@pytest.fixture
def who() -> Callable[[str], Tenant]:
    """name → the tenant, the same one each time."""
    return _Tenants().__getitem__


def pool_of(cell: FakeCell, resolver: CheckedResolver, limits: Limits) -> Pool:
    return Pool(CellEntry("cell-1", "open", cell.address), limits, resolver)


async def test_the_wait_ends_in_time_however_often_one_is_woken(
    cell: FakeCell, resolver: CheckedResolver, who: Callable[[str], Tenant]
) -> None:
    """A turn that somebody else was quicker to use is no reason to begin to wait anew."""
    pool = pool_of(cell, resolver, Limits(connections=1, wait_seconds=0.3))
    held = await pool.take(who("acme"))
    pool.head_came(held)  # there is room for another request, but no connection
    woken = 0
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        waiting = group.create_task(_outcome(pool, who("beta")))
        while not waiting.done():
            await asyncio.sleep(WAKE_SECONDS)
            in_line = len(pool._queue)
            pool._next()
            woken += in_line - len(pool._queue)
    assert woken > 1
    assert waiting.result() is Outcome.BUSY
    pool.give_back(held, monotonic())


async def _outcome(pool: Pool, tenant: Tenant) -> Outcome | None:
    try:
        pool.give_back(await pool.take(tenant), monotonic())
    except Unreached as unreached:
        return unreached.outcome
    return None


async def test_a_probe_wakes_nobody(
    cell: FakeCell, resolver: CheckedResolver, who: Callable[[str], Tenant]
) -> None:
    """Its connection is not one of those that are counted, so nothing comes free when it ends."""
    pool = pool_of(cell, resolver, Limits(connections=1, wait_seconds=5.0))
    held = await pool.take(who("acme"))
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        waiting = group.create_task(pool.take(who("beta")))
        await asyncio.sleep(0)
        [place] = pool._queue
        await pool.probe(2.0)
        for _ in range(10):
            await asyncio.sleep(0)
        assert list(pool._queue) == [place]
        pool.give_back(held, monotonic())
    pool.give_back(waiting.result(), monotonic())


async def test_one_tenant_does_not_take_all_connections_to_a_cell(
    cell: FakeCell, resolver: CheckedResolver, who: Callable[[str], Tenant]
) -> None:
    """Over its share it waits and is refused, while another is served at once."""
    limits = Limits(connections=4, tenant_connections=2, waiting=4, wait_seconds=0.2)
    pool = pool_of(cell, resolver, limits)
    held = [await pool.take(who("acme")) for _ in range(2)]
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        over = [group.create_task(_outcome(pool, who("acme"))) for _ in range(3)]
        await asyncio.sleep(0)
        assert await _outcome(pool, who("beta")) is None
    assert [each.result() for each in over] == [Outcome.BUSY] * 3
    for connection in held:
        pool.give_back(connection, monotonic())
    assert await _outcome(pool, who("acme")) is None


async def test_what_a_tenant_gives_back_goes_to_whoever_may_have_it(
    cell: FakeCell, resolver: CheckedResolver, who: Callable[[str], Tenant]
) -> None:
    """Those of a tenant that has its share are passed over, and come to their turn when it gives back."""
    limits = Limits(connections=3, tenant_connections=2, waiting=8, wait_seconds=5.0)
    pool = pool_of(cell, resolver, limits)
    acme = [await pool.take(who("acme")) for _ in range(2)]
    beta = await pool.take(who("beta"))
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        again = group.create_task(pool.take(who("acme")))
        other = group.create_task(pool.take(who("gamma")))
        await asyncio.sleep(0)
        pool.give_back(beta, monotonic())
        gamma = await other
        assert not again.done()
        pool.give_back(acme.pop(), monotonic())
        acme.append(await again)
    for connection in (*acme, gamma):
        pool.give_back(connection, monotonic())
    assert not any(who(name).borrowed for name in ("acme", "beta", "gamma"))
