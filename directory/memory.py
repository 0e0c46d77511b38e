"""The truth's twin in memory: the same promises and errors, for tests and for trying things out."""

import asyncio
import contextlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from typing import Any

from directory.errors import AlreadyExists, CellFull, DirectoryError, Gap, NotFound, NotLeader, Stale
from directory.reservations import Booking, Reservation, Takes, Use
from directory.rules import addresses, capacities, moves, names, planning, rates, reservations, states
from directory.rules.moves import UNDECIDED, WAY_BACK_CLOSED, Decision
from directory.rules.reservations import NOTHING
from directory.rules.states import CellEvent, TenantEvent
from directory.values import (
    Assignment,
    Cell,
    CellChange,
    CellEntry,
    Change,
    Move,
    MoveEvent,
    NewCell,
    NewTenant,
    Rate,
    Resident,
    Snapshot,
    Tenant,
    TenantEntry,
    TenantState,
    Term,
)
from runtime.clock import Clock, SystemClock


@dataclass(slots=True)
class KeptRoom:
    """What was let into a cell, as its twin in Postgres keeps it."""

    offer: int = 1
    promised: Takes = NOTHING
    placed: Takes = NOTHING

    def promise(self, takes: Takes, *, placed: bool) -> None:
        """To a tenant that is `placed`, or to a reservation."""
        self.promised = tuple(map(sum, zip(self.promised, takes, strict=True)))
        if placed:
            self.placed = tuple(map(sum, zip(self.placed, takes, strict=True)))


@dataclass(slots=True)
class KeptMove:
    """A move, and what its twin in Postgres keeps beside it."""

    move: Move
    phase_at: datetime
    lease_until: datetime | None = None
    claim_after: datetime | None = None
    events: list[MoveEvent] = field(default_factory=list)
    decisions: dict[int, Decision] = field(default_factory=dict)


