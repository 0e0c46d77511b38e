"""What capture costs those who write: the tenant that moves, and those that do not."""

import asyncio
import random
import time
from collections.abc import Sequence

import asyncpg

from directory import fence
from loadtests.migration.stage import OTHER, OWNER, TENANT, Stage

WRITERS = 2
ROWS = 20_000
"""Of each tenant, in each table."""
TURNS = 1_500
"""Of each writer in a round; in each turn one transaction of each case, in an order that chance makes."""
EPOCH = 1
SEED = 5
CASES = {
    # name: the table, who writes
    "without": ("guarded", OTHER),
    "bystander": ("captured", OTHER),
    "mover": ("captured", TENANT),
}
TABLE = """
    CREATE TABLE public.{name} (LIKE public.orders INCLUDING ALL);
    INSERT INTO public.{name}
    SELECT tenant, n, now(), n % 1000, md5(n::text) || md5((n + 1)::text)
    FROM generate_series(1, {rows}) n, unnest(ARRAY['{one}', '{other}']) tenant;
    ANALYZE public.{name};
"""
Times = dict[str, list[float]]


async def _prepare(owner: "asyncpg.Connection[asyncpg.Record]") -> None:
    for name in ("guarded", "captured"):
        await owner.execute(TABLE.format(name=name, rows=ROWS, one=TENANT, other=OTHER))
        await owner.execute(fence.GUARD_TABLE.format(table=f"public.{name}"))
    await owner.execute("SELECT cellway.capture_table('public.captured', 'tenant_id')")
    await owner.execute("SELECT cellway.set_fence($1, $2, 'active', NULL)", OTHER, EPOCH)


async def _writer(stage: Stage, number: int, chance: random.Random, cases: Sequence[str], times: Times) -> None:
    """Transactions of one row each. Each case meets the same moments, so what else the machine does hits all."""
    # The disk would hide what it costs: commits wait for it much longer than for everything else.
    fast = {"synchronous_commit": "off"}
    connection = await asyncpg.connect(stage.dsn(stage.source, OWNER), timeout=10, server_settings=fast)
    try:
        enter = await connection.prepare("SELECT cellway.enter($1, $2)")
        updates = {
            table: await connection.prepare(
                f"UPDATE {table} SET amount = amount + 1 WHERE tenant_id = $1 AND id = $2"  # noqa: S608 ours
            )
            for table, _ in CASES.values()
        }
        half = ROWS // WRITERS
        for turn in range(TURNS):
            for name in chance.sample(cases, len(cases)):
                table, tenant = CASES[name]
                began = time.perf_counter()
                async with connection.transaction():
                    await enter.fetchval(tenant, EPOCH)
                    await updates[table].fetch(tenant, number * half + turn % half + 1)
                times[name].append(time.perf_counter() - began)
    finally:
        await connection.close()


def _mean(times: Sequence[float]) -> float:
    """Of those below the 9th decile: what the rest waited for is not what they did."""
    kept = sorted(times)[: len(times) * 9 // 10]
    return sum(kept) / len(kept)


async def measure(stage: Stage, rounds: int) -> dict[str, float]:
    """Microseconds a transaction in each case, while nobody moves and while one does, and what capture adds."""
    owner = await asyncpg.connect(stage.dsn(stage.source, OWNER), timeout=60)
    found: dict[bool, Times] = {moves: {name: [] for name in CASES} for moves in (False, True)}
    try:
        await _prepare(owner)
        for number in range(rounds):
            for moves in (False, True) if number % 2 == 0 else (True, False):
                await owner.execute("UPDATE cellway.fence SET captured = $1 WHERE tenant_id = $2", moves, TENANT)
                chances = [random.Random(SEED + WRITERS * number + each) for each in range(WRITERS)]
                await asyncio.gather(
                    *(_writer(stage, each, chances[each], list(CASES), found[moves]) for each in range(WRITERS))
                )
                await owner.execute("DELETE FROM cellway.log")
        await owner.execute("UPDATE cellway.fence SET captured = false")
    finally:
        await owner.close()
    mean = {moves: {name: _mean(times) for name, times in cases.items()} for moves, cases in found.items()}
    idle, moving = mean[False], mean[True]
    for moves, cases in mean.items():
        for name, seconds in cases.items():
            print(f"  write {name:10} {'one moves' if moves else 'idle':10} {seconds * 1e6:7.1f} us", flush=True)
    return {
        **{f"write_us_{name}": round(seconds * 1e6, 1) for name, seconds in moving.items()},
        "bystander_cost_pct": round(100 * (moving["bystander"] / moving["without"] - 1), 2),
        "bystander_cost_of_the_move_pct": round(
            100 * (moving["bystander"] / moving["without"] * idle["without"] / idle["bystander"] - 1), 2
        ),
        "mover_cost_pct": round(100 * (moving["mover"] / moving["without"] - 1), 2),
    }
