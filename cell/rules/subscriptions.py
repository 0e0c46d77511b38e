"""The life of a subscription, as a table: standing × event → standing. What is not there is refused. Pure.

TRIAL ─ expire ─▶ GRACE ─ lapse ─▶ UNPAID            a trial's way, when nobody pays
TRIAL, GRACE, UNPAID, ACTIVE ─ pay ─▶ ACTIVE         at any moment
UNPAID ─ forgive ─▶ ACTIVE                           by the operator
TRIAL, GRACE, UNPAID, ACTIVE ─ close ─▶ CLOSED       for good

*Standing* is what was paid for; a *block* is another reason not to serve a customer. Both may end in any order: a
trial's clock runs on under a block, and a payment does not lift one. What everybody sees is the *state*.
"""

from collections.abc import Collection, Mapping
from typing import Literal

from cell.errors import NotAllowed
from cell.rules.quotas import Use
from cell.rules.states import after
from directory.rules.plans import Plan

Standing = Literal["TRIAL", "ACTIVE", "GRACE", "UNPAID", "CLOSED"]
StandingEvent = Literal["expire", "lapse", "pay", "forgive", "close"]
SubscriptionState = Literal["TRIAL", "ACTIVE", "GRACE", "SUSPENDED", "CLOSED"]
OPERATOR, OFFBOARDING = "OPERATOR", "OFFBOARDING"

STANDINGS: Mapping[tuple[Standing, StandingEvent], Standing] = {
    ("TRIAL", "expire"): "GRACE",
    ("GRACE", "lapse"): "UNPAID",
    ("TRIAL", "pay"): "ACTIVE",
    ("GRACE", "pay"): "ACTIVE",
    ("UNPAID", "pay"): "ACTIVE",
    ("ACTIVE", "pay"): "ACTIVE",
    ("UNPAID", "forgive"): "ACTIVE",
    ("TRIAL", "close"): "CLOSED",
    ("GRACE", "close"): "CLOSED",
    ("UNPAID", "close"): "CLOSED",
    ("ACTIVE", "close"): "CLOSED",
}
GRACE_DAYS = 7
"""After a trial."""
RETENTION_DAYS = (30, 90)
"""At least and at most, between leaving and the deletion of everything."""
REFUSED: frozenset[SubscriptionState] = frozenset({"SUSPENDED", "CLOSED"})
"""In these a customer is served nothing but the way to pay."""


def moved(standing: Standing, event: StandingEvent) -> Standing:
    """The next standing; NotAllowed says what would be possible."""
    return after(STANDINGS, standing, event)


def can(standing: Standing, event: StandingEvent) -> bool:
    """Whether there is such a way."""
    return (standing, event) in STANDINGS


def state(standing: Standing, blocks: Collection[str]) -> SubscriptionState:
    """What everybody sees. The database computes the same, in a column of its own."""
    if standing == "CLOSED":
        return "CLOSED"
    return "SUSPENDED" if standing == "UNPAID" or blocks else standing


def check_free(standing: Standing, blocks: Collection[str], *, paying: bool = False) -> None:
    """Whether a customer or an operator may change anything now. NotAllowed."""
    if standing == "CLOSED":
        raise NotAllowed("this subscription is closed for good")
    if OFFBOARDING in blocks:
        raise NotAllowed("this customer is leaving: cancel that operation first")
    if paying and OPERATOR in blocks:
        raise NotAllowed("this subscription was suspended by the operator, who can resume it")


def check_change(standing: Standing, known: Plan, wanted: Plan, use: Use) -> None:
    """Whether a customer who has so much may have another plan. NotAllowed, with the reason.

    The plan that it has already is one to change to as long as it has not been paid for.
    """
    if wanted == known and standing == "ACTIVE":
        raise NotAllowed(f"the plan is {wanted.name} already")
    check_fits(wanted, use)


def check_fits(wanted: Plan, use: Use) -> None:
    """Whether what a customer has is within a plan's limits. NotAllowed, with the reason."""
    namespaces, stored = use["namespaces"], use["storage_bytes"]
    if namespaces > wanted.most_namespaces:
        more = namespaces - wanted.most_namespaces
        raise NotAllowed(
            f"there are {namespaces} namespaces, and {wanted.name} has room for {wanted.most_namespaces}: "
            f"delete {more} of them first"
        )
    if stored > wanted.storage_bytes:
        raise NotAllowed(
            f"{stored} bytes are stored, and {wanted.name} has room for {wanted.storage_bytes}: "
            f"delete {stored - wanted.storage_bytes} of them first"
        )
