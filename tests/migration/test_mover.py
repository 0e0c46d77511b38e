"""What a mover does with its leases."""

from pathlib import Path

import pytest

from directory.errors import Stale
from directory.memory import MemoryDirectory
from directory.memory_moves import MemoryMoves
from directory.values import NewMove
from migration.databases import Databases
from migration.mover import Mover
from migration.pacing import Paces
from runtime.health import Unhealthy
from tests.directory.examples import new_tenant, open_cell
from tests.waiting import eventually


class LateMoves(MemoryMoves):
    """Whose next answer comes too late."""

    late = True

    async def fresh_epoch(self) -> int:
        if self.late:
            self.late = False
            raise Stale("it was decided otherwise meanwhile")
        return await super().fresh_epoch()


class OldMoves(MemoryMoves):
    """Whose directory waits for an upgrade."""

    lacking: int | None = 8
    asked = 0

    async def missing_upgrade(self) -> int | None:
        self.asked += 1
        return self.lacking


def mover_of(moves: MemoryMoves, directory: MemoryDirectory, folder: Path) -> Mover:
    """That carries one at a time, and knows no database."""
    databases = Databases(folder)
    return Mover(
        *(moves, directory, databases, Paces(databases)),
        most=1,
        most_of_a_cell=1,
        lease_seconds=300.0,
        look_seconds=0.05,
        keep_seconds=3600.0,
    )


async def test_no_move_is_claimed_while_the_directory_is_older_than_it_must_be(tmp_path: Path) -> None:
    """It could be neither committed nor aborted. Once the upgrade is there it goes on."""
    directory = MemoryDirectory()
    moves = OldMoves(directory)
    for cell_id in ("cell-1", "cell-2"):
        await open_cell(directory, cell_id, 10)
    created = await directory.create_tenant(new_tenant("acme"), "cell-1")
    await directory.applied("acme", created.revision)
    planned = await moves.plan(NewMove("acme", "cell-2"))
    mover = mover_of(moves, directory, tmp_path)
    await mover.start()
    try:
        await eventually(lambda: moves.asked >= 3)
        assert (await moves.move(planned.move_id)).token == 0
        with pytest.raises(Unhealthy, match="lacks upgrade 0008"):
            await mover.check()
        moves.lacking = None
        await eventually(lambda: _is_claimed(moves, planned.move_id))
        assert await mover.check() is None
    finally:
        await mover.stop()


async def _is_claimed(moves: MemoryMoves, move_id: str) -> bool:
    return (await moves.move(move_id)).token > 0


async def test_a_move_that_is_ours_for_all_that_is_let_go_at_once(tmp_path: Path) -> None:
    """What is told may be late though nobody else carries the move: it must not wait until the lease runs out."""
    directory = MemoryDirectory()
    moves = LateMoves(directory)
    for cell_id in ("cell-1", "cell-2"):
        await open_cell(directory, cell_id, 10)
    created = await directory.create_tenant(new_tenant("acme"), "cell-1")
    await directory.applied("acme", created.revision)
    planned = await moves.plan(NewMove("acme", "cell-2"))
    mover = mover_of(moves, directory, tmp_path)
    await mover.start()

    async def let_go() -> bool:
        move = await moves.move(planned.move_id)
        assert (move.owner, "otherwise" in move.error) == ("", True), move
        return True

    try:
        await eventually(let_go)
    finally:
        await mover.stop()
