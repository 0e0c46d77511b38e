"""The workflows, how one of each is begun, and what must hold when it has ended: on the way there and back."""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cell.orchestrator.starting import start
from cell.rules.workflows import Kind, Workflow
from cell.workflows import beginning, offboarding, onboarding, plan_change, suspension, trial
from cell.workflows.provisioning import PROVISION, RELEASE, provisioning
from tests.cell.crashes.points import MOMENTS, Moment, Way
from tests.cell.lifecycle.life import CUSTOMER, Life

WAYS: tuple[Way, Way] = ("act", "undo")
Prepare = Callable[[Life], Awaitable[None]]
Begin = Callable[[Life], Awaitable[str]]
Check = Callable[[Life, str], Awaitable[None]]
PLACE: Mapping[str, str] = {"account_id": "own", "namespace_id": "own", "domain": "namespaces.example"}


async def _nothing(_life: Life) -> None:
    """Needs to be there before."""


async def _customer(life: Life) -> None:
    await life.customer(trial_days=None)


async def _suspended(life: Life) -> None:
    await _customer(life)
    await life.finish(await life.ask(beginning.suspend))


async def _account(life: Life) -> None:
    async with life.entered() as connection:
        await connection.execute("INSERT INTO cell.accounts (account_id, display_name) VALUES ('own', 'x')")


async def _active(life: Life) -> None:
    await _account(life)
    await life.finish(await _provision(life), *provisioning(life.parties.resources))


async def _plan_change(life: Life) -> str:
    return await life.ask(lambda c: beginning.change_plan(c, life.stage.tenant_id, "premium"))


async def _provision(life: Life) -> str:
    async with life.entered() as connection:
        await connection.execute(
            "INSERT INTO cell.namespaces (account_id, namespace_id, display_name, state) "
            "VALUES ('own', 'own', 'x', 'PROVISIONING')"
        )
    return await life.ask(lambda c: start(c, PROVISION, "own", PLACE, done={"reserve": {}}))


async def _release(life: Life) -> str:
    async with life.entered() as connection:
        await connection.execute("UPDATE cell.namespaces SET state = 'DELETING'")
    return await life.ask(lambda c: start(c, RELEASE, "own", PLACE, done={"mark": {}}))


async def _provisioned(life: Life, outcome: str) -> None:
    namespaces, given = await life.rows("namespaces"), await life.rows("allocations")
    counted = [row for row in await life.rows("usage_records") if row["meter"] == "namespaces_created"]
    if outcome == "ROLLED_BACK":
        assert (namespaces, given, counted, await life.rows("taken_resources")) == ([], [], [], [])
        return
    [namespace], [allocation], [_] = namespaces, given, counted
    assert (namespace["state"], allocation["endpoint"].startswith("own.own.")) == ("ACTIVE", True)
    assert len(await life.rows("taken_resources")) == 2


async def _released(life: Life, outcome: str) -> None:
    states = [row["state"] for row in await life.rows("namespaces")]
    assert states == ([] if outcome == "COMPLETED" else ["FAILED"])


def _billed(state: str, plan: str, bill: str) -> Check:
    async def check(life: Life, outcome: str) -> None:
        assert (await life.state(), await life.billed()) == (state, (plan, bill))

    return check


async def _onboarded(life: Life, outcome: str) -> None:
    if outcome == "ROLLED_BACK":
        assert await life.left() == {}
        return
    left = await life.left()
    assert (left["organisation_users"], left["namespaces"], left["taken_resources"]) == (1, 1, 2)
    assert (await life.state(), await life.billed()) == ("TRIAL", ("standard", "TRIAL"))


async def _left(life: Life, outcome: str) -> None:
    if outcome == "ROLLED_BACK":
        assert (await life.state(), await life.billed()) == ("ACTIVE", ("standard", "ACTIVE"))
        return
    assert (await life.state(), await life.billed()) == ("CLOSED", ("standard", "CANCELLED"))
    assert len(await life.rows("invoices")) == 1
    assert not {"namespaces", "taken_resources", "accounts"} & set(await life.left())


async def _changed(life: Life, outcome: str) -> None:
    plan = "premium" if outcome == "COMPLETED" else "standard"
    assert (await life.state(), await life.billed()) == ("ACTIVE", (plan, "ACTIVE"))


@dataclass(frozen=True, slots=True)
class Request:
    """What begins it over HTTP: of the tenant, or of the control contract, where `{tenant}` is its name."""

    method: str
    path: str
    body: Mapping[str, Any] | None = None

    @property
    def by_operator(self) -> bool:
        """Whether it is of the control contract."""
        return self.path.startswith("tenants/")


@dataclass(frozen=True, slots=True)
class Scene:
    """A workflow, how one is begun, what must hold at its end, and when it is cancelled, if it can be."""

    workflow: Workflow
    prepare: Prepare
    begin: Begin
    check: Check
    cancelled_at: str | None = None
    request: Request | None = None


SCENES: Sequence[Scene] = (
    Scene(
        *(onboarding.WORKFLOW, _nothing, lambda life: life.onboard(), _onboarded, "trial"),
        Request("PUT", "tenants/{tenant}/onboarding", {**CUSTOMER, "attempt": 1}),
    ),
    Scene(trial.WORKFLOW, _nothing, lambda life: life.customer(), _billed("SUSPENDED", "standard", "TRIAL")),
    Scene(
        *(plan_change.WORKFLOW, _customer, _plan_change, _changed, "billing"),
        Request("POST", "/v1/subscription:changePlan", {"plan": "premium"}),
    ),
    Scene(
        *(offboarding.WORKFLOW, _customer, lambda life: life.ask(lambda c: beginning.offboard(c, 30))),
        *(_left, "export", Request("POST", "/v1/subscription:cancel", {"retention_days": 30})),
    ),
    Scene(
        *(suspension.SUSPENSION, _customer, lambda life: life.ask(beginning.suspend)),
        *(_billed("SUSPENDED", "standard", "PAUSED"), None),
        Request("POST", "tenants/{tenant}/subscription:suspend"),
    ),
    Scene(
        *(suspension.REACTIVATION, _suspended, lambda life: life.ask(beginning.resume)),
        *(_billed("ACTIVE", "standard", "ACTIVE"), None),
        Request("POST", "tenants/{tenant}/subscription:resume"),
    ),
    Scene(
        *(PROVISION, _account, _provision, _provisioned, "configure"),
        Request("POST", "/v1/accounts/own/namespaces", {"namespace_id": "own", "display_name": "x"}),
    ),
    Scene(
        *(RELEASE, _active, _release, _released, None),
        Request("DELETE", "/v1/accounts/own/namespaces/own"),
    ),
)


def boundaries(scene: Scene, way: Way) -> Iterator[tuple[str, Moment]]:
    """(step, moment) of all that acts, forward or back."""
    names = [step.name for step in scene.workflow.steps]
    reached = names if way == "act" else names[: names.index(scene.cancelled_at or names[0]) + 1]
    for step in scene.workflow.steps:
        mine = way == "undo" or step.name not in ("reserve", "mark")  # those are done by whoever asks
        if step.kind is Kind.ACTION and mine and step.name in reached and (way == "act" or step.undoes):
            for moment in MOMENTS:
                yield step.name, moment
