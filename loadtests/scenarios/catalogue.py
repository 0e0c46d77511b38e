"""The scenarios. Bounds are promises: one that is missed is looked into, never widened."""

from collections.abc import Mapping

from loadtests.scenarios.rules.arrivals import QUICK
from loadtests.scenarios.rules.goals import Goal
from loadtests.scenarios.rules.run import Run
from loadtests.scenarios.rules.samples import failed
from loadtests.scenarios.scenario import Fault, Scenario, Surge

MOST_RATIO = 1.1
"""Of the 99th percentile while something is wrong, to before."""
TOLD_MS = 1000.0
"""Within which the tenants of a lost cell are told so."""
AGAIN_SECONDS = 6.0
"""A router tries a lost cell again after 1 s, 2 s, 4 s, 5 s, 5 s …, and the trial takes a moment."""
AFTER_SECONDS = 10.0
"""After a surge within which everything is as before."""
REFUSALS = (429, 503)
"""Answers that say: not now."""
LOST = "cell-2"
LEFT = "cell-1"


def _no_failure(says: str = "No request fails") -> Goal:
    return Goal("failed", says, lambda run: run.failures(), 0)


def _others_p99(says: str) -> Goal:
    return Goal("others_p99", says, lambda run: run.p99_ratio(run.others), MOST_RATIO, unit="times", noise=True)


def _others_errors(says: str) -> Goal:
    return Goal("others_errors", says, lambda run: run.failures(run.others), 0)


def _fact(name: str, says: str, bound: float, sense: str = "<=", unit: str = "") -> Goal:
    return Goal(name, says, lambda run: run.fact(name), bound, sense, unit)  # type: ignore[arg-type]


def _jobs_done(run: Run) -> float:
    """Of the namespaces that were asked for."""
    return run.failures(run.of("job"))


def _p99(run: Run) -> float | None:
    return run.quantile_ms(run.quick & ~run.between(0, 3), 0.99)


def _told_ms(run: Run) -> float | None:
    """What tenants of the lost cell waited for their refusals, 99 of 100."""
    told = ~run.others & failed(run.samples) & run.of(*QUICK)
    return run.quantile_ms(told, 0.99) or run.longest_ms(told)


def _back_seconds(run: Run) -> float | None:
    """From the lost cell's return to its tenants' last refusal, the longest of several times.

    Of reads and writes: the time of a stream is that to its first event, and the next loss may be what ended it.
    """
    found = []
    told = run.samples[failed(run.samples) & ~run.others & run.quick]
    told_at = told["due"] + told["seconds"]
    losses = sorted(span.from_second for span in run.spans if span.disturbs)
    for span in run.spans:
        if not span.disturbs:
            end = min((each for each in losses if each >= span.until_second), default=run.seconds)
            late = told_at[(told["due"] >= span.until_second) & (told_at < end)]
            found.append(float(late.max()) - span.until_second if len(late) else 0.0)
    return round(max(found), 1) if found else None


def _surge_end(run: Run) -> float:
    return max((span.until_second for span in run.spans), default=run.seconds)


def _otherwise_refused(run: Run) -> float:
    """Failures that are no clear refusal."""
    bad = failed(run.samples)
    for status in REFUSALS:
        bad &= run.samples["status"] != status
    return float(bad.sum())


def _served_a_second(run: Run) -> float | None:
    """Requests of all kinds answered with success during the surge, in those that were asked before."""
    if not run.spans:
        return None
    surge = run.spans[0]
    served = run.between(surge.from_second, surge.until_second) & ~failed(run.samples)
    return round(float(served.sum()) / (surge.until_second - surge.from_second) / run.rate, 2)


def _failures_afterwards(run: Run) -> float:
    return run.failures(run.between(_surge_end(run) + AFTER_SECONDS, run.seconds))


