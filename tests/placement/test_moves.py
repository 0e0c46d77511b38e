"""Operators plan moves, look at them, and say what is to become of them."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from directory.rules.moves import ENDED
from directory.values import Move, MoveChange, MoveOptions, MovePhase, Wish
from placement.rules import moving
from tests.directory.moving import PHASES
from tests.placement.carrying import Carrier
from tests.placement.carrying import carrier as carrier
from tests.placement.carrying import two_cells as two_cells
from tests.placement.conftest import Client

ACME = {"tenant_id": "acme", "destination": "cell-2"}
NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


async def test_a_planned_move_can_be_looked_at(placement: Client, two_cells: None) -> None:
    """With what was asked for, and what happens next."""
    options = {
        "reverse_seconds": 3600,
        "hold": True,
        "pause_budget_ms": 100,
        "most_pause_ms": 400,
        "verify": False,
    }
    made = await placement("POST", "/v1/moves", {**ACME, "options": options, "reason": "cell-1 is hot"})
    assert made.status == 201, made
    body = made.body
    assert (body["source"], body["destination"], body["phase"]) == ("cell-1", "cell-2", "PLANNED")
    assert (body["options"], body["reason"], body["next_action"]) == (
        options,
        "cell-1 is hot",
        "a mover takes it up",
    )
    assert body["verbs"] == ["pause", "switch", "cancel"]
    assert (await placement("GET", f"/v1/moves/{body['move_id']}")).body == body
    events = (await placement("GET", f"/v1/moves/{body['move_id']}/events")).body["events"]
    assert [(event["number"], event["phase"], event["text"]) for event in events] == [
        (1, "PLANNED", "cell-1 is hot")
    ]


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"tenant_id": "nobody", "destination": "cell-2"}, 404, "no tenant nobody"),
        ({"tenant_id": "acme", "destination": "cell-9"}, 404, "no cell cell-9"),
        ({"tenant_id": "acme", "destination": "cell-1"}, 409, "lives in cell cell-1 already"),
        ({"tenant_id": "acme"}, 400, "destination"),
        ({**ACME, "options": {"reverse_seconds": -1}}, 400, "reverse_seconds"),
        ({**ACME, "options": {"pause_budget_ms": 2000}}, 400, "pause_budget_ms"),
        ({**ACME, "options": {"quickly": True}}, 400, "quickly"),
        ({**ACME, "reason": "two\nlines"}, 400, "reason"),
    ],
)
async def test_what_cannot_be_planned_is_refused_with_the_reason(
    placement: Client, two_cells: None, body: object, status: int, words: str
) -> None:
    """And nothing is planned."""
    answer = await placement("POST", "/v1/moves", body)
    assert (answer.status, words in f"{answer.body['message']} {answer.body['field']}") == (status, True), answer
    assert (await placement("GET", "/v1/moves")).body == {"moves": [], "next_page_token": ""}


async def test_a_second_move_of_a_tenant_is_refused_with_the_first_ones_name(
    placement: Client, two_cells: None
) -> None:
    """Whoever lost the answer finds the move by it; and the tenant is not deleted meanwhile."""
    name = (await placement("POST", "/v1/moves", ACME)).body["move_id"]
    again = await placement("POST", "/v1/moves", ACME)
    assert (again.status, again.body["code"], name in again.body["message"]) == (409, "FAILED_PRECONDITION", True)
    await placement("POST", "/v1/tenants/acme:suspend")
    deleted = await placement("DELETE", "/v1/tenants/acme")
    assert (deleted.status, f"cancel move {name} first" in deleted.body["message"]) == (409, True)


async def test_moves_are_listed_page_by_page(placement: Client, two_cells: None, carrier: Carrier) -> None:
    """Of a tenant, of a cell, unfinished or not; a token is good for its own list."""
    await placement.create("bolt")
    names = []
    for tenant_id, destination in (("acme", "cell-2"), ("bolt", "")):
        home = (await placement("GET", f"/v1/tenants/{tenant_id}")).body["cell_id"]
        body = {"tenant_id": tenant_id, "destination": destination or ("cell-2", "cell-1")[home == "cell-2"]}
        names.append((await placement("POST", "/v1/moves", body)).body["move_id"])
    await placement("POST", f"/v1/moves/{names[1]}:pause")
    await carrier.record(names[0], "abort", "aborted")

    async def listed(query: str) -> list[str]:
        found = await placement("GET", f"/v1/moves?{query}")
        assert found.status == 200, found
        return [move["move_id"] for move in found.body["moves"]]

    assert await listed("") == sorted(names)
    assert await listed("unfinished=true") == names[1:]
    assert await listed("unfinished=false") == names[:1]
    assert await listed("tenant=bolt") == names[1:]
    assert await listed("cell=cell-2&tenant=acme") == names[:1]
    assert await listed("cell=cell-9") == []
    first = (await placement("GET", "/v1/moves?page_size=1")).body
    token = first["next_page_token"]
    second = (await placement("GET", f"/v1/moves?page_size=1&page_token={token}")).body
    assert [first["moves"][0]["move_id"], second["moves"][0]["move_id"]] == sorted(names)
    assert second["next_page_token"] == ""
    assert (await placement("GET", f"/v1/moves?cell=cell-1&page_token={token}")).status == 400
    events = await placement("GET", f"/v1/moves/{names[0]}/events?page_size=2")
    token = events.body["next_page_token"]
    rest = await placement("GET", f"/v1/moves/{names[0]}/events?page_size=2&page_token={token}")
    phases = [event["phase"] for event in (*events.body["events"], *rest.body["events"])]
    assert phases == ["PLANNED", "ABORTING", "ABORTED"]
    assert (await placement("GET", f"/v1/moves/{names[1]}/events?page_token={token}")).status == 400


async def test_what_an_operator_says_is_kept_and_what_is_not_possible_refused(
    placement: Client, two_cells: None, carrier: Carrier
) -> None:
    """409 says why, and what would be possible; twice the same is no mistake."""
    one = "/v1/moves/" + (await placement("POST", "/v1/moves", ACME)).body["move_id"]
    for verb, wish, paused in (
        *(("pause", "pause", True), ("pause", "pause", True), ("resume", "run", False)),
        *(("switch", "switch", False), ("cancel", "cancel", False), ("cancel", "cancel", False)),
    ):
        answer = await placement("POST", f"{one}:{verb}")
        assert (answer.status, answer.body["wish"], answer.body["paused"]) == (200, wish, paused)
    assert answer.body["verbs"] == ["cancel"]
    for verb in ("pause", "resume", "switch"):
        refused = await placement("POST", f"{one}:{verb}")
        assert (refused.status, "is being cancelled" in refused.body["message"]) == (409, True)
    early = await placement("POST", f"{one}:confirm")
    assert (early.status, "possible: resume, pause, cancel, switch" in early.body["message"]) == (409, True)


async def test_a_move_goes_back_while_its_way_back_is_kept(
    placement: Client, two_cells: None, carrier: Carrier
) -> None:
    """By a move of its own; the first one waits for it."""
    name = (await placement("POST", "/v1/moves", ACME)).body["move_id"]
    early = await placement("POST", f"/v1/moves/{name}:reverse", {})
    assert (early.status, "reverse is not possible while PLANNED" in early.body["message"]) == (409, True)
    await carrier.bring(name, "REVERSIBLE", MoveChange(pause_ms=12.5, proof={"tables": 9, "equal": True}))
    found = (await placement("GET", f"/v1/moves/{name}")).body
    assert (found["pause_ms"], found["proof"]) == (12.5, {"tables": 9, "equal": True})
    assert found["verbs"] == ["pause", "confirm", "reverse"]
    assert (await placement("GET", "/v1/tenants/acme")).body["cell_id"] == "cell-2"
    back = await placement(
        "POST", f"/v1/moves/{name}:reverse", {"reason": "slower there", "options": {"hold": True}}
    )
    assert (back.status, back.body["reverses"], back.body["destination"]) == (201, name, "cell-1")
    assert (back.body["options"]["hold"], back.body["reason"]) == (True, "slower there")
    assert (await placement("GET", f"/v1/moves/{name}")).body["phase"] == "REVERSING"
    again = await placement("POST", f"/v1/moves/{name}:reverse", {})
    assert (again.status, back.body["move_id"] in again.body["message"]) == (409, True)


@pytest.mark.parametrize("name", ["mv-nothing", "mv-" + "0" * 20, "%00", "a%20b"])
async def test_a_move_that_is_not_there_is_not_found(shared: Client, name: str) -> None:
    """Whatever is asked of it."""
    for method, path, body in (
        ("GET", "", None),
        ("GET", "/events", None),
        *(("POST", f":{verb}", None) for verb in moving.VERBS),
        ("POST", ":reverse", {}),
    ):
        answer = await shared(method, f"/v1/moves/{name}{path}", body)
        assert (answer.status, answer.body["code"]) == (404, "NOT_FOUND"), answer


def a_move(phase: MovePhase, wish: Wish = "run", owner: str = "mover", hold: bool = False) -> Move:
    """Some move."""
    options = MoveOptions(hold=hold)
    made = Move(
        *("mv-1", "acme", "cell-1", "cell-2", phase, wish == "pause", wish, 7, owner, 1),
        *({}, options, {}, {}, None, "", "", None, NOON, NOON, None),
    )
    return made if owner or phase == "PLANNED" else replace(made, token=8)


def test_every_phase_has_a_next_action_and_an_end_has_nothing_to_say() -> None:
    """No brace is left in a line for people."""
    for phase in PHASES:
        for wish in ("run", "pause", "cancel", "switch", "confirm"):
            line = moving.next_action(a_move(phase, wish))  # type: ignore[arg-type]
            assert line
            assert "{" not in line
        assert bool(moving.verbs(a_move(phase))) == (
            phase not in ENDED and (phase in PHASES[:9] or phase in ("REVERSIBLE", "ABORTING"))
        )


@pytest.mark.parametrize(
    ("move", "line"),
    [
        (a_move("COPYING"), "rows are copied to cell-2"),
        (a_move("COPYING", "pause"), "paused: resume it, or cancel it"),
        (a_move("REVERSIBLE", "pause"), "paused: resume it, or confirm or reverse it"),
        (a_move("COPYING", "cancel"), "it is being cancelled: the tenant stays in cell-1"),
        (a_move("COPYING", owner=""), "a mover takes it up again, if one runs: cellway status"),
        (replace(a_move("COPYING", owner=""), error="away"), "it is tried again by itself, after a rest"),
        (a_move("READY", hold=True), "held: say switch when it suits"),
        (a_move("READY", "switch", hold=True), "it switches at the next good moment"),
        (a_move("REVERSIBLE", "switch"), "the way back is kept: confirm or reverse"),
        (a_move("REVERSIBLE", "confirm"), "its way back is being closed"),
        (a_move("ABORTED"), "nothing: the tenant stayed in cell-1; another move can be planned"),
    ],
)
def test_the_next_action_says_who_has_to_do_something(move: Move, line: str) -> None:
    """In one line."""
    assert moving.next_action(move) == line
