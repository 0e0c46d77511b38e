"""Schema upgrades are applied once, in order, under a lock."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Literal

import pytest

from runtime import database, schema
from runtime.embedded.postgres import PostgresServer
from runtime.errors import SchemaError, StartFailed
from runtime.schema import Upgrade
from tests.servers import PASSWORD


def _step(number: int, text: str, phase: Literal["pre", "post"] = "pre") -> Upgrade:
    return Upgrade(number, 0 if phase == "pre" else 1, f"step_{number}", phase, text)


STEPS = [
    _step(1, "CREATE TABLE boxes (old text)"),
    _step(2, "ALTER TABLE boxes ADD new text"),
    _step(2, "ALTER TABLE boxes DROP old", "post"),
]


@pytest.fixture
async def dsn(postgres_server: PostgresServer) -> str:
    """A fresh database."""
    name = f"schema_{secrets.token_hex(4)}"
    await database.bootstrap(postgres_server.admin_dsn, name, "schema_owner", {"schema_owner": PASSWORD})
    return postgres_server.dsn(name, "schema_owner", PASSWORD)


@pytest.fixture
async def connection(dsn: str) -> AsyncIterator[database.Connection]:
    """A connection as the database's owner."""
    found = await database.reach(dsn)
    yield found
    await found.close()


async def _columns(connection: database.Connection) -> list[str]:
    rows = await connection.fetch("SELECT column_name FROM information_schema.columns WHERE table_name = 'boxes'")
    return sorted(row["column_name"] for row in rows)


async def test_each_upgrade_is_applied_once(connection: database.Connection) -> None:
    """Starting again changes nothing."""
    assert await schema.upgrade(connection, "box", STEPS) == 3
    assert await schema.upgrade(connection, "box", STEPS) == 0
    assert await _columns(connection) == ["new"]


async def test_pre_runs_while_older_programs_work_and_post_when_they_are_gone(
    connection: database.Connection,
) -> None:
    """Between the two, both versions find what they need."""
    assert await schema.upgrade(connection, "box", STEPS, phases="pre") == 2
    assert await _columns(connection) == ["new", "old"]
    assert await schema.upgrade(connection, "box", STEPS) == 1
    assert await _columns(connection) == ["new"]


async def test_many_processes_starting_at_once_apply_each_upgrade_once(dsn: str) -> None:
    """The lock orders them; the late ones find everything done."""
    connections = [await database.reach(dsn) for _ in range(4)]
    counts: Sequence[int] = await asyncio.gather(*(schema.upgrade(c, "box", STEPS) for c in connections))
    assert sorted(counts) == [0, 0, 0, 3]
    for connection in connections:
        await connection.close()


async def test_an_upgrade_that_fails_leaves_nothing(connection: database.Connection) -> None:
    """All missing upgrades are one transaction."""
    with pytest.raises(Exception, match="syntax error"):
        await schema.upgrade(connection, "box", [*STEPS, _step(3, "CREATE NONSENSE")])
    assert await _columns(connection) == []


async def test_a_file_that_changed_after_it_was_applied_is_refused(connection: database.Connection) -> None:
    """The record of what a database went through must stay true."""
    await schema.upgrade(connection, "box", STEPS)
    with pytest.raises(SchemaError, match="0001 of box changed"):
        await schema.upgrade(connection, "box", [replace(STEPS[0], text="-- else"), *STEPS[1:]])


async def test_a_database_that_is_newer_than_the_program_is_refused(connection: database.Connection) -> None:
    """An old program would not know what the rows mean."""
    await schema.upgrade(connection, "box", STEPS)
    with pytest.raises(SchemaError, match="newer"):
        await schema.upgrade(connection, "box", STEPS[:1])


async def test_a_program_that_may_not_upgrade_refuses_an_older_database(connection: database.Connection) -> None:
    """Where an administrator applies the files, the program says which ones are missing."""
    with pytest.raises(SchemaError, match=r"apply 0001_step_1.pre.sql"):
        await schema.upgrade(connection, "box", STEPS, phases="none")


async def test_bootstrapping_again_is_harmless_and_roles_are_plain(postgres_server: PostgresServer) -> None:
    """No superuser, no BYPASSRLS, and a stranger may not even connect."""
    name = f"plain_{secrets.token_hex(4)}"
    roles = {"plain_owner": PASSWORD, "plain_reader": 'it\'s; "quoted" $$ %s \\'}
    for _ in range(2):
        await database.bootstrap(postgres_server.admin_dsn, name, "plain_owner", roles)
    reader = await database.reach(postgres_server.dsn(name, "plain_reader", roles["plain_reader"]))
    row = await reader.fetchrow(
        "SELECT rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication FROM pg_roles"
        " WHERE rolname = current_user"
    )
    await reader.close()
    assert row is not None
    assert not any(row.values())
    other = f"other_{secrets.token_hex(4)}"
    await database.bootstrap(postgres_server.admin_dsn, other, "other_owner", {"other_owner": PASSWORD})
    with pytest.raises(StartFailed, match="permission denied"):
        await database.reach(postgres_server.dsn(other, "plain_reader", roles["plain_reader"]))


async def test_a_server_that_is_not_there_is_named_without_its_password() -> None:
    """By the deadline."""
    with pytest.raises(StartFailed, match=r"Postgres at 127.0.0.1:1/db did not answer") as caught:
        await database.reach("postgresql://me:hunter2@127.0.0.1:1/db", deadline_seconds=0.2)
    assert "hunter2" not in str(caught.value)
