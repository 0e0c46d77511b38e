"""Which cell a tenant goes to. Pure.

Hard rules first: the cell is in the region that was asked for, has the tags, is dedicated as was asked for, is
open, and has a free place. Then the score: the share of the cell's capacity that is still free with the tenant in
it, so cells of different sizes fill evenly. A cell that has lately not answered comes after all others: an idle
cell is the emptiest one, and a dead one idles.
"""

from collections.abc import Sequence, Set
from dataclasses import dataclass

from directory.rules.capacities import misfit
from directory.values import Cell

MOST_RUNNERS_UP = 5


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for. `region` None: any; `dedicated_to` empty: a cell that is dedicated to nobody."""

    region: str | None = None
    tags: tuple[str, ...] = ()
    dedicated_to: str = ""


@dataclass(frozen=True, slots=True)
class RunnerUp:
    """A cell that would have done; `score` is the free share with the tenant in it, from 0 to 1."""

    cell_id: str
    score: float
    reason: str


@dataclass(frozen=True, slots=True)
class Choice:
    """Where to, and why there."""

    cell_id: str
    score: float
    reasons: tuple[str, ...]
    runners_up: tuple[RunnerUp, ...]


@dataclass(frozen=True, slots=True)
class Nowhere:
    """No cell will do. `passing`: a cell that would do is just joining, so the same request may soon succeed."""

    passing: bool
    reasons: tuple[str, ...]


def choose(cells: Sequence[Cell], wish: Wish, silent: Set[str] = frozenset()) -> Choice | Nowhere:
    """The best cell. `silent` names cells that have lately not answered. Equal input, equal answer."""
    obstacles = {cell.cell_id: obstacle(cell, wish) for cell in cells}
    fitting = [cell for cell in cells if obstacles[cell.cell_id] is None]
    if not fitting:
        return _nowhere(cells, wish)
    ranked = sorted(fitting, key=lambda cell: (cell.cell_id in silent, -score(cell), cell.cell_id))
    best, others = ranked[0], ranked[1:]
    runners_up = tuple(RunnerUp(c.cell_id, score(c), _placed(c, silent)) for c in others[:MOST_RUNNERS_UP])
    reasons = (
        _region(best, wish),
        _placed(best, silent),
        _compared(len(cells), len(fitting), best, others, silent),
    )
    return Choice(best.cell_id, score(best), reasons, runners_up)


def score(cell: Cell) -> float:
    """The share of the capacity that is free once one more tenant is there, rounded as it is shown."""
    return round((cell.free_tenants - 1) / cell.capacity_tenants, 4) if cell.capacity_tenants else 0.0


def obstacle(cell: Cell, wish: Wish) -> str | None:
    """The first hard rule that keeps the tenant out of the cell; None when there is none."""
    if (why := misfit(cell, wish)) is not None:
        return why
    if cell.state != "open":
        return f"{cell.cell_id} is {cell.state}, not open"
    if cell.free_tenants < 1:
        return f"{cell.cell_id} is full: {cell.tenants} of {cell.capacity_tenants} places taken"
    return None


def _nowhere(cells: Sequence[Cell], wish: Wish) -> Nowhere:
    joining = [cell for cell in cells if cell.state == "joining" and misfit(cell, wish) is None]
    reasons = tuple(why for cell in cells if (why := obstacle(cell, wish)) is not None)
    return Nowhere(any(cell.free_tenants for cell in joining), reasons or ("no cell is registered",))


def _region(cell: Cell, wish: Wish) -> str:
    return (
        f"in region {cell.region}, as asked" if wish.region else f"no region was asked for; it is in {cell.region}"
    )


def _placed(cell: Cell, silent: Set[str]) -> str:
    free = f"{cell.free_tenants - 1} of {cell.capacity_tenants} places stay free ({score(cell):.2%})"
    return f"{free}, but it has lately not answered" if cell.cell_id in silent else free


def _compared(known: int, fitting: int, best: Cell, others: Sequence[Cell], silent: Set[str]) -> str:
    if not others:
        return f"the only one of {known} cells that is open, in the region and not full"
    following = others[0]
    if following.cell_id in silent and best.cell_id not in silent:
        return f"the best of {fitting} that fit: {following.cell_id}, the next, has lately not answered"
    return f"the most free of {fitting} that fit: {following.cell_id}, the next, would keep {score(following):.2%}"
