"""Suspend, resume, delete: the decision is recorded first, then its cell is told. Limits concern routers alone,
and where a tenant may live concerns placement alone.

Asking again for what is decided already changes nothing and is answered as the first time, so a client may retry.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from directory.errors import NotAllowed, Unavailable
from directory.rules.states import TENANTS, TenantEvent
from directory.truth import Directory
from directory.values import Rate, Tenant, TenantState
from placement.carrying import Carrier
from runtime import logs

log = logs.get("placement.decisions")

LEADS_TO: Mapping[TenantEvent, TenantState] = {event: state for (_, event), state in TENANTS.items()}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a tenant may live, and what it pays; None stays as it is."""

    tags: tuple[str, ...] | None = None
    revenue: float | None = None
    dedicated_to: str | None = None


class Decisions:
    """Decides about tenants that exist."""

    def __init__(self, directory: Directory, carrier: Carrier) -> None:
        self._directory = directory
        self._carrier = carrier

    async def decide(self, tenant_id: str, event: TenantEvent) -> Tenant:
        """NotFound; NotAllowed; Unavailable, also when it is recorded and the cell does not answer."""
        tenant = await self._decided(tenant_id, event)
        return tenant if tenant.settled else await self._carried_out(tenant)

    async def limit(self, tenant_id: str, rate: Rate | None) -> Tenant:
        """Routers hear of it by a numbered change, so it waits for no cell. NotFound; NotAllowed; Unavailable."""
        tenant = await self._directory.limit_tenant(tenant_id, rate)
        told = (None, None) if rate is None else (rate.per_second, rate.burst)
        log.info("tenant_limited", tenant=tenant_id, per_second=told[0], burst=told[1])
        return tenant

    async def place(self, tenant_id: str, place: Place) -> Tenant:
        """No cell and no router has to know. NotFound; NotAllowed; BadCapacity; Unavailable."""
        tenant = await self._directory.place_tenant(
            tenant_id, tags=place.tags, revenue=place.revenue, dedicated_to=place.dedicated_to
        )
        log.info("tenant_needs", tenant=tenant_id, tags=tenant.tags, dedicated_to=tenant.dedicated_to)
        return tenant

    async def settle(self, tenant_id: str) -> Tenant:
        """The tenant, once its cell has carried out what is recorded. NotFound; Unavailable."""
        tenant = await self._directory.tenant(tenant_id)
        return tenant if tenant.settled else await self._carried_out(tenant)

    async def _decided(self, tenant_id: str, event: TenantEvent) -> Tenant:
        tenant = await self._directory.tenant(tenant_id)
        if tenant.state == LEADS_TO[event]:
            return tenant
        try:
            tenant = await self._directory.change_tenant(tenant_id, event)
        except NotAllowed:
            tenant = await self._directory.tenant(tenant_id)
            if tenant.state != LEADS_TO[event]:
                raise
        log.info("tenant_decided", tenant=tenant_id, decision=event, revision=tenant.revision)
        return tenant

    async def _carried_out(self, tenant: Tenant) -> Tenant:
        try:
            return (await self._carrier.carry_out(tenant)).tenant
        except Unavailable as error:
            said = (
                f"{tenant.tenant_id} is recorded as {tenant.state}, which its cell has yet to carry out, and will"
            )
            raise Unavailable(f"{said}: {error}") from error