def _p99_afterwards(run: Run) -> float | None:
    """In that of before the surge."""
    before = run.quantile_ms(run.quick & run.between(3, run.spans[0].from_second), 0.99) if run.spans else None
    after = run.quantile_ms(run.quick & run.between(_surge_end(run) + AFTER_SECONDS, run.seconds), 0.99)
    return None if not before or after is None else round(after / before, 2)


def _noise_refused(run: Run) -> float | None:
    """The share of the flood that its limit kept from the cell."""
    flood = run.samples[~run.others & run.disturbed]
    return round(float((flood["status"] == 429).mean()), 3) if len(flood) else None


def _noise_within(run: Run) -> float:
    """Requests of the noisy tenant's that were refused while it did not flood."""
    return run.failures(~run.others & run.calm)


def _noise_otherwise(run: Run) -> float:
    """What the noisy tenant was answered but success and 429."""
    return float((failed(run.samples) & ~run.others & (run.samples["status"] != 429)).sum())


def _onboarded_p99(run: Run) -> float | None:
    seconds = run.longest_ms(run.of("onboard"))
    return None if seconds is None else round(seconds / 1000, 2)


def _onboarding_failures(run: Run) -> float:
    return run.failures(run.of("onboard"))


_MOVES = (
    _fact("moves_not_done", "Every move arrives", 0, unit="moves"),
    _fact("longest_pause_ms", "No tenant is held for longer than a second", 1000, unit="ms"),
)

