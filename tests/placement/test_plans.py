"""Operators make plans, read them, approve of them, and see them carried out; the same for drains."""

from typing import Any

import pytest

from directory.values import MoveOptions
from tests.placement.carrying import Carrier
from tests.placement.carrying import carrier as carrier
from tests.placement.conftest import Client, StartCell
from tests.placement.fake_cell import FakeCell
from tests.waiting import eventually

TENANTS = ("acme", "bolt", "carl", "dora")
FAST: dict[str, Any] = {"kind": "balance", "goals": {"seconds": 5, "reverse_seconds": 0, "exact": False}}


@pytest.fixture
async def uneven(placement: Client, cell: FakeCell, start_cell: StartCell) -> None:
    """Four tenants in cell-1, and cell-2 beside it, which has none."""
    for tenant_id in TENANTS:
        assert (await placement.create(tenant_id)).body["cell_id"] == "cell-1"
    other = await start_cell("cell-2")
    answer = await placement("POST", "/v1/cells", other.body())
    assert answer.body["state"] == "open", answer
    for cell_id in ("cell-1", "cell-2"):
        assert (await placement("PATCH", f"/v1/cells/{cell_id}", {"capacity_tenants": 10})).status == 200


async def made(placement: Client, **body: Any) -> dict[str, Any]:
    """A plan, as it was answered."""
    answer = await placement("POST", "/v1/plans", {**FAST, **body})
    assert answer.status == 201, answer
    found: dict[str, Any] = answer.body
    return found


async def carry_all(placement: Client, carrier: Carrier) -> None:
    """What a mover would do with everything that is begun."""
    while (move := await carrier.moves.claim("mover-1", 60.0, 100)) is not None:
        await carrier.bring(move.move_id, "REVERSIBLE")
        await placement("POST", f"/v1/moves/{move.move_id}:confirm")
        await carrier.moves.record(move.move_id, move.token, "clean")
        await carrier.moves.record(move.move_id, move.token, "done")


async def test_a_plan_is_made_read_approved_and_carried_out(
    placement: Client, uneven: None, carrier: Carrier
) -> None:
    """By a search in a process of its own; nothing moves before somebody approves."""
    plan = await made(placement)
    path = f"/v1/plans/{plan['plan_id']}"
    assert (plan["state"], plan["verbs"], plan["wave"]) == ("PROPOSED", ["approve", "stop"], 1)
    summary = plan["summary"]
    assert (summary["moves"], summary["peak_before"], summary["peak_after"]) == (2, 2.0, 1.0)
    assert [each["resource"] for each in summary["balances"]] == ["tenants"]
    assert summary["unmeasured"] == 4
    assert summary["seconds"] > 0
    moves = (await placement("GET", f"{path}/moves")).body["moves"]
    assert {(move["source"], move["destination"], move["state"]) for move in moves} == {
        ("cell-1", "cell-2", "waiting")
    }
    assert "× the mean of tenants" in moves[0]["reason"]
    assert (await placement("GET", "/v1/moves")).body["moves"] == []
    approved = await placement("POST", f"{path}:approve")
    me = (await placement("GET", "/v1/whoami")).body["name"]
    assert (approved.status, approved.body["state"], approved.body["approved_by"]) == (200, "APPROVED", me)

    async def done() -> bool:
        await carry_all(placement, carrier)
        return bool((await placement("GET", path)).body["state"] == "DONE")

    await eventually(done, seconds=60)
    assert (await placement("GET", path)).body["moved"] == 2
    moved = (await placement("GET", f"{path}/moves?state=moved")).body["moves"]
    assert {move["tenant_id"] for move in moved} == {move["tenant_id"] for move in moves}
    assert (await placement("GET", f"{path}/moves?state=waiting")).body["moves"] == []
    metrics = (await placement("GET", f"{placement.admin_url}/metrics")).body
    assert 'cellway_placement_plan_moves_total{outcome="begun"} ' in metrics
    assert 'cellway_placement_ratio{resource="tenants"} ' in metrics


