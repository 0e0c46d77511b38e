"""The two ends of a move: pinned settings, deadlines, tokens, and errors that say what to do."""

import asyncio
import secrets
from collections.abc import AsyncIterator

import asyncpg
import pytest
import uvloop

from migration.copying import copy_chunk, copy_table
from migration.ends import PINNED, End
from migration.errors import Obstacle, Superseded, Unavailable
from migration.rules.chunks import Chunk
from runtime import database
from runtime.embedded.postgres import PostgresServer
from tests.migration.cells import TOKEN, Journey, Place, journey, new_place
from tests.waiting import eventually

DDL = """
    CREATE TABLE public.p (tenant text, id integer GENERATED ALWAYS AS IDENTITY, v text, PRIMARY KEY (tenant, id));
    ALTER TABLE public.p ENABLE ROW LEVEL SECURITY;
    ALTER TABLE public.p FORCE ROW LEVEL SECURITY;
    CREATE POLICY own_rows ON public.p USING (tenant = current_setting('app.tenant', true));
    CREATE TABLE public.loose (tenant text, v text);
    ALTER TABLE public.loose ENABLE ROW LEVEL SECURITY;
    ALTER TABLE public.loose FORCE ROW LEVEL SECURITY;
    CREATE POLICY own_rows ON public.loose USING (tenant = current_setting('app.tenant', true));
    GRANT USAGE ON SCHEMA public, cellway TO engine_mover;
    GRANT SELECT ON cellway.tables TO engine_mover;
    GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA cellway TO engine_mover;
    GRANT SELECT, INSERT, DELETE ON public.p, public.loose TO engine_mover;
"""
TABLES = {"public.p": "tenant", "public.loose": "tenant"}
ROWS = """
    INSERT INTO public.p (tenant, v) SELECT current_setting('app.tenant'), 'v' || n FROM generate_series(1, 500) n;
    INSERT INTO public.loose SELECT current_setting('app.tenant'), 'v' || n FROM generate_series(1, 5) n
"""


@pytest.fixture(scope="module")
async def places(postgres_server: PostgresServer) -> tuple[Place, Place]:
    """A small schema twice, with row security that is forced."""
    return await new_place(postgres_server, DDL, TABLES), await new_place(postgres_server, DDL, TABLES)


@pytest.fixture
async def moving(places: tuple[Place, Place], request: pytest.FixtureRequest) -> AsyncIterator[Journey]:
    """A tenant with rows at the source."""
    async with journey(*places, request.node.name[-60:]) as made:
        await made.write(ROWS)
        yield made


async def test_every_setting_on_which_a_text_depends_is_pinned(postgres_server: PostgresServer) -> None:
    """Whatever the database, or the role, has for its own."""
    place = await new_place(postgres_server, DDL, TABLES)
    for name, value in (
        ("datestyle", "German"),
        ("bytea_output", "escape"),
        ("search_path", "public"),
        ("timezone", "Asia/Tokyo"),
        ("default_transaction_isolation", "serializable"),
        ("synchronous_commit", "off"),
    ):
        await place.execute(f"ALTER DATABASE {place.name} SET {name} = '{value}'")
    async with End(place.dsn(), name="here", tenant_id="acme", move_id="mv-1") as end:
        async with end.connected() as connection:
            for name, value in PINNED.items():
                found = await connection.fetchval("SELECT setting FROM pg_settings WHERE lower(name) = $1", name)
                assert found.lower() == value.lower(), name
        async with end.reading() as reader:
            text = await reader.connection.fetchval(
                "SELECT '2024-03-01 00:00+09'::timestamptz::text || '\\x0a'::bytea"
            )
        assert text == "2024-02-29 15:00:00+00\\x0a"


async def test_readers_share_an_exported_snapshot(moving: Journey) -> None:
    """Several connections can read one moment."""
    async with moving.source.reading() as first:
        exported = await first.export()
        await moving.write("INSERT INTO public.p (tenant, v) VALUES (current_setting('app.tenant'), 'later')")
        async with moving.source.reading(exported) as second:
            assert await second.snapshot() == await first.snapshot()
    with pytest.raises(Obstacle, match="no name of an exported snapshot"):
        async with moving.source.reading("'; DROP TABLE public.p"):
            pass


async def test_a_plain_role_moves_rows_that_row_security_guards(places: tuple[Place, Place]) -> None:
    """COPY does not write such tables: their rows come through a temporary one, and security sees each."""
    source, destination = places
    for place in places:
        await place.execute(f"GRANT TEMPORARY ON DATABASE {place.name} TO engine_mover")
    async with journey(source, destination, "plain", role="engine_mover") as moving:
        await moving.write(ROWS)
        await moving.copy()
        await moving.write(
            "UPDATE public.p SET v = 'x' WHERE tenant = 'plain' AND v LIKE '%7'; "
            "INSERT INTO public.loose VALUES ('plain', 'more')"
        )
        assert (await moving.step_and_verify()).equal
        assert await moving.told_apart() == []


