"""What a plan is asked to reach, and at which pace. Kept with the plan, as `goals`."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from directory.values import MoveOptions
from placement.balancing.goals import Goals
from placement.gathering import COOL_DOWN_SECONDS


@dataclass(frozen=True, slots=True)
class Wishes:
    """Ratios are of a cell's load to what it would have if its pool were level."""

    start: float = 1.15
    """Nobody moves to level load while no cell is above it."""
    stop: float = 1.08
    """What a cell is brought down to."""
    fill: float = Goals().stop
    """Nobody is moved to level load to where that would bring a cell above it."""
    most: float = Goals().most
    """A cell in between is brought down to this while others are levelled; at `start` it is left alone."""
    seconds: float = 20.0
    """For the search, at most; then the best that was found is the plan."""
    exact: bool = True
    """With a linear program first; without, by local search alone."""
    moves_at_once: int = 10
    """Of the plan."""
    moves_of_a_cell: int = 4
    """At once, in either direction, with all others that are in flight there."""
    moves_of_a_wave: int = 20
    """Of a cell, in either direction, before the plan is made anew."""
    bytes_an_hour: float | None = None
    """None: as much as comes."""
    reverse_seconds: float = 3600.0
    """How long each move keeps its way back."""
    cool_down_seconds: float = COOL_DOWN_SECONDS
    """Who moved is not moved again sooner, only to level load."""
    patience_seconds: float = 600.0
    """A move that is paused, or that something is wrong with, for so long is left to itself."""

    @classmethod
    def of(cls, goals: Mapping[str, Any]) -> "Wishes":
        """As a plan keeps them; what this version does not know is left out."""
        known = {each.name for each in fields(cls)}
        return cls(**{name: value for name, value in goals.items() if name in known})

    def goals(self) -> dict[str, Any]:
        """For a plan to keep."""
        return asdict(self)

    def ratios(self) -> Goals:
        """A cell whose levelling was begun is not left before it is half-way from `start` to `stop`."""
        most, fill = (max(self.stop, min(each, self.start)) for each in (self.most, self.fill))
        return Goals(start=self.start, goes_on=max(self.stop, self.half_way), stop=self.stop, fill=fill, most=most)

    @property
    def half_way(self) -> float:
        """From `start` to `stop`."""
        return (self.start + self.stop) / 2

    @classmethod
    def by_itself(cls) -> "Wishes":
        """Of plans that approve of themselves: soon there is another one, so what need not move stays for now.

        Estimates waver. If each cell a little above `stop` were brought down with one that is above `start`, plans
        would never end; and if none could be filled above `stop`, each that takes much of one resource would have
        to give of the others.
        """
        return cls(most=cls().start, fill=cls().half_way, exact=False)

    def options(self) -> MoveOptions:
        """Of each move."""
        return MoveOptions(reverse_seconds=self.reverse_seconds)
