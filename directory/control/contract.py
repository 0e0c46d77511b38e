"""Paths and bodies of the control contract. All calls are idempotent.

A decision carries epoch and revision, and a cell refuses what is older than what it knows, so a messenger that
comes late does no harm. Calls about keys carry neither: making the key of a seed again finds the one that is
there, revoking again changes nothing, and both mean the tenant as the cell holds it now. A deletion that answers
202 has rows left to remove, and goes on when it is called again.

    GET    /control/v1/cell                                  CellReport
    PUT    /control/v1/tenants/{tenant}                      TenantOrder   -> TenantReport
    DELETE /control/v1/tenants/{tenant}?epoch=&revision=                   -> TenantReport, 200 or 202
    GET    /control/v1/tenants/{tenant}/keys                               -> KeyList
    POST   /control/v1/tenants/{tenant}/keys                 KeyOrder      -> KeyReport
    POST   /control/v1/tenants/{tenant}/keys/{key}:revoke                  -> KeyReport
    PUT    /control/v1/tenants/{tenant}/onboarding           OnboardingOrder  -> WorkReport
    POST   /control/v1/tenants/{tenant}/offboarding          OffboardingOrder -> WorkReport
    POST   /control/v1/tenants/{tenant}/offboarding:cancel                    -> WorkReport
    POST   /control/v1/tenants/{tenant}/subscription:suspend                  -> WorkReport
    POST   /control/v1/tenants/{tenant}/subscription:resume                   -> WorkReport
    GET    /control/v1/tenants/{tenant}/size                               -> TenantSize
    GET    /control/v1/schema                                              -> SchemaReport
    GET    /control/v1/load?after=&limit=                                  -> LoadReport
    GET    /control/v1/fences?after=&limit=                                -> FenceList
    GET    /control/v1/checks                                              -> CheckList

The calls about orchestrations and jobs are in `work`.
"""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from directory.rules.capacities import MOST
from directory.rules.names import NAME
from directory.rules.plans import check_plan
from directory.rules.tables import Schema, Table
from directory.values import Capacity
from runtime.api.texts import PRINTABLE, Email, Identifier, Line

PlanName = Annotated[Line, AfterValidator(check_plan)]


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class TenantOrder(_Value):
    """What the directory has decided about a tenant that lives in this cell.

    `first_key_seed`, when given, makes sure that a first API key exists, and returns it unless it was revoked. The
    same seed gives the same key, so a retried creation answers as the first did although no secret is stored.
    """

    epoch: int = Field(gt=0, lt=2**63)
    revision: int = Field(gt=0, lt=2**63)
    state: Literal["active", "suspended"]
    display_name: Line
    plan: Line
    first_key_seed: str | None = Field(default=None, min_length=16, max_length=200)


class TenantReport(_Value):
    """What the cell now holds. `api_key` is a secret: shown once, never logged.

    `deleting`: rows are being removed, and some are left.
    """

    tenant_id: str
    epoch: int
    revision: int
    state: Literal["active", "suspended", "deleting", "deleted"]
    api_key: str | None = None


class KeyOrder(_Value):
    """A further API key; the same `seed` again gives the same key."""

    display_name: Line
    seed: str = Field(min_length=16, max_length=200)


class KeyReport(_Value):
    """An API key; `api_key` is the secret, present only in the answer to the order that made it.

    An order that comes again after the key was revoked gets the key without its secret.
    """

    key_id: str
    display_name: str
    created_at: datetime
    revoked_at: datetime | None = None
    api_key: str | None = None


class KeyList(_Value):
    """All keys of a tenant, revoked ones too."""

    keys: list[KeyReport]


class OnboardingOrder(_Value):
    """A customer comes. The same order again is the same work; another one is refused.

    `attempt` is counted up to try again after it was rolled back. `trial_days`: None for a customer who pays.
    """

    email: Email
    display_name: Line
    account_id: Identifier
    namespace_id: Identifier
    plan: PlanName
    trial_days: int | None = Field(default=None, ge=1, le=365)
    attempt: int = Field(default=1, ge=1, le=999)


class OffboardingOrder(_Value):
    """A customer leaves; its data is kept for so long, and it may come back until then."""

    retention_days: int = Field(default=30, ge=30, le=90)


class WorkReport(_Value):
    """Work that goes on by itself. `state` names the step that matters; COMPLETED and ROLLED_BACK are ends."""

    operation: str
    state: str


