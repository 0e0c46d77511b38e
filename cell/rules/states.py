"""The lives of namespaces and jobs, as tables: state × event → state. What is not there is refused.

namespace   PROVISIONING ─ provisioned ─▶ ACTIVE ─ release ─▶ DELETING ─ (row removed)
                 └─ (row removed)           FAILED ─ release ─┘   └─ fail ─▶ FAILED
job         waiting ─ claim ─▶ running ─ complete ─▶ done
               ▲──── retry ───────┘  └── give up ─▶ dead ─ revive ─▶ waiting
"""

from collections.abc import Mapping
from typing import Literal, TypeVar

from cell.errors import NotAllowed

NamespaceState = Literal["PROVISIONING", "ACTIVE", "DELETING", "FAILED"]
NamespaceEvent = Literal["provisioned", "release", "fail"]
JobState = Literal["waiting", "running", "done", "dead"]
JobEvent = Literal["claim", "retry", "complete", "give_up", "revive"]

NAMESPACES: Mapping[tuple[NamespaceState, NamespaceEvent], NamespaceState] = {
    ("PROVISIONING", "provisioned"): "ACTIVE",
    ("ACTIVE", "release"): "DELETING",
    ("FAILED", "release"): "DELETING",
    ("DELETING", "fail"): "FAILED",
}

JOBS: Mapping[tuple[JobState, JobEvent], JobState] = {
    ("waiting", "claim"): "running",
    ("running", "claim"): "running",  # its lease ran out: whoever had it is gone, or has lost it
    ("running", "retry"): "waiting",
    ("running", "complete"): "done",
    ("running", "give_up"): "dead",
    ("dead", "revive"): "waiting",
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
