"""Workers are killed by chance, while a crowd of tenants asks for namespaces, releases and cancels them."""

import asyncio
import random
import secrets
from typing import Any

import asyncpg

from tests.cell.cells import Answer, Client, RunningCell
from tests.cell.crashes.conftest import ALL, Workers
from tests.cell.crashes.points import Points
from tests.waiting import eventually

TENANTS = 20
OF_EACH = 50 if ALL else 3
OPEN = "SELECT count(*) FROM cell.orchestrations WHERE outcome IS NULL"


async def accepted(client: Client, path: str, body: Any = None) -> Answer:
    """As clients do: asked again by the same key while it is told to come again."""
    key = secrets.token_hex(8)

    async def answered() -> Answer:
        answer = await client("POST", path, body, key=key)
        assert answer.status != 503, answer
        return answer

    return await eventually(answered, seconds=60.0, every=0.1)


async def ask(client: Client, chance: random.Random) -> dict[str, bool]:
    """Namespaces, some of them cancelled at once; whether each was."""
    await accepted(client, "/v1/accounts", {"account_id": "acme", "display_name": "Acme"})
    cancelled = {}
    for number in range(OF_EACH):
        name = f"n{number}"
        answer = await accepted(
            client, "/v1/accounts/acme/namespaces", {"namespace_id": name, "display_name": name}
        )
        assert answer.status == 202, answer
        cancelled[name] = chance.random() < 0.2
        if cancelled[name]:
            await accepted(client, f"/v1/{answer.json['name']}:cancel")
    return cancelled


async def test_a_thousand_orchestrations_end_well_while_workers_are_killed(
    crashing: RunningCell, points: Points, workers: Workers
) -> None:
    """Each is carried out or undone as a whole; shards and usage count each namespace once."""
    assert points.left() == set()
    chance = random.Random(7)  # noqa: S311 no secret
    clients = [await crashing.tenant(plan="premium") for _ in range(TENANTS)]
    superuser = await crashing.database.connect()
    with workers(3, 0.3) as log:
        asked = await asyncio.gather(*(ask(client, chance) for client in clients))

        async def all_ended() -> bool:
            assert await superuser.fetchval(OPEN) == 0
            return True

        await eventually(all_ended, seconds=240.0)
    for client, cancelled in zip(clients, asked, strict=True):
        assert await ended_well(superuser, client, cancelled), log.read_text()
    await superuser.close()


async def ended_well(
    superuser: "asyncpg.Connection[asyncpg.Record]", client: Client, cancelled: dict[str, bool]
) -> bool:
    """What is there is all there, and what is not there left nothing."""

    async def rows(query: str) -> list[Any]:
        return [row[0] for row in await superuser.fetch(query, client.tenant_id)]

    there = await rows("SELECT namespace_id FROM cell.namespaces WHERE tenant_id = $1 AND state = 'ACTIVE'")
    every = await rows("SELECT namespace_id FROM cell.namespaces WHERE tenant_id = $1")
    given = await rows("SELECT namespace_id FROM cell.allocations WHERE tenant_id = $1 AND endpoint IS NOT NULL")
    counted = await rows(
        "SELECT count(*) FROM cell.usage_records WHERE tenant_id = $1 AND meter = 'namespaces_created'"
    )
    ends = await rows("SELECT target FROM cell.orchestrations WHERE tenant_id = $1 AND outcome = 'COMPLETED'")
    assert sorted(there) == sorted(every) == sorted(given) == sorted(end.rpartition("/")[2] for end in ends)
    assert {name for name, was in cancelled.items() if not was} <= set(there)
    assert counted == [len(there)]
    return True
