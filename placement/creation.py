"""A tenant is asked for: choose a cell, record it, open it there, answer with its first key.

    look ──▶ choose ──▶ record (compare-and-set) ──▶ tell the cell ──▶ note ──▶ publish ──▶ answer
      │         ▲            │ less room than was seen
      │         └────────────┘
      └─ known: the same Idempotency-Key and body within a day ──▶ tell the cell …

What dies after `record` is finished by the reconciler; the client's retry gets the same first key. A customer is
recorded with its tenant and told to the cell with it, so whoever opens the tenant begins the onboarding too.
"""

import hashlib
from contextlib import suppress
from dataclasses import astuple, dataclass
from datetime import timedelta

from directory.errors import AlreadyExists, CellFull, NotFound, Stale, Unavailable
from directory.publisher import Publisher
from directory.reservations import Booking, Use
from directory.rules.capacities import misfit
from directory.truth import Directory
from directory.values import Customer, NewTenant, Rate, Tenant
from placement import metrics
from placement.balancing.choosing import Choice
from placement.carrying import Carrier
from placement.choosing import Chooser
from placement.rules.picturing import Wanted
from placement.seeds import Seeds
from runtime import logs
from runtime.api.problem import ApiError
from runtime.clock import Clock, SystemClock

log = logs.get("placement.creation")

REPLAY_FOR = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Asked:
    """A tenant as it is asked for, and the Idempotency-Key with it."""

    tenant_id: str
    display_name: str
    plan: str
    region: str | None
    rate: Rate | None
    idempotency_key: str | None
    customer: Customer | None = None
    tags: tuple[str, ...] = ()
    revenue: float = 0.0
    dedicated_to: str = ""
    near: tuple[str, ...] = ()
    reservation_id: str = ""

    def digest(self) -> str:
        """The same for the same wish, however its JSON was written."""
        parts = [self.tenant_id, self.display_name, self.plan, self.region or ""]
        if self.rate is not None:
            parts.append(f"{self.rate.per_second!r} {self.rate.burst}")
        if self.customer is not None:
            parts.append(repr(astuple(self.customer)))
        # What is not asked for leaves the digest as it was before one could.
        later = ("tags", "revenue", "dedicated_to", "near", "reservation_id")
        parts += [f"{name} {wish!r}" for name in later if (wish := getattr(self, name))]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def wanted(self) -> Wanted:
        """What a cell is chosen by."""
        return Wanted(self.plan, self.region, self.near, self.tags, self.revenue, self.dedicated_to)

    def recorded(self) -> NewTenant:
        """What the directory keeps of it."""
        return NewTenant(
            tenant_id=self.tenant_id,
            display_name=self.display_name,
            plan=self.plan,
            region=self.region,
            creation_key=self.idempotency_key,
            creation_digest=self.digest(),
            rate=self.rate,
            customer=self.customer,
            tags=self.tags,
            revenue=self.revenue,
            dedicated_to=self.dedicated_to,
        )


@dataclass(frozen=True, slots=True)
class Created:
    """The tenant, its first key, and why it lives where it does (None when that was decided earlier, or reserved).

    `operation` onboards its customer; None when there is none. `reservation_id`: in the room that this one kept.
    """

    tenant: Tenant
    api_key: str | None
    choice: Choice | None
    operation: str | None = None
    reservation_id: str = ""


