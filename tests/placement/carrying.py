"""Somebody who carries moves on, in migration's role, as far as a test needs it; nothing is copied."""

from collections.abc import AsyncIterator

import pytest

from directory.postgres import PostgresDirectory
from directory.postgres_moves import PostgresMoves
from directory.rules.moves import MoveStep
from directory.values import MoveChange, MovePhase
from runtime import database
from tests.directory.moving import PATH, PHASES
from tests.placement.conftest import Client, StartCell
from tests.placement.fake_cell import FakeCell
from tests.servers import ControlDatabase


class Carrier:
    """Claims a move when it has to."""

    def __init__(self, moves: PostgresMoves, directory: PostgresDirectory) -> None:
        self.moves = moves
        self.directory = directory

    async def claim(self, move_id: str) -> int:
        """Its token: the one that it has, or a fresh one."""
        move = await self.moves.move(move_id)
        if move.owner:
            return move.token
        claimed = await self.moves.claim("mover-1", 60.0, 100)
        assert claimed is not None
        assert claimed.move_id == move_id
        return claimed.token

    async def bring(self, move_id: str, phase: MovePhase, change: MoveChange | None = None) -> int:
        """As far as `phase` on the straight path, with `change` in the last step; the token."""
        token = await self.claim(move_id)
        while (move := await self.moves.move(move_id)).phase != phase:
            event = PATH[PHASES.index(move.phase)]
            if event == "commit":
                home = (await self.directory.tenant(move.tenant_id)).assignment
                assert home is not None
                await self.moves.commit(move_id, token, home.epoch)
            else:
                await self.moves.record(move_id, token, event)
        if change is not None:
            await self.moves.note(move_id, token, change)
        return token

    async def record(self, move_id: str, *events: MoveStep) -> None:
        """Step by step."""
        token = await self.claim(move_id)
        for event in events:
            await self.moves.record(move_id, token, event)


@pytest.fixture
async def carrier(control_database: ControlDatabase) -> AsyncIterator[Carrier]:
    """In the control database of the test."""
    movers = await database.open_pool(control_database.mover_dsn, name="test")
    writers = await database.open_pool(control_database.writer_dsn, name="test")
    yield Carrier(PostgresMoves(movers), PostgresDirectory(writers))
    await movers.close()
    await writers.close()


@pytest.fixture
async def two_cells(placement: Client, cell: FakeCell, start_cell: StartCell) -> None:
    """Tenant acme in cell-1, and cell-2 beside it."""
    assert (await placement.create("acme")).body["cell_id"] == "cell-1"
    other = await start_cell("cell-2")
    answer = await placement("POST", "/v1/cells", other.body())
    assert answer.body["state"] == "open", answer
