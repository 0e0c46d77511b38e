"""A customer comes: people, account, subscription, first namespace, welcome. Undone as a whole when it fails."""

from datetime import datetime
from typing import Any

from cell.database import SQL
from cell.errors import Unfit
from cell.orchestrator import starting
from cell.orchestrator.actions import Call, Here, There
from cell.orchestrator.registry import Bound
from cell.parties.seams import Parties
from cell.rules.turns import Output
from cell.rules.workflows import Step, Workflow
from cell.workflows import provisioning, trial
from cell.workflows.subscription import tell_trial, undone
from runtime.database import Connection

DAY_SECONDS = 86_400.0
WORKFLOW = Workflow(
    "onboarding",
    1,
    [
        Step("identity", undoes=True),
        Step("account", undoes=True),
        Step("billing", undoes=True),
        Step("subscription", undoes=True),
        Step("namespace", undoes=True),
        Step("take_key", undoes=True),
        Step("take_attributes", undoes=True),
        # What a namespace is given goes with it: undoing `namespace` undoes these.
        Step("allocate"),
        Step("configure"),
        Step("encryption_key"),
        Step("search_attributes"),
        Step("publish"),
        Step("trial", undoes=True),
        Step("welcome", best_effort=True, deadline_seconds=15.0),
    ],
)


def onboarding(parties: Parties) -> Bound:
    """The payload: what the order says, and `domain`, under which namespaces answer."""
    return Bound(
        WORKFLOW,
        {
            "identity": There(
                parties.identity.organisation(
                    lambda call: {"display_name": call.payload["display_name"], "email": call.payload["email"]}
                )
            ),
            "account": Here(_account, undone(_no_account)),
            "billing": There(
                parties.billing.subscribe(
                    lambda call: {"plan": call.payload["plan"], "trial_seconds": _trial_seconds(call)}
                )
            ),
            "subscription": Here(_subscription, undone(_no_subscription)),
            "namespace": Here(_namespace, undone(_no_namespace)),
            "take_key": There(parties.resources.take(lambda _call: {"kind": "encryption_key"})),
            "take_attributes": There(parties.resources.take(lambda _call: {"kind": "search_attributes"})),
            "allocate": Here(provisioning.allocate),
            "configure": Here(provisioning.configure),
            "encryption_key": Here(provisioning.encryption_key),
            "search_attributes": Here(provisioning.search_attributes),
            "publish": Here(provisioning.publish),
            "trial": Here(_trial, undone(_no_trial)),
            "welcome": There(
                parties.mail.letter(
                    lambda call: {
                        "letter": "welcome",
                        "recipient": call.payload["email"],
                        "customer": call.payload["display_name"],
                        "account": call.payload["account_id"],
                        "namespace": call.payload["namespace_id"],
                    }
                )
            ),
        },
    )


def _trial_seconds(call: Call) -> float | None:
    days = call.payload["trial_days"]
    return None if days is None else days * DAY_SECONDS


async def _account(connection: Connection, call: Call) -> Output:
    account_id, display_name = call.payload["account_id"], call.payload["display_name"]
    if await connection.fetchrow(SQL["insert_account"], account_id, display_name, "{}") is None:
        raise Unfit(f'account "{account_id}" exists already')
    return {"account_id": account_id}


async def _no_account(connection: Connection, _call: Call, made: Any) -> None:
    await connection.execute(SQL["delete_account"], made["account_id"])


async def _subscription(connection: Connection, call: Call) -> Output:
    ends_at = call.outputs["billing"]["trial_ends_at"]
    made = await connection.fetchrow(
        SQL["insert_subscription"],
        call.payload["plan"],
        "ACTIVE" if ends_at is None else "TRIAL",
        call.payload["email"],
        None if ends_at is None else datetime.fromisoformat(ends_at),
    )
    if made is None:
        raise Unfit("this tenant has a subscription already")
    return {}


async def _no_subscription(connection: Connection, _call: Call, _made: Any) -> None:
    await connection.execute(SQL["delete_subscription"])


async def _namespace(connection: Connection, call: Call) -> Output:
    account_id, namespace_id = call.payload["account_id"], call.payload["namespace_id"]
    made = await connection.fetchrow(
        SQL["insert_namespace"],
        *(account_id, namespace_id, call.payload["display_name"], "{}", "PROVISIONING"),
    )
    if made is None:
        raise Unfit(f'namespace "{namespace_id}" exists already')
    return {"account_id": account_id, "namespace_id": namespace_id}


async def _no_namespace(connection: Connection, call: Call, _made: Any) -> None:
    await provisioning.remove(connection, call)


async def _trial(connection: Connection, call: Call) -> Output:
    seconds = _trial_seconds(call)
    if seconds is None:
        return {}
    payload = {"trial_seconds": seconds, "email": call.payload["email"], "plan": call.payload["plan"]}
    row = await starting.start(
        connection,
        trial.WORKFLOW,
        "subscription",
        payload,
        orchestration_id=f"{call.orchestration_id}-trial",
    )
    await connection.execute(SQL["set_trial_operation"], row["orchestration_id"])
    return {"operation": row["orchestration_id"]}


async def _no_trial(connection: Connection, _call: Call, _made: Any) -> None:
    """It ends by itself once it is told, and the subscription is none of its business any more."""
    row = await connection.fetchrow(SQL["lock_subscription"])
    if row is not None:
        await tell_trial(connection, row)
        await connection.execute(SQL["set_trial_operation"], None)
