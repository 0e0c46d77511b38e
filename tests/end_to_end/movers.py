"""Moves as an operator would ask for them, on the platform that runs."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from console.platform.platform import Platform
from directory.postgres_moves import PostgresMoves
from directory.values import Move, MoveOptions, MovePhase, NewMove
from runtime import database
from tests.waiting import eventually

MOVE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Desk:
    """Where moves are asked for, and looked at."""

    moves: PostgresMoves

    async def begin(self, tenant_id: str, cell_id: str, reverses: Move | None = None, **options: float) -> Move:
        """A move, planned; as soon as the one before is out of its way."""
        back = None if reverses is None else reverses.move_id
        new = NewMove(tenant_id, cell_id, MoveOptions(**options), reverses=back)  # type: ignore[arg-type]
        return await self.moves.plan(new)

    async def until(self, move: Move, *phases: MovePhase) -> Move:
        """The move, once it is in one of these phases."""

        async def there() -> Move:
            seen = await self.moves.move(move.move_id)
            assert seen.phase in phases, f"{seen.phase}: {seen.error}"
            return seen

        return await eventually(there, seconds=MOVE_SECONDS, every=0.05)

    async def moved(self, tenant_id: str, cell_id: str, reverses: Move | None = None) -> Move:
        """A move that is done, but for its way back."""
        return await self.until(await self.begin(tenant_id, cell_id, reverses), "REVERSIBLE")

    async def confirmed(self, move: Move) -> Move:
        """The way back is closed."""
        await self.moves.ask(move.move_id, "confirm")
        return await self.until(move, "DONE")

    async def phases(self, move: Move) -> Sequence[str]:
        """Those that it has gone through."""
        return [event.phase for event in await self.moves.events(move.move_id)]


@asynccontextmanager
async def desk_of(platform: Platform) -> AsyncIterator[Desk]:
    """With placement's own access to the directory."""
    secrets = json.loads((platform.layout.root / "secrets.json").read_text())["values"]
    address = f"127.0.0.1:{platform.ports['control postgres']}"
    dsn = f"postgresql://directory_writer:{secrets['directory_writer']}@{address}/directory"
    pool = await database.open_pool(dsn, name="desk", size=2)
    try:
        yield Desk(PostgresMoves(pool))
    finally:
        pool.terminate()
