"""Another plan: billing first, then what it gives. What billing refuses changes nothing."""

import json

from cell import quotas
from cell.database import SQL
from cell.orchestrator.actions import Call, Here, There
from cell.orchestrator.registry import Bound
from cell.parties.seams import Parties
from cell.rules.subscriptions import check_fits, moved
from cell.rules.turns import Output
from cell.rules.workflows import Step, Workflow
from cell.workflows.subscription import CLAIM, locked, not_cancelled, tell_trial
from directory.rules.plans import plan_of
from runtime.database import Connection

WORKFLOW = Workflow(
    "plan_change",
    1,
    [
        Step("claim", undoes=True),
        Step("billing", undoes=True),
        Step("entitlements", commits=True),
        Step("notify", best_effort=True, deadline_seconds=15.0),
    ],
)


def plan_change(parties: Parties) -> Bound:
    """The payload: `plan`."""
    return Bound(
        WORKFLOW,
        {
            "claim": CLAIM,
            "billing": There(parties.billing.change_plan(lambda call: {"plan": call.payload["plan"]})),
            "entitlements": Here(_entitlements),
            "notify": There(
                parties.mail.letter(
                    lambda call: {
                        "letter": "plan_changed",
                        "recipient": call.outputs["claim"]["email"],
                        "plan": call.payload["plan"],
                    }
                )
            ),
        },
    )


async def _entitlements(connection: Connection, call: Call) -> Output:
    """The limits, in each namespace too; from here on it is paid for, whatever timer fires now."""
    row = await locked(connection)
    await not_cancelled(connection, call)
    plan = plan_of(call.payload["plan"])
    # Once more: namespaces may have come since it was asked for. NotAllowed undoes what billing did.
    await quotas.hold(connection, call.tenant_id)
    check_fits(plan, await quotas.use(connection))
    await connection.execute(SQL["set_subscription_plan"], plan.name, moved(row["standing"], "pay"))
    given = {"most_users": plan.most_users, "storage_bytes": plan.storage_bytes}
    await connection.execute(SQL["set_all_allocation_settings"], json.dumps(given))
    await tell_trial(connection, row)
    return {"plan": plan.name, "before": row["plan"]}
