"""Capture, tokens and the mover's way past the guard, in a database that the cell's schema knows nothing of."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncpg
import pytest

from directory import fence
from directory.fence import GUARD_TABLE, NOT_HERE, SUPERSEDED
from runtime import database
from runtime.database import Connection
from runtime.embedded.postgres import PostgresServer
from runtime.schema import upgrade
from tests.servers import PASSWORD
from tests.waiting import eventually

ROLES = ("capture_owner", "capture_app", "capture_mover")
SCHEMA = """
    CREATE TABLE public."Order s" (
        tenant_id text NOT NULL DEFAULT current_setting('app.tenant'), placed_at timestamptz, number float8,
        note text, PRIMARY KEY (tenant_id, placed_at, number));
    CREATE TABLE public.lines (
        tenant_id text NOT NULL, line bigint PRIMARY KEY, placed_at timestamptz, number float8,
        FOREIGN KEY (tenant_id, placed_at, number) REFERENCES public."Order s" ON DELETE CASCADE);
    CREATE TABLE public.notes (tenant_id text, body text);
    CREATE TABLE public.bills ("Kunde" bigint, bill integer, amount numeric, PRIMARY KEY (bill));
    GRANT ALL ON ALL TABLES IN SCHEMA public TO capture_app, capture_mover;
    GRANT USAGE ON SCHEMA cellway TO capture_app, capture_mover;
    GRANT EXECUTE ON FUNCTION cellway.enter TO capture_app, capture_mover;
    GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA cellway TO capture_mover;
"""


@dataclass(frozen=True, slots=True)
class Place:
    """A database with tenant `acme`, active at epoch 7, and customer 42 of a service that binds nothing."""

    server: PostgresServer
    name: str

    @asynccontextmanager
    async def session(self, role: str, **settings: str) -> AsyncIterator[Connection]:
        """A connection of a role."""
        dsn = self.server.dsn(self.name, role, PASSWORD)
        connection = await asyncpg.connect(dsn, timeout=5, server_settings=settings)
        try:
            yield connection
        finally:
            await connection.close()

    @asynccontextmanager
    async def writing(self, epoch: int = 7, **kind: str) -> AsyncIterator[Connection]:
        """A transaction of the application's, that has said whose it is."""
        async with self.session("capture_app") as connection, connection.transaction(**kind):  # type: ignore[arg-type]
            await connection.execute("SELECT cellway.enter('acme', $1)", epoch)
            yield connection

    @asynccontextmanager
    async def moving(self, token: int = 1, move: str = "mv-1") -> AsyncIterator[Connection]:
        """A transaction of a mover's."""
        async with self.session("capture_mover") as connection, connection.transaction():
            await connection.execute("SELECT cellway.act($1, $2)", move, token)
            yield connection

    async def fence(self, tenant: str, epoch: int, state: str) -> None:
        """Flip it."""
        async with self.session("capture_mover") as connection:
            await connection.execute("SELECT cellway.set_fence($1, $2, $3, 'mv-1')", tenant, epoch, state)

    async def take(self, token: int = 1, tenant: str = "acme", move: str = "mv-1") -> None:
        """Take the move up."""
        async with self.session("capture_mover", lock_timeout="200") as connection:
            await connection.fetchrow("SELECT * FROM cellway.take($1, $2, $3)", move, tenant, token)

    async def capture(self, wanted: bool = True) -> str:
        """Switch it; a snapshot from after that."""
        async with self.moving() as connection:
            await connection.execute("SELECT cellway.set_captured($1)", wanted)
        return await self.snapshot()

    async def snapshot(self) -> str:
        """Of now."""
        async with self.session("capture_mover") as connection:
            return str(await connection.fetchval("SELECT pg_current_snapshot()::text"))

    async def logged(self, since: str, tenant: str = "acme") -> list[tuple[str, list[str] | None]]:
        """What was written since."""
        async with self.session("capture_mover") as connection:
            rows = await connection.fetch("SELECT * FROM cellway.logged($1, $2) ORDER BY 1, 2", tenant, since)
        return [(row["relation"], row["key"]) for row in rows]


