"""Timers are rows: they fire once each, however many are due at once, whoever dies, whatever a clock says."""

from cell.access import enter_at
from cell.database import COMMAND_SECONDS, transaction
from cell.orchestrator.registry import Registry
from cell.orchestrator.runner import Runner
from cell.orchestrator.starting import start
from runtime.database import Pool, open_pool
from tests.cell.cells import RunningCell
from tests.cell.crashes.conftest import ALL, Workers
from tests.cell.crashes.work import TIMED
from tests.cell.orchestrator.stage import Stage, new_stage
from tests.waiting import eventually

TENANTS = 10
DUE_OF_EACH = 1000 if ALL else 30
NOT_DUE_OF_EACH = 2
BEGIN = """
    INSERT INTO cell.orchestrations
        (orchestration_id, workflow, version, target, state, payload, lane, steps, fencing, wake_at)
    SELECT $1 || n, 'timed', 1, 'timers', 'WAIT_IN_PROGRESS', '{}', 'bulk', '{wait,fire}', 1,
           now() + $2::text::interval
    FROM generate_series(1, $3::int) n
"""
WAIT = """
    INSERT INTO cell.orchestration_steps (orchestration_id, step, status, attempts, wake_at)
    SELECT $1 || n, 'wait', 'STARTED', 1, now() + $2::text::interval FROM generate_series(1, $3::int) n
"""
RECORDED = """
    SELECT workflow, version, target, state, payload, lane, steps, steps_done, outcome, fencing, leased
    FROM cell.orchestrations LIMIT 1
"""


async def waiting(stage: Stage, name: str, when: str, count: int) -> None:
    """So many, as their workers left them before they were stopped."""
    async with transaction(stage.pool) as connection:
        await enter_at(connection, stage.tenant_id, stage.epoch)
        for statement in (BEGIN, WAIT):
            await connection.execute(statement, name, when, count)


async def test_a_timer_that_a_worker_records_looks_like_those_of_the_next_test(
    crashing: RunningCell,
) -> None:
    """Else that one would prove nothing."""
    pool = await _pool(crashing)
    made, written = await new_stage(crashing.database, pool), await new_stage(crashing.database, pool)
    async with transaction(pool) as connection:
        await enter_at(connection, made.tenant_id, made.epoch)
        row = await start(connection, TIMED, "timers", {})
    await Runner(pool, Registry([TIMED]), 30.0).run(made.tenant_id, row["orchestration_id"], made.epoch)
    await waiting(written, "w", "90 days", 1)
    seen = []
    for stage in (made, written):
        async with transaction(pool) as connection:
            await enter_at(connection, stage.tenant_id, stage.epoch)
            seen.append(tuple(await connection.fetchrow(RECORDED) or ()))
    assert seen[0] == seen[1]
    await pool.close()


async def test_timers_that_are_due_at_once_fire_once_each(crashing: RunningCell, workers: Workers) -> None:
    """After a restart, while workers die and their clocks are an hour ahead and an hour behind; others wait on."""
    pool = await _pool(crashing)
    stages = [await new_stage(crashing.database, pool) for _ in range(TENANTS)]
    for stage in stages:
        await waiting(stage, "due-", "-1 second", DUE_OF_EACH)
        await waiting(stage, "not-due-", "30 minutes", NOT_DUE_OF_EACH)
    superuser = await crashing.database.connect()
    names = [stage.tenant_id for stage in stages]

    async def all_fired() -> bool:
        fired = await superuser.fetchval(
            "SELECT count(*) FROM cell.orchestrations WHERE tenant_id = ANY ($1) AND outcome = 'COMPLETED'", names
        )
        assert fired == TENANTS * DUE_OF_EACH
        return True

    with workers(3, 1.0, clocks_differ=True):
        await eventually(all_fired, seconds=240.0, every=0.1)
    rows = await superuser.fetch(
        "SELECT tenant_id, count(*) AS fired, count(*) FILTER (WHERE account_id LIKE 'due-%') AS due "
        "FROM cell.accounts WHERE tenant_id = ANY ($1) GROUP BY tenant_id",
        names,
    )
    assert {(row["fired"], row["due"]) for row in rows} == {(DUE_OF_EACH, DUE_OF_EACH)}
    await superuser.close()
    await pool.close()


async def _pool(crashing: RunningCell) -> Pool:
    return await open_pool(
        crashing.database.dsns["cell_app"], name="test", size=4, command_seconds=COMMAND_SECONDS, stateless=True
    )
