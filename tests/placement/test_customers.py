"""Customers come and go through placement; their cell carries it out."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from directory.control.client import CellControl
from directory.control.contract import OnboardingOrder
from directory.memory import MemoryDirectory
from directory.values import Customer, NewTenant
from placement.carrying import Carrier
from placement.reach import Reach
from placement.reconciler import Reconciler
from runtime.backoff import Backoff
from tests.placement.conftest import Client, StartCell
from tests.placement.fake_cell import CONTROL_KEY, FakeCell

WISH: dict[str, Any] = {
    "email": "ann@acme.example",
    "display_name": "Acme",
    "account_id": "main",
    "namespace_id": "prod",
    "plan": "premium",
    "trial_days": 14,
}
ORDER = OnboardingOrder(**WISH)
ONBOARDING = "/v1/tenants/acme/onboarding"
OFFBOARDING = "/v1/tenants/acme/offboarding"
THIRTY = {"retention_days": 30}


async def test_a_customer_is_onboarded_in_the_tenants_cell(placement: Client, cell: FakeCell) -> None:
    """The same order again is the same work, and says how far it is; another one is refused with the reason."""
    await placement.create("acme")
    seen = [await placement("PUT", ONBOARDING, WISH) for _ in range(4)]
    assert [answer.status for answer in seen] == [200] * 4
    assert seen[0].body == {
        "tenant_id": "acme",
        "cell_id": "cell-1",
        "operation": "op-onboarding-1",
        "state": "PENDING",
    }
    assert seen[-1].body["state"] == "COMPLETED"
    other = await placement("PUT", ONBOARDING, {**WISH, "plan": "standard"})
    assert (other.status, other.body["code"]) == (409, "FAILED_PRECONDITION")
    assert "with something else" in other.body["message"]
    again = await placement("PUT", ONBOARDING, {**WISH, "attempt": 2})
    assert again.body["operation"] == "op-onboarding-2"
    assert cell.customers["acme"] == [ORDER, ORDER.model_copy(update={"attempt": 2})]


async def test_with_a_customer_it_is_said_what_the_tenants_cell_must_have_and_what_it_pays(
    placement: Client, cell: FakeCell
) -> None:
    """Of a tenant that is there already; what is not said stays, and an order that is refused changes nothing."""
    await placement.create("acme")
    place = {"tags": ["pci"], "revenue": 500.0}
    for wish in ({**WISH, **place}, WISH):
        assert (await placement("PUT", ONBOARDING, wish)).status == 200
        found = (await placement("GET", "/v1/tenants/acme")).body
        assert {name: found[name] for name in place} == place
    refused = await placement("PUT", ONBOARDING, {**WISH, "plan": "standard", "revenue": 9.0})
    assert (refused.status, (await placement("GET", "/v1/tenants/acme")).body["revenue"]) == (409, 500.0)
    assert cell.customers["acme"] == [ORDER]


async def test_a_customer_leaves_and_may_be_kept(placement: Client, cell: FakeCell) -> None:
    """As often as it is asked."""
    await placement.create("acme", customer=WISH)
    too_early = await placement("POST", f"{OFFBOARDING}:cancel")
    assert (too_early.status, too_early.body["message"]) == (409, "there is no offboarding to cancel")
    for _ in range(2):
        left = await placement("POST", OFFBOARDING, THIRTY)
        assert (left.status, left.body["operation"], left.body["cell_id"]) == (200, "op-leaving", "cell-1")
    for _ in range(2):
        assert (await placement("POST", f"{OFFBOARDING}:cancel")).status == 200


async def test_who_is_no_customer_cannot_leave(placement: Client, cell: FakeCell) -> None:
    """404 for a tenant without a subscription, as for one that does not exist; a deleted one is told so."""
    await placement.create("acme")
    for path in (OFFBOARDING, "/v1/tenants/nobody/offboarding", "/v1/tenants/Nobody/offboarding"):
        assert (await placement("POST", path, THIRTY)).status == 404
    assert (await placement("POST", f"{OFFBOARDING}:cancel")).status == 404
    assert (await placement("PUT", "/v1/tenants/nobody/onboarding", WISH)).status == 404
    await placement("POST", "/v1/tenants/acme:suspend")
    await placement("DELETE", "/v1/tenants/acme")
    for answer in (await placement("PUT", ONBOARDING, WISH), await placement("POST", OFFBOARDING, THIRTY)):
        assert (answer.status, answer.body["code"]) == (409, "FAILED_PRECONDITION")


async def test_a_cell_that_is_away_makes_customers_wait(placement: Client, cell: FakeCell) -> None:
    """Trying again helps."""
    await placement.create("acme")
    cell.mode = "failing"
    for answer in (
        await placement("PUT", ONBOARDING, WISH),
        await placement("POST", OFFBOARDING, THIRTY),
        await placement("POST", f"{OFFBOARDING}:cancel"),
    ):
        assert (answer.status, answer.body["retryable"]) == (503, True)


async def test_a_tenant_and_its_customer_in_one_call(placement: Client, cell: FakeCell) -> None:
    """The answer has the first key and the operation; a retry has the same, and begins nothing."""
    made = await placement.create("acme", key="intent", customer=WISH)
    assert made.status == 201
    assert (made.body["operation"], made.body["plan"]) == ("op-onboarding-1", "premium")
    assert made.body["api_key"].startswith("ck_acme_")
    again = await placement.create("acme", key="intent", customer=dict(reversed(WISH.items())))
    assert (again.body["operation"], again.body["api_key"]) == ("op-onboarding-1", made.body["api_key"])
    assert cell.customers["acme"] == [ORDER]
    for other in (None, {**WISH, "email": "bob@acme.example"}):
        assert (await placement.create("acme", key="intent", customer=other)).status == 422
    assert (await placement.create("bolt")).body["operation"] is None


async def test_a_customer_that_came_with_a_tenant_is_not_lost_when_its_cell_fails_in_between(
    placement: Client, cell: FakeCell
) -> None:
    """The cell opens for the tenant and dies before it hears of the customer: it is told again, by itself."""
    cell.dies_before = True
    answer = await placement.create("acme", key="intent", customer=WISH)
    assert (answer.status, answer.body["retryable"]) == (503, True)
    again = await placement.create("acme", key="intent", customer=WISH)
    assert (again.status, again.body["operation"]) == (201, "op-onboarding-1")
    assert (await placement("GET", "/v1/tenants/acme")).body["settled"]
    assert cell.customers["acme"] == [ORDER]


async def test_an_onboarding_that_another_order_preceded_is_refused(placement: Client, cell: FakeCell) -> None:
    """The tenant is there and settled, its retries are told why, and nobody tries it for ever."""
    cell.customers["acme"] = [ORDER.model_copy(update={"email": "bob@acme.example"})]
    for _ in range(2):
        answer = await placement.create("acme", key="intent", customer=WISH)
        assert (answer.status, answer.body["code"]) == (409, "FAILED_PRECONDITION")
        assert "the tenant is created" in answer.body["message"]
    assert (await placement("GET", "/v1/tenants/acme")).body["settled"]


@pytest.fixture
async def truth(start_cell: StartCell) -> AsyncIterator[tuple[MemoryDirectory, FakeCell, CellControl]]:
    """A directory in which a tenant with a customer is recorded, and nothing is carried out."""
    made = await start_cell()
    directory, control = MemoryDirectory(), CellControl(CONTROL_KEY)
    await directory.register_cell(made.new())
    await directory.change_cell("cell-1", "open")
    await directory.create_tenant(NewTenant("acme", "Acme", "premium", customer=Customer(**WISH)), "cell-1")
    yield directory, made, control
    await control.close()


async def test_a_recorded_customer_is_onboarded_by_whoever_finds_it(
    truth: tuple[MemoryDirectory, FakeCell, CellControl],
) -> None:
    """A placement died right after the record. Once the cell knows, the mail address is kept no more."""
    directory, made, control = truth
    at_once = Backoff(initial_seconds=0.0, cap_seconds=0.0, floor_seconds=0.0)
    reconciler = Reconciler(directory, Carrier(directory, control, Reach()), backoff=at_once)
    made.dies_before = True
    await reconciler.round()
    assert made.tenants["acme"].state == "active"
    assert not (await directory.tenant("acme")).settled
    await reconciler.round()
    tenant = await directory.tenant("acme")
    assert (tenant.settled, tenant.customer) == (True, None)
    assert made.customers["acme"] == [ORDER]


async def test_the_customer_of_a_tenant_that_is_deleted_before_its_cell_heard_is_not_onboarded(
    truth: tuple[MemoryDirectory, FakeCell, CellControl],
) -> None:
    """A suspended one is: it waits for its tenant."""
    directory, made, control = truth
    await directory.create_tenant(NewTenant("bolt", "Bolt", customer=Customer(**WISH)), "cell-1")
    for tenant_id in ("acme", "bolt"):
        await directory.change_tenant(tenant_id, "suspend")
    await directory.change_tenant("acme", "delete")
    await Reconciler(directory, Carrier(directory, control, Reach())).round()
    assert await directory.unsettled() == []
    assert {*made.customers} == {"bolt"}
    assert (await directory.tenant("acme")).customer is None
