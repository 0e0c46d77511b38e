# ruff: noqa: S608  tables, tenants and values are the test's own
"""Types that an engine may stumble over, in keys and beside them: each value arrives as it was written."""

import os
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from directory.rules.comparing import obstacles
from migration.rules import chunks
from runtime.embedded.postgres import PostgresServer
from tests.migration.cells import Journey, journey, new_place

TYPES = """
    CREATE EXTENSION citext; CREATE EXTENSION ltree; CREATE EXTENSION hstore;
    CREATE COLLATION public.loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
    CREATE TYPE public.mood AS ENUM ('sad', 'ok', 'happy');
    CREATE TYPE public.pair AS (number integer, mood public.mood);
    CREATE DOMAIN public.moods AS public.mood[];
    CREATE DOMAIN public.email AS citext CHECK (value LIKE '%@%');
"""
# The same types have other numbers there, and labels another order.
ELSEWHERE = "CREATE TYPE public.earlier AS ENUM ('x'); CREATE TABLE public.unlike (a int);" + TYPES.replace(
    "'sad', 'ok', 'happy'", "'new', 'happy', 'ok', 'sad'"
)
ALIKE = {
    "numeric": ("1.0", "1.00"),
    "float8": ("'-0'", "'0'"),
    "jsonb": ("""'{"a": 1.0}'""", """'{"a": 1.00}'"""),
    "interval": ("'1 day'", "'24:00'"),
    "text COLLATE public.loose": ("'abc'", "'ABC'"),
    "citext": ("'abc'", "'ABC'"),
    "public.email": ("'a@b'", "'A@b'"),
    "numeric[]": ("'{1.0}'", "'{1.00}'"),
    "numrange": ("'[1.0,2)'", "'[1.00,2)'"),
}
"""Two texts each that an index holds for one value."""


@pytest.mark.parametrize("adopted", [False, True])
async def test_a_key_that_is_written_otherwise_comes_once(postgres_server: PostgresServer, adopted: bool) -> None:
    """Its index holds both for one key, and the log for two."""
    ddl, tables = TYPES, {}
    for number, type_ in enumerate(ALIKE):
        ddl += f"CREATE TABLE public.t{number} (tenant text, k {type_}, v text, PRIMARY KEY (tenant, k));"
        tables[f"public.t{number}"] = "tenant"
    source = await new_place(postgres_server, ddl, tables, adopted=adopted)
    destination = await new_place(postgres_server, ddl, tables, adopted=adopted)
    async with journey(source, destination) as moving:
        for relation, (before, _) in zip(tables, ALIKE.values(), strict=True):
            await moving.write(f"INSERT INTO {relation} VALUES ('acme', {before}, 'v')")
        await moving.copy()
        for relation, (_, after) in zip(tables, ALIKE.values(), strict=True):
            await moving.write(f"UPDATE {relation} SET k = {after}")
        verified = await moving.step_and_verify()
        assert verified.equal, verified.differences
        assert set(verified.rows.values()) == {1}
        assert await moving.told_apart() == []


