"""Moves in Postgres: rivals at once, and what each role may do."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from directory.errors import DirectoryError, NotAllowed, Stale
from directory.postgres_moves import PostgresMoves
from directory.values import Move, NewMove
from runtime import database
from tests.directory.conftest import postgres_stage
from tests.directory.examples import new_tenant
from tests.directory.moving import LEASE_SECONDS, Stage
from tests.servers import ControlDatabase
from tests.waiting import eventually

ROUNDS = 40


@pytest.fixture
async def stage(control_database: ControlDatabase) -> AsyncIterator[Stage]:
    """In Postgres alone."""
    async with postgres_stage(control_database) as made:
        yield made


async def test_of_commit_and_release_at_once_exactly_one_is_decided(
    stage: Stage, control_database: ControlDatabase
) -> None:
    """However they meet; the loser is told that it is stale, and the assignment is the winner's."""
    await stage.prepare("acme")
    admin = await database.reach(control_database.admin_dsn)
    move = await stage.claimed()
    won = []
    for number in range(ROUNDS):
        move = await stage.bring(move, "FINALIZING")
        home = await stage.home()
        calls = [stage.moves.commit, stage.moves.release][:: 1 if number % 2 else -1]
        results = await asyncio.gather(
            *(call(move.move_id, move.token, home.epoch) for call in calls), return_exceptions=True
        )
        (decided,) = [result for result in results if isinstance(result, Move)]
        assert sum(isinstance(result, Stale) for result in results) == 1
        now = await stage.home()
        kind = ("cell-2", "commit") if decided.phase == "COMMITTED" else ("cell-1", "released")
        assert (now.cell_id, now.epoch) == (kind[0], decided.epochs[kind[1]])
        won.append(decided.phase)
        move = decided
        if decided.phase == "COMMITTED":
            await stage.bring(decided, "DONE")
            await admin.execute("UPDATE directory.cells SET tenants = 0")
            await admin.execute("DELETE FROM directory.assignments; DELETE FROM directory.move_events")
            await admin.execute("DELETE FROM directory.move_decisions; DELETE FROM directory.moves")
            await admin.execute("DELETE FROM directory.tenants")
            await stage.truth.create_tenant(new_tenant(), "cell-1")
            move = await stage.claimed()
    assert set(won) == {"COMMITTED", "CATCHING_UP"}
    await admin.close()


async def test_many_commits_at_once_are_one(stage: Stage) -> None:
    """All of them are told the same."""
    await stage.prepare("acme")
    move = await stage.bring(await stage.claimed(), "FINALIZING")
    home, head = await stage.home(), await stage.truth.head()
    calls = (stage.moves.commit(move.move_id, move.token, home.epoch) for _ in range(8))
    results = await asyncio.gather(*calls)
    assert len({result.epochs["commit"] for result in results}) == 1
    assert await stage.truth.head() == head + 1


async def test_a_zombie_that_commits_while_another_claims_is_too_late_or_was_in_time(stage: Stage) -> None:
    """The new one sees the outcome in either case."""
    await stage.prepare(*(f"tenant-{number}" for number in range(10)), capacity_tenants=100)
    for number in range(10):
        tenant_id = f"tenant-{number}"
        move = await stage.bring(await stage.claimed(tenant_id), "FINALIZING")
        epoch = await stage.epoch(tenant_id)
        await stage.pass_time(LEASE_SECONDS + 1)
        late, new = await asyncio.gather(
            stage.moves.commit(move.move_id, move.token, epoch),
            stage.moves.claim("mover-2", LEASE_SECONDS, 100),
            return_exceptions=True,
        )
        if new is None:  # it was being committed just then: nobody waits for it
            new = await stage.moves.claim("mover-2", LEASE_SECONDS, 100)
        assert isinstance(new, Move)
        assert isinstance(late, Move | Stale)
        known = await stage.moves.commit(move.move_id, new.token, epoch)
        assert known.phase == "COMMITTED"
        await stage.bring(known, "DONE")


async def test_plans_deletions_and_decisions_of_a_tenant_never_wait_in_a_circle(stage: Stage) -> None:
    """Whoever locks both locks the tenant before the move."""
    tenants = [f"tenant-{number}" for number in range(6)]
    await stage.prepare(*tenants, capacity_tenants=100)

    async def life(tenant_id: str) -> None:
        planned = await stage.desk.plan(NewMove(tenant_id, "cell-2"))
        claimed = await eventually(lambda: stage.moves.claim("mover", 30.0, 100))
        assert claimed is not None
        move = await stage.bring(claimed, "FINALIZING")
        epoch = await stage.epoch(move.tenant_id)
        results = await asyncio.gather(
            stage.moves.commit(move.move_id, move.token, epoch),
            stage.desk.plan(NewMove(move.tenant_id, "cell-1", reverses=move.move_id)),
            stage.truth.change_tenant(move.tenant_id, "suspend"),
            stage.desk.ask(planned.move_id, "switch"),
            stage.truth.reassign(move.tenant_id, epoch, "cell-3"),
            return_exceptions=True,
        )
        assert all(isinstance(r, DirectoryError) or not isinstance(r, BaseException) for r in results)

    async with asyncio.timeout(30):
        await asyncio.gather(*(life(tenant_id) for tenant_id in tenants))
    assert sum(cell.tenants for cell in await stage.truth.cells()) == len(tenants)


