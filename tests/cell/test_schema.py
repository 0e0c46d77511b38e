"""The cell's schema: equal to the sum of its upgrades, and isolated by the database itself."""

from collections.abc import AsyncIterator
from importlib.resources import files

import asyncpg
import pytest

from cell import schema_state
from cell.checks import REMEDIES, TITLES, findings
from directory import fence
from runtime.embedded.postgres import PostgresServer
from runtime.schema import upgrade
from tests.catalogue import catalogue
from tests.cell.cells import CellDatabase, RunningCell, new_cell_database


async def test_the_whole_schema_equals_the_sum_of_its_upgrades(
    postgres_server: PostgresServer, cell_database: CellDatabase
) -> None:
    """A database built from `whole.sql` has the same catalogue as one that went through every upgrade."""
    made = await new_cell_database(postgres_server, schema=False)
    owner = await made.connect("cell_owner")
    upgraded = await cell_database.connect()
    try:
        await upgrade(owner, fence.COMPONENT, fence.UPGRADES)
        await owner.execute(files("cell").joinpath("schema/whole.sql").read_text(encoding="utf-8"))
        at_once = await catalogue(owner, "cell", "cellway")
        step_by_step = await catalogue(upgraded, "cell", "cellway")
    finally:
        await owner.close()
        await upgraded.close()
    assert len(at_once["columns"]) > 50
    assert at_once == step_by_step


async def test_applying_the_upgrades_again_changes_nothing(cell_database: CellDatabase) -> None:
    """Every start of the API applies what is missing, which is usually nothing."""
    owner = await cell_database.connect("cell_owner")
    try:
        assert await upgrade(owner, schema_state.COMPONENT, schema_state.UPGRADES) == 0
    finally:
        await owner.close()


@pytest.mark.parametrize("name", REMEDIES)
async def test_the_shipped_schema_passes_every_check(cell_database: CellDatabase, name: str) -> None:
    """Row security, policies, guard, keys, views, roles, functions and grants are as the design demands."""
    connection = await cell_database.connect("cell_control")
    try:
        assert await findings(connection, name) == []
    finally:
        await connection.close()


