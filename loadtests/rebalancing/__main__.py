"""`make demo-rebalance`: an uneven fleet is levelled under load; for people to watch."""

import asyncio
import os
import sys
import tempfile
from pathlib import Path

import uvloop

from loadtests.rebalancing.show import Shown, show
from loadtests.router.errors import CannotMeasure

LOAD_SECONDS = "4"
"""Between two rounds in which placement asks cells for loads; a minute otherwise."""

LEVEL = 1.15
"""Worst ratio to the mean."""


def missed(shown: Shown) -> list[str]:
    """What should have been seen, and was not."""
    found = []
    if shown.failed:
        found.append(f"requests failed: {shown.failed}")
    if shown.worst_after > LEVEL:
        found.append(f"the busiest cell still has {shown.worst_after} times the mean")
    return found


def main() -> int:
    """1 when something was not as it should be."""
    os.environ.setdefault("CELLWAY_PLACEMENT_LOAD_SECONDS", LOAD_SECONDS)
    with (
        tempfile.TemporaryDirectory(prefix="cellway-rebalance-") as folder,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        try:
            shown = runner.run(show(Path(folder), print))
        except ExceptionGroup as failed:
            known, unknown = failed.split(CannotMeasure)
            if known is None or unknown is not None:
                raise
            print(*known.exceptions, file=sys.stderr)
            return 1
    print(
        f"{shown.plan['moved']} tenants moved in {shown.seconds} s under {shown.requests:,} writes, of which "
        f"{sum(shown.failed.values())} failed; the longest waited {shown.longest_wait_seconds} s.\n"
        f"The busiest cell had {shown.worst_before} times the mean of writes, and has {shown.worst_after}."
    )
    for each in missed(shown):
        print(f"MISSED: {each}", file=sys.stderr)
    return 1 if missed(shown) else 0


if __name__ == "__main__":
    raise SystemExit(main())
