"""Tells a cell what the directory has decided about a tenant, and notes that it was carried out.

Idempotent at both ends: the cell refuses what is older than what it knows, and the directory notes only the latest
decision. So the request, the reconcilers of several instances and a client's retry may all do it at once.
When that fails, `Unavailable` comes by a deadline, and the decision stays recorded. An order that fails says
nothing about its cell yet: the cell is then asked who it is, and only when it does not answer that is it `Silent`.
"""

import asyncio
from collections.abc import Iterator, Set
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from typing import Literal

from directory.control.client import CellControl
from directory.control.contract import OnboardingOrder, TenantOrder, TenantReport, WorkReport
from directory.errors import DirectoryError, NotFound, Refused, Silent, Stale, Unavailable, Unfinished
from directory.truth import Directory
from directory.values import Cell, Customer, Tenant
from placement import metrics
from placement.errors import CellAhead, NotProved
from placement.proving import prove
from placement.reach import Reach
from runtime import logs

log = logs.get("placement.carrying")

CARRY_SECONDS = 7.0
"""For one order; shorter than the control client's own deadline. With the question that follows a failure it is
shorter than what a client waits."""
ATTEMPTS = 3
"""How often a decision may be overtaken by a later one before the reconciler is left to it."""


@dataclass(frozen=True, slots=True)
class Carried:
    """The tenant as it is now; `api_key` is its first key, a secret, when one was asked for.

    `onboarding` is what the cell does for the customer that came along, or why it refuses to.
    """

    tenant: Tenant
    api_key: str | None = None
    onboarding: WorkReport | Stale | None = None


@dataclass(frozen=True, slots=True)
class Wish:
    """What goes to the cell along with the decision. The seed is as secret as the key that is made of it."""

    first_key_seed: str | None = field(repr=False)
    customer: Customer | None


Told = tuple[TenantReport, WorkReport | Stale | None]
"""What the cell holds now, and what it does for the customer."""


