"""Tenants: create, look at, say where they may live, limit, suspend, resume, delete."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from directory import values
from directory.rules.capacities import MOST, MOST_TAGS
from directory.rules.rates import MOST_BURST, MOST_PER_SECOND
from directory.rules.states import TenantEvent
from directory.truth import Directory
from placement.api.customers import Customer
from placement.api.values import Label, Name, Page, name
from placement.creation import Asked, Created, Creation
from placement.decisions import Decisions, Place
from placement.rules.choose import Choice
from runtime.api.endpoint import Call, Endpoint, Input, Output, Reply
from runtime.api.pages import PageTokens, page_size
from runtime.api.texts import Line

State = Literal["active", "suspended", "deleted"]


class Rate(Input):
    """How many requests each router process grants a tenant; those beyond get 429."""

    recorded: ClassVar[frozenset[str]] = frozenset({"per_second", "burst"})

    per_second: float = Field(gt=0, le=MOST_PER_SECOND, allow_inf_nan=False, description="in the long run")
    burst: int = Field(ge=1, le=MOST_BURST, description="at once, after a pause")

    def value(self) -> values.Rate:
        """As the directory keeps it."""
        return values.Rate(self.per_second, self.burst)


Tags = Annotated[tuple[Label, ...], Field(max_length=MOST_TAGS)]
Revenue = Annotated[float, Field(ge=0, le=MOST, allow_inf_nan=False)]


class NewTenant(Input):
    """A tenant as it is asked for."""

    recorded: ClassVar[frozenset[str]] = frozenset(
        {"tenant_id", "plan", "region", "rate", "customer", "tags", "revenue", "dedicated_to"}
    )

    tenant_id: Name = Field(description="its name for ever: 2 to 40 lower-case letters, digits, inner dashes")
    display_name: Line
    plan: Label = "standard"
    region: Label | None = Field(default=None, description="only cells of this region; null: any")
    rate: Rate | None = Field(default=None, description="the limit of its requests; null: none")
    customer: Customer | None = Field(
        default=None, description="whom to onboard at once; the tenant is on their plan; null: nobody"
    )
    tags: Tags = Field(default=(), description="compliance: only cells that have all of them")
    revenue: Revenue = Field(default=0, description="per month, in the unit of the cells' caps")
    dedicated_to: Label | None = Field(
        default=None, description="only cells that are dedicated to this; null: those that are not dedicated"
    )

    @model_validator(mode="after")
    def _one_plan(self) -> Self:
        if "plan" in self.model_fields_set and self.plan != self.plan_wanted:
            raise ValueError("plan and customer.plan differ: a tenant has one plan")
        return self

    @property
    def plan_wanted(self) -> str:
        """The customer's, when there is one."""
        return self.plan if self.customer is None else self.customer.plan


class TenantPatch(Input):
    """Where it may live, and what it pays; what is absent stays, null removes. It is not moved by that."""

    recorded: ClassVar[frozenset[str]] = frozenset({"tags", "revenue", "dedicated_to"})

    tags: Tags | None = Field(default=None, description="only cells that have all of them")
    revenue: Revenue | None = Field(default=None, description="per month, in the unit of the cells' caps")
    dedicated_to: Label | None = Field(
        default=None, description="only cells that are dedicated to this; null: those that are not dedicated"
    )

    def place(self) -> Place:
        """As it is decided."""
        told = self.model_fields_set
        return Place(
            tags=(self.tags or ()) if "tags" in told else None,
            revenue=(self.revenue or 0.0) if "revenue" in told else None,
            dedicated_to=(self.dedicated_to or "") if "dedicated_to" in told else None,
        )


