"""Tenants are created once, in one cell, and every decision reaches it."""

import asyncio
import contextlib

from directory.redis_feed import RedisFeed
from directory.values import Rate, TenantEntry
from tests.placement.conftest import Client, StartCell, StartPlacement
from tests.placement.fake_cell import FakeCell
from tests.waiting import eventually


async def test_a_tenant_is_placed_opened_and_given_its_first_key(placement: Client, cell: FakeCell) -> None:
    """The answer says where it lives and why, and holds the key, which is nowhere else."""
    answer = await placement.create("acme")
    assert answer.status == 201, answer.body
    assert (answer.body["cell_id"], answer.body["state"], answer.body["settled"]) == ("cell-1", "active", True)
    assert answer.body["api_key"].startswith("ck_acme_")
    assert answer.body["placement"]["reasons"]
    fence = cell.fences["acme"]
    assert (fence.state, fence.epoch) == ("active", answer.body["epoch"])
    seen = (await placement("GET", "/v1/tenants/acme")).body
    assert "api_key" not in seen


async def test_routers_can_look_a_tenant_up_when_its_creation_is_answered(
    placement: Client, cell: FakeCell, redis_url: str
) -> None:
    """Its first request may come at once."""
    feed = RedisFeed(redis_url)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(feed.close)
        for n in range(10):
            assert (await placement.create(f"acme-{n}")).status == 201
            assert await feed.look_up(f"acme-{n}") is not None


async def test_a_retry_gets_the_same_key_and_changes_nothing(placement: Client, cell: FakeCell) -> None:
    """The same Idempotency-Key and body, however often and at once: one tenant, one key."""
    first = await placement.create("acme", key="intent-1")
    again = await asyncio.gather(*(placement.create("acme", key="intent-1") for _ in range(5)))
    assert {answer.status for answer in again} == {201}
    assert {answer.body["api_key"] for answer in again} == {first.body["api_key"]}
    assert len(cell.keys["acme"]) == 1
    assert (await placement("GET", "/v1/cells/cell-1")).body["tenants"] == 1


async def test_simultaneous_requests_of_one_intent_make_one_tenant(placement: Client, cell: FakeCell) -> None:
    """Whoever comes second finds what the first has recorded."""
    answers = await asyncio.gather(*(placement.create("acme", key="intent-1") for _ in range(8)))
    assert {answer.status for answer in answers} == {201}
    assert len({answer.body["api_key"] for answer in answers}) == 1
    assert len(cell.keys["acme"]) == 1


async def test_another_body_with_the_same_key_is_refused(placement: Client, cell: FakeCell) -> None:
    """422: the client confuses two intents."""
    await placement.create("acme", key="intent-1")
    answer = await placement.create("acme", key="intent-1", plan="enterprise")
    assert (answer.status, answer.body["field"]) == (422, "Idempotency-Key")


async def test_a_name_that_is_taken_is_refused(placement: Client, cell: FakeCell) -> None:
    """Without the key of its creation nobody gets an existing tenant's key."""
    await placement.create("acme", key="intent-1")
    for key in (None, "intent-2"):
        answer = await placement.create("acme", key=key)
        assert (answer.status, answer.body["code"]) == (409, "ALREADY_EXISTS")


async def test_a_tenant_is_suspended_resumed_and_deleted_with_all_it_has(
    placement: Client, cell: FakeCell
) -> None:
    """Every decision reaches the cell; deleting gives the place back and keeps the name."""
    await placement.create("acme")
    for verb, state in (("suspend", "suspended"), ("resume", "active"), ("suspend", "suspended")):
        answer = await placement("POST", f"/v1/tenants/acme:{verb}")
        assert (answer.status, answer.body["state"], answer.body["settled"]) == (200, state, True)
        assert cell.tenants["acme"].state == state
    gone = await placement("DELETE", "/v1/tenants/acme")
    assert (gone.status, gone.body["state"], gone.body["cell_id"]) == (200, "deleted", None)
    assert "acme" not in cell.keys
    assert cell.fences["acme"].state == "moved"
    assert (await placement("GET", "/v1/cells/cell-1")).body["tenants"] == 0
    assert (await placement.create("acme")).status == 409


RATE = {"per_second": 100, "burst": 200}


async def test_a_limit_reaches_what_routers_read(placement: Client, cell: FakeCell, redis_url: str) -> None:
    """Given with the tenant, changed, lifted: a router learns of each with the tenant's cell and epoch."""
    made = (await placement.create("acme", rate=RATE)).body
    assert made["rate"] == RATE
    feed = RedisFeed(redis_url)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(feed.close)

        async def read(rate: Rate | None) -> None:
            entry = TenantEntry("acme", "cell-1", made["epoch"], rate)

            async def known() -> bool:
                return await feed.look_up("acme") == entry

            await eventually(known)

        await read(Rate(100, 200))
        changed = await placement("PUT", "/v1/tenants/acme/rate", {"per_second": 0.5, "burst": 1})
        assert (changed.status, changed.body["rate"]) == (200, {"per_second": 0.5, "burst": 1})
        await read(Rate(0.5, 1))
        lifted = await placement("DELETE", "/v1/tenants/acme/rate")
        assert (lifted.status, lifted.body["rate"]) == (200, None)
        await read(None)


