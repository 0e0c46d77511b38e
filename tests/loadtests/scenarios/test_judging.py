"""What is read off a run, and when a goal is reached."""

import json
from typing import Any

import numpy as np
import pytest

from loadtests.scenarios.__main__ import quietest
from loadtests.scenarios.catalogue import ALL, BY_NAME
from loadtests.scenarios.conductor import Outcome
from loadtests.scenarios.rules.arrivals import OPERATIONS
from loadtests.scenarios.rules.goals import Goal, judge
from loadtests.scenarios.rules.run import Run, Span, Switch
from loadtests.scenarios.rules.samples import BROKEN, FORMAT, SAMPLE, Samples, quantile_ms, reasons, series
from loadtests.scenarios.rules.telling import Circumstances, told

HOMES = ("cell-1", "cell-2", "cell-3")
SECONDS = 60.0


def samples_of(**columns: Any) -> Samples:
    """Reads of all tenants in turn, fifty a second, each answered with 200 after 10 ms; but for what is said."""
    count = int(50 * SECONDS)
    found = np.zeros(count, SAMPLE)
    found["due"] = np.linspace(0, SECONDS, count, endpoint=False)
    found["seconds"], found["status"], found["operation"] = 0.010, 200, OPERATIONS.index("read")
    found["tenant"] = np.arange(count) % len(HOMES)
    for name, values in columns.items():
        found[name] = values
    return found


def run_of(samples: Samples, *spans: Span, **more: Any) -> Run:
    """A run with what was done to it."""
    return Run(SECONDS, 50.0, samples, HOMES, spans, **more)


LOSS = Span(20.0, 40.0, "cell-2 killed", "cell-2")
BACK = Span(40.0, 42.0, "cell-2 starts again", "cell-2", disturbs=False)


def figures(scenario: str, run: Run) -> dict[str, tuple[float | None, bool]]:
    """Each goal's figure, and whether it was reached."""
    return {each.goal.name: (each.figure, each.passed) for each in judge(BY_NAME[scenario].goals, run)}


def test_a_sample_is_written_as_it_is_read() -> None:
    """One side packs, the other maps the file."""
    import struct

    assert struct.calcsize(FORMAT) == SAMPLE.itemsize
    packed = struct.pack(FORMAT, 1.5, 0.25, 0.125, 7, 3, 503)
    assert np.frombuffer(packed, SAMPLE)[0].item() == (1.5, 0.25, 0.125, 7, 3, 503)


@pytest.mark.parametrize(("share", "expected"), [(0.5, 500.0), (0.99, 990.0), (1.0, 1000.0), (0.001, 1.0)])
def test_a_quantile_is_the_nearest_rank(share: float, expected: float) -> None:
    """A value that was measured, not one in between."""
    seconds = np.random.default_rng(1).permutation(np.arange(1, 1001)) / 1000
    assert quantile_ms(seconds, share) == pytest.approx(expected)


def test_nothing_has_no_quantile() -> None:
    """Nor is it zero."""
    assert quantile_ms(np.zeros(0), 0.99) is None


def test_a_series_has_every_step_also_the_empty_ones() -> None:
    """By the moment at which requests were due."""
    samples = samples_of()
    found = series(samples[(samples["due"] < 1) | (samples["due"] >= 2)], 3.0, 1.0)
    assert found["requests"] == [50, 0, int(50 * (SECONDS - 2))]
    assert found["p99_ms"][:2] == [10.0, None]


def test_only_tenants_of_a_lost_cell_may_fail() -> None:
    """Their failures are theirs; one of a neighbour misses the goal."""
    status = np.full(int(50 * SECONDS), 200)
    status[1001:2000:3] = 503  # tenant 1 lives in cell-2; due from 20 s to 40 s
    samples = samples_of(status=status)
    samples["tenant"][1001:2000:3] = 1
    found = figures("cell_loss", run_of(samples, LOSS, BACK))
    assert found["others_errors"] == (0, True)
    assert found["told_ms"] == (10.0, True)
    assert found["back_seconds"] == (0.0, True)
    samples["status"][1500], samples["tenant"][1500] = BROKEN, 0
    assert figures("cell_loss", run_of(samples, LOSS, BACK))["others_errors"] == (1, False)


@pytest.mark.parametrize(("operation", "seconds"), [("read", 17.0), ("stream", 0.0)])
def test_a_cell_is_back_when_reads_and_writes_are_refused_no_more(operation: str, seconds: float) -> None:
    """A stream that came before the next loss, and was ended by it, is no refusal of when it came."""
    samples = samples_of()
    late = samples[2950]
    late["tenant"], late["status"], late["operation"] = 1, 503, OPERATIONS.index(operation)
    assert figures("cell_loss", run_of(samples, LOSS, BACK))["back_seconds"] == (seconds, not seconds)


@pytest.mark.parametrize(("slower", "passed"), [(1.0, True), (1.09, True), (1.2, False)])
def test_others_are_compared_with_calm_times(slower: float, passed: bool) -> None:
    """What the lost cell's own tenants wait, and what it costs to start it again, is not in it."""
    samples = samples_of()
    during = (samples["due"] >= 20) & (samples["due"] < 40)
    samples["seconds"][during] *= slower
    samples["seconds"][samples["tenant"] == 1] = 5.0
    samples["seconds"][(samples["due"] >= 40) & (samples["due"] < 42)] = 3.0
    figure, reached = figures("cell_loss", run_of(samples, LOSS, BACK))["others_p99"]
    assert figure == pytest.approx(slower, abs=0.01)
    assert reached == passed