@pytest.fixture
async def place(postgres_server: PostgresServer) -> Place:
    """A new one."""
    name = f"capture_{secrets.token_hex(4)}"
    roles = dict.fromkeys(ROLES, PASSWORD)
    await database.bootstrap(postgres_server.admin_dsn, name, ROLES[0], roles, ROLES[2:])
    owner = await asyncpg.connect(postgres_server.dsn(name, ROLES[0], PASSWORD), timeout=5)
    try:
        await upgrade(owner, fence.COMPONENT, fence.UPGRADES)
        await owner.execute(SCHEMA)
        for table in ('public."Order s"', "public.lines", "public.notes"):
            await owner.execute(GUARD_TABLE.format(table=table))
            await owner.execute("SELECT cellway.capture_table($1::text::regclass, 'tenant_id')", table)
        await owner.execute("SELECT cellway.adopt_table('public.bills', 'Kunde')")
        await owner.execute("SELECT cellway.set_fence('acme', 7, 'active', NULL)")
        await owner.execute("SELECT cellway.set_fence('other', 8, 'active', NULL)")
        await owner.execute("SELECT cellway.set_fence('42', 9, 'active', NULL)")
    finally:
        await owner.close()
    made = Place(postgres_server, name)
    await made.take()
    return made


ORDER = (
    "INSERT INTO public.\"Order s\" (placed_at, number, note) VALUES ('2026-01-02 03:04:05.678901+02', $1, 'x')"
)


async def test_nothing_is_logged_of_whom_nobody_moves(place: Place) -> None:
    """Neither before it is switched on, nor for the other tenants, nor afterwards."""
    before = await place.snapshot()
    async with place.writing() as connection:
        await connection.execute(ORDER, 1.0)
    await place.capture()
    async with place.session("capture_app") as connection, connection.transaction():
        await connection.execute("SELECT cellway.enter('other', 8)")
        await connection.execute(ORDER, 1.0)
        await connection.execute("INSERT INTO public.bills VALUES (42, 1, 1.00)")  # fmt: skip
    await place.capture(wanted=False)
    async with place.writing() as connection:
        await connection.execute(ORDER, 2.0)
    assert [await place.logged(before, tenant) for tenant in ("acme", "other", "42")] == [[], [], []]


async def test_every_kind_of_write_is_logged_by_its_keys(place: Place) -> None:
    """Old keys and new ones, cascades, COPY, no key; the same text whatever the writer's settings."""
    since = await place.capture()
    async with place.writing() as connection:
        await connection.execute("SET LOCAL datestyle = 'German'; SET LOCAL timezone = 'Asia/Tokyo'")
        await connection.execute(ORDER, 0.1)
        await connection.execute('UPDATE public."Order s" SET number = 0.2 WHERE number = 0.1')
        placed = await connection.fetchval('SELECT placed_at FROM public."Order s"')
        await connection.copy_records_to_table(
            "lines", records=[("acme", 1, placed, 0.2), ("acme", 2, placed, 0.2)], schema_name="public"
        )
        await connection.execute("INSERT INTO public.notes VALUES ('acme', 'a'), ('acme', 'a')")
    at = "2026-01-02 01:04:05.678901+00"
    orders = [('public."Order s"', ["acme", at, "0.1"]), ('public."Order s"', ["acme", at, "0.2"])]
    assert await place.logged(since) == [
        *orders,
        ("public.lines", ["1"]),
        ("public.lines", ["2"]),
        ("public.notes", None),
    ]
    since = await place.snapshot()
    async with place.writing() as connection:
        await connection.execute('DELETE FROM public."Order s"')
    assert await place.logged(since) == [orders[1], ("public.lines", ["1"]), ("public.lines", ["2"])]


async def test_a_transaction_for_two_tenants_is_logged_for_the_captured_one_alone(place: Place) -> None:
    """Whoever was captured earlier in a transaction says nothing of who comes later."""
    since = await place.capture()
    insert = "INSERT INTO public.notes VALUES (current_setting('app.tenant'), 'a')"
    async with place.session("capture_app") as connection, connection.transaction():
        for tenant, epoch in (("acme", 7), ("other", 8)):
            await connection.execute("SELECT cellway.enter($1, $2)", tenant, epoch)
            await connection.execute(insert)
            await connection.execute(ORDER, 1.0)
    at = "2026-01-02 01:04:05.678901+00"
    expected = [('public."Order s"', ["acme", at, "1"]), ("public.notes", None)]
    assert await place.logged(since) == expected
    assert await place.logged(since, "other") == []


