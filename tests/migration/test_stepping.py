# ruff: noqa: S608  tables, tenants and values are the test's own
"""Steps from snapshot to snapshot: after each, the destination equals the source exactly, whatever was written."""

import asyncio
import random
from collections.abc import AsyncIterator

import asyncpg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migration import stepping
from migration.errors import Lost, Obstacle, Superseded
from migration.rules import chunks
from migration.stepping import step
from runtime.embedded.postgres import PostgresServer
from tests.migration.cells import TOKEN, Journey, Place, journey, new_place
from tests.waiting import eventually

DDL = """
    CREATE TABLE public.p (
        tenant text, id bigint, v text, u integer, PRIMARY KEY (tenant, id), UNIQUE (tenant, u));
    CREATE TABLE public.k (tenant text, id bigint, pid bigint, PRIMARY KEY (tenant, id),
        FOREIGN KEY (tenant, pid) REFERENCES public.p ON DELETE CASCADE);
    CREATE TABLE public.loose (tenant text, v text);
"""
TABLES = {"public.p": "tenant", "public.k": "tenant", "public.loose": "tenant"}
ROWS = """
    INSERT INTO public.p SELECT current_setting('app.tenant'), n, 'v' || n, n FROM generate_series(1, 50) n;
    INSERT INTO public.k SELECT current_setting('app.tenant'), n, 1 + n % 50 FROM generate_series(1, 100) n;
    INSERT INTO public.loose SELECT current_setting('app.tenant'), 'same' FROM generate_series(1, 3) n;
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


def mine(statement: str) -> str:
    """The tests' writers are superusers, so they say whose rows they mean."""
    return f"{statement} AND tenant = current_setting('app.tenant')"


async def test_a_transaction_that_logs_first_and_commits_last_is_not_lost(copied: Journey) -> None:
    """The order of the log is not the order of commits: reading it by number would never see this one."""
    async with copied.source_place.session(tenant=copied.tenant) as slow:
        late = slow.transaction()
        await late.start()
        await slow.execute(mine("UPDATE public.p SET v = 'late' WHERE id = 1"))
        await copied.write(mine("UPDATE public.p SET v = 'early' WHERE id = 2"))
        assert (await copied.step_and_verify()).equal
        await late.commit()
    assert (await copied.step()).keys == 1
    assert await copied.told_apart() == []


async def test_two_rows_swap_a_unique_value(copied: Journey) -> None:
    """Row by row, one of them would always be in the other's way."""
    await copied.write(
        "; ".join(
            mine(f"UPDATE public.p SET u = {u} WHERE id = {id_}") for id_, u in ((1, -1), (2, 1), (1, 2), (50, -7))
        )
    )
    assert (await copied.step_and_verify()).equal
    assert await copied.told_apart() == []


async def test_a_cascade_is_brought_too(copied: Journey) -> None:
    """At the destination no foreign key acts: what it did at the source was captured there."""
    await copied.write(mine("DELETE FROM public.p WHERE id <= 5"))
    done = await copied.step()
    assert (done.keys, done.rows) == (15, 0)
    assert await copied.told_apart() == []


async def test_a_step_again_does_no_harm(copied: Journey) -> None:
    """Its outcome may be unknown: from the same snapshot it comes to the same."""
    since = copied.since
    await copied.write(
        mine("UPDATE public.p SET v = 'x' WHERE id < 9") + "; " + mine("DELETE FROM public.p WHERE id = 9")
    )
    first = await copied.step()
    copied.since = since
    again = await copied.step()
    assert (again.keys, again.rows, again.bytes) == (first.keys, first.rows, first.bytes)
    assert await copied.told_apart() == []


async def test_a_step_notes_its_snapshot_with_its_rows(copied: Journey) -> None:
    """Whoever takes the move up goes on from there."""
    await copied.write(mine("UPDATE public.p SET v = 'x' WHERE id < 9"))
    done = await copied.step()
    noted = await copied.destination_place.fetch(
        "SELECT snapshot FROM cellway.moves WHERE move_id = $1", copied.move_id
    )
    assert noted == [(done.snapshot,)]


