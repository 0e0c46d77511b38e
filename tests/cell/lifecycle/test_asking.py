"""Who asks for what: the tenant by its API, the operator by the contract. Who is suspended may still pay."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import SecretStr

from cell.api.endpoints import ENDPOINTS
from cell.api.serving import AT_ONCE_SECONDS
from cell.app.api import assemble_api
from cell.app.worker import Worker
from cell.control.customers import Customers
from cell.database import COMMAND_SECONDS, SQL
from cell.errors import NotAllowed
from cell.work.hints import Hint
from directory.control.client import CellControl
from directory.control.contract import OffboardingOrder, OnboardingOrder
from directory.control.token import control_token
from directory.errors import NotFound, Stale
from directory.values import Cell
from runtime.database import open_pool
from tests.cell.cells import Answer, Client, RunningCell
from tests.cell.lifecycle.life import CUSTOMER, Life, life_on
from tests.cell.orchestrator.stage import Stage
from tests.waiting import eventually

PAYING = {
    "getOperation",
    "waitOperation",
    "cancelOperation",
    "getSubscription",
    "changePlan",
    "cancelSubscription",
}


@dataclass
class Customer:
    """A tenant of the shared cell, and whoever carries its work out."""

    cell: RunningCell
    client: Client
    life: Life

    async def control(self, method: str, path: str, body: Any = None) -> Answer:
        """As the control plane."""
        return await self.cell.control(method, f"tenants/{self.client.tenant_id}/{path}", body)

    async def done(self, answer: Answer) -> Answer:
        """Carried out, whatever was begun."""
        assert answer.status in (200, 202), answer
        name = answer.json.get("operation") or answer.json["name"].removeprefix("operations/")
        assert (await self.life.finish(name)).outcome == "COMPLETED"
        return answer

    async def onboarded(self, **more: Any) -> None:
        """From now on there is a subscription."""
        await self.done(await self.control("PUT", "onboarding", {**CUSTOMER, **more}))


@pytest.fixture
async def customer(cell: RunningCell, client: Client) -> AsyncIterator[Customer]:
    """Not yet onboarded."""
    pool = await open_pool(
        cell.database.dsns["cell_app"], name="test", size=4, command_seconds=COMMAND_SECONDS, stateless=True
    )
    yield Customer(cell, client, life_on(Stage(pool, client.tenant_id, client.epoch)))
    await pool.close()


# --- the control contract ---


async def test_an_onboarding_that_is_asked_for_twice_is_one(customer: Customer) -> None:
    """How far it is, is told each time; another order is refused."""
    first = await customer.control("PUT", "onboarding", CUSTOMER)
    assert (first.status, first.json) == (200, {"operation": "op-onboarding-1", "state": "PENDING"})
    assert (await customer.control("PUT", "onboarding", CUSTOMER)).json == first.json
    other = await customer.control("PUT", "onboarding", {**CUSTOMER, "plan": "premium"})
    assert other.problem == (409, "FAILED_PRECONDITION", False)
    await customer.done(first)
    again = await customer.control("PUT", "onboarding", CUSTOMER)
    assert again.json == {"operation": "op-onboarding-1", "state": "COMPLETED"}
    answer = await customer.client("GET", "/v1/accounts/main/namespaces/first")
    assert (answer.status, answer.json["state"]) == (200, "ACTIVE")


@pytest.mark.parametrize(
    "wrong",
    [
        {"email": "ada"},
        {"email": "ada@example.com\r\nBcc: eve@example.com"},
        {"plan": "golden"},
        {"trial_days": 0},
        {"trial_days": 3650},
        {"account_id": "No Name"},
        {"attempt": 0},
        {"more": 1},
    ],
)
async def test_an_order_that_makes_no_sense_is_refused(customer: Customer, wrong: dict[str, Any]) -> None:
    """Before anything begins."""
    answer = await customer.control("PUT", "onboarding", {**CUSTOMER, **wrong})
    assert answer.problem == (400, "INVALID_ARGUMENT", False)
    assert answer.json["field"] == next(iter(wrong))
    assert await customer.life.rows("orchestrations") == []


async def test_the_operator_suspends_and_resumes(customer: Customer) -> None:
    """404 without a subscription, 409 when there is nothing to resume."""
    assert (await customer.control("POST", "subscription:suspend")).problem == (404, "NOT_FOUND", False)
    await customer.onboarded()
    assert (await customer.control("POST", "subscription:resume")).problem == (409, "FAILED_PRECONDITION", False)
    await customer.done(await customer.control("POST", "subscription:suspend"))
    assert (await customer.client("GET", "/v1/accounts")).status == 403
    await customer.done(await customer.control("POST", "subscription:resume"))
    assert (await customer.client("GET", "/v1/accounts")).status == 200


async def test_the_control_plane_has_a_call_for_each(customer: Customer) -> None:
    """With the errors that all its calls have."""
    known, now = customer.cell.settings, datetime.now(UTC)
    token = control_token("control-key-of-the-tests", known.cell_id)
    api = await assemble_api(known.model_copy(update={"control_token": SecretStr(token)}))
    await api.lifecycle.start()
    control, name = CellControl("control-key-of-the-tests"), customer.client.tenant_id
    cell = Cell(known.cell_id, "local", "open", api.site.url, api.admin_site.url, 10, 0, "", (), now, now)
    order = OnboardingOrder(**{**CUSTOMER, "trial_days": None})
    try:
        with pytest.raises(NotFound):
            await control.onboard(cell, "nobody", order)
        with pytest.raises(NotFound):
            await control.suspend_subscription(cell, name)
        begun = await control.onboard(cell, name, order)
        with pytest.raises(Stale):
            await control.onboard(cell, name, order.model_copy(update={"plan": "premium"}))
        await customer.life.finish(begun.operation)
        assert (await control.onboard(cell, name, order)).state == "COMPLETED"
        for call in (control.suspend_subscription, control.resume_subscription):
            await customer.life.finish((await call(cell, name)).operation)
        left = await control.offboard(cell, name, OffboardingOrder(retention_days=30))
        assert (await control.cancel_offboarding(cell, name)).operation == left.operation
        await customer.life.finish(left.operation)
        assert await customer.life.state() == "ACTIVE"
    finally:
        await control.close()
        await api.lifecycle.stop()


# --- both, with a worker ---


async def test_a_worker_carries_a_life_out(customer: Customer, worker: Worker) -> None:
    """What was asked for is done soon, as an operation like any other; leaving is taken back by cancelling it."""

    async def onboarded() -> bool:
        return bool((await customer.control("PUT", "onboarding", CUSTOMER)).json["state"] == "COMPLETED")

    async def retained() -> bool:
        return "RETENTION_IN_PROGRESS" in {row["state"] for row in await customer.life.rows("orchestrations")}

    client = customer.client
    await eventually(onboarded)
    begun = (await client("POST", "/v1/subscription:changePlan", {"plan": "premium"})).json["name"]
    waited = await client("GET", f"/v1/{begun}:wait", params={"timeout_seconds": "20"})
    assert (waited.json["state"], waited.json["progress"]["steps"][0]) == ("SUCCEEDED", "claim")
    assert (await client("GET", "/v1/accounts/main/namespaces/first")).json["settings"]["most_users"] == 10_000
    left = (await client("POST", "/v1/subscription:cancel", {})).json["name"]
    await eventually(retained)
    assert (await client("GET", "/v1/accounts")).status == 403
    assert (await client("POST", f"/v1/{left}:cancel", {})).status == 200
    waited = await client("GET", f"/v1/{left}:wait", params={"timeout_seconds": "20"})
    assert waited.json["state"] == "CANCELLED"
    assert (await client("GET", "/v1/accounts")).status == 200
    entries = (await client("GET", "/v1/audit", params={"filter": "target = subscription"})).json["entries"]
    assert [entry["action"] for entry in entries] == ["onboard", "changePlan", "cancelSubscription"]


# --- the tenant's API ---


async def test_without_a_subscription_there_is_none_to_read_or_change(client: Client) -> None:
    """A tenant that was never onboarded is served as before."""
    for answer in (
        await client("GET", "/v1/subscription"),
        await client("POST", "/v1/subscription:changePlan", {"plan": "premium"}),
        await client("POST", "/v1/subscription:cancel", {}),
    ):
        assert answer.problem == (404, "NOT_FOUND", False)
    assert (await client("GET", "/v1/accounts")).status == 200


async def test_a_tenant_reads_what_it_has_and_changes_it(customer: Customer) -> None:
    """By an operation; one at a time, and the subscription names it."""
    await customer.onboarded()
    client = customer.client
    read = (await client("GET", "/v1/subscription")).json
    assert (read["plan"], read["state"], read["operation"]) == ("standard", "TRIAL", None)
    assert read["trial_end_time"]
    begun = await client("POST", "/v1/subscription:changePlan", {"plan": "premium"}, key="once")
    assert (begun.status, begun.json["type"], begun.json["state"]) == (202, "plan_change", "PENDING")
    assert begun.headers["Location"] == begun.json["name"]
    again = await client("POST", "/v1/subscription:changePlan", {"plan": "premium"}, key="once")
    assert again.json == begun.json
    assert (await client("GET", "/v1/subscription")).json["operation"] == begun.json["name"]
    second = await client("POST", "/v1/subscription:changePlan", {"plan": "premium"})
    assert second.problem == (409, "FAILED_PRECONDITION", False)
    await customer.done(begun)
    read = (await client("GET", "/v1/subscription")).json
    assert (read["plan"], read["state"], read["operation"]) == ("premium", "ACTIVE", None)


async def test_a_downgrade_that_does_not_fit_says_why(customer: Customer) -> None:
    """409 with what to do."""
    await customer.onboarded(plan="premium", trial_days=None)
    await customer.life.namespaces(20)
    answer = await customer.client("POST", "/v1/subscription:changePlan", {"plan": "standard"})
    assert answer.problem == (409, "FAILED_PRECONDITION", False)
    assert "delete 1 of them" in answer.json["message"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("changePlan", {"plan": "golden"}),
        ("changePlan", {"plan": 1}),
        ("changePlan", {}),
        ("cancel", {"retention_days": 29}),
        ("cancel", {"retention_days": 91}),
        ("cancel", {"retention_days": "30"}),
        ("cancel", {"retention_days": 30.5}),
    ],
)
async def test_what_is_no_plan_and_no_time_is_refused(client: Client, path: str, body: Any) -> None:
    """400."""
    assert (await client("POST", f"/v1/subscription:{path}", body)).problem == (400, "INVALID_ARGUMENT", False)


async def test_a_suspended_customer_can_do_nothing_but_pay(customer: Customer) -> None:
    """403 with the reason, and no effect; another tenant's key learns nothing of it."""
    await customer.onboarded()
    [row] = [row for row in await customer.life.rows("orchestrations") if row["workflow"] == "trial"]
    await customer.life.finish(row["orchestration_id"])
    client = customer.client
    for endpoint in ENDPOINTS:
        path = endpoint.path.replace("{operation}", row["orchestration_id"])
        if endpoint.operation in PAYING:
            assert endpoint.while_suspended
            continue
        answer = await client(
            endpoint.method, path.replace("{", "").replace("}", ""), {} if endpoint.body else None
        )
        assert answer.problem == (403, "PERMISSION_DENIED", False), endpoint
        assert answer.json["metadata"] == {"reason": "SUBSCRIPTION_SUSPENDED"}
    assert {endpoint.operation for endpoint in ENDPOINTS if endpoint.while_suspended} == PAYING
    assert (await client("GET", "/nopage")).status == 403
    stranger = await client("GET", "/v1/accounts", headers={"Authorization": "Bearer ck_wrong"})
    assert stranger.problem == (401, "UNAUTHENTICATED", False)
    assert (await client("GET", "/v1/subscription")).json["state"] == "SUSPENDED"
    await customer.done(await client("POST", "/v1/subscription:changePlan", {"plan": "standard"}))
    assert (await client("GET", "/v1/accounts")).status == 200


