# ruff: noqa: S608  tables, tenants and values are the test's own
"""Sums that are equal only for equal rows, and what of them differs."""

from collections.abc import AsyncIterator

import pytest

from directory.rules.tables import Column
from migration.errors import Obstacle
from migration.rules.hashing import hashed
from migration.verifying import Verified, refuse_dangling, verify
from runtime.embedded.postgres import PostgresServer
from tests.migration.cells import Journey, Place, journey, new_place

DDL = """
    CREATE TYPE public.mood AS ENUM ('sad', 'ok');
    CREATE COLLATION public.loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
    CREATE TABLE public.codes (code text PRIMARY KEY);
    CREATE TABLE public.p (
        tenant text, id bigint, n numeric, j jsonb, f float8, i interval, a integer[], m public.mood,
        t text COLLATE public.loose, b bytea, at timestamptz, code text REFERENCES public.codes,
        PRIMARY KEY (tenant, id));
    CREATE TABLE public.keyless (tenant text, v text);
    CREATE TABLE public.by_number (tenant text, amount numeric, v text, PRIMARY KEY (tenant, amount));
"""
TABLES = {"public.p": "tenant", "public.keyless": "tenant", "public.by_number": "tenant"}
ROWS = """
    INSERT INTO public.codes VALUES ('known') ON CONFLICT DO NOTHING;
    INSERT INTO public.p
    SELECT current_setting('app.tenant'), g, 1.0, '{"a": 1.0}', 0, '1 day', '{1,2}', 'ok', 'abc',
        '\\x00', '2024-01-01', 'known' FROM generate_series(1, 2000) g;
    INSERT INTO public.keyless SELECT current_setting('app.tenant'), 'v' || g FROM generate_series(1, 50) g;
    INSERT INTO public.by_number SELECT current_setting('app.tenant'), g / 10.0, 'x' FROM generate_series(1, 50) g
"""


@pytest.fixture(scope="module")
async def places(postgres_server: PostgresServer) -> tuple[Place, Place]:
    """A small schema twice."""
    return await new_place(postgres_server, DDL, TABLES), await new_place(postgres_server, DDL, TABLES)


@pytest.fixture
async def copied(places: tuple[Place, Place], request: pytest.FixtureRequest) -> AsyncIterator[Journey]:
    """A tenant whose rows are at both ends."""
    async with journey(*places, request.node.name[-60:]) as made:
        await made.write(ROWS)
        await made.copy()
        yield made


async def _verified(moving: Journey) -> Verified:
    async with moving.source.reading() as here, moving.destination.reading() as there:
        return await verify(here, there, moving.schema)


async def test_equal_rows_are_equal(copied: Journey) -> None:
    """And counted."""
    verified = await _verified(copied)
    assert verified.equal
    assert verified.rows == {"public.p": 2000, "public.keyless": 50, "public.by_number": 50}


@pytest.mark.parametrize(
    "change",
    [
        "n = 1.00",
        """j = '{"a": 1.00}'""",
        "f = '-0'",
        "i = '24:00:00'",
        "a = '[0:1]={1,2}'",
        "m = 'sad'",
        "t = 'ABC'",
        "b = '\\x0000'",
        "at = '2024-01-01 00:00:00.000001'",
        "code = NULL",
    ],
)
async def test_what_a_database_holds_equal_is_told_apart(copied: Journey, change: str) -> None:
    """1.0 and 1.00, one day and 24 hours, -0 and 0, texts that a collation holds equal, bounds of arrays."""
    await copied.spoil(f"UPDATE public.p SET {change} WHERE tenant = $1 AND id = 1234")
    verified = await _verified(copied)
    (difference,) = verified.differences
    assert difference.relation == "public.p"
    assert difference.source_rows == difference.destination_rows == 2000
    assert difference.keys == ((copied.tenant, "1234"),)


async def test_two_equal_rows_do_not_cancel_each_other(copied: Journey) -> None:
    """As they would under XOR: a pair that is missing, or there twice, would not be seen."""
    await copied.write(
        "INSERT INTO public.keyless SELECT current_setting('app.tenant'), 'pair' FROM generate_series(1, 2)"
    )
    (difference,) = (await _verified(copied)).differences
    assert (difference.relation, difference.source_rows, difference.destination_rows) == ("public.keyless", 52, 50)
    assert difference.keys == ()
    await copied.spoil("INSERT INTO public.keyless SELECT $1, 'riap' FROM generate_series(1, 2)")
    (difference,) = (await _verified(copied)).differences
    assert difference.source_rows == difference.destination_rows == 52


async def test_missing_and_strange_rows_are_named(copied: Journey) -> None:
    """Wherever they are, and in whatever number."""
    await copied.spoil("DELETE FROM public.p WHERE tenant = $1 AND id IN (7, 1900)")
    await copied.spoil("INSERT INTO public.p (tenant, id) VALUES ($1, -5)")
    (difference,) = (await _verified(copied)).differences
    assert set(difference.keys) == {(copied.tenant, key) for key in ("7", "1900", "-5")}
    await copied.spoil("DELETE FROM public.p WHERE tenant = $1")
    (difference,) = (await _verified(copied)).differences
    assert difference.destination_rows == 0
    assert 50 < len(difference.keys) <= 100  # some, not all: nobody reads two thousand


async def test_a_key_that_is_written_otherwise_is_another(copied: Journey) -> None:
    """1.0 and 1.00 are one key to the index, and two to whoever reads them."""
    await copied.spoil("UPDATE public.by_number SET amount = 1.00 WHERE tenant = $1 AND amount = 1.0")
    (difference,) = (await _verified(copied)).differences
    assert difference.relation == "public.by_number"
    assert all(key[1].startswith("1.0") for key in difference.keys)


async def test_a_reference_to_a_row_that_does_not_move_is_looked_at(copied: Journey) -> None:
    """No foreign key was checked while rows were brought."""
    async with copied.destination.reading() as reader:
        with pytest.raises(Obstacle, match=r"public\.p \(code\) = \(known\) refers to public\.codes"):
            await refuse_dangling(reader, copied.destination_schema)
    await copied.destination_place.execute("INSERT INTO public.codes VALUES ('known') ON CONFLICT DO NOTHING")
    async with copied.destination.reading() as reader:
        await refuse_dangling(reader, copied.destination_schema)
    await copied.destination_place.execute("SET session_replication_role = replica; DELETE FROM public.codes")


def test_only_types_whose_hash_is_exact_are_hashed_by_it() -> None:
    """A type that is not known goes as text."""
    column = Column("c", "x", "x", "", True, True, False, False)
    assert hashed(column) == '("c"::text COLLATE "C")'
