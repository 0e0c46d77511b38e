"""How quickly rows come to another cell and are compared, beside peers; and what clients notice of a move.

    python -m loadtests.migration [--rows 1000000] [--rounds 3] [--moves 50] [--tenants 100] [--only NAME …]

Two embedded Postgres servers with the same settings, then an embedded platform of two cells; everything shares
one machine, the load too. Only a run of the usual size that measures everything writes results/migration.json. The
exit code is 1 when a write failed, and when a goal is missed.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvloop

from loadtests.goals import Sense, holds
from loadtests.migration import capture, copying, pauses, stage, verifying
from loadtests.router.pinned import alone
from loadtests.router.report import machine

RESULT = Path(__file__).parents[1] / "results" / "migration.json"
USUAL = {"rows": 1_000_000, "rounds": 3, "moves": 50, "tenants": 100}
PARTS = ("engine", "pauses", "evacuation")
GOALS: Mapping[str, tuple[Sense, float]] = {
    "copy_ratio_to_best": (">=", 1.0),
    "verify_ratio_to_md5": (">=", 2.0),
    "pause_p50_ms": ("<=", 50.0),
    "pause_p99_ms": ("<=", 250.0),
    "failed_requests": ("<=", 0.0),
    "moving_p99_ratio": ("<=", 1.1),
    "others_p99_ratio": ("<=", 1.1),
    "bystander_cost_pct": ("<=", 2.0),
    "evacuation_failed_requests": ("<=", 0.0),
}
METHOD = (
    "Copy: one tenant's rows out of a table with as many of another one's, primary key and one index, into an "
    "empty table of the same kind on a second server; ours with guard, capture and kept progress, psql | psql "
    "(binary COPY) and native logical replication (row filter, the first copy) into a table without triggers; "
    "pgcopydb, which takes whole tables, for reference; the best of the rounds, in turn. Verify: both ends at "
    "once; md5 of each row's text, added up. Pause: an open-loop load of PATCHes through router and cell; the "
    "pause is what the slowest write waited that was due or unanswered between fence and activation, as the "
    "client saw it. p99 ratios: between the moves' switches, to before the first move. Capture: transactions of "
    "one UPDATE by two closed-loop writers, commits not waited for, on two tables in turn by chance, one with "
    "capture's triggers and one with the guard alone, while another tenant is captured; of_the_move: the same "
    "ratio, to that of when nobody is."
)


async def engine(folder: Path, rows: int, rounds: int) -> dict[str, Any]:
    """Copying, verifying, capturing."""
    with stage.servers(folder, rows) as made:
        await stage.prepare(made)
        copied = await copying.measure(made, rounds)
        await made.clear()
        await copying.ours(made)
        verified = await verifying.measure(made, rounds)
        captured = await capture.measure(made, rounds)
    best = max(copied["psql"], copied["replication"])
    return {
        "rows": rows,
        **{f"copy_rows_per_second_{name}": rate for name, rate in copied.items()},
        "copy_ratio_to_best": round(copied["ours"] / best, 2),
        **{f"verify_rows_per_second_{name}": rate for name, rate in verified.items()},
        "verify_ratio_to_md5": round(verified["ours"] / verified["md5"], 2),
        **captured,
    }


def missed(found: Mapping[str, Any]) -> list[str]:
    """The goals that were not reached, of those that were measured."""
    return [
        f"{name} is {found[name]}, and should be {sign} {bound}"
        for name, (sign, bound) in GOALS.items()
        if name in found and not holds(found[name], sign, bound)
    ]


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """What was asked for."""
    found: dict[str, Any] = {}
    for part in options.only:
        with tempfile.TemporaryDirectory(prefix="cellway-migration-") as name:
            os.sync()  # or this part waits for the disk that the one before has left to be written
            found |= WORK[part](Path(name), options)
    return found


WORK: Mapping[str, Callable[[Path, argparse.Namespace], dict[str, Any]]] = {
    "engine": lambda folder, options: uvloop.run(engine(folder, options.rows, options.rounds)),
    "pauses": lambda folder, options: asyncio.run(pauses.measure(folder, options.moves)),
    "evacuation": lambda folder, options: asyncio.run(pauses.evacuate(folder, options.tenants)),
}


def main() -> int:
    """Measure, print, write; 1 when a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, usual in USUAL.items():
        parser.add_argument(f"--{name}", type=int, default=usual)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    options = parser.parse_args()
    with alone():
        found = measure(options)
    for name, value in found.items():
        print(f"{name:36} {value}")
    if tuple(options.only) == PARTS and all(getattr(options, name) == usual for name, usual in USUAL.items()):
        goals = {name: f"{sign} {bound:g}" for name, (sign, bound) in GOALS.items()}
        told = {
            "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
            **found,
            "goals": goals,
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
