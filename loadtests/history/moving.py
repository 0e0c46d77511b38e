"""Moves tenants again and again: planned, sometimes cancelled midway, kept or brought back, and confirmed."""

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import datetime

from loadtests.history.desk import Desk, Journey, Refused
from loadtests.history.rules.pauses import Window

LOOK_SECONDS = 0.05
MOVE_SECONDS = 180.0
"""After so long a move has not ended, and the run says so."""
CANCELLED = 0.12
REVERSED = 0.15
UNVERIFIED = 0.3
PAUSED = 0.1
"""Shares of the moves that are given up, brought back, not compared, and paused for a moment."""
MOST_REGRET_SECONDS = 4.0
"""Before a move is reversed: what is written meanwhile has to come back too."""


class Travels:
    """The moves of all tenants of a run, so many together."""

    def __init__(self, desk: Desk, cells: tuple[str, ...], chance: random.Random, most: int) -> None:
        self._desk, self._cells, self._chance = desk, cells, chance
        self._left = most
        self.ended: list[Journey] = []
        self.stuck: list[Journey] = []
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
            verify = self._chance.random() > UNVERIFIED
            move = await self._planned(tenant_id, self._desk.plan(tenant_id, destination, verify=verify))
            if move is None:
                home = ""  # wherever it lives now, the next one will find out
                continue
            if self._chance.random() < CANCELLED:
                move = await self._cancelled(move)
            else:
                if self._chance.random() < PAUSED:
                    await self._paused(move)
                move = await self._arrived(move)
            if move.phase == "REVERSIBLE" and self._chance.random() < REVERSED and not self.over:
                self._left -= 1
                await asyncio.sleep(self._chance.uniform(0.0, MOST_REGRET_SECONDS))
                back = await self._planned(tenant_id, self._desk.reverse(move.move_id), move.move_id)
                if back is not None:
                    await self._finished(await self._arrived(back))
                    move = await self._until(move.move_id, _is_over)
            move = await self._finished(move)
            home = move.destination if move.phase in ("DONE", "REVERSIBLE") else move.source

    async def _planned(
        self, tenant_id: str, planning: Awaitable[Journey], reverses: str | None = None
    ) -> Journey | None:
        """None: it cannot be planned. When it was planned by a call whose answer was lost, it is found."""
        try:
            return await planning
        except Refused:
            unfinished = await self._desk.unfinished(tenant_id)
            return next((move for move in unfinished if move.reverses == reverses), None)

    async def _cancelled(self, move: Journey) -> Journey:
        await asyncio.sleep(self._chance.uniform(0.0, 1.5))
        await self._ask(move.move_id, "cancel")
        return await self._arrived(move)

    async def _paused(self, move: Journey) -> None:
        await asyncio.sleep(self._chance.uniform(0.0, 1.0))
        await self._ask(move.move_id, "pause")
        await asyncio.sleep(self._chance.uniform(0.0, 1.0))
        await self._ask(move.move_id, "resume")

    async def _arrived(self, move: Journey) -> Journey:
        return await self._until(move.move_id, _is_over)

    async def _finished(self, move: Journey) -> Journey:
        if move.phase == "REVERSIBLE":
            await self._ask(move.move_id, "confirm")
            move = await self._until(move.move_id, lambda found: found.ended)
        (self.ended if move.ended else self.stuck).append(move)
        if not move.ended:
            self.stopped.set()
        return move

    async def _ask(self, move_id: str, verb: str) -> None:
        with contextlib.suppress(Refused):  # it is too late for that
            await self._desk.ask(move_id, verb)

    async def _until(self, move_id: str, wanted: Callable[[Journey], bool]) -> Journey:
        """The move, when it is as wanted or the time is over."""
        end = time.monotonic() + MOVE_SECONDS
        while True:
            move = await self._desk.move(move_id)
            self.phases[move_id] = move.phase
            if wanted(move) or time.monotonic() > end:
                self.phases.pop(move_id)
                return move
            if move.paused:
                # A pause whose answer was lost may be carried out after the resumption that followed it.
                await self._ask(move_id, "resume")
            await asyncio.sleep(LOOK_SECONDS)

    # What became of them

    def outcomes(self) -> Counter[str]:
        """Moves by how they ended."""
        return Counter([*(move.phase for move in self.ended), *("STUCK" for _ in self.stuck)])

    async def windows(self, monotonic_at: Callable[[datetime], float]) -> list[Window]:
        """When each tenant was between two cells."""
        found = []
        for move in self.ended:
            moments = await self._desk.moments(move.move_id)
            if "ACTIVATED" in moments:
                began, ended = monotonic_at(moments["FENCING"]), monotonic_at(moments["ACTIVATED"])
                found.append(Window(move.tenant_id, began, ended))
        return found


def _is_over(move: Journey) -> bool:
    return move.ended or move.phase == "REVERSIBLE"