async def test_a_suspended_customer_may_pay_slowly(customer: Customer) -> None:
    """Also when the body comes in pieces, and the key is looked at before."""
    await customer.onboarded(trial_days=None)
    async with customer.life.entered() as connection:
        await connection.execute("UPDATE cell.subscriptions SET standing = 'UNPAID'")
    client, body = customer.client, json.dumps({"plan": "premium"}).encode()
    reader, writer = await asyncio.open_connection(*client.url.removeprefix("http://").split(":"))
    head = (
        f"POST /v1/subscription:changePlan HTTP/1.1\r\nHost: x\r\nCellway-Tenant: {client.tenant_id}\r\n"
        f"Cellway-Epoch: {client.epoch}\r\nAuthorization: Bearer {client.api_key}\r\nIdempotency-Key: slow\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    writer.write(head.encode())
    await asyncio.sleep(4 * AT_ONCE_SECONDS)  # so the key has been looked at without the body
    writer.write(body)
    assert (await asyncio.wait_for(reader.readline(), 30)).startswith(b"HTTP/1.1 202")
    writer.close()
    await writer.wait_closed()


async def test_a_customer_leaves_and_stays(customer: Customer) -> None:
    """Tenant and operator mean the same operation."""
    await customer.onboarded(trial_days=None)
    left = await customer.client("POST", "/v1/subscription:cancel", {"retention_days": 60.0})
    assert (left.status, left.json["type"]) == (202, "offboarding")
    name = left.json["name"].removeprefix("operations/")
    told = await customer.control("POST", "offboarding", {"retention_days": 90})
    assert told.json["operation"] == name
    await customer.life.hint(name)
    assert (await customer.client("GET", "/v1/accounts")).status == 403
    assert (await customer.client("GET", "/v1/subscription")).json["state"] == "SUSPENDED"
    refused = await customer.client("POST", "/v1/subscription:changePlan", {"plan": "premium"})
    assert refused.problem == (409, "FAILED_PRECONDITION", False)
    for _ in range(2):
        assert (await customer.control("POST", "offboarding:cancel")).json["operation"] == name
    assert (await customer.life.finish(name)).outcome == "ROLLED_BACK"
    assert (await customer.client("GET", "/v1/accounts")).status == 200
    await customer.done(await customer.control("POST", "offboarding", {}))
    assert (await customer.control("POST", "offboarding:cancel")).problem == (409, "FAILED_PRECONDITION", False)
    assert (await customer.client("GET", "/v1/subscription")).status == 401  # its keys are deleted too


async def test_the_workers_are_told_what_the_operator_asked_for(cell: RunningCell, client: Client) -> None:
    """Once, after the commit: they need not wait for the next sweep. What was begun before needs no hint."""
    pool = await open_pool(cell.database.dsns["cell_control"], name="test", size=2, stateless=True)
    told: list[Hint] = []
    customers = Customers(pool, "namespaces.example", lambda hint: told.append(hint) is None)
    order = OnboardingOrder(**CUSTOMER)
    try:
        reports = [await customers.onboard(client.tenant_id, order) for _ in range(2)]
        with pytest.raises(NotAllowed):
            await customers.onboard(client.tenant_id, order.model_copy(update={"plan": "premium"}))
    finally:
        await pool.close()
    assert reports[0] == reports[1]
    assert told == [Hint(client.tenant_id, client.epoch, "interactive")]


async def test_a_plan_of_the_subscription_goes_before_that_of_the_directory(customer: Customer) -> None:
    """The directory's is for tenants that have none."""
    await customer.onboarded(plan="premium", trial_days=None)
    [tenant] = await customer.life.rows("tenants")
    assert tenant["plan"] == "standard"
    async with customer.life.entered() as connection:
        assert await connection.fetchval(SQL["tenant_plan"]) == "premium"