async def test_columns_of_an_adopted_table_may_have_the_names_of_our_variables(place: Place) -> None:
    """Whatever a service calls its columns, its writes pass."""
    async with place.session("capture_owner") as owner:
        await owner.execute(
            "CREATE TABLE public.odd (tenants bigint, captured int PRIMARY KEY, ours text, went text, tg_op text);"
            "GRANT ALL ON public.odd TO capture_app; SELECT cellway.adopt_table('public.odd', 'tenants')"
        )
    await place.take(tenant="42", move="mv-2")
    async with place.moving(move="mv-2") as connection:
        await connection.execute("SELECT cellway.set_captured(true)")
    since = await place.snapshot()
    async with place.session("capture_app") as app:
        await app.execute("INSERT INTO public.odd VALUES (42, 1), (42, 2)")
        await app.execute("UPDATE public.odd SET captured = 3 WHERE captured = 2")
        await app.execute("DELETE FROM public.odd WHERE captured = 1")
    assert await place.logged(since, "42") == [("public.odd", [number]) for number in ("1", "2", "3")]


async def test_no_name_of_a_table_becomes_a_part_of_our_functions(place: Place) -> None:
    """Whoever may make a table chooses its name, and somebody with more rights adopts it."""
    bound, adopted = (f'public."$body$; $f$; $make$; \' || {number}"' for number in (1, 2))
    async with place.session("capture_owner") as owner:
        for adopt, odd in (("capture_table", bound), ("adopt_table", adopted)):
            await owner.execute(f"CREATE TABLE {odd} (tenant_id text, id integer PRIMARY KEY)")
            await owner.execute(f"SELECT cellway.{adopt}($1::text::regclass, 'tenant_id')", odd)
            await owner.execute(f"GRANT ALL ON {odd} TO capture_app")
        await owner.execute(GUARD_TABLE.format(table=bound))
    since = await place.capture()
    async with place.writing() as connection:
        await connection.execute(f"INSERT INTO {bound} VALUES ('acme', 1)")  # noqa: S608 a name of ours
        await connection.execute(f"INSERT INTO {adopted} VALUES ('acme', 2)")  # noqa: S608 a name of ours
    assert [key for _, key in await place.logged(since)] == [["1"], ["2"]]


async def test_a_row_is_logged_though_a_trigger_of_the_service_wrote_for_somebody_else_before(
    place: Place,
) -> None:
    """Its own triggers may come first, and write in whose name they like."""
    async with place.session("capture_owner") as owner:
        await owner.execute("""
            CREATE FUNCTION public.elsewhere() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                IF current_setting('app.tenant') = 'acme' THEN
                    PERFORM cellway.enter('other', 8);
                    INSERT INTO public.notes VALUES ('other', 'seen');
                    PERFORM cellway.enter('acme', 7);
                END IF;
                RETURN NULL;
            END $$;
            CREATE TRIGGER a AFTER INSERT ON public."Order s" FOR EACH ROW EXECUTE FUNCTION public.elsewhere();
            CREATE TRIGGER a AFTER INSERT ON public.notes FOR EACH ROW EXECUTE FUNCTION public.elsewhere();
        """)
    since = await place.capture()
    async with place.writing() as connection:
        await connection.execute(ORDER, 1.0)
        await connection.execute("INSERT INTO public.notes VALUES ('acme', 'a')")
    assert [relation for relation, _ in await place.logged(since)] == ['public."Order s"', "public.notes"]
    assert await place.logged(since, "other") == []


