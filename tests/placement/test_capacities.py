"""What cells hold and where tenants may live, through the API."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from directory.control.contract import CapacityReport, CellReport
from directory.values import Customer
from placement.creation import Asked
from tests.placement.conftest import Client, StartCell
from tests.placement.fake_cell import FakeCell

UNKNOWN = {"cpus": None, "memory_bytes": None, "storage_bytes": None, "network_bits": None}
NO_CAPS = {"revenue": None, "top_tier": None}
LARGE = {"cpus": 32.0, "memory_bytes": 2**37, "storage_bytes": 2**42, "network_bits": 1e10}


async def test_a_cell_registers_with_what_it_holds(placement: Client, start_cell: StartCell) -> None:
    """Capacity, caps, version, tags and dedication are shown as they were told."""
    made = await start_cell()
    told = {
        "capacity": LARGE,
        "caps": {"revenue": 1e6, "top_tier": 0},
        "tags": ["hipaa"],
        "version": "7",
        "dedicated_to": "acme",
    }
    answer = await placement("POST", "/v1/cells", made.body() | told)
    assert (answer.status, {name: answer.body[name] for name in told}) == (201, told)
    shown = (await placement("GET", "/v1/cells/cell-1")).body
    assert shown["health"]["verdict"] == "well"
    assert shown["health"]["answered_time"] is not None
    assert {name: shown[name] for name in told} == told
    [listed] = (await placement("GET", "/v1/cells")).body["cells"]
    assert {name: listed[name] for name in told} == told


async def test_what_is_not_told_is_asked_of_the_cell_once(placement: Client, start_cell: StartCell) -> None:
    """As it joins. What the operator said wins, also later that something is not known."""
    made = await start_cell()
    made.capacity = CapacityReport(cpus=8, memory_bytes=2**34)
    answer = await placement("POST", "/v1/cells", made.body() | {"capacity": {"cpus": 6}})
    assert answer.body["capacity"] == UNKNOWN | {"cpus": 6.0, "memory_bytes": 2**34}
    changed = await placement("PATCH", "/v1/cells/cell-1", {"capacity": {"memory_bytes": None}})
    assert changed.body["capacity"] == UNKNOWN | {"cpus": 6.0}
    assert (await placement("POST", "/v1/cells/cell-1:cordon")).status == 200
    assert (await placement("POST", "/v1/cells/cell-1:open")).body["capacity"] == UNKNOWN | {"cpus": 6.0}


def test_a_cell_that_tells_no_capacity_is_understood_by_placements_of_before() -> None:
    """Reports of before had no such field, and whoever reads them refuses what it does not know."""
    plain = CellReport(cell_id="cell-1", region="eu", version="1", tenants=0)
    assert "capacity" not in plain.model_dump_json()
    assert CellReport.model_validate_json(plain.model_dump_json()) == plain


@pytest.mark.parametrize(
    ("patch", "capacity", "caps"),
    [
        ({"capacity": {"cpus": 4}}, LARGE | {"cpus": 4.0}, {"revenue": 5.0, "top_tier": 1}),
        ({"capacity": {"cpus": None}}, LARGE | {"cpus": None}, {"revenue": 5.0, "top_tier": 1}),
        ({"capacity": {}}, LARGE, {"revenue": 5.0, "top_tier": 1}),
        ({"capacity": None}, UNKNOWN, {"revenue": 5.0, "top_tier": 1}),
        ({"caps": {"revenue": None}}, LARGE, {"revenue": None, "top_tier": 1}),
        ({"caps": None, "version": "2"}, LARGE, NO_CAPS),
    ],
)
async def test_a_cell_is_patched_field_by_field(
    placement: Client, cell: FakeCell, patch: dict[str, Any], capacity: dict[str, Any], caps: dict[str, Any]
) -> None:
    """RFC 7396, also within capacity and caps: absent stays, null removes."""
    await placement("PATCH", "/v1/cells/cell-1", {"capacity": LARGE, "caps": {"revenue": 5, "top_tier": 1}})
    answer = await placement("PATCH", "/v1/cells/cell-1", patch)
    assert (answer.status, answer.body["capacity"], answer.body["caps"]) == (200, capacity, caps)


async def test_patches_of_different_parts_at_once_lose_none(placement: Client, cell: FakeCell) -> None:
    """Each is made of what was there: whoever is late makes its own anew."""
    parts = [{"cpus": 3}, {"memory_bytes": 5}, {"storage_bytes": 7}, {"network_bits": 9}]
    answers = await asyncio.gather(*(placement("PATCH", "/v1/cells/cell-1", {"capacity": part}) for part in parts))
    assert [answer.status for answer in answers] == [200] * 4
    shown = (await placement("GET", "/v1/cells/cell-1")).body["capacity"]
    assert shown == {"cpus": 3.0, "memory_bytes": 5, "storage_bytes": 7, "network_bits": 9.0}


@pytest.mark.parametrize(
    "senseless",
    [
        {"capacity": {"cpus": 0}},
        {"capacity": {"cpus": -1}},
        {"capacity": {"cpus": 1e300}},
        {"capacity": {"memory_bytes": 1.5}},
        {"capacity": {"memory_bytes": 2**63}},
        {"capacity": {"disks": 1}},
        {"capacity": 7},
        {"caps": {"revenue": 0}},
        {"caps": {"top_tier": -1}},
        {"dedicated_to": "Not A Label"},
        {"dedicated_to": ""},
    ],
)
async def test_what_cannot_be_is_a_clear_400(shared: Client, senseless: dict[str, Any]) -> None:
    """When registering, and when changing."""
    body = {
        "cell_id": "cell-1",
        "region": "eu",
        "address": "http://127.0.0.1:1",
        "control_address": "http://127.0.0.1:1",
        "capacity_tenants": 1,
    }
    for method, path, told in (("POST", "/v1/cells", body | senseless), ("PATCH", "/v1/cells/cell-1", senseless)):
        answer = await shared(method, path, told)
        assert (answer.status, answer.body["code"]) == (400, "INVALID_ARGUMENT"), answer


@pytest.mark.parametrize("text", [b'{"capacity": {"cpus": NaN}}', b'{"caps": {"revenue": Infinity}}'])
async def test_numbers_that_are_none_are_a_clear_400(shared: Client, text: bytes) -> None:
    """They are no JSON, and Python reads them all the same."""
    answer = await shared("PATCH", "/v1/cells/cell-1", data=text)
    assert (answer.status, answer.body["code"]) == (400, "INVALID_ARGUMENT")


async def test_a_tenant_says_where_it_may_live(placement: Client, cell: FakeCell, start_cell: StartCell) -> None:
    """A cell that has the tags is found; when there is none, the reason names what it lacks."""
    refused = await placement.create("strict", tags=["pci", "hipaa"])
    assert (refused.status, "cell-1 lacks hipaa, pci" in refused.body["message"]) == (429, True)
    other = await start_cell("cell-2")
    await placement("POST", "/v1/cells", other.body() | {"tags": ["pci", "hipaa", "ssd"]})
    made = await placement.create("strict", tags=["pci", "hipaa"], revenue=99.5)
    assert (made.status, made.body["cell_id"]) == (201, "cell-2")
    assert (made.body["tags"], made.body["revenue"], made.body["dedicated_to"]) == (["hipaa", "pci"], 99.5, None)


async def test_a_dedicated_cell_is_for_its_owner_alone(
    placement: Client, cell: FakeCell, start_cell: StartCell
) -> None:
    """However full the others are; and the owner goes nowhere else."""
    own = await start_cell("cell-2")
    await placement("POST", "/v1/cells", own.body(capacity_tenants=1000) | {"dedicated_to": "acme"})
    assert (await placement.create("bolt")).body["cell_id"] == "cell-1"
    assert (await placement.create("acme", dedicated_to="acme")).body["cell_id"] == "cell-2"
    refused = await placement.create("zen", dedicated_to="zen")
    assert (refused.status, refused.body["code"]) == (429, "RESOURCE_EXHAUSTED")


async def test_where_a_tenant_may_live_is_patched(placement: Client, cell: FakeCell) -> None:
    """Absent stays, null removes; it stays where it lives, and no cell is told."""
    await placement.create("acme")
    told = cell.told
    for patch, shown in (
        ({"tags": ["b", "a", "b"], "revenue": 7}, (["a", "b"], 7.0, None)),
        ({"dedicated_to": "acme"}, (["a", "b"], 7.0, "acme")),
        ({"tags": None}, ([], 7.0, "acme")),
        ({"revenue": None, "dedicated_to": None}, ([], 0.0, None)),
        ({}, ([], 0.0, None)),
    ):
        answer = await placement("PATCH", "/v1/tenants/acme", patch)
        found = tuple(answer.body[name] for name in ("tags", "revenue", "dedicated_to"))
        assert (answer.status, found, answer.body["settled"]) == (200, shown, True)
    assert ((await placement("GET", "/v1/tenants/acme")).body["cell_id"], cell.told) == ("cell-1", told)
    assert (await placement("PATCH", "/v1/tenants/nobody", {"revenue": 1})).status == 404
    for senseless in ({"revenue": -1}, {"revenue": 1e300}, {"tags": ["No Label"]}, {"dedicated_to": ""}):
        assert (await placement("PATCH", "/v1/tenants/acme", senseless)).status == 400
    await placement("POST", "/v1/tenants/acme:suspend")
    await placement("DELETE", "/v1/tenants/acme")
    assert (await placement("PATCH", "/v1/tenants/acme", {"revenue": 1})).status == 409


async def test_a_retry_is_recognised_by_all_that_was_asked(placement: Client, cell: FakeCell) -> None:
    """The same key with another wish about where to live is another wish."""
    made = await placement.create("acme", key="k-1", revenue=5)
    assert made.status == 201
    again = await placement.create("acme", key="k-1", revenue=5)
    assert (again.status, again.body["api_key"]) == (201, made.body["api_key"])
    for other in ({"revenue": 6}, {}, {"revenue": 5, "tags": ["a"]}, {"revenue": 5, "dedicated_to": "acme"}):
        assert (await placement.create("acme", key="k-1", **other)).status == 422


def test_what_is_not_asked_for_leaves_a_digest_as_it_was() -> None:
    """A retry over an upgrade of placement is still the same request."""
    asked = Asked("acme", "Acme", "standard", "eu", None, None)
    assert asked.digest() == "fdca92886e3da9680d6a7b4aa7aeac6ec9efa10e9dab74afcebda8bd2a276626"
    customer = Customer("ann@acme.example", "Ann", "main", "web", "standard")
    digests = {
        one.digest()
        for one in (
            asked,
            replace(asked, tags=("a",)),
            replace(asked, dedicated_to="a"),
            replace(asked, revenue=1.0),
            replace(asked, customer=customer),
        )
    }
    assert len(digests) == 5


async def test_a_cell_of_the_tenants_of_others_is_not_dedicated(placement: Client, cell: FakeCell) -> None:
    """The refusal names them, and nothing is changed."""
    await placement.create("bolt")
    answer = await placement("PATCH", "/v1/cells/cell-1", {"dedicated_to": "acme", "version": "9"})
    assert (answer.status, answer.body["code"]) == (409, "FAILED_PRECONDITION")
    assert "bolt may not live there" in answer.body["message"]
    shown = (await placement("GET", "/v1/cells/cell-1")).body
    assert (shown["dedicated_to"], shown["version"]) == (None, "1.2.3")
