"""What operators type about moves; and how a move is drawn."""

import asyncio
import io
from typing import Any

import pytest
from rich.console import Console

from console.commands.moves import Follower, seconds_of
from console.errors import Usage
from console.moves import draw, lines, progress, status
from directory.control.contract import TableSize
from directory.values import MoveChange
from runtime.tasks import Tasks
from tests.console.conftest import Cellway, Ran
from tests.placement.carrying import Carrier
from tests.placement.carrying import carrier as carrier
from tests.placement.carrying import two_cells as two_cells
from tests.placement.conftest import Client
from tests.placement.fake_cell import FakeCell
from tests.waiting import eventually

HALF_WAY = {
    "tables": {"shop.orders": {"rows": 3000}},
    "rows_total": 3000,
    "rows_copied": 1350,
    "bytes_copied": 1_234_567,
    "rows_per_second": 50.0,
}


async def started(operator: Cellway, *more: str) -> str:
    """The name of a move of acme to cell-2."""
    ran = await operator("moves", "start", "acme", "--to", "cell-2", "--json", *more)
    assert ran.code == 0, ran
    return str(ran.json["move_id"])


async def test_a_move_is_started_and_found(operator: Cellway, two_cells: None) -> None:
    """By its own name or by its tenant's; with what was said, or the usual."""
    assert "No move is under way." in (await operator("moves", "list")).out
    ran = await operator(
        "moves", "start", "acme", "--to", "cell-2", "--reverse-window", "12h", "--reason", "hot cell"
    )
    assert (ran.code, "acme, cell-1 → cell-2" in ran.out, "cellway moves watch mv-" in ran.out) == (0, True, True)
    found = (await operator("moves", "show", "acme", "--json")).json
    assert (found["options"]["reverse_seconds"], found["reason"], found["phase"]) == (
        43_200,
        "hot cell",
        "PLANNED",
    )
    assert [event["phase"] for event in found["events"]] == ["PLANNED"]
    assert (await operator("moves", "show", found["move_id"], "--json")).json == found
    for filters in ((), ("--tenant", "acme"), ("--cell", "cell-2"), ("--all",)):
        assert found["move_id"] in (await operator("moves", "list", *filters)).out
    assert (await operator("moves", "list", "--cell", "cell-9", "--json")).json == []
    again = await operator("moves", "start", "acme", "--to", "cell-2")
    assert (again.code, found["move_id"] in again.err) == (1, True)


@pytest.mark.parametrize("name", ["mv-" + "0" * 20, "nobody", "Not A Name"])
async def test_a_move_that_is_not_there_is_told(operator: Cellway, placement: Client, name: str) -> None:
    """Exit code 4, or 1 for what cannot be a name."""
    assert (await operator("moves", "show", name)).code in (1, 4)


async def test_a_move_is_shown_with_phases_progress_and_error(
    operator: Cellway, two_cells: None, carrier: Carrier
) -> None:
    """And with what to do about it."""
    name = await started(operator, "--reason", "hot cell")
    change = MoveChange(progress=HALF_WAY, error="table shop.orders is missing in cell-2")
    token = await carrier.bring(name, "COPYING", change)
    shown = (await operator("moves", "show", name)).out
    assert "progress  45 %, 1,350 of 3,000 rows, 1.2 MB, 50 rows/s, 33.0s left" in shown
    assert "error     table shop.orders is missing in cell-2" in shown
    assert "mover     " in shown
    assert "mend what the error says" in shown
    assert "pause     none yet; allowed: 250 ms expected, 1000 ms at most" in shown
    assert "reason    hot cell" in shown
    assert [line.split()[:2] for line in shown.splitlines() if line.startswith(("✓", "▸", "·"))][2:5] == [
        ["✓", "CAPTURING"],
        ["▸", "COPYING"],
        ["·", "CATCHING_UP"],
    ]
    assert f"possible now  cellway moves pause {name}" in shown
    listed = (await operator("moves", "list")).out
    assert "45 %" in listed
    assert "table shop.orders is missing" in listed
    await carrier.moves.note(name, token, MoveChange(error=""))
    assert "error" not in (await operator("moves", "show", name)).out


