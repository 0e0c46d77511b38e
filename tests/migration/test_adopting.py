"""Adopting the database of a service that has never heard of cells, and letting it go."""

import asyncio
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from directory.fence import NOT_HERE
from migration.adopting.errors import Refused
from migration.databases import Databases
from migration.ends import End
from runtime.embedded.postgres import PostgresServer
from tests.migration.shops import Shop, new_shop
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


async def test_remarks_tell_what_a_move_will_meet(mended: Shop) -> None:
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
    mended: Shop, tmp_path: Path
) -> None:
    """Who writes goes on; again it does nothing; afterwards the whole catalogue is as it was."""
    before = await mended.picture()
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


async def test_a_tenant_under_way_is_not_left_behind(mended: Shop) -> None:
    """Removing is refused while one is moved, and while one that lives elsewhere has rows here; unless forced."""
    assert (await adopt("--apply")).code == 0
    async with mended.session(mended.admin_dsn) as admin:
        await admin.execute("SELECT cellway.set_fence('1001', 5, 'fenced', 'mv-1')")
        refused = await adopt("--remove")
        assert (refused.code, "1001 is being moved" in refused.err) == (1, True)
        await admin.execute("SELECT cellway.set_fence('1001', 6, 'moved', 'mv-1')")
        refused = await adopt("--remove")
        assert (refused.code, "1001 lives elsewhere" in refused.err) == (1, True)
    assert (await adopt("--remove", "--force")).code == 0


async def test_writers_are_waited_for_and_newcomers_are_opened(mended: Shop) -> None:
    """Who holds a table is not queued behind; a customer who comes in meanwhile can write afterwards."""
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
    mended: Shop, tmp_path: Path
) -> None:
    """Those that are not named are at 1; later decisions have higher ones."""
    epochs = tmp_path / "epochs.json"
    epochs.write_text(json.dumps({"1002": 40}))
    assert (await _adopting(cellway, mended)("--apply", "--epochs", str(epochs))).code == 0
    async with mended.session(mended.admin_dsn) as admin:
        rows = await admin.fetch("SELECT tenant_id, epoch, state FROM cellway.fence ORDER BY 1")
    assert [tuple(row) for row in rows] == [("1001", 1, "active"), ("1002", 40, "active"), ("1003", 1, "active")]


async def test_a_changed_key_is_captured_anew(mended: Shop) -> None:
    """The log names rows by the key, so adopting again after a change of the tables is what keeps it right."""
    assert (await adopt("--apply")).code == 0
    await mended.run("ALTER TABLE visits ADD id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY")
    assert (await adopt("--apply", "--json")).json["done"][-1] == "public.visits was adopted"
    assert (await adopt("--apply", "--json")).json["done"] == []


async def test_who_may_not_is_told_what_an_administrator_has_to_run(mended: Shop) -> None:
    """The owner of the tables makes no roles; with the role there, it adopts by itself."""
    ran = await adopt("--json", dsn=mended.dsn)
    (obstacle,) = [finding for finding in ran.json["findings"] if finding["obstacle"]]
    assert ran.code == 1
    async with mended.session(mended.admin_dsn) as admin:
        await admin.execute("\n".join(obstacle["mend"].splitlines()[1:]))
    ran = await adopt("--apply", dsn=mended.dsn)
    assert ran.code == 0, ran
    assert (await adopt("--remove", dsn=mended.dsn)).code == 0


async def test_references_to_other_tenants_rows_are_in_the_way(mended: Shop) -> None:
    """When either moves, the reference would lead nowhere."""
    await mended.run("ALTER TABLE orders ADD replaces bigint REFERENCES orders")
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
async def test_what_cannot_move_is_refused(mended: Shop, change: str, said: str) -> None:
    """Before anything is changed."""
    await mended.run(change)
    ran = await _adopting(cellway, mended)("--apply")
    assert (ran.code, said in ran.out) == (1, True), ran