class Carrier:
    """Carries decisions to cells."""

    def __init__(self, directory: Directory, control: CellControl, reach: Reach) -> None:
        self._directory = directory
        self._control = control
        self._reach = reach
        self._busy: dict[str, int] = {}

    @property
    def busy(self) -> Set[str]:
        """Tenants whose decision is being carried to a cell by this process right now."""
        return self._busy.keys()

    async def carry_out(
        self, tenant: Tenant, first_key_seed: str | None = None, customer: Customer | None = None
    ) -> Carried:
        """Carry the tenant's latest decision out, even when it was before.

        `customer` is who came with the tenant: whoever asks again is told of the same operation.
        Unavailable, which may be Silent or Unfinished; Refused; CellAhead.
        """
        wish = Wish(first_key_seed, tenant.customer or customer)
        api_key: str | None = None
        with logs.bound(tenant=tenant.tenant_id), self._being_busy(tenant.tenant_id):
            for _ in range(ATTEMPTS):
                if tenant.assignment is None:
                    return Carried(tenant, api_key)
                try:
                    report, onboarding = await self._tell(tenant, wish)
                    api_key = report.api_key or api_key
                    settled = await self._directory.applied(tenant.tenant_id, tenant.revision)
                    return Carried(settled, api_key, onboarding)
                except Stale as stale:
                    tenant = await self._later(tenant, stale)
        raise Unavailable(f"tenant {tenant.tenant_id} is being changed by others: try again")

    async def _later(self, told: Tenant, stale: Stale) -> Tenant:
        """The decision that overtook the one that was told."""
        latest = await self._directory.tenant(told.tenant_id)
        if (latest.revision, latest.assignment) == (told.revision, told.assignment):
            raise CellAhead(f"the cell of tenant {told.tenant_id} knows a later decision: {stale}")
        return latest

    async def _tell(self, tenant: Tenant, wish: Wish) -> Told:
        if tenant.assignment is None:
            raise Refused(f"tenant {tenant.tenant_id} lives nowhere")
        cell = await self._directory.cell(tenant.assignment.cell_id)
        try:
            told = await self._ordered(cell, tenant, tenant.assignment.epoch, wish)
        except DirectoryError as error:
            metrics.CARRIED.labels(type(error).__name__).inc()
            raise
        metrics.CARRIED.labels("done").inc()
        log.info("decision_carried_out", cell=cell.cell_id, state=tenant.state, revision=tenant.revision)
        return told

    async def _ordered(self, cell: Cell, tenant: Tenant, epoch: int, wish: Wish) -> Told:
        try:
            async with asyncio.timeout(CARRY_SECONDS):
                report = await self._order(cell, tenant, epoch, wish.first_key_seed)
                onboarding = await self._onboard(cell, tenant, wish.customer)
        except Silent as error:
            self._reach.failed(cell.cell_id, str(error))
            raise
        except (Unavailable, TimeoutError) as error:
            why = str(error) or f"cell {cell.cell_id} did not carry it out within {CARRY_SECONDS:g} s"
            await self._require_answer(cell, why)
            raise Unavailable(why) from error
        self._reach.answered(cell.cell_id)
        if report.state == "deleting":
            raise Unfinished(f"cell {cell.cell_id} is still removing the rows of tenant {tenant.tenant_id}")
        return report, onboarding

    async def _require_answer(self, cell: Cell, why: str) -> None:
        """Silent unless the cell says who it is."""
        try:
            await prove(self._control, self._reach, cell)
        except (DirectoryError, NotProved) as error:
            raise Silent(f"{why}; {error}") from error

    async def _order(self, cell: Cell, tenant: Tenant, epoch: int, first_key_seed: str | None) -> TenantReport:
        if tenant.state != "deleted":
            return await self._control.put_tenant(
                cell, tenant.tenant_id, _order(tenant, epoch, tenant.state, first_key_seed)
            )
        try:
            return await self._control.delete_tenant(cell, tenant.tenant_id, epoch, tenant.revision)
        except NotFound:
            # Its creation never reached the cell. It is opened, unserved, to be closed for good: otherwise a
            # messenger of the creation that comes late would find nothing that refuses it.
            # Stale: another messenger has done just this meanwhile, and the deletion finds what it left.
            with suppress(Stale):
                await self._control.put_tenant(cell, tenant.tenant_id, _order(tenant, epoch, "suspended", None))
            return await self._control.delete_tenant(cell, tenant.tenant_id, epoch, tenant.revision)

    async def _onboard(self, cell: Cell, tenant: Tenant, customer: Customer | None) -> WorkReport | Stale | None:
        """Again is the same work: the order names it."""
        if customer is None or tenant.state == "deleted":
            return None
        try:
            return await self._control.onboard(cell, tenant.tenant_id, OnboardingOrder(**asdict(customer)))
        except NotFound as error:
            raise Unavailable(f"cell {cell.cell_id} onboards nobody now: {error}") from error
        except Stale as refusal:
            # Somebody else has had a customer onboarded there: this one would never be, and is not tried for ever.
            log.warning("customer_refused", cell=cell.cell_id, reason=str(refusal))
            return refusal

    @contextmanager
    def _being_busy(self, tenant_id: str) -> Iterator[None]:
        self._busy[tenant_id] = self._busy.get(tenant_id, 0) + 1
        try:
            yield
        finally:
            self._busy[tenant_id] -= 1
            if not self._busy[tenant_id]:
                del self._busy[tenant_id]


def _order(
    tenant: Tenant, epoch: int, state: Literal["active", "suspended"], first_key_seed: str | None
) -> TenantOrder:
    return TenantOrder(
        epoch=epoch,
        revision=tenant.revision,
        state=state,
        display_name=tenant.display_name,
        plan=tenant.plan,
        first_key_seed=first_key_seed,
    )
