"""Looks at a move before there is one: what is in its way, how much would be carried, how long that would take.

What keeps a move from being planned is asked of the directory, by the rules by which it would refuse, and of both
cells: whether the destination answers, and whether the tenant's rows fit into it. Nothing is written anywhere.
"""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from directory.control.client import CellControl
from directory.control.contract import TableSize
from directory.errors import DirectoryError, NotAllowed, NotFound, Stale, Unavailable
from directory.moves import Moves
from directory.rules.comparing import obstacles, too_large
from directory.rules.tables import Schema
from directory.truth import Directory
from directory.values import Cell, NewMove
from placement.rules.predicting import Measured, Prediction, is_there_already, measured, predict

SCHEMA_SECONDS = 3.0
"""For a cell to say what its tables are made of, which it reads from its catalog."""
MOST_MEASURED = 20
"""Moves whose events are read, to learn how long their phases took."""
MOST_PAUSES = 100


@dataclass(frozen=True, slots=True)
class Preview:
    """What would move, and how. `source` None: the tenant is deleted; `sizes` None: nobody says."""

    source: str | None
    sizes: Sequence[TableSize] | None
    prediction: Prediction
    obstacles: Sequence[str]


@dataclass(frozen=True, slots=True)
class Told:
    """What a cell says its tables are made of. Neither: it is of before that could be asked."""

    schema: Schema | None = None
    obstacle: str | None = None


class Survey:
    """Asks; never orders."""

    def __init__(self, directory: Directory, moves: Moves, control: CellControl) -> None:
        self._directory, self._moves, self._control = directory, moves, control

    async def admit(self, new: NewMove) -> None:
        """NotAllowed with everything that is known to be in the way; NotFound; BadMove.

        A source that does not answer keeps nobody from leaving it: movers ask its database, and compare it then.
        """
        for refusal in await self._moves.check(new):
            raise NotAllowed(refusal)
        source, destination = await self._ends(new)
        if source is None:
            return  # deleted meanwhile, as whoever plans will find
        here, there = await asyncio.gather(self._told(source), self._told(destination))
        if found := [*_in_the_way(there), *_differences(here, there)]:
            raise NotAllowed("; ".join(found))

    async def preview(self, new: NewMove) -> Preview:
        """All that can be known before. NotFound; BadMove."""
        found = list(await self._moves.check(new))
        source, destination = await self._ends(new)
        sizes: Sequence[TableSize] | None = None
        if source is not None:
            (here, there), held = await asyncio.gather(self._both(source, destination), self._held(source, new))
            found += [*_in_the_way(there), *_differences(here, there)]
            if isinstance(held, str):
                found.append(held)
            else:
                sizes = held
                found += _too_large(here, held)
        old = None if new.reverses is None else await self._moves.move(new.reverses)
        prediction = await self._predicted(() if is_there_already(old) else sizes or ())
        return Preview(None if source is None else source.cell_id, sizes, prediction, found)

    async def _ends(self, new: NewMove) -> tuple[Cell | None, Cell]:
        tenant = await self._directory.tenant(new.tenant_id)
        destination = await self._directory.cell(new.destination)
        if tenant.assignment is None:
            return None, destination
        return await self._directory.cell(tenant.assignment.cell_id), destination

    async def _both(self, source: Cell, destination: Cell) -> tuple[Told, Told]:
        if source.cell_id == destination.cell_id:
            told = await self._told(source)
            return told, told
        return await asyncio.gather(self._told(source), self._told(destination))

    async def _told(self, cell: Cell) -> Told:
        """When the cell is down, that is what there is to say."""
        try:
            async with asyncio.timeout(SCHEMA_SECONDS):
                return Told((await self._control.schema(cell)).value())
        except NotFound:
            return Told()
        except TimeoutError:
            return Told(obstacle=f"cell {cell.cell_id} did not answer within {SCHEMA_SECONDS:g} s; {_BRING_BACK}")
        except Unavailable as error:
            return Told(obstacle=f"{error}; {_BRING_BACK}")
        except Stale as error:
            return Told(obstacle=f"cell {cell.cell_id}: {error}")
        except DirectoryError as error:
            return Told(obstacle=f"{error}; {_BRING_BACK}")

    async def _held(self, source: Cell, new: NewMove) -> Sequence[TableSize] | str:
        try:
            return (await self._control.size(source, new.tenant_id)).tables
        except NotFound:
            return (
                f"cell {source.cell_id} does not say how much the tenant holds: it is older, or just opens for it"
            )
        except DirectoryError as error:
            return f"how much the tenant holds is not known: {error}"

    async def _predicted(self, sizes: Sequence[TableSize]) -> Prediction:
        switched = await self._moves.latest(MOST_PAUSES)
        known: list[Measured] = []
        for move in switched[:MOST_MEASURED]:
            took = measured(move, await self._moves.events(move.move_id))
            if took is not None:
                known.append(took)
        pauses = [move.pause_ms for move in switched if move.pause_ms is not None]
        return predict(sum(size.rows for size in sizes), sum(size.bytes for size in sizes), known, pauses)


_BRING_BACK = "bring it back, or choose another cell"


def _in_the_way(destination: Told) -> Iterator[str]:
    if destination.obstacle is not None:
        yield destination.obstacle


def _differences(source: Told, destination: Told) -> Iterator[str]:
    if source.schema is not None and destination.schema is not None:
        yield from map(str, obstacles(source.schema, destination.schema))


def _too_large(source: Told, sizes: Sequence[TableSize]) -> Iterator[str]:
    for size in sizes:
        table = None if source.schema is None else source.schema.tables.get(size.relation)
        if table is not None and (finding := too_large(table, size.rows)) is not None:
            yield str(finding)
