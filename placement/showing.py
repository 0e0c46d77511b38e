"""What the metrics page shows of the fleet: cells, moves and plans as the directory knows them.

Every placement shows the same, so none of it is missing while one of them is away, or nobody leads. There are
series for cells, phases and states, never for tenants. While the directory is away the last look stays.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Final, get_args

from directory.moves import Moves
from directory.plans import Plan, Plans
from directory.rules.moves import ENDED
from directory.truth import Directory
from directory.values import Cell, CellState, MovePhase, PhaseCount
from placement import metrics
from placement.checks.witnesses import UNSERVING
from placement.rules.standing import Verdict
from placement.witnesses import Witnesses
from runtime.clock import Clock, SystemClock

ROUND_SECONDS = 10.0
"""Between two looks; pages are read every quarter of a minute or so."""
MOST_PLANS = 2000
LEVELS: Final[dict[Verdict, int]] = {"well": 0, "doubtful": 1, "down": 2}


class Showing:
    """`runtime.tasks` calls `step` again and again."""

    def __init__(
        self, directory: Directory, moves: Moves, plans: Plans, witnesses: Witnesses, clock: Clock | None = None
    ) -> None:
        self._directory, self._moves, self._plans, self._witnesses = directory, moves, plans, witnesses
        self._clock = clock or SystemClock()

    async def step(self) -> None:
        """One look, and the rest until the next. Unavailable."""
        await self.look()
        await self._clock.sleep(ROUND_SECONDS)

    async def look(self) -> None:
        """Unavailable: the page stays as it was."""
        recorded = await self._directory.head()
        cells = await self._directory.cells()
        phases = await self._moves.by_phase()
        plans = await self._plans.plans(unfinished=True, limit=MOST_PLANS)
        metrics.RECORDED.set(recorded)
        self._show_cells(cells)
        _show_moves(phases)
        _show_plans(plans)

    def _show_cells(self, cells: Sequence[Cell]) -> None:
        for gauge in (metrics.CELL_STANDING, metrics.CELL_TENANTS, metrics.CELL_CAPACITY):
            gauge.clear()  # of a cell that is no more nothing stays
        states = Counter(cell.state for cell in cells)
        for state in get_args(CellState):
            metrics.CELLS.labels(state).set(states[state])
        for cell in cells:
            if cell.state != "retired":
                metrics.CELL_TENANTS.labels(cell.cell_id).set(cell.tenants)
                metrics.CELL_CAPACITY.labels(cell.cell_id).set(cell.capacity_tenants)
        serving = [cell.cell_id for cell in cells if cell.state not in UNSERVING]
        for cell_id, standing in self._witnesses.standings(serving).items():
            metrics.CELL_STANDING.labels(cell_id).set(LEVELS[standing.verdict])


def _show_moves(found: Sequence[PhaseCount]) -> None:
    by_phase = {one.phase: one for one in found}
    for phase in get_args(MovePhase):
        if phase not in ENDED:
            one = by_phase.get(phase)
            metrics.MOVES.labels(phase).set(one.moves if one else 0)
            metrics.MOVE_OLDEST.labels(phase).set(one.oldest_seconds if one else 0)
    metrics.MOVES_OBSTRUCTED.set(sum(one.obstructed for one in found))


def _show_plans(found: Sequence[Plan]) -> None:
    metrics.UNFINISHED_PLANS.clear()
    for kind_and_so_on, plans in Counter(
        (plan.kind, plan.state, "yes" if plan.automatic else "no") for plan in found
    ).items():
        metrics.UNFINISHED_PLANS.labels(*kind_and_so_on).set(plans)
