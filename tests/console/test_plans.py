"""What operators type about plans; and how a plan is drawn."""

import io
from typing import Any

import pytest
from rich.console import Console

from console.plans import drained, draw, grouped, halted, promised, status
from tests.console.conftest import Cellway
from tests.placement.carrying import Carrier
from tests.placement.carrying import carrier as carrier
from tests.placement.conftest import Client
from tests.placement.test_plans import carry_all
from tests.placement.test_plans import uneven as uneven
from tests.waiting import eventually

QUICKLY = ("--quick", "--seconds", "5")


async def test_a_plan_is_made_shown_approved_and_followed(
    operator: Cellway, placement: Client, uneven: None, carrier: Carrier
) -> None:
    """Without a name the latest is meant; nothing moves before it is approved."""
    assert "No plan is under way" in (await operator("plan", "list")).out
    none = await operator("plan", "show")
    assert (none.code, "there is no plan" in none.err) == (1, True)
    ran = await operator("plan", *QUICKLY)
    assert ran.code == 0, ran
    best = "gap    at most 0.0% above the best that is possible"
    for words in ("2 moves in 1 wave,", "tenants", "2.00", "1.00", "cell-1 has 2.00 × the mean of tenants", best):
        assert words in ran.out, ran.out
    shown = (await operator("plan", "show", "--json")).json
    assert f"cellway plan approve {shown['plan_id']}" in ran.out
    assert [move["state"] for move in shown["moves"]] == ["waiting", "waiting"]
    assert (await operator("moves", "list", "--json")).json == []
    refused = await operator("plan", "approve")
    assert (refused.code, "Say --yes" in refused.err) == (2, True)
    assert (await operator("plan", "approve", shown["plan_id"], "--yes", "--json")).json["state"] == "APPROVED"
    assert shown["plan_id"] in (await operator("plan", "list")).out

    async def done() -> bool:
        await carry_all(placement, carrier)
        return bool((await operator("plan", "show", shown["plan_id"], "--json")).json["state"] == "DONE")

    await eventually(done, seconds=60)
    watched = await operator("plan", "watch", shown["plan_id"])
    assert (watched.code, "DONE  wave 1, 2 moved" in watched.out) == (0, True), watched
    assert "moved" in (await operator("plan", "show", shown["plan_id"], "--moves")).out
    assert shown["plan_id"] in (await operator("plan", "list", "--all")).out


async def test_a_plan_is_paused_resumed_and_stopped(operator: Cellway, uneven: None) -> None:
    """What is not possible is refused in a sentence."""
    await operator("plan", *QUICKLY)
    refused = await operator("plan", "pause")
    assert (refused.code, "possible: approve" in refused.err) == (1, True)
    await operator("plan", "approve", "--yes")
    for verb, state in (("pause", "PAUSED"), ("resume", "APPROVED"), ("stop", "STOPPING")):
        assert (await operator("plan", verb, "--json")).json["state"] == state


async def test_a_plan_that_is_paused_or_stopped_tells_which_moves_go_on(operator: Cellway, uneven: None) -> None:
    """All that there are: once it is answered, none is begun."""
    await operator("plan", *QUICKLY)
    await operator("plan", "approve", "--yes")

    async def begun() -> list[dict[str, Any]]:
        return [move for move in (await operator("moves", "list", "--json")).json if move["phase"] == "PLANNED"]

    moves = await eventually(begun, seconds=30)
    ran = await operator("plan", "pause")
    assert (ran.code, "PAUSED" in ran.out, "under way" in ran.out) == (0, True, True), ran
    assert all(move["move_id"] in ran.out and move["tenant_id"] in ran.out for move in moves)
    stopped = (await operator("plan", "stop", "--json")).json
    assert (stopped["state"], stopped["left"]) == ("STOPPING", [])
    assert {move["move_id"] for move in stopped["under_way"]} == {move["move_id"] for move in await begun()}


def test_what_goes_on_after_a_stop_is_said_with_what_to_do_about_it() -> None:
    """Of moves that are under way, of those that were left to themselves, and of those that are no part of it."""
    move = {"move_id": "mv-1", "tenant_id": "acme", "source": "cell-1", "destination": "cell-2"}
    stopping = plan(state="STOPPING", approve_time="2030-01-01T12:01:00Z")
    told = "\n".join(halted(stopping, [move, move], [{**move, "move_id": "mv-2"}]))
    for words in (
        "These moves are under way, and go on to the end; then the plan is STOPPED: cellway plan watch pl-0000.",
        "mv-2 of acme was left to itself, and may arrive yet: let it, or say cellway moves cancel mv-2",
        "started by hand",
    ):
        assert words in told, told
    assert (
        halted({**stopping, "state": "PAUSED"}, [move], [])[0] == "This move is under way, and goes on to the end."
    )
    assert halted(stopping, [], [])[0] == "No move of it is under way."
    assert halted(plan(state="STOPPED"), [], []) == []