async def test_nothing_written_is_a_step_of_nothing(copied: Journey) -> None:
    """And moves the snapshot on nevertheless."""
    done = await copied.step()
    assert (done.keys, done.rows, done.bytes) == (0, 0, 0)


async def test_a_difference_of_many_batches_is_one_step(copied: Journey, monkeypatch: pytest.MonkeyPatch) -> None:
    """All keys are deleted before the first row comes, so swaps across batches do not clash."""
    monkeypatch.setattr(stepping, "BATCH_KEYS", 7)
    await copied.write(
        mine("UPDATE public.p SET u = u + 1000 WHERE true")
        + "; "
        + mine("UPDATE public.p SET u = 51 - id WHERE true")
        + "; INSERT INTO public.loose VALUES (current_setting('app.tenant'), 'more'); "
        + mine("DELETE FROM public.k WHERE id % 3 = 0")
    )
    done = await copied.step()
    assert done.keys == 50 + 33 + 1
    assert (await copied.step_and_verify()).equal
    assert await copied.told_apart() == []


async def test_a_table_without_a_key_is_copied_again_when_written(copied: Journey) -> None:
    """Nothing tells its rows apart, not even equal ones."""
    await copied.write("INSERT INTO public.loose SELECT current_setting('app.tenant'), 'same'")
    assert (await copied.step()).rows == 4
    assert (await copied.step()).rows == 0
    assert await copied.told_apart() == []


async def test_a_large_table_without_a_key_is_refused(copied: Journey) -> None:
    """It would be copied again after every write."""
    await copied.write("INSERT INTO public.loose SELECT current_setting('app.tenant'), 'x'")
    with pytest.raises(Obstacle, match=r"public\.loose.*has no key.*primary key"):
        async with copied.source.reading() as reader, copied.destination.writing(TOKEN) as writing:
            await step(reader, writing, copied.schema, copied.since, most_keyless_rows=3)


async def test_a_snapshot_of_another_server_is_lost(copied: Journey) -> None:
    """After a fail-over, numbers of transactions mean other ones."""
    with pytest.raises(Lost, match="another history"):
        async with copied.source.reading() as reader, copied.destination.writing(TOKEN) as writing:
            await step(reader, writing, copied.schema, copied.since, history="elsewhere:00000001")
    copied.since = "900000000:900000000:"
    with pytest.raises(Lost, match="another history"):
        await copied.step()


async def test_a_mover_that_was_replaced_changes_nothing(copied: Journey) -> None:
    """Its successor has raised the token."""
    await copied.write(mine("UPDATE public.p SET v = 'x' WHERE id < 9"))
    before = (await copied.texts("public.p"))[1]
    await copied.destination_place.execute(
        "SELECT cellway.take($1, $2, $3)", copied.move_id, copied.tenant, TOKEN + 1
    )
    with pytest.raises(Superseded):
        await copied.step()
    assert (await copied.texts("public.p"))[1] == before


async def test_a_destination_that_serves_the_tenant_takes_no_step(copied: Journey) -> None:
    """The fence is not held for this move any more: a late step must not undo what was written since."""
    await copied.write(mine("UPDATE public.p SET v = 'x' WHERE id < 9"))
    await copied.destination_place.execute("SELECT cellway.set_fence($1, 1000000, 'active', NULL)", copied.tenant)
    with pytest.raises(Superseded):
        await copied.step()


