"""The fence and row security, against the database itself: no stale write commits, no foreign row is seen."""

import asyncio
import secrets
from collections.abc import AsyncIterator

import asyncpg
import pytest

from tests.cell.cells import CellDatabase, next_epoch
from tests.waiting import eventually

Connection = asyncpg.Connection
INSERT = "INSERT INTO cell.accounts (account_id, display_name) VALUES ($1, 'x')"
TENANT_TABLES = (
    "subscriptions", "party_effects", "organisations", "organisation_users", "billing_subscriptions", "invoices",
    "mails", "taken_resources", "exports",
    "tenants", "api_keys", "accounts", "namespaces", "allocations", "jobs", "idempotency_keys",
    "orchestrations", "orchestration_steps", "orchestration_signals", "namespace_storage", "usage_records",
    "usage_minutes", "audit_entries",
)  # fmt: skip


@pytest.fixture
async def app(cell_database: CellDatabase) -> AsyncIterator[Connection]:
    """A connection as the API has it."""
    connection = await cell_database.connect("cell_app")
    yield connection
    await connection.close()


@pytest.fixture
async def control(cell_database: CellDatabase) -> AsyncIterator[Connection]:
    """A connection as the control API has it."""
    connection = await cell_database.connect("cell_control")
    yield connection
    await connection.close()


@pytest.fixture
async def tenant(control: Connection) -> tuple[str, int]:
    """A tenant whose fence is open, and its epoch."""
    name, epoch = f"t-{secrets.token_hex(4)}", next_epoch()
    await control.execute("SELECT cellway.set_fence($1, $2, 'active', NULL)", name, epoch)
    return name, epoch


async def enter(connection: Connection, name: str, epoch: int) -> None:
    """Bind a transaction to a tenant."""
    await connection.execute("SELECT cellway.enter($1, $2)", name, epoch)


async def write(connection: Connection, name: str, epoch: int, *statements: str) -> None:
    """A transaction of the tenant."""
    async with connection.transaction():
        await enter(connection, name, epoch)
        for statement in statements:
            await connection.execute(statement)


async def accounts(connection: Connection, name: str) -> list[str]:
    """What is there, seen by the tenant."""
    async with connection.transaction():
        await enter(connection, name, 1)
        return [row[0] for row in await connection.fetch("SELECT account_id FROM cell.accounts ORDER BY 1")]


async def waits_for_a_lock(connection: Connection, pid: int) -> None:
    """Return once the backend `pid` waits for a lock."""
    query = "SELECT EXISTS (SELECT FROM pg_locks WHERE pid = $1 AND NOT granted)"
    await eventually(lambda: connection.fetchval(query, pid), every=0.005)


@pytest.mark.parametrize("isolation", ["read_committed", "repeatable_read", "serializable"])
async def test_a_writer_with_an_old_snapshot_is_refused_after_the_flip(
    app: Connection, control: Connection, tenant: tuple[str, int], isolation: str
) -> None:
    """A transaction that looked before the flip and writes after it must not commit."""
    name, epoch = tenant
    scope = app.transaction(isolation=isolation)
    await scope.start()
    await enter(app, name, epoch)
    await app.fetch("SELECT * FROM cell.accounts")  # takes the snapshot
    await control.execute("SELECT cellway.set_fence($1, $2, 'fenced', 'move')", name, next_epoch())
    with pytest.raises(asyncpg.PostgresError) as refused:
        await app.execute(INSERT, "late")
    await scope.rollback()
    assert refused.value.sqlstate in ("CW001", "40001")
    assert await accounts(app, name) == []


@pytest.mark.parametrize("isolation", ["read_committed", "repeatable_read", "serializable"])
async def test_a_flip_waits_for_writers_in_flight(
    app: Connection, control: Connection, cell_database: CellDatabase, tenant: tuple[str, int], isolation: str
) -> None:
    """What was written before the flip is committed before the flip, so a copy made after it has everything."""
    name, epoch = tenant
    watcher = await cell_database.connect()
    scope = app.transaction(isolation=isolation)
    await scope.start()
    await enter(app, name, epoch)
    await app.execute(INSERT, "early")
    flip = asyncio.ensure_future(
        control.execute("SELECT cellway.set_fence($1, $2, 'fenced', 'move')", name, next_epoch())
    )
    await waits_for_a_lock(watcher, control.get_server_pid())
    assert not flip.done()
    await scope.commit()
    await flip
    await watcher.close()
    assert await accounts(app, name) == ["early"]


