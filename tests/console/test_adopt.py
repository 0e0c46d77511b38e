"""`cellway adopt` on the database of a service that has never heard of cells."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from directory.fence import NOT_HERE
from migration.databases import Databases
from migration.ends import End
from runtime import database
from runtime.database import Connection
from runtime.embedded.postgres import PostgresServer
from tests.catalogue import catalogue
from tests.console.conftest import Cellway, Ran
from tests.servers import PASSWORD
from tests.waiting import eventually

SHOP = Path(__file__).parents[2] / "docs" / "examples" / "shop"
ROWS = """
    INSERT INTO customers VALUES (1001, 'Ann'), (1002, 'Ben');
    INSERT INTO orders (customer_id) VALUES (1001), (1002), (1002);
    INSERT INTO order_lines (order_id, sku, quantity) SELECT id, 'tea', 2 FROM orders;
    INSERT INTO visits VALUES (1001, '/'), (1001, '/'), (1003, '/tea');
"""


@dataclass(frozen=True, slots=True)
class Shop:
    """A shop's database, which belongs to a plain role."""

    server: PostgresServer
    name: str
    mover: str

    @property
    def admin_dsn(self) -> str:
        """As a superuser."""
        return self.server.dsn(self.name)

    @property
    def dsn(self) -> str:
        """As the shop."""
        return self.server.dsn(self.name, "shop_owner", PASSWORD)

    @asynccontextmanager
    async def session(self, dsn: str | None = None) -> AsyncIterator[Connection]:
        """A connection of the shop's."""
        connection = await asyncpg.connect(dsn or self.dsn, timeout=5)
        try:
            yield connection
        finally:
            await connection.close()

    async def run(self, *statements: str) -> None:
        """As the shop."""
        async with self.session() as connection:
            for statement in statements:
                await connection.execute(statement)

    async def picture(self) -> dict[str, Any]:
        """Everything that the catalogue knows of it, and the server's roles."""
        async with self.session(self.admin_dsn) as connection:
            names = [row[0] for row in await connection.fetch("SELECT nspname FROM pg_namespace ORDER BY 1")]
            own = [name for name in names if not name.startswith("pg_") and name != "information_schema"]
            found: dict[str, Any] = await catalogue(connection, *own)
            # A right that was given and taken away again leaves the owner's own behind, which it had all along.
            found["grants on relations"] = [
                line for line in found["grants on relations"] if " shop_owner=" not in line
            ]
            roles = "SELECT rolname, rolbypassrls FROM pg_roles WHERE rolname = $1"
            rights = "SELECT parname, paracl::text FROM pg_parameter_acl"
            found["schemas"] = names
            found["roles"] = [tuple(row) for row in await connection.fetch(roles, self.mover)]
            found["parameters"] = [row for row in await connection.fetch(rights) if self.mover in row["paracl"]]
            return found


@pytest.fixture(autouse=True)
def these_sources(monkeypatch: pytest.MonkeyPatch, project_root: Path) -> None:
    """The command runs a program, from an empty folder: it is to be the one that is under test."""
    monkeypatch.setenv("PYTHONPATH", str(project_root))


@pytest.fixture
async def shop(postgres_server: PostgresServer) -> Shop:
    """With some customers, as its makers wrote it."""
    name = f"shop_{secrets.token_hex(4)}"
    await database.bootstrap(postgres_server.admin_dsn, name, "shop_owner", {"shop_owner": PASSWORD})
    made = Shop(postgres_server, name, f"{name}_mover")
    await made.run("CREATE SCHEMA own; DROP SCHEMA own", (SHOP / "schema.sql").read_text("utf-8"), ROWS)
    return made


@pytest.fixture
async def mended(shop: Shop) -> Shop:
    """After its makers have done what adoption asked for."""
    await shop.run((SHOP / "lines.sql").read_text("utf-8"))
    return shop


def _adopting(cellway: Cellway, shop: Shop) -> Any:
    async def adopt(*options: str, dsn: str | None = None) -> Ran:
        return await cellway(
            "adopt", dsn or shop.admin_dsn, "--tenant-column", "customer_id", "--mover", shop.mover, *options
        )

    return adopt