def test_a_tenant_that_moved_belongs_to_its_new_cell() -> None:
    """From the switch on."""
    run = run_of(samples_of(), switches=[Switch(30.0, 0, "cell-3")])
    own = run.samples["tenant"] == 0
    assert set(run.cells[own & run.between(0, 30)]) == {"cell-1"}
    assert set(run.cells[own & run.between(30, 60)]) == {"cell-3"}


def test_a_goal_without_a_figure_is_missed() -> None:
    """Nothing measured is not good enough."""
    [judged] = judge(
        (Goal("moves", "Moves arrive", lambda run: run.fact("moves"), 1, ">="),), run_of(samples_of())
    )
    assert (judged.figure, judged.passed) == (None, False)
    assert "MISSED" in str(judged)
    assert figures("noisy_neighbour", run_of(samples_of()))["others_p99"] == (None, False)


def test_a_flood_that_is_held_back_hurts_nobody() -> None:
    """429 is what the noisy tenant is to be told; anything else is a failure of its too."""
    flood = Span(20.0, 40.0, "flood")
    samples = samples_of()
    own = samples["tenant"] == 2
    due = samples["due"]
    flooding = own & (due >= 20.0) & (due < 40.0)
    samples["status"][flooding] = np.where(np.arange(flooding.sum()) % 4, 429, 200)
    found = figures("noisy_neighbour", run_of(samples, flood, noisy=(2,)))
    assert found["others_errors"] == (0, True)
    assert found["flood_refused"] == (pytest.approx(0.75, abs=0.01), True)
    assert found["within_limit"] == (0, True)
    assert found["flood_otherwise"] == (0, True)
    samples["status"][np.flatnonzero(flooding)[0]] = 502
    assert figures("noisy_neighbour", run_of(samples, flood, noisy=(2,)))["flood_otherwise"] == (1, False)


def test_who_floods_is_served_while_it_does_not() -> None:
    """Within its limit it is a tenant as others; right after a flood it may still have to wait."""
    flood = Span(20.0, 40.0, "flood")
    samples = samples_of()
    own, due = samples["tenant"] == 2, samples["due"]
    samples["status"][np.flatnonzero(own & (due > 40.5))[0]] = 429
    assert figures("noisy_neighbour", run_of(samples, flood, noisy=(2,)))["within_limit"] == (0, True)
    samples["status"][np.flatnonzero(own & (due > 50.0))[0]] = 429
    assert figures("noisy_neighbour", run_of(samples, flood, noisy=(2,)))["within_limit"] == (1, False)


def test_failures_are_told_by_what_clients_saw() -> None:
    """Statuses, and words where there was none."""
    samples = samples_of()
    samples["status"][:3] = 503, BROKEN, 503
    assert reasons(samples) == {"503": 2, "broken off": 1}


def test_the_file_says_all_of_a_run() -> None:
    """And is JSON."""
    scenario = BY_NAME["cell_loss"]
    run = run_of(samples_of(), LOSS, BACK)
    judged = judge(scenario.goals, run)
    how = Circumstances("2026-01-01T00:00:00Z", {"cores": 2}, "embedded", 1, {"read": 1.0}, ("a note",))
    found = json.loads(json.dumps(told(scenario, run, judged, how)))
    assert found["passed"] == all(goal["passed"] for goal in found["goals"])
    assert found["load"] == {"rate": 50.0, "tenants": 3, "zipf": 1.1, "mix": {"read": 1.0}}
    assert found["faults"][0] == {
        "from_second": 20.0,
        "until_second": 40.0,
        "what": "cell-2 killed",
        "cell": "cell-2",
    }
    assert found["totals"]["requests"] == 3000
    assert set(found["series"]["cells"]) == set(HOMES)
    assert [len(series) for series in found["series"]["cells"]["cell-1"].values()] == [60] * 4
    assert set(found["series"]["operations"]) == {"read"}


def test_every_scenario_says_what_it_proves_and_has_goals() -> None:
    """Eleven of them, each with a name of its own, faults within the run and in order."""
    assert len(BY_NAME) == len(ALL) == 11
    for scenario in ALL:
        assert scenario.proves.endswith(".")
        assert scenario.goals
        assert len({goal.name for goal in scenario.goals}) == len(scenario.goals)
        assert sum(scenario.mix.values()) == pytest.approx(1.0)
        for one in (*scenario.faults, *scenario.surges):
            assert 0 < one.at < one.until < 1


def outcome(others_cores: float, *, failed: float = 0.0, ratio: float = 1.0) -> Outcome:
    """Of a scenario that judges failures and, where noise shows, a latency."""
    goals = (
        Goal("failed", "No request fails", lambda _run: failed, 0),
        Goal("p99", "As before", lambda _run: ratio, 1.1, unit="times", noise=True),
    )
    return Outcome(judge(goals, run_of(samples_of())), {}, others_cores)


@pytest.mark.parametrize(
    ("runs", "counts"),
    [
        ([outcome(0.0, ratio=2.0)], 0),
        ([outcome(1.0), outcome(0.1, ratio=2.0)], 1),
        ([outcome(1.0, ratio=2.0), outcome(0.4, ratio=2.0), outcome(0.9)], 1),
        ([outcome(1.0, failed=1.0)], 0),
        ([outcome(0.3), outcome(1.0, failed=1.0)], 1),
    ],
    ids=["quiet", "until it is quiet", "the quietest", "a failure counts", "a failure counts later too"],
)
def test_a_run_is_chosen_by_what_others_did_and_never_by_its_figures(runs: list[Outcome], counts: int) -> None:
    """And no failed request is made good by another run."""
    left = iter(runs)
    assert quietest(lambda: next(left), again=2) is runs[counts]
    assert next(left, None) is None
