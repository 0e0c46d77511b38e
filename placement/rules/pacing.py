"""How fast a plan is carried out: which of its moves may begin now, and how long all of them take. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time

from directory.plans import PlanMove


@dataclass(frozen=True, slots=True)
class Budget:
    """What may begin now. None: as much as comes; a budget of bytes is kept but for the last move that begins."""

    at_once: int
    of_a_cell: int
    moves: int | None = None
    bytes: float | None = None


def beginning(
    waiting: Sequence[PlanMove], under_way: int, flights: Mapping[str, int], budget: Budget
) -> list[PlanMove]:
    """Those that begin now, in the order of the plan. `flights`: moves in which each cell takes part already."""
    room = max(0, budget.at_once - under_way)
    if budget.moves is not None:
        room = min(room, max(0, budget.moves))
    left, flying, chosen = budget.bytes, dict(flights), list[PlanMove]()
    for move in waiting:
        if len(chosen) >= room or (left is not None and left <= 0):
            break
        cells = (move.source, move.destination)
        if any(flying.get(cell, 0) >= budget.of_a_cell for cell in cells):
            continue
        for cell in cells:
            flying[cell] = flying.get(cell, 0) + 1
        if left is not None:
            left -= move.bytes
        chosen.append(move)
    return chosen


@dataclass(frozen=True, slots=True)
class Stretch:
    """One move, and how long it takes by itself."""

    source: str
    destination: str
    seconds: float


def seconds_of(waves: Sequence[Sequence[Stretch]], budget: Budget) -> float:
    """How long waves take, one after the other: as long as the slowest move, or as turns are waited for."""
    return sum(_seconds(wave, budget) for wave in waves if wave)


def _seconds(wave: Sequence[Stretch], budget: Budget) -> float:
    of_cells: dict[str, float] = {}
    for each in wave:
        for cell in (each.source, each.destination):
            of_cells[cell] = of_cells.get(cell, 0.0) + each.seconds
    return max(
        max(each.seconds for each in wave),
        sum(each.seconds for each in wave) / budget.at_once,
        max(of_cells.values()) / budget.of_a_cell,
    )


@dataclass(frozen=True, slots=True)
class Hours:
    """A part of each day, in UTC; it may go over midnight."""

    begin: time
    end: time

    def __contains__(self, at: datetime) -> bool:
        now = at.time().replace(tzinfo=None)
        if self.begin <= self.end:
            return self.begin <= now < self.end
        return now >= self.begin or now < self.end

    def __str__(self) -> str:
        return f"{self.begin:%H:%M}-{self.end:%H:%M}"


def hours_of(text: str) -> tuple[Hours, ...]:
    """`22:00-06:00, 12:00-13:00`; nothing for nothing. ValueError."""
    found = []
    for part in (each.strip() for each in text.split(",") if each.strip()):
        begin, dash, end = part.partition("-")
        if not dash:
            raise ValueError(f"{part!r} is no part of a day: say 22:00-06:00")
        found.append(Hours(time.fromisoformat(begin.strip()), time.fromisoformat(end.strip())))
    return tuple(found)
