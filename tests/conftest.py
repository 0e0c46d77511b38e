"""Servers for all tests: one Postgres and one Redis a session, a database of its own for whoever asks."""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis

from directory import postgres as directory_postgres
from runtime import database, schema
from runtime.embedded.postgres import PostgresServer
from runtime.embedded.redis import RedisServer

PASSWORD = "test-" + secrets.token_hex(8)


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A real Postgres. Ask it for a fresh database with `new_database`."""
    # Tests create and drop many databases; what a power cut would lose does not matter here.
    fast = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "300"}
    with PostgresServer(tmp_path_factory.mktemp("postgres") / "data", PASSWORD, settings=fast) as server:
        yield server


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A real Redis, shared; whoever needs an empty one flushes it (`redis_url`)."""
    with RedisServer(tmp_path_factory.mktemp("redis") / "data", PASSWORD) as server:
        yield server


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """The address of an empty Redis."""
    with redis.Redis.from_url(redis_server.url) as client:
        client.flushall()
    return redis_server.url


@dataclass(frozen=True, slots=True)
class ControlDatabase:
    """A control database with its schema, and the addresses of its roles."""

    admin_dsn: str
    owner_dsn: str
    writer_dsn: str


async def new_control_database(server: PostgresServer) -> ControlDatabase:
    """A fresh control database, named at random."""
    name = f"directory_{secrets.token_hex(4)}"
    roles = {"directory_owner": PASSWORD, "directory_writer": PASSWORD}
    await database.bootstrap(server.admin_dsn, name, "directory_owner", roles)
    made = ControlDatabase(
        admin_dsn=server.dsn(name),
        owner_dsn=server.dsn(name, "directory_owner", PASSWORD),
        writer_dsn=server.dsn(name, "directory_writer", PASSWORD),
    )
    connection = await database.reach(made.owner_dsn)
    try:
        await schema.upgrade(connection, directory_postgres.COMPONENT, directory_postgres.UPGRADES)
    finally:
        await connection.close()
    return made


@pytest.fixture
async def control_database(postgres_server: PostgresServer) -> ControlDatabase:
    """A fresh control database for one test, or one fixture."""
    return await new_control_database(postgres_server)


@pytest.fixture(scope="session")
def project_root() -> Path:
    """Where the project lies."""
    return Path(__file__).parents[1]
