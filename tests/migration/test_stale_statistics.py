# ruff: noqa: S608  tables and values are the test's own
"""What a step reads is what was written, however wrong a planner is about the tenant."""

import pytest

from migration import statistics
from migration.stepping import step
from runtime.database import Connection
from runtime.embedded.postgres import PostgresServer
from tests.migration.cells import TOKEN, Journey, Place, journey, new_place

ROWS, WRITTEN, MARGIN = 5000, 300, 4
"""Some nodes of a plan look at a row once more; one that looks at each row of the tenant exceeds this far."""
TABLES = {
    "with_tenant": "PRIMARY KEY (tenant, id)); CREATE INDEX ON public.with_tenant (tenant, at)",
    "tenant_last": "PRIMARY KEY (id, tenant)); CREATE INDEX ON public.tenant_last (tenant)",
    "without_tenant": "PRIMARY KEY (id)); CREATE INDEX ON public.without_tenant (tenant)",
    "inexact": "n numeric GENERATED ALWAYS AS (id) STORED, PRIMARY KEY (tenant, n)); "
    "CREATE INDEX ON public.inexact (tenant)",
}
OTHERS = "'t' || n % 3"
FILL = (
    "INSERT INTO public.{table} (tenant, id, v, kind) "
    "SELECT {tenant}, {offset} + n, 'v', n % 10 FROM generate_series(1, {rows}) n"
)
DDL = (
    "CREATE TABLE public.kinds (kind integer PRIMARY KEY); INSERT INTO public.kinds SELECT generate_series(0, 9);"
    + ";".join(
        f"CREATE TABLE public.{name} (tenant text, id bigint, at timestamptz DEFAULT now(), v text, "
        f"kind integer NOT NULL REFERENCES public.kinds, {rest}; "
        f"ALTER TABLE public.{name} SET (autovacuum_enabled = off); "
        # When three other tenants lived there, and nobody else.
        f"{FILL.format(table=name, tenant=OTHERS, offset=10 * ROWS, rows=ROWS)}; ANALYZE public.{name}"
        for name, rest in TABLES.items()
    )
)
CAPTURED = {f"public.{name}": "tenant" for name in TABLES}
MOVER_MAY = (
    "GRANT USAGE ON SCHEMA cellway, public TO engine_mover; GRANT SELECT ON cellway.tables TO engine_mover; "
    "GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA cellway TO engine_mover; "
    "GRANT ALL ON ALL TABLES IN SCHEMA public TO engine_mover"
)
READ = "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relid = $1::text::regclass"


async def _read(connection: Connection, name: str) -> int:
    rows: int = await connection.fetchval(READ, f"public.{name}")
    return rows


@pytest.mark.parametrize("role", [None, "engine_mover"], ids=["all rows", "row security"])
async def test_a_step_reads_the_rows_that_were_written_and_no_others(
    postgres_server: PostgresServer, role: str | None
) -> None:
    """Statistics of before the tenant came say that it has one row; then any index seems as good as the key's."""
    places = [await new_place(postgres_server, DDL, CAPTURED) for _ in range(2)]
    if role is not None:
        for place in places:
            await _secure(place)
    async with journey(*places, "newcomer", role) as moving:
        for name in TABLES:
            await moving.write(FILL.format(table=name, tenant="'newcomer'", offset=0, rows=ROWS))
        await moving.copy()
        await moving.step()
        for name in TABLES:
            await moving.write(f"UPDATE public.{name} SET v = 'w' WHERE id <= {WRITTEN}")
        assert await _read_by_a_step(moving) == {}
        assert await moving.told_apart() == []


async def _secure(place: Place) -> None:
    await place.execute(MOVER_MAY)
    for name in TABLES:
        await place.execute(
            f"ALTER TABLE public.{name} ENABLE ROW LEVEL SECURITY; "
            f"CREATE POLICY own ON public.{name} USING (tenant = current_setting('app.tenant'))"
        )


async def _read_by_a_step(moving: Journey) -> dict[tuple[str, str], int]:
    """Of which tables, at which end, more rows were read than the step is about."""
    async with moving.source.reading() as reader, moving.destination.writing(TOKEN) as writing:
        ends = {"source": reader.connection, "destination": writing.connection}
        before = {(end, name): await _read(ends[end], name) for end in ends for name in TABLES}
        done = await step(reader, writing, moving.schema, moving.since)
        assert done.keys == WRITTEN * len(TABLES)
        read = {(end, name): await _read(ends[end], name) - rows for (end, name), rows in before.items()}
    return {place: rows for place, rows in read.items() if rows > MARGIN * WRITTEN}


async def test_planners_learn_of_rows_that_came_into_tables_that_were_all_but_empty(
    postgres_server: PostgresServer,
) -> None:
    """Then every estimate is one row, and nothing tells one index from another. Who knows is not told again."""
    emptied = "; ".join(f"DELETE FROM public.{name} WHERE id < {11 * ROWS}" for name in TABLES)
    places = [await new_place(postgres_server, f"{DDL}; {emptied}", CAPTURED) for _ in range(2)]
    for place in places:
        for name in TABLES:
            await place.execute(f"VACUUM ANALYZE public.{name}")
    async with journey(*places, "newcomer") as moving:
        for name in TABLES:
            await moving.write(FILL.format(table=name, tenant="'newcomer'", offset=0, rows=ROWS))
        await moving.copy()
        rows = dict.fromkeys(moving.schema.tables, ROWS)
        for end in (moving.source, moving.destination):
            assert await statistics.refresh(end, moving.schema, rows) == list(moving.schema.tables)
            assert await statistics.refresh(end, moving.schema, rows) == []
        await moving.step()
        for name in TABLES:
            await moving.write(f"UPDATE public.{name} SET v = 'w' WHERE id <= {WRITTEN}")
        assert await _read_by_a_step(moving) == {}


async def test_a_database_that_does_not_let_its_statistics_be_refreshed_is_moved_from_all_the_same(
    postgres_server: PostgresServer,
) -> None:
    """Its fence is of before, or its owner did not grant it."""
    places = [await new_place(postgres_server, DDL, CAPTURED) for _ in range(2)]
    for place in places:
        await place.execute(MOVER_MAY)
        await place.execute("REVOKE EXECUTE ON FUNCTION cellway.refresh_statistics FROM engine_mover")
    async with journey(*places, "newcomer", "engine_mover") as moving:
        rows = dict.fromkeys(moving.schema.tables, ROWS)
        assert await statistics.refresh(moving.source, moving.schema, rows) == []
        await places[0].execute("DROP FUNCTION cellway.refresh_statistics")
        assert await statistics.refresh(moving.source, moving.schema, rows) == []
