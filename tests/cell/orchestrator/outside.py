"""A party outside, as the orchestrator may meet one: it remembers keys, is away, fails, or loses its answer."""

import asyncio
from collections.abc import Callable

from cell.errors import CellError
from cell.orchestrator.actions import Call, Outage
from cell.rules.turns import Output


class Refused(CellError):
    """The key was undone before: a late original."""


class Ledger:
    """Does each key once, and never again what was undone. The fields say how it behaves."""

    def __init__(self) -> None:
        self.done: dict[str, Output] = {}
        self.effects: list[str] = []
        """Every effect in its order, `-` before what was undone."""
        self.undone: set[str] = set()
        self.away = False
        self.failures = 0
        """How many of the next calls fail before anything happens."""
        self.undo_failures = 0
        self.answer_lost: Callable[[], object] | None = None
        """Called once, after an effect and before its answer."""
        self.asked: list[str] = []
        self.hold: asyncio.Event | None = None
        self.arrived = asyncio.Event()

    async def act(self, call: Call) -> Output:
        self.arrived.set()
        self._here()
        if self.failures:
            self.failures -= 1
            raise RuntimeError("it does not want to")
        if self.hold is not None:
            await self.hold.wait()
        if call.key in self.undone:
            raise Refused(call.key)
        if call.key not in self.done:
            self.done[call.key] = {"made": call.step}
            self.effects.append(call.step)
        lost, self.answer_lost = self.answer_lost, None
        if lost is not None:
            lost()
            await asyncio.sleep(0)
        return self.done[call.key]

    async def find(self, call: Call) -> Output | None:
        self._here()
        self.asked.append(call.step)
        return self.done.get(call.key)

    async def undo(self, call: Call) -> None:
        self._here()
        if self.undo_failures:
            self.undo_failures -= 1
            raise RuntimeError("it cannot")
        self.undone.add(call.key)
        if self.done.pop(call.key, None) is not None:
            self.effects.append(f"-{call.step}")

    def _here(self) -> None:
        if self.away:
            raise Outage("the ledger is away")
