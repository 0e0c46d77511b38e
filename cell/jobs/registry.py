"""Jobs declared as data. The runner knows no job by name."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from runtime.database import Connection


@dataclass(frozen=True, slots=True)
class Work:
    """What a step acts on: the tenant's transaction, and the job's arguments."""

    connection: Connection
    tenant_id: str
    args: Mapping[str, str]
    namespace_domain: str


Act = Callable[[Work], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Step:
    """One step, one transaction. It runs again after a crash only when it was not committed."""

    name: str
    act: Act


@dataclass(frozen=True, slots=True)
class JobType:
    """A kind of job. `undo` ends it without effects (None: it cannot be cancelled); `give_up` marks failure."""

    name: str
    steps: Sequence[Step]
    give_up: Act
    undo: Act | None = None
    priority: int = 0


class Registry:
    """The kinds of jobs by name."""

    def __init__(self, types: Sequence[JobType]) -> None:
        self._types = {job.name: job for job in types}

    def __repr__(self) -> str:
        return f"<Registry {', '.join(sorted(self._types))}>"

    def get(self, name: str) -> JobType | None:
        """None for a job of another version of this program."""
        return self._types.get(name)