class CapacityReport(_Value):
    """What a cell can hold, as it knows itself; None: it does not."""

    cpus: float | None = Field(default=None, gt=0, le=MOST, allow_inf_nan=False)
    memory_bytes: int | None = Field(default=None, gt=0, le=int(MOST))
    storage_bytes: int | None = Field(default=None, gt=0, le=int(MOST))
    network_bits: float | None = Field(default=None, gt=0, le=MOST, allow_inf_nan=False)

    @classmethod
    def of(
        cls,
        cpus: float | None,
        memory_bytes: int | None,
        storage_bytes: int | None,
        network_bits: float | None,
    ) -> "CapacityReport | None":
        """None when nothing is known."""
        found = cls(cpus=cpus, memory_bytes=memory_bytes, storage_bytes=storage_bytes, network_bits=network_bits)
        return None if found == cls() else found

    def value(self) -> Capacity:
        """As the directory keeps it."""
        return Capacity(**self.model_dump())


class CellReport(_Value):
    """Who answers at this address.

    `capacity` None: it does not say, and then placements of before there was one understand it too.
    """

    cell_id: str
    region: str
    version: str
    tenants: int
    capacity: CapacityReport | None = Field(default=None, exclude_if=lambda told: told is None)


class TableSize(_Value):
    """How much of a tenant is in one table. `bytes` as they are stored, without indexes.

    `estimated`: there were too many rows to be counted, or too little time; it is what the planner believes.
    """

    relation: str
    rows: int = Field(ge=0)
    bytes: int = Field(ge=0)
    estimated: bool = False


class TenantSize(_Value):
    """How much a tenant holds in this cell: every table whose rows would move with it, also the empty ones."""

    tables: list[TableSize]


class SchemaReport(_Value):
    """What the tables are made of whose rows belong to tenants: a tenant's rows have to fit where it goes."""

    tables: list[Table]
    encoding: str

    def value(self) -> Schema:
        """To be compared with another cell's."""
        return Schema({table.relation: table for table in self.tables}, encoding=self.encoding)


Counter = Annotated[float, Field(ge=0, le=1e15, allow_inf_nan=False)]


class TenantLoad(_Value):
    """What one tenant took of the cell since the report's `start`; what it holds: None where that is not known.

    `cpu_seconds` are of the cell's own processes. `database_seconds`: how long transactions of its requests, jobs
    and workflows were open; `database_bytes`: what these carried between cell and database, both ways, None also
    from a cell that does not count it. `job_seconds`: how long its jobs and workflows took. `row_bytes` is what a
    move would carry, `storage_bytes` all. What else a newer cell says is passed over.
    """

    model_config = ConfigDict(extra="ignore")

    tenant_id: str = Field(pattern=NAME)
    cpu_seconds: Counter
    network_bytes: Counter
    requests: Counter
    database_seconds: Counter
    database_bytes: Counter | None = None
    job_seconds: Counter
    row_bytes: Counter | None = None
    storage_bytes: Counter | None = None


def _of_each_once(tenants: list[TenantLoad]) -> list[TenantLoad]:
    if len({each.tenant_id for each in tenants}) < len(tenants):
        raise ValueError("each tenant is told of once")
    return tenants


class LoadReport(_Value):
    """What the tenants of a cell took since `start`, which began `age_seconds` ago: a page of them by name.

    Counters only grow, until there is another `start`. `cpu_seconds` is that of all tenants together,
    `memory_bytes` what the cell's processes take just now. `next_after`: None when nobody follows. What else a
    newer cell says is passed over.
    """

    model_config = ConfigDict(extra="ignore")

    start: str = Field(min_length=1, max_length=100, pattern=PRINTABLE)
    age_seconds: Counter
    cpu_seconds: Counter
    memory_bytes: Counter | None = None
    tenants: Annotated[list[TenantLoad], AfterValidator(_of_each_once)]
    next_after: str | None = None


class FenceReport(_Value):
    """One row of the cell's fence."""

    tenant_id: str
    epoch: int
    state: Literal["active", "importing", "fenced", "moved"]
    move_id: str | None = None


class FenceList(_Value):
    """A page of fences by tenant name; fewer than asked for means that it is the last."""

    fences: list[FenceReport]


class Check(_Value):
    """One invariant that the cell examined in itself; `remedy` says what to do when it does not hold."""

    name: str
    ok: bool
    detail: str = ""
    remedy: str = ""


class CheckList(_Value):
    """All of them."""

    checks: list[Check]
