"""When levelling begins, where it stops, and what a move must be worth.

The order of goals is strict, and not a matter of weights: nobody in a forbidden cell, no cell over a limit, level
load, few and cheap moves, affinity. No move for a later goal may break what an earlier one asks for.
"""

from dataclasses import dataclass

GIB = 2.0**30


@dataclass(frozen=True, slots=True)
class Goals:
    """Ratios are of a cell's load to what it would have if all cells of its pool were equally full."""

    start: float = 1.15
    """No levelling while no cell is above it."""
    goes_on: float = 1.115
    """A cell whose levelling was begun goes on being levelled above it: half-way from `start` to `stop`."""
    stop: float = 1.08
    """A cell that was above `start` is brought down to it. 1.0: as level as can be."""
    fill: float | None = None
    """Nobody is moved, to level load, to where that would bring a cell above it. None: above `stop`."""
    most: float = 1.09
    """A cell between `stop` and `start` is brought down to this, while others are levelled."""
    floor: float = 0.05
    """A resource of which the pool uses less than this share is not levelled: ratios of little are noise."""
    least_gain: float = 0.01
    """By which what cells have above `stop` must come down, all together; the worst ratio where `start` is 1."""
    least_relief_per_gib: float = 1e-5
    """A move that only levels must relieve its cell of at least this share for each GiB that it carries."""
    move_bytes: float = GIB / 4
    """What a move costs beside its bytes, in bytes: its switch, its checks, the way back that is kept."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How hard to try. `steps` bounds the search, so equal input and seed give an equal plan."""

    steps: int = 200_000
    kicks: int = 40
    """How often a dead end is left at random."""
    annealing: int = 4000
    """Steps in fleets that are small enough for it."""
    anneals: int = 1
    """How often a small fleet is annealed; the best counts."""
    seed: int = 0
    exact: bool = True
    """With a linear program first; without, by local search alone."""
