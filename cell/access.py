"""Who asks, and whether this cell may answer: fence, API key and suspension, in one round trip.

The order is the point: the fence comes first, so that a cell that does not own the tenant has no effect and says
nothing about it; then the key, whose refusal is the same for every reason; then suspension, by the operator or of
the subscription, which only those learn who hold a key of the tenant.
"""

import hmac
from dataclasses import dataclass

from cell.database import SQL
from cell.errors import NotHere
from cell.rules import keys
from cell.rules.headers import Routed
from cell.rules.subscriptions import REFUSED
from runtime.api.problem import ApiError, unauthenticated
from runtime.database import Connection


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: a tenant, by one of its API keys, at the epoch at which this cell serves it."""

    tenant_id: str
    epoch: int
    key_id: str


async def enter(
    connection: Connection,
    pepper: bytes,
    routed: Routed,
    authorization: str | None,
    *,
    writing: bool,
    suspended: bool = False,
) -> Caller:
    """Enter the tenant's transaction; decisions wait for who is `writing`. NotHere; ApiError 401 and 403.

    `suspended`: what is asked for is open to those as well whose subscription is suspended.
    """
    api_key = keys.presented(authorization, routed.tenant_id)
    # Also without a usable key: the fence answers first, and takes the same time for everyone.
    presented = keys.hash_of(pepper, api_key or "")
    row = await connection.fetchrow(SQL["enter"], routed.tenant_id, routed.epoch, presented, writing)
    if row is None or row["epoch"] != routed.epoch or row["fence_state"] != "active":
        raise NotHere(0 if row is None else row["epoch"] or 0)
    if api_key is None or row["key_id"] is None or not hmac.compare_digest(row["secret_hash"], presented):
        raise unauthenticated()
    if row["tenant_state"] != "active":
        message = "this tenant is suspended: its data is kept, and the operator can resume it"
        raise ApiError("PERMISSION_DENIED", message, metadata={"reason": "TENANT_SUSPENDED"})
    if row["subscription_state"] in REFUSED and not suspended:
        message = "this subscription is suspended: see /v1/subscription, and choose a plan to go on"
        raise ApiError("PERMISSION_DENIED", message, metadata={"reason": "SUBSCRIPTION_SUSPENDED"})
    return Caller(routed.tenant_id, routed.epoch, row["key_id"])


async def enter_at(connection: Connection, tenant_id: str, epoch: int) -> None:
    """Enter a tenant's transaction without a key, for a job or for an operator. NotHere."""
    row = await connection.fetchrow(SQL["enter_fence"], tenant_id, epoch)
    if row is None or row["epoch"] != epoch or row["state"] != "active":
        raise NotHere(0 if row is None else row["epoch"] or 0)
