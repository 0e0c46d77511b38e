"""Moves that ended are kept for a while, and no longer: the contract of moves, asked of Postgres and its twin."""

import asyncio

import asyncpg
import pytest

from directory.errors import NotFound
from directory.values import Move, MoveOptions, NewMove
from runtime import database
from tests.directory.conftest import postgres_stage
from tests.directory.moving import Stage
from tests.servers import ControlDatabase

KEPT_SECONDS = 1000.0
MANY = 100


async def ended(stage: Stage, tenant_id: str, destination: str = "cell-2") -> Move:
    """A move that is DONE."""
    return await stage.bring(await stage.claimed(tenant_id, destination), "DONE")


async def left(stage: Stage) -> list[str]:
    """The moves that can be looked at."""
    return [move.move_id for move in await stage.desk.moves()]


async def test_moves_that_ended_long_ago_are_removed_with_their_events(stage: Stage) -> None:
    """And nothing else: neither those that ended since, nor one that is under way, however old it is."""
    await stage.prepare("acme", "bolt", "carl")
    running = await stage.claimed("carl")
    await stage.desk.ask(running.move_id, "pause")
    old = await ended(stage, "acme")
    await stage.pass_time(KEPT_SECONDS + 1)
    young = await ended(stage, "bolt")
    assert await stage.moves.forget_ended(KEPT_SECONDS, MANY) == 1
    assert await left(stage) == sorted([running.move_id, young.move_id])
    for asked in (stage.desk.move, stage.desk.events):
        with pytest.raises(NotFound):
            await asked(old.move_id)
    assert await stage.moves.forget_ended(KEPT_SECONDS, MANY) == 0
    assert (await stage.truth.tenant("acme")).assignment is not None
    await stage.desk.plan(NewMove("acme", "cell-3"))


async def test_a_turn_to_switch_that_is_taken_too_late_is_forgotten_with_its_move(stage: Stage) -> None:
    """Whoever asked for it may have waited for long. Otherwise nothing would ever be forgotten again."""
    await stage.prepare("acme")
    move = await ended(stage, "acme")
    assert await stage.moves.take_switch(move.move_id, move.token, 5.0)
    await stage.pass_time(KEPT_SECONDS + 1)
    assert await stage.moves.forget_ended(KEPT_SECONDS, MANY) == 1


async def test_the_oldest_go_first_and_a_few_at_a_time(stage: Stage) -> None:
    """So no transaction is long, however much there is to forget."""
    await stage.prepare("acme", "bolt", "carl")
    moves = []
    for tenant_id in ("carl", "acme", "bolt"):
        moves.append((await ended(stage, tenant_id)).move_id)
        await stage.pass_time(1)
    await stage.pass_time(KEPT_SECONDS)
    assert await stage.moves.forget_ended(KEPT_SECONDS, 2) == 2
    assert await left(stage) == moves[2:]
    assert await stage.moves.forget_ended(KEPT_SECONDS, 2) == 1


async def test_a_move_is_kept_as_long_as_its_reverse(stage: Stage) -> None:
    """Whoever looks at a reverse finds what it reverses."""
    await stage.prepare("acme")
    first = await stage.bring(await stage.claimed(), "REVERSIBLE")
    await stage.moves.let_go(first.move_id, first.token, 0)
    back = await stage.desk.plan(NewMove("acme", "cell-1", MoveOptions(), reverses=first.move_id))
    reverse = await stage.bring(await stage.claim(back.move_id), "REVERSIBLE")
    waiting = await stage.claim(first.move_id)
    await stage.moves.record(first.move_id, waiting.token, "reversed")
    await stage.pass_time(KEPT_SECONDS + 1)
    assert await stage.moves.forget_ended(KEPT_SECONDS, MANY) == 0
    assert (await stage.bring(reverse, "DONE")).ended_at is not None
    await stage.pass_time(KEPT_SECONDS + 1)
    assert [await stage.moves.forget_ended(KEPT_SECONDS, MANY) for _ in range(3)] == [1, 1, 0]
    assert await left(stage) == []


async def test_movers_that_forget_at_once_do_not_hinder_each_other(control_database: ControlDatabase) -> None:
    """Each move goes once; what was decided and who switched leaves nothing behind."""
    async with postgres_stage(control_database) as stage:
        tenants = [f"tenant-{number}" for number in range(4)]
        await stage.prepare(*tenants)
        for tenant_id in tenants:
            await ended(stage, tenant_id)
        await stage.pass_time(KEPT_SECONDS + 1)
        forgotten = await asyncio.gather(*(stage.moves.forget_ended(KEPT_SECONDS, 2) for _ in range(4)))
        forgotten += [await stage.moves.forget_ended(KEPT_SECONDS, MANY)]
        assert sum(forgotten) == len(tenants)
    admin = await database.reach(control_database.admin_dsn)
    try:
        for table in ("moves", "move_events", "move_decisions", "move_switches"):
            assert await admin.fetchval(f"SELECT count(*) FROM directory.{table}") == 0  # noqa: S608
    finally:
        await admin.close()


async def test_whoever_plans_moves_can_remove_none(control_database: ControlDatabase) -> None:
    """Placement's role forgets nothing."""
    writer = await database.reach(control_database.writer_dsn)
    try:
        for table in ("moves", "move_events", "move_decisions"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await writer.execute(f"DELETE FROM directory.{table}")  # noqa: S608
    finally:
        await writer.close()
