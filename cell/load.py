"""What tenants take from this process, counted at so low a cost that every request can be.

A task runs in steps, from one `await` that has to wait to the next, and nothing else runs on its loop within one.
So the time of its steps is what it took from the loop; thread time before and after a whole request would count
what others did meanwhile. What happens between steps (the loop itself, parsing, what drivers do with bytes) is
nobody's: it is shared out by those steps when the sums are handed over, up to MOST_FOLD of them.

Steps are measured by the clock that never asks the kernel, a fifth as dear as the thread's own. On an overloaded
machine it counts waiting for a processor as well; sharing out what the process really took sets that right.
"""

import time
from collections.abc import Callable, Coroutine, Generator, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeVar

ResultT = TypeVar("ResultT")
MOST_TENANTS = 20_000
"""Of whom counts are kept between two hand-overs; others are not counted meanwhile."""
MOST_FOLD = 3.0
"""An idle process is busy with itself, which is nobody's fault."""
HEAD_BYTES = 600
"""What heads of a request and its answer take together, roughly: to measure them would cost more than it tells."""


class Counts:
    """What one tenant took since the last hand-over."""

    __slots__ = ("database_bytes", "database_ns", "job_ns", "network_bytes", "requests", "step_ns")

    def __init__(self) -> None:
        self.step_ns = self.database_ns = self.job_ns = 0
        self.network_bytes = self.database_bytes = self.requests = 0

    def __repr__(self) -> str:
        return f"<Counts {self.requests} requests, {self.step_ns} ns of steps>"


class Meter:
    """Counts by tenant."""

    def __init__(
        self,
        most_tenants: int = MOST_TENANTS,
        clock: Callable[[], int] = time.perf_counter_ns,
        cpu_clock: Callable[[], int] = time.process_time_ns,
    ) -> None:
        self.clock, self._cpu_clock = clock, cpu_clock
        self._most_tenants = most_tenants
        self._counts: dict[str, Counts] = {}
        self._cpu_ns = cpu_clock()

    def __repr__(self) -> str:
        return f"<Meter of {len(self._counts)} tenants>"

    def of(self, tenant_id: str) -> Counts:
        """To be added to at once: soon they are handed over. Beyond the bound those of nobody."""
        counts = self._counts.get(tenant_id)
        if counts is None:
            counts = Counts()
            if len(self._counts) < self._most_tenants:
                self._counts[tenant_id] = counts
        return counts

    def take(self) -> tuple[Mapping[str, Counts], float]:
        """All counts, which begin anew; and how many CPU seconds a nanosecond of steps stands for."""
        taken, self._counts = self._counts, {}
        now_ns = self._cpu_clock()
        spent_ns, self._cpu_ns = now_ns - self._cpu_ns, now_ns
        steps_ns = sum(counts.step_ns for counts in taken.values())
        fold = min(MOST_FOLD, spent_ns / steps_ns) if steps_ns else 0.0
        return taken, fold / 1e9


@dataclass(slots=True)
class Charge:
    """Whom something is for, and where that is counted. Nobody's, until `tenant_id` is known to be one."""

    meter: Meter
    tenant_id: str = ""

    def counts(self) -> Counts:
        """To be added to at once, as with `Meter.of`."""
        return self.meter.of(self.tenant_id) if self.tenant_id else Counts()

    def transacted(self, nanoseconds: int, passed: int | None) -> None:
        """A transaction was open for so long, and so many bytes passed, if that is known."""
        counts = self.counts()
        counts.database_ns += nanoseconds
        counts.database_bytes += passed or 0


_CHARGE: ContextVar[Charge | None] = ContextVar("charge", default=None)


@contextmanager
def charging(charge: Charge) -> Iterator[None]:
    """Steps and transactions herein, also of tasks that are begun herein, are for that tenant."""
    token = _CHARGE.set(charge)
    try:
        yield
    finally:
        _CHARGE.reset(token)


def charged() -> Charge | None:
    """That of `charging`, if this is within it."""
    return _CHARGE.get()


async def stepped(work: Coroutine[Any, Any, ResultT], charge: Charge | None = None) -> ResultT:
    """The same, with the time of its steps counted. Once a task: what it awaits itself is within.

    Without a `charge` it is that of `charging`, and outside of that nothing is counted.
    """
    charge = charge or _CHARGE.get()
    return await (work if charge is None else _Stepped(work, charge))


class _Stepped:
    """Drives a coroutine, and looks at the clock around each step."""

    __slots__ = ("_charge", "_work")

    def __init__(self, work: Coroutine[Any, Any, Any], charge: Charge) -> None:
        self._work, self._charge = work, charge

    def __await__(self) -> Generator[Any, Any, Any]:
        work, clock = self._work, self._charge.meter.clock
        spent_ns = -clock()
        try:
            awaited = work.send(None)
            while True:
                spent_ns += clock()
                try:
                    answer = yield awaited
                except BaseException as thrown:
                    spent_ns -= clock()
                    awaited = work.throw(thrown)
                else:
                    spent_ns -= clock()
                    awaited = work.send(answer)
        except StopIteration as ended:
            return ended.value
        finally:
            self._charge.counts().step_ns += spent_ns + clock()  # it always ends within a step
