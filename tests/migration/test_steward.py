"""The control contract, spoken on behalf of a service that knows nothing of it."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import aiohttp
import asyncpg
import pytest

from directory.control.client import CellControl, Certificates
from directory.control.contract import CapacityReport, OnboardingOrder, TenantOrder
from directory.control.token import control_token
from directory.errors import NotFound, Silent, Stale
from directory.fence import NOT_HERE
from directory.fence.sizes import read_sizes
from directory.values import Cell
from migration.catalog import read_schema
from migration.databases import Databases
from migration.steward import contents, tenants
from migration.steward.app import Program, assemble
from migration.steward.settings import StewardSettings
from runtime.embedded.postgres import PostgresServer
from tests.fleets import Fleet
from tests.migration.shops import Shop, new_shop

KEY = "control-key-of-these-tests"


@pytest.fixture
async def shop(postgres_server: PostgresServer, tmp_path: Path) -> Shop:
    """Adopted."""
    made = await new_shop(postgres_server)
    await made.adopt(apply=True, cell_id="shop-a", cells_path=tmp_path)
    return made


@pytest.fixture
async def steward(shop: Shop, tmp_path: Path) -> AsyncIterator[Program]:
    """Of that shop."""
    told = {
        "CELL_ID": "shop-a", "DATABASE_DSN": Databases(tmp_path).dsn("shop-a"), "DRAIN_SECONDS": "0.2",
        "CONTROL_TOKEN": control_token(KEY, "shop-a"), "SERVICE_VERSION": "7.1", "MEMORY_BYTES": "1000000",
    }  # fmt: skip
    program = await assemble(StewardSettings.load({f"CELLWAY_STEWARD_{name}": v for name, v in told.items()}))
    await program.lifecycle.start()
    yield program
    await program.lifecycle.stop()


@pytest.fixture
async def control() -> AsyncIterator[CellControl]:
    """The control plane's side."""
    made = CellControl(KEY)
    yield made
    await made.close()


@pytest.fixture
def cell(steward: Program) -> Cell:
    """As the directory has it."""
    url, now = steward.site.url, datetime.now(UTC)
    return Cell("shop-a", "local", "open", url, url, 10, 0, "", (), now, now)


def _order(epoch: int, revision: int, state: str = "active") -> TenantOrder:
    return TenantOrder(epoch=epoch, revision=revision, state=state, display_name="Ann", plan="standard")  # type: ignore[arg-type]


async def test_a_tenant_comes_is_suspended_and_goes(control: CellControl, cell: Cell, shop: Shop) -> None:
    """What the service writes depends on it; every call may come twice, and late ones are refused."""
    report = await control.cell(cell)
    assert (report.cell_id, report.version, report.tenants) == ("shop-a", "7.1", 3)
    assert report.capacity == CapacityReport(memory_bytes=1_000_000)
    write = "INSERT INTO customers (id, name) VALUES (1007, 'Gil')"
    with pytest.raises(asyncpg.PostgresError):
        await shop.run(write)
    for _ in range(2):
        opened = await control.put_tenant(cell, "1007", _order(20, 20))
        assert (opened.state, opened.epoch, opened.api_key) == ("active", 20, None)
    await shop.run(write, "INSERT INTO orders (customer_id) SELECT 1007 FROM generate_series(1, 7)")
    await shop.run("INSERT INTO order_lines (order_id, sku, quantity) SELECT id, 'cup', 1 FROM orders")
    assert (await control.put_tenant(cell, "1007", _order(20, 22, "suspended"))).state == "suspended"
    for late in (_order(20, 21), _order(19, 23)):
        with pytest.raises(Stale):
            await control.put_tenant(cell, "1007", late)
    with pytest.raises(Stale):
        await control.delete_tenant(cell, "1007", 19, 24)
    for _ in range(2):
        assert (await control.delete_tenant(cell, "1007", 20, 24)).state == "deleted"
    with pytest.raises(asyncpg.PostgresError) as refused:
        await shop.run(write)
    assert refused.value.sqlstate == NOT_HERE
    async with shop.session(shop.admin_dsn) as admin:
        for table, left in (("customers", 2), ("orders", 3), ("order_lines", 6)):
            assert await admin.fetchval(f"SELECT count(*) FROM {table}") == left  # noqa: S608 a name above
        assert await admin.fetchval("SELECT count(*) FROM cellway.decisions") == 0
    with pytest.raises(NotFound):
        await control.delete_tenant(cell, "nobody", 20, 24)
    fences = {
        fence.tenant_id: (fence.epoch, fence.state) for fence in (await control.fences(cell, "1003", 10)).fences
    }
    assert fences == {"1007": (24, "moved")}


