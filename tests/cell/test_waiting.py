"""Many who wait for operations: bounded, and never in the way of others."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest

from cell.api.notices import MOST_OF_A_TENANT
from cell.app.api import assemble_api
from runtime.embedded.redis import RedisServer
from tests.cell.cells import Answer, CellDatabase, Client, RunningCell, settings_for, worker_of
from tests.cell.test_operations import provision
from tests.waiting import eventually

AT_ONCE = 20


@pytest.fixture
async def small(
    cell_database: CellDatabase, redis_server: RedisServer, session: aiohttp.ClientSession
) -> AsyncIterator[RunningCell]:
    """A cell with two connections, of which waiters take one at most."""
    settings = settings_for(cell_database, redis_server.url, pool_size=2)
    api = await assemble_api(settings)
    await api.lifecycle.start()
    try:
        yield RunningCell(api, settings, cell_database, session)
    finally:
        await api.lifecycle.stop()


async def wait(client: Client, operation: Answer) -> Answer:
    """As long as one may."""
    return await client("GET", f"/v1/{operation.json['name']}:wait", params={"timeout_seconds": "25"})


async def crowd(cell: RunningCell, client: Client, operation: Answer) -> list[asyncio.Future[Answer]]:
    """As many waiters as a tenant may have."""
    topic = f"{client.tenant_id}/{operation.json['name'].removeprefix('operations/')}"
    waiting: list[asyncio.Future[Answer]] = []

    async def all_wait() -> bool:
        return cell.api.notices.waiting(topic) == len(waiting)

    while len(waiting) < MOST_OF_A_TENANT:
        waiting.extend(asyncio.ensure_future(wait(client, operation)) for _ in range(AT_ONCE))
        await eventually(all_wait)
    return waiting


async def test_a_tenant_has_so_many_waiters_and_no_more(small: RunningCell) -> None:
    """429 for the next one, to be tried again; another tenant's waiters find room."""
    client, other = await small.tenant(), await small.tenant()
    begun, others = await provision(client), await provision(other)
    waiting = await crowd(small, client, begun)
    assert (await wait(client, begun)).problem == (429, "RESOURCE_EXHAUSTED", True)
    elsewhere = asyncio.ensure_future(wait(other, others))
    topic = f"{other.tenant_id}/{others.json['name'].removeprefix('operations/')}"
    await eventually(lambda: small.api.notices.waiting(topic))
    async with worker_of(small.settings):
        assert {answer.json["state"] for answer in await asyncio.gather(elsewhere, *waiting)} == {"SUCCEEDED"}
    await eventually(lambda: not small.api.notices.waiting(topic))


async def test_waiters_that_all_wake_at_once_leave_the_pool_to_others(small: RunningCell) -> None:
    """They look again in turns, fewer at a time than there are connections; everybody else passes them."""
    client, other = await small.tenant(), await small.tenant()
    begun = await provision(client)
    waiting = await crowd(small, client, begun)

    async def has_ended() -> bool:
        answer = await client("GET", f"/v1/{begun.json['name']}")
        return bool(answer.json["state"] == "SUCCEEDED")

    async with small.api.notices.turns, worker_of(small.settings):
        await eventually(has_ended)
        for _ in range(3):
            assert (await other("GET", "/v1/accounts")).status == 200
        assert not any(waiter.done() for waiter in waiting)
    assert {answer.json["state"] for answer in await asyncio.gather(*waiting)} == {"SUCCEEDED"}
