"""The sweep over all tenants: it hints what waits, remembers what it hinted, and removes what is past its time."""

from collections.abc import AsyncIterator

import pytest

from cell.database import COMMAND_SECONDS
from cell.jobs.expiry import BITE, TENANTS_A_PAGE, Expiry
from cell.jobs.hints import Hint
from cell.jobs.sweep import MOST_AT_ONCE, Sweep
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


async def fence_off(fresh: CellDatabase, name: str) -> None:
    """That tenant is moving: nothing of it may be changed here."""
    control = await fresh.connect("cell_control")
    await control.execute("SELECT cellway.set_fence($1, $2, 'fenced', 'move')", name, next_epoch())
    await control.close()


async def jobs(app: Pool, name: str, epoch: int, count: int, due_in: float = -1) -> None:
    """Waiting jobs of that tenant, in one transaction."""
    async with app.acquire() as connection, connection.transaction():
        await connection.execute("SELECT cellway.enter($1, $2)", name, epoch)
        await connection.executemany(JOB, [(f"{name}-{number}", "waiting", due_in) for number in range(count)])


async def test_jobs_that_may_not_run_here_keep_no_others_waiting(
    fresh: CellDatabase, relay: Pool, app: Pool
) -> None:
    """However many and however old they are: the others' hints come at the first look."""
    await jobs(app, "moving", await tenant(fresh, "moving"), MOST_AT_ONCE, due_in=-100)
    mine = await job(app, "quiet", await tenant(fresh, "quiet"), "mine")
    await fence_off(fresh, "moving")
    listener = Listener()
    await Sweep(relay, listener, again_seconds=10).look()  # type: ignore[arg-type]
    assert listener.heard == [mine]


async def test_a_tenant_with_many_jobs_keeps_no_others_waiting(
    fresh: CellDatabase, relay: Pool, app: Pool
) -> None:
    """Everybody's first job is hinted before anybody's second."""
    await jobs(app, "busy", await tenant(fresh, "busy"), 2 * MOST_AT_ONCE, due_in=-100)
    mine = await job(app, "quiet", await tenant(fresh, "quiet"), "mine")
    listener = Listener()
    await Sweep(relay, listener, again_seconds=10).look()  # type: ignore[arg-type]
    assert mine in listener.heard[:2]


async def test_hints_that_nobody_heeds_keep_no_others_waiting(fresh: CellDatabase, relay: Pool, app: Pool) -> None:
    """What was hinted lately is passed over, so that in a few looks every job had its hint, each once."""
    await jobs(app, "busy", await tenant(fresh, "busy"), MOST_AT_ONCE)
    listener = Listener()
    sweep = Sweep(relay, listener, again_seconds=10, now=ManualClock().monotonic)  # type: ignore[arg-type]
    while await sweep.look():
        pass
    assert len(listener.heard) == len(set(listener.heard)) == MOST_AT_ONCE


async def test_more_tenants_than_a_page_are_looked_at_in_turn(fresh: CellDatabase, relay: Pool, app: Pool) -> None:
    """The next look goes on where the last one ended, and begins again after the last tenant."""
    due = set()
    for number in range(MOST_AT_ONCE + 10):
        name = f"t{number:04}"
        due.add(await job(app, name, await tenant(fresh, name), "j"))
    clock, listener = ManualClock(), Listener()
    sweep = Sweep(relay, listener, again_seconds=10, now=clock.monotonic)  # type: ignore[arg-type]
    assert [await sweep.look() for _ in range(3)] == [MOST_AT_ONCE, 10, 0]
    assert set(listener.heard) == due
    clock.advance(10)
    assert await sweep.look() == MOST_AT_ONCE


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


async def expired_answers(app: Pool, name: str, epoch: int, count: int) -> None:
    """Answers of that tenant whose time is over."""
    async with app.acquire() as connection, connection.transaction():
        await connection.execute("SELECT cellway.enter($1, $2)", name, epoch)
        await connection.execute(
            "INSERT INTO cell.idempotency_keys (scope, key, digest, status, headers, expires_at) "
            "SELECT 's', 'k' || i, '', 200, '{}', now() - interval '1 s' FROM generate_series(1, $1::int) i",
            count,
        )


