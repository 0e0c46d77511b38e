"""A run's JSON as values. What is not as it should be is a ValidationError with the place in it."""

import math
import operator
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

MEETS = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
    "==": operator.eq,
}


class Verdict(StrEnum):
    """What became of a run's goals."""

    PASSED = "passed"
    MISSED = "missed"
    MEASURED = "measured"
    """It had no goals, so it proves nothing."""


def _gaps(values: object) -> object:
    """Nothing known is NaN."""
    if not isinstance(values, list | tuple):
        return values
    return [math.nan if value is None else value for value in values]


Samples = Annotated[list[float], BeforeValidator(_gaps)]
Positive = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]


class Value(BaseModel):
    """Never changed; what we do not know of is left out."""

    model_config = ConfigDict(frozen=True)


class Goal(Value):
    """`figure` is None where nothing was measured."""

    name: str
    says: str
    figure: float | None
    bound: float
    sense: str
    unit: str = ""
    passed: bool

    @property
    def met(self) -> bool:
        """As the run says, and as the figure does: a goal is met when neither denies it."""
        meets = MEETS.get(self.sense)
        return self.passed and self.figure is not None and (meets is None or bool(meets(self.figure, self.bound)))


class Fault(Value):
    """Something that was done to the platform; with `cell`, to that one. Without an end it lasted."""

    from_second: float
    until_second: float | None = None
    what: str
    cell: str | None = None


class Series(Value):
    """By time: requests and failures of each step, and percentiles of latency (NaN: there was no request)."""

    requests: Samples
    failed: Samples
    p50_ms: Samples
    p99_ms: Samples

    @model_validator(mode="after")
    def _of_one_length(self) -> Self:
        if len({len(self.requests), len(self.failed), len(self.p50_ms), len(self.p99_ms)}) > 1:
            raise ValueError("requests, failed, p50_ms and p99_ms are of different lengths")
        return self

    def gapped(self, values: Sequence[float]) -> list[float]:
        """Latencies, without those of steps in which nothing was asked."""
        return [value if asked > 0 else math.nan for value, asked in zip(values, self.requests, strict=True)]

    def grouped(self, steps: int) -> "Series":
        """As many steps as one: sums of what was asked, the worst p99, the middle p50."""
        if steps == 1:
            return self
        starts = range(0, len(self.requests), steps)
        return Series(
            requests=[total(self.requests[at : at + steps]) for at in starts],
            failed=[total(self.failed[at : at + steps]) for at in starts],
            p50_ms=[middle(self.p50_ms[at : at + steps]) for at in starts],
            p99_ms=[worst(self.p99_ms[at : at + steps]) for at in starts],
        )


class AllSeries(Value):
    """The same requests by cell and by operation."""

    step_seconds: Positive = 1.0
    cells: dict[str, Series] = {}
    operations: dict[str, Series] = {}


class Load(Value):
    """What was asked: requests a second, by how many tenants, how unevenly, and which."""

    rate: float | None = None
    tenants: int | None = None
    zipf: float | None = None
    mix: dict[str, float] = {}


class Totals(Value):
    """Of all requests."""

    requests: int
    failed: int
    p50_ms: float | None = None
    p99_ms: float | None = None
    max_ms: float | None = None


class Run(Value):
    """One run of a scenario."""

    scenario: str
    title: str
    proves: str
    began: datetime
    seconds: Positive
    machine: dict[str, Any] = {}
    target: str = ""
    seed: int | None = None
    load: Load = Load()
    goals: list[Goal]
    faults: list[Fault] = []
    totals: Totals
    series: AllSeries = AllSeries()
    notes: list[str] = []
    passed: bool

    @property
    def missed(self) -> list[Goal]:
        """The goals that were not met."""
        return [goal for goal in self.goals if not goal.met]

    @property
    def verdict(self) -> Verdict:
        """A run that calls itself failed is believed, whatever its goals say."""
        if self.missed or not self.passed:
            return Verdict.MISSED
        return Verdict.PASSED if self.goals else Verdict.MEASURED

    @property
    def end(self) -> float:
        """Of everything that happened, in seconds from the beginning."""
        every = [*self.series.cells.values(), *self.series.operations.values()]
        steps = max((len(each.requests) for each in every), default=0)
        ends = [each.until_second for each in self.faults if each.until_second is not None]
        return max(
            self.seconds,
            self.series.step_seconds * steps,
            *(each.from_second for each in self.faults),
            *(end for end in ends if math.isfinite(end)),
        )

    def span(self, fault: Fault) -> tuple[float, float]:
        """When a fault was, within the run."""
        until = self.end if fault.until_second is None else fault.until_second
        begin = min(max(fault.from_second, 0.0), self.end)
        return begin, min(max(until, begin), self.end)


def read(result: Mapping[str, Any]) -> Run:
    """What was written as JSON."""
    return Run.model_validate(result)


def known(values: Sequence[float]) -> list[float]:
    """Those that are not gaps."""
    return [value for value in values if math.isfinite(value)]


def total(values: Sequence[float]) -> float:
    """The sum; gaps are nothing."""
    return sum(known(values))


def middle(values: Sequence[float]) -> float:
    """The lower of the middle two, so that it is a value that was; NaN of nothing."""
    there = sorted(known(values))
    return there[(len(there) - 1) // 2] if there else math.nan


def worst(values: Sequence[float]) -> float:
    """The highest; NaN of nothing."""
    return max(known(values), default=math.nan)
