"""What keeps rows of one schema out of another, each with what to do."""

import re
from dataclasses import replace

import pytest

from directory.fence import GUARD_TABLE
from directory.rules.comparing import obstacles, spelled_otherwise
from directory.rules.tables import Schema
from migration.catalog import read_schema
from migration.errors import Obstacle
from runtime.embedded.postgres import PostgresServer
from tests.migration.cells import Place, journey, new_place

TABLE = (
    "CREATE TABLE public.t (tenant text, id bigint, v varchar(9), n integer NOT NULL, PRIMARY KEY (tenant, id))"
)
LOOSE = "CREATE COLLATION public.loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false)"
OTHER = "CREATE TABLE public.other (tenant text PRIMARY KEY)"


@pytest.fixture(scope="module")
async def place(postgres_server: PostgresServer) -> Place:
    """With two tables of tenants; what they are is tried out in transactions that are rolled back."""
    return await new_place(
        postgres_server, f"{LOOSE}; {TABLE}; {OTHER}", {"public.t": "tenant", "public.other": "tenant"}
    )


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
        (
            TABLE + "; CREATE UNIQUE INDEX one ON public.t (tenant, lower(v))",
            "one: is unique at the destination only",
        ),
        (
            TABLE + "; ALTER TABLE public.t ADD CONSTRAINT few CHECK (n < 9)",
            "few: is checked at the destination only",
        ),
        (
            TABLE + "; ALTER TABLE public.t ADD CONSTRAINT self FOREIGN KEY (tenant, id) REFERENCES public.t",
            "self: refers to public.t at the destination only",
        ),
        (TABLE.replace("v varchar(9)", 'v varchar(9) COLLATE "C"'), ""),
        (TABLE.replace("v varchar(9)", "v varchar(9) COLLATE public.loose"), "t.v: has a collation that holds"),
        (TABLE.replace("tenant text", "tenant text COLLATE public.loose"), "t.tenant: has a collation that holds"),
        (TABLE.replace("CREATE TABLE", "CREATE UNLOGGED TABLE"), "t: is unlogged at the destination only"),
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


ENDS = {
    "an index that holds more for the same": (
        "CREATE UNIQUE INDEX u ON public.t (tenant, v)",
        "CREATE UNIQUE INDEX u ON public.t (tenant, v COLLATE public.loose)",
        "t u: is unique at the destination only",
    ),
    "an index of some rows, and of all": (
        "CREATE UNIQUE INDEX u ON public.t (tenant, v) WHERE n > 0",
        "CREATE UNIQUE INDEX u ON public.t (tenant, v)",
        "t u: is unique at the destination only",
    ),
    "nulls that are distinct, and not": (
        "CREATE UNIQUE INDEX u ON public.t (tenant, v)",
        "CREATE UNIQUE INDEX u ON public.t (tenant, v) NULLS NOT DISTINCT",
        "t u: is unique at the destination only",
    ),
    "the same index by another name and order": (
        "CREATE UNIQUE INDEX u ON public.t (tenant, v) INCLUDE (n) WHERE n > 0",
        "CREATE UNIQUE INDEX w ON public.t (v, tenant) WHERE n > 0",
        "",
    ),
    "the same exclusion": (
        "ALTER TABLE public.t ADD EXCLUDE USING btree (tenant WITH =, n WITH =)",
        "ALTER TABLE public.t ADD CONSTRAINT e EXCLUDE (n WITH =, tenant WITH =)",
        "",
    ),
    "a check of new rows only": (
        "ALTER TABLE public.t ADD CONSTRAINT few CHECK (n < 9) NOT VALID",
        "ALTER TABLE public.t ADD CONSTRAINT few CHECK (n < 9)",
        "t few: is checked at the destination only, or not of all rows at the source",
    ),
    "the same check by another name": (
        "ALTER TABLE public.t ADD CONSTRAINT few CHECK (n < 9)",
        "ALTER TABLE public.t ADD CONSTRAINT less CHECK (n < 9) NOT VALID",
        "",
    ),
    "columns made otherwise": (
        "ALTER TABLE public.t ADD made int GENERATED ALWAYS AS (n + 1) STORED",
        "ALTER TABLE public.t ADD made int GENERATED ALWAYS AS (n + 2) STORED",
        r"t.made: is made by \(n \+ 1\), and at the destination by \(n \+ 2\)",
    ),
    "labels that are missing": (
        "CREATE TYPE public.mood AS ENUM ('a', 'b', 'c'); ALTER TABLE public.t ADD m public.mood[]",
        "CREATE TYPE public.mood AS ENUM ('c', 'a'); ALTER TABLE public.t ADD m public.mood[]",
        "t.m: has values that its type lacks at the destination: b",
    ),
    "labels in another order": (
        "CREATE TYPE public.mood AS ENUM ('a', 'b'); ALTER TABLE public.t ADD m public.mood",
        "CREATE TYPE public.mood AS ENUM ('b', 'x', 'a'); ALTER TABLE public.t ADD m public.mood",
        "",
    ),
    "a domain that demands more": (
        "CREATE DOMAIN public.d AS int; ALTER TABLE public.t ADD d public.d",
        "CREATE DOMAIN public.d AS int CHECK (value > 0); ALTER TABLE public.t ADD d public.d",
        r"t.d: is of a type of anything, and at the destination of CHECK \(\(VALUE > 0\)\)",
    ),
    "a composite of other parts": (
        "CREATE TYPE public.c AS (a int, b text); ALTER TABLE public.t ADD c public.c",
        "CREATE TYPE public.c AS (a int, b int); ALTER TABLE public.t ADD c public.c",
        "t.c: is of a type of a integer, b text, and at the destination of a integer, b integer",
    ),
    "triggers that are off": (
        "SELECT 1", "ALTER TABLE public.t DISABLE TRIGGER ALL", "t: has not all triggers of its capture",
    ),
    "a trigger that is gone": (
        "DROP TRIGGER cellway_capture_delete ON public.t", "SELECT 1", "t: has not all triggers of its capture",
    ),
    "a key that came after capture": (
        "ALTER TABLE public.t DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (id, tenant)",
        "ALTER TABLE public.t DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (id, tenant)",
        "t: has not all triggers of its capture, or they are off, or they name another key",
    ),
    "a rule": (
        "CREATE RULE soft AS ON DELETE TO public.t DO INSTEAD UPDATE public.t SET v = '' WHERE id = old.id",
        "SELECT 1",
        "t: has rules that rewrite statements",
    ),
    "a child": ("CREATE TABLE public.child () INHERITS (public.t)", "SELECT 1", "t: inherits or is inherited"),
    "a part": (
        "CREATE TABLE public.whole (LIKE public.t) PARTITION BY LIST (n); "
        "ALTER TABLE public.whole ATTACH PARTITION public.t DEFAULT",
        "SELECT 1",
        "t: is a partition, so who writes to the whole table is not captured",
    ),
}  # fmt: skip
"""At the source, at the destination, and what is found."""


