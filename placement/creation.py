"""A tenant is asked for: choose a cell, record it, open it there, answer with its first key.

    look ──▶ choose ──▶ record (compare-and-set) ──▶ tell the cell ──▶ note ──▶ publish ──▶ answer
      │         ▲            │ full meanwhile
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
from directory.truth import Directory
from directory.values import Customer, NewTenant, Rate, Tenant
from placement import metrics
from placement.carrying import Carrier
from placement.reach import Reach
from placement.rules.choose import Choice, Nowhere, Wish, choose
from placement.seeds import Seeds
from runtime import logs
from runtime.api.problem import ApiError
from runtime.clock import Clock, SystemClock

log = logs.get("placement.creation")

REPLAY_FOR = timedelta(hours=24)
MOST_CHOICES = 20
"""How often cells may fill up under our hands. Each time somebody else has placed a tenant, so it is no loop."""


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

    def digest(self) -> str:
        """The same for the same wish, however its JSON was written."""
        parts = [self.tenant_id, self.display_name, self.plan, self.region or ""]
        if self.rate is not None:
            parts.append(f"{self.rate.per_second!r} {self.rate.burst}")
        if self.customer is not None:
            parts.append(repr(astuple(self.customer)))
        # What is not asked for leaves the digest as it was before one could.
        parts += [
            f"{name} {wish!r}" for name in ("tags", "revenue", "dedicated_to") if (wish := getattr(self, name))
        ]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

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
    """The tenant, its first key, and why it lives where it does (None when that was decided earlier).

    `operation` onboards its customer; None when there is none.
    """

    tenant: Tenant
    api_key: str | None
    choice: Choice | None
    operation: str | None = None


class Creation:
    """Creates tenants."""

    def __init__(
        self,
        directory: Directory,
        carrier: Carrier,
        reach: Reach,
        seeds: Seeds,
        publisher: Publisher,
        clock: Clock | None = None,
    ) -> None:
        self._directory = directory
        self._publisher = publisher
        self._carrier = carrier
        self._reach = reach
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
        return Created(carried.tenant, carried.api_key, choice, operation)

    async def _recorded(self, asked: Asked) -> tuple[Tenant, Choice | None]:
        try:
            return self._replayed(asked, await self._directory.tenant(asked.tenant_id)), None
        except NotFound:
            pass
        try:
            return await self._placed(asked)
        except AlreadyExists:
            # Somebody was quicker: perhaps the same client's own retry.
            return self._replayed(asked, await self._directory.tenant(asked.tenant_id)), None

    async def _placed(self, asked: Asked) -> tuple[Tenant, Choice]:
        full: set[str] = set()
        for _ in range(MOST_CHOICES):
            cells = [cell for cell in await self._directory.cells() if cell.cell_id not in full]
            wish = Wish(asked.region, asked.tags, asked.dedicated_to)
            choice = choose(cells, wish, self._reach.silent().keys())
            if isinstance(choice, Nowhere):
                raise nowhere(choice)
            try:
                tenant = await self._directory.create_tenant(asked.recorded(), choice.cell_id)
            except CellFull:
                full.add(choice.cell_id)
                continue
            metrics.PLACED.labels(choice.cell_id).inc()
            log.info("tenant_placed", tenant=asked.tenant_id, cell=choice.cell_id, score=choice.score)
            return tenant, choice
        raise Unavailable("cells fill up faster than one can be chosen: try again")

    def _replayed(self, asked: Asked, known: Tenant) -> Tenant:
        """The tenant, when this is a retry of the request that created it."""
        same_key = asked.idempotency_key is not None and asked.idempotency_key == known.creation_key
        if not same_key or self._clock.now() - known.created_at > REPLAY_FOR or known.state == "deleted":
            raise AlreadyExists(f"tenant {known.tenant_id} exists already, or existed once")
        if known.creation_digest != asked.digest():
            message = "this Idempotency-Key was sent with another body: take a new one for a new wish"
            raise ApiError("INVALID_ARGUMENT", message, status=422, field="Idempotency-Key")
        return known


def nowhere(found: Nowhere) -> ApiError:
    """A fleet without room is a quota: trying again is useless until an operator adds capacity.

    Only when a cell that would do is just joining does time help, and then 503 says so.
    """
    metrics.NOWHERE.inc()
    reasons = {"reasons": list(found.reasons[:20])}
    if found.passing:
        return ApiError("UNAVAILABLE", "no cell is open for this tenant yet, one is joining", metadata=reasons)
    message = f"no cell can take this tenant: {found.reasons[0]}; register a cell, or raise a capacity"
    return ApiError("RESOURCE_EXHAUSTED", message, retryable=False, metadata=reasons)


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
