"""Transactions at the border to Postgres: nothing is left behind, clashes are repeated, flips are noticed."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from cell.database import COMMAND_SECONDS, MOST_TRIES, again, transaction
from cell.errors import NotHere, Unavailable
from runtime.api.problem import ApiError
from runtime.database import Pool, open_pool
from tests.cell.cells import CellDatabase, Client, next_epoch
from tests.waiting import eventually

RAISE = "DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '{}', DETAIL = '7'; END $$"


@pytest.fixture
async def pool(cell_database: CellDatabase) -> AsyncIterator[Pool]:
    """One connection, so that whoever comes next gets the same."""
    made = await open_pool(
        cell_database.dsns["cell_app"], name="test", size=1, command_seconds=COMMAND_SECONDS, stateless=True
    )
    yield made
    await made.close()


async def _is_clean(pool: Pool) -> None:
    async with pool.acquire() as connection:
        assert not connection.is_in_transaction()
        assert not await connection.fetchval("SELECT current_setting('app.tenant', true)")


async def test_a_refused_request_leaves_nothing_behind(pool: Pool, client: Client) -> None:
    """The next tenant on the same connection starts with nothing."""

    async def refused() -> None:
        async with transaction(pool) as connection:
            await connection.execute("SELECT cellway.enter($1, $2)", client.tenant_id, client.epoch)
            raise ApiError("NOT_FOUND", "x")

    with pytest.raises(ApiError):
        await refused()
    await _is_clean(pool)


async def test_a_client_that_goes_away_leaves_nothing_behind(pool: Pool, client: Client) -> None:
    """Its task is cancelled in the middle of a statement; the connection is not used again."""
    entered = asyncio.Event()

    async def slow() -> None:
        async with transaction(pool) as connection:
            await connection.execute("SELECT cellway.enter($1, $2)", client.tenant_id, client.epoch)
            entered.set()
            await connection.execute("SELECT pg_sleep(30)")

    task = asyncio.ensure_future(slow())
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await _is_clean(pool)


@pytest.mark.parametrize("state", ["40001", "40P01"])
async def test_a_clash_is_repeated_a_few_times(pool: Pool, state: str) -> None:
    """Serialization failures and deadlocks are nobody's mistake."""
    tries = 0

    async def work(clashes: int) -> int:
        nonlocal tries
        tries += 1
        async with transaction(pool) as connection:
            if tries <= clashes:
                await connection.execute(RAISE.format(state))
            return tries

    assert await again(lambda: work(2)) == 3
    tries = 0
    with pytest.raises(Unavailable):
        await again(lambda: work(100))
    assert tries == MOST_TRIES


@pytest.mark.parametrize("state", ["57014", "55P03", "25006", "53300", "57P01"])
async def test_a_busy_database_is_unavailable_and_not_repeated(pool: Pool, state: str) -> None:
    """The client is told, and may come again."""
    tries = 0

    async def work() -> None:
        nonlocal tries
        tries += 1
        async with transaction(pool) as connection:
            await connection.execute(RAISE.format(state))

    with pytest.raises(Unavailable):
        await again(work)
    assert tries == 1


async def test_the_guards_refusal_carries_the_known_epoch(pool: Pool) -> None:
    """DETAIL becomes the epoch of the 421."""
    with pytest.raises(NotHere) as refused:
        async with transaction(pool) as connection:
            await connection.execute(RAISE.format("CW001"))
    assert refused.value.epoch == 7


async def test_a_write_that_comes_during_a_flip_waits_for_it_and_is_421(
    client: Client, cell_database: CellDatabase
) -> None:
    """It looks at the fence after the flip: nothing is answered by a state that is over."""
    watching, control = await cell_database.connect(), await cell_database.connect("cell_control")
    flipped = next_epoch()
    async with control.transaction():
        await control.execute("SELECT cellway.set_fence($1, $2, 'fenced', 'move')", client.tenant_id, flipped)
        late = asyncio.ensure_future(client("PATCH", "/v1/accounts/unknown", {"display_name": "x"}))
        waiting = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND $1 = ANY (pg_blocking_pids(pid)))"
        await eventually(lambda: watching.fetchval(waiting, control.get_server_pid()))
    answer = await late
    await watching.close()
    await control.close()
    assert answer.problem == (421, "FAILED_PRECONDITION", True)
    assert answer.headers["Cellway-Epoch"] == str(flipped)


async def test_a_flip_waits_for_a_write_that_is_inside(client: Client, cell_database: CellDatabase) -> None:
    """Also for one that has looked but not written yet: its answer is true, and the flip comes after it."""
    await client("POST", "/v1/accounts", {"account_id": "acme", "display_name": "Acme"})
    blocker, control = await cell_database.connect("cell_app"), await cell_database.connect("cell_control")
    blocking = blocker.transaction()
    await blocking.start()
    await blocker.execute("SELECT cellway.enter($1, $2)", client.tenant_id, client.epoch)
    await blocker.fetch("SELECT * FROM cell.accounts FOR UPDATE")
    inside = asyncio.ensure_future(client("PATCH", "/v1/accounts/acme", {"display_name": "x"}))
    waiting = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND $1 = ANY (pg_blocking_pids(pid)))"
    await eventually(lambda: control.fetchval(waiting, blocker.get_server_pid()))
    flip = "SELECT cellway.set_fence($1, $2, 'fenced', 'move')"
    await control.execute("SET lock_timeout = '50ms'")
    with pytest.raises(asyncpg.LockNotAvailableError):
        await control.execute(flip, client.tenant_id, next_epoch())
    await blocking.rollback()
    assert (await inside).status == 200
    await control.execute(flip, client.tenant_id, next_epoch())
    await blocker.close()
    await control.close()
