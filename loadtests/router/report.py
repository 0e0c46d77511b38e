"""What people read, and results/router.json. Figures are medians over the rounds."""

import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from loadtests.router.figures import Summary
from loadtests.router.proxies import OURS, Proxy
from loadtests.router.rounds import Run
from loadtests.router.scenarios import BY_NAME

RESULT = Path(__file__).parents[1] / "results" / "router.json"
HEADLINE = "small"
METHOD = (
    "Each proxy alone on core 0; the client, the cells and the harness on core 1, which bounds requests a second "
    "of cheap proxies: compare CPU time a request. CPU time is utime + stime of all processes of the proxy over "
    "the measured time. Closed loops by wrk. At half capacity a client of our own sends at a constant rate and "
    "counts from the moment at which a request was due (ticks of 0.25 ms, the same for both). For events, p50 and "
    "p99 are of the way from cell to client, and a request is an event. others_cores is what other programs, "
    "the hypervisor and the kernel used meanwhile; where it was more than a tenth of a core, the measurement was "
    "made again, up to twice, and the quietest one kept."
)


def table(name: str, found: dict[str, Summary]) -> str:
    """One scenario for people."""
    lines = [f"\n{BY_NAME[name].title}"]
    lines += ["  proxy      requests/s   CPU µs/request   core used   p50 ms   p99 ms     MB/s  others  failures"]
    for proxy, each in found.items():
        lines.append(
            f"  {proxy:9} {each.requests_per_second:>11,.0f} {each.cpu_us_per_request:>16,.1f} "
            f"{each.cpu_share:>10.0%} {each.p50_ms:>8.2f} {each.p99_ms:>8.2f} "
            f"{each.megabytes_per_second:>8,.0f} {each.others_cores:>7.2f} {each.failures:>9}"
        )
    ours = found.get(OURS)
    if ours is not None and len(found) > 1:
        others = [
            f"{other} × {_ratio(ours.cpu_us_per_request, each.cpu_us_per_request)}"
            for other, each in found.items()
            if other != OURS
        ]
        lines.append(f"  CPU a request, {OURS} = {', '.join(others)}")
    return "\n".join(lines)


def results(run: Run, answers: dict[str, list[str]]) -> dict[str, Any]:
    """Everything, for the file. Ratios are absent when one side was not measured."""
    small = run.found.get(HEADLINE, {})
    half = run.found.get("half", {})
    return {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu_us_per_request": {name: round(each.cpu_us_per_request, 2) for name, each in small.items()},
        "requests_per_second": {name: round(each.requests_per_second) for name, each in small.items()},
        "p50_ms": {name: round(each.p50_ms, 3) for name, each in small.items()},
        "p99_ms": {name: round(each.p99_ms, 3) for name, each in small.items()},
        "cpu_ratio_to_nginx": cpu_ratio(small, OURS, "nginx"),
        "cpu_ratio_to_haproxy": cpu_ratio(small, OURS, "haproxy"),
        "speedup_over_aiohttp": cpu_ratio(small, "aiohttp", OURS),
        "half_capacity_requests_per_second": round(run.half_rate),
        "half_capacity_p99_ms": {name: round(each.p99_ms, 3) for name, each in half.items()},
        "half_capacity_p99_difference_ms": _difference(half),
        "throughput_1mb_ratio_to_nginx": {
            "down": _throughput_ratio(run.found.get("get_1m", {})),
            "up": _throughput_ratio(run.found.get("post_1m", {})),
        },
        "scenarios": {
            name: {"title": BY_NAME[name].title, **{proxy: each.rounded() for proxy, each in found.items()}}
            for name, found in run.found.items()
        },
        "failures": run.failures,
        "disturbed_measurements": run.disturbed,
        "answer_headers": answers,
        "rounds": run.plan.rounds,
        "seconds": run.plan.seconds,
        "warm_up_seconds": run.plan.warm_up_seconds,
        "method": METHOD,
        "versions": {name: proxy.version for name, proxy in run.proxies.items()},
        "machine": machine(),
    }


def headline(told: dict[str, Any]) -> str:
    """The ratios in a few words."""
    words = [
        ("CPU to nginx", told["cpu_ratio_to_nginx"]),
        ("CPU to HAProxy", told["cpu_ratio_to_haproxy"]),
        ("speed-up over aiohttp", told["speedup_over_aiohttp"]),
        ("p99 at half capacity, ours less nginx's, ms", told["half_capacity_p99_difference_ms"]),
        ("1 MB down to nginx", told["throughput_1mb_ratio_to_nginx"]["down"]),
        ("1 MB up to nginx", told["throughput_1mb_ratio_to_nginx"]["up"]),
    ]
    return "\n".join(["", *(f"{what}: {value}" for what, value in words if value is not None)])


def cpu_ratio(found: dict[str, Summary], one: str, other: str) -> float | None:
    """CPU time a request of `one`, in that of `other`."""
    if one not in found or other not in found:
        return None
    return _ratio(found[one].cpu_us_per_request, found[other].cpu_us_per_request)


def machine() -> dict[str, Any]:
    """Where it was measured."""
    info = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    models = [line.partition(":")[2].strip() for line in info if line.startswith("model name")]
    return {
        "processor": models[0] if models else platform.machine(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "system": platform.system(),
    }


def versions(proxies: dict[str, Proxy]) -> str:
    """A line on who runs."""
    return ", ".join(f"{name} ({proxy.version})" for name, proxy in proxies.items())


def _ratio(one: float, other: float) -> float:
    return round(one / other, 2) if other else 0.0


def _difference(half: dict[str, Summary]) -> float | None:
    if OURS not in half or "nginx" not in half:
        return None
    return round(half[OURS].p99_ms - half["nginx"].p99_ms, 3)


def _throughput_ratio(found: dict[str, Summary]) -> float | None:
    if OURS not in found or "nginx" not in found:
        return None
    return _ratio(found[OURS].megabytes_per_second, found["nginx"].megabytes_per_second)