async def test_a_database_of_before_captures_by_rows_once_it_is_upgraded(postgres_server: PostgresServer) -> None:
    """Each table that had capture has it anew, and a move that was under way goes on."""
    name = f"capture_{secrets.token_hex(4)}"
    await database.bootstrap(postgres_server.admin_dsn, name, ROLES[0], dict.fromkeys(ROLES, PASSWORD), ROLES[2:])
    place = Place(postgres_server, name)
    async with place.session(ROLES[0]) as owner:
        await upgrade(owner, fence.COMPONENT, fence.UPGRADES[:2])
        await owner.execute(SCHEMA)
        await owner.execute(GUARD_TABLE.format(table='public."Order s"'))
        await owner.execute("""SELECT cellway.capture_table('public."Order s"', 'tenant_id')""")
        await owner.execute("SELECT cellway.adopt_table('public.bills', 'Kunde')")
        await owner.execute("SELECT cellway.set_fence('acme', 7, 'active', NULL)")
        await owner.execute("SELECT cellway.set_fence('42', 9, 'active', NULL)")
    await place.take()
    since = await place.capture()
    async with place.session(ROLES[0]) as owner:
        await upgrade(owner, fence.COMPONENT, fence.UPGRADES)
        kinds = await owner.fetch(
            "SELECT tgrelid::regclass::text, bool_and(tgtype & 1 = 1), bool_and(tgenabled = 'A'), count(*) "
            "FROM pg_trigger WHERE tgname LIKE 'cellway_capture%' GROUP BY 1 ORDER BY 1"
        )
    assert [tuple(row) for row in kinds] == [('"Order s"', True, True, 3), ("bills", False, True, 3)]
    async with place.writing() as connection:
        await connection.execute(ORDER, 1.0)
    assert [relation for relation, _ in await place.logged(since)] == ['public."Order s"']


async def test_who_logged_first_and_commits_last_is_found(place: Place) -> None:
    """Between two snapshots counts what became visible, not what was written down."""
    since = await place.capture()
    async with place.writing() as slow:
        await slow.execute(ORDER, 1.0)
        async with place.writing() as quick:
            await quick.execute(ORDER, 2.0)
        seen = await place.snapshot()
        assert [key[2] for _, key in await place.logged(since) if key] == ["2"]
    assert [key[2] for _, key in await place.logged(seen) if key] == ["1"]
    async with place.session("capture_mover") as connection:
        assert await connection.fetchval("SELECT cellway.forget_logged('acme', $1, 100)", seen) == 1
    assert [key[2] for _, key in await place.logged(seen) if key] == ["1"]


async def test_capture_waits_for_writers_who_came_before(place: Place) -> None:
    """And a writer with an old snapshot, who cannot see that it was switched on, is told to begin again."""
    async with place.writing(isolation="repeatable_read") as old:
        await old.fetch("SELECT * FROM public.lines")  # its snapshot is taken
        async with place.writing() as before:
            await before.execute(ORDER, 1.0)
            switching = asyncio.create_task(place.capture())
            async with place.session("capture_owner") as owner:

                async def waits() -> bool:
                    locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
                    return bool(await owner.fetchval(locks))

                await eventually(waits)
            assert not switching.done()
        since = await switching
        with pytest.raises(asyncpg.SerializationError):
            await old.execute(ORDER, 2.0)
        await old.execute("ROLLBACK; BEGIN")
    assert await place.logged(since) == []


async def test_opening_waits_for_no_writer_and_closing_for_all(place: Place) -> None:
    """One admitted before a switch was given up keeps nobody out, and is captured and waited for after it."""
    await place.capture()
    before = await place.snapshot()
    async with place.writing() as writer:
        await writer.execute(ORDER, 1.0)
        async with place.session("capture_mover", lock_timeout="200") as mover:
            await mover.execute("SELECT cellway.set_fence('acme', 8, 'active', NULL)")
            async with place.writing(epoch=8) as later:
                await later.execute(ORDER, 2.0)
            assert [key[-1] for _, key in await place.logged(before) if key] == ["2"]
            with pytest.raises(asyncpg.LockNotAvailableError):
                await mover.execute("SELECT cellway.set_fence('acme', 9, 'fenced', 'mv-1')")
    assert [key[-1] for _, key in await place.logged(before) if key] == ["1", "2"]
    await place.fence("acme", 9, "fenced")
    await place.fence("acme", 10, "active")
    async with place.session("capture_mover") as mover:
        with pytest.raises(asyncpg.PostgresError) as refused:
            await mover.execute("SELECT cellway.set_fence('acme', 8, 'active', NULL)")
    assert refused.value.sqlstate == "CW002"


