"""Workflows of five steps: our orchestrator and DBOS side by side, in one run.

    python -m loadtests.orchestrator [--rounds 3] [--workflows 500] [--at-once 16] [--quick] [--only cellway]

`--quick` is for tuning: one round of few workflows, nothing written. Only a run of everything writes
results/orchestrator.json; when ours is slower than what it is measured beside, the exit code is 1.
"""

import argparse
import contextlib
import json
import os
import signal
import sys
import tempfile
from functools import partial
from pathlib import Path

from loadtests.measured import Figures, disturbed, quietest
from loadtests.orchestrator import programs, report
from loadtests.orchestrator.programs import OURS
from loadtests.router.errors import CannotMeasure
from loadtests.router.pinned import CLIENT_CORE, alone, require_two_cores
from runtime.errors import RuntimeFault

REPEATS = 2
"""How often a disturbed measurement may be made again."""


def bench(plan: dict[str, int], only: str | None, peers: Path, *, quick: bool) -> int:
    """Start everything, measure, print, stop everything; the exit code."""
    require_two_cores()
    os.sched_setaffinity(0, {CLIENT_CORE})
    with contextlib.ExitStack() as stack:
        stack.enter_context(alone())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cellway-orchestrator-")))
        folder.chmod(0o755)  # Postgres may run as somebody else
        known = stack.enter_context(programs.running(folder, peers))
        names = [only] if only else list(known)
        rounds: dict[str, list[Figures]] = {name: [] for name in names}
        for number in range(plan["rounds"]):
            for name in names[number % len(names) :] + names[: number % len(names)]:
                one = partial(known[name].run, plan["workflows"], plan["warm_up"], plan["at_once"])
                rounds[name].append(quietest(one, 0 if quick else REPEATS))
                print(f"{name}: {rounds[name][-1]}", flush=True)
    found = {name: report.summary(each, plan["workflows"]) for name, each in rounds.items()}
    print(report.table(found))
    told = report.results(found, known, plan, disturbed([each for told in rounds.values() for each in told]))
    if only or quick:
        return 0
    report.RESULT.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    print(f"{told['ratio_to_dbos']} × the steps a second of DBOS; written to {report.RESULT}")
    return 1 if told["ratio_to_dbos"] < report.LEAST_RATIO else 0


def main() -> int:
    """Measure; what is missing or does not work is one sentence."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, help="default 3; with --quick 1")
    parser.add_argument("--workflows", type=int, help="of one measurement; default 500; with --quick 300")
    parser.add_argument("--at-once", type=int, default=16)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", choices=[OURS], help="without the peers")
    parser.add_argument("--peers", type=Path, default=Path(".venv", "peers"), help="the peers' environment")
    given = parser.parse_args()
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, signal.default_int_handler)
    plan = {
        "rounds": given.rounds or (1 if given.quick else 3),
        "workflows": given.workflows or (300 if given.quick else 500),
        "warm_up": 100,
        "at_once": given.at_once,
    }
    try:
        return bench(plan, given.only, given.peers.absolute(), quick=given.quick)
    except (CannotMeasure, RuntimeFault) as error:
        print(f"bench-orchestrator: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    raise SystemExit(main())
