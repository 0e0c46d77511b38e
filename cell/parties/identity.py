"""The provider of identities, played by this cell: organisations and their people."""

import secrets
from collections.abc import Mapping
from typing import Any

from cell.database import SQL
from cell.orchestrator.actions import Call, Party
from cell.parties.memory import Remembering
from cell.parties.seams import What
from cell.rules.turns import Output
from runtime.database import Connection, Pool


class LocalIdentity:
    """Keeps them in this cell's database."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def organisation(self, what: What) -> Party:
        return _Organisation(self._pool, what)


class _Organisation(Remembering):
    """An organisation with its first admin."""

    party = "identity"

    async def do(self, connection: Connection, call: Call, what: Mapping[str, Any]) -> Output:
        made = {"organisation_id": f"org-{secrets.token_hex(8)}", "user_id": f"user-{secrets.token_hex(8)}"}
        await connection.execute(SQL["insert_organisation"], made["organisation_id"], what["display_name"])
        await connection.execute(
            SQL["insert_organisation_user"], made["organisation_id"], made["user_id"], what["email"]
        )
        return made

    async def take_back(self, connection: Connection, call: Call, done: Output | None) -> None:
        if done is not None:
            await connection.execute(SQL["delete_organisation"], done["organisation_id"])
