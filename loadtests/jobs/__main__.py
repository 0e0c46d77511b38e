"""Jobs that write one row each, in one run: deferred beforehand in bulk, and while workers run.

    python -m loadtests.jobs [--rounds 3] [--jobs 3000] [--rate 100] [--at-once 16] [--quick]

`--quick` is for tuning: one round of few jobs, nothing written. Only a run of everything writes results/jobs.json.
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

from loadtests.jobs import programs, report
from loadtests.jobs.task import BULK, LATENCY
from loadtests.measured import Figures, disturbed, quietest
from loadtests.router.errors import CannotMeasure
from loadtests.router.pinned import CLIENT_CORE, alone, require_two_cores
from runtime.errors import RuntimeFault

REPEATS = 2
"""How often a disturbed measurement may be made again."""
LATENCY_SECONDS = 10.0


def bench(rounds: int, jobs: int, rate: float, at_once: int, only: str, peers: Path, *, quick: bool) -> int:
    """Start everything, measure, print, stop everything; the exit code."""
    require_two_cores()
    os.sched_setaffinity(0, {CLIENT_CORE})
    wanted = {BULK: jobs, LATENCY: int(rate * (LATENCY_SECONDS / 2 if quick else LATENCY_SECONDS))}
    with contextlib.ExitStack() as stack:
        stack.enter_context(alone())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cellway-jobs-")))
        folder.chmod(0o755)  # Postgres may run as somebody else
        known = stack.enter_context(programs.running(folder, peers))
        names = [name for name in known if not only or name == only]
        if not names:
            raise CannotMeasure(f"there is no side {only}; there are {', '.join(known)}")
        measured: dict[str, dict[str, list[Figures]]] = {form: {name: [] for name in names} for form in wanted}
        for number in range(rounds):
            for form, count in wanted.items():
                for name in names[:: 1 if number % 2 else -1]:
                    one = partial(known[name].run, form, count, rate, at_once)
                    measured[form][name].append(quietest(one, 0 if quick else REPEATS))
                    print(f"{form} {name}: {measured[form][name][-1]}", flush=True)
    found = {
        form: {name: report.summary(told, wanted[form]) for name, told in sides.items()}
        for form, sides in measured.items()
    }
    print(report.table(found))
    if only or quick:
        return 0
    plan = {"jobs": jobs, "rate": rate, "at_once": at_once, "rounds": rounds}
    everything = [each for sides in measured.values() for told in sides.values() for each in told]
    told = report.results(found, known, plan, disturbed(everything))
    report.RESULT.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    print(f"written to {report.RESULT}")
    return 0


def main() -> int:
    """Measure; what is missing or does not work is one sentence."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, help="default 3; with --quick 1")
    parser.add_argument("--jobs", type=int, help="in bulk; default 3000; with --quick 1000")
    parser.add_argument("--rate", type=float, default=100.0, help="jobs a second, where latency is measured")
    parser.add_argument("--at-once", type=int, default=16)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="", help="one side")
    parser.add_argument("--peers", type=Path, default=Path(".venv", "peers"), help="the peers' environment")
    given = parser.parse_args()
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, signal.default_int_handler)
    quick = given.quick
    try:
        return bench(
            *(given.rounds or (1 if quick else 3), given.jobs or (1000 if quick else 3000)),
            *(given.rate, given.at_once, given.only, given.peers.absolute()),
            quick=quick,
        )
    except (CannotMeasure, RuntimeFault) as error:
        print(f"bench-jobs: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    raise SystemExit(main())