ALL = (
    Scenario(
        name="steady",
        title="A steady day",
        proves="At 40 % of what the machine can carry every request, job and stream succeeds, and quickly.",
        goals=(
            _no_failure(),
            Goal("p99", "99 of 100 reads and writes take no longer than 100 ms", _p99, 100, unit="ms", noise=True),
            Goal("jobs_failed", "Every namespace that was asked for becomes active", _jobs_done, 0),
        ),
    ),
    Scenario(
        name="noisy_neighbour",
        title="A noisy neighbour",
        proves="A tenant that floods is held to its limit; its neighbours, in its own cell too, notice nothing.",
        seconds=300,
        # With the flood it is as busy as on a steady day: client and platform share the machine.
        share=0.2,
        surges=tuple(
            Surge(at / 100, at / 100 + 0.035, 1.0, "one tenant asks as often as all others together", noisy=True)
            # Calm and disturbed in turn, so that what else the machine does hits both alike; for so long that the
            # slowest hundredth of either are enough requests to be compared.
            for at in range(4, 92, 7)
        ),
        goals=(
            _others_errors("No request of the other tenants fails"),
            _others_p99("The others' 99th percentile is at most 1.1 times that of quiet times"),
            Goal("flood_refused", "Most of the flood is refused with 429", _noise_refused, 0.5, ">=", ""),
            Goal("within_limit", "Between floods, within its limit, it is served as everybody", _noise_within, 0),
            Goal("flood_otherwise", "The noisy tenant itself is served or told 429", _noise_otherwise, 0),
        ),
    ),
    Scenario(
        name="cell_loss",
        title="A cell is lost",
        proves="When all of a cell dies, only its own tenants notice; they are told at once, and it comes back.",
        seconds=180,
        share=0.3,
        faults=tuple(Fault("lose_cell", at, at + 0.13, LOST) for at in (0.1, 0.4, 0.7)),
        goals=(
            _others_errors("Tenants of other cells see no error"),
            _others_p99("Their 99th percentile is at most 1.1 times that of before"),
            Goal("told_ms", "Tenants of the lost cell are told within a second", _told_ms, TOLD_MS, unit="ms"),
            Goal(
                "back_seconds",
                "They are served again when routers next try it, after 5 seconds at most",
                _back_seconds,
                AGAIN_SECONDS,
                unit="seconds",
            ),
        ),
    ),
    Scenario(
        name="live_move",
        title="A tenant moves while it is used",
        proves="The busiest tenant goes from cell to cell under load, and none of anybody's requests fails.",
        faults=(Fault("move_busiest", 0.15, 0.85),),
        goals=(
            _no_failure(),
            *_MOVES,
            _fact("switched", "It moves at least once", 1, ">=", "moves"),
        ),
    ),
    Scenario(
        name="move_storm",
        title="Many tenants move at once",
        proves="A dozen tenants, the busiest too, change cells together under load without a failed request.",
        faults=(Fault("move_many", 0.15, 0.75),),
        goals=(
            _no_failure(),
            *_MOVES,
            _fact("switched", "At least a dozen arrive", 12, ">=", "moves"),
        ),
    ),
    Scenario(
        name="evacuate_under_load",
        title="A cell is emptied while it is used",
        proves="Draining a cell takes all its tenants elsewhere, by plan and in waves, without a failed request.",
        seconds=90,
        faults=(Fault("drain_cell", 0.1, 0.95, LEFT),),
        settings={"CELLWAY_PLACEMENT_LOAD_SECONDS": "4", "CELLWAY_PLACEMENT_REVERSE_SECONDS": "0"},
        goals=(
            _no_failure(),
            _fact("tenants_left", "Nobody is left in the cell", 0, unit="tenants"),
            _fact("longest_pause_ms", "No tenant is held for longer than a second", 1000, unit="ms"),
        ),
    ),
    Scenario(
        name="router_restart",
        title="Routers are restarted",
        proves="A router that is told to end finishes what it has, and clients go on through the other one.",
        routers=2,
        faults=(Fault("restart_routers", 0.25, 0.3),),
        goals=(
            _no_failure(),
            _fact("restarts", "Both routers were restarted", 2, ">="),
        ),
    ),
    Scenario(
        name="directory_outage",
        title="The directory is away",
        proves="Without control database, directory Redis and placement tenants are served, for ten minutes.",
        seconds=660,
        share=0.25,
        faults=(Fault("lose_directory", 0.04, 0.96),),
        goals=(_no_failure("No request fails, before, during or after"),),
    ),
    Scenario(
        name="onboarding_rush",
        title="Many customers come at once",
        proves="Customers who come in a rush get their first namespace soon; those who are there see no failure.",
        share=0.2,
        newcomers_per_second=3.0,
        goals=(
            Goal("onboarding_failed", "Every customer is onboarded", _onboarding_failures, 0),
            Goal(
                "onboarded_seconds",
                "Each has its first namespace within twenty seconds",
                _onboarded_p99,
                20,
                unit="seconds",
            ),
            _no_failure("No request of anybody fails"),
        ),
    ),
    Scenario(
        name="overload_10x",
        title="Ten times the load",
        proves="What is too much is refused clearly, no less is served than before, and then all is as it was.",
        seconds=75,
        # Ten times as much is more than the machine carries, and not so much that its client could not send it.
        share=0.2,
        surges=(Surge(0.3, 0.5, 10.0, "ten times the load"),),
        goals=(
            Goal("otherwise_refused", "Whoever is not served is told 429 or 503", _otherwise_refused, 0),
            Goal(
                "served",
                "As many requests are served as before it",
                _served_a_second,
                1.0,
                ">=",
                "times",
            ),
            Goal("failed_afterwards", "Ten seconds after it no request fails", _failures_afterwards, 0),
            Goal(
                "p99_afterwards",
                "And the 99th percentile is at most 1.5 times that of before",
                _p99_afterwards,
                1.5,
                unit="times",
                noise=True,
            ),
        ),
    ),
    Scenario(
        name="router_rolling_upgrade",
        title="Routers are upgraded, one after the other",
        proves="Each router leaves the balancer, ends its work, is replaced and comes back; nobody notices.",
        routers=2,
        faults=(Fault("upgrade_routers", 0.25, 0.3),),
        goals=(
            _no_failure(),
            _fact("restarts", "Both routers were replaced", 2, ">="),
        ),
    ),
)
BY_NAME: Mapping[str, Scenario] = {scenario.name: scenario for scenario in ALL}
