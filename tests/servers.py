"""Databases with their roles and schema, made on a running server."""

import secrets
from dataclasses import dataclass

from directory import postgres as directory_postgres
from runtime import database, schema
from runtime.embedded.postgres import PostgresServer

PASSWORD = "test-" + secrets.token_hex(8)


@dataclass(frozen=True, slots=True)
class ControlDatabase:
    """A control database with its schema, and the addresses of its roles."""

    admin_dsn: str
    owner_dsn: str
    writer_dsn: str
    mover_dsn: str


async def new_control_database(server: PostgresServer) -> ControlDatabase:
    """A fresh control database, named at random."""
    name = f"directory_{secrets.token_hex(4)}"
    roles = dict.fromkeys(("directory_owner", "directory_writer", "directory_mover"), PASSWORD)
    await database.bootstrap(server.admin_dsn, name, "directory_owner", roles)
    made = ControlDatabase(
        admin_dsn=server.dsn(name),
        owner_dsn=server.dsn(name, "directory_owner", PASSWORD),
        writer_dsn=server.dsn(name, "directory_writer", PASSWORD),
        mover_dsn=server.dsn(name, "directory_mover", PASSWORD),
    )
    connection = await database.reach(made.owner_dsn)
    try:
        await schema.upgrade(connection, directory_postgres.COMPONENT, directory_postgres.UPGRADES)
    finally:
        await connection.close()
    return made
