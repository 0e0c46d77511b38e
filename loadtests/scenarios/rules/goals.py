"""Goals of a scenario: a figure of the run, a bound, and on which side of it the figure has to be."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from loadtests.goals import Sense, holds
from loadtests.scenarios.rules.run import Run

Unit = Literal["requests", "times", "ms", "seconds", "moves", "tenants", "a second", ""]


@dataclass(frozen=True, slots=True)
class Goal:
    """`figure` is None where the run gave nothing to measure it by; then the goal is missed.

    `noise`: whether what else the machine does shows in it.
    """

    name: str
    says: str
    figure: Callable[[Run], float | None]
    bound: float
    sense: Sense = "<="
    unit: Unit = "requests"
    noise: bool = False


@dataclass(frozen=True, slots=True)
class Judged:
    """A goal, and what came of it."""

    goal: Goal
    figure: float | None

    @property
    def passed(self) -> bool:
        return self.figure is not None and holds(self.figure, self.goal.sense, self.goal.bound)

    def told(self) -> dict[str, Any]:
        """For the file."""
        goal = self.goal
        return {
            "name": goal.name,
            "says": goal.says,
            "figure": self.figure,
            "bound": goal.bound,
            "sense": goal.sense,
            "unit": goal.unit,
            "passed": self.passed,
        }

    def __str__(self) -> str:
        figure = (
            "nothing to measure it by" if self.figure is None else f"{self.figure:,g} {self.goal.unit}".rstrip()
        )
        verdict = "passed" if self.passed else "MISSED"
        return f"{verdict}  {self.goal.says}: {figure} (goal {self.goal.sense} {self.goal.bound:,g})"


def judge(goals: tuple[Goal, ...], run: Run) -> list[Judged]:
    """Each goal by what the run found."""
    return [Judged(goal, _rounded(goal.figure(run))) for goal in goals]


def _rounded(figure: float | None) -> float | None:
    """A count is a whole number, also in the file."""
    return int(figure) if figure is not None and figure == int(figure) else figure