async def test_a_step_that_is_cancelled_leaves_nothing(copied: Journey) -> None:
    """No row, no note, and no transaction in either database."""
    await copied.write(mine("UPDATE public.p SET v = 'x' WHERE id < 9"))
    before = (await copied.texts("public.p"))[1]
    entered = asyncio.Event()

    async def held() -> None:
        async with copied.source.reading() as reader, copied.destination.writing(TOKEN) as writing:
            await step(reader, writing, copied.schema, copied.since)
            entered.set()
            await asyncio.Event().wait()

    async with asyncio.TaskGroup() as group:
        task = group.create_task(held())
        await entered.wait()
        task.cancel()

    async def is_quiet() -> bool:
        found = await copied.source_place.fetch(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE $1 AND state <> 'idle'",
            f"%{copied.move_id}",
        )
        return found == [(0,)]

    await eventually(is_quiet)
    assert (await copied.texts("public.p"))[1] == before
    await copied.step()
    assert await copied.told_apart() == []


async def test_a_schema_that_changes_stops_the_move(postgres_server: PostgresServer) -> None:
    """Columns that came later would be missing without a word."""
    places = await new_place(postgres_server, DDL, TABLES), await new_place(postgres_server, DDL, TABLES)
    async with journey(*places) as moving:
        await moving.write(ROWS)
        await moving.copy()
        await moving.source_place.execute("ALTER TABLE public.p ADD COLUMN more text")
        await moving.write(mine("UPDATE public.p SET more = 'x' WHERE id = 1"))
        with pytest.raises(Obstacle, match="changed during the move"):
            await moving.step()


async def test_another_tenants_key_at_the_destination_is_an_obstacle(postgres_server: PostgresServer) -> None:
    """With a key that is not the tenant's, two cells can give the same number to two tenants."""
    ddl = "CREATE TABLE public.bills (owner bigint NOT NULL, bill integer PRIMARY KEY, v text)"
    tables = {"public.bills": "owner"}
    source = await new_place(postgres_server, ddl, tables, adopted=True)
    destination = await new_place(postgres_server, ddl, tables, adopted=True)
    await destination.execute("SELECT cellway.set_fence('2', 1, 'active', NULL)")
    await destination.execute("INSERT INTO public.bills VALUES (2, 77, 'theirs')")
    async with journey(source, destination, "1") as moving:
        await moving.write("INSERT INTO public.bills VALUES (1, 76, 'ours')")
        await moving.copy()
        await moving.write("INSERT INTO public.bills VALUES (1, 77, 'ours')")
        with pytest.raises(Obstacle, match=r"public\.bills.*\(bill\)=\(77\)"):
            await moving.step()
        await moving.write("UPDATE public.bills SET bill = 78 WHERE bill = 77")
        assert (await moving.step_and_verify()).equal
    assert await destination.fetch("SELECT owner, bill FROM public.bills ORDER BY bill") == [
        (1, 76),
        (2, 77),
        (1, 78),
    ]


async def test_every_step_is_exact_while_writers_go_on(copied: Journey, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four writers, from before the first of many chunks on, with swaps, cascades and both levels of isolation."""
    monkeypatch.setattr(chunks, "FIRST_ROWS", 7)
    monkeypatch.setattr(chunks, "MOST_ROWS", 7)
    stop = asyncio.Event()
    written = 0

    async def writer(number: int) -> None:
        nonlocal written
        chance = random.Random(number)  # noqa: S311 the same writes each time
        level = "BEGIN" if number % 2 else "BEGIN ISOLATION LEVEL REPEATABLE READ"
        async with copied.source_place.session(tenant=copied.tenant) as connection:
            while not stop.is_set():
                try:
                    await connection.execute(f"{level}; {_some_write(chance)}; COMMIT")
                    written += 1
                except asyncpg.PostgresError:
                    await connection.execute("ROLLBACK")
                await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        for number in range(4):
            group.create_task(writer(number))
        try:
            await copied.clear()
            await copied.copy()
            unequal = [verified for _ in range(10) if not (verified := await copied.step_and_verify()).equal]
        finally:
            stop.set()
    assert not unequal
    assert written > 20
    await copied.step()
    assert await copied.told_apart() == []


def _some_write(chance: random.Random) -> str:
    one, other = chance.sample(range(1, 60), 2)
    return chance.choice(
        (
            mine(f"UPDATE public.p SET v = v || 'y' WHERE id = {one}"),
            "; ".join(
                mine(statement)
                for statement in (
                    f"SELECT FROM public.p WHERE id IN ({one}, {other})",
                    f"UPDATE public.p SET u = -u - 1000000 WHERE id IN ({one}, {other})",
                    f"UPDATE public.p SET u = 2000001 + u - 1000000 + {other} - {one} WHERE id = {one}",
                )
            ),
            mine(f"DELETE FROM public.p WHERE id = {one}"),
            f"INSERT INTO public.p VALUES (current_setting('app.tenant'), {one}, 'n', {one}) "
            "ON CONFLICT DO NOTHING",
            f"INSERT INTO public.k SELECT tenant, {chance.randrange(10**9)}, id FROM public.p WHERE id = {other} "
            "AND tenant = current_setting('app.tenant')",
            "INSERT INTO public.loose VALUES (current_setting('app.tenant'), 'same')",
        )
    )


WRITES = st.one_of(
    st.tuples(st.just("put"), st.integers(1, 6), st.integers(1, 6)),
    st.tuples(st.just("remove"), st.integers(1, 6), st.just(0)),
    st.tuples(st.just("swap"), st.integers(1, 6), st.integers(1, 6)),
    st.tuples(st.just("rename"), st.integers(1, 6), st.integers(1, 6)),
    st.tuples(st.just("child"), st.integers(1, 6), st.integers(1, 6)),
    st.tuples(st.just("loose"), st.integers(1, 6), st.just(0)),
)


@pytest.fixture(scope="module")
async def ongoing(places: tuple[Place, Place]) -> AsyncIterator[Journey]:
    """One move that all examples go on with: each begins where the last one ended."""
    async with journey(*places, "histories") as made:
        await made.copy()
        yield made


@settings(max_examples=15)
@given(history=st.lists(st.tuples(st.lists(WRITES, min_size=1, max_size=5), st.booleans()), max_size=5))
async def test_sums_are_equal_after_every_step(
    ongoing: Journey, history: list[tuple[list[tuple[str, int, int]], bool]]
) -> None:
    """Transactions that commit or not, with a step after each."""
    for writes, commits in history:
        async with ongoing.source_place.session(tenant=ongoing.tenant) as connection:
            await connection.execute("BEGIN")
            for write in writes:
                await _write(connection, *write)
            await connection.execute("COMMIT" if commits else "ROLLBACK")
        assert (await ongoing.step_and_verify()).equal
    assert await ongoing.told_apart() == []


async def _write(connection: asyncpg.Connection, verb: str, one: int, other: int) -> None:  # type: ignore[type-arg]
    tenant = "current_setting('app.tenant')"
    statement = {
        "put": f"INSERT INTO public.p VALUES ({tenant}, {one}, 'v{other}', {other}) "
        "ON CONFLICT (tenant, id) DO UPDATE SET v = excluded.v || 'x'",
        "remove": f"DELETE FROM public.p WHERE tenant = {tenant} AND id = {one}",
        "swap": f"UPDATE public.p SET u = -u WHERE tenant = {tenant} AND id = {one}; "
        f"UPDATE public.p SET u = {one} WHERE tenant = {tenant} AND id = {other}",
        "rename": f"UPDATE public.p SET id = {other} WHERE tenant = {tenant} AND id = {one}",
        "child": f"INSERT INTO public.k VALUES ({tenant}, {one * 10 + other}, {other}) ON CONFLICT DO NOTHING",
        "loose": f"INSERT INTO public.loose VALUES ({tenant}, 'v{one}')",
    }[verb]
    await connection.execute("SAVEPOINT before")
    try:
        await connection.execute(statement)
    except asyncpg.IntegrityConstraintViolationError:
        await connection.execute("ROLLBACK TO before")
