"""A customer leaves: suspended, exported, kept for a while, then deleted and charged for the last time.

Until the deletion begins the customer may come back: cancelling undoes all of it. `close` is the point of no
return.
"""

from cell.orchestrator.actions import After, There
from cell.orchestrator.registry import Bound
from cell.parties.seams import Parties
from cell.rules.subscriptions import OFFBOARDING
from cell.rules.workflows import Kind, Retry, Step, Workflow
from cell.workflows.deleting import Deletion
from cell.workflows.exporting import Export
from cell.workflows.subscription import CLOSE, block
from runtime.database import Pool

DAY_SECONDS = 86_400.0
PATIENT = Retry(attempts=1000)
"""What has begun must be ended: half a day of failures before a person is asked."""
WORKFLOW = Workflow(
    "offboarding",
    1,
    [
        Step("block", undoes=True),
        Step("billing", undoes=True),
        Step("export", undoes=True, deadline_seconds=20.0),
        Step("retention", Kind.TIMER),
        Step("close", commits=True),
        Step("delete", retry=PATIENT, deadline_seconds=20.0),
        Step("invoice", retry=PATIENT),
        Step("notify", after=("billing",), best_effort=True, deadline_seconds=15.0),
    ],
)


def offboarding(parties: Parties, pool: Pool) -> Bound:
    """The payload: `retention_days`."""
    mail = parties.mail.letter(
        lambda call: {
            "letter": "leaving",
            "recipient": call.outputs["block"]["email"],
            "days": call.payload["retention_days"],
            "operation": call.orchestration_id,
        }
    )
    return Bound(
        WORKFLOW,
        {
            "block": block(OFFBOARDING, keep=False),
            "billing": There(parties.billing.pause(lambda _call: {})),
            "export": There(Export(pool)),
            "retention": After(lambda call: call.payload["retention_days"] * DAY_SECONDS),
            "close": CLOSE,
            "delete": There(Deletion(pool)),
            "invoice": There(parties.billing.close(lambda _call: {})),
            "notify": There(mail),
        },
    )
