"""Room is reserved, used up, given up; explained; and never overfilled."""

import asyncio
from typing import Any

from tests.placement.conftest import Answer, Client, StartCell, StartPlacement
from tests.placement.fake_cell import FakeCell
from tests.waiting import eventually

GIB = 2**30


async def registered(placement: Client, made: FakeCell, **fields: Any) -> None:
    """A cell that takes tenants."""
    answer = await placement("POST", "/v1/cells", {**made.body(), **fields})
    assert (answer.status, answer.body["state"]) == (201, "open"), answer


async def reserved(placement: Client, **fields: Any) -> Answer:
    """Room for a tenant like that."""
    return await placement("POST", "/v1/reservations", fields)


async def explained(placement: Client, **fields: Any) -> Any:
    """Where such a tenant would be placed."""
    answer = await placement("POST", "/v1/placements:explain", fields)
    assert answer.status == 200, answer
    return answer.body


async def test_room_is_kept_for_whoever_names_the_reservation(placement: Client, start_cell: StartCell) -> None:
    """It counts as taken; the tenant uses it up, and only one does."""
    await placement("POST", "/v1/cells", (await start_cell()).body(capacity_tenants=1))
    made = (await reserved(placement, plan="premium", ttl_seconds=60)).body
    assert (made["cell_id"], made["holds"], made["takes"]["tenants"]) == ("cell-1", True, 1.0)
    assert made["placement"]["reasons"]
    assert (await placement.create("other")).status == 429
    assert (await reserved(placement)).status == 429
    path = f"/v1/reservations/{made['reservation_id']}"
    del made["placement"]
    assert (await placement("GET", path)).body == made
    assert (await placement("GET", "/v1/reservations")).body["reservations"] == [made]
    created = await placement.create("acme", key="intent-1", plan="premium", reservation=made["reservation_id"])
    assert (created.status, created.body["cell_id"]) == (201, "cell-1")
    assert created.body["placement"]["reasons"] == [f"reserved for it as {made['reservation_id']}"]
    again = await placement.create("acme", key="intent-1", plan="premium", reservation=made["reservation_id"])
    assert (again.status, again.body["api_key"]) == (201, created.body["api_key"])
    late = await placement.create("late", reservation=made["reservation_id"])
    assert (late.status, late.body["code"]) == (404, "NOT_FOUND")
    assert (await placement("GET", path)).status == 404


async def test_simultaneous_requests_of_one_intent_get_the_last_room_once(
    start_placement: StartPlacement, start_cell: StartCell
) -> None:
    """Whoever comes second gets the same answer, not that there is no room; with a reservation and without."""
    one, two = await start_placement(), await start_placement()
    await registered(one, await start_cell(), capacity_tenants=1)
    name = (await reserved(one)).body["reservation_id"]
    at_once = [(one, two)[n % 2].create("acme", key="intent-1", reservation=name) for n in range(6)]
    answers = await asyncio.gather(*at_once)
    assert {answer.status for answer in answers} == {201}, answers
    assert len({answer.body["api_key"] for answer in answers}) == 1
    await registered(one, await start_cell("cell-2"), capacity_tenants=1)
    at_once = [(one, two)[n % 2].create("beta", key="intent-2") for n in range(6)]
    assert {answer.status for answer in await asyncio.gather(*at_once)} == {201}


async def test_a_reservation_that_is_given_up_leaves_its_room(placement: Client, start_cell: StartCell) -> None:
    """At once, and for anybody."""
    await placement("POST", "/v1/cells", (await start_cell()).body(capacity_tenants=1))
    name = (await reserved(placement)).body["reservation_id"]
    assert (await placement("DELETE", f"/v1/reservations/{name}")).status == 204
    assert (await placement("DELETE", f"/v1/reservations/{name}")).status == 404
    assert (await placement.create("acme")).status == 201


async def test_a_reservation_does_not_fit_just_anybody(
    placement: Client, cell: FakeCell, start_cell: StartCell
) -> None:
    """Neither a larger tenant, nor one that may not live there, nor anybody once the cell is closed; and each is
    told why."""
    name = (await reserved(placement, region="eu")).body["reservation_id"]
    for fields, why in (
        ({"plan": "premium"}, "too little for this tenant: cpus"),
        ({"region": "us"}, "cell-1 is in region eu, not us"),
        ({"tags": ["pci"]}, "cell-1 lacks pci"),
        ({"dedicated_to": "acme"}, "cell-1 is not dedicated to acme"),
    ):
        refused = await placement.create("acme", reservation=name, **fields)
        assert (refused.status, refused.body["code"]) == (409, "FAILED_PRECONDITION"), refused
        assert why in refused.body["message"]
    await placement("POST", "/v1/cells/cell-1:cordon")
    refused = await placement.create("acme", reservation=name)
    assert (refused.status, "cell-1 is cordoned" in refused.body["message"]) == (409, True)
    await placement("POST", "/v1/cells/cell-1:open")
    assert (await placement.create("acme", reservation=name)).status == 201