async def test_a_flip_that_gives_up_leaves_the_fence_as_it_was(
    app: Connection, control: Connection, tenant: tuple[str, int]
) -> None:
    """A short lock_timeout keeps a flip from queueing up everybody behind one slow writer."""
    name, epoch = tenant
    async with app.transaction():
        await enter(app, name, epoch)
        await app.execute(INSERT, "early")
        await control.execute("SET lock_timeout = '20ms'")
        with pytest.raises(asyncpg.LockNotAvailableError):
            await control.execute("SELECT cellway.set_fence($1, $2, 'fenced', 'move')", name, next_epoch())
        await app.execute(INSERT, "another")
    assert await accounts(app, name) == ["another", "early"]


@pytest.mark.parametrize("state", ["importing", "fenced", "moved"])
@pytest.mark.parametrize(
    "statement",
    [
        INSERT.replace("$1", "'x'"),
        "UPDATE cell.accounts SET display_name = 'y'",
        "DELETE FROM cell.accounts",
        "WITH gone AS (DELETE FROM cell.accounts RETURNING 1) SELECT count(*) FROM gone",
    ],
)
async def test_no_state_but_active_takes_a_write(
    app: Connection, control: Connection, tenant: tuple[str, int], state: str, statement: str
) -> None:
    """Every kind of write is refused, with the epoch that this database knows."""
    name, epoch = tenant[0], next_epoch()
    await control.execute("SELECT cellway.set_fence($1, $2, $3, NULL)", name, epoch, state)
    with pytest.raises(asyncpg.PostgresError) as refused:
        await write(app, name, epoch, statement)
    assert (refused.value.sqlstate, refused.value.detail) == ("CW001", str(epoch))


@pytest.mark.parametrize("difference", [-1, 1])
async def test_another_epoch_takes_no_write(app: Connection, tenant: tuple[str, int], difference: int) -> None:
    """Neither a stale router nor one that runs ahead gets a write through."""
    name, epoch = tenant
    with pytest.raises(asyncpg.PostgresError) as refused:
        await write(app, name, epoch + difference, INSERT.replace("$1", "'x'"))
    assert (refused.value.sqlstate, refused.value.detail) == ("CW001", str(epoch))


async def test_an_older_decision_about_the_fence_is_refused(control: Connection, tenant: tuple[str, int]) -> None:
    """A messenger that comes late does no harm; one that comes twice neither."""
    name, epoch = tenant
    later = next_epoch()
    for _ in range(2):
        await control.execute("SELECT cellway.set_fence($1, $2, 'moved', NULL)", name, later)
    for stale_epoch, state in ((epoch, "active"), (later, "active")):
        with pytest.raises(asyncpg.PostgresError) as refused:
            await control.execute("SELECT cellway.set_fence($1, $2, $3, NULL)", name, stale_epoch, state)
        assert (refused.value.sqlstate, refused.value.detail) == ("CW002", str(later))


@pytest.mark.parametrize("table", TENANT_TABLES)
@pytest.mark.parametrize("role", ["cell_app", "cell_control", "cell_owner"])
async def test_without_a_tenant_no_row_is_seen(
    cell_database: CellDatabase, tenant: tuple[str, int], table: str, role: str
) -> None:
    """Forgetting to enter shows nothing: not even the owner of the tables sees a row."""
    writer = await cell_database.connect("cell_control")
    reader = await cell_database.connect(role)
    try:
        async with writer.transaction():
            await enter(writer, *tenant)
            await writer.execute(
                "INSERT INTO cell.tenants (display_name, plan, state, revision) VALUES ('x', 'x', 'active', 1)"
            )
        assert await reader.fetch(f"SELECT tenant_id FROM cell.{table}") == []  # noqa: S608 names of ours
    finally:
        await writer.close()
        await reader.close()


