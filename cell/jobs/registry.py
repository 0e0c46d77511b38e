"""Jobs declared as data. The runner knows no job by name."""

from collections.abc import Sequence
from dataclasses import dataclass

from cell.orchestrator.actions import Here, There
from cell.rules.lanes import Lane
from cell.rules.workflows import Retry
from runtime.backoff import Backoff

AGAIN = Retry(8, Backoff(initial_seconds=1.0, cap_seconds=300.0, factor=3.0, floor_seconds=0.2))


@dataclass(frozen=True, slots=True)
class Provider:
    """An outside party that bears only so much of this cell, all its workers together."""

    name: str
    per_second: float
    burst: int = 1
    """How many may come at once."""

    def __post_init__(self) -> None:
        if not (self.per_second > 0 and self.burst >= 1):
            raise ValueError(f"{self.name}: a provider bears something, and one at a time at least")


@dataclass(frozen=True, slots=True)
class JobType:
    """A kind of job. A `Here` happens exactly once; a `There` by the party's rules (`orchestrator/actions`)."""

    name: str
    action: Here | There
    lane: Lane = "bulk"
    retry: Retry = AGAIN
    deadline_seconds: float = 10.0
    """Of one attempt."""
    provider: Provider | None = None


class Registry:
    """The kinds of jobs by name."""

    def __init__(self, types: Sequence[JobType]) -> None:
        self._types = {job.name: job for job in types}
        if len(self._types) != len(types):
            raise ValueError("a kind of job is declared twice")

    def __repr__(self) -> str:
        return f"<Registry {', '.join(sorted(self._types))}>"

    def get(self, name: str) -> JobType | None:
        """None for a job of another version of this program."""
        return self._types.get(name)
