"""What people read, and results/cell.json. Figures are medians over the rounds."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from loadtests.cell.rounds import Run
from loadtests.cell.servers import OURS, POOL_SIZE, THEIRS
from loadtests.cell.stage import ACCOUNTS, NAMESPACES
from loadtests.cell.wrk import CONNECTIONS
from loadtests.router.figures import Summary
from loadtests.router.report import cpu_ratio, machine

RESULT = Path(__file__).parents[1] / "results" / "cell.json"
MOST_CPU_RATIO = 0.5
METHOD = (
    "Each server alone on core 0; the client, Postgres, Redis and the harness on core 1, which bounds requests a "
    "second: compare CPU time a request, utime + stime of the server's process over the measured time. Closed "
    "loop by wrk. Both use the same tables, with forced row security and the fence's guard, as the same role. A "
    "creation writes namespace, operation, job and the kept answer. The cell also wakes a worker through Redis, "
    "enforces deadlines and counts metrics; the peer does none of that. others_cores is what other programs, the "
    "hypervisor and the kernel used meanwhile; where it was more than a tenth of a core the measurement was made "
    "again, and the quietest one kept."
)


def table(kind: str, found: dict[str, Summary]) -> str:
    """One kind for people."""
    lines = [
        f"\n{kind}",
        "  server     requests/s   CPU µs/request   core used   p50 ms   p99 ms  others  failures",
    ]
    for server, each in found.items():
        lines.append(
            f"  {server:9} {each.requests_per_second:>11,.0f} {each.cpu_us_per_request:>16,.1f} "
            f"{each.cpu_share:>10.0%} {each.p50_ms:>8.2f} {each.p99_ms:>8.2f} {each.others_cores:>7.2f} "
            f"{each.failures:>9}"
        )
    if len(found) > 1:
        lines.append(f"  CPU a request, {OURS} = {THEIRS} × {cpu_ratio(found, OURS, THEIRS)}")
    return "\n".join(lines)


def results(run: Run) -> dict[str, Any]:
    """Everything, for the file."""
    return {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        **{f"{kind}_cpu_ratio": cpu_ratio(found, OURS, THEIRS) for kind, found in run.found.items()},
        **{kind: {name: _shown(each) for name, each in found.items()} for kind, found in run.found.items()},
        "failures": run.failures,
        "disturbed_measurements": run.disturbed,
        "connections": CONNECTIONS,
        "pool_size": POOL_SIZE,
        "accounts": ACCOUNTS,
        "namespaces": NAMESPACES,
        "rounds": run.plan.rounds,
        "seconds": run.plan.seconds,
        "warm_up_seconds": run.plan.warm_up_seconds,
        "method": METHOD,
        "versions": {name: server.version for name, server in run.servers.items()},
        "machine": machine(),
    }


def over(told: dict[str, Any]) -> list[str]:
    """The ratios that are above what is aimed at."""
    return [name for name in ("read_cpu_ratio", "create_cpu_ratio") if (told.get(name) or 0) > MOST_CPU_RATIO]


def _shown(each: Summary) -> dict[str, Any]:
    rounded = each.rounded()
    del rounded["megabytes_per_second"]
    return rounded
