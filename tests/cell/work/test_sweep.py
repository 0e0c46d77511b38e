"""The sweep over all tenants: it hints what waits, remembers what it hinted, and removes what is past its time."""

from collections.abc import AsyncIterator

import pytest

from cell.database import COMMAND_SECONDS
from cell.rules.lanes import Lane
from cell.work import sweep
from cell.work.expiry import BITE, TENANTS_A_PAGE, Expiry
from cell.work.hints import Hint
from cell.work.sweep import Sweep
from runtime.clock import ManualClock
from runtime.database import Pool, open_pool
from runtime.embedded.postgres import PostgresServer
from tests.cell.cells import CellDatabase, new_cell_database, next_epoch

JOB = """
    INSERT INTO cell.jobs (job_id, actor, args, lane, state, wake_at, expires_at)
    SELECT $1, 'x', '{}', $4, $2, CASE WHEN $2 <> 'done' THEN now() + make_interval(secs => $3) END,
           CASE WHEN $2 = 'done' THEN now() + make_interval(secs => $3) END
"""
ORCHESTRATION = """
    INSERT INTO cell.orchestrations (orchestration_id, workflow, version, target, state, payload, wake_at, outcome,
                                     ended_at, expires_at)
    SELECT $1, 'x', 1, 'x', 'PENDING', '{}', CASE WHEN $2 THEN now() + make_interval(secs => $3) END,
           CASE WHEN NOT $2 THEN 'COMPLETED' END, CASE WHEN NOT $2 THEN now() END,
           CASE WHEN NOT $2 THEN now() + make_interval(secs => $3) END
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


async def job(
    app: Pool,
    name: str,
    epoch: int,
    job_id: str,
    state: str = "waiting",
    due_in: float = -1,
    lane: Lane = "bulk",
) -> Hint:
    """A job of that tenant."""
    async with app.acquire() as connection, connection.transaction():
        await connection.execute("SELECT cellway.enter($1, $2)", name, epoch)
        await connection.execute(JOB, job_id, state, due_in, lane)
    return Hint(name, epoch, lane)


async def orchestration(
    app: Pool, name: str, epoch: int, orchestration_id: str, *, open_: bool = True, due_in: float = -1
) -> Hint:
    """An orchestration of that tenant."""
    async with app.acquire() as connection, connection.transaction():
        await connection.execute("SELECT cellway.enter($1, $2)", name, epoch)
        await connection.execute(ORCHESTRATION, orchestration_id, open_, due_in)
    return Hint(name, epoch, "interactive")


async def fence_off(fresh: CellDatabase, name: str) -> None:
    """That tenant is moving: nothing of it may be changed here."""
    control = await fresh.connect("cell_control")
    await control.execute("SELECT cellway.set_fence($1, $2, 'fenced', 'move')", name, next_epoch())
    await control.close()


async def test_every_tenant_with_work_that_is_due_gets_one_hint_a_lane(
    fresh: CellDatabase, relay: Pool, app: Pool
) -> None:
    """However much there is: what waits and is due, and what a silent worker holds; jobs and orchestrations."""
    one, two, three = await tenant(fresh, "one"), await tenant(fresh, "two"), await tenant(fresh, "three")
    due = {
        await job(app, "one", one, "j1"),
        await job(app, "one", one, "j2", lane="interactive"),
        await job(app, "two", two, "j1", "running"),
        await orchestration(app, "three", three, "o1"),
    }
    await job(app, "one", one, "j3")
    await job(app, "two", two, "later", "waiting", 60, "interactive")
    await job(app, "two", two, "at-work", "running", 60, "interactive")
    await job(app, "two", two, "finished", "done", 60, "interactive")
    await orchestration(app, "two", two, "waits", due_in=60)
    await orchestration(app, "two", two, "ended", open_=False, due_in=60)
    listener = Listener()
    assert await Sweep(relay, listener.hint).look() == len(due)
    assert (len(listener.heard), set(listener.heard)) == (len(due), due)


async def test_what_was_begun_before_a_move_is_hinted_at_once(fresh: CellDatabase, relay: Pool, app: Pool) -> None:
    """Its lease may last for long, but whoever has it can finish nothing at this epoch."""
    before, unmoved = await tenant(fresh, "moved"), await tenant(fresh, "unmoved")
    for name, epoch in (("moved", before), ("unmoved", unmoved)):
        await job(app, name, epoch, "at-work", "running", 60)
        await orchestration(app, name, epoch, "under-way", due_in=60)
        await _claimed(app, name, epoch)
    now = await tenant(fresh, "moved")
    listener = Listener()
    await Sweep(relay, listener.hint).look()
    assert sorted(listener.heard, key=lambda hint: hint.lane) == [
        Hint("moved", now, "bulk"),
        Hint("moved", now, "interactive"),
    ]


async def _claimed(app: Pool, name: str, epoch: int) -> None:
    async with app.acquire() as connection, connection.transaction():
        await connection.execute("SELECT cellway.enter($1, $2)", name, epoch)
        await connection.execute("UPDATE cell.jobs SET claimed_epoch = $1", epoch)
        await connection.execute("UPDATE cell.orchestrations SET claimed_epoch = $1, leased = true", epoch)


async def test_work_of_a_tenant_that_is_not_served_here_is_left_alone(
    fresh: CellDatabase, relay: Pool, app: Pool
) -> None:
    """Its rows may have moved; the fence would refuse the work anyway. Nobody else waits for it."""
    await job(app, "moving", await tenant(fresh, "moving"), "j1")
    mine = await job(app, "quiet", await tenant(fresh, "quiet"), "mine")
    await fence_off(fresh, "moving")
    listener = Listener()
    await Sweep(relay, listener.hint).look()
    assert listener.heard == [mine]


async def test_more_tenants_than_a_page_are_all_looked_at(
    fresh: CellDatabase, relay: Pool, app: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Page by page; a look that ends before the last page is continued by the next."""
    monkeypatch.setattr(sweep, "TENANTS_A_PAGE", 3)
    monkeypatch.setattr(sweep, "MOST_PAGES", 2)
    due = set()
    for number in range(8):
        name = f"t{number}"
        due.add(await job(app, name, await tenant(fresh, name), "j"))
    listener = Listener()
    looks = Sweep(relay, listener.hint)
    assert [await looks.look() for _ in range(3)] == [6, 2, 6]
    assert set(listener.heard) == due


