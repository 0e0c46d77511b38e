"""`python -m tests.migration.failpoints.movers COUNT FOLDER`: real movers that die, or stop, where they are told.

Each is a process of its own that runs what `python -m migration` runs; they are forked from one that has loaded
everything, so that a new one is there at once. They end when standard input does. Each writes a log of its own
beside the folder.

Places are called as what happens there, for one tenant: `commit.before` and `commit.after` are on either side of
what is told to the directory, the others where something was just done in a database, or is about to be.
"""

import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import migration.app
from directory.moves import NOTHING
from directory.postgres_moves import PostgresMoves
from directory.rules.moves import MoveStep
from directory.values import Move, MoveChange
from migration import copying, fences, removing, stepping, switching
from migration.app import build
from migration.claim import Claim
from migration.ends import End, Writing
from migration.phases import before
from migration.settings import MigrationSettings
from runtime import program
from tests.cell.crashes.forks import keep
from tests.cell.crashes.points import Points


def place_of(tenant_id: str, place: str) -> str:
    """What the point is called."""
    return f"{tenant_id}.{place}"


class PointedMoves(PostgresMoves):
    """The same, with points on either side of whatever is recorded or decided."""

    points: Points
    tenants: dict[str, str]

    def _reach(self, move_id: str, place: str) -> None:
        self.points.reach(place_of(self.tenants.get(move_id, ""), place))

    async def claim(self, owner: str, lease_seconds: float, most_of_a_cell: int) -> Move | None:
        move = await super().claim(owner, lease_seconds, most_of_a_cell)
        if move is not None:
            self.tenants[move.move_id] = move.tenant_id
        return move

    async def record(
        self, move_id: str, token: int, event: MoveStep, change: MoveChange = NOTHING, text: str = ""
    ) -> Move:
        self._reach(move_id, f"{event}.before")
        move = await super().record(move_id, token, event, change, text)
        self._reach(move_id, f"{event}.after")
        return move

    async def commit(self, move_id: str, token: int, epoch: int) -> Move:
        self._reach(move_id, "commit.before")
        move = await super().commit(move_id, token, epoch)
        self._reach(move_id, "commit.after")
        return move

    async def release(self, move_id: str, token: int, epoch: int) -> Move:
        self._reach(move_id, "release.before")
        move = await super().release(move_id, token, epoch)
        self._reach(move_id, "release.after")
        return move


def prepare(points: Points) -> None:
    """Lay the points around all that a mover does."""
    PointedMoves.points, PointedMoves.tenants = points, {}
    migration.app.PostgresMoves = PointedMoves  # type: ignore[misc]

    def around(end: End, place: str, work: Callable[[], Awaitable[Any]]) -> Awaitable[Any]:
        async def done() -> Any:
            points.reach(place_of(end.tenant_id, f"{place}.before"))
            result = await work()
            points.reach(place_of(end.tenant_id, f"{place}.after"))
            return result

        return done()

    flip, capture, hand_over = fences.flip, fences.capture, fences.hand_over
    remove_rows, forget_logged = removing.remove_rows, removing.forget_logged

    def flipped(end: End, token: int, epoch: int, state: fences.State, **more: Any) -> Awaitable[Any]:
        return around(end, f"{state} at {end.name}", lambda: flip(end, token, epoch, state, **more))

    def captured(end: End, *args: Any, wanted: bool, **more: Any) -> Awaitable[Any]:
        what = "captured" if wanted else "released"
        return around(end, f"{what} at {end.name}", lambda: capture(end, *args, wanted=wanted, **more))

    def removed(end: End, *args: Any, **more: Any) -> Awaitable[Any]:
        return around(end, f"emptied at {end.name}", lambda: remove_rows(end, *args, **more))

    def forgotten(end: End, *args: Any, **more: Any) -> Awaitable[Any]:
        return around(end, f"forgotten at {end.name}", lambda: forget_logged(end, *args, **more))

    def handed_over(end: End, *args: Any, **more: Any) -> Awaitable[Any]:
        return around(end, f"handed over at {end.name}", lambda: hand_over(end, *args, **more))

    fences.flip, fences.capture = flipped, captured  # type: ignore[assignment]
    fences.hand_over = handed_over  # type: ignore[assignment]
    removing.remove_rows, removing.forget_logged = removed, forgotten  # type: ignore[assignment]

    step, copy_chunk, note = stepping.step, copying.copy_chunk, Writing.note
    chunk, switch_step = copying._Cutting._chunk, switching._step

    async def stepped(reader: Any, writing: Writing, *args: Any, **more: Any) -> Any:
        points.reach(place_of(tenant_of(writing), "step.before"))
        result = await step(reader, writing, *args, **more)
        points.reach(f"{tenant_of(writing)}.step.within")
        return result

    async def copied(reader: Any, writing: Writing, *args: Any, **more: Any) -> Any:
        result = await copy_chunk(reader, writing, *args, **more)
        points.reach(f"{tenant_of(writing)}.chunk.within")
        return result

    async def noted(writing: Writing, *args: Any, **more: Any) -> None:
        await note(writing, *args, **more)
        points.reach(f"{tenant_of(writing)}.note.within")

    def tenant_of(writing: Writing) -> str:
        return PointedMoves.tenants.get(writing.move_id, "")

    async def chunked(self: copying._Cutting) -> None:
        await chunk(self)
        points.reach(place_of(self._source.tenant_id, f"chunk of {self._table.name}.after"))

    async def last_stepped(claim: Claim) -> Any:
        result = await switch_step(claim)
        points.reach(place_of(claim.move.tenant_id, "last step.after"))
        return result

    receive = copying.receive

    async def received(writing: Writing, table: Any, pipe: Any) -> int:
        async def bytes_of_pipe() -> AsyncIterator[bytes]:
            async for data in pipe:
                points.reach(place_of(tenant_of(writing), "COPY.within"))
                yield data

        return await receive(writing, table, bytes_of_pipe())  # type: ignore[arg-type]

    copying.receive = received
    copy_table = before.copy_table

    async def table_copied(source: End, destination: End, token: int, table: Any, *args: Any, **more: Any) -> Any:
        points.reach(place_of(source.tenant_id, f"table {table.name}.before"))
        return await copy_table(source, destination, token, table, *args, **more)

    before.copy_table = table_copied
    stepping.step, copying.copy_chunk = stepped, copied
    Writing.note = noted  # type: ignore[method-assign, assignment]
    copying._Cutting._chunk = chunked  # type: ignore[method-assign]
    switching._step = last_stepped


def main() -> None:
    """Keep so many running until standard input ends."""
    count, folder = int(sys.argv[1]), Path(sys.argv[2])
    prepare(Points(folder))

    def run() -> int:
        log = os.open(folder.with_name(f"mover-{os.getpid()}.log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        return program.main("migration", MigrationSettings, build)

    keep(count, run)


if __name__ == "__main__":
    main()
