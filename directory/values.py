"""What the directory speaks of. Frozen; one meaning a field."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

CellState = Literal["joining", "open", "cordoned", "draining", "empty", "retired", "failed"]
TenantState = Literal["active", "suspended", "deleted"]
MovePhase = Literal[
    "PLANNED", "PREPARED", "CAPTURING", "COPYING", "CATCHING_UP", "VERIFYING", "READY", "FENCING", "FINALIZING",
    "COMMITTED", "ACTIVATED", "DRAINING", "REVERSIBLE", "CLEANING", "DONE",
    "ABORTING", "ABORTED", "REVERSING", "REVERSED",
]  # fmt: skip
Wish = Literal["run", "pause", "cancel", "switch", "confirm"]


@dataclass(frozen=True, slots=True)
class Capacity:
    """What a cell can hold beside a number of tenants. None: not known, as much as comes."""

    cpus: float | None = None
    memory_bytes: int | None = None
    storage_bytes: int | None = None
    network_bits: float | None = None
    """Per second."""


@dataclass(frozen=True, slots=True)
class Caps:
    """How much of the company one cell may take along when it is lost. None: no cap.

    `revenue` per month, in the unit of tenants' revenue. `top_tier`: tenants on a plan of the highest rank.
    """

    revenue: float | None = None
    top_tier: int | None = None


@dataclass(frozen=True, slots=True)
class NewCell:
    """A cell as it registers. Addresses are origins such as http://10.0.0.7:8000.

    `dedicated_to` names the tenants that alone may live there; empty: everybody else.
    """

    cell_id: str
    region: str
    address: str
    control_address: str
    capacity_tenants: int
    version: str = ""
    tags: tuple[str, ...] = ()
    capacity: Capacity = Capacity()
    caps: Caps = Caps()
    dedicated_to: str = ""


@dataclass(frozen=True, slots=True)
class CellChange:
    """What becomes different about a cell; None stays as it is. A cell's region stays for ever.

    `capacity` and `caps` come as a whole.
    """

    address: str | None = None
    control_address: str | None = None
    capacity_tenants: int | None = None
    version: str | None = None
    tags: tuple[str, ...] | None = None
    capacity: Capacity | None = None
    caps: Caps | None = None
    dedicated_to: str | None = None


@dataclass(frozen=True, slots=True)
class Cell:
    """A registered cell. `tenants` counts the assignments to it."""

    cell_id: str
    region: str
    state: CellState
    address: str
    control_address: str
    capacity_tenants: int
    tenants: int
    version: str
    tags: tuple[str, ...]
    registered_at: datetime
    updated_at: datetime
    capacity: Capacity = Capacity()
    caps: Caps = Caps()
    dedicated_to: str = ""

    @property
    def free_tenants(self) -> int:
        """How many more tenants fit."""
        return max(0, self.capacity_tenants - self.tenants)


@dataclass(frozen=True, slots=True)
class Rate:
    """How many requests a tenant may make: so many a second in the long run, and so many at once."""

    per_second: float
    burst: int


@dataclass(frozen=True, slots=True)
class Customer:
    """Who is onboarded along with a new tenant, and what for. `trial_days` None: pays at once."""

    email: str = field(repr=False)
    display_name: str
    account_id: str
    namespace_id: str
    plan: str
    trial_days: int | None = None


@dataclass(frozen=True, slots=True)
class NewTenant:
    """A tenant as it is asked for. `creation_key` and `creation_digest` recognise a retry of the same request.

    `rate` None: no limit. `customer` None: nobody is onboarded. `tags` are those that its cell must have. It lives
    only in cells that are `dedicated_to` the same name; empty: in those that are dedicated to nobody. `revenue` is
    what it pays per month.
    """

    tenant_id: str
    display_name: str
    plan: str = "standard"
    region: str | None = None
    creation_key: str | None = None
    creation_digest: str | None = None
    rate: Rate | None = None
    customer: Customer | None = None
    tags: tuple[str, ...] = ()
    revenue: float = 0.0
    dedicated_to: str = ""


@dataclass(frozen=True, slots=True)
class Assignment:
    """tenant → cell, since `epoch`. Epochs come from one sequence and only grow."""

    tenant_id: str
    cell_id: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Tenant:
    """A tenant and where it lives.

    `state` is what was decided, at `revision`; the cell has carried out `applied_revision`. They differ while a
    decision is on its way. A deleted tenant keeps its name, so that nobody can take over what is left of it.
    `rate` None: no limit. It is for routers alone, so no cell has to carry it out.
    `customer` is who is yet to be onboarded by the cell; None when nobody is, or the cell knows already.
    `region`, `tags` (which its cell must have) and `dedicated_to` say where it may live; they are for placement
    alone, and so is its `revenue` per month. Who may not live where it lives is still served there.
    """

    tenant_id: str
    display_name: str
    plan: str
    region: str | None
    state: TenantState
    revision: int
    applied_revision: int
    created_at: datetime
    updated_at: datetime
    assignment: Assignment | None
    creation_key: str | None = None
    creation_digest: str | None = None
    rate: Rate | None = None
    customer: Customer | None = None
    tags: tuple[str, ...] = ()
    revenue: float = 0.0
    dedicated_to: str = ""

    @property
    def settled(self) -> bool:
        """Whether the cell has carried out the last decision."""
        return self.applied_revision == self.revision


@dataclass(frozen=True, slots=True)
class Resident:
    """Of a tenant that lives somewhere, what whoever plans for the whole fleet must know."""

    tenant_id: str
    cell_id: str
    plan: str
    state: TenantState
    region: str | None
    tags: tuple[str, ...]
    revenue: float
    dedicated_to: str


@dataclass(frozen=True, slots=True)
class Term:
    """What the leader of a resource decides in: `number` is an epoch, and a lower one is outdated.

    `owner` names the process that began it.
    """

    resource: str
    number: int
    owner: str
    since: datetime


@dataclass(frozen=True, slots=True)
class CellEntry:
    """What routers know of a cell."""

    cell_id: str
    state: CellState
    address: str


@dataclass(frozen=True, slots=True)
class TenantEntry:
    """What routers know of a tenant. `cell_id` None says that it lives nowhere any more; `rate` None: no limit."""

    tenant_id: str
    cell_id: str | None
    epoch: int
    rate: Rate | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """One numbered change. Numbers have no gaps and follow the order of commits."""

    seq: int
    entry: CellEntry | TenantEntry


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that routers know, as of change number `seq`, in the directory called `identity`."""

    identity: str
    seq: int
    cells: Mapping[str, CellEntry] = field(default_factory=dict)
    tenants: Mapping[str, TenantEntry] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MoveOptions:
    """How a move is carried out.

    The way back is kept for `reverse_seconds`. A switch is tried when its pause is expected to stay within
    `pause_budget_ms`, and given up after `most_pause_ms`. `verify`: compare everything before the switch.
    `hold`: stop before the switch until told `switch`.
    """

    reverse_seconds: float = 86400
    pause_budget_ms: float = 250
    most_pause_ms: float = 1000
    verify: bool = True
    hold: bool = False