class Tenant(Output):
    """A tenant and where it lives."""

    tenant_id: str
    display_name: str
    plan: str
    region: str | None
    state: State
    cell_id: str | None = Field(description="null once it is deleted")
    epoch: int | None
    settled: bool = Field(description="whether its cell has carried the last decision out")
    rate: Rate | None = Field(description="the limit of its requests; null: none")
    tags: list[str] = Field(description="its cell must have all of them")
    revenue: float = Field(description="per month")
    dedicated_to: str | None = Field(description="its cell must be dedicated to this; null: to nobody")
    create_time: datetime
    update_time: datetime

    @classmethod
    def of(cls, tenant: values.Tenant) -> Self:
        """As operators see it."""
        return cls.model_validate(_fields(tenant))


class RunnerUp(Output):
    """A cell that would have done."""

    cell_id: str
    score: float
    reason: str


class Placement(Output):
    """Why the tenant lives where it does."""

    cell_id: str
    score: float | None = Field(
        description="the share of the cell's places that stays free; null: decided earlier"
    )
    reasons: list[str]
    runners_up: list[RunnerUp]


class CreatedTenant(Tenant):
    """A new tenant, with its first API key, which is shown this once."""

    api_key: str | None
    operation: str | None = Field(description="what onboards its customer; null: nobody is onboarded")
    placement: Placement


class TenantPage(Output):
    """Some tenants, in the order of their names."""

    tenants: list[Tenant]
    next_page_token: str = Field(default="", description="empty on the last page")


class TenantQuery(Page):
    """Which tenants."""

    cell: Name | None = Field(default=None, description="only tenants of this cell")
    state: State | None = Field(default=None, description="only tenants in this state")


class Tenants:
    """The handlers."""

    def __init__(self, directory: Directory, creation: Creation, decisions: Decisions, tokens: PageTokens) -> None:
        self._directory = directory
        self._creation = creation
        self._decisions = decisions
        self._tokens = tokens

    def endpoints(self) -> list[Endpoint[None]]:
        """In the order of a tenant's life."""
        one = "/v1/tenants/{tenant}"
        return [
            Endpoint(
                "POST", "/v1/tenants", self.create, "Create a tenant in the best cell", "createTenant",
                {201: CreatedTenant}, body=NewTenant, errors=(409, 429), tag="tenants", idempotency="optional",
            ),
            Endpoint(
                "GET", "/v1/tenants", self.listed, "List tenants", "listTenants",
                {200: TenantPage}, query=TenantQuery, tag="tenants",
            ),
            Endpoint("GET", one, self.get, "Look at a tenant", "getTenant", {200: Tenant}, tag="tenants"),
            Endpoint(
                "PATCH", one, self.patch, "Say where the tenant may live, and what it pays", "updateTenant",
                {200: Tenant}, body=TenantPatch, errors=(409,), tag="tenants",
            ),
            Endpoint(
                "PUT", f"{one}/rate", self.limit, "Limit the tenant's requests", "limitTenant",
                {200: Tenant}, body=Rate, errors=(409,), tag="tenants",
            ),
            Endpoint(
                "DELETE", f"{one}/rate", self.unlimit, "Lift the limit of the tenant's requests", "unlimitTenant",
                {200: Tenant}, errors=(409,), tag="tenants",
            ),
            Endpoint(
                "POST", f"{one}:suspend", self.suspend, "Refuse the tenant's requests, keep its data",
                "suspendTenant", {200: Tenant}, errors=(409,), tag="tenants",
            ),
            Endpoint(
                "POST", f"{one}:resume", self.resume, "Serve a suspended tenant again", "resumeTenant",
                {200: Tenant}, errors=(409,), tag="tenants",
            ),
            Endpoint(
                "DELETE", one, self.delete, "Delete a suspended tenant and all its data", "deleteTenant",
                {200: Tenant}, errors=(409,), tag="tenants", role="admin",
            ),
        ]  # fmt: skip

    async def create(self, call: Call[None]) -> Reply:
        """Choose, record, open; the first key is in the answer."""
        body: NewTenant = call.body
        key = call.header("Idempotency-Key")
        rate = body.rate.value() if body.rate else None
        customer = body.customer.value() if body.customer else None
        asked = Asked(
            *(body.tenant_id, body.display_name, body.plan_wanted, body.region, rate, key, customer),
            *(tuple(sorted(set(body.tags))), body.revenue, body.dedicated_to or ""),
        )
        return Reply(201, _created(await self._creation.create(asked)))

    async def listed(self, call: Call[None]) -> Reply:
        """By name."""
        query: TenantQuery = call.query
        made_for = ("tenants", query.cell or "", query.state or "")
        after = str(self._tokens.open(made_for, query.page_token)[0]) if query.page_token else ""
        size = page_size(query.page_size)
        found = await self._directory.tenants(after=after, limit=size + 1, cell_id=query.cell, state=query.state)
        more = self._tokens.seal(made_for, [found[size - 1].tenant_id]) if len(found) > size else ""
        return Reply(body=TenantPage(tenants=[Tenant.of(t) for t in found[:size]], next_page_token=more))

    async def get(self, call: Call[None]) -> Reply:
        """Deleted ones too: their names stay taken."""
        return Reply(body=Tenant.of(await self._directory.tenant(name(call.path, "tenant"))))

    async def patch(self, call: Call[None]) -> Reply:
        """Merge patch (RFC 7396)."""
        patch: TenantPatch = call.body
        return Reply(body=Tenant.of(await self._decisions.place(name(call.path, "tenant"), patch.place())))

    async def limit(self, call: Call[None]) -> Reply:
        """In place of the one before; routers follow within moments."""
        body: Rate = call.body
        return await self._limit(call, body.value())

    async def unlimit(self, call: Call[None]) -> Reply:
        """As if there had never been one."""
        return await self._limit(call, None)

    async def _limit(self, call: Call[None], rate: values.Rate | None) -> Reply:
        return Reply(body=Tenant.of(await self._decisions.limit(name(call.path, "tenant"), rate)))

    async def suspend(self, call: Call[None]) -> Reply:
        """Its data stays."""
        return await self._decide(call, "suspend")

    async def resume(self, call: Call[None]) -> Reply:
        """The reverse of suspend."""
        return await self._decide(call, "resume")

    async def delete(self, call: Call[None]) -> Reply:
        """Every row of it in its cell goes, then the assignment."""
        return await self._decide(call, "delete")

    async def _decide(self, call: Call[None], event: TenantEvent) -> Reply:
        return Reply(body=Tenant.of(await self._decisions.decide(name(call.path, "tenant"), event)))


