"""What keeps rows of one schema out of another, each with what to do."""

import re

import pytest

from directory.fence import GUARD_TABLE
from migration.catalog import read_schema
from migration.errors import Obstacle
from migration.rules.comparing import obstacles
from migration.rules.tables import Schema
from runtime.embedded.postgres import PostgresServer
from tests.migration.cells import Place, journey, new_place

TABLE = (
    "CREATE TABLE public.t (tenant text, id bigint, v varchar(9), n integer NOT NULL, PRIMARY KEY (tenant, id))"
)
OTHER = "CREATE TABLE public.other (tenant text PRIMARY KEY)"


@pytest.fixture(scope="module")
async def place(postgres_server: PostgresServer) -> Place:
    """With two tables of tenants; what they are is tried out in transactions that are rolled back."""
    return await new_place(postgres_server, f"{TABLE}; {OTHER}", {"public.t": "tenant", "public.other": "tenant"})


async def _schema(place: Place, ddl: str) -> Schema:
    async with place.session() as connection:
        await connection.execute(f"BEGIN; SET LOCAL search_path = pg_catalog; {ddl}")
        return await read_schema(connection)


def _made_as(ddl: str) -> str:
    guarded = GUARD_TABLE.format(table="public.t")
    captured = "SELECT cellway.capture_table('public.t'::regclass, 'tenant')"
    return f"SELECT cellway.release_table('public.t'); DROP TABLE public.t; {ddl}; {guarded} {captured}"


@pytest.mark.parametrize(
    ("ddl", "found"),
    [
        (TABLE, ""),
        (TABLE.replace("tenant text, id bigint, v varchar(9)", "v varchar(9), id bigint, tenant text"), ""),
        (
            TABLE
            + "; ALTER TABLE public.t ADD COLUMN more text, ADD COLUMN made int GENERATED ALWAYS AS (n) STORED",
            "",
        ),
        (TABLE + "; ALTER TABLE public.t ADD COLUMN more text NOT NULL DEFAULT ''", ""),
        (TABLE + "; ALTER TABLE public.t ADD COLUMN more text NOT NULL", "t.more: is only at the destination"),
        (TABLE.replace("v varchar(9), ", ""), "t.v: is missing"),
        (TABLE.replace("varchar(9)", "varchar(8)"), "t.v: is of type character varying.9., .* varying.8."),
        (TABLE.replace("v varchar(9)", "v varchar(9) NOT NULL"), "t.v: may be null, and may not"),
        (
            TABLE.replace("(tenant, id)", "(id, tenant)"),
            "has the key .tenant, id., and at the destination .id, tenant.",
        ),
        (
            TABLE.replace("n integer NOT NULL", "n integer GENERATED ALWAYS AS (1) STORED NOT NULL"),
            "t.n: is generated",
        ),
        (TABLE + "; ALTER TABLE public.t ADD UNIQUE (n)", "t_n_key: is unique at the destination only"),
        (TABLE + "; ALTER TABLE public.t ADD UNIQUE (n) DEFERRABLE", "across tenants and deferrable"),
    ],
)
async def test_what_is_in_the_way_is_said(place: Place, ddl: str, found: str) -> None:
    """With where it is and what to do; the order of columns is none of it."""
    source, destination = await _schema(place, _made_as(TABLE)), await _schema(place, _made_as(ddl))
    said = [str(each) for each in obstacles(source, destination)]
    if not found:
        assert said == []
        return

    assert any(re.search(found, each) for each in said), said


async def test_tables_at_one_end_only_are_said(place: Place) -> None:
    """Either way: the way back leads through the same tables."""
    both = await _schema(place, "SELECT 1")
    one = await _schema(place, "DELETE FROM cellway.tables WHERE relation = 'public.other'")
    assert [each.where for each in obstacles(both, one)] == ["public.other"]
    assert [each.where for each in obstacles(one, both)] == ["public.other"]


async def test_the_fingerprint_follows_every_change(place: Place) -> None:
    """It is what every step compares."""
    seen = []
    before = "SELECT 1"
    for change in (
        "SELECT 2",
        "ALTER TABLE public.t ADD COLUMN more text",
        "ALTER TABLE public.t ALTER COLUMN v TYPE text",
        "CREATE UNIQUE INDEX ON public.t (tenant, n)",
        "ALTER TABLE public.t ADD FOREIGN KEY (tenant, n) REFERENCES public.t",
        "ALTER TABLE public.t ALTER COLUMN v SET NOT NULL",
        "SELECT cellway.release_table('public.t')",
    ):
        before += f"; {change}"
        seen.append((await _schema(place, before)).fingerprint)
    assert len(set(seen)) == len(seen)


async def test_a_table_that_is_gone_is_said(place: Place) -> None:
    """Listed, and dropped since."""
    with pytest.raises(Obstacle, match=r"public\.t is listed.*no plain table"):
        await _schema(place, "DROP TABLE public.t")


async def test_a_key_is_the_one_that_capture_writes(postgres_server: PostgresServer) -> None:
    """Without a primary key: the shortest unique index without nulls; not partial, not deferrable."""
    ddl = """
        CREATE TABLE public.t (tenant text, a integer NOT NULL, b integer NOT NULL, c integer, d text);
        CREATE UNIQUE INDEX one ON public.t (c);
        CREATE UNIQUE INDEX two ON public.t (a) WHERE b > 0;
        CREATE UNIQUE INDEX three ON public.t (b, a) INCLUDE (d);
        CREATE UNIQUE INDEX four ON public.t (lower(d));
        ALTER TABLE public.t ADD UNIQUE (b) DEFERRABLE;
    """
    place = await new_place(postgres_server, ddl, {"public.t": "tenant"})
    async with journey(place, place) as moving:
        assert moving.schema.tables["public.t"].key == ("b", "a")
    captured = await place.fetch("SELECT cellway.key_of('public.t'::regclass)")
    assert captured == [(["b", "a"],)]
