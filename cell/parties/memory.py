"""How a party keeps its promises: what it did under a key and that it did so are one transaction, and so are the
taking back and the tombstone. Nothing here shares a transaction with the orchestration that asks.
"""

import contextlib
import json
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from typing import Any, ClassVar

from cell.access import enter_at
from cell.database import SQL, transaction
from cell.errors import NotHere, Unavailable, Unfit
from cell.orchestrator.actions import Call, Outage
from cell.parties.seams import What
from cell.rules.turns import Output
from runtime.database import Connection, Pool

DONE, UNDONE = "DONE", "UNDONE"


@contextlib.asynccontextmanager
async def visit(pool: Pool, tenant_id: str) -> AsyncIterator[Connection]:
    """A transaction of the party's own, at whatever epoch the tenant is served here. NotHere; Outage."""
    try:
        async with transaction(pool) as connection:
            row = await connection.fetchrow(SQL["enter_fence"], tenant_id, 0)
            if row is None or row["epoch"] is None:
                raise NotHere(0)
            await enter_at(connection, tenant_id, row["epoch"])
            yield connection
    except Unavailable as error:
        raise Outage(str(error)) from error


class Remembering(ABC):
    """A party that is played by the cell itself. Each thing that can be asked of it is a class of its own."""

    party: ClassVar[str]

    def __init__(self, pool: Pool, what: What) -> None:
        self._pool, self._what = pool, what

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.party}>"

    @abstractmethod
    async def do(self, connection: Connection, call: Call, what: Mapping[str, Any]) -> Output:
        """What is asked for, in the party's transaction. Unfit."""

    @abstractmethod
    async def take_back(self, connection: Connection, call: Call, done: Output | None) -> None:
        """The way back from what `do` answered; None: it never got so far."""

    async def act(self, call: Call) -> Output:
        """Once for a key. Unfit after it was undone; Outage."""
        async with visit(self._pool, call.tenant_id) as connection:
            if await connection.fetchrow(SQL["begin_effect"], self.party, call.key, DONE) is None:
                return await self.known(connection, call)
            done = await self.do(connection, call, self._what(call))
            await connection.execute(SQL["end_effect"], self.party, call.key, DONE, json.dumps(dict(done)))
            return done

    async def known(self, connection: Connection, call: Call) -> Output:
        """What was answered before. Unfit: it was undone, so this is a late original."""
        row = await connection.fetchrow(SQL["get_effect"], self.party, call.key)
        if row is None or row["state"] == UNDONE:
            raise Unfit("this was undone before")
        answered: Output = json.loads(row["output"])
        return answered

    async def find(self, call: Call) -> Output | None:
        """What was done under the key. Outage."""
        async with visit(self._pool, call.tenant_id) as connection:
            row = await connection.fetchrow(SQL["get_effect"], self.party, call.key)
        if row is None or row["state"] == UNDONE:
            return None
        found: Output = json.loads(row["output"])
        return found

    async def undo(self, call: Call) -> None:
        """Nothing of the key is left, now and later. Outage."""
        async with visit(self._pool, call.tenant_id) as connection:
            done: Output | None = None
            if await connection.fetchrow(SQL["begin_effect"], self.party, call.key, UNDONE) is None:
                row = await connection.fetchrow(SQL["lock_effect"], self.party, call.key)
                if row is None or row["state"] == UNDONE:
                    return
                done = json.loads(row["output"])
                await connection.execute(SQL["end_effect"], self.party, call.key, UNDONE, None)
            await self.take_back(connection, call, done)