def _fields(tenant: values.Tenant) -> dict[str, object]:
    home = tenant.assignment
    return {
        "tenant_id": tenant.tenant_id,
        "display_name": tenant.display_name,
        "plan": tenant.plan,
        "region": tenant.region,
        "state": tenant.state,
        "cell_id": home.cell_id if home else None,
        "epoch": home.epoch if home else None,
        "settled": tenant.settled,
        "rate": asdict(tenant.rate) if tenant.rate else None,
        "tags": list(tenant.tags),
        "revenue": tenant.revenue,
        "dedicated_to": tenant.dedicated_to or None,
        "create_time": tenant.created_at,
        "update_time": tenant.updated_at,
    }


def _created(created: Created) -> CreatedTenant:
    placement = _earlier(created.tenant) if created.choice is None else _chosen(created.choice)
    fields = _fields(created.tenant)
    own = {"api_key": created.api_key, "operation": created.operation, "placement": placement}
    return CreatedTenant.model_validate({**fields, **own})


def _chosen(choice: Choice) -> Placement:
    runners_up = [RunnerUp(cell_id=r.cell_id, score=r.score, reason=r.reason) for r in choice.runners_up]
    return Placement(
        cell_id=choice.cell_id, score=choice.score, reasons=list(choice.reasons), runners_up=runners_up
    )


def _earlier(tenant: values.Tenant) -> Placement:
    reasons = ["decided by the first request with this Idempotency-Key"]
    cell_id = tenant.assignment.cell_id if tenant.assignment else ""
    return Placement(cell_id=cell_id, score=None, reasons=reasons, runners_up=[])
