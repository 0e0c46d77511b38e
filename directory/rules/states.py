"""The lives of cells and tenants, as tables: state × event → state. What is not in a table is refused."""

from collections.abc import Mapping
from typing import Literal, TypeVar

from directory.errors import NotAllowed
from directory.values import CellState, TenantState

CellEvent = Literal["prove", "open", "cordon", "drain", "empty", "retire", "fail"]
TenantEvent = Literal["suspend", "resume", "delete"]

CELLS: Mapping[tuple[CellState, CellEvent], CellState] = {
    # A cell joins unopened: it takes tenants once it has proved who it is.
    # Nobody has decided about it until then, so this event undoes no decision, however late it comes.
    ("joining", "prove"): "open",
    ("joining", "open"): "open",
    ("joining", "fail"): "failed",
    ("joining", "retire"): "retired",
    ("open", "cordon"): "cordoned",  # keeps its tenants, takes no new ones
    ("open", "drain"): "draining",
    ("open", "fail"): "failed",
    ("cordoned", "open"): "open",
    ("cordoned", "drain"): "draining",
    ("cordoned", "fail"): "failed",
    ("draining", "open"): "open",  # a drain can be called off
    ("draining", "cordon"): "cordoned",
    ("draining", "empty"): "empty",
    ("draining", "fail"): "failed",
    ("empty", "open"): "open",
    ("empty", "drain"): "draining",  # a reverse has brought somebody back
    ("empty", "retire"): "retired",
    ("empty", "fail"): "failed",
    ("failed", "cordon"): "cordoned",  # back, but an operator decides when it takes tenants again
    ("failed", "open"): "open",
    ("failed", "retire"): "retired",  # one that was lost with nobody in it need not come back first
}
CELL_STATES: Mapping[CellState, str] = {
    "joining": "it is registered, and has yet to prove who it is: nobody is sent there",
    "open": "it takes tenants",
    "cordoned": "it keeps its tenants and takes no new ones",
    "draining": "it takes no new ones, and its own are moved away",
    "empty": "nobody lives there any more: it can be opened again, or retired",
    "failed": "taken for lost by an operator: it gets nothing new; its tenants stay, for only it has their rows",
    "retired": "it is gone for good, and its name is not used again",
}
"""What each means, for people."""
OF_OPERATORS: frozenset[CellEvent] = frozenset(("open", "cordon", "drain", "fail", "retire"))
LEFT: frozenset[CellEvent] = frozenset(("empty", "retire"))
"""Only for a cell in which no tenant lives; and none whose move from or to it has not ended."""

TENANTS: Mapping[tuple[TenantState, TenantEvent], TenantState] = {
    ("active", "suspend"): "suspended",
    ("suspended", "resume"): "active",
    # Nobody is deleted while being served: suspending first is the moment to notice a mistake.
    ("suspended", "delete"): "deleted",
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
