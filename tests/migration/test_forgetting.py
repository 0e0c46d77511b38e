"""Movers keep the directory from growing, beside what they carry."""

from pathlib import Path

from directory.postgres import PostgresDirectory
from directory.postgres_moves import PostgresMoves
from migration.databases import Databases
from migration.mover import Mover
from migration.pacing import Paces
from runtime import database
from tests.directory.conftest import postgres_stage
from tests.servers import ControlDatabase
from tests.waiting import eventually

KEEP_SECONDS = 1000.0


async def test_a_mover_removes_moves_that_ended_long_ago(
    control_database: ControlDatabase, tmp_path: Path
) -> None:
    """With its own rights, and only those."""
    pool = await database.open_pool(control_database.mover_dsn, name="test", size=5)
    databases = Databases(tmp_path)
    mover = Mover(
        *(PostgresMoves(pool), PostgresDirectory(pool), databases, Paces(databases)),
        most=1,
        most_of_a_cell=1,
        lease_seconds=30.0,
        look_seconds=0.05,
        keep_seconds=KEEP_SECONDS,
    )
    async with postgres_stage(control_database) as stage:
        await stage.prepare("acme", "bolt")
        await stage.bring(await stage.claimed("acme"), "DONE")
        await stage.pass_time(KEEP_SECONDS + 1)
        young = await stage.bring(await stage.claimed("bolt"), "DONE")

        async def forgotten() -> bool:
            return [move.move_id for move in await stage.desk.moves()] == [young.move_id]

        await mover.start()
        try:
            await eventually(forgotten)
        finally:
            await mover.stop()
            await pool.close()
