"""Named checks behind `/health/live` and `/health/ready`.

Live: the event loop answers. Ready: every required check passes within its deadline. A check that is
not required is shown, and never takes the process out of service: a router without its Redis serves on.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

Check = Callable[[], Awaitable[str | None]]
"""Returns a remark (or None) when all is well; raises with the reason when not."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found. `detail` is the remark, or the reason of the failure."""

    name: str
    ok: bool
    required: bool
    detail: str | None = None


class Health:
    """The checks of one process; `draining` makes it not ready whatever they say."""

    def __init__(self, deadline_seconds: float = 1.0) -> None:
        self._checks: dict[str, tuple[Check, bool]] = {}
        self._deadline_seconds = deadline_seconds
        self.draining = False

    def add(self, name: str, check: Check, *, required: bool = True) -> None:
        """Name a check; one that is not `required` is only shown."""
        self._checks[name] = (check, required)

    async def findings(self) -> list[Finding]:
        """Run all checks at once; the answer takes no longer than the deadline."""
        found = await asyncio.gather(*(self._run(name) for name in self._checks))
        return [*found, Finding("draining", ok=not self.draining, required=True)]

    async def _run(self, name: str) -> Finding:
        check, required = self._checks[name]
        try:
            remark = await asyncio.wait_for(check(), self._deadline_seconds)
        except TimeoutError:
            return Finding(name, ok=False, required=required, detail=f"no answer in {self._deadline_seconds} s")
        except Exception as error:
            # The type only: driver messages may carry addresses with passwords.
            return Finding(name, ok=False, required=required, detail=_reason(error))
        return Finding(name, ok=True, required=required, detail=remark)


class Unhealthy(Exception):
    """Raised by a check; its text is shown to whoever asks."""


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, Unhealthy) else type(error).__name__


def ready(findings: list[Finding]) -> bool:
    """Whether traffic may come."""
    return all(finding.ok for finding in findings if finding.required)
