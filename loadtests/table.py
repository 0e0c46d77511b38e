"""The router's assignment table: memory, look-ups, stalls, and how fast changes spread. `make bench-table`.

    python -m loadtests.table [--sizes 1000 100000 1000000]

Each figure comes from a fresh process (`table_costs`), and those with a cache from a real Redis that is started
for them (`propagation`). Memory is taken twice, by what the process grew and by what Python allocated, and the
larger counts. Client, cache and tables share the machine, so times are upper bounds.
"""

import argparse
import asyncio
import json
import os
import platform as machine
import sys
import tempfile
from pathlib import Path

from directory.redis_feed import RedisFeed
from loadtests import propagation
from loadtests.table_costs import Figures, snapshot_of
from router import disk
from runtime.embedded.redis import RedisServer

RESULT = Path(__file__).parent / "results" / "table.json"
SIZES = (1_000, 100_000, 1_000_000)
# For 1,000,000 tenants, their look-ups, and both once more while they are filled in anew.
REDIS = {"maxmemory": "1gb", "appendonly": "no"}
MOST_BYTES, MOST_LOOK_UP_US, MOST_P99_MS = 100.0, 2.0, 250.0


async def _child(*arguments: str) -> Figures:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "loadtests.table_costs", *arguments, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    if process.returncode:
        raise SystemExit(f"measuring {arguments[0]} failed")
    figures: Figures = json.loads(output)
    return figures


async def _costs(path: Path) -> Figures:
    figures = await _child("memory", str(path)) | await _child("traced", str(path))
    figures["bytes_per_tenant"] = max(figures["resident"], figures["traced"])
    return figures | await _child("look-ups", str(path))


async def _with_redis(folder: Path, path: Path) -> tuple[Figures, Figures]:
    with RedisServer(folder / "redis", "benchmark", settings=REDIS) as server:
        stalls = await _child("stalls", str(path), server.url)
        feed = RedisFeed(server.url)
        await feed.fill(disk.load(path) or snapshot_of(0))
        await feed.close()
        return stalls, await propagation.measure(path, server.url)


async def run(sizes: list[int]) -> dict[str, object]:
    """Everything, the largest size last; its figures are the ones that count."""
    by_size: dict[str, Figures] = {}
    with tempfile.TemporaryDirectory(prefix="cellway-table-") as name:
        folder = Path(name)
        for size in sorted(sizes):
            path = folder / f"snapshot-{size}"
            disk.save(path, snapshot_of(size))
            by_size[str(size)] = await _costs(path)
            print(f"{size:>9} tenants  {by_size[str(size)]}", flush=True)
        stalls, spread = await _with_redis(folder, path)
    most = by_size[str(max(sizes))]
    return {
        "tenants": max(sizes),
        "bytes_per_tenant": most["bytes_per_tenant"],
        "bytes_per_tenant_counts": "the larger of the process's growth and what Python allocated",
        "lookup_us": most["hit_us"],
        "lookup_miss_us": most["miss_us"],
        **{name: round(value, 2) for name, value in spread.items()},
        "propagation_counts": "from publish until the slowest of all tables has it; 25 tables share a process",
        "stalls": stalls,
        "by_size": by_size,
        "cores": os.cpu_count(),
        "load_average": round(os.getloadavg()[1], 1),
        "python": machine.python_version(),
    }


def main() -> int:
    """Measure, print, and write the results; 1 when a figure is above its limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    result = asyncio.run(run(parser.parse_args().sizes))
    text = json.dumps(result, indent=2)
    print(text)
    RESULT.write_text(text + "\n", encoding="utf-8")
    print(f"written to {RESULT}")
    limits = {
        "bytes_per_tenant": MOST_BYTES,
        "lookup_us": MOST_LOOK_UP_US,
        "propagation_p99_ms": MOST_P99_MS,
    }
    over = [name for name, most in limits.items() if float(str(result[name])) > most]
    for name in over:
        print(f"{name} is {result[name]}, above {limits[name]}", file=sys.stderr)
    return 1 if over else 0


if __name__ == "__main__":
    raise SystemExit(main())
