"""The directory's and the fence's schemas: equal to the sum of their upgrades."""

import secrets
from importlib.resources import files

import asyncpg
import pytest

from directory import fence, postgres
from directory.values import Capacity, Caps, Rate
from runtime import database, schema
from runtime.embedded.postgres import PostgresServer
from runtime.schema import Upgrade
from tests.catalogue import catalogue
from tests.servers import PASSWORD


async def _fresh(server: PostgresServer) -> database.Connection:
    name = f"schema_{secrets.token_hex(4)}"
    roles = dict.fromkeys(("directory_owner", "directory_writer", "directory_mover"), PASSWORD)
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


AS_BEFORE_RATES = """
INSERT INTO directory.cells (cell_id, region, state, address, control_address, capacity_tenants, tenants, version,
                             tags)
VALUES ('cell-1', 'eu', 'open', 'http://127.0.0.1:9000', 'http://127.0.0.1:9001', 10, 1, '', '{}');
INSERT INTO directory.tenants (tenant_id, display_name, plan, state, revision, applied_revision)
VALUES ('acme', 'Acme', 'standard', 'active', nextval('directory.epochs'), 1);
INSERT INTO directory.assignments VALUES ('acme', 'cell-1', nextval('directory.epochs'));
SELECT directory.record('{"tenant": "acme", "cell": "cell-1", "epoch": 2}');
"""


async def test_tenants_of_a_database_without_limits_have_none_and_can_be_given_one(
    postgres_server: PostgresServer,
) -> None:
    """An upgrade limits nobody, loses nothing, and the numbered changes go on."""
    owner = await _fresh(postgres_server)
    assert await schema.upgrade(owner, postgres.COMPONENT, postgres.UPGRADES[:1]) == 1
    await owner.execute(AS_BEFORE_RATES)
    await schema.upgrade(owner, postgres.COMPONENT, postgres.UPGRADES)
    name = await owner.fetchval("SELECT current_database()")
    pool = await database.open_pool(postgres_server.dsn(name, "directory_writer", PASSWORD), name="test")
    try:
        truth = postgres.PostgresDirectory(pool)
        assert (await truth.tenant("acme")).rate is None
        assert (await truth.snapshot()).tenants["acme"].rate is None
        cell, tenant = await truth.cell("cell-1"), await truth.tenant("acme")
        assert (cell.capacity, cell.caps, cell.dedicated_to) == (Capacity(), Caps(), "")
        assert (tenant.tags, tenant.revenue, tenant.dedicated_to) == ((), 0.0, "")
        assert (await truth.limit_tenant("acme", Rate(5, 10))).rate == Rate(5, 10)
        assert [change.seq for change in await truth.changes(0)] == [1, 2]
    finally:
        await pool.close()
        await owner.close()


@pytest.mark.parametrize("per_second", [0.0, -1.0, float("nan"), float("inf"), None])
async def test_the_schema_itself_refuses_half_a_limit_and_a_senseless_one(
    postgres_server: PostgresServer, per_second: float | None
) -> None:
    """Whatever is written by hand, routers are never told of it."""
    owner = await _fresh(postgres_server)
    await schema.upgrade(owner, postgres.COMPONENT, postgres.UPGRADES)
    await owner.execute(AS_BEFORE_RATES)
    try:
        with pytest.raises(asyncpg.CheckViolationError):
            await owner.execute(
                "UPDATE directory.tenants SET requests_per_second = $1, request_burst = 1", per_second
            )
    finally:
        await owner.close()


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
            "INSERT INTO directory.terms (resource, number, owner) VALUES ('placement', 1, 'me')",
            "UPDATE directory.terms SET number = 1",
            "DELETE FROM directory.terms",
            "SELECT FROM directory.terms FOR UPDATE",
            "SELECT setval('directory.epochs', 1)",
            "UPDATE directory.audit SET actor = 'nobody'",
            "DELETE FROM directory.audit",
            "TRUNCATE directory.audit",
            "SELECT FROM directory.audit FOR UPDATE",
            "INSERT INTO directory.audit (actor, role, action, targets, request_id, detail, at)"
            " VALUES ('me', 'admin', 'x', '{}', '', '{}', now())",
            "INSERT INTO directory.audit (number, actor, role, action, targets, request_id, detail)"
            " OVERRIDING SYSTEM VALUE VALUES (1, 'me', 'admin', 'x', '{}', '', '{}')",
            "ALTER TABLE directory.audit ALTER COLUMN number RESTART",
        ):
            with pytest.raises(Exception, match=r"permission denied|must be owner"):
                await writer.execute(statement)
    finally:
        await writer.close()
        await owner.close()
