"""Adopting the database of a service that has never heard of cells, and letting it go."""

import asyncio
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from directory.fence import NOT_HERE
from migration.adopting.errors import Refused, Usage
from migration.adopting.rules.deeds import MOVER_CALLS
from migration.catalog import read_schema
from migration.databases import Databases
from migration.ends import End
from migration.rules import statements
from runtime.embedded.postgres import PostgresServer
from tests.migration.shops import SHOP, Shop, new_shop
from tests.waiting import eventually


@pytest.fixture
async def shop(postgres_server: PostgresServer) -> Shop:
    """As its makers wrote it."""
    return await new_shop(postgres_server, mended=False)


@pytest.fixture
async def mended(postgres_server: PostgresServer) -> Shop:
    """After its makers have done what adoption asked for."""
    return await new_shop(postgres_server)


def _in_the_way(report: dict[str, Any]) -> list[dict[str, Any]]:
    assert report["ready"] is False
    return [finding for finding in report["findings"] if finding["obstacle"]]


async def test_what_is_in_the_way_is_told_with_its_mending(shop: Shop) -> None:
    """Lines that do not say whose they are; and what the mending says is enough. Nothing is changed meanwhile."""
    before = await shop.picture()
    looked = await shop.adopt()
    states = {table["table"]: (table["state"], table["tenant_column"]) for table in looked["tables"]}
    assert states == {
        "public.customers": ("ready", "id"),
        "public.order_lines": ("in the way", None),
        "public.orders": ("ready", "customer_id"),
        "public.products": ("shared", None),
        "public.visits": ("ready", "customer_id"),
    }
    (obstacle,) = _in_the_way(await shop.adopt(apply=True))
    assert await shop.picture() == before
    mending = [line for line in obstacle["mend"].splitlines() if line.endswith(";")]
    await shop.run(*(line.replace("CONCURRENTLY ", "") for line in mending))
    assert (await shop.adopt())["ready"]


async def test_rows_that_may_stay_are_left_and_it_is_remembered(shop: Shop) -> None:
    """Nobody has to say it, nor the tenant column, again."""
    assert (await shop.adopt(left=["order_lines"], apply=True))["done"]
    again = await shop.adopt(tenant_column="tenant_id")
    assert (again["ready"], again["adopted"]) == (True, True)
    assert {table["table"]: table["state"] for table in again["tables"]}["public.order_lines"] == "left"


async def test_remarks_tell_what_a_move_will_meet(mended: Shop) -> None:
    """Numbers that two databases give, shared tables, types of its own, a table without a key."""
    report = await mended.adopt()
    said = {(finding["about"], finding["text"]) for finding in report["findings"]}
    for about, part in (
        ("public.visits", "nothing tells its rows apart"),
        ("public.orders", "counted up"),
        ("public.order_lines", "public.products, which does not move"),
        ("public.orders", "types of its own"),
    ):
        assert any(about == one and part in text for one, text in said), (about, part)
    assert report["tenants"] == {"count": 3, "first": ["1001", "1002", "1003"]}
    await mended.run((SHOP / "first.sql").read_text("utf-8"))
    assert not any("counted up" in finding["text"] for finding in (await mended.adopt())["findings"])


async def test_a_running_service_is_adopted_and_let_go_without_a_trace(mended: Shop, tmp_path: Path) -> None:
    """Who writes goes on; again it does nothing; afterwards the whole catalogue is as it was."""
    before = await mended.picture()
    told = {"apply": True, "cell_id": "shop-a", "cells_path": tmp_path / "cells"}
    assert (await mended.adopt(**told))["mover"]["written"]
    again = await mended.adopt(**told)
    assert (again["done"], again["mover"]["dsn"]) == ([], None)

    async with mended.session() as app:
        await app.execute("INSERT INTO orders (customer_id) VALUES (1001)")
        await app.execute("INSERT INTO visits VALUES (1003, '/cup')")
        with pytest.raises(asyncpg.PostgresError) as refused:
            await app.execute("INSERT INTO customers VALUES (1004, 'Dan')")
        assert refused.value.sqlstate == NOT_HERE
    dsn = Databases(tmp_path / "cells").dsn("shop-a")
    async with End(dsn, name="shop-a", tenant_id="1001", move_id="mv-1") as end, end.reading() as reader:
        assert await reader.connection.fetchval("SELECT count(*) FROM public.orders") == 4

    assert (await mended.adopt(remove=True))["done"]
    assert await mended.picture() == before
    assert (await mended.adopt(remove=True))["done"] == []


