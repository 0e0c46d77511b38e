"""Registers cells, has them prove who they are, and opens those that were not ready when they registered.

A cell proves itself by answering at its control address, under a token derived for it alone, with its own name and
region. Until then it stays `joining` and gets no tenant.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace

from directory.control.client import CellControl, Certificates
from directory.control.contract import CellReport
from directory.errors import DirectoryError, NotAllowed, Stale, Unavailable
from directory.rules.states import CELLS, CellEvent
from directory.truth import Directory
from directory.values import Cell, CellChange, NewCell
from placement.auditing import Audit
from placement.errors import NotProved
from placement.proving import prove
from placement.reach import Reach
from placement.rooms import Rooms
from placement.rules.proof import untold
from runtime import logs

log = logs.get("placement.cells")

AT_ONCE = 20
JOINING_SECONDS = 1.0
MOST_TRIES = 5
"""Of a change that others get ahead of. Each time one of them is through, so it is no loop."""
LOOK_SECONDS = 5.0
"""Between two rounds of looking whether every cell answers."""


class Cells:
    """What operators do with cells, and two background rounds."""

    def __init__(
        self,
        directory: Directory,
        control: CellControl,
        reach: Reach,
        rooms: Rooms,
        audit: Audit,
        certificates: Certificates | None = None,
    ) -> None:
        """`certificates`: addresses at which cells would be spoken to without TLS are refused, as they say."""
        self._certificates = certificates
        self._directory = directory
        self._rooms = rooms
        self._control = control
        self._reach = reach
        self._audit = audit

    async def register(self, new: NewCell) -> tuple[Cell, str | None]:
        """The cell, open when it has proved itself; otherwise joining, and why. AlreadyExists; BadAddress."""
        self._check(new.address, new.control_address)
        cell = await self._directory.register_cell(new)
        self._rooms.outdate()
        log.info("cell_registered", cell=cell.cell_id, region=cell.region, capacity_tenants=cell.capacity_tenants)
        return await self._opened_if_proved(cell, asked=True)

    async def update(self, cell_id: str, change_of: Callable[[Cell], CellChange]) -> Cell:
        """What `change_of` makes of the cell as it is known; made anew when somebody else was quicker.

        New addresses must not lead to somebody else; a cell that is just away may tell them all the same.
        NotFound; NotAllowed; BadAddress; BadCapacity; NotProved; Stale; Unavailable.
        """
        for _ in range(MOST_TRIES - 1):
            with suppress(Stale):
                return await self._updated(cell_id, change_of)
        return await self._updated(cell_id, change_of)

    async def _updated(self, cell_id: str, change_of: Callable[[Cell], CellChange]) -> Cell:
        known = await self._directory.cell(cell_id)
        change = change_of(known)
        self._check(*(address for address in (change.address, change.control_address) if address is not None))
        if change.control_address not in (None, known.control_address):
            with suppress(Unavailable):
                await self._proof(replace(known, control_address=change.control_address))
        is_made_of_known = change.capacity is not None or change.caps is not None
        updated = await self._directory.update_cell(cell_id, change, known if is_made_of_known else None)
        self._rooms.outdate()
        return updated

    async def change(self, cell_id: str, event: CellEvent) -> Cell:
        """The next state of its table; what is so already stays so. Opening asks for the proof.

        NotFound; NotAllowed; NotProved; Unavailable.
        """
        cell = await self._directory.cell(cell_id)
        if cell.state == _leads_to(event):
            return cell
        if event == "open" and (cell.state, event) in CELLS:
            await self._proof(cell)
        return await self._changed(cell, event)

    async def open_joining(self) -> None:
        """One round over the cells that wait to prove themselves, and the rest until the next."""
        joining = [cell for cell in await self._directory.cells() if cell.state == "joining"]
        await _each(joining, self._opened_if_proved)
        await asyncio.sleep(JOINING_SECONDS)

    async def look_around(self) -> None:
        """One round of finding out which cells answer, and the rest until the next."""
        cells = [cell for cell in await self._directory.cells() if cell.state not in ("joining", "retired")]
        await _each(cells, self._looked_at)
        await asyncio.sleep(LOOK_SECONDS)

    async def _opened_if_proved(self, cell: Cell, *, asked: bool = False) -> tuple[Cell, str | None]:
        """`asked`: by an operator, whose decision it is."""
        try:
            report = await self._proof(cell)
        except (DirectoryError, NotProved) as error:
            return cell, str(error)
        if (change := untold(cell, report)) is not None:
            with suppress(Stale):  # somebody tells it just now, and then that counts
                cell = await self._directory.update_cell(cell.cell_id, change, cell)
        with suppress(NotAllowed):
            if asked:
                return await self._changed(cell, "prove"), None
            async with self._audit.deciding("openProvedCell", f"cell/{cell.cell_id}", {"version": cell.version}):
                return await self._changed(cell, "prove"), None
        # It joins no longer: somebody decided about it meanwhile, and that stays so.
        return await self._directory.cell(cell.cell_id), None

    def _check(self, *addresses: str) -> None:
        if self._certificates is not None:
            self._certificates.check(*addresses)

    async def _looked_at(self, cell: Cell) -> None:
        with suppress(DirectoryError, NotProved):
            await self._proof(cell)

    async def _proof(self, cell: Cell) -> CellReport:
        return await prove(self._control, self._reach, cell)

    async def _changed(self, cell: Cell, event: CellEvent) -> Cell:
        try:
            changed = await self._directory.change_cell(cell.cell_id, event)
        except NotAllowed:
            # Another instance may have been quicker.
            changed = await self._directory.cell(cell.cell_id)
            if changed.state != _leads_to(event):
                raise
            return changed
        self._rooms.outdate()
        log.info("cell_changed", cell=cell.cell_id, was=cell.state, state=changed.state)
        return changed


async def _each(cells: Sequence[Cell], visit: Callable[[Cell], Awaitable[object]]) -> None:
    slots = asyncio.Semaphore(AT_ONCE)

    async def in_turn(cell: Cell) -> None:
        async with slots:
            await visit(cell)

    # Nobody is left running, and nobody goes unvisited, because one visit failed.
    results = await asyncio.gather(*(in_turn(cell) for cell in cells), return_exceptions=True)
    for failed in (result for result in results if isinstance(result, BaseException)):
        raise failed


def _leads_to(event: CellEvent) -> str:
    return next(state for (_, known), state in CELLS.items() if known == event)
