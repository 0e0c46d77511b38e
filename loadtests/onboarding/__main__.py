"""From the operator's request until the first namespace is there: one customer after another, then many at once.

    python -m loadtests.onboarding [--alone 20] [--crowd 200]

On an embedded platform of its own with one cell. Client, router, placement, cell, worker and databases share one
machine, so the figures are upper bounds. Only a run of the usual size writes results/onboarding.json. The exit
code is 1 when a customer was lost or has an effect twice, and when a goal is missed.
"""

import argparse
import asyncio
import json
import math
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp

from console.platform.platform import Platform
from console.platform.settings import SYSTEM_PORTS, UpSettings
from loadtests.onboarding.customers import Came, Crowd
from loadtests.onboarding.effects import faults
from loadtests.router.pinned import alone
from loadtests.router.report import machine

RESULT = Path(__file__).parents[1] / "results" / "onboarding.json"
ALONE, CROWD = 20, 200
MOST_ALONE_SECONDS = 1.0
"""For the slowest of those who come alone."""
MOST_CROWD_SECONDS = 20.0
"""For 99 of 100 of those who come at once."""
CELL = "cell-1"
METHOD = (
    "A platform of one cell, and the client, share the machine. Each customer is asked for at placement by one "
    "POST /v1/tenants, its operation is waited for through the router with the key of the answer, and the time "
    "ends when the router has answered that the namespace is ACTIVE. Afterwards each effect is counted in the "
    "cell's database: one of each, or the run fails. `again` counts what was refused for the moment and sent "
    "again, by status."
)


def figures(came: Sequence[Came], seconds: float) -> dict[str, Any]:
    """For people and the file."""
    active = sorted(one.active_seconds for one in came)
    accepted = sorted(one.accepted_seconds for one in came)
    return {
        "customers": len(came),
        "p50_seconds": _quantile(active, 0.50),
        "p99_seconds": _quantile(active, 0.99),
        "max_seconds": _quantile(active, 1.0),
        "accepted_p50_seconds": _quantile(accepted, 0.50),
        "accepted_max_seconds": _quantile(accepted, 1.0),
        "again": dict(Counter(str(status) for one in came for status in one.again)),
        "whole_seconds": round(seconds, 3),
    }


def _quantile(ordered: Sequence[float], share: float) -> float:
    """The nearest rank: `share` of them took no longer."""
    return round(ordered[max(0, math.ceil(share * len(ordered)) - 1)], 3)


async def run(singles: int, crowd: int) -> tuple[dict[str, Any], list[str]]:
    """Start a platform, bring the customers, count what is there, stop it; the figures, and what is wrong."""
    with tempfile.TemporaryDirectory(prefix="cellway-onboarding-") as folder:
        async with (
            Platform(Path(folder) / "platform", 1, UpSettings(**SYSTEM_PORTS)) as platform,
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
        ):
            door = Crowd(session, platform)
            await door.bring("warm-up")
            began = time.perf_counter()
            one_by_one = [await door.bring(f"alone-{number}") for number in range(singles)]
            first = figures(one_by_one, time.perf_counter() - began)
            began = time.perf_counter()
            at_once = await asyncio.gather(*(door.bring(f"crowd-{number}") for number in range(crowd)))
            second = figures(at_once, time.perf_counter() - began)
            came = [*one_by_one, *at_once]
            wrong = [one.fault for one in came if one.fault]
            wrong += await faults(platform, CELL, [one.tenant_id for one in came])
    return {"alone": first, "crowd": second}, wrong


def missed(found: dict[str, Any]) -> list[str]:
    """The goals that were not reached."""
    return [
        f"{which} {name} is {found[which][name]}, above {most}"
        for which, name, most in (
            ("alone", "max_seconds", MOST_ALONE_SECONDS),
            ("crowd", "p99_seconds", MOST_CROWD_SECONDS),
        )
        if found[which][name] > most
    ]


def main() -> int:
    """Measure, print, write; 1 when something is lost, doubled or too slow."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--alone", type=int, default=ALONE, help="how many, one after another")
    parser.add_argument("--crowd", type=int, default=CROWD, help="how many at once")
    options = parser.parse_args()
    with alone():
        found, wrong = asyncio.run(run(options.alone, options.crowd))
    for which, told in found.items():
        print(f"{which:6}", "   ".join(f"{name} {value}" for name, value in told.items()))
    for fault in wrong[:20]:
        print(f"FAILED: {fault}", file=sys.stderr)
    if wrong:
        print(f"FAILED: {len(wrong)} things are wrong; nothing is written", file=sys.stderr)
        return 1
    if (options.alone, options.crowd) == (ALONE, CROWD):
        told = {
            "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
            **found,
            "goals": {"alone_max_seconds": MOST_ALONE_SECONDS, "crowd_p99_seconds": MOST_CROWD_SECONDS},
            "effects": "one of each for every customer",
            "method": METHOD,
            "machine": machine(),
        }
        RESULT.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
        print(f"written to {RESULT}")
    for goal in missed(found):
        print(f"MISSED: {goal}", file=sys.stderr)
    return 1 if missed(found) else 0


if __name__ == "__main__":
    raise SystemExit(main())
