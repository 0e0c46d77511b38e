"""What a tenant sees of an orchestration: an operation, its state and its progress (AIP-151). Pure."""

from collections.abc import Mapping, Sequence
from typing import Literal

OperationState = Literal["PENDING", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED"]
ENDED: frozenset[OperationState] = frozenset({"SUCCEEDED", "FAILED", "CANCELLED"})
MEANINGS: Mapping[OperationState, str] = {
    "PENDING": "nothing of it has begun",
    "RUNNING": "it is under way, forward or back, or waits for somebody",
    "SUCCEEDED": "every step has ended well, or was let pass",
    "FAILED": "a step failed for good, and what was done is undone",
    "CANCELLED": "somebody asked for it, and what was done is undone",
}
"""What a tenant reads, and what it says of the orchestration behind it."""
KEPT_SECONDS = 30 * 24 * 3600.0
"""How long an ended operation can be read."""


def current_step(steps: Sequence[str], state: str) -> str | None:
    """The step that names the state of an orchestration; None for PENDING and the ends."""
    named = [step for step in steps if state.startswith(f"{step.upper()}_")]
    return max(named, key=len, default=None)
