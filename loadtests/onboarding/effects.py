"""What lies in the cell's database afterwards: each effect once, none twice, for everybody who came."""

from collections.abc import Collection
from importlib.resources import files

from console.platform.blueprint import SUPERUSER
from console.platform.platform import Platform
from runtime import database


async def faults(platform: Platform, cell_id: str, expected: Collection[str]) -> list[str]:
    """What is missing or too much, as sentences; empty when all is well."""
    secret = platform.layout.secrets().values[SUPERUSER]
    port = platform.ports[f"{cell_id} postgres"]
    connection = await database.reach(f"postgresql://postgres:{secret}@127.0.0.1:{port}/cell")
    try:
        query = files("loadtests.onboarding").joinpath("effects.sql").read_text(encoding="utf-8")
        rows = {row["tenant_id"]: row for row in await connection.fetch(query)}
    finally:
        await connection.close()
    lost = [f"{tenant_id} is not in the cell" for tenant_id in expected if tenant_id not in rows]
    wrong = [
        f"{tenant_id} has {count} {effect}"
        for tenant_id in expected
        if tenant_id in rows
        for effect, count in rows[tenant_id].items()
        if effect != "tenant_id" and count != 1
    ]
    return lost + wrong