async def test_a_mover_may_call_what_it_may_in_a_cell_of_our_own(project_root: Path) -> None:
    """Nothing that a later version of it needs is forgotten here."""
    schema = (project_root / "cell" / "schema" / "whole.sql").read_text("utf-8")
    grants = re.findall(r"GRANT EXECUTE ON FUNCTION ([^;]*) TO cell_mover;", schema)
    named = {name for grant in grants for name in re.findall(r"cellway\.(\w+)", grant)}
    assert {call.partition("(")[0] for call in MOVER_CALLS} == named


async def test_a_tenant_under_way_is_not_left_behind(mended: Shop) -> None:
    """Removing is refused while one is moved, and while one that lives elsewhere has rows here; unless forced."""
    await mended.adopt(apply=True)
    async with mended.session(mended.admin_dsn) as admin:
        await admin.execute("SELECT cellway.set_fence('1001', 5, 'fenced', 'mv-1')")
        with pytest.raises(Refused, match="1001 is being moved"):
            await mended.adopt(remove=True)
        await admin.execute("SELECT cellway.set_fence('1001', 6, 'moved', 'mv-1')")
    async with mended.session() as app:
        assert await app.fetchval("SELECT cellway.admit(ARRAY['1002'])") == []
        with pytest.raises(asyncpg.PostgresError) as refused:  # what a reader that must not be late asks first
            await app.fetchval("SELECT cellway.admit(ARRAY['1001'])")
        assert refused.value.sqlstate == NOT_HERE
    with pytest.raises(Refused, match="1001 lives elsewhere"):
        await mended.adopt(remove=True)
    assert (await mended.adopt(remove=True, force=True))["done"]


async def test_writers_are_waited_for_and_newcomers_are_opened(mended: Shop) -> None:
    """Who holds a table is not queued behind; a customer who comes in meanwhile can write afterwards."""
    async with mended.session() as slow, mended.session() as app:
        transaction = slow.transaction()
        await transaction.start()
        await slow.execute("INSERT INTO customers VALUES (1005, 'Eve')")
        async with asyncio.TaskGroup() as group:
            adopting = group.create_task(mended.adopt(apply=True))

            async def prepared() -> bool:
                return bool(await app.fetchval("SELECT to_regclass('cellway.tables') IS NOT NULL"))

            await eventually(prepared)
            await app.execute("INSERT INTO orders (customer_id) VALUES (1002)")
            assert not adopting.done()
            await transaction.commit()
        await app.execute("INSERT INTO orders (customer_id) VALUES (1005)")


async def test_epochs_of_tenants_that_are_known_elsewhere_are_kept(mended: Shop) -> None:
    """Those that are not named are at 1; later decisions have higher ones."""
    await mended.adopt(apply=True, epochs={"1002": 40})
    async with mended.session(mended.admin_dsn) as admin:
        rows = await admin.fetch("SELECT tenant_id, epoch, state FROM cellway.fence ORDER BY 1")
    assert [tuple(row) for row in rows] == [("1001", 1, "active"), ("1002", 40, "active"), ("1003", 1, "active")]


async def test_a_changed_key_is_captured_anew(mended: Shop) -> None:
    """The log names rows by the key, so adopting again after a change of the tables is what keeps it right."""
    await mended.adopt(apply=True)
    await mended.run("ALTER TABLE visits ADD id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY")
    assert not (await mended.adopt())["adopted"]
    assert (await mended.adopt(apply=True))["done"] == ["public.visits was adopted"]
    assert (await mended.adopt(apply=True))["done"] == []


async def test_who_may_not_is_told_what_an_administrator_has_to_run(mended: Shop) -> None:
    """The owner of the tables makes no roles; with the role there, it adopts by itself."""
    (obstacle,) = _in_the_way(await mended.adopt(mended.dsn))
    async with mended.session(mended.admin_dsn) as admin:
        await admin.execute("\n".join(obstacle["mend"].splitlines()[1:]))
    assert (await mended.adopt(mended.dsn, apply=True))["done"]
    assert (await mended.adopt(mended.dsn, remove=True))["done"]