_TABLE = 'CREATE TABLE cell.wild (tenant_id text COLLATE "C" NOT NULL, id int, PRIMARY KEY (tenant_id, id));'
_POLICY = (
    "CREATE POLICY own_rows ON cell.wild USING (tenant_id = current_setting('app.tenant', true)) "
    "WITH CHECK (tenant_id = current_setting('app.tenant', true));"
)
BROKEN = [
    ("row_security", "ALTER TABLE cell.accounts NO FORCE ROW LEVEL SECURITY", "accounts"),
    ("row_security", "ALTER TABLE cell.jobs DISABLE ROW LEVEL SECURITY", "jobs"),
    ("row_security", _TABLE, "wild"),
    ("row_security", "CREATE SCHEMA other; CREATE TABLE other.t (tenant_id text)", "other.t"),
    ("row_security", "ALTER TABLE cellway.fence DISABLE ROW LEVEL SECURITY", "fence"),
    ("policies", "DROP POLICY own_rows ON cell.accounts", "accounts"),
    ("policies", "CREATE POLICY open ON cell.accounts USING (true)", "open"),
    ("policies", "CREATE POLICY open ON cell.accounts FOR INSERT WITH CHECK (true)", "open"),
    ("policies", "CREATE POLICY open ON cell.accounts FOR UPDATE TO cell_relay USING (true)", "open"),
    ("policies", "ALTER POLICY own_rows ON cell.keys_of USING (tenant_id <> '')", "keys_of"),
    ("guard", "ALTER TABLE cell.accounts DISABLE TRIGGER cellway_guard", "accounts"),
    ("guard", "ALTER TABLE cell.accounts ENABLE REPLICA TRIGGER cellway_guard", "accounts"),
    ("guard", "ALTER TABLE cell.accounts ENABLE TRIGGER cellway_guard", "accounts"),
    ("guard", "DROP TRIGGER cellway_guard ON cell.jobs", "jobs"),
    (
        "guard",
        "DROP TRIGGER cellway_guard ON cell.jobs; CREATE TRIGGER cellway_guard BEFORE INSERT OR UPDATE OR DELETE "
        "ON cell.jobs FOR EACH STATEMENT EXECUTE FUNCTION cellway.guard(); "
        "ALTER TABLE cell.jobs ENABLE ALWAYS TRIGGER cellway_guard",
        "jobs",
    ),
    ("guard", _TABLE, "wild"),
    ("keys", "CREATE TABLE cell.wild (tenant_id text, id int PRIMARY KEY)", "wild"),
    ("keys", "CREATE TABLE cell.wild (tenant_id text, id int)", "no primary key"),
    ("keys", "CREATE UNIQUE INDEX wild ON cell.accounts (display_name)", "wild"),
    (
        "keys",
        _TABLE + "CREATE UNIQUE INDEX u ON cell.wild (id, tenant_id);"
        "ALTER TABLE cell.wild ADD shard text, "
        "ADD CONSTRAINT wild_fk FOREIGN KEY (shard) REFERENCES cell.shards (shard_id)",
        "wild_fk",
    ),
    (
        "keys",
        "ALTER TABLE cell.jobs ADD CONSTRAINT crossed FOREIGN KEY (job_id, tenant_id) "
        "REFERENCES cell.accounts (tenant_id, account_id)",
        "crossed",
    ),
    ("shared_tables", "CREATE TABLE cell.wild (id int)", "wild"),
    ("views", "CREATE VIEW cell.all_accounts AS SELECT * FROM cell.accounts", "all_accounts"),
    (
        "views",
        "CREATE VIEW cell.all_accounts WITH (security_invoker = false) AS SELECT * FROM cell.accounts",
        "all_accounts",
    ),
    ("views", "CREATE MATERIALIZED VIEW cell.frozen AS SELECT * FROM cell.shards", "frozen"),
    ("roles", "ALTER ROLE cell_app BYPASSRLS", "cell_app"),
    ("roles", "ALTER ROLE cell_relay SUPERUSER", "cell_relay"),
    ("roles", "ALTER ROLE cell_owner BYPASSRLS", "cell_owner"),
    ("roles", "GRANT cell_owner TO cell_app", "cell_owner"),
    ("roles", "ALTER TABLE cell.accounts OWNER TO cell_app", "owns"),
    ("roles", "ALTER FUNCTION cell.tenant_count OWNER TO cell_control", "owns function"),
    ("roles", "GRANT CREATE ON SCHEMA cell TO cell_app", "create in schema"),
    ("functions", "ALTER FUNCTION cell.running_epoch RESET search_path", "running_epoch"),
    ("functions", "ALTER FUNCTION cell.served RESET search_path", "served"),
    ("functions", "ALTER FUNCTION cellway.guard RESET ALL", "guard"),
    ("functions", "GRANT EXECUTE ON FUNCTION cellway.set_fence TO PUBLIC", "open to everybody"),
    (
        "functions",
        "CREATE FUNCTION public.leak() RETURNS bigint LANGUAGE sql SECURITY DEFINER "
        "AS 'SELECT count(*) FROM cell.accounts'",
        "leak",
    ),
    ("grants", "GRANT SELECT ON cellway.fence TO cell_app", "fence"),
    ("grants", "GRANT TRUNCATE ON cell.accounts TO cell_app", "TRUNCATE"),
    ("grants", "GRANT TRIGGER ON cell.accounts TO cell_app", "TRIGGER"),
    ("grants", "GRANT SELECT ON cell.shards TO PUBLIC", "PUBLIC"),
]


@pytest.fixture(scope="module")
async def breakable(postgres_server: PostgresServer) -> CellDatabase:
    """A database of its own, broken within transactions that are rolled back."""
    return await new_cell_database(postgres_server)


@pytest.fixture
async def superuser(breakable: CellDatabase) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """A connection whose changes never commit."""
    connection = await breakable.connect()
    scope = connection.transaction()
    await scope.start()
    try:
        yield connection
    finally:
        await scope.rollback()
        await connection.close()


@pytest.mark.parametrize(("check", "breaking", "named"), BROKEN, ids=lambda value: str(value)[:60])
async def test_a_schema_broken_on_purpose_is_caught(
    superuser: "asyncpg.Connection[asyncpg.Record]", check: str, breaking: str, named: str
) -> None:
    """Each check finds what it is there for, and names it."""
    await superuser.execute(_TABLE.replace("wild", "keys_of") + _POLICY.replace("wild", "keys_of"))
    await superuser.execute("ALTER TABLE cell.keys_of ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
    await superuser.execute(fence.GUARD_TABLE.format(table="cell.keys_of"))
    assert await findings(superuser, check) == []
    await superuser.execute(breaking)
    found = await findings(superuser, check)
    assert any(named in line for line in found), found


async def test_the_checks_are_served_to_the_control_plane(cell: RunningCell) -> None:
    """`cellway doctor` reads the same checks through the control contract."""
    answer = await cell.control("GET", "checks")
    assert answer.status == 200
    checks = {check["name"]: check for check in answer.json["checks"]}
    assert set(checks) == {*TITLES.values(), "Redis throws no hint away"}
    assert all(check["ok"] for check in checks.values()), checks