async def test_what_is_in_the_way_is_told_with_its_mending(cellway: Cellway, shop: Shop) -> None:
    """Lines that do not say whose they are; and what the mending says is enough. Nothing is changed meanwhile."""
    before = await shop.picture()
    adopt = _adopting(cellway, shop)
    ran = await adopt("--json")
    assert ran.code == 1
    states = {table["table"]: (table["state"], table["tenant_column"]) for table in ran.json["tables"]}
    assert states == {
        "public.customers": ("ready", "id"),
        "public.order_lines": ("in the way", None),
        "public.orders": ("ready", "customer_id"),
        "public.products": ("shared", None),
        "public.visits": ("ready", "customer_id"),
    }
    (obstacle,) = [finding for finding in ran.json["findings"] if finding["obstacle"]]
    refused = await adopt("--apply")
    assert (refused.code, "✗ public.order_lines" in refused.out) == (1, True)
    assert await shop.picture() == before
    mending = [line for line in obstacle["mend"].splitlines() if line.endswith(";")]
    await shop.run(*(line.replace("CONCURRENTLY ", "") for line in mending))
    assert (await adopt()).code == 0


async def test_remarks_tell_what_a_move_will_meet(cellway: Cellway, mended: Shop) -> None:
    """Numbers that two databases give, shared tables, types of its own, a table without a key."""
    ran = await _adopting(cellway, mended)("--json")
    assert ran.code == 0, ran
    said = {(finding["about"], finding["text"].split(":")[0]) for finding in ran.json["findings"]}
    assert ("public.visits", "nothing tells its rows apart") in said
    assert any(about == "public.orders" and "counted up" in text for about, text in said)
    assert any(
        about == "public.order_lines" and "public.products, which does not move" in text for about, text in said
    )
    assert any(about == "public.orders" and text.startswith("types of its own") for about, text in said)
    assert ran.json["tenants"] == {"count": 3, "first": ["1001", "1002", "1003"]}


async def test_a_running_service_is_adopted_and_let_go_without_a_trace(
    cellway: Cellway, mended: Shop, tmp_path: Path
) -> None:
    """Who writes goes on; again it does nothing; afterwards the whole catalogue is as it was."""
    before = await mended.picture()
    adopt = _adopting(cellway, mended)
    cells = tmp_path / "cells"
    ran = await adopt("--apply", "--cell", "shop-a", "--cells-path", str(cells))
    assert ran.code == 0, ran
    assert PASSWORD not in ran.out + ran.err
    assert (cells / "shop-a").stat().st_mode & 0o777 == 0o600
    again = await adopt("--apply", "--cell", "shop-a", "--cells-path", str(cells), "--json")
    assert (again.code, again.json["done"], again.json["mover"]["dsn"]) == (0, [], None)

    async with mended.session() as app:
        await app.execute("INSERT INTO orders (customer_id) VALUES (1001)")
        await app.execute("INSERT INTO visits VALUES (1003, '/cup')")
        with pytest.raises(asyncpg.PostgresError) as refused:
            await app.execute("INSERT INTO customers VALUES (1004, 'Dan')")
        assert refused.value.sqlstate == NOT_HERE
    dsn = Databases(cells).dsn("shop-a")
    async with End(dsn, name="shop-a", tenant_id="1001", move_id="mv-1") as end, end.reading() as reader:
        assert await reader.connection.fetchval("SELECT count(*) FROM public.orders") == 4

    removed = await adopt("--remove")
    assert removed.code == 0, removed
    assert await mended.picture() == before
    assert (await adopt("--remove", "--json")).json["done"] == []


async def test_a_tenant_under_way_is_not_left_behind(cellway: Cellway, mended: Shop) -> None:
    """Removing is refused while one is moved, and while one that lives elsewhere has rows here; unless forced."""
    adopt = _adopting(cellway, mended)
    assert (await adopt("--apply")).code == 0
    async with mended.session(mended.admin_dsn) as admin:
        await admin.execute("SELECT cellway.set_fence('1001', 5, 'fenced', 'mv-1')")
        refused = await adopt("--remove")
        assert (refused.code, "1001 is being moved" in refused.err) == (1, True)
        await admin.execute("SELECT cellway.set_fence('1001', 6, 'moved', 'mv-1')")
        refused = await adopt("--remove")
        assert (refused.code, "1001 lives elsewhere" in refused.err) == (1, True)
    assert (await adopt("--remove", "--force")).code == 0


