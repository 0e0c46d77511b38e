"""What it costs a cell to count what its tenants take.

    python -m loadtests.metering

A request that waits as often as a real one does, but does nothing else, with the meter and without, in turns, in
this process; the quickest of many rounds counts, because all that others do only makes a round slower. Shares are
of the CPU time that results/cell.json tells of a whole request. The exit code is 1 above the share aimed at.
"""

import json
import sys
import time
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any

from cell.load import HEAD_BYTES, Charge, Meter, stepped

CELL = Path(__file__).parent / "results" / "cell.json"
STEPS: Mapping[str, int] = {"read": 7, "create": 26}
"""How often such a request is gone on with, after waits for Postgres most of all; counted in a running cell."""
ROUNDS, REQUESTS = 60, 300
MOST_SHARE = 0.01


class Waiting:
    """Something that is there as soon as the loop looks again, without the loop's own cost."""

    def __await__(self) -> Any:
        yield None


async def request(steps: int) -> None:
    """Waits so often."""
    for _ in range(steps - 1):
        await Waiting()


async def measured(steps: int, meter: Meter) -> None:
    """As the cell's API does it."""
    charge = Charge(meter)

    async def work() -> None:
        charge.tenant_id = "acme"
        began_ns = time.perf_counter_ns()
        try:
            await request(steps)
        finally:
            charge.add(database_ns=time.perf_counter_ns() - began_ns)

    await stepped(work(), charge)
    charge.add(network_bytes=HEAD_BYTES, requests=1)


def drive(work: Coroutine[Any, Any, None]) -> None:
    """To its end, as a task does."""
    try:
        while True:
            work.send(None)
    except StopIteration:
        return


def nanoseconds(steps: int) -> float:
    """That the meter takes of one request."""
    meter, plain, metered = Meter(), float("inf"), float("inf")
    for _ in range(ROUNDS):
        began = time.perf_counter_ns()
        for _ in range(REQUESTS):
            drive(request(steps))
        between = time.perf_counter_ns()
        for _ in range(REQUESTS):
            drive(measured(steps, meter))
        ended = time.perf_counter_ns()
        plain, metered = min(plain, between - began), min(metered, ended - between)
    return (metered - plain) / REQUESTS


def main() -> int:
    """Measure and print; the exit code."""
    whole = json.loads(CELL.read_text(encoding="utf-8"))
    told = {}
    for kind, steps in STEPS.items():
        cost = nanoseconds(steps)
        share = cost / 1000 / whole[kind]["cellway"]["cpu_us_per_request"]
        told[kind] = {"steps": steps, "meter_ns_per_request": round(cost), "share_of_cpu": round(share, 4)}
    sys.stdout.write(json.dumps(told, indent=2) + "\n")
    return 0 if all(each["share_of_cpu"] <= MOST_SHARE for each in told.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
