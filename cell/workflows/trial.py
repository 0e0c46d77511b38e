"""A trial: it ends by a payment or by time; then a mail, seven days' grace, and the subscription is suspended.

A payment wins at any moment: whether a trial is over is decided under the lock of the subscription's row, and not
while a change that may be a payment is under way.
"""

from cell.database import SQL
from cell.orchestrator.actions import Call, Here, Outage, There, Told
from cell.orchestrator.registry import Bound
from cell.parties.seams import Parties
from cell.rules.subscriptions import GRACE_DAYS, OFFBOARDING, StandingEvent, can, moved
from cell.rules.turns import Output
from cell.rules.workflows import Kind, Step, Workflow
from cell.workflows.asked import Asked
from runtime.database import Connection

GRACE_SECONDS = GRACE_DAYS * 86_400.0
WORKFLOW = Workflow(
    "trial",
    1,
    [
        Step("upgraded", Kind.SIGNAL),
        Step("expire"),
        Step("upgraded_in_grace", Kind.SIGNAL),
        Step("lapse"),
        # Mails keep nothing waiting.
        Step("warn", after=("expire",), best_effort=True, deadline_seconds=15.0),
        Step("notify", after=("lapse",), best_effort=True, deadline_seconds=15.0),
    ],
    cancellable=False,
)


class Undecided(Outage):
    """A change of the subscription is under way, and may be a payment."""


def trial(parties: Parties) -> Bound:
    """The payload: `trial_seconds`, `email`, `plan`."""
    warn = parties.mail.letter(
        lambda call: {
            "letter": "trial_over",
            "recipient": call.payload["email"],
            "plan": call.payload["plan"],
            "days": GRACE_DAYS,
        }
    )
    notify = parties.mail.letter(lambda call: {"letter": "unpaid", "recipient": call.payload["email"]})
    return Bound(
        WORKFLOW,
        {
            "upgraded": Told(lambda call: float(call.payload["trial_seconds"])),
            "expire": Here(_expire),
            "upgraded_in_grace": Told(lambda call: GRACE_SECONDS if call.outputs["expire"]["happened"] else 0.0),
            "lapse": Here(_lapse),
            "warn": There(Asked(warn, lambda call: bool(call.outputs["expire"]["told"]))),
            "notify": There(Asked(notify, lambda call: bool(call.outputs["lapse"]["told"]))),
        },
    )


async def _expire(connection: Connection, call: Call) -> Output:
    return await _decide(connection, call, "expire")


async def _lapse(connection: Connection, call: Call) -> Output:
    return await _decide(connection, call, "lapse")


async def _decide(connection: Connection, call: Call, event: StandingEvent) -> Output:
    row = await connection.fetchrow(SQL["lock_subscription"])
    ours = row is not None and row["trial_operation"] == call.orchestration_id
    if row is None or not ours or not can(row["standing"], event):
        return {"happened": False, "told": False}  # paid, or gone
    if row["changing"] is not None:
        raise Undecided("the subscription is being changed")
    standing = moved(row["standing"], event)
    await connection.execute(SQL["set_subscription_standing"], standing, list(row["blocks"]), None)
    return {"happened": True, "told": OFFBOARDING not in row["blocks"]}
