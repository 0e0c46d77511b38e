"""Whether both ends are equal: ours, and md5 of every row's text added up in the same way."""

import asyncio
import time

from loadtests.migration.stage import TENANT, Stage
from loadtests.router.errors import CannotMeasure
from migration.catalog import read_schema
from migration.verifying import verify

MD5 = """
    SELECT count(*), sum(('x' || substr(md5(o::text), 1, 16))::bit(64)::bigint::numeric)
    FROM orders o WHERE tenant_id = $1
"""


async def ours(stage: Stage) -> float:
    """Rows a second; both ends at once."""
    async with stage.ends() as (source, destination):
        async with source.connected() as connection:
            schema = await read_schema(connection)
        async with source.reading() as here, destination.reading() as there:
            began = time.perf_counter()
            verified = await verify(here, there, schema, ["public.orders"])
            seconds = time.perf_counter() - began
    if not verified.equal or verified.rows["public.orders"] != stage.rows:
        raise CannotMeasure(f"the ends differ: {verified.differences}")
    return stage.rows / seconds


async def md5(stage: Stage) -> float:
    """The same by md5."""
    async with stage.admin(stage.source) as here, stage.admin(stage.destination) as there:
        began = time.perf_counter()
        one, other = await asyncio.gather(here.fetchrow(MD5, TENANT), there.fetchrow(MD5, TENANT))
        seconds = time.perf_counter() - began
    if one != other:
        raise CannotMeasure("the ends differ by md5")
    return stage.rows / seconds


async def measure(stage: Stage, rounds: int) -> dict[str, float]:
    """Rows a second; the best of some rounds, in turn. Wants the rows at both ends."""
    best: dict[str, float] = {}
    for _ in range(rounds):
        for name, way in (("ours", ours), ("md5", md5)):
            rate = await way(stage)
            best[name] = max(best.get(name, 0.0), rate)
            print(f"  verify {name:10} {rate:12,.0f} rows/s", flush=True)
    return {name: round(rate) for name, rate in best.items()}
