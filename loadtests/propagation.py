"""How long a change takes from the directory's cache into every one of a hundred tables.

    python -m loadtests.propagation follow SNAPSHOT REDIS_URL TABLES    (a child of `measure`)

A change is timed from just before `RedisFeed.publish`, which placement calls once it is committed, until the last
of all tables has it; all processes read the same clock. The tables of one process share the pages of the snapshot
that they began from, and one event loop: both make the machine smaller than a hundred routers are.
"""

import asyncio
import json
import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path

from directory.redis_feed import RedisFeed
from directory.values import Change
from loadtests.table_costs import IDENTITY, Figures, entries
from router import disk
from router.follower import Follower
from router.table import Table

PROCESSES, TABLES = 4, 25
SINGLE, EVERY_SECONDS = 200, 0.25
MANY, BATCH = 10_000, 500
"""`BATCH` is the publisher's."""
Seen = dict[int, float]
"""change → when it was there, by the monotonic clock"""


async def _follow(url: str, table: Table, last: int, seen: Seen) -> None:
    """Until change `last`; remembers for each when the slowest table of this process had it."""
    feed = RedisFeed(url)
    follower = Follower(feed, table)
    while table.seq < last:
        before = table.seq
        await follower.step()
        now = time.monotonic()
        for seq in range(before + 1, table.seq + 1):
            seen[seq] = max(now, seen.get(seq, 0.0))
    await feed.close()


async def follow(path: Path, url: str, tables: int) -> None:
    """Says `ready`, follows to the end, and prints when each change was in all tables here."""
    snapshot = disk.load(path)
    if snapshot is None:
        raise SystemExit(f"{path} is no snapshot")
    seen: Seen = {}
    made = [Table() for _ in range(tables)]
    for table in made:
        table.adopt(snapshot, "disk")
    async with asyncio.TaskGroup() as group:
        for table in made:
            group.create_task(_follow(url, table, snapshot.seq + SINGLE + MANY, seen))
        await asyncio.sleep(3.0)
        print("ready", flush=True)
    print(json.dumps(seen))


class _Followers:
    """One process with its tables."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def started(cls, path: Path, url: str) -> "_Followers":
        module = ("-m", "loadtests.propagation", "follow", str(path), url, str(TABLES))
        return cls(
            await asyncio.create_subprocess_exec(
                sys.executable, *module, stdout=asyncio.subprocess.PIPE, limit=2**24
            )
        )

    async def line(self) -> str:
        if self._process.stdout is None:
            raise RuntimeError("its output is not read")
        return (await self._process.stdout.readline()).decode()

    async def stop(self) -> None:
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()


async def measure(path: Path, url: str) -> Figures:
    """Single changes at a modest rate, then many as fast as they can be published. `url`: filled from `path`."""
    feed = RedisFeed(url)
    followers = [await _Followers.started(path, url) for _ in range(PROCESSES)]
    try:
        await asyncio.gather(*(each.line() for each in followers))
        seq = await feed.published(IDENTITY) or 0
        changes = [
            Change(seq + 1 + n, replace(entry, cell_id="cell-07", epoch=30_000_000 + n))
            for n, entry in enumerate(entries(SINGLE + MANY))
        ]
        published: Seen = {}
        for change in changes[:SINGLE]:
            published[change.seq] = time.monotonic()
            await feed.publish(IDENTITY, [change])
            await asyncio.sleep(EVERY_SECONDS)
        bulk_began = time.monotonic()
        for at in range(SINGLE, len(changes), BATCH):
            await feed.publish(IDENTITY, changes[at : at + BATCH])
        bulk_published = time.monotonic()
        seen = [json.loads(await each.line()) for each in followers]
    finally:
        for each in followers:
            await each.stop()
        await feed.close()
    last = str(changes[-1].seq)
    delays = [1000 * (max(each[str(seq)] for each in seen) - at) for seq, at in published.items()]
    return {
        "tables": PROCESSES * TABLES,
        "changes": SINGLE,
        "propagation_p50_ms": statistics.median(delays),
        "propagation_p99_ms": statistics.quantiles(delays, n=100)[98],
        "propagation_max_ms": max(delays),
        "bulk_changes": MANY,
        "bulk_published_seconds": bulk_published - bulk_began,
        "bulk_seconds": max(each[last] for each in seen) - bulk_began,
    }


if __name__ == "__main__":
    asyncio.run(follow(Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])))