async def test_a_drain_is_shown_before_and_followed_to_its_end(
    operator: Cellway, placement: Client, uneven: None, carrier: Carrier
) -> None:
    """`--drain` begins nothing; `cells drain --watch` tells how far it is."""
    ran = await operator("plan", "--drain", "cell-1", *QUICKLY)
    assert (ran.code, "4 moves" in ran.out, "cell-1 is draining" in ran.out) == (0, True, True), ran
    late = await operator("cells", "drain", "cell-1", "--watch", "--timeout", "0s")
    assert (late.code, "4 tenants left" in late.out) == (5, True), late

    async def emptied() -> bool:
        await carry_all(placement, carrier)
        return bool((await placement("GET", "/v1/cells/cell-1")).body["state"] == "empty")

    await eventually(emptied, seconds=60)
    assert "drain cell-1" in (await operator("plan", "list", "--all")).out
    again = await operator("cells", "drain", "cell-1", "--watch", "--timeout", "30s")
    assert (again.code, "cell-1 is empty, 0 tenants left" in again.out) == (0, True), again


def plan(**fields: Any) -> dict[str, Any]:
    """As placement answers."""
    balances = [{"resource": "cpu on days", "before": 1.62, "after": 1.08, "use": 0.55}]
    summary = {
        "moves": 3, "bytes": 3.2e9, "waves": 2, "seconds": 95.0, "measured_moves": 4, "gap": 0.012,
        "balances": balances, "began": [], "homeless": 0, "homeless_why": [], "remarks": ["2 tenants are new"],
    }  # fmt: skip
    made = {
        "plan_id": "pl-0000", "kind": "balance", "cell_id": None, "state": "PROPOSED",
        "verbs": ["approve", "stop"],
        "automatic": False, "approved_by": "", "wave": 1, "moved": 0, "failed": 0, "moved_bytes": 0.0, "error": "",
        "summary": summary, "create_time": "2030-01-01T12:00:00Z", "expire_time": "2030-01-01T13:00:00Z",
        "approve_time": None, "end_time": None,
    }  # fmt: skip
    return {**made, **fields}


HOT = "cell-1 has 1.62 × the mean of cpu on days"
MOVES = [
    {"tenant_id": name, "source": "cell-1", "destination": destination, "bytes": 1e9, "reason": reason}
    for name, destination, reason in (
        (
            "acme",
            "cell-2",
            "cell-1 has 1.62 × the mean of cpu on days, 12.0% of it this tenant's; cell-2 has 0.5 ×",
        ),
        (
            "bolt",
            "cell-3",
            "cell-1 has 1.62 × the mean of cpu on days, 3.0% of it this tenant's; cell-3 has 0.5 ×",
        ),
        ("carl", "cell-2", "cell-1 lacks pci"),
    )
]


def drawn(what: Any) -> str:
    """As on a terminal of 110 columns without colours."""
    out = io.StringIO()
    Console(file=out, width=110, color_system=None).print(what)
    return out.getvalue()


def test_a_plan_is_drawn_with_its_balance_its_cost_and_its_reasons() -> None:
    """Moves for the same reason are one line; what could be done is said in commands."""
    text = drawn(draw(plan(), MOVES))
    for words in (
        "3 moves in 2 waves, 3.2 GB, about",
        "at most 1.2% above the best that is possible",
        "cpu on days",
        "acme, bolt",
        "cell-1 lacks pci",
        "! 2 tenants are new",
        "cellway plan approve pl-0000",
    ):
        assert words in text, text
    assert [(group.why, len(group.tenants)) for group in grouped(MOVES)] == [
        (HOT, 2),
        ("cell-1 lacks pci", 1),
    ]
    nothing = plan(summary={**plan()["summary"], "moves": 0, "waves": 0})
    assert promised(nothing) == "nobody is to be moved"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "PROPOSED  wave 1, 0 moved (0 B); 3 when the wave was planned"),
        (
            {"state": "FAILED", "failed": 2, "end_time": "2030-01-01T13:00:00Z"},
            "FAILED  wave 1, 0 moved (0 B), 2 not",
        ),
    ],
)
def test_a_followed_plan_is_one_line(fields: dict[str, Any], words: str) -> None:
    """With what went wrong."""
    assert status(plan(**fields)) == words


def test_a_followed_drain_is_one_line() -> None:
    """As much of it as is known."""
    known = {
        "cell_id": "cell-1", "state": "draining", "tenants_left": 12, "bytes_left": 3e9, "tenants_an_hour": 40.0,
        "bytes_an_hour": 1e10, "seconds_left": 1080.0, "plan": None,
    }  # fmt: skip
    assert drained(known) == (
        "cell-1 is draining, 12 tenants left, 3.0 GB left, 40 tenants and 10.0 GB an hour, about 18m 00s left"
    )
    unknown = {**known, "bytes_left": None, "tenants_an_hour": None, "seconds_left": None}
    assert drained(unknown) == "cell-1 is draining, 12 tenants left"
    assert drained({**known, "tenants_left": 0, "seconds_left": 0}) == "cell-1 is draining, 0 tenants left"
