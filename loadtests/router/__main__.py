"""nginx, HAProxy, a plain aiohttp proxy and our router side by side, in one run.

    python -m loadtests.router [--rounds 3] [--seconds 4] [--quick] [--only cellway,nginx] [--scenario small,half]

`--quick` is for tuning: two short rounds of the small GET, nothing written. Only a run of everything writes
results/router.json; `--write` makes any run do it. When any answer failed nothing is written, and the exit
code is 1.
"""

import argparse
import asyncio
import contextlib
import json
import os
import secrets
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from directory.redis_feed import RedisFeed
from loadtests.router import checking, report, upstream
from loadtests.router.errors import CannotMeasure
from loadtests.router.fleet import Fleet
from loadtests.router.pinned import CLIENT_CORE, alone, program, require_two_cores
from loadtests.router.proxies import OURS, PROXIES, Proxy
from loadtests.router.rounds import QUIET_CORES, Plan, Run
from loadtests.router.scenarios import BY_NAME, QUICK
from runtime.embedded.redis import RedisServer
from runtime.errors import RuntimeFault


@contextlib.contextmanager
def running(names: list[str], fleet: Fleet, folder: Path) -> Iterator[dict[str, Proxy]]:
    """The proxies, and the directory that ours reads, until the end of the block."""
    with contextlib.ExitStack() as stack:
        redis_url = stack.enter_context(directory(fleet, folder)) if OURS in names else ""
        proxies = {}
        for name in names:
            own = folder / name
            own.mkdir()
            proxies[name] = PROXIES[name](fleet, own, redis_url)
            stack.callback(proxies[name].process.stop)
        yield proxies


@contextlib.contextmanager
def directory(fleet: Fleet, folder: Path) -> Iterator[str]:
    """The address of a Redis of our own that holds the fleet."""

    async def fill(url: str) -> None:
        feed = RedisFeed(url)
        try:
            await feed.fill(fleet.snapshot())
        finally:
            await feed.close()

    with RedisServer(folder / "redis", secrets.token_hex(16)) as server:
        asyncio.run(fill(server.url))
        yield server.url


def bench(names: list[str], scenarios: list[str], plan: Plan, write: bool) -> int:
    """Start everything, measure, print, stop everything; the exit code."""
    require_two_cores()
    for needed in ("wrk", "taskset", "nginx", *(name for name in names if name == "haproxy")):
        program(needed)
    os.sched_setaffinity(0, {CLIENT_CORE})
    with contextlib.ExitStack() as stack:
        stack.enter_context(alone())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cellway-router-")))
        fleet = stack.enter_context(upstream.running(folder / "upstream"))
        proxies = stack.enter_context(running(names, fleet, folder))
        answers = {name: checking.require_right_answers(proxy, fleet) for name, proxy in proxies.items()}
        print(f"{report.versions(proxies)}; {plan.rounds} rounds of {plan.seconds:g} s", flush=True)
        run = Run(plan, proxies, folder, lambda line: print(line, flush=True))
        for name in scenarios:
            run.scenario(BY_NAME[name])
            print(report.table(name, run.found[name]), flush=True)
    if run.disturbed:
        print(f"\n{run.disturbed} measurements were disturbed: others used more than {QUIET_CORES} of a core")
    told = report.results(run, answers)
    print(report.headline(told))
    if run.failures:
        print(f"FAILED: {run.failures} requests went wrong; nothing is written")
    elif write:
        report.RESULT.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
        print(f"written to {report.RESULT}")
    return 1 if run.failures else 0


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, help="default 3; with --quick 2")
    parser.add_argument("--seconds", type=float, help="whole ones, of each measurement; default 4; with --quick 2")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="", help=f"of {', '.join(PROXIES)}; default: all")
    parser.add_argument("--scenario", default="", help=f"of {', '.join(BY_NAME)}; default: all")
    parser.add_argument("--write", action="store_true", help="the results file, though not everything is measured")
    return parser.parse_args()


def _chosen(given: str, known: list[str], what: str) -> list[str]:
    names = [name for name in given.split(",") if name]
    for name in names:
        if name not in known:
            raise CannotMeasure(f"there is no {what} {name}; there are {', '.join(known)}")
    return [name for name in known if name in names] if names else known


def main() -> int:
    """Measure; a missing program or a proxy that does not work is one sentence."""
    given = options()
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, signal.default_int_handler)
    try:
        names = _chosen(given.only, list(PROXIES), "proxy")
        scenarios = (
            list(QUICK)
            if given.quick and not given.scenario
            else _chosen(given.scenario, list(BY_NAME), "scenario")
        )
        if "half" in scenarios and OURS not in names:
            scenarios.remove("half")
        quick = given.quick
        plan = Plan(
            given.rounds or (2 if quick else 3), given.seconds or (2 if quick else 4), 1, 0 if quick else 2
        )
        whole = not given.quick and names == list(PROXIES) and scenarios == list(BY_NAME)
        return bench(names, scenarios, plan, write=given.write or whole)
    except (CannotMeasure, RuntimeFault) as error:
        print(f"bench-router: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    raise SystemExit(main())
