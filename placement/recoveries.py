"""Looks at what a cell's recovery needs. Nothing is written anywhere, and nobody is moved because of it."""

from collections.abc import Sequence
from dataclasses import dataclass

from directory.moves import Moves
from directory.truth import Directory
from directory.values import Cell
from placement.rules.recovering import Advice, advice, lost, steps
from placement.rules.standing import LastSeen, Standing
from placement.witnesses import Witnesses

MOST_MOVES = 1000
MOST_TENANTS = 20
"""Named; the others are counted."""


@dataclass(frozen=True, slots=True)
class Found:
    """A cell and what its recovery needs. `tenants` are the first by name; `more_moves`: not all are told."""

    cell: Cell
    standing: Standing
    last: LastSeen
    tenants: Sequence[str]
    moves: Sequence[Advice]
    more_moves: bool
    steps: Sequence[str]
    lost: str


class Recoveries:
    """Asks the directory and the witnesses."""

    def __init__(self, directory: Directory, moves: Moves, witnesses: Witnesses) -> None:
        self._directory, self._moves, self._witnesses = directory, moves, witnesses

    async def look(self, cell_id: str) -> Found:
        """NotFound; Unavailable."""
        cell = await self._directory.cell(cell_id)
        tenants = await self._directory.tenants(cell_id=cell_id, limit=MOST_TENANTS)
        unfinished = await self._moves.moves(cell_id=cell_id, unfinished=True, limit=MOST_MOVES + 1)
        told = [advice(move, cell_id) for move in unfinished[:MOST_MOVES]]
        return Found(
            cell,
            self._witnesses.standings([cell_id])[cell_id],
            self._witnesses.last_seen(cell_id),
            [tenant.tenant_id for tenant in tenants],
            told,
            len(unfinished) > MOST_MOVES,
            steps(cell),
            lost(cell, told),
        )
