"""What a tenant sees of an orchestration: an operation, its state and its progress (AIP-151). Pure."""

from collections.abc import Sequence
from typing import Literal

OperationState = Literal["PENDING", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED"]
ENDED: frozenset[OperationState] = frozenset({"SUCCEEDED", "FAILED", "CANCELLED"})
KEPT_SECONDS = 30 * 24 * 3600.0
"""How long an ended operation can be read."""


def current_step(steps: Sequence[str], state: str) -> str | None:
    """The step that names the state of an orchestration; None for PENDING and the ends."""
    named = [step for step in steps if state.startswith(f"{step.upper()}_")]
    return max(named, key=len, default=None)