async def test_keys_of_an_extensions_types_are_found_by_their_own_operators(
    postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """These are not in pg_catalog, and nothing else is on the mover's path; also with others in one key."""
    monkeypatch.setattr(chunks, "FIRST_ROWS", 3)
    monkeypatch.setattr(chunks, "MOST_ROWS", 3)
    ddl = TYPES + """
        CREATE TABLE public.paths (tenant text, path ltree, n int, v text, PRIMARY KEY (tenant, path, n));
        CREATE TABLE public.mails (tenant text, n numeric, mail public.email, v text,
            PRIMARY KEY (n, tenant, mail));
        CREATE TABLE public.tags (tenant text, tags hstore, v text, PRIMARY KEY (tenant, tags));
    """  # fmt: skip
    tables = dict.fromkeys(("public.paths", "public.mails", "public.tags"), "tenant")
    source = await new_place(postgres_server, ddl, tables)
    destination = await new_place(postgres_server, ddl, tables)
    async with journey(source, destination) as moving:
        await moving.write(
            "INSERT INTO paths SELECT 'acme', ('a.b' || n % 4)::ltree, n, 'v' FROM generate_series(1, 20) n; "
            "INSERT INTO mails SELECT 'acme', n % 3, 'M' || n || '@x', 'v' FROM generate_series(1, 20) n; "
            "INSERT INTO tags SELECT 'acme', hstore('k', n::text), 'v' FROM generate_series(1, 20) n"
        )
        await moving.copy()
        assert await moving.told_apart() == []
        await moving.write(
            "UPDATE paths SET path = 'c' || path WHERE n < 5; "
            "UPDATE mails SET mail = lower(mail::text) WHERE n < 2; "
            "DELETE FROM paths WHERE n = 9; UPDATE tags SET tags = tags || 'x=>1' WHERE tags -> 'k' < '15'"
        )
        verified = await moving.step_and_verify()
        assert verified.equal, verified.differences
        assert await moving.told_apart() == []


VALUES = {
    "public.mood": ("ok",),
    "public.mood[]": ("{ok,NULL}", "{}"),
    "public.pair": ("(1,ok)", "(,)"),
    "public.pair[]": ('{"(1,ok)",NULL}',),
    "public.moods": ("{sad}",),
    "hstore": ('a=>1, "b c"=>NULL',),
    "citext": ("Abc",),
    "xml": (
        '<?xml version="1.0" encoding="latin1"?>\n<a>é</a>',
        '<?xml version="1.0" standalone="yes"?>\n<a/>',
        '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
        "two<b/>parts",
    ),
    "json": ('{"a":1,  "a":2}', "[1.0, 1.00]", '"\\u0000"'),
    "jsonb": ('{"b": 1.50, "a": "\\u20ac"}',),
    "tsvector": ("'a':1A 'b':2,3",),
    "tsquery": ("'a' & !'b':*",),
    "point": ("(1e-300,NaN)", "(Infinity,-0)"),
    "path": ("[(0,0),(1,1)]", "((0,0),(1,1))"),
    "bit(3)": ("101",),
    "bit varying": ("", "1"),
    "money": ("-12.30",),
    "float8": ("NaN", "-0", "Infinity", "4.9e-324", "0.1"),
    "real": ("1e-45", "3.4028235e38"),
    "numeric": ("NaN", "-Infinity", "1.0", "1.00", "1e-200", "9" * 500),
    "timestamptz": ("infinity", "4713-01-01 00:00:00+00 BC", "294276-12-31 23:59:59.999999+00"),
    "date": ("-infinity", "0044-03-15 BC"),
    "timetz": ("24:00:00-15:59", "00:00+14"),
    "interval": ("-1 mon +30 days -24:00:00.000001", "178000000 years"),
    "text": ("", "\\\\.", "\\\\N", "a\tb\r\n\u2028", "\U0001f600e\u0301\u00e9"),
    '"char"': ("x", ""),
    "char(4)": ("a", "    "),
    "text[]": ('[0:1]={NULL,"NULL"}', '{{"a b",c},{"",d}}'),
    "int4multirange": ("{[1,3),[8,9)}", "{}"),
    "aclitem": ("postgres=r/postgres",),
    "regclass": ("pg_catalog.pg_class",),
    "pg_lsn": ("16/B374D848",),
    "pg_snapshot": ("10:20:10,14",),
}


@dataclass(frozen=True, slots=True)
class Shared:
    """One move that all types go on with."""

    moving: Journey
    relations: dict[str, str]


@pytest.fixture(scope="module")
async def shared(postgres_server: PostgresServer) -> AsyncIterator[Shared]:
    """A table for each type."""
    relations = {type_: f"public.v{number}" for number, type_ in enumerate(VALUES)}
    ddl = "".join(
        f"CREATE TABLE {relation} (tenant text, id int, v {type_}, PRIMARY KEY (tenant, id));"
        for type_, relation in relations.items()
    )
    tables = dict.fromkeys(relations.values(), "tenant")
    source = await new_place(postgres_server, TYPES + ddl, tables)
    destination = await new_place(postgres_server, ELSEWHERE + ddl, tables)
    async with journey(source, destination) as moving:
        assert not obstacles(moving.schema, moving.destination_schema)
        await moving.copy()
        yield Shared(moving, relations)


@pytest.mark.parametrize("type_", VALUES)
async def test_values_of_every_type_arrive(shared: Shared, type_: str) -> None:
    """Alone in a table, so that each goes the way that is its own; then changed, and brought by a step."""
    relation = shared.relations[type_]
    for number, value in enumerate(VALUES[type_]):
        await shared.moving.source_place.execute(
            f"INSERT INTO {relation} VALUES ('acme', $1, $2::text::{type_})", number, value, tenant="acme"
        )
    await shared.moving.step()
    await shared.moving.write(
        f"UPDATE {relation} SET id = id + 100; INSERT INTO {relation} VALUES ('acme', 1, NULL)"
    )
    verified = await shared.moving.step_and_verify()
    assert verified.equal, verified.differences
    here, there = await shared.moving.texts(relation)
    assert here == there
    assert len(here) == len(VALUES[type_]) + 1


async def test_values_of_fifty_megabytes_arrive(postgres_server: PostgresServer) -> None:
    """By copy and by step; binary, and as text beside a column that has to be."""
    ddl = """
        CREATE TABLE public.plain (tenant text, id int, b bytea, PRIMARY KEY (tenant, id));
        ALTER TABLE public.plain ALTER b SET STORAGE EXTERNAL;
        CREATE TABLE public.texts (tenant text, id int, b bytea, k regtype, PRIMARY KEY (tenant, id));
    """
    tables = {"public.plain": "tenant", "public.texts": "tenant"}
    source = await new_place(postgres_server, ddl, tables)
    destination = await new_place(postgres_server, ddl, tables)
    values = {"public.plain": os.urandom(50_000_000), "public.texts": os.urandom(5_000_000)}
    async with journey(source, destination) as moving:
        assert [table.format for table in moving.schema.tables.values()] == ["binary", "text"]
        for relation, value in values.items():
            await source.execute(f"INSERT INTO {relation} VALUES ('acme', 1, $1)", value, tenant="acme")
        await moving.copy()
        await moving.write("UPDATE plain SET id = 2; UPDATE texts SET id = 2, b = b || '\\x00'")
        assert (await moving.step_and_verify()).equal
    for relation, ending in (("public.plain", b""), ("public.texts", b"\x00")):
        ((found,),) = await destination.fetch(f"SELECT b FROM {relation} WHERE id = 2")
        assert found == values[relation] + ending
