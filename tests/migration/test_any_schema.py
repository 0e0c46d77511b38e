# ruff: noqa: S608  tables, tenants and values are the test's own
"""Schemas that nobody thought of, written to by chance: after every step the ends are equal."""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from directory.rules.comparing import obstacles
from migration.copying import copy_table
from migration.rules import chunks
from migration.rules.chunks import Progress
from migration.rules.names import quoted
from runtime.embedded.postgres import PostgresServer
from tests.migration.cells import TOKEN, Journey, journey, new_place

TYPES = """
    CREATE EXTENSION citext;
    CREATE TYPE mood AS ENUM ('sad', 'so, so', 'ok');
    CREATE TYPE pair AS (a int, m mood);
    CREATE DOMAIN few AS numeric(8, 2) CHECK (value < 1000);
    CREATE DOMAIN owner_name AS varchar(40);
    CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
"""
KEYED: Mapping[str, str] = {
    "int": "n % 17",
    "bigint": "-n",
    "text": "CASE n % 9 WHEN 0 THEN '' WHEN 1 THEN 'NULL' WHEN 2 THEN E'\\\\{\"' ELSE chr(8360 + n) END",
    "text COLLATE loose": "CASE n % 2 WHEN 0 THEN 'k' ELSE 'K' END || n / 2",
    "citext": "CASE n % 2 WHEN 0 THEN 'k' ELSE 'K' END || n / 2",
    "numeric": "CASE n % 2 WHEN 0 THEN n * 1.0 ELSE (n - 1) * 1.000 END",
    "few": "(n % 50) / 4.0",
    "float8": "CASE n % 11 WHEN 0 THEN 'NaN' WHEN 1 THEN '-0' WHEN 2 THEN 0 ELSE n / 7.0 END",
    "interval": "CASE n % 2 WHEN 0 THEN n * interval '1 day' ELSE (n - 1) * interval '24:00' END",
    "timestamptz": "CASE n % 9 WHEN 0 THEN 'infinity' ELSE timestamptz '0001-01-02 BC' + n * interval '1 day' END",
    "date": "date '0010-01-01 BC' + n * 1000",
    "uuid": "md5((n % 40)::text)::uuid",
    "bytea": "decode(md5((n % 30)::text), 'hex')",
    "char(3)": "chr(65 + n % 20)",
    "mood": "(ARRAY['sad', 'so, so', 'ok'])[1 + n % 3]::mood",
    "jsonb": "jsonb_build_object('a', CASE n % 2 WHEN 0 THEN n * 1.0 ELSE (n - 1) * 1.00 END)",
    "int[]": "ARRAY[n % 5, NULL, n]",
    "numrange": "numrange(n, n + 1.50)",
    "inet": "inet '10.0.0.0/8' + n",
}
PLAIN: Mapping[str, str] = {
    **KEYED,
    "json": "json_build_object('a', n, 'b', NULL)",
    "xml": "xmlparse(content '<a>' || n || '</a>')",
    "tsvector": "to_tsvector('simple', 'a b ' || n)",
    "point": "point(n, 'NaN')",
    "money": "n * 1.25",
    "bit varying": "n::bit(8)::varbit",
    "pair": "ROW(n, 'ok')::pair",
    "pair[]": "ARRAY[ROW(n, NULL)::pair, NULL]",
    "mood[]": "'{ok,NULL}'::mood[]",
    "regtype": "'mood'::regtype",
}
OWNERS: Mapping[str, str] = {
    "text": "Acme's",
    "uuid": "6b7e4a51-6b5c-4b0e-9d5a-0d0a3c1f0001",
    "bigint": "42",
    "varchar(40)": "söme one",
    "owner_name": "o\\n",
}
NAMES = ("id", "captured_at", "order", "Größe", 'a "b"', "k1", "key", "value", "naïve; --", "x")