class Creation:
    """Creates tenants."""

    def __init__(
        self,
        directory: Directory,
        carrier: Carrier,
        chooser: Chooser,
        seeds: Seeds,
        publisher: Publisher,
        clock: Clock | None = None,
    ) -> None:
        self._directory = directory
        self._publisher = publisher
        self._carrier = carrier
        self._chooser = chooser
        self._seeds = seeds
        self._clock = clock or SystemClock()

    async def create(self, asked: Asked) -> Created:
        """ApiError 409, 422, 429; Unavailable, also when the tenant is recorded and its cell does not answer."""
        tenant, choice = await self._recorded(asked)
        seed = self._seeds.first_key(asked.tenant_id, asked.idempotency_key)
        try:
            carried = await self._carrier.carry_out(tenant, seed, asked.customer)
        except Unavailable as error:
            raise _waiting(tenant, error) from error
        if isinstance(carried.onboarding, Stale):
            raise _refused(carried.tenant, carried.onboarding)
        # The new tenant's first request may come at once, so routers are told before it is answered.
        with suppress(Unavailable):
            await self._publisher.flush()
        operation = carried.onboarding.operation if carried.onboarding else None
        return Created(carried.tenant, carried.api_key, choice, operation, asked.reservation_id)

    async def _recorded(self, asked: Asked) -> tuple[Tenant, Choice | None]:
        try:
            return self._replayed(asked, await self._directory.tenant(asked.tenant_id)), None
        except NotFound:
            pass
        try:
            return await self._placed(asked)
        except (AlreadyExists, NotFound, ApiError) as refused:
            # Somebody was quicker, and has its room: perhaps the same client's own retry.
            try:
                known = await self._directory.tenant(asked.tenant_id)
            except NotFound:
                raise refused from None
            return self._replayed(asked, known), None

    async def _placed(self, asked: Asked) -> tuple[Tenant, Choice | None]:
        if asked.reservation_id:
            return await self._reserved(asked), None

        async def record(cell_id: str, booking: Booking) -> Tenant:
            return await self._directory.create_tenant(asked.recorded(), cell_id, booking)

        tenant, choice = await self._chooser.settle(asked.wanted(), record)
        metrics.PLACED.labels(choice.cell_id).inc()
        log.info("tenant_placed", tenant=asked.tenant_id, cell=choice.cell_id, score=choice.score)
        return tenant, choice

    async def _reserved(self, asked: Asked) -> Tenant:
        kept = await self._chooser.reservation(asked.reservation_id)
        use = Use(kept.reservation_id, asked.wanted().takes())
        try:
            tenant = await self._directory.create_tenant(asked.recorded(), kept.cell_id, use)
        except CellFull as error:
            cell = await self._directory.cell(kept.cell_id)
            why = misfit(cell, asked.recorded()) or f"{cell.cell_id} is {cell.state} or full"
            message = f"reservation {kept.reservation_id} does not fit this tenant: {why}"
            raise ApiError("FAILED_PRECONDITION", message, field="reservation") from error
        except Stale as error:
            raise ApiError("FAILED_PRECONDITION", str(error), field="reservation") from error
        metrics.PLACED.labels(kept.cell_id).inc()
        log.info("tenant_placed", tenant=asked.tenant_id, cell=kept.cell_id, reservation=kept.reservation_id)
        return tenant

    def _replayed(self, asked: Asked, known: Tenant) -> Tenant:
        """The tenant, when this is a retry of the request that created it."""
        same_key = asked.idempotency_key is not None and asked.idempotency_key == known.creation_key
        if not same_key or self._clock.now() - known.created_at > REPLAY_FOR or known.state == "deleted":
            raise AlreadyExists(f"tenant {known.tenant_id} exists already, or existed once")
        if known.creation_digest != asked.digest():
            message = "this Idempotency-Key was sent with another body: take a new one for a new wish"
            raise ApiError("INVALID_ARGUMENT", message, status=422, field="Idempotency-Key")
        return known


def _refused(tenant: Tenant, why: Stale) -> ApiError:
    message = f"the tenant is created; its customer cannot be onboarded, because another order came first: {why}"
    return ApiError("FAILED_PRECONDITION", message, metadata={"tenant_id": tenant.tenant_id})


def _waiting(tenant: Tenant, error: Unavailable) -> ApiError:
    where = tenant.assignment.cell_id if tenant.assignment else None
    message = (
        f"the tenant is recorded and will be opened as soon as its cell answers ({error}); "
        "retry with the same Idempotency-Key for its first API key, or make one later"
    )
    return ApiError("UNAVAILABLE", message, metadata={"tenant_id": tenant.tenant_id, "cell_id": where})
