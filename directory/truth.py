"""The seam of the truth. Whoever implements it keeps these promises, and one contract suite checks them:

- every write is atomic; what was acknowledged is durable
- epochs and revisions come from one sequence and only grow
- a change that routers must know gets the next number, without gaps, in the order of commits
- a call that acted on something outdated changes nothing and raises `Stale`
- when the store is away, calls raise `Unavailable` within their deadline
"""

from collections.abc import Sequence
from typing import Protocol

from directory.reservations import Booking, Use
from directory.rules.states import CellEvent, TenantEvent
from directory.values import (
    Assignment,
    Cell,
    CellChange,
    Change,
    NewCell,
    NewTenant,
    Rate,
    Resident,
    Snapshot,
    Tenant,
    TenantState,
    Term,
)


class Directory(Protocol):
    """Cells, tenants and assignments, and the numbered stream of what changed."""

    async def register_cell(self, new: NewCell) -> Cell:
        """A cell in state `joining`. AlreadyExists, also for the name of a retired one; BadName; BadAddress;
        BadCapacity.
        """

    async def update_cell(self, cell_id: str, change: CellChange, was: Cell | None = None) -> Cell:
        """What `change` names, and nothing else, in one step. NotFound; BadAddress; BadCapacity.

        NotAllowed for another dedication while somebody else lives there, or moves from there or to there.
        `was`: what the change was made from; Stale when capacity, caps or dedication are otherwise by now.
        """

    async def change_cell(self, cell_id: str, event: CellEvent, term: Term | None = None) -> Cell:
        """The next state of its table. NotFound; NotAllowed. With the `term` of a leader: NotLeader.

        `empty` and `retire` are not allowed while a tenant lives there, nor `retire` while a move from there or to
        there has not ended.
        """

    async def cell(self, cell_id: str) -> Cell:
        """NotFound."""

    async def cells(self) -> Sequence[Cell]:
        """All cells in the order of their names."""

    async def create_tenant(self, new: NewTenant, cell_id: str, booking: Booking | Use | None = None) -> Tenant:
        """Reserve a place in an open cell and assign it at a fresh epoch.

        With a `Booking` also room: Stale when there is less than was seen. With the `Use` of a reservation the
        room that it keeps, and it is used up: NotFound; Stale when it is over, for another cell or a smaller
        tenant.

        The tenant is not settled until `applied` says that the cell has opened for it, and knows its customer.
        AlreadyExists; CellFull, also when it may not live there; BadName; BadRate; BadCapacity.
        """

    async def tenant(self, tenant_id: str) -> Tenant:
        """NotFound."""

    async def tenants(
        self, *, after: str = "", limit: int = 100, cell_id: str | None = None, state: TenantState | None = None
    ) -> Sequence[Tenant]:
        """Tenants whose name is greater than `after`, in the order of their names."""

    async def residents(self, after: str = "", limit: int = 5000) -> Sequence[Resident]:
        """Who lives somewhere and has a name greater than `after`, in the order of names: for all of a fleet."""

    async def change_tenant(self, tenant_id: str, event: TenantEvent) -> Tenant:
        """Record a decision at a fresh revision. NotFound; NotAllowed."""

    async def limit_tenant(self, tenant_id: str, rate: Rate | None) -> Tenant:
        """From now on routers grant it `rate` (None: no limit), and are told so by a change.

        The rate that it has already is no change. NotFound; NotAllowed for a deleted tenant; BadRate.
        """

    async def place_tenant(
        self,
        tenant_id: str,
        *,
        tags: Sequence[str] | None = None,
        revenue: float | None = None,
        dedicated_to: str | None = None,
    ) -> Tenant:
        """Where it may live from now on, and what it pays; None stays as it is. It is not moved by that.

        NotFound; NotAllowed for a deleted tenant; BadCapacity.
        """

    async def applied(self, tenant_id: str, revision: int) -> Tenant:
        """The cell has carried out `revision`, and its customer is no longer kept here.

        A deleted tenant gives up its place. NotFound; Stale.
        """

    async def unsettled(self, limit: int = 100, after_revision: int = 0) -> Sequence[Tenant]:
        """Tenants whose last decision (after `after_revision`) has not been carried out, the oldest first."""

    async def reassign(self, tenant_id: str, epoch: int, cell_id: str) -> Assignment:
        """Compare-and-set: from `epoch` to a fresh epoch in another cell.

        NotFound; Stale; CellFull, also when it may not live there.
        """

    async def identity(self) -> str:
        """Whose the numbers are: another directory has another identity, also one with the same numbers."""

    async def head(self) -> int:
        """The number of the latest change, 0 before the first."""

    async def changes(self, after: int, limit: int = 1000) -> Sequence[Change]:
        """The changes after number `after`. Gap when they are no longer kept."""

    async def wait(self, after: int, seconds: float) -> None:
        """Return when there is a change after number `after`, or when the time is over."""

    async def snapshot(self) -> Snapshot:
        """Everything that routers know, at one moment."""

    async def forget_changes(self, keep: int) -> int:
        """Drop all but the latest `keep` changes; returns how many went."""
