"""What a cell can hold and may take along, and what a tenant pays: numbers that can be reckoned with."""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import astuple
from typing import Protocol

from directory.errors import BadCapacity, NotAllowed, Stale
from directory.rules.plans import TOP_PLANS
from directory.rules.states import CellEvent
from directory.values import Capacity, Caps, Cell, CellChange, NewCell, Tenant, TenantState

MOST = 2.0**53
"""Of anything: up to there a float counts every one. Above it is a mistake, or "as much as comes"."""
MOST_TAGS = 50
LABEL = r"^[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?$"
"""A tag, and what cells and tenants are dedicated to: 1 to 40 characters."""
_LABEL = re.compile(LABEL.removesuffix("$") + r"\Z")
_LABELS = "1 to 40 lower-case letters, digits and inner dashes"
SHOWN = 3
CAPPED = ("tenants", "revenue", "top tier")


def check_cell(cell: NewCell | CellChange) -> None:
    """BadCapacity. NaN is above nothing, and nothing is infinite."""
    for number in () if cell.capacity is None else astuple(cell.capacity):
        if number is not None and not 0 < number <= MOST:
            raise BadCapacity(f"a capacity is a number above 0 and at most {MOST:,.0f}; not known: null")
    revenue, top_tier = (None, None) if cell.caps is None else astuple(cell.caps)
    if revenue is not None and not 0 < revenue <= MOST:
        raise BadCapacity(f"a cap on revenue is above 0 and at most {MOST:,.0f}; none: null")
    if top_tier is not None and not 0 <= top_tier <= MOST:
        raise BadCapacity(f"a cap on tenants of the highest plan is 0 to {MOST:,.0f}; none: null")
    _check_dedication(cell.dedicated_to)


def check_place(
    tags: Sequence[str] | None, revenue: float | None, dedicated_to: str | None
) -> tuple[str, ...] | None:
    """A tenant's tags, each once and in the order of their names; None stays None. BadCapacity."""
    if revenue is not None and not 0 <= revenue <= MOST:
        raise BadCapacity(f"a revenue is 0 to {MOST:,.0f}")
    _check_dedication(dedicated_to)
    found = () if tags is None else tuple(sorted(set(tags)))
    if len(found) > MOST_TAGS or not all(_LABEL.match(tag) for tag in found):
        raise BadCapacity(f"a tenant needs at most {MOST_TAGS} tags, each {_LABELS}")
    return None if tags is None else found


def _check_dedication(name: str | None) -> None:
    if name and _LABEL.match(name) is None:
        raise BadCapacity(f"what something is dedicated to is {_LABELS}; to nobody: empty")


def check_same(known: Cell, was: Cell | None) -> None:
    """Stale when a change was made from what is otherwise by now."""
    if was is not None and _held(known) != _held(was):
        raise Stale(f"what is registered about cell {known.cell_id} was changed meanwhile: look at it again")


def _held(cell: Cell) -> tuple[Capacity, Caps, str]:
    return cell.capacity, cell.caps, cell.dedicated_to


def taken(cell_id: str) -> str:
    """Why no cell can be registered so, for `AlreadyExists`."""
    return f"cell {cell_id} is registered already, or was once: the name of a retired cell is not used again"


def check_placeable(state: TenantState) -> None:
    """NotAllowed for a deleted tenant: nothing is decided about it any more."""
    if state == "deleted":
        raise NotAllowed("place is not possible while deleted; possible: nothing")


def check_dedicable(cell_id: str, name: str, others: Iterable[str], moves: Iterable[str]) -> None:
    """NotAllowed while `others` than of that name live in the cell, or have unfinished `moves` from or to it."""
    told = f"dedicated to {name}" if name else "shared"
    if found := sorted(others):
        raise NotAllowed(
            f"cell {cell_id} cannot be {told}: {_some(found)} may not live there then; take an empty cell, or "
            "move them away first"
        )
    if found := sorted(moves):
        raise NotAllowed(
            f"cell {cell_id} cannot be {told}: others move from or to it ({_some(found)}); let these moves end"
        )


def check_left(cell_id: str, event: CellEvent, tenants: int, unfinished: Iterable[str]) -> None:
    """NotAllowed while a tenant lives there; to `retire`, also while a move from or to it has not ended."""
    if tenants:
        raise NotAllowed(f"{event} is not possible: tenants live in cell {cell_id} ({tenants}); drain it first")
    if event == "retire" and (found := sorted(unfinished)):
        raise NotAllowed(
            f"retire is not possible: moves from or to cell {cell_id} have not ended ({_some(found)}): until then "
            "it may be needed; wait, or confirm or cancel them"
        )


def full(cell_id: str) -> str:
    """Why a cell takes no tenant, for `CellFull`."""
    return f"cell {cell_id} is full, or not open, or not registered, or the tenant may not live there"


class Needs(Protocol):
    """A tenant, or what is asked for one."""

    @property
    def region(self) -> str | None:
        """None: any."""

    @property
    def tags(self) -> tuple[str, ...]:
        """Its cell must have all of them."""

    @property
    def dedicated_to(self) -> str:
        """And be dedicated to this; empty: to nobody."""


def misfit(cell: Cell, tenant: Needs) -> str | None:
    """The first hard rule about who may live where that keeps the tenant out of the cell; None: there is none."""
    if tenant.region is not None and tenant.region != cell.region:
        return f"{cell.cell_id} is in region {cell.region}, not {tenant.region}"
    if lacking := sorted(set(tenant.tags) - set(cell.tags)):
        return f"{cell.cell_id} lacks {', '.join(lacking)}"
    if cell.dedicated_to == tenant.dedicated_to:
        return None
    if cell.dedicated_to:
        return f"{cell.cell_id} is dedicated to {cell.dedicated_to}"
    return f"{cell.cell_id} is not dedicated to {tenant.dedicated_to}"


def capped(tenant: Tenant) -> tuple[float, float, float]:
    """What a tenant takes of its cell's caps: tenants, revenue, top tier."""
    return 1.0, tenant.revenue, float(tenant.plan in TOP_PLANS)


def over_cap(cell: Cell, taken: Sequence[float], takes: Sequence[float]) -> str | None:
    """The first of a cell's caps that is broken with so much more; None: there is none.

    `taken` by who lives there, moves there, or is expected with a reservation. What is not taken is not compared.
    """
    caps = cell.capacity_tenants, cell.caps.revenue, cell.caps.top_tier
    for name, cap, before, more in zip(CAPPED, caps, taken, takes, strict=True):
        after = before + more
        # Sums of the same numbers in another order differ in their last digits.
        if cap is not None and more and after > cap and not math.isclose(after, cap):
            counts = "with who moves there and what is reserved"
            return f"{cell.cell_id} would have {after:,g} of {cap:,g} {name}, {counts}"
    return None


def _some(names: list[str]) -> str:
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")
