"""A namespace read and created: our cell and FastAPI with SQLAlchemy side by side, in one run.

    python -m loadtests.cell [--rounds 5] [--seconds 4] [--quick] [--kind read,create] [--only cellway]

`--quick` is for tuning: two short rounds, nothing written. Only a run of everything writes results/cell.json. When
any answer failed nothing is written, and the exit code is 1; above the ratio that is aimed at it is 1 too.
"""

import argparse
import contextlib
import json
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import redis

from loadtests.cell import checking, report
from loadtests.cell.rounds import KINDS, Run
from loadtests.cell.servers import OURS, SERVERS, Server
from loadtests.cell.stage import Stage, running
from loadtests.cell.wrk import Client
from loadtests.router.errors import CannotMeasure
from loadtests.router.pinned import CLIENT_CORE, alone, program, require_two_cores
from loadtests.router.rounds import Plan
from runtime.errors import RuntimeFault


@contextlib.contextmanager
def serving(stage: Stage, names: list[str], folder: Path, peers: Path) -> Iterator[tuple[dict[str, Server], str]]:
    """The servers, ready, and the tenant's API key, until the end of the block."""
    with contextlib.ExitStack() as stack:
        servers = {}
        for name in names:
            server = servers[name] = SERVERS[name](stage, folder, peers)
            stack.callback(server.process.stop)
        # The cell makes the schema, so it comes first.
        ours = servers[OURS]
        checking.wait_for(ours, "/health/ready", ours.admin_port)
        for server in servers.values():
            checking.wait_for(server, "/openapi.json", server.port)
        yield servers, stage.admit(ours.admin_port)


def bench(names: list[str], kinds: list[str], plan: Plan, peers: Path, write: bool) -> int:
    """Start everything, measure, print, stop everything; the exit code."""
    require_two_cores()
    for needed in ("wrk", "taskset"):
        program(needed)
    os.sched_setaffinity(0, {CLIENT_CORE})
    with contextlib.ExitStack() as stack:
        stack.enter_context(alone())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cellway-cell-")))
        folder.chmod(0o755)  # Postgres may run as somebody else
        stage = stack.enter_context(running(folder))
        servers, api_key = stack.enter_context(serving(stage, names, folder, peers))
        checking.require_same_answers(servers, api_key)
        print("; ".join(f"{server.name} ({server.version})" for server in servers.values()), flush=True)
        hints = stack.enter_context(contextlib.closing(redis.Redis.from_url(stage.redis.url)))
        # No worker runs here that would take the hints: a queue that only grows is another thing to measure.
        run = Run(plan, servers, Client(api_key, folder), hints.flushdb, lambda line: print(line, flush=True))
        for kind in kinds:
            run.kind(kind)
            print(report.table(kind, run.found[kind]), flush=True)
    told = report.results(run)
    if run.failures:
        print(f"FAILED: {run.failures} requests went wrong; nothing is written")
        return 1
    if write:
        report.RESULT.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
        print(f"written to {report.RESULT}")
    for name in report.over(told):
        print(f"{name} is {told[name]}, above {report.MOST_CPU_RATIO}", file=sys.stderr)
    return 1 if report.over(told) else 0


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, help="default 5; with --quick 2")
    parser.add_argument("--seconds", type=float, help="whole ones, of each measurement; default 4; with --quick 2")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--kind", choices=KINDS, help="default: both")
    parser.add_argument("--only", choices=[OURS], help="without the peer")
    parser.add_argument("--peers", type=Path, default=Path(".venv", "peers"), help="the peers' environment")
    return parser.parse_args()


def main() -> int:
    """Measure; a missing program or a server that does not work is one sentence."""
    given = options()
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, signal.default_int_handler)
    quick = given.quick
    names = [given.only] if given.only else list(SERVERS)
    kinds = [given.kind] if given.kind else list(KINDS)
    plan = Plan(given.rounds or (2 if quick else 5), given.seconds or (2 if quick else 4), 1, 0 if quick else 2)
    whole = not quick and names == list(SERVERS) and kinds == list(KINDS)
    try:
        return bench(names, kinds, plan, given.peers.absolute(), write=whole)
    except (CannotMeasure, RuntimeFault) as error:
        print(f"bench-cell: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    raise SystemExit(main())