async def test_a_hint_that_found_no_room_is_given_at_the_next_look(
    fresh: CellDatabase, relay: Pool, app: Pool
) -> None:
    """The work is still there."""
    await job(app, "one", await tenant(fresh, "one"), "j1")
    listener = Listener()
    looks = Sweep(relay, listener.hint)
    listener.full = True
    assert await looks.look() == 0
    listener.full = False
    assert await looks.look() == 1


async def test_what_is_past_its_time_is_removed_and_nothing_else(
    fresh: CellDatabase, relay: Pool, app: Pool
) -> None:
    """Answers of old Idempotency-Keys, and jobs and orchestrations that ended long ago."""
    epoch = await tenant(fresh, "one")
    for name, seconds in (("old", -1), ("young", 3600)):
        await job(app, "one", epoch, name, "done", seconds)
        await orchestration(app, "one", epoch, name, open_=False, due_in=seconds)
        async with app.acquire() as connection, connection.transaction():
            await connection.execute("SELECT cellway.enter('one', $1)", epoch)
            await connection.execute(
                "INSERT INTO cell.idempotency_keys (scope, key, digest, status, headers, expires_at) "
                "VALUES ('s', $1, '', 200, '{}', now() + make_interval(secs => $2))",
                *(name, seconds),
            )
    await Expiry(relay, app).look()
    superuser = await fresh.connect()
    left = {
        table: await superuser.fetchval(f"SELECT array_agg({column}) FROM cell.{table}")  # noqa: S608 names of ours
        for table, column in (
            ("orchestrations", "orchestration_id"),
            ("jobs", "job_id"),
            ("idempotency_keys", "key"),
        )
    }
    await superuser.close()
    assert left == {"orchestrations": ["young"], "jobs": ["young"], "idempotency_keys": ["young"]}


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