@dataclass(frozen=True)
class Drawn:
    """A table, as it was drawn."""

    relation: str
    owner: str
    keys: Mapping[str, str]
    others: Mapping[str, str]
    tenant_at: int
    """Where the tenant is in the key; beyond the last: it is not in it."""
    kind: str

    def ddl(self, backwards: bool) -> str:
        """The same columns in either order; one end has had one more."""
        columns = [f'"Owner" {self.owner} NOT NULL']
        columns += [f"{quoted(name)} {type_} NOT NULL" for name, type_ in self.keys.items()]
        columns += [f"{quoted(name)} {type_}" for name, type_ in self.others.items()]
        if backwards:
            columns = [*columns[::-1], "gone text"]
        made = f"CREATE TABLE {self.relation} ({', '.join(columns)});"
        if backwards:
            made += f"ALTER TABLE {self.relation} DROP COLUMN gone;"
        key = [quoted(name) for name in self.keys]
        if self.tenant_at <= len(key):
            key.insert(self.tenant_at, '"Owner"')
        if self.kind == "primary":
            made += f"ALTER TABLE {self.relation} ADD PRIMARY KEY ({', '.join(key)});"
        elif self.kind == "unique":
            made += f"CREATE UNIQUE INDEX ON {self.relation} ({', '.join(key)});"
        return made

    def values(self, names: Mapping[str, str]) -> str:
        return ", ".join(f"({PLAIN[type_]})::{type_.partition(' COLLATE')[0]}" for type_ in names.values())

    def write(self, verb: str, number: int) -> str:
        """A statement; what unique values forbid is not done."""
        every, here = {**self.keys, **self.others}, "\"Owner\"::text = current_setting('app.tenant')"
        some = f"ctid IN (SELECT ctid FROM {self.relation} WHERE {here} ORDER BY ctid OFFSET {number % 7} LIMIT 4)"
        names = ", ".join(quoted(name) for name in every)
        source = f"FROM (SELECT {number}::int AS n) s"
        if verb == "insert":
            rows = f"FROM generate_series({number}, {number + 12}) n"
            statement = (
                f'INSERT INTO {self.relation} ("Owner", {names}) '
                f"SELECT current_setting('app.tenant')::{self.owner}, {self.values(every)} {rows} "
                "ON CONFLICT DO NOTHING"
            )
        elif verb == "delete":
            statement = f"DELETE FROM {self.relation} WHERE {some}"
        else:
            changed = self.keys if verb == "key" or not self.others else self.others
            names = ", ".join(quoted(name) for name in changed)
            one = some.replace("LIMIT 4", "LIMIT 1") if verb == "key" else some
            statement = (
                f"UPDATE {self.relation} SET ({names}) = (SELECT {self.values(changed)} {source}) WHERE {one}"
            )
        return f"DO $do$ BEGIN {statement}; EXCEPTION WHEN unique_violation THEN NULL; END $do$"


@st.composite
def tables(draw: st.DrawFn) -> list[Drawn]:
    """One or two, of one type of tenant."""
    drawn, owner = [], draw(st.sampled_from(sorted(OWNERS)))
    for number in range(draw(st.integers(1, 2))):
        names = draw(st.permutations(NAMES))
        keys = draw(st.lists(st.sampled_from(sorted(KEYED)), min_size=1, max_size=3))
        others = draw(st.lists(st.sampled_from(sorted(PLAIN)), max_size=4))
        drawn.append(
            Drawn(
                f'public."T {number}"',
                owner,
                dict(zip(names, keys, strict=False)),
                dict(zip(names[len(keys) :], others, strict=False)),
                draw(st.integers(0, len(keys) + 1)),
                draw(st.sampled_from(("primary", "primary", "unique", "none"))),
            )
        )
    return drawn


WRITES = st.tuples(
    st.integers(0, 1), st.sampled_from(("insert", "insert", "key", "other", "delete")), st.integers(0, 60)
)
HISTORIES = st.lists(st.tuples(st.lists(WRITES, min_size=1, max_size=6), st.booleans()), min_size=2, max_size=5)


@pytest.fixture(autouse=True, scope="module")
def small_chunks() -> Iterator[None]:
    """Of three rows."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(chunks, "FIRST_ROWS", 3)
        patched.setattr(chunks, "MOST_ROWS", 3)
        yield


@settings(
    max_examples=6,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(drawn=tables(), history=HISTORIES, adopted=st.booleans())
async def test_any_schema_is_equal_after_every_step(
    postgres_server: PostgresServer, drawn: list[Drawn], history: list[tuple[list[Any], bool]], adopted: bool
) -> None:
    """The first transactions come between chunks, the others before steps; some are rolled back."""
    found = {table.relation: "Owner" for table in drawn}
    places = []
    for backwards in (False, True):
        ddl = TYPES + "".join(table.ddl(backwards) for table in drawn)
        places.append(await new_place(postgres_server, ddl, found, adopted=adopted))
    async with journey(*places, OWNERS[drawn[0].owner]) as moving:
        assert obstacles(moving.schema, moving.destination_schema) == ()
        for table in drawn:
            await moving.write(table.write("insert", 0))
        await moving.begin()
        left, one_at_a_time = list(history), asyncio.Lock()

        async def between(_progress: Progress) -> None:
            async with one_at_a_time:
                if len(left) > 1:
                    await _write(moving, drawn, *left.pop(0))

        for table in moving.schema.tables.values():
            await copy_table(
                *(moving.source, moving.destination, TOKEN, table, moving.schema, moving.since),
                before_chunk=between,
            )
        while left:
            await _write(moving, drawn, *left.pop(0))
            verified = await moving.step_and_verify()
            assert verified.equal, verified.differences
        assert await moving.told_apart() == []


async def _write(moving: Journey, drawn: list[Drawn], writes: list[tuple[int, str, int]], commits: bool) -> None:
    async with moving.source_place.session(tenant=moving.tenant) as connection:
        await connection.execute("BEGIN")
        for place, verb, number in writes:
            await connection.execute(drawn[place % len(drawn)].write(verb, number))
        await connection.execute("COMMIT" if commits else "ROLLBACK")
