"""Mail without a mail server: an outbox, which is a table that people can read."""

import hashlib
from collections.abc import Mapping
from typing import Any

from cell.database import SQL
from cell.orchestrator.actions import Call, Party
from cell.parties.memory import Remembering
from cell.parties.seams import What
from cell.rules.letters import Letter, letter
from cell.rules.turns import Output
from runtime.database import Connection, Pool


class Outbox:
    """Keeps every mail in this cell's database."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def letter(self, what: What) -> Party:
        return _Kept(self._pool, what)


class _Kept(Remembering):
    """One mail, to be read where it lies."""

    party = "mail"

    async def do(self, connection: Connection, call: Call, what: Mapping[str, Any]) -> Output:
        await insert(connection, call, written(what), message_id(call), "KEPT")
        return {"message_id": message_id(call)}

    async def take_back(self, connection: Connection, call: Call, done: Output | None) -> None:
        await connection.execute(SQL["delete_unsent_mail"], call.key)


def written(what: Mapping[str, Any]) -> Letter:
    """The mail that is asked for. Unfit."""
    facts = {name: value for name, value in what.items() if name not in ("letter", "recipient")}
    return letter(what["letter"], what["recipient"], facts)


def message_id(call: Call, domain: str = "cellway.invalid") -> str:
    """The same for every attempt, so that whoever gets it twice can tell (RFC 5322, 3.6.4)."""
    return f"<{hashlib.sha256(f'{call.tenant_id} {call.key}'.encode()).hexdigest()[:32]}@{domain}>"


async def insert(connection: Connection, call: Call, mail: Letter, identifier: str, state: str) -> None:
    """Kept under its key; one that is there already stays as it is."""
    await connection.execute(
        SQL["insert_mail"], call.key, identifier, mail.recipient, mail.subject, mail.body, state
    )