async def test_a_role_that_may_not_is_told_so(places: tuple[Place, Place]) -> None:
    """Not that it should try again later."""
    source, destination = places
    await destination.execute("REVOKE INSERT ON public.loose FROM engine_mover")
    try:
        async with journey(source, destination, "refused", role="engine_mover") as moving:
            await moving.write(ROWS)
            with pytest.raises(Obstacle, match="42501"):
                await moving.copy()
    finally:
        await destination.execute("GRANT INSERT ON public.loose TO engine_mover")


async def test_a_writer_whose_token_is_late_is_superseded(moving: Journey) -> None:
    """Before it does anything."""
    with pytest.raises(Superseded):
        async with moving.destination.writing(TOKEN - 1):
            raise AssertionError("it was let in")


async def test_a_transaction_that_takes_too_long_is_given_up(moving: Journey) -> None:
    """And so is what the server does for it."""
    with pytest.raises(Unavailable):
        async with moving.source.reading(seconds=0.2) as reader:
            await reader.connection.execute("SELECT pg_sleep(30)")

    async def is_quiet() -> bool:
        found = await moving.source_place.fetch(
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(30)%' AND state = 'active'"
        )
        return found == [(0,)]

    await eventually(is_quiet)


async def test_a_lock_that_is_not_had_in_time_is_for_later(moving: Journey) -> None:
    """Whoever holds it goes first."""
    chunk = Chunk()
    async with moving.destination_place.session() as other:
        await other.execute("BEGIN; LOCK TABLE public.p")
        with pytest.raises(Unavailable, match="lock"):  # noqa: PT012 it may be refused at either
            async with moving.source.reading() as reader, moving.destination.writing(TOKEN) as writing:
                await writing.connection.execute("SET LOCAL lock_timeout = 50")
                await copy_chunk(reader, writing, moving.schema.tables["public.p"], chunk)


@pytest.mark.parametrize("dies", ["source", "destination"])
async def test_a_server_that_goes_away_is_for_later(moving: Journey, dies: str) -> None:
    """In the middle of a copy, at either end; another try brings all."""
    place = moving.source_place if dies == "source" else moving.destination_place
    table = moving.schema.tables["public.p"]
    await moving.begin()
    with pytest.raises(Unavailable):  # noqa: PT012 it is noticed by whatever comes next
        async with moving.source.reading() as reader, moving.destination.writing(TOKEN) as writing:
            await reader.snapshot()
            await place.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                "WHERE datname = current_database() AND application_name = $1",
                f"cellway-move {moving.move_id}",
            )
            await copy_chunk(reader, writing, table, Chunk())
    done = await copy_table(moving.source, moving.destination, TOKEN, table, moving.schema, moving.since)
    assert done.rows == 500


async def test_nobody_answers(moving: Journey) -> None:
    """The address of a server that is not there."""
    async with End("postgresql://x:y@127.0.0.1:1/z", name="nowhere", tenant_id="a", move_id="m") as end:
        with pytest.raises(Unavailable, match="nowhere"):
            async with end.reading():
                raise AssertionError("it was reached")
    with pytest.raises(Obstacle, match="not open"):
        async with end.reading():
            raise AssertionError("it was open")


async def test_a_database_without_an_encoding_moves_what_is_text(postgres_server: PostgresServer) -> None:
    """SQL_ASCII takes any byte: text arrives as it is, and what is no text in any encoding is refused in words."""
    places = []
    for _ in range(2):
        name = f"bytes_{secrets.token_hex(4)}"
        async with Place(postgres_server, "postgres").session() as connection:
            await connection.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'")
        places.append(await new_place(postgres_server, DDL, TABLES, name=name))
    async with journey(*places, "bytes") as moving:
        await moving.write(ROWS)
        await moving.copy()
        await moving.write("UPDATE public.p SET v = 'Größe' WHERE id = 7")
        assert (await moving.step_and_verify()).equal
        assert await moving.told_apart() == []
        await moving.write(r"UPDATE public.p SET v = E'\xff' WHERE id = 8")
        with pytest.raises(Obstacle, match=r"source refuses.*invalid byte sequence"):
            await moving.step()


def test_a_copy_whose_server_goes_away_is_interrupted(postgres_server: PostgresServer) -> None:
    """In the loop of our programs asyncpg then fails with a RuntimeError: it is no fault of the mover, which rests
    long after one."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner, pytest.raises(Unavailable, match="broke"):
        runner.run(_copied_to_a_lost_server(postgres_server))


async def _copied_to_a_lost_server(server: PostgresServer) -> None:
    async with (
        End(server.admin_dsn, name="cell-1", tenant_id="acme", move_id="mv-1") as end,
        end.connected() as lent,
    ):
        await lent.execute("CREATE TEMPORARY TABLE numbers (number integer)")
        pid = await lent.fetchval("SELECT pg_backend_pid()")

        async def rows() -> AsyncIterator[bytes]:
            yield b"1\n"
            other = await asyncpg.connect(server.admin_dsn, timeout=10)
            await other.execute(f"SELECT pg_terminate_backend({pid})")
            await other.close()
            await eventually(lambda: database.is_closed(lent))
            yield b"2\n"

        await lent.copy_to_table("numbers", source=rows())


async def test_a_fault_of_our_own_stays_one(moving: Journey) -> None:
    """Not every RuntimeError is the end of a connection."""
    with pytest.raises(RuntimeError, match="ours"):
        async with moving.source.reading():
            raise RuntimeError("ours")
