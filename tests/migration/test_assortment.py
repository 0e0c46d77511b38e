"""Rows of any schema: what the engine knows of a table it has read from the catalog."""

from collections.abc import AsyncIterator

import pytest

from directory.rules.comparing import obstacles
from runtime.embedded.postgres import PostgresServer
from tests.migration import assortment
from tests.migration.cells import Journey, Place, journey, new_place

ODD = """"Odd Names"."A ""quoted"" 'table'\""""
CHANGES = """
    DELETE FROM shop.orders WHERE tenant_id = current_setting('app.tenant') AND number = 2;
    UPDATE shop.orders SET number = number + 1000 WHERE tenant_id = current_setting('app.tenant') AND number > 55;
    UPDATE shop.everything SET amount = 1.0 WHERE tenant_id = current_setting('app.tenant') AND small = 3;
    DELETE FROM shop.everything WHERE tenant_id = current_setting('app.tenant') AND small = 4;
    UPDATE shop.events SET what = 'other' WHERE ctid = (
        SELECT min(ctid::text)::tid FROM shop.events WHERE tenant_id = current_setting('app.tenant'));
    UPDATE "Odd Names"."A ""quoted"" 'table'" SET "Größe; --" = 'x', "order" = "order" / 7
    WHERE "Tenant Id" = current_setting('app.tenant') AND "order" > 3;
    UPDATE shop.single SET settings = '{"theme": "light"}' WHERE tenant_id = current_setting('app.tenant')
"""


@pytest.fixture(scope="module")
async def places(postgres_server: PostgresServer) -> tuple[Place, Place]:
    """The same schema twice, made in another order, with rows of two tenants at the source."""
    source = await new_place(postgres_server, assortment.source_ddl(), assortment.RELATIONS)
    destination = await new_place(postgres_server, assortment.destination_ddl(), assortment.RELATIONS)
    return source, destination


@pytest.fixture
async def moving(places: tuple[Place, Place], request: pytest.FixtureRequest) -> AsyncIterator[Journey]:
    """A tenant of its own in every table, about to move."""
    tenant = f"t-{request.node.name}"[:40]
    async with journey(*places, tenant) as made:
        await made.write(assortment.ROWS)
        yield made


async def test_everything_arrives_as_it_was(moving: Journey) -> None:
    """Arrays with bounds, enums, composites, domains, ranges, bits, xml, odd names, no key: all of it equal."""
    assert not obstacles(moving.schema, moving.destination_schema)
    await moving.copy()
    assert await moving.told_apart() == []
    here, there = await moving.texts("shop.everything", "id")
    assert len(here) == 31
    assert here == there


async def test_a_column_that_holds_numbers_of_objects_travels_by_name(moving: Journey) -> None:
    """A regtype is a number that every database gives anew."""
    assert moving.schema.tables["shop.everything"].format == "text"
    assert moving.schema.tables["shop.orders"].format == "binary"
    await moving.copy()
    kinds = await moving.destination_place.fetch("SELECT DISTINCT kind::text FROM shop.everything")
    assert kinds == [("shop.mood",)]


async def test_keys_of_every_shape_are_known(moving: Journey) -> None:
    """In the order of the index; the tenant's column may be first, last, or all there is."""
    keys = {relation: table.key for relation, table in moving.schema.tables.items()}
    assert keys == {
        "shop.orders": ("tenant_id", "region", "number"),
        "shop.lines": ("line_id", "tenant_id"),
        "shop.everything": ("tenant_id", "id"),
        "shop.events": (),
        ODD: ("Tenant Id", "select", "order"),
        "shop.single": ("tenant_id",),
    }
    assert moving.schema.tables["shop.lines"].order == ("line_id",)
    assert "doubled" not in {column.name for column in moving.schema.tables["shop.orders"].copied}


async def test_a_step_brings_changes_of_every_table(moving: Journey) -> None:
    """Updates, key changes, cascades, a table without a key, and quoted names."""
    await moving.copy()
    await moving.write(CHANGES)
    verified = await moving.step_and_verify()
    assert verified.equal, verified
    assert verified.rows["shop.events"] == 5
    assert await moving.told_apart() == []


@pytest.mark.parametrize("lanes", [1, 3])
async def test_other_tenants_rows_stay_where_they_are(places: tuple[Place, Place], lanes: int) -> None:
    """Only the tenant's own rows are read, brought or deleted."""
    source, destination = places
    async with journey(source, destination, f"stays-{lanes}") as staying:
        await staying.write(assortment.ROWS)
    async with journey(source, destination, f"goes-{lanes}") as going:
        await going.write(assortment.ROWS)
        await going.copy(lanes)
        await going.write("DELETE FROM shop.orders WHERE tenant_id = current_setting('app.tenant')")
        assert (await going.step_and_verify()).equal
    left = "SELECT count(*) FROM shop.orders WHERE tenant_id = $1"
    assert await source.fetch(left, f"stays-{lanes}") == [(60,)]
    assert await destination.fetch(left, f"stays-{lanes}") == [(0,)]