async def test_a_password_is_not_lost(mended: Shop, tmp_path: Path) -> None:
    """Where it cannot be kept no role is made; and when a file is lost the role gets another."""
    (tmp_path / "file").touch()
    with pytest.raises(Refused, match="cannot be written"):
        await mended.adopt(apply=True, cell_id="shop-a", cells_path=tmp_path / "file")
    told = await mended.adopt(apply=True)
    await (await asyncpg.connect(told["mover"]["dsn"], timeout=5)).close()
    anew = await mended.adopt(apply=True, new_password=True, cell_id="shop-a", cells_path=tmp_path)
    assert (anew["mover"]["written"], anew["mover"]["dsn"]) == (True, None)
    await (await asyncpg.connect(Databases(tmp_path).dsn("shop-a"), timeout=5)).close()
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(told["mover"]["dsn"], timeout=5)


async def test_a_role_that_another_database_needs_stays(postgres_server: PostgresServer, mended: Shop) -> None:
    """Roles are the server's; the last one to leave takes it along."""
    other = replace(await new_shop(postgres_server), mover=mended.mover)
    await mended.adopt(apply=True)
    assert not any("role" in step for step in (await other.adopt(apply=True))["done"])
    assert (
        f"role {mended.mover} stays: another database depends on it" in (await mended.adopt(remove=True))["done"]
    )
    assert f"role {mended.mover} was removed" in (await other.adopt(remove=True))["done"]


async def test_row_security_hides_no_tenant(mended: Shop) -> None:
    """Whoever does not see all rows may not adopt; the mover gets past it, and is let go as it came."""
    await mended.run(
        "ALTER TABLE visits ENABLE ROW LEVEL SECURITY", "ALTER TABLE visits FORCE ROW LEVEL SECURITY",
        "CREATE POLICY own ON visits USING (customer_id = current_setting('shop.customer', true)::bigint)",
    )  # fmt: skip
    before = await mended.picture()
    assert any("row security hides" in finding["text"] for finding in _in_the_way(await mended.adopt(mended.dsn)))
    told = await mended.adopt(apply=True)
    assert told["tenants"]["count"] == 3
    mover = await asyncpg.connect(told["mover"]["dsn"], timeout=5)
    assert await mover.fetchval("SELECT count(*) FROM public.visits") == 3
    await mover.close()
    await mended.adopt(remove=True)
    assert await mended.picture() == before


async def test_numbers_of_another_databases_range_are_not_taken(mended: Shop) -> None:
    """A tenant brings its numbers along; those that are given here stay in this database's own range."""
    await mended.run((SHOP / "first.sql").read_text("utf-8"))
    await mended.adopt(apply=True)
    async with mended.session(mended.admin_dsn) as admin:
        await admin.execute("SET search_path = pg_catalog")
        schema = await read_schema(admin)
        raising = statements.raise_sequences(schema.sequences)
        assert [sequence.table for sequence in schema.sequences] == ["public.order_lines", "public.orders"]
        assert await admin.fetchval(raising, [10**12 + 7, 10**12 + 9]) == 0
        assert await admin.fetchval(raising, [77, 10**12 + 9]) == 1
    async with mended.session() as app:
        assert await app.fetchval("INSERT INTO orders (customer_id) VALUES (1001) RETURNING id") == 4
        line = "INSERT INTO order_lines (order_id, sku, quantity) VALUES (4, 'tea', 1) RETURNING id"
        assert await app.fetchval(line) == 78


async def test_references_to_other_tenants_rows_are_in_the_way(mended: Shop) -> None:
    """When either moves, the reference would lead nowhere."""
    await mended.run("ALTER TABLE orders ADD replaces bigint REFERENCES orders")
    assert (await mended.adopt())["ready"]
    await mended.run("UPDATE orders SET replaces = (SELECT min(id) FROM orders) WHERE customer_id = 1002")
    (obstacle,) = _in_the_way(await mended.adopt())
    assert "rows refer to other tenants' rows" in obstacle["text"]


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
async def test_what_cannot_move_is_refused(mended: Shop, change: str, said: str) -> None:
    """Before anything is changed."""
    await mended.run(change)
    assert any(said in finding["text"] for finding in _in_the_way(await mended.adopt(apply=True)))


@pytest.mark.parametrize(
    "order", [{"columns": {"nope": "id"}}, {"columns": {"orders": "nope"}}, {"left": ["nope"]}, {"cell_id": "No"}]
)
async def test_what_does_not_fit_is_told(mended: Shop, order: dict[str, Any]) -> None:
    """A table or a column that is not there."""
    with pytest.raises(Usage):
        await mended.adopt(**order)