async def test_many_rows_go_in_bites(
    control: CellControl, cell: Cell, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call that has no time left says that there are more, and the next goes on."""
    monkeypatch.setattr(tenants, "BITE", 3)
    monkeypatch.setattr(tenants, "DELETE_SECONDS", 0.0)
    await shop.run("INSERT INTO visits SELECT 1001, '/' FROM generate_series(1, 10)")
    states = []
    while not states or states[-1] == "deleting":
        states.append((await control.delete_tenant(cell, "1001", 1, 9)).state)
    assert (states[0], states[-1]) == ("deleting", "deleted")


async def test_a_tenant_that_a_mover_opened_is_told_of_later_decisions(
    control: CellControl, cell: Cell, shop: Shop
) -> None:
    """The mover's words for the same decision are no contradiction; and one that arrives is left to the mover."""
    async with shop.session(shop.admin_dsn) as admin:
        await admin.execute("SELECT cellway.set_fence('1001', 30, 'active', 'mv-1')")
        assert (await control.put_tenant(cell, "1001", _order(30, 31, "suspended"))).state == "suspended"
        await admin.execute("SELECT cellway.set_fence('2001', 32, 'importing', 'mv-2')")
    with pytest.raises(Exception, match="is arriving here"):
        await control.put_tenant(cell, "2001", _order(33, 33))


async def test_checks_find_what_came_after_the_adoption(control: CellControl, cell: Cell, shop: Shop) -> None:
    """A table that was added, a trigger that was switched off; adopting again is the remedy."""
    assert [check.ok for check in (await control.checks(cell)).checks] == [True, True, True]
    await shop.run(
        "CREATE TABLE notes (id bigserial PRIMARY KEY, customer_id bigint NOT NULL)",
        "ALTER TABLE visits DISABLE TRIGGER cellway_capture_update",
    )
    triggers, left_out, rights = (await control.checks(cell)).checks
    assert (triggers.ok, "public.visits has no cellway_capture_update" in triggers.detail) == (False, True)
    assert (left_out.ok, left_out.detail) == (False, "public.notes")
    assert rights.ok
    await shop.adopt(apply=True)
    assert [check.ok for check in (await control.checks(cell)).checks] == [True, True, True]


async def test_what_is_the_services_own_is_not_there(control: CellControl, cell: Cell, steward: Program) -> None:
    """Nobody tries again for ever; and nobody without the token learns anything."""
    with pytest.raises(NotFound):
        await control.keys(cell, "1001")
    customer = OnboardingOrder(
        email="ann@acme.example", display_name="Ann", account_id="main", namespace_id="prod", plan="standard"
    )
    with pytest.raises(Stale):
        await control.onboard(cell, "1001", customer)
    assert (await control.dead_jobs(cell, "", 100)).tenants == []
    async with aiohttp.ClientSession() as session:
        for path in ("cell", "fences", "nothing"):
            async with session.get(f"{steward.site.url}/control/v1/{path}") as response:
                assert response.status == 401
        async with session.get(f"{steward.site.url}/health/ready") as response:
            assert response.status == 200


async def test_what_a_tenant_holds_is_told_of_tables_of_any_kind(
    control: CellControl, cell: Cell, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted; and estimated where there are too many rows, or too little time."""
    await shop.run("INSERT INTO visits SELECT 1001, '/' FROM generate_series(1, 40)", "ANALYZE")
    sizes = {size.relation: size for size in (await control.size(cell, "1001")).tables}
    rows = {"public.customers": 1, "public.orders": 1, "public.order_lines": 1, "public.visits": 42}
    assert {name: (size.rows, size.estimated) for name, size in sizes.items()} == {
        name: (number, False) for name, number in rows.items()
    }
    with pytest.raises(NotFound):
        await control.size(cell, "nobody")
    for name, value in (("most_counted", 10), ("seconds", -1.0)):
        with monkeypatch.context() as patch:
            patch.setattr(contents, "read_sizes", partial(read_sizes, **{name: value}))
            guessed = {size.relation: size for size in (await control.size(cell, "1001")).tables}
        visits = guessed["public.visits"]
        assert visits.estimated
        assert 11 <= visits.rows <= 80
        assert 0.2 < visits.bytes / visits.rows / (sizes["public.visits"].bytes / 42) < 5


async def test_what_tables_are_made_of_is_told_as_movers_see_it(
    control: CellControl, cell: Cell, shop: Shop
) -> None:
    """Also one that has no key."""
    async with shop.session(shop.admin_dsn) as admin:
        await admin.execute("SET search_path = pg_catalog")
        schema = await read_schema(admin)
    assert (await control.schema(cell)).value().tables == schema.tables
    assert schema.tables["public.visits"].key == ()


async def test_a_steward_with_certificates_is_called_by_tls(
    fleet: Fleet, steward: Program, tmp_path: Path, control: CellControl
) -> None:
    """By the fleet alone, and under its cell's name; probes of health have no certificate."""
    told = {
        "CELL_ID": "shop-a", "DATABASE_DSN": Databases(tmp_path).dsn("shop-a"), "DRAIN_SECONDS": "0.2",
        "CONTROL_TOKEN": control_token(KEY, "shop-a"), "TLS_FOLDER": str(fleet.cell("shop-a")),
    }  # fmt: skip
    program = await assemble(StewardSettings.load({f"CELLWAY_STEWARD_{name}": v for name, v in told.items()}))
    await program.lifecycle.start()
    url, now = program.site.url, datetime.now(UTC)
    cell = Cell("shop-a", "local", "open", url, url, 10, 0, "", (), now, now)
    known = CellControl(KEY, Certificates(fleet.calling("placement")))
    try:
        assert (await known.cell(cell)).cell_id == "shop-a"
        with pytest.raises(Silent, match="signed by no authority"):
            await control.cell(cell)
    finally:
        await known.close()
        await program.lifecycle.stop()