async def test_placement_plans_and_asks_but_neither_claims_nor_decides(
    stage: Stage, control_database: ControlDatabase
) -> None:
    """Its role may write no token and no decision; what it tries is refused by the database itself."""
    await stage.prepare("acme")
    move = await stage.claimed()
    pool = await database.open_pool(control_database.writer_dsn, name="test")
    desk = PostgresMoves(pool)
    back = NewMove("acme", "cell-1", reverses=move.move_id)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await desk.claim("placement", 30.0, 100)
    for call in (desk.record(move.move_id, move.token, "prepare"), desk.renew(move.move_id, move.token, 1.0)):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await call
    move = await stage.bring(move, "FINALIZING")
    home = await stage.home()
    for decide in (desk.commit, desk.release):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await decide(move.move_id, move.token, home.epoch)
    assert await stage.home() == home
    await stage.bring(move, "REVERSIBLE")
    assert (await desk.plan(back)).phase == "PLANNED"
    await pool.close()


async def test_the_mover_can_change_nothing_but_moves_and_assignments(control_database: ControlDatabase) -> None:
    """Neither tenants nor cells come, go or change by its hand, and what was decided stays."""
    mover = await database.reach(control_database.mover_dsn)
    for statement in (
        "CREATE TABLE directory.mine (n int)",
        "UPDATE directory.tenants SET state = 'deleted'",
        "DELETE FROM directory.tenants",
        "UPDATE directory.cells SET state = 'open'",
        "UPDATE directory.cells SET address = 'http://elsewhere'",
        "DELETE FROM directory.assignments",
        "INSERT INTO directory.assignments VALUES ('acme', 'cell-1', 1)",
        "INSERT INTO directory.moves (move_id) VALUES ('mv-1')",
        "UPDATE directory.moves SET destination = 'cell-3'",
        "UPDATE directory.moves SET wish = 'run'",
        "DELETE FROM directory.moves",
        "UPDATE directory.move_decisions SET decision = 'ABORT'",
        "DELETE FROM directory.move_decisions",
        "UPDATE directory.move_events SET text = ''",
        "DELETE FROM directory.changes",
        "SELECT setval('directory.epochs', 1)",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await mover.execute(statement)
    await mover.close()


async def test_the_schema_itself_refuses_two_decisions_and_two_moves(
    stage: Stage, control_database: ControlDatabase
) -> None:
    """Whatever a program gets wrong."""
    await stage.prepare("acme")
    move = await stage.bring(await stage.claimed(), "COMMITTED")
    admin = await database.reach(control_database.admin_dsn)
    insert = (
        "INSERT INTO directory.move_decisions SELECT $1, epoch + $2, $3, fresh + 100 FROM directory.move_decisions"
    )
    for shift, decision in ((0, "ABORT"), (1, "COMMIT")):
        with pytest.raises(asyncpg.UniqueViolationError):
            await admin.execute(insert, move.move_id, shift, decision)
    with pytest.raises(asyncpg.UniqueViolationError):
        await admin.execute(
            "INSERT INTO directory.moves (move_id, tenant_id, source, destination, options, reason) "
            "VALUES ('mv-2', 'acme', 'cell-1', 'cell-3', '{}', '')"
        )
    with pytest.raises(asyncpg.CheckViolationError):
        await admin.execute("UPDATE directory.moves SET phase = 'DONE'")
    await admin.close()


async def test_a_newer_schema_with_more_columns_and_options_can_be_worked_with(
    stage: Stage, control_database: ControlDatabase
) -> None:
    """A `pre` upgrade adds while older programs are at work."""
    await stage.prepare("acme")
    move = await stage.claimed()
    admin = await database.reach(control_database.admin_dsn)
    await admin.execute("ALTER TABLE directory.moves ADD COLUMN unheard_of integer")
    await admin.execute("""UPDATE directory.moves SET options = options || '{"unheard": 1}'""")
    assert await stage.moves.move(move.move_id) == move
    with pytest.raises(NotAllowed):
        await stage.desk.plan(NewMove("acme", "cell-3"))
    await admin.close()
