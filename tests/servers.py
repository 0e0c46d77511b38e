"""Databases with their roles and schema, made on a running server.

The first of a kind on a server is made step by step, as a program makes it, and kept; whoever asks for one gets a
copy, for which the server needs a fifth of the time.
"""

import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from directory import postgres as directory_postgres
from runtime import database, schema
from runtime.embedded.postgres import PostgresServer

PASSWORD = "test-" + secrets.token_hex(8)
_TEMPLATES: "WeakKeyDictionary[PostgresServer, dict[str, str]]" = WeakKeyDictionary()
"""By what they are of, the names of databases that nobody connects to."""

Make = Callable[[str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class ControlDatabase:
    """A control database with its schema, and the addresses of its roles."""

    admin_dsn: str
    owner_dsn: str
    writer_dsn: str
    mover_dsn: str


CONTROL_ROLES = ("directory_owner", "directory_writer", "directory_mover")


async def copy_of(server: PostgresServer, kind: str, make: Make, roles: Sequence[str], *, then: str = "") -> str:
    """The name of a fresh database, as `make` makes one under the name that it is told.

    It belongs to the first of `roles`, and only they may connect: that, a copy does not take along. `then` is run
    in it by the superuser.
    """
    templates = _TEMPLATES.setdefault(server, {})
    if kind not in templates:
        template = f"{kind}_template_{secrets.token_hex(4)}"
        await make(template)
        templates[kind] = template
    name = f"{kind}_{secrets.token_hex(4)}"
    connection = await database.reach(server.admin_dsn)
    try:
        # As files: for so little, writing it ahead in the log costs more than the checkpoints that this needs.
        await connection.execute(
            f"CREATE DATABASE {name} TEMPLATE {templates[kind]} STRATEGY file_copy OWNER {roles[0]}"
        )
        await connection.execute(
            f"REVOKE ALL ON DATABASE {name} FROM PUBLIC; GRANT CONNECT ON DATABASE {name} TO {', '.join(roles)}"
        )
    finally:
        await connection.close()
    if then:
        connection = await database.reach(server.dsn(name))
        try:
            await connection.execute(then)
        finally:
            await connection.close()
    return name


async def new_control_database(server: PostgresServer) -> ControlDatabase:
    """A fresh control database, named at random."""

    async def make(name: str) -> None:
        roles = dict.fromkeys(CONTROL_ROLES, PASSWORD)
        await database.bootstrap(server.admin_dsn, name, CONTROL_ROLES[0], roles)
        connection = await database.reach(server.dsn(name, CONTROL_ROLES[0], PASSWORD))
        try:
            await schema.upgrade(connection, directory_postgres.COMPONENT, directory_postgres.UPGRADES)
        finally:
            await connection.close()

    # Each directory knows itself by an identity that no other has.
    identity = "UPDATE directory.head SET identity = gen_random_uuid()"
    name = await copy_of(server, "directory", make, CONTROL_ROLES, then=identity)
    owner, writer, mover = (server.dsn(name, role, PASSWORD) for role in CONTROL_ROLES)
    return ControlDatabase(server.dsn(name), owner, writer, mover)
