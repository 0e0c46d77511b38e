# ruff: noqa: S608  tables, tenants and values are the test's own
"""The first copy: chunks of their own moments, taken up again after a crash, in bounded memory."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from migration.copying import copy_table
from migration.errors import Clash, Obstacle
from migration.rules import chunks
from migration.rules.chunks import Chunk, Progress, progress_of
from migration.streams import Pipe
from runtime.embedded.postgres import PostgresServer
from tests.migration.cells import TOKEN, Journey, Place, journey, new_place

DDL = """
    CREATE TABLE public.p (tenant text, region text, id integer, u integer, v text,
        PRIMARY KEY (tenant, region, id), UNIQUE (tenant, u));
    CREATE TABLE public.bills (owner text NOT NULL, bill integer PRIMARY KEY);
"""
TABLES = {"public.p": "tenant", "public.bills": "owner"}
ROWS = """
    INSERT INTO public.p SELECT current_setting('app.tenant'), chr(97 + n % 3), n, n, repeat('x', n % 7)
    FROM generate_series(1, 100) n
"""


@pytest.fixture(scope="module")
async def places(postgres_server: PostgresServer) -> tuple[Place, Place]:
    """A small schema twice."""
    return await new_place(postgres_server, DDL, TABLES), await new_place(postgres_server, DDL, TABLES)


@pytest.fixture
async def moving(
    places: tuple[Place, Place], request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Journey]:
    """A tenant with a hundred rows, in chunks of ten."""
    monkeypatch.setattr(chunks, "FIRST_ROWS", 10)
    monkeypatch.setattr(chunks, "MOST_ROWS", 10)
    async with journey(*places, request.node.name[-60:]) as made:
        await made.write(ROWS)
        await made.begin()
        yield made


class Stopped(Exception):
    """What a test raises where a mover might die."""


async def test_chunks_that_were_copied_are_not_copied_again(moving: Journey) -> None:
    """Progress is committed with the rows, so a successor goes on behind them."""
    table, number = moving.schema.tables["public.p"], 0

    async def dies_at_the_fifth(_: Progress) -> None:
        nonlocal number
        number += 1
        if number == 5:
            raise Stopped

    arguments = (moving.source, moving.destination, TOKEN, table, moving.schema, moving.since)
    with pytest.raises(Stopped):
        await copy_table(*arguments, before_chunk=dies_at_the_fifth, lanes=1)
    left = progress_of(await moving.notes(), "public.p")
    assert (left.rows, left.done) == (40, False)
    done = await copy_table(*arguments, left)
    assert (done.rows, done.done) == (100, True)
    assert progress_of(await moving.notes(), "public.p") == done
    assert await moving.told_apart() == []


@pytest.mark.parametrize("lanes", [1, 2, 4])
async def test_lanes_commit_in_order(moving: Journey, lanes: int) -> None:
    """However many chunks are on their way, progress has no holes."""
    table = moving.schema.tables["public.p"]
    done = await copy_table(
        *(moving.source, moving.destination, TOKEN, table, moving.schema, moving.since), lanes=lanes
    )
    assert (done.after, done.done, done.rows) == (None, True, 100)
    assert await moving.told_apart() == []


@pytest.mark.parametrize("lanes", [1, 2])
async def test_rows_of_different_moments_that_clash_are_settled_by_a_step(moving: Journey, lanes: int) -> None:
    """A unique value that goes from a copied row to one yet to come is no obstacle."""
    table, number = moving.schema.tables["public.p"], 0

    async def swaps(_: Progress) -> None:
        nonlocal number
        number += 1
        if number in (3, 6, 8):
            await moving.write(
                f"UPDATE public.p SET u = -u WHERE tenant = '{moving.tenant}' AND id = {number}; "
                f"UPDATE public.p SET u = {number} WHERE tenant = '{moving.tenant}' AND id = {98 - number * 3}; "
                f"INSERT INTO public.p VALUES ('{moving.tenant}', 'c', {1000 + number}, {1000 + number}, 'new')"
            )

    await copy_table(
        *(moving.source, moving.destination, TOKEN, table, moving.schema, moving.since),
        before_chunk=swaps,
        lanes=lanes,
    )
    assert number >= 8
    assert (await moving.step_and_verify()).equal
    assert await moving.told_apart() == []


async def test_a_key_that_another_tenant_has_is_an_obstacle(moving: Journey) -> None:
    """It says which table and which key, whoever is asked to mend it."""
    await moving.destination_place.execute(
        "SET session_replication_role = replica; ALTER TABLE public.bills DISABLE TRIGGER ALL; "
        "INSERT INTO public.bills VALUES ('theirs', 8); ALTER TABLE public.bills ENABLE TRIGGER ALL"
    )
    await moving.write("INSERT INTO public.bills VALUES (current_setting('app.tenant'), 8)")
    with pytest.raises(Obstacle, match=r"public\.bills.*\(bill\)=\(8\)") as refused:
        await copy_table(
            *(moving.source, moving.destination, TOKEN, moving.schema.tables["public.bills"], moving.schema),
            since=moving.since,
        )
    assert isinstance(refused.value, Clash)


async def test_large_rows_make_small_chunks(moving: Journey, monkeypatch: pytest.MonkeyPatch) -> None:
    """A chunk is bounded in bytes, so its transaction is short whatever the rows are."""
    monkeypatch.setattr(chunks, "CHUNK_BYTES", 400_000)
    await moving.write(
        "INSERT INTO public.p SELECT current_setting('app.tenant'), 'd', n, n, "
        "(SELECT string_agg(md5((n * k)::text), '') FROM generate_series(1, 6000) k) "
        "FROM generate_series(101, 130) n"
    )
    sizes: list[int] = []
    before = 0

    async def sized(progress: Progress) -> None:
        nonlocal before
        sizes.append(progress.rows - before)
        before = progress.rows

    table = moving.schema.tables["public.p"]
    done = await copy_table(
        *(moving.source, moving.destination, TOKEN, table, moving.schema, moving.since),
        before_chunk=sized,
        lanes=1,
    )
    assert done.rows == 130
    assert max(sizes) == 10
    assert min(sizes[-3:]) <= 5
    assert await moving.told_apart() == []


async def test_a_pipe_holds_no_more_than_it_may() -> None:
    """The faster end waits for the slower one."""
    pipe = Pipe(most_bytes=10)
    held = []

    async def fast() -> None:
        for number in range(20):
            await pipe.put(bytes(4))
            held.append(4 * (number + 1))
        pipe.close()

    taken = 0
    async with asyncio.TaskGroup() as group:
        group.create_task(fast())
        async for data in pipe:
            taken += len(data)
            await asyncio.sleep(0)
            assert held[-1] - taken < 10 + 4
    assert taken == pipe.bytes == 80


@pytest.mark.parametrize(
    ("progress", "rows"),
    [
        (Progress(), chunks.FIRST_ROWS),
        (Progress(("x",), False, 1000, 1000 * 100, 100), 8000),
        (Progress(("x",), False, 10**6, 10**6 * 100, 200), chunks.CHUNK_BYTES // 200),
        (Progress(("x",), False, 10**7, 10**7, 1), chunks.MOST_ROWS),
        (Progress(("x",), False, 10, 10 * 10**9, 1), 1),
    ],
)
def test_the_next_chunk_is_sized_by_those_before(progress: Progress, rows: int) -> None:
    """By bytes, growing step by step, and never by none."""
    assert progress.chunk_rows() == rows


def test_progress_is_read_as_it_was_written() -> None:
    """Through JSON, at the destination."""
    progress = Progress(("a", "1"), False, 3, 4, 1).plus(Chunk(("a", "1"), ("b", "2")), 5, 60)
    assert progress == Progress(("b", "2"), False, 8, 64, 12)
    assert progress_of({"copied public.p": progress.as_json()}, "public.p") == progress
    assert progress_of({}, "public.p") == Progress()