async def test_a_move_is_paused_resumed_and_switched(operator: Cellway, two_cells: None, carrier: Carrier) -> None:
    """By the tenant's name too; what is not possible is told with what is."""
    await started(operator, "--hold")
    assert "PLANNED, paused" in (await operator("moves", "pause", "acme")).out
    resumed = await operator("moves", "resume", "acme", "--json")
    assert (resumed.json["paused"], resumed.json["options"]["hold"]) == (False, True)
    await carrier.bring(resumed.json["move_id"], "READY")
    assert "held: say switch when it suits" in (await operator("moves", "show", "acme")).out
    assert (await operator("moves", "switch", "acme", "--json")).json["wish"] == "switch"
    refused = await operator("moves", "confirm", "acme", "--yes")
    assert (refused.code, "possible: resume, pause, cancel, switch" in refused.err) == (1, True)


async def test_cancelling_and_confirming_are_asked_about(
    operator: Cellway, two_cells: None, carrier: Carrier
) -> None:
    """Without a terminal to ask on, --yes must be said."""
    name = await started(operator)
    asked = await operator("moves", "cancel", name)
    assert (asked.code, "acme stays in cell-1" in asked.err) == (2, True)
    assert (await operator("moves", "cancel", name, "--yes", "--json")).json["wish"] == "cancel"
    await carrier.record(name, "abort", "aborted")
    name = await started(operator)
    await carrier.bring(name, "REVERSIBLE")
    asked = await operator("moves", "confirm", name)
    assert (asked.code, "remove acme from cell-1, for good" in asked.err) == (2, True)
    assert (await operator("moves", "confirm", name, "-y", "--json")).json["wish"] == "confirm"


