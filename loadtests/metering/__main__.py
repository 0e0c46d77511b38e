"""What it costs a cell to count what its tenants take, and placement to collect it.

    python -m loadtests.metering [--print]

Writes results/metering.json, unless it is only to be printed. Shares are of the CPU time that results/cell.json
tells of a whole request. The exit code is 1 above the share aimed at.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from loadtests.metering.collecting import collect
from loadtests.metering.requests import STEPS, nanoseconds
from loadtests.router.errors import CannotMeasure
from loadtests.router.noise import Noise
from loadtests.router.pinned import alone
from loadtests.router.report import machine
from runtime.errors import RuntimeFault

RESULTS = Path(__file__).parents[1] / "results"
CELL, RESULT = RESULTS / "cell.json", RESULTS / "metering.json"
MOST_SHARE = 0.01
METHOD = (
    "Of a request: one that waits as often as a real one does, but does nothing else, with the meter and "
    "without, in turns, in one process; the quickest of 60 rounds of 300. A transaction's bytes are asked "
    "for once, of a TCP connection within the machine. cpu_us_per_request is that of results/cell.json. "
    "Beside it medians of five: handing the counts of tenants over to Redis, a page of GET "
    "/control/v1/load over HTTP, and a round in which placement asks a cell, page by page, and writes "
    "every tenant's row of the directory. There the cell's API, placement's part and the caller share one "
    "process, whose CPU time is cpu_ms; Postgres and Redis are others. others_cores is what other "
    "programs, the hypervisor and the kernel used meanwhile."
)


def requests(cpu_us: dict[str, float]) -> dict[str, Any]:
    """What counting costs one."""
    noise = Noise()
    cost = asyncio.run(nanoseconds())
    kinds = {
        kind: {
            "steps": steps,
            "transactions": 1,
            "meter_ns_per_request": round(cost[kind]),
            "cpu_us_per_request": cpu_us[kind],
            "share_of_cpu": round(cost[kind] / 1000 / cpu_us[kind], 4),
        }
        for kind, steps in STEPS.items()
    }
    return {**kinds, "bytes_ns_per_transaction": round(cost["wire"]), "others_cores": round(noise.cores(), 3)}


def collecting() -> dict[str, Any]:
    """What comes after it."""
    noise = Noise()
    with tempfile.TemporaryDirectory(prefix="cellway-metering-") as folder:
        Path(folder).chmod(0o755)  # Postgres may run as somebody else
        found = asyncio.run(collect(Path(folder)))
    return {**found, "others_cores": round(noise.cores(), 3)}


def bench() -> dict[str, Any]:
    """Everything, for the file."""
    cell = json.loads(CELL.read_text(encoding="utf-8"))
    cpu_us = {kind: float(cell[kind]["cellway"]["cpu_us_per_request"]) for kind in STEPS}
    with alone():
        return {
            "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "requests": requests(cpu_us),
            "collecting": collecting(),
            "goals": {"most_share_of_cpu": MOST_SHARE},
            "method": METHOD,
            "versions": f"Python {sys.version.split()[0]}, asyncpg {version('asyncpg')}, redis {version('redis')}",
            "machine": machine(),
        }


def main() -> int:
    """Measure, print, write; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--print", action="store_true", help="write nothing")
    only_print = parser.parse_args().print
    try:
        told = bench()
    except (CannotMeasure, RuntimeFault) as error:
        print(f"bench-metering: {error}", file=sys.stderr)
        return 1
    text = json.dumps(told, indent=2) + "\n"
    sys.stdout.write(text)
    if not only_print:
        RESULT.write_text(text, encoding="utf-8")
        print(f"written to {RESULT}")
    return 0 if all(told["requests"][kind]["share_of_cpu"] <= MOST_SHARE for kind in STEPS) else 1


if __name__ == "__main__":
    sys.exit(main())
