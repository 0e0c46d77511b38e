"""Moves tenants again and again: planned, sometimes cancelled midway, kept or brought back, and confirmed."""

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from typing import TypeVar

from directory.errors import DirectoryError, NotAllowed, Refused
from directory.moves import Moves
from directory.postgres_moves import PostgresMoves
from directory.rules.moves import ENDED
from directory.values import Move, MoveOptions, NewMove, Wish
from loadtests.history.rules.pauses import Window
from runtime import database

LOOK_SECONDS = 0.05
MOVE_SECONDS = 180.0
"""After so long a move has not ended, and the run says so."""
CANCELLED = 0.12
REVERSED = 0.15
UNVERIFIED = 0.3
FOUND = TypeVar("FOUND")


@contextlib.asynccontextmanager
async def moves_of(dsn: str) -> AsyncIterator[Moves]:
    """The directory's moves, as whoever plans them."""
    pool = await database.open_pool(dsn, name="cellway-history", size=4, stateless=True)
    try:
        yield PostgresMoves(pool)
    finally:
        pool.terminate()


class Travels:
    """The moves of all tenants of a run, so many together."""

    def __init__(self, moves: Moves, cells: tuple[str, ...], chance: random.Random, most: int) -> None:
        self._moves, self._cells, self._chance = moves, cells, chance
        self._left = most
        self.ended: list[Move] = []
        self.stuck: list[Move] = []
        self.phases: dict[str, str] = {}
        """Of moves under way, for an adversary that waits for its moment."""
        self.stopped = asyncio.Event()

    def __repr__(self) -> str:
        return f"<Travels, {len(self.ended)} ended, {self._left} left>"

    def stop(self) -> None:
        """Plan no more; what is under way goes on to its end."""
        self.stopped.set()

    @property
    def over(self) -> bool:
        """Nothing more is to be planned."""
        return self.stopped.is_set() or self._left <= 0

    async def run(self, tenant_id: str, home: str) -> None:
        """One tenant, until there are no moves left."""
        while not self.over:
            self._left -= 1
            destination = self._chance.choice([cell for cell in self._cells if cell != home])
            options = MoveOptions(verify=self._chance.random() > UNVERIFIED)
            move = await self._planned(NewMove(tenant_id, destination, options, reason="history"))
            if move is None:
                home = ""  # wherever it lives now, the next one will find out
                continue
            if self._chance.random() < CANCELLED:
                move = await self._cancelled(move)
            else:
                move = await self._arrived(move)
            if move.phase == "REVERSIBLE" and self._chance.random() < REVERSED and not self.over:
                self._left -= 1
                back = await self._planned(NewMove(tenant_id, move.source, options, "history", move.move_id))
                if back is not None:
                    await self._finished(await self._arrived(back))
                    move = await self._until(move.move_id, lambda found: found.phase in (*ENDED, "REVERSIBLE"))
            move = await self._finished(move)
            home = move.destination if move.phase in ("DONE", "REVERSIBLE") else move.source

    async def _planned(self, new: NewMove) -> Move | None:
        """None: it was planned by a call whose answer was lost, or cannot be planned; the next one will tell."""
        try:
            return await self._insist(lambda: self._moves.plan(new))
        except Refused:
            unfinished = await self._insist(lambda: self._moves.moves(tenant_id=new.tenant_id, unfinished=True))
            return next((move for move in unfinished if move.reverses == new.reverses), None)

    async def _cancelled(self, move: Move) -> Move:
        await asyncio.sleep(self._chance.uniform(0.0, 1.5))
        await self._ask(move.move_id, "cancel")
        return await self._arrived(move)

    async def _arrived(self, move: Move) -> Move:
        return await self._until(move.move_id, lambda found: found.phase in (*ENDED, "REVERSIBLE"))

    async def _finished(self, move: Move) -> Move:
        if move.phase == "REVERSIBLE":
            await self._ask(move.move_id, "confirm")
            move = await self._until(move.move_id, lambda found: found.phase in ENDED)
        (self.ended if move.phase in ENDED else self.stuck).append(move)
        if move.phase not in ENDED:
            self.stopped.set()
        return move

    async def _ask(self, move_id: str, wish: Wish) -> None:
        with contextlib.suppress(NotAllowed):  # it is too late for that
            await self._insist(lambda: self._moves.ask(move_id, wish))

    async def _until(self, move_id: str, wanted: Callable[[Move], bool]) -> Move:
        """The move, when it is as wanted or the time is over."""
        end = time.monotonic() + MOVE_SECONDS
        while True:
            move = await self._insist(lambda: self._moves.move(move_id))
            self.phases[move_id] = move.phase
            if wanted(move) or time.monotonic() > end:
                self.phases.pop(move_id)
                return move
            await asyncio.sleep(LOOK_SECONDS)

    async def _insist(self, call: Callable[[], Awaitable[FOUND]]) -> FOUND:
        """The directory may be away for a while."""
        end = time.monotonic() + MOVE_SECONDS
        while True:
            try:
                return await call()
            except Refused:
                raise
            except DirectoryError:
                if time.monotonic() > end:
                    raise
                await asyncio.sleep(0.2)

    # What became of them

    def outcomes(self) -> Counter[str]:
        """Moves by how they ended."""
        return Counter([*(move.phase for move in self.ended), *("STUCK" for _ in self.stuck)])

    async def windows(self, monotonic_at: Callable[[datetime], float]) -> list[Window]:
        """When each tenant was between two cells."""
        found = []
        for move in self.ended:
            events = await self._insist(lambda move=move: self._moves.events(move.move_id))  # type: ignore[misc]
            moments = {event.phase: monotonic_at(event.at) for event in events}
            if "ACTIVATED" in moments:
                began = moments["FENCING"]
                found.append(Window(move.tenant_id, began, moments["ACTIVATED"]))
        return found
