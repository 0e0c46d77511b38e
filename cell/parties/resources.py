"""What takes long to be made, and so is prepared: a pool in this cell's database, of no tenant.

Taking moves a row from the pool to the tenant in one transaction, so nothing is given out twice. When the pool is
empty, one is made on the spot. An encryption key is only an identifier: the key is derived from it (`rules/keys`),
and stored nowhere. One that was given out is never given to anybody else, so it is not put back.
"""

import asyncio
import secrets
from collections.abc import Mapping
from typing import Any

from cell.database import SQL, transaction
from cell.errors import Unfit
from cell.orchestrator.actions import Call, Party
from cell.parties.memory import Remembering
from cell.parties.seams import What
from cell.rules.turns import Output
from runtime.database import Connection, Pool

PREPARED: Mapping[str, int] = {"encryption_key": 16, "search_attributes": 16}
"""How many of each kind are kept ready."""
REUSABLE = frozenset({"search_attributes"})


async def refill(pool: Pool) -> int:
    """Fill the pool up; how many were made. A bounded amount of work: call it in quiet times. Unavailable."""
    made = 0
    for kind, most in PREPARED.items():
        async with transaction(pool) as connection:
            names = [_new(kind) for _ in range(most)]
            made += len(await connection.fetch(SQL["insert_prepared_resources"], kind, names, most))
    return made


async def prepare(pool: Pool, seconds: float) -> None:
    """Fill it up, and a rest: a task repeats it."""
    await refill(pool)
    await asyncio.sleep(seconds)


def _new(kind: str) -> str:
    return f"{kind.split('_')[0]}-{secrets.token_hex(12)}"


class LocalResources:
    """Keeps them in this cell's database."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def take(self, what: What) -> Party:
        return _Take(self._pool, what)

    def give_back(self, what: What) -> Party:
        return _GiveBack(self._pool, what)


class _Take(Remembering):
    """One of a kind."""

    party = "resources"

    async def do(self, connection: Connection, call: Call, what: Mapping[str, Any]) -> Output:
        kind = what["kind"]
        if kind not in PREPARED:
            raise Unfit(f"there is no resource {kind!r}")
        resource_id = await connection.fetchval(SQL["take_prepared_resource"], kind) or _new(kind)
        await connection.execute(SQL["insert_taken_resource"], resource_id, kind)
        return {"resource_id": resource_id, "kind": kind}

    async def take_back(self, connection: Connection, call: Call, done: Output | None) -> None:
        if done is None:
            return
        await _return(connection, done["resource_id"])


class _GiveBack(Remembering):
    """One that was taken under another key; there is no way back from it."""

    party = "resources"

    async def do(self, connection: Connection, call: Call, what: Mapping[str, Any]) -> Output:
        if what["resource_id"] is not None:
            await _return(connection, what["resource_id"])
        return {}

    async def take_back(self, connection: Connection, call: Call, done: Output | None) -> None:
        """Somebody else may have it by now."""


async def _return(connection: Connection, resource_id: str) -> None:
    kind = await connection.fetchval(SQL["delete_taken_resource"], resource_id)
    if kind in REUSABLE:
        await connection.execute(SQL["give_back_resource"], resource_id, kind)
