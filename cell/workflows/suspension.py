"""The operator suspends a subscription, and resumes it: nothing is served, and nothing is charged, in between."""

from cell.orchestrator.actions import There
from cell.orchestrator.registry import Bound
from cell.parties.seams import Parties
from cell.rules.subscriptions import OPERATOR
from cell.rules.workflows import Step, Workflow
from cell.workflows.subscription import CLAIM, RELEASE, SETTLE, block

SUSPENSION = Workflow(
    "suspension",
    1,
    [
        Step("block", undoes=True),
        Step("billing", undoes=True),
        Step("settle", commits=True),
        Step("notify", best_effort=True, deadline_seconds=15.0),
    ],
    cancellable=False,
)
REACTIVATION = Workflow(
    "reactivation",
    1,
    [
        Step("claim", undoes=True),
        Step("billing", undoes=True),
        Step("release", commits=True),
        Step("notify", best_effort=True, deadline_seconds=15.0),
    ],
    cancellable=False,
)


def suspension(parties: Parties) -> Bound:
    """No payload."""
    mail = parties.mail.letter(
        lambda call: {"letter": "suspended", "recipient": call.outputs["block"]["email"]},
    )
    return Bound(
        SUSPENSION,
        {
            "block": block(OPERATOR, keep=True),
            "billing": There(parties.billing.pause(lambda _call: {})),
            "settle": SETTLE,
            "notify": There(mail),
        },
    )


def reactivation(parties: Parties) -> Bound:
    """No payload."""
    mail = parties.mail.letter(
        lambda call: {"letter": "resumed", "recipient": call.outputs["claim"]["email"]},
    )
    return Bound(
        REACTIVATION,
        {
            "claim": CLAIM,
            "billing": There(parties.billing.resume(lambda _call: {})),
            "release": RELEASE,
            "notify": There(mail),
        },
    )
