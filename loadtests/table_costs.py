"""What one assignment table costs: memory, look-ups, and how long it keeps its event loop. A fresh process each.

    python -m loadtests.table_costs (memory | traced | look-ups | stalls) SNAPSHOT [REDIS_URL]

Prints one JSON object. Beside it: the snapshot that is measured, made here too.
"""

import asyncio
import gc
import hashlib
import json
import os
import random
import resource
import statistics
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from directory.packed import Packed, pack
from directory.redis_feed import RedisFeed
from directory.turns import at_once
from directory.values import CellEntry, Change, Rate, Snapshot, TenantEntry
from router import disk
from router.follower import Follower
from router.table import Table

CELLS = {name: CellEntry(name, "open", f"http://10.0.0.{n}:8000") for n in range(40) for name in [f"cell-{n:02d}"]}
IDENTITY = "directory-of-the-benchmark"
LOOK_UPS, ROUNDS = 20_000, 25
CHANGES = 10_000
Figures = dict[str, float]


def name_of(number: int) -> str:
    """Names of 14 to 28 characters that have a long beginning in common, as names do."""
    digest = hashlib.sha256(str(number).encode()).hexdigest()
    return f"tenant-{digest[: 7 + number % 15]}"


def entries(count: int) -> Iterator[TenantEntry]:
    """Tenants over 40 cells; each tenth has a limit of its own."""
    for number in range(count):
        rate = Rate(100.0, 200) if number % 10 == 0 else None
        yield TenantEntry(f"{name_of(number)}-{number}"[:40], f"cell-{number % 40:02d}", 1_000_000 + number, rate)


def snapshot_of(count: int, seq: int = 1) -> Snapshot:
    """So many tenants."""
    return Snapshot(IDENTITY, seq, CELLS, at_once(pack(CELLS, entries(count), count)))


def _loaded(path: Path) -> Table:
    table = Table()
    snapshot = disk.load(path)
    if snapshot is None:
        raise SystemExit(f"{path} is no snapshot")
    table.adopt(snapshot, "disk")
    return table


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def memory(path: Path) -> Figures:
    """What the process grew by, once the table was loaded, and at most while a second snapshot was adopted."""
    gc.collect()
    before = _resident_bytes()
    table = _loaded(path)
    gc.collect()
    grown = _resident_bytes() - before
    second = disk.load(path)
    if second is not None:
        table.adopt(replace(second, seq=second.seq + 1), "directory")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before
    return {"resident": grown / len(table), "resident_peak": peak / len(table)}


def traced(path: Path) -> Figures:
    """What Python's own allocator counts."""
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    table = _loaded(path)
    gc.collect()
    return {"traced": (tracemalloc.get_traced_memory()[0] - before) / len(table)}


def look_ups(path: Path) -> Figures:
    """µs for one of a random tenant, and of one that is not there: of the processor's time, which others do not
    lengthen by taking turns, only by sharing its caches. The best round was disturbed least."""
    table = _loaded(path)
    known = table.snapshot()
    names = random.Random(1).choices(list(known.tenants if known else ()), k=LOOK_UPS)
    found = [_microseconds(table, names) for _ in range(ROUNDS)]
    missed = [_microseconds(table, [f"{name[:-1]}x" for name in names]) for _ in range(ROUNDS)]
    return {
        "hit_us": min(found),
        "hit_median_us": statistics.median(found),
        "miss_us": min(missed),
        "miss_median_us": statistics.median(missed),
    }


def _microseconds(table: Table, names: list[str]) -> float:
    find = table.find
    started = time.thread_time()
    for name in names:
        find(name)
    return (time.thread_time() - started) / len(names) * 1e6


@dataclass
class Stalls:
    """How long one turn of the loop took: by the clock, and of the processor's time, without what others took."""

    longest_ms: float = 0.0
    longest_cpu_ms: float = 0.0
    seconds: float = 0.0

    async def of(self, work: Callable[[], Awaitable[object]]) -> "Stalls":
        """Watch the loop while the work is done."""
        started, watching = time.perf_counter(), asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch(watching))
            await asyncio.sleep(0)
            await work()
            watching.set()
        self.seconds = time.perf_counter() - started
        return self

    async def _watch(self, over: asyncio.Event) -> None:
        while not over.is_set():
            wall, cpu = time.perf_counter(), time.thread_time()
            await asyncio.sleep(0)
            self.longest_cpu_ms = max(self.longest_cpu_ms, (time.thread_time() - cpu) * 1000)
            self.longest_ms = max(self.longest_ms, (time.perf_counter() - wall) * 1000)


async def stalls(path: Path, url: str) -> Figures:
    """Everything that a router does with its table while it forwards requests."""
    figures: Figures = {}
    table, feed = Table(), RedisFeed(url)
    offered = [await _filled(feed, disk.load(path))]

    async def read() -> None:
        offered[0] = await feed.snapshot()

    async def adopt() -> None:
        if offered[0] is not None:
            await table.adopt_in_turns(offered[0], "directory")
            offered[0] = None

    await _stalls(figures, "read", read)
    await _stalls(figures, "adopt_first", adopt)
    offered[0] = _moved(table)
    await _stalls(figures, "adopt_next", adopt)
    follower = Follower(feed, table, wait_seconds=0.1)
    await _filled(feed, table.snapshot())
    await _publish_many(feed, table.seq)
    last = table.seq + CHANGES

    async def follow() -> None:
        while table.seq < last:
            await follower.step()

    await _stalls(figures, "changes", follow)
    with tempfile.TemporaryDirectory() as folder:
        keeper = disk.Keeper(Path(folder) / "snapshot", table, 1.0)
        await _stalls(figures, "save", keeper.save)
    await feed.close()
    return figures


async def _filled(feed: RedisFeed, snapshot: Snapshot | None) -> Snapshot | None:
    if snapshot is not None:
        # Nobody is looked up here, and a million entries to look up would take a minute to fill in.
        await feed.fill(replace(snapshot, tenants={}))
        await feed.put_snapshot(snapshot)
    return None


def _moved(table: Table) -> Snapshot | None:
    """What the table has, but one tenant in a hundred lives elsewhere since."""
    snapshot = table.snapshot()
    if snapshot is None or not isinstance(snapshot.tenants, Packed):
        return None
    for entry in entries(len(table) // 100):
        snapshot.tenants.put(replace(entry, epoch=entry.epoch + 10_000_000, cell_id="cell-07"))
    return replace(snapshot, seq=snapshot.seq + 1)


async def _publish_many(feed: RedisFeed, seq: int) -> None:
    changes = [
        Change(seq + 1 + n, replace(entry, epoch=20_000_000 + n)) for n, entry in enumerate(entries(CHANGES))
    ]
    for at in range(0, len(changes), 500):
        await feed.publish(IDENTITY, changes[at : at + 500])


async def _stalls(figures: Figures, name: str, work: Callable[[], Awaitable[object]]) -> None:
    gc.collect()
    found = await Stalls().of(work)
    figures[f"{name}_seconds"] = found.seconds
    figures[f"{name}_stall_ms"] = found.longest_ms
    figures[f"{name}_stall_cpu_ms"] = found.longest_cpu_ms


def main() -> None:
    """Measure one thing and print it."""
    what, path = sys.argv[1], Path(sys.argv[2])
    if what == "stalls":
        figures = asyncio.run(stalls(path, sys.argv[3]))
    else:
        figures = {"memory": memory, "traced": traced, "look-ups": look_ups}[what](path)
    print(json.dumps({name: round(value, 3) for name, value in figures.items()}))


if __name__ == "__main__":
    main()
