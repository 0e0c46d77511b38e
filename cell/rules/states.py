"""The lives of namespaces, operations and jobs, as tables: state × event → state. What is not there is refused.

namespace   PROVISIONING ─ provisioned ─▶ ACTIVE ─ release ─▶ DELETING ─ (row removed)
                 └─ fail ─▶ FAILED ─ release ─▶ DELETING ─ fail ─▶ FAILED
operation   PENDING ─ start ─▶ RUNNING ─ succeed | fail | cancel ─▶ (an end)
job         waiting ─ claim ─▶ running ─ complete ─▶ done
               ▲──── retry ───────┘  └── give up ─▶ dead
"""

from collections.abc import Mapping
from typing import Literal, TypeVar

from cell.errors import NotAllowed

NamespaceState = Literal["PROVISIONING", "ACTIVE", "DELETING", "FAILED"]
NamespaceEvent = Literal["provisioned", "release", "fail"]
OperationState = Literal["PENDING", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED"]
OperationEvent = Literal["start", "succeed", "fail", "cancel"]
JobState = Literal["waiting", "running", "done", "dead", "cancelled"]
JobEvent = Literal["claim", "retry", "complete", "give_up", "cancel"]

NAMESPACES: Mapping[tuple[NamespaceState, NamespaceEvent], NamespaceState] = {
    ("PROVISIONING", "provisioned"): "ACTIVE",
    ("PROVISIONING", "fail"): "FAILED",
    ("ACTIVE", "release"): "DELETING",
    ("FAILED", "release"): "DELETING",
    ("DELETING", "fail"): "FAILED",
}

OPERATIONS: Mapping[tuple[OperationState, OperationEvent], OperationState] = {
    ("PENDING", "start"): "RUNNING",
    ("RUNNING", "start"): "RUNNING",  # another attempt
    ("RUNNING", "succeed"): "SUCCEEDED",
    ("PENDING", "fail"): "FAILED",
    ("RUNNING", "fail"): "FAILED",
    ("PENDING", "cancel"): "CANCELLED",
    ("RUNNING", "cancel"): "CANCELLED",
}
ENDED: frozenset[OperationState] = frozenset({"SUCCEEDED", "FAILED", "CANCELLED"})

JOBS: Mapping[tuple[JobState, JobEvent], JobState] = {
    ("waiting", "claim"): "running",
    ("running", "claim"): "running",  # its lease ran out: whoever had it is gone, or has lost it
    ("running", "retry"): "waiting",
    ("running", "complete"): "done",
    ("running", "give_up"): "dead",
    ("running", "cancel"): "cancelled",
    ("waiting", "cancel"): "cancelled",
}

StateT = TypeVar("StateT", bound=str)
EventT = TypeVar("EventT", bound=str)


def after(table: Mapping[tuple[StateT, EventT], StateT], state: StateT, event: EventT) -> StateT:
    """The next state; NotAllowed says what would be possible."""
    try:
        return table[state, event]
    except KeyError:
        possible = ", ".join(sorted(known for at, known in table if at == state)) or "nothing"
        raise NotAllowed(f"{event} is not possible while {state}; possible: {possible}") from None