async def test_a_drained_cell_shows_how_far_it_is_until_it_is_empty(
    placement: Client, uneven: None, carrier: Carrier
) -> None:
    """`drain` is all that an operator says."""
    shown = (await placement("GET", "/v1/cells/cell-1/drain")).body
    assert (shown["plan"], shown["tenants_left"], shown["state"]) == (None, 4, "open")
    assert (await placement("POST", "/v1/cells/cell-1:drain")).status == 200

    async def planned() -> dict[str, Any] | None:
        found: dict[str, Any] = (await placement("GET", "/v1/cells/cell-1/drain")).body
        return found if found["plan"] is not None and found["bytes_left"] is not None else None

    shown = await eventually(planned, seconds=30)
    assert (shown["plan"]["kind"], shown["plan"]["state"]) == ("drain", "APPROVED")
    assert shown["plan"]["verbs"] == ["pause"]
    assert shown["seconds_left"] > 0
    listed = (await placement("GET", "/v1/plans?kind=drain&cell=cell-1&unfinished=true")).body["plans"]
    assert [plan["plan_id"] for plan in listed] == [shown["plan"]["plan_id"]]

    async def emptied() -> bool:
        await carry_all(placement, carrier)
        return bool((await placement("GET", "/v1/cells/cell-1/drain")).body["state"] == "empty")

    await eventually(emptied, seconds=60)
    shown = (await placement("GET", "/v1/cells/cell-1/drain")).body
    assert (shown["tenants_left"], shown["seconds_left"], shown["plan"]["moved"]) == (0, 0, 4)


async def test_what_a_drain_would_be_can_be_seen_before(placement: Client, uneven: None) -> None:
    """It is approved by draining the cell, and by nothing else."""
    plan = await made(placement, kind="drain", cell_id="cell-1")
    assert (plan["summary"]["moves"], plan["summary"]["tenants_left"], plan["verbs"]) == (4, 4, ["stop"])
    refused = await placement("POST", f"/v1/plans/{plan['plan_id']}:approve")
    assert (refused.status, "cellway cells drain" in refused.body["message"]) == (409, True)
    assert (await placement("GET", "/v1/cells/cell-1")).body["state"] == "open"


async def test_a_plan_is_paused_resumed_and_stopped(placement: Client, uneven: None) -> None:
    """What is not possible is refused, with what is."""
    plan = await made(placement)
    path = f"/v1/plans/{plan['plan_id']}"
    refused = await placement("POST", f"{path}:pause")
    assert (refused.status, refused.body["code"]) == (409, "FAILED_PRECONDITION")
    assert "possible: approve" in refused.body["message"]
    for verb, state in {"approve": "APPROVED", "pause": "PAUSED"}.items():
        assert (await placement("POST", f"{path}:{verb}")).body["state"] == state
    other = await made(placement)  # the first one rests meanwhile, however long that takes
    refused = await placement("POST", f"/v1/plans/{other['plan_id']}:approve")
    assert (refused.status, plan["plan_id"] in refused.body["message"]) == (409, True)
    for verb, state in {"resume": "APPROVED", "stop": "STOPPING"}.items():
        assert (await placement("POST", f"{path}:{verb}")).body["state"] == state
    pages = []
    token = ""
    for _ in range(2):
        page = (await placement("GET", f"/v1/plans?page_size=1&page_token={token}")).body
        pages.append(page["plans"][0]["plan_id"])
        token = page["next_page_token"]
    assert pages == [other["plan_id"], plan["plan_id"]]
    assert token == ""


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"kind": "drain"}, 400, "cell_id"),
        ({"kind": "balance", "cell_id": "cell-1"}, 400, "cell_id"),
        ({}, 400, "kind"),
        ({"kind": "drain", "cell_id": "cell-9"}, 404, "no cell cell-9"),
        ({"kind": "balance", "goals": {"start": 0.5}}, 400, "start"),
        ({"kind": "balance", "goals": {"start": 1.1, "stop": 1.2}}, 400, "stop is at most start"),
        ({"kind": "balance", "goals": {"moves_at_once": 0}}, 400, "moves_at_once"),
        ({"kind": "balance", "goals": {"quickly": True}}, 400, "quickly"),
    ],
)
async def test_what_cannot_be_planned_is_refused_with_the_reason(
    shared: Client, body: dict[str, Any], status: int, words: str
) -> None:
    """And nothing is kept."""
    answer = await shared("POST", "/v1/plans", body)
    assert (answer.status, words in f"{answer.body['message']} {answer.body['field']}") == (status, True), answer


async def test_a_plan_for_an_empty_fleet_says_so(shared: Client) -> None:
    """It is no fault to ask; and what is not there is not found."""
    answer = await shared("POST", "/v1/plans", FAST)
    assert (answer.status, answer.body["summary"]["remarks"]) == (201, ["there is no cell"]), answer
    nobodys = "/v1/plans/pl-00000000000000000000"
    for path in ("/v1/plans/nothing", nobodys, f"{nobodys}/moves"):
        assert (await shared("GET", path)).status == 404
    assert (await shared("GET", "/v1/plans", token=None)).status == 401


def test_moves_of_plans_keep_their_way_back_for_a_while() -> None:
    """Shorter than a move that an operator plans: a cell is empty only when nobody may come back."""
    from placement.planning.wishes import Wishes

    assert Wishes().options().reverse_seconds < MoveOptions().reverse_seconds