@dataclass(frozen=True, slots=True)
class NewMove:
    """A move as it is asked for. `reverses`: the move whose way back it goes."""

    tenant_id: str
    destination: str
    options: MoveOptions = MoveOptions()
    reason: str = ""
    reverses: str | None = None


@dataclass(frozen=True, slots=True)
class Move:
    """One tenant's way from a source to a destination cell.

    Being in a phase means: its work may have begun and is not known to be done. `wish` is what an operator asked
    for last. `token` is that of whoever carries it now (`owner`), 0 before anybody did; a lower one is outdated.
    `attempt` counts the switches that were begun anew after one was given up. `epochs` are those of its decisions,
    by name. `pause_ms` is how long the tenant could not write; None before the switch. `error` is what last went
    wrong, empty when nothing is.
    """

    move_id: str
    tenant_id: str
    source: str
    destination: str
    phase: MovePhase
    paused: bool
    wish: Wish
    token: int
    owner: str
    attempt: int
    epochs: Mapping[str, int]
    options: MoveOptions
    progress: Mapping[str, Any]
    proof: Mapping[str, Any]
    pause_ms: float | None
    error: str
    reason: str
    reverses: str | None
    created_at: datetime
    updated_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class PhaseCount:
    """Moves in one phase that have not ended. `obstructed`: so many have something in their way. `oldest_seconds`:
    how long the oldest has been in it, of those that no operator has wait; 0.0: there is none."""

    phase: MovePhase
    moves: int
    obstructed: int
    oldest_seconds: float


@dataclass(frozen=True, slots=True)
class Passage:
    """What whoever plans for the whole fleet must know of a move."""

    tenant_id: str
    source: str
    destination: str
    phase: MovePhase
    wish: Wish
    ended: bool


@dataclass(frozen=True, slots=True)
class MoveEvent:
    """One thing that happened to a move; `number` counts from 1, `phase` is the one that it led to."""

    move_id: str
    number: int
    at: datetime
    phase: MovePhase
    text: str
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class MoveChange:
    """What becomes different about a move. None stays as it is; mappings are merged into what is there."""

    epochs: Mapping[str, int] | None = None
    progress: Mapping[str, Any] | None = None
    proof: Mapping[str, Any] | None = None
    pause_ms: float | None = None
    error: str | None = None
