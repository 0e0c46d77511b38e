"""Sources are spared: real commits that become slow, and what becomes of the copies that they are slow for."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from loadtests.history.proxy import Proxy
from migration import pacing, probing
from migration.copying import copy_table
from migration.databases import Databases
from migration.pacing import Paces
from migration.rules import chunks
from migration.rules.chunks import Progress
from migration.rules.pace import WINDOW, Bounds
from runtime.embedded.postgres import PostgresServer
from tests.migration.cells import TOKEN, Place, journey, new_place
from tests.servers import PASSWORD
from tests.waiting import eventually

DDL = "CREATE TABLE public.p (tenant text, id integer, PRIMARY KEY (tenant, id))"
TABLES = {"public.p": "tenant"}
ROWS = "INSERT INTO public.p SELECT current_setting('app.tenant'), n FROM generate_series(1, 100) n"
BOUNDS = Bounds(tolerance_seconds=0.05, least=0.5, most=4.0)
"""Far from what a noisy machine does, and as far from what is called slow here."""
PROBERS = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'cellway-pace' AND datname = $1"
CELL = "source"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """Whose commits wait for the disk, and longer when they are told to."""
    settings = {"commit_siblings": "0", "shared_buffers": "16MB"}
    with PostgresServer(tmp_path_factory.mktemp("paced") / "data", PASSWORD, settings=settings) as started:
        yield started


@pytest.fixture(scope="module")
async def places(server: PostgresServer) -> tuple[Place, Place]:
    """A small schema twice."""
    return await new_place(server, DDL, TABLES), await new_place(server, DDL, TABLES)


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody copies without knowing what is usual, and that is soon known."""
    for name, seconds in {
        "PROBE_SECONDS": 0.001,
        "HURRY_SECONDS": 0.001,
        "IDLE_SHARE": 0.0,
        "FREE_SECONDS": -1.0,
        "LEARN_SECONDS": 60.0,
        "TELL_SECONDS": 0.01,
    }.items():
        monkeypatch.setattr(pacing, name, seconds)


@asynccontextmanager
async def pacing_of(folder: Path, address: str, bounds: Bounds = BOUNDS) -> AsyncIterator[Paces]:
    """One mover's, that copies from this address."""
    (folder / CELL).write_text(address)
    paces = Paces(Databases(folder), bounds)
    yield paces
    await paces.close()


@pytest.fixture
async def paces(places: tuple[Place, Place], tmp_path: Path) -> AsyncIterator[Paces]:
    """Of a mover, which has a mover's rights there."""
    async with pacing_of(tmp_path, places[0].dsn("engine_mover")) as made:
        yield made


@asynccontextmanager
async def told(place: Place, setting: str, value: str) -> AsyncIterator[None]:
    """Its server goes by another setting."""
    for statement in (f"ALTER SYSTEM SET {setting} = {value}", "SELECT pg_reload_conf()"):
        await place.execute(statement)
    try:
        yield
    finally:
        for statement in (f"ALTER SYSTEM RESET {setting}", "SELECT pg_reload_conf()"):
            await place.execute(statement)


def slow(place: Place) -> AbstractAsyncContextManager[None]:
    """Every commit of its server takes a tenth of a second."""
    return told(place, "commit_delay", "100000")


async def nothing() -> None:
    """Nobody is told that a chunk waits."""


def looks(copying: str) -> float:
    """How often a source was looked at, while something was copied or not."""
    name = "cellway_migration_source_commit_seconds_count"
    return REGISTRY.get_sample_value(name, {"copying": copying}) or 0.0


async def test_a_source_whose_commits_become_slow_is_spared_until_they_are_not(
    paces: Paces, places: tuple[Place, Place]
) -> None:
    """Down to the floor, and back to full speed."""
    async with paces.copying(CELL) as turns:
        async with turns.chunk(nothing) as share:
            assert (share, turns.source.pace.learnt) == (1.0, True)
        async with slow(places[0]), turns.chunk(nothing):
            await eventually(lambda: turns.source.pace.limit == BOUNDS.least)
        async with turns.chunk(nothing) as share:
            assert share == BOUNDS.least
            await eventually(lambda: turns.source.pace.limit == BOUNDS.most)
        told = turns.told()
        assert told["usual_commit_ms"] < 100


async def test_a_source_that_is_as_usual_is_copied_from_at_full_speed(paces: Paces) -> None:
    """However many look at it at once."""
    async with paces.copying(CELL) as turns, turns.chunk(nothing), turns.chunk(nothing):
        before = looks("yes")
        await eventually(lambda: looks("yes") >= before + 3 * WINDOW)
        assert turns.source.pace.limit == BOUNDS.most