async def answers(fresh: CellDatabase) -> dict[str, int]:
    """How many are stored, by tenant."""
    superuser = await fresh.connect()
    rows = await superuser.fetch("SELECT tenant_id, count(*) FROM cell.idempotency_keys GROUP BY tenant_id")
    await superuser.close()
    return {row["tenant_id"]: row["count"] for row in rows}


async def test_bites_are_repeated_until_nothing_is_left(fresh: CellDatabase, relay: Pool, app: Pool) -> None:
    """What comes in faster than one bite a look must not pile up for ever."""
    await expired_answers(app, "busy", await tenant(fresh, "busy"), 3 * BITE + 1)
    assert not await Expiry(relay, app).look()
    assert await answers(fresh) == {}


async def test_a_tenant_that_may_not_be_changed_keeps_no_others_rows(
    fresh: CellDatabase, relay: Pool, app: Pool
) -> None:
    """Its rows stay, however many and however old; everybody else's go."""
    await expired_answers(app, "moving", await tenant(fresh, "moving"), 2 * BITE)
    await expired_answers(app, "quiet", await tenant(fresh, "quiet"), 1)
    await fence_off(fresh, "moving")
    assert not await Expiry(relay, app).look()
    assert await answers(fresh) == {"moving": 2 * BITE}


async def test_a_tenant_whose_rows_cannot_be_removed_ends_nobody_elses_look(
    fresh: CellDatabase, relay: Pool, app: Pool
) -> None:
    """An error is that tenant's alone; the next look tries again."""
    for name in ("a", "b", "c"):
        await expired_answers(app, name, await tenant(fresh, name), 1)
    superuser = await fresh.connect()
    await superuser.execute(
        "CREATE FUNCTION cell.refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE lock_not_available; END $$; CREATE TRIGGER refuse BEFORE DELETE ON cell.idempotency_keys "
        "FOR EACH ROW WHEN (old.tenant_id = 'a') EXECUTE FUNCTION cell.refuse()"
    )
    expiry = Expiry(relay, app)
    await expiry.look()
    assert await answers(fresh) == {"a": 1}
    await superuser.execute("DROP TRIGGER refuse ON cell.idempotency_keys")
    await superuser.close()
    await expiry.look()
    assert await answers(fresh) == {}


async def test_a_look_whose_time_is_over_goes_on_with_other_tenants(
    fresh: CellDatabase, relay: Pool, app: Pool
) -> None:
    """It says that rows are left, so that no rest follows; they go at the next time around."""
    names = [f"t{number:04}" for number in range(TENANTS_A_PAGE + 1)]
    epochs = [await tenant(fresh, name) for name in names]
    for name, epoch in ((names[0], epochs[0]), (names[-1], epochs[-1])):
        await expired_answers(app, name, epoch, 1)
    clock = ManualClock()
    hurried = Expiry(relay, app, look_seconds=0, now=clock.monotonic)
    assert [await hurried.look() for _ in range(2)] == [True, True]
    assert hurried.after == ""
    patient = Expiry(relay, app, look_seconds=1, now=clock.monotonic)
    assert not await patient.look()
    assert await answers(fresh) == {}


async def test_an_answer_that_is_renewed_while_it_expires_is_kept(
    fresh: CellDatabase, relay: Pool, app: Pool
) -> None:
    """Whoever uses an old key anew holds its row; the bite passes it over and does not wait."""
    epoch = await tenant(fresh, "one")
    await expired_answers(app, "one", epoch, 1)
    async with app.acquire() as connection, connection.transaction():
        await connection.execute("SELECT cellway.enter('one', $1)", epoch)
        await connection.execute("UPDATE cell.idempotency_keys SET expires_at = now() + interval '1 day'")
        await Expiry(relay, app).look()
    assert await answers(fresh) == {"one": 1}