async def test_a_limit_concerns_no_cell(placement: Client, cell: FakeCell) -> None:
    """It can be set while the tenant's cell is down, which is when floods are fought; its epoch stays."""
    made = (await placement.create("acme")).body
    assert made["rate"] is None
    cell.mode = "failing"
    limited = await placement("PUT", "/v1/tenants/acme/rate", RATE)
    assert limited.status == 200, limited
    assert {**limited.body, "update_time": None} == {
        **{name: value for name, value in made.items() if name not in ("api_key", "operation", "placement")},
        "rate": RATE,
        "update_time": None,
    }
    assert (await placement("GET", "/v1/tenants/acme")).body == limited.body
    assert (await placement("GET", "/v1/tenants")).body["tenants"] == [limited.body]


async def test_a_limit_may_be_said_again(placement: Client, cell: FakeCell) -> None:
    """A client that did not hear the answer asks again and gets it."""
    await placement.create("acme")
    for method, body in (("PUT", RATE), ("DELETE", None)):
        first = await placement(method, "/v1/tenants/acme/rate", body)
        again = await placement(method, "/v1/tenants/acme/rate", body)
        assert (first.status, first.body) == (200, again.body)


async def test_a_deleted_tenant_is_not_limited(placement: Client, cell: FakeCell) -> None:
    """As with every other decision: 409."""
    await placement.create("acme")
    await placement("POST", "/v1/tenants/acme:suspend")
    await placement("DELETE", "/v1/tenants/acme")
    for method, body in (("PUT", RATE), ("DELETE", None)):
        answer = await placement(method, "/v1/tenants/acme/rate", body)
        assert (answer.status, answer.body["code"]) == (409, "FAILED_PRECONDITION")


async def test_a_limit_belongs_to_the_intent_of_a_creation(placement: Client, cell: FakeCell) -> None:
    """The same key with the same limit is a retry, with another one a mistake."""
    first = await placement.create("acme", key="intent-1", rate=RATE)
    again = await placement.create("acme", key="intent-1", rate={"burst": 200, "per_second": 100.0})
    assert again.body["api_key"] == first.body["api_key"]
    for rate in (None, {"per_second": 100, "burst": 201}):
        other = await placement.create("acme", key="intent-1", rate=rate)
        assert (other.status, other.body["field"]) == (422, "Idempotency-Key")


async def test_a_decision_may_be_repeated(placement: Client, cell: FakeCell) -> None:
    """A client that did not hear the answer asks again and gets it."""
    await placement.create("acme")
    for verb in ("POST /v1/tenants/acme:suspend", "DELETE /v1/tenants/acme"):
        method, path = verb.split()
        first, second = await placement(method, path), await placement(method, path)
        assert (first.status, second.status) == (200, 200)
        assert first.body == second.body


async def test_nobody_is_deleted_while_being_served(placement: Client, cell: FakeCell) -> None:
    """Suspending first is the moment to notice a mistake."""
    await placement.create("acme")
    answer = await placement("DELETE", "/v1/tenants/acme")
    assert (answer.status, answer.body["code"]) == (409, "FAILED_PRECONDITION")


async def test_tenants_are_listed_page_by_page(placement: Client, cell: FakeCell) -> None:
    """Neither skipped nor repeated; a token is good for its own list only."""
    names = [f"tenant-{number}" for number in range(7)]
    for tenant_id in names:
        await placement.create(tenant_id)
    seen: list[str] = []
    token = ""
    while True:
        page = (await placement("GET", f"/v1/tenants?page_size=3&page_token={token}")).body
        seen += [tenant["tenant_id"] for tenant in page["tenants"]]
        if not (token := page["next_page_token"]):
            break
        wrong = await placement("GET", f"/v1/tenants?state=active&page_token={token}")
        assert wrong.status == 400
    assert seen == names
    assert (await placement("GET", "/v1/tenants?cell=cell-2")).body["tenants"] == []


async def test_two_placements_never_overfill_a_cell(
    start_placement: StartPlacement, start_cell: StartCell
) -> None:
    """The last place is taken by compare-and-set; whoever loses is told that there is no room."""
    one, two = await start_placement(), await start_placement()
    made = await start_cell()
    await one("POST", "/v1/cells", made.body(capacity_tenants=3))
    answers = await asyncio.gather(
        *(client.create(f"tenant-{side}-{n}") for n in range(5) for side, client in (("a", one), ("b", two)))
    )
    assert sorted(answer.status for answer in answers) == [201] * 3 + [429] * 7
    refused = next(answer.body for answer in answers if answer.status == 429)
    assert (refused["code"], refused["retryable"]) == ("RESOURCE_EXHAUSTED", False)
    assert len(made.tenants) == 3


async def test_a_full_cell_sends_the_next_tenant_elsewhere(
    placement: Client, cell: FakeCell, start_cell: StartCell
) -> None:
    """The emptier one is chosen, and the answer tells the runner-up."""
    other = await start_cell("cell-2")
    await placement("POST", "/v1/cells", other.body(capacity_tenants=1))
    homes = [(await placement.create(f"tenant-{n}")).body for n in range(3)]
    assert [home["cell_id"] for home in homes] == ["cell-1", "cell-1", "cell-1"]
    assert [runner["cell_id"] for runner in homes[0]["placement"]["runners_up"]] == ["cell-2"]
    await placement("POST", "/v1/cells/cell-1:cordon")
    assert (await placement.create("late")).body["cell_id"] == "cell-2"
    assert (await placement.create("later")).status == 429


async def test_a_region_is_kept(placement: Client, cell: FakeCell, start_cell: StartCell) -> None:
    """Residency is a hard rule, however full the region's cells are."""
    await placement("POST", "/v1/cells", (await start_cell("cell-us", "us")).body())
    assert (await placement.create("here", region="us")).body["cell_id"] == "cell-us"
    assert (await placement.create("there", region="mars")).status == 429