async def test_a_tenant_sees_and_touches_its_own_rows_only(
    app: Connection, control: Connection, tenant: tuple[str, int]
) -> None:
    """The same identifier in two tenants is two rows, and neither can be reached from the other."""
    other = (f"t-{secrets.token_hex(4)}", next_epoch())
    await control.execute("SELECT cellway.set_fence($1, $2, 'active', NULL)", *other)
    for who in (tenant, other):
        async with app.transaction():
            await enter(app, *who)
            await app.execute(INSERT, "same")
    async with app.transaction():
        await enter(app, *tenant)
        assert await app.execute("UPDATE cell.accounts SET display_name = 'mine'") == "UPDATE 1"
        assert await app.execute("DELETE FROM cell.accounts WHERE tenant_id = $1", other[0]) == "DELETE 0"
    assert await accounts(app, other[0]) == ["same"]


async def test_a_row_cannot_be_written_into_another_tenant(app: Connection, tenant: tuple[str, int]) -> None:
    """WITH CHECK refuses both a foreign insert and a row that is given away."""
    for statement in (
        "INSERT INTO cell.accounts (tenant_id, account_id, display_name) VALUES ('somebody', 'x', 'x')",
        "UPDATE cell.accounts SET tenant_id = 'somebody'",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await write(app, *tenant, INSERT.replace("$1", "'x'"), statement)


async def test_the_tenant_ends_with_the_transaction(app: Connection, tenant: tuple[str, int]) -> None:
    """A pooled connection carries nothing to whoever takes it next."""
    async with app.transaction():
        await enter(app, *tenant)
        await app.execute(INSERT, "x")
    assert await app.fetch("SELECT * FROM cell.accounts") == []
    assert not await app.fetchval("SELECT current_setting('app.tenant', true)")


@pytest.mark.parametrize(
    ("role", "statement"),
    [
        ("cell_app", "SELECT cellway.set_fence('x', 1, 'active', NULL)"),
        ("cell_app", "SELECT * FROM cellway.fence"),
        ("cell_app", "UPDATE cell.tenants SET state = 'active'"),
        ("cell_app", "TRUNCATE cell.accounts"),
        ("cell_app", "UPDATE cell.audit_entries SET actor = 'somebody'"),
        ("cell_app", "DELETE FROM cell.audit_entries"),
        ("cell_app", "UPDATE cell.usage_records SET quantity = 1"),
        ("cell_control", "UPDATE cell.audit_entries SET actor = 'somebody'"),
        ("cell_relay", "SELECT target FROM cell.audit_entries"),
        ("cell_relay", "SELECT cell.expire_audit(1)"),
        ("cell_app", "ALTER TABLE cell.accounts DISABLE TRIGGER ALL"),
        ("cell_app", "SET session_replication_role = replica"),
        ("cell_app", "UPDATE cell.shards SET occupancy = 0"),
        ("cell_app", "CREATE TABLE cell.mine (id int)"),
        ("cell_app", "CREATE TABLE public.mine (id int)"),
        ("cell_control", "INSERT INTO cell.accounts (account_id, display_name) VALUES ('x', 'x')"),
        ("cell_app", "DELETE FROM cell.invoices"),
        ("cell_app", "DELETE FROM cell.party_effects"),
        ("cell_control", "UPDATE cell.subscriptions SET standing = 'ACTIVE'"),
        ("cell_control", "INSERT INTO cell.party_effects (party, key, state) VALUES ('x', 'x', 'DONE')"),
        ("cell_relay", "SELECT * FROM cell.subscriptions"),
        ("cell_control", "DELETE FROM cellway.fence"),
        ("cell_relay", "SELECT args FROM cell.jobs"),
        ("cell_relay", "SELECT * FROM cell.accounts"),
        ("cell_relay", "UPDATE cell.jobs SET state = 'done'"),
        ("cell_relay", "SELECT cellway.enter('x', 1)"),
        ("cell_relay", "SELECT cell.begin_idempotent('x', 'x', 'x')"),
        ("cell_app", "SELECT cell.served('', 1)"),
    ],
)
async def test_no_role_can_do_more_than_it_must(cell_database: CellDatabase, role: str, statement: str) -> None:
    """Least privilege, by the database."""
    connection = await cell_database.connect(role)
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)
    finally:
        await connection.close()
