"""Tables that are altered while a tenant moves: it is noticed in whatever phase, and nothing is lost."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from directory.postgres import PostgresDirectory
from directory.postgres_moves import PostgresMoves
from directory.values import Move, MoveOptions, NewMove
from migration import stepping
from migration.carrier import Carrier
from migration.databases import Databases
from migration.errors import Obstacle
from migration.pacing import Paces
from runtime import database
from runtime.embedded.postgres import PostgresServer
from tests.directory.examples import new_tenant, open_cell
from tests.migration.cells import TOKEN, Place, journey, new_place
from tests.servers import ControlDatabase
from tests.waiting import eventually

DDL = """
    CREATE TYPE public.mood AS ENUM ('sad', 'ok');
    CREATE TABLE public.t (tenant text, id int, v text, n numeric, m public.mood DEFAULT 'ok',
        PRIMARY KEY (tenant, id));
    CREATE TABLE public.u (tenant text, id int, PRIMARY KEY (tenant, id));
    GRANT SELECT, INSERT, DELETE ON public.t, public.u TO engine_mover;
    GRANT USAGE ON SCHEMA public, cellway TO engine_mover;
    GRANT SELECT ON cellway.tables TO engine_mover;
    GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA cellway TO engine_mover;
"""
TABLES = {"public.t": "tenant", "public.u": "tenant"}
ROWS = "INSERT INTO public.t SELECT 'acme', n, 'v' || n, n / 7.0 FROM generate_series(1, 30) n"
WITHOUT_A_WRITE = {
    "a column with a value for each row": "ALTER TABLE public.t ADD COLUMN late int DEFAULT 7",
    "rows written anew by the same type": "ALTER TABLE public.t ALTER v TYPE text USING upper(v)",
    "a narrower type": "ALTER TABLE public.t ALTER n TYPE numeric(10, 1)",
    "a label that is called otherwise": "ALTER TYPE public.mood RENAME VALUE 'ok' TO 'fine'",
    "capture that was off for a while": "ALTER TABLE public.t DISABLE TRIGGER ALL; "
    "UPDATE public.t SET v = 'unseen'; ALTER TABLE public.t ENABLE ALWAYS TRIGGER cellway_guard; "
    "ALTER TABLE public.t ENABLE ALWAYS TRIGGER cellway_capture_insert; "
    "ALTER TABLE public.t ENABLE ALWAYS TRIGGER cellway_capture_update; "
    "ALTER TABLE public.t ENABLE ALWAYS TRIGGER cellway_capture_delete",
    "a column in another's place": "ALTER TABLE public.t DROP COLUMN v; ALTER TABLE public.t ADD COLUMN v text",
}
"""Rows change, and no trigger fires."""
WIDER = ("ALTER TABLE public.t ALTER n TYPE numeric(10, 1)", "ALTER TABLE public.t ALTER n TYPE numeric")


@dataclass
class Stage:
    """A tenant in a cell, and what a mover needs to carry it to another."""

    source: Place
    destination: Place
    moves: PostgresMoves
    """As operators have them."""
    carried: PostgresMoves
    """As movers have them."""
    directory: PostgresDirectory
    databases: Databases
    paces: Paces

    async def begin(self, *, verify: bool) -> Move:
        """A move that waits before its switch."""
        return await self.moves.plan(NewMove("acme", "destination", MoveOptions(hold=True, verify=verify)))

    async def carry(self, *, until: str = "") -> Move:
        """As a mover does after each rest, with all that it knew forgotten."""
        move = await self.carried.claim("test", 30.0, 4)
        assert move is not None
        claimed = Carrier(self.carried, self.directory, self.databases, self.paces, move)
        try:
            await claimed.carry()
        finally:
            await self.carried.let_go(move.move_id, move.token, 0.0)
        assert until in ("", claimed.move.phase), claimed.move
        return claimed.move

    async def at_both(self) -> tuple[list[tuple[object, ...]], list[tuple[object, ...]]]:
        statement = "SELECT to_jsonb(t)::text FROM public.t WHERE tenant = 'acme' ORDER BY id"
        return await self.source.fetch(statement), await self.destination.fetch(statement)


@pytest.fixture
async def stage(
    postgres_server: PostgresServer, control_database: ControlDatabase, tmp_path: Path
) -> AsyncIterator[Stage]:
    """With rows."""
    places = {name: await new_place(postgres_server, DDL, TABLES) for name in ("source", "destination")}
    pool = await database.open_pool(control_database.writer_dsn, name="test", size=4)
    movers = await database.open_pool(control_database.mover_dsn, name="test", size=4)
    directory, moves = PostgresDirectory(pool), PostgresMoves(pool)
    for name, place in places.items():
        await open_cell(directory, name, 1000)
        (tmp_path / name).write_text(place.dsn("engine_mover"))
    created = await directory.create_tenant(new_tenant("acme"), "source")
    await directory.applied("acme", created.revision)
    assert created.assignment is not None
    epoch = created.assignment.epoch
    async with places["source"].session(tenant="acme") as connection:
        await connection.execute("SELECT cellway.set_fence('acme', $1, 'active', NULL)", epoch)
        await connection.execute(f"SET app.epoch = {epoch}")
        await connection.execute(ROWS)
    carried, known = PostgresMoves(movers), PostgresDirectory(movers)
    databases = Databases(tmp_path)
    paces = Paces(databases)
    yield Stage(**places, moves=moves, carried=carried, directory=known, databases=databases, paces=paces)
    await paces.close()
    pool.terminate()
    movers.terminate()


@pytest.mark.parametrize("change", WITHOUT_A_WRITE)
async def test_rows_that_changed_without_a_write_are_copied_again(stage: Stage, change: str) -> None:
    """Also after everything was compared, and whoever carries the move by then."""
    move = await stage.begin(verify=True)
    ready = await stage.carry(until="READY")
    assert ready.proof["equal"]
    await stage.source.execute(WITHOUT_A_WRITE[change])
    if not change.startswith("capture"):
        await stage.destination.execute(WITHOUT_A_WRITE[change])
    await stage.carry(until="READY")
    assert (await stage.moves.move(move.move_id)).progress["copied_again"] == 1
    here, there = await stage.at_both()
    assert here == there
    await stage.moves.ask(move.move_id, "switch")
    await stage.carry(until="REVERSIBLE")
    here, there = await stage.at_both()
    assert here == there
    assert len(there) == 30


async def test_a_destination_that_was_narrower_for_a_while_is_copied_again(stage: Stage) -> None:
    """What it rounded meanwhile it does not give back."""
    await stage.begin(verify=False)
    await stage.carry(until="READY")
    for change in WIDER:
        await stage.destination.execute(change)
    await stage.carry(until="READY")
    here, there = await stage.at_both()
    assert here == there


async def test_a_column_that_comes_before_the_switch_is_an_obstacle_until_both_have_it(stage: Stage) -> None:
    """The rows that are told to move are those of all columns."""
    move = await stage.begin(verify=True)
    await stage.carry(until="READY")
    await stage.moves.ask(move.move_id, "switch")
    added = "ALTER TABLE public.t ADD COLUMN late text DEFAULT 'x'"
    await stage.source.execute(added)
    with pytest.raises(Obstacle, match=r"public\.t\.late: is missing at the destination"):
        await stage.carry()
    await stage.destination.execute(added)
    await stage.carry(until="REVERSIBLE")
    here, there = await stage.at_both()
    assert here == there


async def test_a_way_back_between_other_tables_is_a_copy(stage: Stage) -> None:
    """What was left at the source is not what it would be now."""
    move = await stage.begin(verify=False)
    await stage.carry(until="READY")
    await stage.moves.ask(move.move_id, "switch")
    await stage.carry(until="REVERSIBLE")
    await stage.destination.execute("ALTER TABLE public.t ALTER v TYPE text USING upper(v)")
    back = await stage.moves.plan(NewMove("acme", "source", MoveOptions(verify=False), reverses=move.move_id))
    carried = await stage.carry()
    assert carried.move_id == back.move_id
    assert carried.progress["rows_copied"] == 30
    here, there = await stage.at_both()
    assert here == there
    assert here[0][0] is not None
    assert '"V1"' in str(here[0][0])


async def test_nobody_alters_a_table_between_the_last_snapshot_and_its_reading(
    postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table that was written anew seems to be empty to whoever has an older snapshot."""
    places = [await new_place(postgres_server, DDL, TABLES) for _ in range(2)]
    async with journey(places[0], places[1]) as moving:
        await moving.write(ROWS)
        await moving.copy()
        await moving.write("UPDATE public.t SET v = 'x'")
        real, altering = stepping.send, []

        async def altered(*arguments: object) -> None:
            if not altering:
                altering.append(
                    asyncio.create_task(moving.source_place.execute(WITHOUT_A_WRITE["a narrower type"]))
                )
                await _until_it_waits(places[0])
            await real(*arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(stepping, "send", altered)
        reading = moving.source.reading(standing=moving.schema.tables)
        async with reading as reader, moving.destination.writing(TOKEN) as writing:
            stepped = await stepping.step(reader, writing, moving.schema, moving.since)
        await altering[0]
        assert stepped.rows == 30
        assert await moving.destination_place.fetch("SELECT count(*) FROM public.t") == [(30,)]


async def _until_it_waits(place: Place) -> None:
    async def waits() -> bool:
        found = await place.fetch(
            "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'public.t'::regclass"
        )
        return found == [(1,)]

    await eventually(waits)


async def test_what_a_step_refers_to_has_to_be_there(postgres_server: PostgresServer) -> None:
    """Rows that do not move may have come to the source since everything was looked at."""
    ddl = """
        CREATE TABLE public.lands (code text PRIMARY KEY);
        INSERT INTO public.lands VALUES ('de');
        CREATE TABLE public.t (tenant text, id int, land text REFERENCES public.lands, PRIMARY KEY (tenant, id));
    """
    tables = {"public.t": "tenant"}
    places = [await new_place(postgres_server, ddl, tables) for _ in range(2)]
    async with journey(places[0], places[1]) as moving:
        await moving.write("INSERT INTO public.t VALUES ('acme', 1, 'de'), ('acme', 2, NULL)")
        await moving.copy()
        await moving.step()
        await moving.source_place.execute("INSERT INTO public.lands VALUES ('it')")
        await moving.write("UPDATE public.t SET land = 'it' WHERE id = 2")
        with pytest.raises(Obstacle, match=r"public\.t \(land\) = \(it\) refers to public\.lands"):
            await moving.step()
        await moving.destination_place.execute("INSERT INTO public.lands VALUES ('it')")
        assert (await moving.step_and_verify()).equal