async def test_writers_are_waited_for_and_newcomers_are_opened(cellway: Cellway, mended: Shop) -> None:
    """Who holds a table is not queued behind; a customer who comes in meanwhile can write afterwards."""
    adopt = _adopting(cellway, mended)
    async with mended.session() as slow, mended.session() as app:
        transaction = slow.transaction()
        await transaction.start()
        await slow.execute("INSERT INTO customers VALUES (1005, 'Eve')")
        adopting = asyncio.create_task(adopt("--apply", "--json"))

        async def prepared() -> bool:
            return bool(await app.fetchval("SELECT to_regclass('cellway.tables') IS NOT NULL"))

        await eventually(prepared, seconds=20)
        await app.execute("INSERT INTO orders (customer_id) VALUES (1002)")
        assert not adopting.done()
        await transaction.commit()
        ran = await adopting
        assert ran.code == 0, ran
        await app.execute("INSERT INTO orders (customer_id) VALUES (1005)")


async def test_epochs_of_tenants_that_are_known_elsewhere_are_kept(
    cellway: Cellway, mended: Shop, tmp_path: Path
) -> None:
    """Those that are not named are at 1; later decisions have higher ones."""
    epochs = tmp_path / "epochs.json"
    epochs.write_text(json.dumps({"1002": 40}))
    assert (await _adopting(cellway, mended)("--apply", "--epochs", str(epochs))).code == 0
    async with mended.session(mended.admin_dsn) as admin:
        rows = await admin.fetch("SELECT tenant_id, epoch, state FROM cellway.fence ORDER BY 1")
    assert [tuple(row) for row in rows] == [("1001", 1, "active"), ("1002", 40, "active"), ("1003", 1, "active")]


async def test_a_changed_key_is_captured_anew(cellway: Cellway, mended: Shop) -> None:
    """The log names rows by the key, so adopting again after a change of the tables is what keeps it right."""
    adopt = _adopting(cellway, mended)
    assert (await adopt("--apply")).code == 0
    await mended.run("ALTER TABLE visits ADD id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY")
    assert (await adopt("--apply", "--json")).json["done"][-1] == "public.visits was adopted"
    assert (await adopt("--apply", "--json")).json["done"] == []


async def test_who_may_not_is_told_what_an_administrator_has_to_run(cellway: Cellway, mended: Shop) -> None:
    """The owner of the tables makes no roles; with the role there, it adopts by itself."""
    adopt = _adopting(cellway, mended)
    ran = await adopt("--json", dsn=mended.dsn)
    (obstacle,) = [finding for finding in ran.json["findings"] if finding["obstacle"]]
    assert ran.code == 1
    async with mended.session(mended.admin_dsn) as admin:
        await admin.execute("\n".join(obstacle["mend"].splitlines()[1:]))
    ran = await adopt("--apply", dsn=mended.dsn)
    assert ran.code == 0, ran
    assert (await adopt("--remove", dsn=mended.dsn)).code == 0


async def test_references_to_other_tenants_rows_are_in_the_way(cellway: Cellway, mended: Shop) -> None:
    """When either moves, the reference would lead nowhere."""
    await mended.run("ALTER TABLE orders ADD replaces bigint REFERENCES orders")
    adopt = _adopting(cellway, mended)
    assert (await adopt()).code == 0
    await mended.run("UPDATE orders SET replaces = (SELECT min(id) FROM orders) WHERE customer_id = 1002")
    ran = await adopt()
    assert (ran.code, "rows refer to other tenants' rows" in ran.out) == (1, True)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("ALTER TABLE visits ALTER customer_id TYPE numeric", "can be written in several ways"),
        ("CREATE TABLE parts (customer_id int) PARTITION BY LIST (customer_id)", "it is partitioned"),
        ("CREATE TABLE more () INHERITS (visits)", "it inherits or is inherited from"),
        ("CREATE RULE r AS ON DELETE TO visits DO INSTEAD NOTHING", "it has rules"),
        ("CREATE SCHEMA cellway", "a schema called cellway that is not ours"),
    ],
)
async def test_what_cannot_move_is_refused(cellway: Cellway, mended: Shop, change: str, said: str) -> None:
    """Before anything is changed."""
    await mended.run(change)
    ran = await _adopting(cellway, mended)("--apply")
    assert (ran.code, said in ran.out) == (1, True), ran


async def test_what_was_mistyped_is_told(cellway: Cellway, mended: Shop) -> None:
    """With the exit code of a wrong usage, or of a database that is away; and never with its password."""
    adopt = _adopting(cellway, mended)
    for options in (("--column", "nope=id"), ("--column", "orders"), ("--column", "orders=nope"), ("--force",)):
        assert (await adopt(*options)).code == 2
    assert (await adopt(dsn="nonsense")).code == 2
    away = await adopt(dsn="postgresql://admin:hidden@127.0.0.1:1/shop")
    assert (away.code, "hidden" in away.err, "127.0.0.1:1/shop" in away.err) == (3, False, True)
