"""The directory's and the fence's schemas: equal to the sum of their upgrades."""

import secrets
from importlib.resources import files

import pytest

from directory import fence, postgres
from runtime import database, schema
from runtime.embedded.postgres import PostgresServer
from runtime.schema import Upgrade
from tests.catalogue import catalogue
from tests.servers import PASSWORD


async def _fresh(server: PostgresServer) -> database.Connection:
    name = f"schema_{secrets.token_hex(4)}"
    roles = {"directory_owner": PASSWORD, "directory_writer": PASSWORD}
    await database.bootstrap(server.admin_dsn, name, "directory_owner", roles)
    return await database.reach(server.dsn(name, "directory_owner", PASSWORD))


@pytest.mark.parametrize(
    ("package", "component", "steps", "name"),
    [
        ("directory", postgres.COMPONENT, postgres.UPGRADES, "directory"),
        ("directory.fence", fence.COMPONENT, fence.UPGRADES, "cellway"),
    ],
)
async def test_the_whole_schema_equals_the_sum_of_its_upgrades(
    postgres_server: PostgresServer, package: str, component: str, steps: list[Upgrade], name: str
) -> None:
    """A database built from `whole.sql` has the same catalogue as one that went through every upgrade."""
    at_once, step_by_step = await _fresh(postgres_server), await _fresh(postgres_server)
    try:
        await at_once.execute(files(package).joinpath("schema/whole.sql").read_text(encoding="utf-8"))
        await schema.upgrade(step_by_step, component, steps)
        found = await catalogue(step_by_step, name)
        assert found["columns"]
        assert await catalogue(at_once, name) == found
    finally:
        await at_once.close()
        await step_by_step.close()


async def test_the_writer_of_the_directory_can_neither_create_nor_drop(postgres_server: PostgresServer) -> None:
    """Placement's role changes rows; only the owner, at upgrades, changes tables."""
    owner = await _fresh(postgres_server)
    await schema.upgrade(owner, postgres.COMPONENT, postgres.UPGRADES)
    name = await owner.fetchval("SELECT current_database()")
    writer = await database.reach(postgres_server.dsn(name, "directory_writer", PASSWORD))
    try:
        for statement in (
            "CREATE SCHEMA mine",
            "CREATE TABLE public.mine (n int)",
            "CREATE TABLE directory.mine (n int)",
            "DROP TABLE directory.tenants",
            "TRUNCATE directory.changes",
            "DELETE FROM directory.tenants",
            "ALTER SEQUENCE directory.epochs RESTART",
            "SELECT setval('directory.epochs', 1)",
        ):
            with pytest.raises(Exception, match=r"permission denied|must be owner"):
                await writer.execute(statement)
    finally:
        await writer.close()
        await owner.close()
