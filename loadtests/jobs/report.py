"""What people read, and results/jobs.json. Figures are medians over the rounds."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from loadtests.jobs.programs import OURS, THEIRS, Program
from loadtests.jobs.task import BULK, LATENCY
from loadtests.measured import Figures
from loadtests.router.report import machine

RESULT = Path(__file__).parents[1] / "results" / "jobs.json"
METHOD = (
    "Each side alone on core 0, started anew for each measurement; Postgres and the harness on core 1. A job "
    "writes one row. bulk: all jobs were deferred before the workers started; latency counts from that start. "
    "latency: jobs are deferred at a constant rate while workers run, and latency counts from the call that "
    "defers one until its row is committed. CPU time is of the side's processes, for latency that of deferring "
    "included. others_cores is what other programs, the hypervisor and the kernel used meanwhile."
)


@dataclass(frozen=True, slots=True)
class Summary:
    """Of one side and form."""

    jobs_per_second: float
    cpu_us_per_job: float
    p50_ms: float
    p99_ms: float
    others_cores: float


Found = Mapping[str, Mapping[str, Summary]]
"""Form → side → figures."""


def summary(rounds: Sequence[Figures], jobs: int) -> Summary:
    """At least one round."""
    return Summary(
        jobs_per_second=round(median(jobs / each["seconds"] for each in rounds), 1),
        cpu_us_per_job=round(median(each["cpu_seconds"] / jobs * 1e6 for each in rounds), 1),
        p50_ms=round(median(each["p50_ms"] for each in rounds), 2),
        p99_ms=round(median(each["p99_ms"] for each in rounds), 2),
        others_cores=round(median(each["others_cores"] for each in rounds), 3),
    )


def table(found: Found) -> str:
    """For people."""
    lines = ["  form     side             jobs/s   CPU µs/job     p50 ms     p99 ms  others"]
    lines += [
        f"  {form:8} {name:13} {each.jobs_per_second:>9,.0f} {each.cpu_us_per_job:>12,.0f} {each.p50_ms:>10.1f} "
        f"{each.p99_ms:>10.1f} {each.others_cores:>7.2f}"
        for form, sides in found.items()
        for name, each in sides.items()
    ]
    return "\n".join(lines)


def results(
    found: Found, programs: Mapping[str, Program], plan: Mapping[str, float], disturbed: int
) -> dict[str, Any]:
    """Everything, for the file. Ratios are null while one side is missing."""
    return {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "jobs_per_second": {name: each.jobs_per_second for name, each in found[BULK].items()},
        "ratio_to_procrastinate": _ratio(found[BULK], "jobs_per_second"),
        "cpu_ratio_to_procrastinate": _ratio(found[BULK], "cpu_us_per_job"),
        "latency_p99_ratio_to_procrastinate": _ratio(found[LATENCY], "p99_ms"),
        **{form: {name: asdict(each) for name, each in sides.items()} for form, sides in found.items()},
        **plan,
        "disturbed_measurements": disturbed,
        "method": METHOD,
        "versions": {name: program.version for name, program in programs.items()},
        "machine": machine(),
    }


def _ratio(sides: Mapping[str, Summary], what: str) -> float | None:
    if OURS not in sides or THEIRS not in sides:
        return None
    ours, theirs = (float(getattr(sides[name], what)) for name in (OURS, THEIRS))
    return round(ours / theirs, 2) if theirs else None
