"""What a handler may use: the tenant's transaction, and what happens once it has committed."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cell.access import Caller
from cell.api.notices import Notices, Watch
from cell.audit import Change
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
    """One try at one request. `hints` are sent to the workers after the commit; `change` goes to the audit log."""

    caller: Caller
    connection: Connection
    tools: Tools
    started: float
    watch: Watch
    hints: list[Hint] = field(default_factory=list)
    change: Change | None = None

    def changed(self, target: str, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> None:
        """What the request does, for the audit log: every handler that changes something says it. No secrets."""
        self.change = Change(target, before, after)

    def elapsed_seconds(self) -> float:
        """Since the request came in, over all tries."""
        return time.monotonic() - self.started


class NotYet(Exception):
    """Raised by a handler: end the transaction, wait for the watched topic or `seconds`, then ask it again."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds
