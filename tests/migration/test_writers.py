# ruff: noqa: S608  tables, tenants and values are the test's own
"""Whatever writers do while a tenant is copied, stepped and verified, the ends are equal afterwards."""

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import asyncpg
import pytest

from migration.copying import copy_table
from migration.errors import Unavailable
from migration.fences import await_writers
from migration.rules import chunks
from migration.rules.chunks import Progress
from runtime.database import Connection
from runtime.embedded.postgres import PostgresServer
from tests.migration.cells import TOKEN, Journey, Place, journey, new_place

ME = "current_setting('app.tenant')"
MINE = f"tenant = {ME}"
DDL = """
    CREATE TABLE public.orders (tenant text, hole int, id int, code int, total numeric, parent int,
        twice numeric GENERATED ALWAYS AS (total * 2) STORED, number bigint GENERATED ALWAYS AS IDENTITY,
        PRIMARY KEY (tenant, id), UNIQUE (tenant, code),
        FOREIGN KEY (tenant, parent) REFERENCES public.orders ON DELETE CASCADE ON UPDATE CASCADE);
    ALTER TABLE public.orders DROP COLUMN hole;
    CREATE TABLE public.lines (tenant text, id int, order_id int, PRIMARY KEY (tenant, id),
        FOREIGN KEY (tenant, order_id) REFERENCES public.orders ON DELETE CASCADE ON UPDATE CASCADE
            DEFERRABLE INITIALLY IMMEDIATE);
    CREATE TABLE public.remarks (tenant text, id int, order_id int, PRIMARY KEY (tenant, id),
        FOREIGN KEY (tenant, order_id) REFERENCES public.orders ON DELETE SET NULL (order_id) ON UPDATE CASCADE);
    CREATE TABLE public.seats (tenant text, id int, place int, PRIMARY KEY (tenant, id),
        UNIQUE (tenant, place) DEFERRABLE);
    CREATE TABLE public.moments (tenant text, at timestamptz, lasts interval, ratio float8, mark bytea, n numeric,
        PRIMARY KEY (tenant, at, lasts, ratio, mark));
    CREATE TABLE public.loose (tenant text, v text);
    CREATE TABLE public.audit (tenant text, id bigserial, what text, PRIMARY KEY (tenant, id));
    CREATE FUNCTION public.note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO public.audit (tenant, what)
        VALUES (coalesce(new.tenant, old.tenant), TG_OP || TG_ARGV[0] || coalesce(new.id, old.id));
        RETURN NULL; END $$;
    CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON public.orders
        FOR EACH ROW EXECUTE FUNCTION public.note(' ');
    CREATE CONSTRAINT TRIGGER late AFTER INSERT OR UPDATE ON public.orders DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION public.note(' late ');
    CREATE FUNCTION public.me() RETURNS text LANGUAGE sql STABLE AS $$ SELECT current_setting('app.tenant') $$;
    CREATE VIEW public.cheap AS SELECT tenant, id, code, total FROM public.orders WHERE total < 5;
"""
# The other end has no hole, and its columns in another order.
ELSEWHERE = DDL.replace(
    "tenant text, hole int, id int, code int, total numeric,", "total numeric, id int, tenant text, code int,"
)
ELSEWHERE = ELSEWHERE.replace("ALTER TABLE public.orders DROP COLUMN hole;", "")
TABLES = dict.fromkeys(
    (f"public.{name}" for name in ("orders", "lines", "remarks", "seats", "moments", "loose", "audit")), "tenant"
)
ROWS = f"""
    INSERT INTO public.orders (tenant, id, code, total) SELECT {ME}, n, n, n / 4.0 FROM generate_series(1, 40) n;
    UPDATE public.orders SET parent = id - 20 WHERE {MINE} AND id > 30;
    INSERT INTO public.lines SELECT {ME}, n, 1 + n % 40 FROM generate_series(1, 80) n;
    INSERT INTO public.remarks SELECT {ME}, n, 1 + n % 40 FROM generate_series(1, 40) n;
    INSERT INTO public.seats SELECT {ME}, n, n FROM generate_series(1, 20) n;
    INSERT INTO public.loose SELECT {ME}, 'same' FROM generate_series(1, 3)
"""  # fmt: skip


async def _copy(connection: Connection) -> None:
    tenant = await connection.fetchval(f"SELECT {ME}")
    first = await connection.fetchval(f"SELECT coalesce(max(id), 0) + 1 FROM public.orders WHERE {MINE}")
    records = [(tenant, number, number, None) for number in range(first, first + 10)]
    columns = ("tenant", "id", "code", "total")
    await connection.copy_records_to_table("orders", records=records, columns=columns)


async def _prepared(connection: Connection) -> None:
    statement = await connection.prepare(
        f"UPDATE public.orders SET total = total + $1 WHERE {MINE} AND id % 7 = $2"
    )
    for number in range(7):
        await statement.fetch(number, number)


async def _cursor(connection: Connection) -> None:
    rows = [row async for row in connection.cursor(f"SELECT id FROM public.orders WHERE {MINE} FOR UPDATE")]
    for row in rows[::9]:
        await connection.execute(f"UPDATE public.orders SET code = -code WHERE {MINE} AND id = $1", row["id"])


async def _functions(connection: Connection) -> None:
    await connection.execute(
        f"DO $$ BEGIN BEGIN DELETE FROM public.orders WHERE {MINE}; RAISE 'no'; "
        "EXCEPTION WHEN OTHERS THEN NULL; END; "
        f"UPDATE public.seats SET place = place + 100 WHERE {MINE}; END $$"
    )


Write = str | Callable[[Connection], Awaitable[None]]
_TEXTS = (Path(__file__).parent / "writes.sql").read_text(encoding="utf-8").split("\n\n-- ")[1:]
WRITES: dict[str, Write] = {
    "copy": _copy,
    "prepared statements": _prepared,
    "cursors": _cursor,
    "what functions take back": _functions,
    **dict(text.split("\n", 1) for text in _TEXTS),
}
LAST = "all of it"
"""After it there is little left to write to."""
REST_SECONDS = 0.01
"""Between two transactions of a writer, as a service has them."""
LEVELS = ("READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE")


@pytest.fixture(scope="module", params=["bound", "adopted"])
async def places(postgres_server: PostgresServer, request: pytest.FixtureRequest) -> tuple[Place, Place]:
    """Of a service that says whose rows it writes, and of one whose rows say it."""
    adopted = request.param == "adopted"
    return (
        await new_place(postgres_server, DDL, TABLES, adopted=adopted),
        await new_place(postgres_server, ELSEWHERE, TABLES, adopted=adopted),
    )


@pytest.fixture(scope="module")
async def ongoing(places: tuple[Place, Place]) -> AsyncIterator[Journey]:
    """One move that all writes go on with: each begins where the last one ended."""
    async with journey(*places, "ongoing") as made:
        await made.write(ROWS)
        await made.copy()
        yield made


async def _write(connection: Connection, write: Write) -> None:
    if isinstance(write, str):
        await connection.execute(write)
    else:
        await write(connection)


async def _again(moving: Journey, write: Write, level: str) -> None:
    """As writers do whom the database sends back."""
    async with moving.source_place.session(tenant=moving.tenant) as connection:
        for _ in range(10):
            try:
                await connection.execute(f"BEGIN ISOLATION LEVEL {level}")
                await _write(connection, write)
                await connection.execute("COMMIT")
            except asyncpg.TransactionRollbackError:
                await connection.execute("ROLLBACK")
            else:
                return
        raise AssertionError("it was sent back again and again")


@pytest.mark.parametrize(("level", "name"), list(zip(itertools.cycle(LEVELS), WRITES, strict=False)))
async def test_what_is_written_arrives(ongoing: Journey, name: str, level: str) -> None:
    """Before a step; and by one that began before it, and commits after it."""
    await _again(ongoing, WRITES[name], level)
    async with ongoing.source_place.session(tenant=ongoing.tenant) as long:
        await long.execute(f"BEGIN ISOLATION LEVEL {level}")
        await _write(long, WRITES[name])
        await ongoing.step()
        await long.execute("COMMIT")
    verified = await ongoing.step_and_verify()
    assert verified.equal, verified.differences
    assert await ongoing.told_apart() == []


async def test_what_is_written_between_chunks_arrives(
    places: tuple[Place, Place], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of them once, at every level of isolation, while rows are being copied."""
    monkeypatch.setattr(chunks, "FIRST_ROWS", 7)
    monkeypatch.setattr(chunks, "MOST_ROWS", 7)
    left = [WRITES[name] for name in WRITES if name != LAST]
    levels, one_at_a_time = itertools.cycle(LEVELS), asyncio.Lock()
    async with journey(*places, "chunks") as moving:
        await moving.write(ROWS)
        await moving.begin()

        async def between(_progress: Progress) -> None:
            async with one_at_a_time:
                if left:
                    await _again(moving, left.pop(0), next(levels))

        for table in moving.schema.tables.values():
            await copy_table(
                *(moving.source, moving.destination, TOKEN, table, moving.schema, moving.since),
                before_chunk=between,
            )
        assert left == []
        assert (await moving.step_and_verify()).equal
        assert await moving.told_apart() == []


@pytest.mark.parametrize("level", LEVELS)
async def test_a_writer_that_began_before_capture_is_not_lost(places: tuple[Place, Place], level: str) -> None:
    """It is waited for, or sent back, or captured; whatever level it has, and whatever it has prepared."""
    source, destination = places
    tenant = f"before {level}"
    async with journey(source, destination, tenant) as moving:
        await moving.write(ROWS)
        await source.execute("UPDATE cellway.fence SET captured = false WHERE tenant_id = $1", tenant)
        async with source.session(tenant=tenant) as early, source.session() as switch:
            change = await early.prepare(f"UPDATE public.orders SET code = code - 1000 WHERE {MINE} AND id = $1")
            await change.fetch(0)
            await early.execute(f"BEGIN ISOLATION LEVEL {level}")
            await early.execute("SELECT count(*) FROM public.orders")  # its snapshot is from before
            await switch.execute(f"BEGIN; SELECT cellway.act('{moving.move_id}', {TOKEN})")
            await switch.execute("SELECT cellway.set_captured(true); COMMIT")
            await moving.copy()
            try:
                await change.fetch(1)
                await early.execute("COMMIT")
            except asyncpg.SerializationError:
                assert level != "READ COMMITTED"
                await early.execute("ROLLBACK")
            await change.fetch(2)
        assert (await moving.step_and_verify()).equal
        assert await moving.told_apart() == []
        assert (await moving.texts("public.orders"))[1][0] is not None


async def test_nobody_truncates_a_table_of_tenants(places: tuple[Place, Place]) -> None:
    """It would take other tenants' rows along, and no key of them is named; nor by way of what it refers to."""
    for statement in ("TRUNCATE public.loose", "TRUNCATE public.orders CASCADE"):
        with pytest.raises(asyncpg.FeatureNotSupportedError, match="shared by tenants"):
            await places[0].execute(statement)


async def test_a_transaction_that_is_prepared_to_commit_is_waited_for(places: tuple[Place, Place]) -> None:
    """It outlives its connection, and holds what every writer of the tenant holds; what it wrote was captured."""
    async with journey(*places, "prepared") as moving:
        await moving.write(ROWS)
        await moving.copy()
        async with moving.source_place.session(tenant=moving.tenant) as connection:
            await connection.execute(f"BEGIN; UPDATE public.orders SET code = -code WHERE {MINE} AND id < 9")
            await connection.execute("INSERT INTO public.orders (tenant, id) VALUES ('prepared', 999)")
            await connection.execute("PREPARE TRANSACTION 'later'")
        assert (await moving.step_and_verify()).equal
        with pytest.raises(Unavailable, match="lock"):
            await await_writers(moving.source, lock_ms=50)
        await moving.source_place.execute("COMMIT PREPARED 'later'")
        await await_writers(moving.source, lock_ms=2000)
        assert (await moving.step()).keys >= 9
        assert (await moving.step_and_verify()).equal
        assert await moving.told_apart() == []


async def test_rows_that_are_given_to_another_tenant_go(postgres_server: PostgresServer) -> None:
    """And come, when it is this one that they are given to; with the tenant in the key, and without."""
    ddl = """
        CREATE TABLE public.a (tenant text, id int, PRIMARY KEY (tenant, id));
        CREATE TABLE public.b (tenant uuid, id int PRIMARY KEY);
    """
    tables = {"public.a": "tenant", "public.b": "tenant"}
    source = await new_place(postgres_server, ddl, tables, adopted=True)
    destination = await new_place(postgres_server, ddl, tables, adopted=True)
    me, other = "6b7e4a51-6b5c-4b0e-9d5a-0d0a3c1f0001", "6b7e4a51-6b5c-4b0e-9d5a-0d0a3c1f0002"
    await source.execute(f"SELECT cellway.set_fence('{other}', 1, 'active', NULL)")
    async with journey(source, destination, me) as moving:
        for relation in tables:
            await source.execute(
                f"INSERT INTO {relation} VALUES ('{me}', 1), ('{me}', 2), ('{other}', 3), ('{other}', 4)"
            )
        await moving.copy()
        for relation in tables:
            for id_, tenant in ((1, other), (3, me)):
                await source.execute(f"UPDATE {relation} SET tenant = '{tenant}' WHERE id = {id_}")
        assert (await moving.step_and_verify()).equal
        for relation in tables:
            assert await destination.fetch(f"SELECT id FROM {relation} ORDER BY id") == [(2,), (3,)]


async def test_every_step_is_exact_while_all_of_them_write(places: tuple[Place, Place]) -> None:
    """At every level of isolation, in no order, until the last step."""
    stop, done = asyncio.Event(), 0
    async with journey(*places, "together") as moving:
        await moving.write(ROWS)

        async def writer(number: int) -> None:
            nonlocal done
            chance = random.Random(number)  # noqa: S311 the same writes each time
            async with moving.source_place.session(tenant=moving.tenant) as connection:
                while not stop.is_set():
                    try:
                        await connection.execute(f"BEGIN ISOLATION LEVEL {LEVELS[number]}")
                        for _ in range(chance.randint(1, 3)):
                            await _write(
                                connection, WRITES[chance.choice([name for name in WRITES if name != LAST])]
                            )
                        await connection.execute("COMMIT")
                        done += 1
                    except asyncpg.PostgresError:
                        await connection.execute("ROLLBACK")
                    await asyncio.sleep(REST_SECONDS)

        async with asyncio.TaskGroup() as group:
            for number in range(len(LEVELS)):
                group.create_task(writer(number))
            try:
                await moving.copy()
                unequal = [found for _ in range(6) if not (found := await moving.step_and_verify()).equal]
            finally:
                stop.set()
        assert not unequal
        assert done > 0
        await moving.step()
        assert await moving.told_apart() == []
