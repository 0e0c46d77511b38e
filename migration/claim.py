"""One claim's time with a move: what is known of it, what the directory is told, and the two databases."""

import time
from contextlib import AsyncExitStack
from dataclasses import replace
from types import TracebackType
from typing import Any

from directory.moves import Moves
from directory.rules.comparing import obstacles, spelled_otherwise
from directory.rules.moves import BEFORE_FENCING, MoveStep, commit_refusal
from directory.rules.tables import Schema
from directory.truth import Directory
from directory.values import Move, MoveChange
from migration import fences, metrics
from migration.catalog import read_schema
from migration.databases import Databases
from migration.ends import End
from migration.errors import Lost, Obstacle, Unavailable
from migration.fences import Notes
from migration.pacing import Paces
from runtime import logs

log = logs.get("migration")


class Cancelled(Exception):
    """An operator wants the source to be as it was."""


class Paused(Exception):
    """An operator wants it to wait."""


class Claim:
    """Carries `move.token`. Use it as a context manager; the databases are taken up when they are needed."""

    def __init__(self, moves: Moves, directory: Directory, databases: Databases, paces: Paces, move: Move) -> None:
        self.moves, self.directory, self.paces = moves, directory, paces
        self.move = move
        self.notes: Notes | None = None
        """How far the destination is, as far as this claim has brought it."""
        self._since = time.monotonic()
        """When the phase was entered, or taken up."""
        self._databases = databases
        self._exits = AsyncExitStack()
        self._ends: dict[str, End] = {}
        self._schema: Schema | None = None

    def __repr__(self) -> str:
        return f"<Claim of {self.move.move_id} {self.move.phase} at {self.move.token}>"

    async def __aenter__(self) -> "Claim":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._exits.__aexit__(kind, error, trace)

    # The directory

    async def record(self, event: MoveStep, text: str = "", **change: Any) -> None:
        """The next phase, before its work begins."""
        said = MoveChange(**{"error": "", **change})
        self.entered(await self.moves.record(self.move.move_id, self.move.token, event, said, text))

    def entered(self, move: Move) -> None:
        """It is in another phase, as was recorded."""
        log.info("phase_entered", move=move.move_id, before=self.move.phase, phase=move.phase)
        now = time.monotonic()
        metrics.PHASES.labels(move.phase).inc()
        metrics.PHASE_SECONDS.labels(self.move.phase).observe(now - self._since)
        self.move, self._since = move, now

    async def tell(self, **progress: Any) -> None:
        """How far it is within the phase."""
        change = MoveChange(progress=progress)
        self.move = await self.moves.note(self.move.move_id, self.move.token, change)

    async def is_held_up(self, error: str) -> None:
        """What is in its way, for whoever looks at it."""
        if error != self.move.error:
            self.move = await self.moves.note(self.move.move_id, self.move.token, MoveChange(error=error))

    async def goes_on(self) -> None:
        """Nothing is in its way any more. The next phase says so too."""
        await self.is_held_up("")

    async def assigned(self) -> int:
        """The epoch at which the tenant is in the source. Obstacle: it is not."""
        tenant = await self.directory.tenant(self.move.tenant_id)
        if tenant.assignment is None or tenant.assignment.cell_id != self.move.source:
            raise Obstacle(f"the tenant does not live in {self.move.source} any more")
        return tenant.assignment.epoch

    async def check_destination(self) -> None:
        """Before anybody has to wait: no switch is begun that the directory would refuse. Obstacle."""
        tenant = await self.directory.tenant(self.move.tenant_id)
        cell = await self.directory.cell(self.move.destination)
        if (why := commit_refusal(self.move, cell, tenant)) is not None:
            raise Obstacle(f"the switch waits: {why}; change that, or cancel the move")

    # The operator

    def heed(self, move: Move) -> None:
        """What was read of it meanwhile: an operator may have asked for something."""
        self.move = replace(self.move, wish=move.wish, paused=move.paused)

    def obey(self) -> None:
        """Where it can be interrupted. Cancelled; Paused."""
        if self.move.phase in BEFORE_FENCING:
            if self.move.wish == "cancel":
                raise Cancelled
            if self.move.paused:
                raise Paused

    # The databases

    async def source(self) -> End:
        """Superseded; Unavailable; Obstacle."""
        return await self._end(self.move.source)

    async def destination(self) -> End:
        """Superseded; Unavailable; Obstacle."""
        return await self._end(self.move.destination)

    async def _end(self, cell_id: str) -> End:
        """Of a cell, taken up with this claim's token."""
        if cell_id not in self._ends:
            dsn = self._databases.dsn(cell_id)
            end = End(dsn, name=cell_id, tenant_id=self.move.tenant_id, move_id=self.move.move_id)
            await self._exits.enter_async_context(end)
            notes = await self._take(end)
            if cell_id == self.move.destination:
                self.notes = notes
            self._ends[cell_id] = end
        return self._ends[cell_id]

    async def _take(self, end: End) -> Notes:
        """Not held up by a predecessor that stands still in a transaction, and is not coming back in time."""
        try:
            return await fences.take(end, self.move.token)
        except Unavailable as error:
            await self.tell()  # or we are one ourselves
            if not await fences.end_predecessors(end):
                raise
            log.warning("predecessor_ended", move=self.move.move_id, cell=end.name, reason=str(error))
        return await fences.take(end, self.move.token)

    async def fitting(self) -> Schema:
        """The source's schema, once it is known that its rows fit into the destination. Obstacle."""
        if self._schema is None:
            source, destination = await self.source(), await self.destination()
            # One after the other: nobody waits for this, and whoever is served there needs the processors too.
            here, there = [await self._schema_of(end) for end in (source, destination)]
            if found := (*obstacles(here, there), *spelled_otherwise(here, self.move.tenant_id)):
                raise Obstacle("; ".join(str(each) for each in found))
            self._schema = replace(here, other=there.fingerprint)
        return self._schema

    async def _schema_of(self, end: End) -> Schema:
        async with end.connected() as connection:
            return await read_schema(connection)

    async def known(self) -> Notes:
        """How far the destination is."""
        await self.destination()
        if self.notes is None:
            raise RuntimeError("the destination was not taken up")
        return self.notes

    async def since(self) -> tuple[str, str]:
        """The source's snapshot that the destination equals, and in which history.

        Lost: there is none, or what is there was brought between tables that were others.
        """
        notes, schema = await self.known(), await self.fitting()
        if notes.snapshot is None:
            raise Lost(f"{self.move.destination} has nothing to go on from")
        if notes.progress.get("schemas") != schema.pair:
            raise Lost("the schema of an end changed since its rows were copied")
        return notes.snapshot, notes.progress["history"]
