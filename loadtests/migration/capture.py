"""What capture costs those who write: the tenant that moves, and those that do not."""

import asyncio
import time

import asyncpg

from loadtests.migration.stage import OTHER, OWNER, TENANT, Stage

WRITERS = 2
SECONDS = 4.0
EPOCH = 1
CASES = {
    # name: whether the table has capture, whether the moving tenant is captured, who writes
    "without": (False, False, OTHER),
    "bystander": (True, True, OTHER),
    "nobody_moves": (True, False, OTHER),
    "mover": (True, True, TENANT),
}


async def _written(stage: Stage, tenant: str) -> float:
    """Transactions a second of as many writers as the machine has cores, each of one row."""
    end = time.monotonic() + SECONDS

    async def writer(number: int) -> int:
        # The disk would hide what it costs: commits wait for it much longer than for everything else.
        fast = {"synchronous_commit": "off"}
        connection = await asyncpg.connect(stage.dsn(stage.source, OWNER), timeout=10, server_settings=fast)
        enter = await connection.prepare("SELECT cellway.enter($1, $2)")
        update = await connection.prepare("UPDATE orders SET amount = amount + 1 WHERE tenant_id = $1 AND id = $2")
        done = 0
        try:
            while time.monotonic() < end:
                async with connection.transaction():
                    await enter.fetchval(tenant, EPOCH)
                    await update.fetch(tenant, 2 * (number * 50_000 + done % 50_000 + 1) - int(tenant == OTHER))
                done += 1
        finally:
            await connection.close()
        return done

    counts = await asyncio.gather(*(writer(number) for number in range(WRITERS)))
    return sum(counts) / SECONDS


async def _set(stage: Stage, installed: bool, captured: bool) -> None:
    owner = await asyncpg.connect(stage.dsn(stage.source, OWNER), timeout=10)
    try:
        there = await owner.fetchval("SELECT count(*) FROM cellway.tables WHERE relation = 'public.orders'")
        if installed and not there:
            await owner.execute("SELECT cellway.capture_table('public.orders', 'tenant_id')")
        if there and not installed:
            await owner.execute("SELECT cellway.release_table('public.orders')")
        await owner.execute("UPDATE cellway.fence SET captured = $1 WHERE tenant_id = $2", captured, TENANT)
        await owner.execute("DELETE FROM cellway.log")
    finally:
        await owner.close()


async def measure(stage: Stage, rounds: int) -> dict[str, float]:
    """Writes a second in each case, the median of some rounds in turn; and what bystanders lose, in per cent."""
    owner = await asyncpg.connect(stage.dsn(stage.source, OWNER), timeout=10)
    await owner.execute("SELECT cellway.set_fence($1, $2, 'active', NULL)", OTHER, EPOCH)
    await owner.close()
    found: dict[str, list[float]] = {name: [] for name in CASES}
    for number in range(rounds):
        # To and fro, so that a machine that gets slower or faster does so to all of them.
        for name in list(CASES)[:: 1 if number % 2 == 0 else -1]:
            installed, captured, tenant = CASES[name]
            await _set(stage, installed, captured)
            found[name].append(await _written(stage, tenant))
            print(f"  writes {name:13} {found[name][-1]:9,.0f}/s", flush=True)
    await _set(stage, installed=True, captured=False)
    median = {name: sorted(rates)[len(rates) // 2] for name, rates in found.items()}
    return {
        **{f"writes_per_second_{name}": round(rate) for name, rate in median.items()},
        "bystander_cost_pct": round(100 * (1 - median["bystander"] / median["without"]), 2),
        "mover_cost_pct": round(100 * (1 - median["mover"] / median["without"]), 2),
    }