@pytest.mark.parametrize("name", ENDS)
async def test_what_one_end_demands_and_the_other_does_not_is_said(place: Place, name: str) -> None:
    """Before anything is touched, or it would be met in the middle of a move."""
    here, there, found = ENDS[name]
    source, destination = await _schema(place, here), await _schema(place, there)
    said = [str(each) for each in obstacles(source, destination)]
    assert [each for each in said if not found or not re.search(found, each)] == []
    assert bool(said) == bool(found)


@pytest.mark.parametrize(
    ("type_", "right", "wrong"),
    [
        ("uuid", "6b7e4a51-6b5c-4b0e-9d5a-0d0a3c1f0001", "6b7e4a516b5c4b0e9d5a0d0a3c1f0001"),
        ("bigint", "42", "042"),
        ("integer", "7", "seven"),
        ("text", "042", ""),
    ],
)
async def test_a_tenant_is_called_as_its_rows_call_it(place: Place, type_: str, right: str, wrong: str) -> None:
    """One whose name is another text for the same value has rows, and none of its changes would be captured."""
    schema = await _schema(place, _made_as(TABLE.replace("tenant text", f"tenant {type_}")))
    alone = replace(schema, tables={"public.t": schema.tables["public.t"]})
    assert spelled_otherwise(alone, right) == ()
    if wrong:
        (found,) = spelled_otherwise(alone, wrong)
        assert str(found).startswith(
            f"public.t.tenant: is of type {type_}, which does not write a tenant as {wrong}"
        )


async def test_texts_of_another_encoding_are_said(postgres_server: PostgresServer, place: Place) -> None:
    """Their bytes, and so their hashes, are others."""
    here = await _schema(place, "SELECT 1")
    (found,) = obstacles(here, replace(here, encoding="LATIN1"))
    assert str(found).startswith("the databases: keep texts in UTF8, and at the destination in LATIN1")


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
        "ALTER TABLE public.t ALTER COLUMN n TYPE integer USING n + 1",
        "ALTER TABLE public.t DISABLE TRIGGER cellway_capture_update",
        "ALTER TABLE public.t ENABLE ALWAYS TRIGGER cellway_capture_update",
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