async def test_a_copy_that_is_held_copies_everything_in_smaller_chunks(
    paces: Paces, places: tuple[Place, Place], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told why it takes so long."""
    monkeypatch.setattr(chunks, "FIRST_ROWS", 10)
    monkeypatch.setattr(chunks, "MOST_ROWS", 10)
    seen: list[int] = []

    async def seeing(progress: Progress) -> None:
        seen.append(progress.rows)

    async with journey(*places, "held") as moving, paces.copying(CELL) as turns:
        await moving.write(ROWS)
        await moving.begin()
        async with turns.chunk(nothing):
            assert turns.source.pace.learnt
        async with slow(places[0]):
            async with turns.chunk(nothing):
                await eventually(lambda: turns.source.pace.limit == BOUNDS.least)
            done = await copy_table(
                *(moving.source, moving.destination, TOKEN, moving.schema.tables["public.p"]),
                *(moving.schema, moving.since),
                before_chunk=seeing,
                turns=turns,
            )
        assert (done.rows, done.done) == (100, True)
        assert await moving.told_apart() == []
        assert 5 in seen
        said = turns.told()
        assert said["throttled"] > 0
        assert said["commit_ms"] > said["usual_commit_ms"]


async def test_moves_out_of_one_cell_share_one_probe_and_what_it_has_learnt(
    paces: Paces, places: tuple[Place, Place]
) -> None:
    """A hundred moves do not ask a hundred times, and nobody asks when nothing is copied."""

    async def probers() -> int:
        number: int = (await places[1].fetch(PROBERS.replace("$1", f"'{places[0].name}'")))[0][0]
        return number

    async with paces.copying(CELL) as one, paces.copying(CELL) as other:
        assert one.source is other.source
        async with one.chunk(nothing):
            assert await probers() == 1
        async with other.chunk(nothing):
            assert await probers() == 1
        source = one.source

    async def no_prober() -> bool:
        return await probers() == 0

    await eventually(no_prober)
    async with paces.copying(CELL) as later:
        assert later.source is source
        assert later.source.pace.learnt


async def test_whoever_copies_only_for_a_moment_does_not_wait_to_know_what_is_usual(
    paces: Paces, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Most tenants are small. It copies a little at a time, and rests in between."""
    monkeypatch.setattr(pacing, "FREE_SECONDS", 60.0)
    async with paces.copying(CELL) as turns:
        async with turns.chunk(nothing) as share:
            assert (share, turns.source.pace.learnt) == (pacing.GENTLE_PART, False)
        assert turns.told()["throttled"] > 0


async def test_gentle_chunks_come_one_after_the_other_however_many_would(
    paces: Paces, places: tuple[Place, Place], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two at once, each resting for half of the time, would leave no moment without one."""
    monkeypatch.setattr(pacing, "FREE_SECONDS", 60.0)
    times: list[tuple[float, float]] = []
    async with paces.copying(CELL) as turns:

        async def copies() -> None:
            async with turns.chunk(nothing):
                began = time.monotonic()
                await places[0].fetch("SELECT count(*) FROM generate_series(1, 50000)")
                times.append((began, time.monotonic()))

        await asyncio.gather(*(copies() for _ in range(3)))
    for (began, ended), (later, _) in itertools.pairwise(sorted(times)):
        assert later - ended >= 0.9 * (ended - began)


async def test_where_a_role_may_not_probe_copies_go_on_as_they_did(server: PostgresServer, tmp_path: Path) -> None:
    """Nothing is measured, so nothing is held."""
    place = await new_place(server, DDL, TABLES)
    await place.execute(
        "DO $$ DECLARE one regprocedure; BEGIN FOR one IN SELECT oid FROM pg_proc "
        "WHERE proname = 'pg_logical_emit_message' LOOP "
        "EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', one); END LOOP; END $$"
    )
    async with pacing_of(tmp_path, place.dsn("engine_mover")) as made, made.copying(CELL) as turns:
        for _ in range(3):
            async with turns.chunk(nothing) as share:
                assert share == 1.0
        assert not turns.source.pace.learnt


async def test_a_source_that_goes_away_is_looked_at_again_when_it_is_back(
    places: tuple[Place, Place], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The copy fails by itself; what looks at the source does not, and holds nobody meanwhile."""
    monkeypatch.setattr(pacing, "LEARN_SECONDS", 0.0)
    async with Proxy(CELL) as proxy:
        proxy.target = lambda: places[0].server.port
        address = places[0].dsn("engine_mover").replace(f":{places[0].server.port}/", f":{proxy.port}/")
        async with pacing_of(tmp_path, address) as made, made.copying(CELL) as turns:
            async with proxy.cut(), turns.chunk(nothing):
                assert not turns.source.pace.learnt
            await eventually(lambda: turns.source.pace.learnt)
            async with proxy.cut(), turns.chunk(nothing) as share:
                assert share == 1.0
            looked = looks("no")
            await eventually(lambda: looks("no") > looked)


async def test_commits_that_do_not_end_in_time_are_slow(
    paces: Paces, places: tuple[Place, Place], monkeypatch: pytest.MonkeyPatch
) -> None:
    """How slow is not waited for: of a server whose standby is gone, say."""
    async with paces.copying(CELL) as turns, turns.chunk(nothing):
        monkeypatch.setattr(probing, "DEADLINE_SECONDS", 0.1)
        async with told(places[0], "synchronous_standby_names", "'nobody'"):
            await eventually(lambda: turns.source.pace.limit < BOUNDS.most)
            await eventually(lambda: turns.source.told()["commit_ms"] == 100)


async def test_whoever_waits_may_give_up_and_those_behind_still_get_their_turn(
    places: tuple[Place, Place], tmp_path: Path
) -> None:
    """An operator who cancels or pauses a move does not wait for its turn."""

    class Stopped(Exception):
        """Something else is wanted of it."""

    async def stops() -> None:
        raise Stopped

    one_at_once = Bounds(tolerance_seconds=0.05, least=1.0, most=1.0)
    taken, go = asyncio.Queue[str](), asyncio.Event()
    async with (
        pacing_of(tmp_path, places[0].dsn("engine_mover"), one_at_once) as made,
        made.copying(CELL) as turns,
        asyncio.TaskGroup() as group,
    ):

        async def copies(name: str) -> None:
            async with turns.chunk(nothing):
                taken.put_nowait(name)
                await go.wait()

        group.create_task(copies("first"))
        assert await taken.get() == "first"
        with pytest.raises(Stopped):
            async with turns.chunk(stops):
                pass
        group.create_task(copies("second"))
        go.set()
        assert await taken.get() == "second"