class MemoryDirectory:
    """`Directory` in dictionaries. Every method runs without awaiting in between, so each is atomic.

    `moves` and `switches` (cell → move, until when) are those of `MemoryMoves`, `terms` (by resource) those of
    `MemoryTerms`, `rooms` (by cell) and `reservations` those of `MemoryReservations`: parts of the same truth.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock or SystemClock()
        self.moves: dict[str, KeptMove] = {}
        self.switches: dict[str, tuple[str, datetime]] = {}
        self.terms: dict[str, Term] = {}
        self.rooms: dict[str, KeptRoom] = {}
        self.reservations: dict[str, Reservation] = {}
        self._identity = str(uuid.uuid4())
        self._cells: dict[str, Cell] = {}
        self._tenants: dict[str, Tenant] = {}
        self._changes: list[Change] = []
        self._epoch = 0
        self._seq = 0
        self._changed = asyncio.Event()

    def __repr__(self) -> str:
        return f"<MemoryDirectory {len(self._cells)} cells, {len(self._tenants)} tenants, change {self._seq}>"

    # Cells

    async def register_cell(self, new: NewCell) -> Cell:
        names.check_name("cell", new.cell_id)
        capacities.check_cell(new)
        address, control_address = _checked(new)
        if new.cell_id in self._cells:
            raise AlreadyExists(capacities.taken(new.cell_id))
        now = self.clock.now()
        return self._put_cell(
            Cell(
                cell_id=new.cell_id,
                region=new.region,
                state="joining",
                address=address,
                control_address=control_address,
                capacity_tenants=new.capacity_tenants,
                tenants=0,
                version=new.version,
                tags=new.tags,
                registered_at=now,
                updated_at=now,
                capacity=new.capacity,
                caps=new.caps,
                dedicated_to=new.dedicated_to,
            )
        )

    async def update_cell(self, cell_id: str, change: CellChange, was: Cell | None = None) -> Cell:
        capacities.check_cell(change)
        named = ((each.name, getattr(change, each.name)) for each in fields(change))
        given = {name: value for name, value in named if value is not None}
        for name in given.keys() & {"address", "control_address"}:
            given[name] = addresses.check_origin(given[name])
        known = self.get_cell(cell_id)
        capacities.check_same(known, was)
        if change.dedicated_to not in (None, known.dedicated_to):
            self._check_dedicable(cell_id, change.dedicated_to)
        return self._put_cell(replace(known, **given, updated_at=self.clock.now()))

    async def change_cell(self, cell_id: str, event: CellEvent, term: Term | None = None) -> Cell:
        self.check_term(term)
        cell = self.get_cell(cell_id)
        state = states.after(states.CELLS, cell.state, event)
        if event in states.LEFT:
            unfinished = (move.move_id for move in self._moves_of_cell(cell_id))
            capacities.check_left(cell_id, event, cell.tenants, unfinished)
        return self._put_cell(replace(cell, state=state, updated_at=self.clock.now()))

    async def cell(self, cell_id: str) -> Cell:
        return self.get_cell(cell_id)

    async def cells(self) -> Sequence[Cell]:
        return [self._cells[name] for name in sorted(self._cells)]

    # Tenants

    async def create_tenant(self, new: NewTenant, cell_id: str, booking: Booking | Use | None = None) -> Tenant:
        names.check_name("tenant", new.tenant_id)
        rates.check_rate(new.rate)
        tags = capacities.check_place(new.tags, new.revenue, new.dedicated_to)
        if new.tenant_id in self._tenants:
            raise AlreadyExists(f"tenant {new.tenant_id} exists already, or existed once")
        self._take_place(cell_id, new)
        try:
            self._take_room(cell_id, booking)
        except DirectoryError:
            self._give_place(cell_id)
            raise
        revision, now = self.next_epoch(), self.clock.now()
        assignment = Assignment(new.tenant_id, cell_id, self.next_epoch())
        self._record(TenantEntry(new.tenant_id, cell_id, assignment.epoch, new.rate))
        return self._put_tenant(
            Tenant(
                tenant_id=new.tenant_id,
                display_name=new.display_name,
                plan=new.plan,
                region=new.region,
                state="active",
                revision=revision,
                applied_revision=0,
                created_at=now,
                updated_at=now,
                assignment=assignment,
                creation_key=new.creation_key,
                creation_digest=new.creation_digest,
                rate=new.rate,
                customer=new.customer,
                tags=tags or (),
                revenue=new.revenue,
                dedicated_to=new.dedicated_to,
            )
        )

    async def tenant(self, tenant_id: str) -> Tenant:
        return self.get_tenant(tenant_id)

    async def tenants(
        self, *, after: str = "", limit: int = 100, cell_id: str | None = None, state: TenantState | None = None
    ) -> Sequence[Tenant]:
        found = [self._tenants[name] for name in sorted(self._tenants) if name > after]
        if cell_id is not None:
            found = [t for t in found if t.assignment is not None and t.assignment.cell_id == cell_id]
        return [t for t in found if state is None or t.state == state][:limit]

    async def residents(self, after: str = "", limit: int = 5000) -> Sequence[Resident]:
        names = [name for name in sorted(self._tenants) if name > after]
        living = [self._tenants[name] for name in names if self._tenants[name].assignment is not None]
        return [
            Resident(
                t.tenant_id, t.assignment.cell_id, t.plan, t.state, t.region, t.tags, t.revenue, t.dedicated_to
            )
            for t in living[:limit]
            if t.assignment is not None
        ]

    async def change_tenant(self, tenant_id: str, event: TenantEvent) -> Tenant:
        tenant = self.get_tenant(tenant_id)
        state = states.after(states.TENANTS, tenant.state, event)
        if state == "deleted":
            moves.check_deletable((kept.move_id, kept.phase) for kept in self.unfinished_moves(tenant_id))
        now = self.clock.now()
        return self._put_tenant(replace(tenant, state=state, revision=self.next_epoch(), updated_at=now))

    async def limit_tenant(self, tenant_id: str, rate: Rate | None) -> Tenant:
        rates.check_rate(rate)
        tenant = self.get_tenant(tenant_id)
        rates.check_limitable(tenant.state)
        if tenant.rate == rate:
            return tenant
        if tenant.assignment is not None:
            self._record(TenantEntry(tenant_id, tenant.assignment.cell_id, tenant.assignment.epoch, rate))
        return self._put_tenant(replace(tenant, rate=rate, updated_at=self.clock.now()))

    async def place_tenant(
        self,
        tenant_id: str,
        *,
        tags: Sequence[str] | None = None,
        revenue: float | None = None,
        dedicated_to: str | None = None,
    ) -> Tenant:
        wanted = {
            "tags": capacities.check_place(tags, revenue, dedicated_to),
            "revenue": revenue,
            "dedicated_to": dedicated_to,
        }
        tenant = self.get_tenant(tenant_id)
        capacities.check_placeable(tenant.state)
        given: dict[str, Any] = {name: value for name, value in wanted.items() if value is not None}
        return self._put_tenant(replace(tenant, **given, updated_at=self.clock.now()))

    async def applied(self, tenant_id: str, revision: int) -> Tenant:
        tenant = self.get_tenant(tenant_id)
        if tenant.revision != revision:
            raise Stale(f"tenant {tenant_id} is at revision {tenant.revision}, not {revision}")
        assignment = tenant.assignment
        if tenant.state == "deleted" and assignment is not None:
            self._give_place(assignment.cell_id)
            self._record(TenantEntry(tenant_id, None, revision))
            assignment = None
        now = self.clock.now()
        return self._put_tenant(
            replace(tenant, applied_revision=revision, customer=None, assignment=assignment, updated_at=now)
        )

    async def unsettled(self, limit: int = 100, after_revision: int = 0) -> Sequence[Tenant]:
        found = [t for t in self._tenants.values() if not t.settled and t.revision > after_revision]
        return sorted(found, key=lambda tenant: tenant.revision)[:limit]

    async def reassign(self, tenant_id: str, epoch: int, cell_id: str) -> Assignment:
        return self.assign(tenant_id, epoch, cell_id)

    # What moves share

    def assign(self, tenant_id: str, epoch: int, cell_id: str, *, back: bool = False) -> Assignment:
        """From `epoch` to a fresh one in `cell_id`, and the change for routers. `back`: it takes it back."""
        tenant = self.get_tenant(tenant_id)
        if tenant.assignment is None or tenant.assignment.epoch != epoch:
            raise Stale(f"tenant {tenant_id} is no longer at epoch {epoch}: {tenant.assignment}")
        left = tenant.assignment.cell_id
        if left != cell_id:
            self._take_place(cell_id, tenant, back=back)
            self._give_place(left)
        assignment = Assignment(tenant_id, cell_id, self.next_epoch())
        self._put_tenant(replace(tenant, assignment=assignment))
        self._record(TenantEntry(tenant_id, cell_id, assignment.epoch, tenant.rate))
        return assignment

    def unfinished_moves(self, tenant_id: str) -> Sequence[Move]:
        """By id."""
        of_tenant = (kept.move for _, kept in sorted(self.moves.items()) if kept.move.tenant_id == tenant_id)
        return [move for move in of_tenant if move.ended_at is None]

    def _moves_of_cell(self, cell_id: str) -> Sequence[Move]:
        """Those from there or to there that have not ended."""
        known = (kept.move for _, kept in sorted(self.moves.items()))
        return [move for move in known if move.ended_at is None and cell_id in (move.source, move.destination)]

    def _check_dedicable(self, cell_id: str, name: str) -> None:
        others = [
            tenant.tenant_id
            for tenant in self._tenants.values()
            if tenant.assignment is not None
            and tenant.assignment.cell_id == cell_id
            and name not in (tenant.tenant_id, tenant.dedicated_to)
        ]
        passing = [
            move.move_id
            for move in self._moves_of_cell(cell_id)
            if name not in (move.tenant_id, self.get_tenant(move.tenant_id).dedicated_to)
        ]
        capacities.check_dedicable(cell_id, name, others, passing)

    def check_term(self, term: Term | None) -> None:
        """Whoever decides as a leader does it in the latest term. NotLeader."""
        if term is None:
            return
        known = self.terms.get(term.resource)
        if known is None or known.number != term.number:
            number = 0 if known is None else known.number
            raise NotLeader(f"term {term.number} of {term.resource} is over: {number} is known")

    def next_epoch(self) -> int:
        """Greater than all before."""
        self._epoch += 1
        return self._epoch

    def get_cell(self, cell_id: str) -> Cell:
        """NotFound."""
        if cell_id not in self._cells:
            raise NotFound(f"no cell {cell_id}")
        return self._cells[cell_id]

    def all_tenants(self) -> Sequence[Tenant]:
        """In the order of their names."""
        return [self._tenants[name] for name in sorted(self._tenants)]

    def get_tenant(self, tenant_id: str) -> Tenant:
        """NotFound."""
        if tenant_id not in self._tenants:
            raise NotFound(f"no tenant {tenant_id}")
        return self._tenants[tenant_id]

    def home(self, tenant_id: str) -> str | None:
        """The cell that the tenant lives in; None when it lives nowhere."""
        tenant = self._tenants.get(tenant_id)
        return None if tenant is None or tenant.assignment is None else tenant.assignment.cell_id

    # The stream

    async def identity(self) -> str:
        return self._identity

    async def head(self) -> int:
        return self._seq

    async def changes(self, after: int, limit: int = 1000) -> Sequence[Change]:
        found = [change for change in self._changes if change.seq > after]
        if after > self._seq or (found and found[0].seq != after + 1) or (not found and after < self._seq):
            raise Gap(f"the changes after {after} are not kept")
        return found[:limit]

    async def wait(self, after: int, seconds: float) -> None:
        self._changed.clear()
        if self._seq > after:
            return
        # Not `wait_for`: it swallows a cancellation that comes together with the event.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()

    async def snapshot(self) -> Snapshot:
        cells = {cell.cell_id: CellEntry(cell.cell_id, cell.state, cell.address) for cell in self._cells.values()}
        tenants = {
            name: TenantEntry(name, tenant.assignment.cell_id, tenant.assignment.epoch, tenant.rate)
            for name, tenant in self._tenants.items()
            if tenant.assignment is not None
        }
        return Snapshot(self._identity, self._seq, cells, tenants)

    async def forget_changes(self, keep: int) -> int:
        kept = [change for change in self._changes if change.seq > self._seq - keep]
        gone = len(self._changes) - len(kept)
        self._changes = kept
        return gone

    # Inside

    def take_room(self, cell_id: str, booking: Booking, *, placed: bool) -> None:
        """What `transactions.take_room` does. Stale."""
        room = self.rooms[cell_id]
        if room.offer != booking.offer or not reservations.passes(room.promised, booking.takes, booking.most):
            raise Stale(reservations.outdated(cell_id))
        room.promise(booking.takes, placed=placed)

    def taken(self, cell_id: str) -> Sequence[float]:
        """What is taken of a cell's caps; as `sum_taken.sql` says."""
        coming = {
            kept.move.tenant_id
            for kept in self.moves.values()
            if kept.move.destination == cell_id and kept.move.ended_at is None and kept.move.phase in UNDECIDED
        }
        here = (name for name in self._tenants if self.home(name) == cell_id or name in coming)
        now = self.clock.now()
        kept = (each for each in self.reservations.values() if each.cell_id == cell_id and each.until > now)
        parts = [
            *(capacities.capped(self._tenants[name]) for name in here),
            *(each.takes[planning.MEASURED :] for each in kept),
        ]
        return [sum(column) for column in zip(*parts, strict=True)] or [0.0] * len(capacities.CAPPED)

    def get_reservation(self, reservation_id: str) -> Reservation:
        """NotFound."""
        if reservation_id not in self.reservations:
            raise NotFound(f"no reservation {reservation_id}")
        kept = self.reservations[reservation_id]
        return replace(kept, holds=kept.until > self.clock.now())

    def _take_room(self, cell_id: str, booking: Booking | Use | None) -> None:
        if isinstance(booking, Booking):
            self.take_room(cell_id, booking, placed=True)
        elif booking is not None:
            kept = self.get_reservation(booking.reservation_id)
            if not kept.holds:
                raise Stale(f"reservation {kept.reservation_id} is over")
            reservations.check_use(kept.reservation_id, kept.cell_id, kept.takes, cell_id, booking.takes)
            del self.reservations[kept.reservation_id]
            self.rooms[cell_id].promise(kept.takes, placed=True)

    def _put_cell(self, cell: Cell) -> Cell:
        known = self._cells.get(cell.cell_id)
        if known is None:
            self.rooms[cell.cell_id] = KeptRoom()
        elif _offer(known) != _offer(cell):
            self.rooms[cell.cell_id].offer += 1
        self._cells[cell.cell_id] = cell
        self._record(CellEntry(cell.cell_id, cell.state, cell.address))
        return cell

    def _put_tenant(self, tenant: Tenant) -> Tenant:
        self._tenants[tenant.tenant_id] = tenant
        return tenant

    def _take_place(self, cell_id: str, tenant: Tenant | NewTenant, *, back: bool = False) -> None:
        cell = self._cells.get(cell_id)
        if cell is None or not (cell.state not in WAY_BACK_CLOSED if back else _takes(cell, tenant)):
            raise CellFull(capacities.full(cell_id))
        self._cells[cell_id] = replace(cell, tenants=cell.tenants + 1)

    def _give_place(self, cell_id: str) -> None:
        cell = self._cells[cell_id]
        self._cells[cell_id] = replace(cell, tenants=cell.tenants - 1)

    def _record(self, entry: CellEntry | TenantEntry) -> None:
        self._seq += 1
        self._changes.append(Change(self._seq, entry))
        self._changed.set()


def _offer(cell: Cell) -> tuple[object, ...]:
    """What a tenant is chosen a cell by."""
    return (
        *(cell.region, cell.state, cell.capacity_tenants, cell.version, cell.tags),
        *(cell.capacity, cell.caps, cell.dedicated_to),
    )


def _takes(cell: Cell, tenant: Tenant | NewTenant) -> bool:
    return cell.state == "open" and cell.free_tenants > 0 and capacities.misfit(cell, tenant) is None


def _checked(new: NewCell) -> tuple[str, str]:
    return addresses.check_origin(new.address), addresses.check_origin(new.control_address)
