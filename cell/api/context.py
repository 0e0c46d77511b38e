"""What a handler may use: the tenant's transaction, and what happens once it has committed."""

import time
from dataclasses import dataclass, field

from cell.access import Caller
from cell.api.notices import Notices, Watch
from cell.orchestrator.registry import Registry
from cell.work.hints import Hint
from runtime.api.pages import PageTokens
from runtime.database import Connection


@dataclass(frozen=True, slots=True)
class Tools:
    """What all requests share. `pepper` is secret. `namespace_domain`: where namespaces answer."""

    pepper: bytes
    tokens: PageTokens
    notices: Notices
    workflows: Registry
    namespace_domain: str


@dataclass(slots=True)
class Context:
    """One try at one request. `hints` are sent to the workers after the commit."""

    caller: Caller
    connection: Connection
    tools: Tools
    started: float
    watch: Watch
    hints: list[Hint] = field(default_factory=list)

    def elapsed_seconds(self) -> float:
        """Since the request came in, over all tries."""
        return time.monotonic() - self.started


class NotYet(Exception):
    """Raised by a handler: end the transaction, wait for the watched topic or `seconds`, then ask it again."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds
