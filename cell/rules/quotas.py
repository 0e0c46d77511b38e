"""Who is over a quota, and what they are told. Pure.

A quota says how much a tenant may have (`directory.rules.plans`). Waiting does not help whoever reached it, so the
answer is 403 and not retryable, unlike the 429 of somebody who only asks too often.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from directory.rules.plans import Plan
from runtime.api.problem import ApiError

QuotaName = Literal["namespaces", "storage_bytes"]
Use = Mapping[QuotaName, int]
"""How much a tenant has."""


@dataclass(frozen=True, slots=True)
class Quota:
    """One quota: what a plan gives, what it is called, and how to get below it."""

    name: QuotaName
    gives: Callable[[Plan], int]
    words: str
    way_out: str


QUOTAS: Sequence[Quota] = (
    Quota("namespaces", lambda plan: plan.most_namespaces, "namespaces", "delete one that is no longer needed"),
    Quota("storage_bytes", lambda plan: plan.storage_bytes, "bytes of storage", "store less"),
)


@dataclass(frozen=True, slots=True)
class Share:
    """What a tenant has of what its plan gives."""

    quota: Quota
    plan: Plan
    used: int

    @property
    def most(self) -> int:
        return self.quota.gives(self.plan)

    @property
    def over(self) -> bool:
        return self.used > self.most


def shares(plan: Plan, use: Use) -> Sequence[Share]:
    """All quotas of a plan; those that are `over` stand in the way of changing to it."""
    return [Share(quota, plan, use[quota.name]) for quota in QUOTAS]


def check(plan: Plan, use: Use, quota: QuotaName, added: int) -> None:
    """ApiError 403 when the quota is exceeded by `use`, of which `added` would be new."""
    share = next(share for share in shares(plan, use) if share.quota.name == quota)
    if share.over:
        raise refused(share, share.used - added)


def refused(share: Share, used: int) -> ApiError:
    """What somebody is told who wants more than there is; `used`: what they have already."""
    quota, plan = share.quota, share.plan
    message = (
        f'the plan "{plan.name}" gives {share.most} {quota.words}, and {used} are in use: '
        f"{quota.way_out}, or change to a plan that gives more"
    )
    metadata = {"quota": quota.name, "limit": str(share.most), "used": str(used), "plan": plan.name}
    return ApiError("RESOURCE_EXHAUSTED", message, status=403, retryable=False, metadata=metadata)
