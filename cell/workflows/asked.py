"""A party that is asked only where it makes sense."""

from collections.abc import Callable
from dataclasses import dataclass

from cell.orchestrator.actions import Call, Party
from cell.rules.turns import Output


@dataclass(frozen=True, slots=True)
class Asked:
    """`party`, if `when` says so; else nothing is done, which is well."""

    party: Party
    when: Callable[[Call], bool]

    async def act(self, call: Call) -> Output:
        """As the party."""
        return await self.party.act(call) if self.when(call) else {}

    async def find(self, call: Call) -> Output | None:
        """As the party."""
        return await self.party.find(call) if self.when(call) else None

    async def undo(self, call: Call) -> None:
        """As the party; it bears being asked for what it never did."""
        await self.party.undo(call)