async def test_rows_say_whose_they_are_where_nobody_else_does(place: Place) -> None:
    """A service that binds nothing is guarded and captured by the tenants of its rows, old and new."""
    await place.take(tenant="42", move="mv-2")
    async with place.moving(move="mv-2") as connection:
        await connection.execute("SELECT cellway.set_captured(true)")
    since = await place.snapshot()
    async with place.session("capture_app") as app:
        await app.execute("INSERT INTO public.bills VALUES (42, 1, 1.00), (NULL, 2, 0)")
        with pytest.raises(asyncpg.PostgresError) as refused:
            await app.execute('UPDATE public.bills SET "Kunde" = 43 WHERE bill = 1')
        assert refused.value.sqlstate == NOT_HERE
        with pytest.raises(asyncpg.FeatureNotSupportedError):
            await app.execute("TRUNCATE public.bills")
        await place.fence("42", 10, "fenced")
        for statement in ("DELETE FROM public.bills WHERE bill = 1", "INSERT INTO public.bills VALUES (42, 3, 0)"):
            with pytest.raises(asyncpg.PostgresError) as refused:
                await app.execute(statement)
            assert (refused.value.sqlstate, refused.value.detail) == (NOT_HERE, "10")  # type: ignore[attr-defined]
    assert await place.logged(since, "42") == [("public.bills", ["1"])]


async def test_a_mover_writes_where_rows_arrive_and_nobody_else_does(place: Place) -> None:
    """While the fence is importing or moved on its behalf; an application cannot claim to be one."""
    insert = "INSERT INTO public.notes VALUES ('acme', 'brought')"
    async with place.moving() as connection:
        with pytest.raises(asyncpg.PostgresError) as refused:
            await connection.execute(insert)
    assert refused.value.sqlstate == NOT_HERE
    await place.fence("acme", 10, "importing")
    async with place.moving() as connection:
        await connection.execute("SET LOCAL session_replication_role = replica")
        await connection.execute(insert)
    async with place.session("capture_app") as app, app.transaction():
        await app.execute("SELECT cellway.enter('acme', 10), set_config('app.move', 'mv-1', true)")
        with pytest.raises(asyncpg.PostgresError) as refused:
            await app.execute(insert)
    assert refused.value.sqlstate == NOT_HERE
    await place.fence("acme", 11, "fenced")
    async with place.moving() as connection:
        with pytest.raises(asyncpg.PostgresError):
            await connection.execute("DELETE FROM public.notes")
    await place.fence("acme", 12, "moved")
    async with place.moving() as connection:
        assert await connection.execute("DELETE FROM public.notes") == "DELETE 1"


async def test_who_comes_with_a_lower_token_does_nothing_any_more(place: Place) -> None:
    """A successor waits until its predecessor's transaction has ended; from then on the predecessor is refused."""
    await place.fence("acme", 10, "importing")
    async with place.moving() as predecessor:
        await predecessor.execute("INSERT INTO public.notes VALUES ('acme', 'late')")
        with pytest.raises(asyncpg.LockNotAvailableError):
            await place.take(token=2)
    await place.take(token=2)
    await place.take(token=2)
    for attempt in (place.take(token=1), place.take(token=3, tenant="other"), place.moving(token=1).__aenter__()):
        with pytest.raises(asyncpg.PostgresError) as refused:
            await attempt
        assert refused.value.sqlstate == SUPERSEDED
    async with place.moving(token=2) as connection:
        await connection.execute("SELECT cellway.note('mv-1', 2, '7:9:', '{\"a\": 1}')")
        await connection.execute("SELECT cellway.note('mv-1', 2, NULL, '{\"b\": 2}')")
    async with place.session("capture_mover") as connection:
        taken = await connection.fetchrow("SELECT * FROM cellway.take('mv-1', 'acme', 3)")
    assert taken is not None
    assert tuple(taken) == ("7:9:", '{"a": 1, "b": 2}')


async def test_a_table_is_let_go_without_a_trace(place: Place) -> None:
    """What was there before adoption is all that is there afterwards."""
    async with place.session("capture_owner") as owner:
        await owner.execute("SELECT cellway.release_table('public.bills')")
        left = "SELECT count(*) FROM pg_trigger WHERE tgrelid = 'public.bills'::regclass"
        assert await owner.fetchval(left) == 0
        assert await owner.fetchval("SELECT count(*) FROM pg_proc WHERE proname LIKE 'capture %bills%'") == 0
        assert await owner.fetchval("SELECT count(*) FROM cellway.tables WHERE relation = 'public.bills'") == 0
        assert ":" in await owner.fetchval("SELECT cellway.history()")
    async with place.session("capture_app") as app:
        await app.execute("INSERT INTO public.bills VALUES (77, 1, 1.00)")
