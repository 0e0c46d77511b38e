"""What people read, and results/orchestrator.json. Figures are medians over the rounds."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from loadtests.orchestrator.ours import TENANTS
from loadtests.orchestrator.programs import OURS, THEIRS, Program
from loadtests.orchestrator.task import STEPS
from loadtests.router.report import machine

RESULT = Path(__file__).parents[1] / "results" / "orchestrator.json"
LEAST_RATIO = 1.0
METHOD = (
    "Each program alone on core 0, started anew for each measurement; Postgres and the harness on core 1. A "
    "number of workflows is under way at any time, each with five steps, each step writes a row. cellway: the "
    "row and the step's result are one transaction, with forced row security and the fence's guard, over "
    "several tenants. dbos: transactions of its datasource, exactly once as ours. dbos_steps: plain steps that "
    "write by themselves, which a crash may repeat. ratio_to_dbos compares steps a second with the faster of "
    "the two. others_cores is what other programs, the hypervisor and the kernel used meanwhile."
)


@dataclass(frozen=True, slots=True)
class Summary:
    """Of one program."""

    steps_per_second: float
    cpu_us_per_step: float
    p50_ms: float
    p99_ms: float
    others_cores: float


def summary(rounds: Sequence[Mapping[str, float]], workflows: int) -> Summary:
    """At least one round."""
    steps = workflows * STEPS
    return Summary(
        steps_per_second=round(median(steps / each["seconds"] for each in rounds), 1),
        cpu_us_per_step=round(median(each["cpu_seconds"] / steps * 1e6 for each in rounds), 1),
        p50_ms=round(median(each["p50_ms"] for each in rounds), 2),
        p99_ms=round(median(each["p99_ms"] for each in rounds), 2),
        others_cores=round(median(each["others_cores"] for each in rounds), 3),
    )


def table(found: Mapping[str, Summary]) -> str:
    """For people."""
    lines = ["  program       steps/s   CPU µs/step   workflow p50 ms   p99 ms  others"]
    lines += [
        f"  {name:10} {each.steps_per_second:>10,.0f} {each.cpu_us_per_step:>13,.0f} {each.p50_ms:>17.1f} "
        f"{each.p99_ms:>8.1f} {each.others_cores:>7.2f}"
        for name, each in found.items()
    ]
    return "\n".join(lines)


def results(
    found: Mapping[str, Summary], programs: Mapping[str, Program], plan: Mapping[str, int], disturbed: int
) -> dict[str, Any]:
    """Everything, for the file."""
    ours, peers = found[OURS], [each for name, each in found.items() if name != OURS]
    fastest = max((each.steps_per_second for each in peers), default=0.0)
    return {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "steps_per_second": ours.steps_per_second,
        "ratio_to_dbos": round(ours.steps_per_second / fastest, 2) if fastest else None,
        "ratio_to_dbos_exactly_once": _ratio(ours, found.get(THEIRS)),
        "programs": {name: asdict(each) for name, each in found.items()},
        "tenants": TENANTS,
        "steps_per_workflow": STEPS,
        **plan,
        "disturbed_measurements": disturbed,
        "method": METHOD,
        "versions": {name: programs[name].version for name in found},
        "machine": machine(),
    }


def _ratio(ours: Summary, other: Summary | None) -> float | None:
    return None if other is None else round(ours.steps_per_second / other.steps_per_second, 2)
