"""The sweep over all tenants: it hints what waits, remembers what it hinted, and removes what is past its time."""

from collections.abc import AsyncIterator

import pytest

from cell.database import COMMAND_SECONDS
from cell.jobs.hints import Hint
from cell.jobs.sweep import Expiry, Sweep
from runtime.clock import ManualClock
from runtime.database import Pool, open_pool
from runtime.embedded.postgres import PostgresServer
from tests.cell.cells import CellDatabase, new_cell_database, next_epoch

JOB = """
    WITH o AS (INSERT INTO cell.operations (operation_id, type, target, state, steps)
               VALUES ('op-' || $1, 'x', 'x', 'PENDING', '{}') RETURNING operation_id)
    INSERT INTO cell.jobs (job_id, operation_id, actor, args, state, run_at, lease_until)
    SELECT $1, operation_id, 'x', '{}', $2, due, due
    FROM o, (SELECT now() + make_interval(secs => $3)) at (due)
"""


class Listener:
    """Takes hints as `Hinter` does, and keeps them."""

    def __init__(self) -> None:
        self.heard: list[Hint] = []
        self.full = False

    def hint(self, hint: Hint) -> bool:
        """False when there is no room."""
        if not self.full:
            self.heard.append(hint)
        return not self.full


@pytest.fixture
async def fresh(postgres_server: PostgresServer) -> CellDatabase:
    """No jobs of anybody."""
    return await new_cell_database(postgres_server)


@pytest.fixture
async def relay(fresh: CellDatabase) -> AsyncIterator[Pool]:
    """As the relay's role."""
    pool = await open_pool(fresh.dsns["cell_relay"], name="test", size=2, command_seconds=COMMAND_SECONDS)
    yield pool
    await pool.close()


@pytest.fixture
async def app(fresh: CellDatabase) -> AsyncIterator[Pool]:
    """As the API's role."""
    pool = await open_pool(fresh.dsns["cell_app"], name="test", size=2, command_seconds=COMMAND_SECONDS)
    yield pool
    await pool.close()


async def tenant(fresh: CellDatabase, name: str) -> int:
    """A tenant with an open fence; its epoch."""
    epoch = next_epoch()
    control = await fresh.connect("cell_control")
    await control.execute("SELECT cellway.set_fence($1, $2, 'active', NULL)", name, epoch)
    await control.close()
    return epoch


async def job(app: Pool, name: str, epoch: int, job_id: str, state: str = "waiting", due_in: float = -1) -> Hint:
    """A job of that tenant."""
    async with app.acquire() as connection, connection.transaction():
        await connection.execute("SELECT cellway.enter($1, $2)", name, epoch)
        await connection.execute(JOB, job_id, state, due_in)
    return Hint(name, job_id, epoch)


async def test_every_job_that_nobody_is_at_is_hinted_once(fresh: CellDatabase, relay: Pool, app: Pool) -> None:
    """Of all tenants: what waits and is due, and what a silent worker holds; again only after a while."""
    one, two = await tenant(fresh, "one"), await tenant(fresh, "two")
    due = {
        await job(app, "one", one, "j1"),
        await job(app, "two", two, "j1"),
        await job(app, "two", two, "j2", "running"),
    }
    await job(app, "one", one, "later", "waiting", 60)
    await job(app, "one", one, "at-work", "running", 60)
    await job(app, "one", one, "finished", "done")
    clock, listener = ManualClock(), Listener()
    sweep = Sweep(relay, listener, again_seconds=10, now=clock.monotonic)  # type: ignore[arg-type]
    assert await sweep.look() == 3
    assert set(listener.heard) == due
    assert await sweep.look() == 0
    clock.advance(10)
    assert await sweep.look() == 3


async def test_jobs_of_a_tenant_that_is_not_served_here_are_left_alone(
    fresh: CellDatabase, relay: Pool, app: Pool
) -> None:
    """Its rows may have moved; the fence would refuse the job anyway."""
    epoch = await tenant(fresh, "gone")
    await job(app, "gone", epoch, "j1")
    control = await fresh.connect("cell_control")
    await control.execute("SELECT cellway.set_fence('gone', $1, 'fenced', 'move')", next_epoch())
    await control.close()
    sweep = Sweep(relay, Listener(), again_seconds=10)  # type: ignore[arg-type]
    assert await sweep.look() == 0


async def test_a_hint_that_found_no_room_is_given_at_the_next_look(
    fresh: CellDatabase, relay: Pool, app: Pool
) -> None:
    """Only what was taken is remembered."""
    await job(app, "one", await tenant(fresh, "one"), "j1")
    listener = Listener()
    sweep = Sweep(relay, listener, again_seconds=10)  # type: ignore[arg-type]
    listener.full = True
    assert await sweep.look() == 0
    listener.full = False
    assert await sweep.look() == 1


async def test_what_is_past_its_time_is_removed_and_nothing_else(
    fresh: CellDatabase, relay: Pool, app: Pool
) -> None:
    """Answers of old Idempotency-Keys, and operations that ended long ago with their jobs."""
    epoch = await tenant(fresh, "one")
    await job(app, "one", epoch, "old", "done")
    await job(app, "one", epoch, "young", "done")
    async with app.acquire() as connection, connection.transaction():
        await connection.execute("SELECT cellway.enter('one', $1)", epoch)
        await connection.execute(
            "UPDATE cell.operations SET expires_at = now() - interval '1 s' WHERE operation_id = 'op-old'"
        )
        for key, kept in (("old", "-1 s"), ("young", "1 hour")):
            await connection.execute(
                "INSERT INTO cell.idempotency_keys (scope, key, digest, status, headers, expires_at) "
                "VALUES ('s', $1, '', 200, '{}', now() + $2::text::interval)",
                *(key, kept),
            )
    await Expiry(relay, app).look()
    superuser = await fresh.connect()
    left = {
        table: await superuser.fetchval(f"SELECT array_agg({column}) FROM cell.{table}")  # noqa: S608 names of ours
        for table, column in (("operations", "operation_id"), ("jobs", "job_id"), ("idempotency_keys", "key"))
    }
    await superuser.close()
    assert left == {"operations": ["op-young"], "jobs": ["young"], "idempotency_keys": ["young"]}