async def test_a_move_is_followed_until_the_tenant_lives_there(
    operator: Cellway, two_cells: None, carrier: Carrier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line a phase, and in the end the whole picture, with the pause and the proof."""
    monkeypatch.setattr("console.commands.moves.LOOK_SECONDS", 0.01)
    tasks = Tasks()
    following = tasks.spawn("wait", operator("moves", "start", "acme", "--to", "cell-2", "--wait"))
    move = (await eventually(carrier.moves.moves))[0]
    await carrier.bring(move.move_id, "COPYING", MoveChange(progress=HALF_WAY))
    rows = {"cell.accounts": 3000, "cell.jobs": 0}
    proof = {"equal": True, "snapshot": "7:9:", "rows": rows, "sums": {}, "seconds": 0.2}
    await carrier.bring(move.move_id, "DRAINING", MoveChange(pause_ms=12.34, proof=proof, progress={}))
    await carrier.bring(move.move_id, "REVERSIBLE")
    ran: Ran = await asyncio.wait_for(following, 20)
    assert ran.code == 0, ran
    assert ran.out.splitlines()[0].split()[2] in ("PLANNED", "PREPARED", "CAPTURING", "COPYING")
    assert "writes waited 12.3 ms" in ran.out
    assert "equal at the source's snapshot 7:9:: 3,000 rows in 1 of 2 tables" in " ".join(ran.out.split())
    assert "the way back is kept: confirm or reverse" in ran.out
    assert (await operator("moves", "watch", "acme")).code == 0


async def test_following_a_move_that_is_given_up_ends_with_the_reason(
    operator: Cellway, two_cells: None, carrier: Carrier
) -> None:
    """Exit code 1; one that takes too long goes on by itself, and the exit code is 5."""
    name = await started(operator)
    late = await operator("moves", "watch", name, "--timeout", "0")
    assert (late.code, "goes on by itself" in late.err) == (5, True)
    token = await carrier.claim(name)
    await carrier.moves.record(name, token, "abort", MoveChange(error="cell-2 is away"))
    await carrier.moves.record(name, token, "aborted")
    ran = await operator("moves", "watch", name)
    assert (ran.code, "acme stayed: cell-2 is away" in ran.err, "ABORTED" in ran.out) == (1, True, True)
    assert name in (await operator("moves", "list", "--all")).out
    assert name not in (await operator("moves", "list")).out


async def test_waiting_for_a_move_that_is_held_ends_when_it_is_ready(
    operator: Cellway, two_cells: None, carrier: Carrier
) -> None:
    """Then it is for the operator to say when."""
    tasks = Tasks()
    words = ("moves", "start", "acme", "--to", "cell-2", "--wait", "--hold", "--json")
    following = tasks.spawn("wait", operator(*words))
    move = (await eventually(carrier.moves.moves))[0]
    await carrier.bring(move.move_id, "READY")
    ran: Ran = await asyncio.wait_for(following, 20)
    assert (ran.code, ran.json["phase"], ran.json["next_action"]) == (0, "READY", "held: say switch when it suits")


async def test_a_tenant_goes_back(operator: Cellway, two_cells: None, carrier: Carrier) -> None:
    """By its name, the latest move is meant: the one that is to be undone, and then the one that undoes it."""
    name = await started(operator)
    early = await operator("moves", "reverse", "acme")
    assert (early.code, "while PLANNED" in early.err) == (1, True)
    preview = await operator("moves", "reverse", "acme", "--plan", "--json")
    assert (preview.code, any("while PLANNED" in why for why in preview.json["obstacles"])) == (1, True)
    await carrier.bring(name, "REVERSIBLE")
    back = (await operator("moves", "reverse", "acme", "--reason", "slower", "--json")).json
    assert (back["reverses"], back["destination"], back["reason"]) == (name, "cell-1", "slower")
    assert (await operator("moves", "show", "acme", "--json")).json["move_id"] == back["move_id"]
    assert f"reverses  {name}" in (await operator("moves", "show", back["move_id"])).out


async def test_a_move_is_looked_at_before_it_is(
    operator: Cellway, two_cells: None, carrier: Carrier, cell: FakeCell
) -> None:
    """Exit code 0 when nothing is in the way, else 1 and what there is to do; nothing is begun."""
    words = ("moves", "start", "acme", "--to", "cell-2", "--plan")
    ran = await operator(*words)
    assert (ran.code, ran.err) == (0, "")
    shown = ran.out.splitlines()
    for line in (
        "tenant  acme, cell-1 → cell-2",
        "holds   3,000 rows in 1 of 1 tables, 1.2 MB",
        "time    about 10.3s until it lives there, by what is usual: no move was measured yet",
        "pause   no move was measured yet",
        "✓ nothing is in the way; nothing was begun",
    ):
        assert line in [each.strip() for each in shown], ran.out
    assert [line.split() for line in shown if line.startswith("shop.orders")] == [
        ["shop.orders", "3,000", "1.2", "MB"]
    ]
    assert (await operator(*words, "--json")).json["rows"] == 3000
    assert "nothing to --wait for" in (await operator(*words, "--wait")).err
    cell.sizes = [TableSize(relation="shop.orders", rows=400_000, bytes=10, estimated=True)]
    await carrier.directory.change_cell("cell-2", "cordon")
    ran = await operator(*words)
    assert (ran.code, "✗ cell cell-2 is cordoned" in ran.out, "~400,000" in ran.out) == (1, True, True)
    ran = await operator(*words, "--json")
    assert (ran.code, len(ran.json["obstacles"])) == (1, 1)
    assert (await operator("moves", "start", "nobody", "--to", "cell-2", "--plan")).code == 4
    assert await carrier.moves.moves() == []


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30m", 1800), ("12h", 43_200), ("1d", 86_400), ("0", 0), ("1.5h", 5400)]
)
def test_lengths_of_time_are_said_briefly(text: str, seconds: float) -> None:
    """A number alone is seconds."""
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "-1d", "1w", "1d2h", "1d ", "nan"])
async def test_what_is_no_length_of_time_is_wrong_usage(cellway: Cellway, text: str) -> None:
    """Told before anybody is asked: there is no platform here."""
    with pytest.raises(Usage):
        seconds_of(text)
    assert (await cellway("moves", "start", "acme", "--to", "cell-2", f"--reverse-window={text}")).code == 2


def a_move(phase: str = "COPYING", **more: Any) -> dict[str, Any]:
    """As placement tells of it."""
    return {
        "move_id": "mv-1",
        "tenant_id": "acme",
        "source": "cell-1",
        "destination": "cell-2",
        "phase": phase,
        "paused": False,
        "wish": "run",
        "verbs": ["pause"],
        "next_action": "rows are copied to cell-2",
        "attempt": 1,
        "options": {"reverse_seconds": 86_400, "pause_budget_ms": 250, "most_pause_ms": 1000, "hold": False},
        "progress": {},
        "proof": {},
        "pause_ms": None,
        "owner": "mover-1",
        "error": "",
        "reason": "",
        "reverses": None,
        "create_time": "2030-01-01T12:00:00Z",
        "end_time": None,
        **more,
    }


@pytest.mark.parametrize(
    ("known", "told"),
    [
        ({}, ""),
        ({"rows_copied": 10}, "10 rows"),
        ({"rows_copied": 0, "rows_total": 0}, "0 rows"),
        ({"rows_copied": 12, "rows_total": 10}, "100 %, 12 of 10 rows"),
        ({"rows_copied": "many", "rows_total": None, "unheard_of": 1}, ""),
        (HALF_WAY, "45 %, 1,350 of 3,000 rows, 1.2 MB, 50 rows/s, 33.0s left"),
        ({**HALF_WAY, "rows_per_second": 0}, "45 %, 1,350 of 3,000 rows, 1.2 MB"),
        ({"throttled": 0.01, "commit_ms": 3.1, "usual_commit_ms": 3.0}, ""),
        ({"throttled": 0.5}, "waits 50 % of the time, to spare its source"),
        (
            {"throttled": 0.83, "commit_ms": 12.0, "usual_commit_ms": 3.1},
            "waits 83 % of the time, to spare its source: commits there take 12 ms, usually 3.1",
        ),
        ({"lag_keys": 1200, "step_ms": 12.5}, "1,200 changes behind, a step takes 12ms"),
    ],
)
def test_progress_is_told_as_far_as_it_is_known(known: dict[str, Any], told: str) -> None:
    """Whatever a newer mover says besides."""
    assert progress(a_move(progress=known)) == told
    assert status(a_move(progress=known)) == f"COPYING  {told or 'rows are copied to cell-2'}"


def test_a_phase_takes_until_the_next_and_a_wish_takes_no_time() -> None:
    """A wish between two phases does not cut the first one short."""
    told = [
        ("00", "PLANNED", "", {}),
        ("05", "PLANNED", "asked to run", {"event": "ask"}),
        ("09", "PREPARED", "", {}),
    ]
    events: list[dict[str, Any]] = [
        {"time": f"2030-01-01T12:00:{second}Z", "phase": phase, "text": text, "detail": detail}
        for second, phase, text, detail in told
    ]
    events[2]["detail"] = {"error": "x"}
    assert [(line.phase, line.seconds, line.text, line.is_wish) for line in lines(events)] == [
        ("PLANNED", 9.0, "", False),
        ("PLANNED", None, "asked to run", True),
        ("PREPARED", None, "x", False),
    ]


def test_the_picture_fits_into_a_hundred_columns_however_much_happened() -> None:
    """The latest lines are shown."""
    event = {"number": 1, "time": "2030-01-01T12:00:00Z", "phase": "READY", "text": "t" * 200, "detail": {}}
    found = a_move(phase="READY", move_id="mv-" + "0" * 20, attempt=99, progress=HALF_WAY, reason="r" * 150)
    out = io.StringIO()
    Console(file=out, width=100).print(draw(found, [event] * 300))
    drawn = out.getvalue().splitlines()
    assert max(map(len, drawn)) <= 100
    assert any("… 240 before" in line for line in drawn)


def test_a_terminal_sees_how_far_it_is_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """A new line begins with a new phase."""
    follower = Follower(live=True, silent=False)
    for copied in (1, 2):
        follower.see(a_move(progress={"rows_copied": copied}))
    follower.see(a_move("CATCHING_UP", error="it went wrong"))
    follower.end()
    first, second, third, error, *_ = capsys.readouterr().out.split("\n")
    assert ("1 rows" in first, "2 rows" in second, "CATCHING_UP" in second) == (True, True, True)
    assert (third.strip(), error) == ("it went wrong", "")
