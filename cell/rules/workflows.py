"""Workflows as data: steps, what each waits for, how it is tried again, and whether it can be undone. Pure.

What a step *does* stands elsewhere, under its name; here is only what the orchestrator must know to decide. A
workflow that has begun is finished by the version that it began with, so a version is never edited once it ran
anywhere: a change is a new version beside the old one.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property

from cell.rules.lanes import Lane
from runtime.backoff import Backoff

NAME = re.compile(r"[a-z][a-z0-9_]{0,39}\Z")


class Kind(Enum):
    """What a step waits for."""

    ACTION = "something is done"
    TIMER = "a time comes"
    SIGNAL = "somebody says so, or a time comes"


PATIENT = Backoff(initial_seconds=1.0, cap_seconds=60.0, floor_seconds=0.2)


@dataclass(frozen=True, slots=True)
class Retry:
    """How often an action is tried, and how long it waits in between.

    An outage of somebody outside does not count as an attempt: it ends by itself.
    """

    attempts: int = 5
    backoff: Backoff = PATIENT

    def wait_seconds(self, attempts: int, chance: float) -> float:
        """How long after the failed attempt number `attempts` (from 1) the next may begin; `chance` in [0, 1)."""
        return self.backoff.wait_seconds(max(0, attempts - 1), chance)


@dataclass(frozen=True, slots=True)
class Step:
    """One step. `after`: the steps that must have ended well; None: the one that is declared before it."""

    name: str
    kind: Kind = Kind.ACTION
    after: tuple[str, ...] | None = None
    undoes: bool = False
    """Whether it has a compensation. A step without effects outside the orchestration needs none."""
    best_effort: bool = False
    """Whether the rest goes on when it fails."""
    commits: bool = False
    """Whether there is no way back once it ended well: a cancellation then comes too late, and what fails
    afterwards waits for an operator."""
    retry: Retry = Retry()
    deadline_seconds: float = 10.0
    """Of one attempt."""

    @property
    def state(self) -> str:
        """How states that are named by this step begin."""
        return self.name.upper()


class Malformed(ValueError):
    """A workflow that could never be carried out."""


@dataclass(frozen=True)
class Workflow:
    """A kind of orchestration. Malformed when a step waits for one that is not there, or for itself."""

    name: str
    version: int
    steps: Sequence[Step]
    cancellable: bool = True
    lane: Lane = "interactive"
    waits: Mapping[str, frozenset[str]] = field(init=False, repr=False, compare=False)
    """step → the steps that must have ended well before it."""

    def __post_init__(self) -> None:
        waits: dict[str, frozenset[str]] = {}
        before: tuple[str, ...] = ()
        for step in self.steps:
            after = before if step.after is None else step.after
            if not NAME.match(step.name) or step.name in waits:
                raise Malformed(f"{self.name}: {step.name!r} is no name for a step, or names two")
            if unknown := [name for name in after if name not in waits]:
                raise Malformed(
                    f"{self.name}: {step.name} waits for {unknown[0]}, which is not declared before it"
                )
            if step.commits and step.best_effort:
                raise Malformed(f"{self.name}: {step.name} cannot both commit and be passed over")
            waits[step.name], before = frozenset(after), (step.name,)
        if not waits or not NAME.match(self.name) or self.version < 1:
            raise Malformed(f"{self.name!r} version {self.version} with {len(waits)} steps is no workflow")
        object.__setattr__(self, "waits", waits)

    @cached_property
    def by_name(self) -> Mapping[str, Step]:
        """name → step."""
        return {step.name: step for step in self.steps}

    @cached_property
    def commits(self) -> bool:
        """Whether there is a step after which there is no way back."""
        return any(step.commits for step in self.steps)

    @cached_property
    def followers(self) -> Mapping[str, frozenset[str]]:
        """step → the steps that wait for it."""
        return {
            step.name: frozenset(other for other, after in self.waits.items() if step.name in after)
            for step in self.steps
        }
