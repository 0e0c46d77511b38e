"""What operators type about orchestrations and jobs, against a real cell; and the tree of steps."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from rich.console import Console

from console.steps import draw, duration, tree
from tests.console.conftest import Cellway
from tests.placement.conftest import Client
from tests.placement.fake_cell import FakeCell
from tests.placement.trouble import Trouble
from tests.placement.trouble import trouble as trouble

DIAMOND = {
    "validate": [],
    "account": ["validate"],
    "mailbox": ["account"],
    "identity": ["account"],
    "roles": ["identity"],
    "welcome": ["mailbox", "roles"],
    "done": ["welcome"],
}


@pytest.mark.parametrize(
    ("after", "drawn"),
    [
        ({"a": [], "b": ["a"], "c": ["b"]}, ["a", "b", "c"]),
        ({"a": [], "b": [], "c": ["a", "b"]}, ["├─a", "└─b", "c"]),
        (DIAMOND, ["validate", "account", "├─mailbox", "└─identity", "  roles", "welcome", "done"]),
        (
            {"a": [], "b": ["a"], "c": ["a"], "d": ["b"], "e": ["b"], "f": ["d", "e"], "g": ["f", "c"]},
            ["a", "├─b", "│ ├─d", "│ └─e", "│ f", "└─c", "g"],
        ),
        ({"a": [], "b": ["a"], "c": ["a", "b"]}, ["a", "└─b", "c"]),
    ],
)
def test_steps_are_drawn_below_what_they_wait_for(after: Mapping[str, Sequence[str]], drawn: list[str]) -> None:
    """A line goes straight on; branches are indented, and come together on the left."""
    assert [line.lead + line.step for line in tree(after)] == drawn


def test_durations_are_short() -> None:
    """Two numbers at most."""
    shown = [duration(seconds) for seconds in (0.0, 0.045, 1.23, 200.0, 7500.0, 273_600.0)]
    assert shown == ["0ms", "45ms", "1.2s", "3m 20s", "2h 05m", "3d 4h"]


async def test_a_stuck_orchestration_from_the_command_line(operator: Cellway, trouble: Trouble) -> None:
    """Found, shown with what helps, tried again."""
    listed = await operator("orchestrations", "list", "acme", "--stuck")
    assert (listed.code, "RESERVE_STUCK" in listed.out, trouble.stuck in listed.out) == (0, True, True)
    shown = (await operator("orchestrations", "show", "acme", trouble.stuck)).out
    assert "next action   stuck: retry or skip the compensation of `reserve`" in shown
    assert f"cellway orchestrations retry acme {trouble.stuck} reserve" in shown
    assert "failing step  reserve: UNAVAILABLE: it took too long" in shown
    refused = await operator("orchestrations", "retry", "acme", trouble.stuck, "allocate")
    assert (refused.code, "possible: retry reserve, skip reserve" in refused.err) == (1, True)
    again = await operator("orchestrations", "retry", "acme", trouble.stuck, "--json")
    assert (again.code, again.json["state"]) == (0, "RESERVE_COMPENSATING")
    assert "Nothing is stuck." in (await operator("orchestrations", "list", "acme", "--stuck")).out
    assert (await operator("orchestrations", "show", "acme", "op-nobody")).code == 4


async def test_the_picture_fits_into_a_hundred_columns(
    operator: Cellway, placement: Client, trouble: Trouble
) -> None:
    """With every name whole."""
    found: Any = (await placement("GET", f"/v1/tenants/acme/orchestrations/{trouble.stuck}")).body
    out = io.StringIO()
    Console(file=out, width=100).print(draw(found, "acme"))
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= 100
    assert [line.split()[:3] for line in lines if line.startswith(("! ", "↺ "))] == [
        ["!", "reserve", "stuck"],
        ["↺", "allocate", "undone"],
    ]
    assert any(line.startswith("· publish") for line in lines)


async def test_skipping_and_cancelling_are_asked_about(operator: Cellway, trouble: Trouble) -> None:
    """Without a terminal to ask on, --yes must be said."""
    waiting = await trouble.begin()
    for command in (("skip", "acme", trouble.stuck), ("cancel", "acme", waiting)):
        assert (await operator("orchestrations", *command)).code == 2
    skipped = await operator("orchestrations", "skip", "acme", trouble.stuck, "reserve", "--yes", "--json")
    assert (skipped.code, skipped.json["stuck"]) == (0, [])
    cancelled = await operator("orchestrations", "cancel", "acme", waiting, "--yes", "--json")
    assert (cancelled.code, cancelled.json["cancel_requested"]) == (0, True)
    listed = await operator("orchestrations", "list", "acme", "--state", "pending", "--json")
    assert [one["orchestration_id"] for one in listed.json] == [waiting]


async def test_dead_jobs_from_the_command_line(operator: Cellway, trouble: Trouble) -> None:
    """Who has some, which, again, away."""
    [first, *_] = await trouble.dead(3)
    dead = await operator("jobs", "dead", "--json")
    assert (dead.code, [(one["cell_id"], one["tenant_id"], one["jobs"]) for one in dead.json["tenants"]]) == (
        0,
        [("cell-1", "acme", 3)],
    )
    listed = await operator("jobs", "list", "acme", "--state", "dead")
    assert "In all: 0 waiting, 0 running, 0 done, 3 dead" in listed.out
    assert "it does not want to" in listed.out
    assert (await operator("jobs", "retry", "acme", first)).out == "1 tried again\n"
    assert (await operator("jobs", "discard", "acme", "--all")).code == 2
    assert (await operator("jobs", "discard", "acme", "--all", "--actor", "robot", "--yes", "--json")).json == {
        "jobs": 2,
        "left": 0,
    }
    assert "No tenant has dead jobs." in (await operator("jobs", "dead")).out
    assert (await operator("jobs", "retry", "acme", "job-nobody")).code == 4


@pytest.mark.parametrize("words", [(), ("job-1", "--all"), ("job-1", "--actor", "robot"), ("--actor", "robot")])
async def test_a_word_about_jobs_that_makes_no_sense_is_wrong_usage(
    cellway: Cellway, words: tuple[str, ...]
) -> None:
    """Told before anybody is asked: there is no platform here."""
    for verb in ("retry", "discard"):
        assert (await cellway("jobs", verb, "acme", *words)).code == 2


async def test_a_cell_that_is_away_does_not_hide_the_others(
    operator: Cellway, trouble: Trouble, start_cell: Any, placement: Client
) -> None:
    """Its silence is told, and the exit code says so."""
    await trouble.dead(1)
    silent: FakeCell = await start_cell("cell-2")
    await placement("POST", "/v1/cells", silent.body())
    silent.mode = "failing"
    dead = await operator("jobs", "dead")
    assert (dead.code, "acme" in dead.out, "cell-2 did not tell" in dead.err) == (5, True, True)
