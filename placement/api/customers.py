"""Customers come and go: begun by the tenant's cell, which carries it out by itself; placement passes on."""

from typing import Annotated, ClassVar, Self

from pydantic import AfterValidator, Field, StringConstraints, WithJsonSchema

from directory import values
from directory.control.client import CellControl
from directory.control.contract import OffboardingOrder, OnboardingOrder, WorkReport
from directory.errors import NotAllowed, NotFound
from directory.rules.plans import PLANS, STANDARD, check_plan
from directory.truth import Directory
from placement.api.capacities import Revenue, Tags
from placement.api.homes import opening
from placement.api.values import name
from placement.decisions import Decisions, Place
from runtime.api.endpoint import Call, Endpoint, Input, Output, Reply
from runtime.api.problem import not_found
from runtime.api.texts import Email, Identifier, Line

PlanName = Annotated[
    str,
    StringConstraints(max_length=40),
    AfterValidator(check_plan),
    WithJsonSchema({"type": "string", "enum": sorted(PLANS)}),
]


class Customer(Input):
    """Who comes, and what for."""

    recorded: ClassVar[frozenset[str]] = frozenset({"account_id", "namespace_id", "plan", "trial_days"})

    email: Email = Field(description="of the first administrator; the welcome goes there")
    display_name: Line
    account_id: Identifier
    namespace_id: Identifier
    plan: PlanName = STANDARD.name
    trial_days: int | None = Field(default=None, ge=1, le=365, description="null: pays at once")

    def value(self) -> values.Customer:
        """As the directory keeps it until the cell knows."""
        return values.Customer(**self.model_dump(exclude={"attempt"}))


class Onboarding(Customer):
    """The order that onboards a customer. The same again is the same work; another one is refused.

    What the tenant's cell must have, and what it pays, is no part of the order: it is as `PATCH` of the tenant.
    """

    recorded: ClassVar[frozenset[str]] = frozenset(
        {"account_id", "namespace_id", "plan", "trial_days", "attempt", "tags", "revenue"}
    )

    attempt: int = Field(default=1, ge=1, le=999, description="count up to try again after it was rolled back")
    tags: Tags | None = Field(
        default=None, description="only cells that have all of them, from now on; null: as it is"
    )
    revenue: Revenue | None = Field(
        default=None, description="per month, in the unit of the cells' caps; null: as it is"
    )

    def order(self) -> OnboardingOrder:
        """What the cell is told."""
        return OnboardingOrder(**self.model_dump(exclude={"tags", "revenue"}))

    def place(self) -> Place | None:
        """What placement keeps; None: nothing changes."""
        if self.tags is None and self.revenue is None:
            return None
        return Place(tags=self.tags, revenue=self.revenue)


class Offboarding(Input):
    """A customer leaves. Its data is kept for so long, and can be had back until then."""

    recorded: ClassVar[frozenset[str]] = frozenset({"retention_days"})

    retention_days: int = Field(default=30, ge=30, le=90)


class Work(Output):
    """Work of a tenant's cell, which goes on by itself."""

    tenant_id: str
    cell_id: str
    operation: str
    state: str = Field(description="the step that matters; COMPLETED and ROLLED_BACK are ends")

    @classmethod
    def of(cls, tenant_id: str, cell: values.Cell, report: WorkReport) -> Self:
        """As operators see it."""
        return cls(tenant_id=tenant_id, cell_id=cell.cell_id, operation=report.operation, state=report.state)


class Customers:
    """The handlers."""

    def __init__(self, directory: Directory, control: CellControl, decisions: Decisions) -> None:
        self._directory = directory
        self._control = control
        self._decisions = decisions

    def endpoints(self) -> list[Endpoint[None]]:
        """Come, leave, stay."""
        one = "/v1/tenants/{tenant}"
        return [
            Endpoint(
                "PUT", f"{one}/onboarding", self.onboard, "Onboard a customer, or see how far it is",
                "onboardCustomer", {200: Work}, body=Onboarding, errors=(409,), tag="customers",
            ),
            Endpoint(
                "POST", f"{one}/offboarding", self.offboard, "Let a customer leave, or see how far it is",
                "offboardCustomer", {200: Work}, body=Offboarding, errors=(409,), tag="customers",
            ),
            Endpoint(
                "POST", f"{one}/offboarding:cancel", self.stay, "Keep a customer who was to leave",
                "cancelOffboarding", {200: Work}, errors=(409,), tag="customers",
            ),
        ]  # fmt: skip

    async def onboard(self, call: Call[None]) -> Reply:
        """409 when another order was given before."""
        tenant_id, cell = await self._home(call)
        body: Onboarding = call.body
        try:
            report = await self._control.onboard(cell, tenant_id, body.order())
        except NotFound as error:
            raise opening(cell, tenant_id, error) from error
        # Last, so that an order that is refused changes nothing; the same call again makes up for what was missed.
        if (place := body.place()) is not None:
            await self._decisions.place(tenant_id, place)
        return Reply(body=Work.of(tenant_id, cell, report))

    async def offboard(self, call: Call[None]) -> Reply:
        """404 without a subscription; 409 while something else changes it."""
        tenant_id, cell = await self._home(call)
        body: Offboarding = call.body
        try:
            report = await self._control.offboard(cell, tenant_id, OffboardingOrder(**body.model_dump()))
        except NotFound:
            raise not_found("subscription of tenant", tenant_id) from None
        return Reply(body=Work.of(tenant_id, cell, report))

    async def stay(self, call: Call[None]) -> Reply:
        """409 once the deletion has begun."""
        tenant_id, cell = await self._home(call)
        try:
            report = await self._control.cancel_offboarding(cell, tenant_id)
        except NotFound:
            raise not_found("subscription of tenant", tenant_id) from None
        return Reply(body=Work.of(tenant_id, cell, report))

    async def _home(self, call: Call[None]) -> tuple[str, values.Cell]:
        """The tenant and its cell, which knows of it."""
        tenant = await self._decisions.settle(name(call.path, "tenant"))
        if tenant.assignment is None:
            raise NotAllowed(f"tenant {tenant.tenant_id} is deleted: it has no customer")
        return tenant.tenant_id, await self._directory.cell(tenant.assignment.cell_id)