async def test_a_reservation_that_is_over_is_refused(placement: Client, cell: FakeCell) -> None:
    """409 and the reason; the tenant may be created without it."""
    name = (await reserved(placement, ttl_seconds=1)).body["reservation_id"]

    async def is_over() -> bool:
        found = await placement("GET", f"/v1/reservations/{name}")
        return found.status == 404 or not found.body["holds"]

    await eventually(is_over)
    refused = await placement.create("acme", reservation=name)
    # Once it is removed as well, nobody knows it any more.
    assert refused.status in (404, 409)
    assert "is over" in refused.body["message"] or "no reservation" in refused.body["message"]
    assert (await placement.create("acme")).status == 201


async def test_bad_wishes_are_refused(shared: Client) -> None:
    """As everywhere: 400 and the field."""
    for fields in ({"ttl_seconds": 0}, {"ttl_seconds": 3601}, {"plan": ""}, {"revenue": -1}, {"tags": ["A b"]}):
        assert (await reserved(shared, **fields)).status == 400
    assert (await shared("GET", "/v1/reservations/rv-nothing")).status == 404
    assert (await shared("DELETE", "/v1/reservations/x")).status == 404
    assert (await shared.create("acme", reservation="x")).status == 400


async def test_why_a_cell_and_not_another(placement: Client, start_cell: StartCell) -> None:
    """The score with its terms, the runners-up, and who does not fit, the nearest first; nothing is reserved."""
    offers: dict[str, dict[str, Any]] = {
        "cell-a": {"capacity": {"cpus": 8.0}, "tags": ["hipaa"]},
        "cell-b": {"capacity": {"cpus": 8.0}, "tags": ["hipaa"], "capacity_tenants": 5},
        "cell-c": {"tags": ["hipaa"], "caps": {"top_tier": 0}},
        "cell-d": {},
    }
    for name, more in offers.items():
        await registered(placement, await start_cell(name), **more)
    await registered(placement, await start_cell("cell-u", "us"), tags=["hipaa"])
    found = await explained(placement, plan="premium", region="eu", tags=["hipaa"], near=["eu"])
    assert found["chosen"]["cell_id"] == "cell-a"
    terms = found["chosen"]["terms"]
    total = sum(term["weight"] * term["share"] for term in terms) / sum(term["weight"] for term in terms)
    assert abs(total - found["chosen"]["score"]) < 1e-3
    assert {"free cpu", "free tenants", "even", "cool", "near"} <= {term["name"] for term in terms}
    assert [each["cell_id"] for each in found["runners_up"]] == ["cell-b"]
    assert [(each["cell_id"], each["rule"]) for each in found["misses"]] == [
        ("cell-c", "cap"), ("cell-d", "compliance"), ("cell-u", "residency"),
    ]  # fmt: skip
    assert (found["cells"], found["fitting"]) == (5, 2)
    assert found["broken"] == {"residency": 1, "compliance": 1, "cap": 1}
    assert (found["takes"]["cpus"], found["takes"]["top_tier"]) == (0.5, 1.0)
    assert (await placement("GET", "/v1/reservations")).body["reservations"] == []
    nobody = await explained(placement, region="mars")
    assert (nobody["chosen"], nobody["runners_up"], nobody["fitting"]) == (None, [], 0)


async def test_two_placements_never_overfill_any_resource(
    start_placement: StartPlacement, start_cell: StartCell
) -> None:
    """Memory, a cap of revenue, places: what comes too late is refused, and what fits is placed; with reservations
    among it."""
    one, two = await start_placement(), await start_placement()
    offers: dict[str, dict[str, Any]] = {
        "cell-a": {"capacity": {"memory_bytes": 4 * GIB}},
        "cell-b": {"caps": {"revenue": 30.0}},
        "cell-c": {"capacity_tenants": 2},
    }
    for name, more in offers.items():
        await registered(one, await start_cell(name), **more)
    wishes = [(client, n) for n in range(8) for client in (one, two)]

    async def create(client: Client, n: int) -> Answer:
        return await client.create(f"tenant-{n}-{'ab'[client is one]}", plan="premium", revenue=10.0)

    answers = await asyncio.gather(
        *(create(client, n) for client, n in wishes),
        *(reserved(client, plan="premium", revenue=10.0) for client, _ in wishes[:6]),
    )
    statuses = [answer.status for answer in answers]
    assert set(statuses) <= {201, 429}, answers
    assert statuses.count(201) == 4 + 3 + 2
    held = (await one("GET", "/v1/reservations")).body["reservations"]
    for name, most in (("cell-a", 4), ("cell-b", 3), ("cell-c", 2)):
        lives = (await one("GET", f"/v1/cells/{name}")).body["tenants"]
        assert lives + sum(each["cell_id"] == name for each in held) == most


async def test_two_hundred_creations_at_once_succeed(
    start_placement: StartPlacement, start_cell: StartCell
) -> None:
    """A burst spreads over the cells, and hardly anybody has to choose twice."""
    one, two = await start_placement(), await start_placement()
    for n in range(4):
        await registered(one, await start_cell(f"cell-{n}"), capacity_tenants=60, capacity={"cpus": 64.0})
    answers = await asyncio.gather(*((one, two)[n % 2].create(f"tenant-{n}") for n in range(200)))
    assert {answer.status for answer in answers} == {201}, next(a for a in answers if a.status != 201)
    cells = (await one("GET", "/v1/cells")).body["cells"]
    assert sum(cell["tenants"] for cell in cells) == 200
    assert all(40 <= cell["tenants"] <= 60 for cell in cells)
