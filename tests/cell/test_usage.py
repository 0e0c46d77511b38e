"""Usage: everything that counts is counted once, and read completely, whatever becomes of its records."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from cell import usage
from cell.app.worker import Worker
from cell.database import COMMAND_SECONDS, SQL
from cell.rules.meters import API_MUTATIONS, METERS, MOST_STEPS, STEPS, StepName, period
from cell.work.bookkeeping import RECORDS_AT_ONCE, bookkeeping, roll
from runtime.api.problem import ApiError
from runtime.database import open_pool
from tests.cell.cells import CellDatabase, Client, RunningCell, next_epoch
from tests.cell.test_operations import ended, provision
from tests.waiting import eventually

ACCOUNT = {"account_id": "acme", "display_name": "Acme"}
STORAGE = "/v1/accounts/acme/namespaces/prod/storage"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
RECORD = "INSERT INTO cell.usage_records (meter, record_key, quantity, at) VALUES ('api_mutations', $1, $2, $3)"


async def used(client: Client, meter: str = "api_mutations", **more: str) -> dict[str, Any]:
    """What the API says."""
    answer = await client("GET", "/v1/usage", params={"meter": meter, **more})
    assert answer.status == 200, answer
    assert answer.json["total"] == sum(bucket["quantity"] for bucket in answer.json["buckets"])
    return dict(answer.json)


async def total(client: Client, meter: str = "api_mutations", **more: str) -> int:
    """In the last day, unless asked otherwise."""
    return int((await used(client, meter, **more))["total"])


async def look(cell: RunningCell) -> bool:
    """One round of the books over all tenants of the cell."""
    pools = [
        await open_pool(dsn, name="test", size=2, command_seconds=COMMAND_SECONDS)
        for dsn in (cell.settings.relay_dsn, cell.settings.app_dsn)
    ]
    try:
        return await bookkeeping(*pools).look()
    finally:
        for pool in pools:
            await pool.close()


async def time_passes(cell_database: CellDatabase, client: Client, minutes: int) -> None:
    """As if its namespaces had been counted so long ago."""
    async with cell_database.inside(client) as connection:
        await connection.execute(
            "UPDATE cell.namespace_storage SET due_at = due_at - make_interval(mins => $1)", minutes
        )


@pytest.fixture
async def active(client: Client, worker: Worker) -> Client:
    """A tenant with a provisioned namespace `acme/prod`."""
    assert (await ended(client, await provision(client))).json["state"] == "SUCCEEDED"
    return client


async def test_a_change_counts_once_and_its_replay_does_not(client: Client) -> None:
    """Neither do reads, nor what is refused: nothing was done."""
    for _ in range(3):
        await client("POST", "/v1/accounts", ACCOUNT, key="k")
    assert await total(client) == 1
    assert (await client("POST", "/v1/accounts", ACCOUNT)).status == 409
    assert (await client("PATCH", "/v1/accounts/acme", {"labels": {"A": "x"}})).status == 400
    await client("GET", "/v1/accounts")
    assert await total(client) == 1
    await client("PATCH", "/v1/accounts/acme", {"display_name": "New"})
    assert await total(client) == 2


async def test_many_retries_at_once_count_once(client: Client) -> None:
    """Whichever of them did it."""
    await asyncio.gather(*(client("POST", "/v1/accounts", ACCOUNT, key="k") for _ in range(12)))
    assert await total(client) == 1


async def test_a_namespace_counts_as_created_once_it_was_provisioned(active: Client) -> None:
    """One that was cancelled before does not; the same name again is another one."""
    assert await total(active, "namespaces_created") == 1
    operation = await active("DELETE", "/v1/accounts/acme/namespaces/prod")
    await ended(active, operation)
    assert await total(active, "namespaces_created") == 1
    await ended(active, await provision(active))
    assert await total(active, "namespaces_created") == 2


async def test_what_is_cancelled_before_it_was_provisioned_does_not_count(
    client: Client, cell: RunningCell
) -> None:
    """Nothing was given."""
    begun = await provision(client)
    await client("POST", f"/v1/{begun.json['name']}:cancel")
    await look(cell)
    assert await total(client, "namespaces_created") == 0
    assert await total(client, "namespace_hours") == 0


async def test_hours_count_as_they_begin(active: Client, cell: RunningCell, cell_database: CellDatabase) -> None:
    """After two and a half hours it is the third; looking more often changes nothing."""
    await active("PATCH", STORAGE, {"bytes": 7})
    await time_passes(cell_database, active, 150)
    for _ in range(3):
        await look(cell)
        assert await total(active, "namespace_hours") == 2 + 1
    # The hour in which it was provisioned had begun before anything was stored.
    assert await total(active, "storage_byte_hours") == 2 * 7


async def test_hours_that_nobody_counted_for_long_are_all_there(
    active: Client, cell: RunningCell, cell_database: CellDatabase
) -> None:
    """A worker that was away for days catches up, a day of each namespace in a bite."""
    await look(cell)
    await time_passes(cell_database, active, 60 * 60 + 7)
    for _ in range(3):
        await look(cell)
    since = datetime.now(UTC) - timedelta(days=4)
    assert await total(active, "namespace_hours", start=since.isoformat().replace("+00:00", "Z")) == 61


async def test_what_is_stored_later_counts_later(
    active: Client, cell: RunningCell, cell_database: CellDatabase
) -> None:
    """A change counts the hours that began before it by what was stored then."""
    await active("PATCH", STORAGE, {"bytes": 10})
    await time_passes(cell_database, active, 61)
    await active("PATCH", STORAGE, {"bytes": 1000})
    await time_passes(cell_database, active, 61)
    await look(cell)
    assert await total(active, "storage_byte_hours") == 10 + 1000


async def test_a_namespace_is_counted_up_to_its_end(active: Client, cell_database: CellDatabase) -> None:
    """Also when nobody looked since, and nothing more afterwards."""
    await time_passes(cell_database, active, 30 * 60 + 7)
    await ended(active, await active("DELETE", "/v1/accounts/acme/namespaces/prod"))
    since = (datetime.now(UTC) - timedelta(days=3)).isoformat().replace("+00:00", "Z")
    assert await total(active, "namespace_hours", start=since) == 31


async def test_the_same_deed_counts_once_also_after_it_was_added_up(
    client: Client, cell_database: CellDatabase
) -> None:
    """Who repeats himself after a crash does not know what became of the record."""
    for _ in range(2):
        async with cell_database.inside(client) as connection:
            for _ in range(2):
                await usage.record(connection, API_MUTATIONS, "op-1", 5)
        assert await total(client) == 5
        async with cell_database.inside(client) as connection:
            await roll(connection)
        assert await total(client) == 5


async def test_reading_is_complete_while_records_are_added_up(client: Client, cell_database: CellDatabase) -> None:
    """Before, after, and at every moment in between: each quantity is there once."""

    async def rolling(most: int) -> None:
        for _ in range(10):
            async with cell_database.inside(client) as connection:
                await connection.fetchval(SQL["roll_usage"], most)

    async def reading() -> set[int]:
        whole = {"start": "2026-03-01T12:00:00Z", "end": "2026-03-01T13:00:00Z"}
        return {await total(client, **whole) for _ in range(20)}

    async with cell_database.inside(client) as connection:
        rows = [(f"r{number}", 1, NOON + timedelta(seconds=number)) for number in range(300)]
        await connection.executemany(RECORD, rows)
    seen, *_ = await asyncio.gather(reading(), *(rolling(20) for _ in range(4)))
    assert seen == {300}
    async with cell_database.inside(client) as connection:
        minutes = await connection.fetch("SELECT minute, quantity FROM cell.usage_minutes ORDER BY minute")
    assert [(row["minute"], row["quantity"]) for row in minutes] == [
        (NOON + timedelta(minutes=number), 60) for number in range(5)
    ]


async def test_a_worker_that_is_killed_while_adding_up_leaves_everything_as_it_was(
    client: Client, cell_database: CellDatabase
) -> None:
    """The minute and the mark on the record are one statement in one transaction."""
    await client("POST", "/v1/accounts", ACCOUNT)
    killed = await cell_database.connect("cell_app")
    scope = killed.transaction()
    await scope.start()
    await killed.execute("SELECT cellway.enter($1, $2)", client.tenant_id, client.epoch)
    assert await roll(killed) == 1
    killed.terminate()
    assert await total(client) == 1

    async def rolled() -> int:
        async with cell_database.inside(client) as connection:
            return await roll(connection)

    assert await eventually(rolled) == 1  # the server notices the dead client in its own time
    assert await rolled() == 0
    assert await total(client) == 1


async def test_the_books_of_all_tenants_are_kept(
    client: Client, cell: RunningCell, cell_database: CellDatabase
) -> None:
    """A round adds up what there is of anybody, and nobody's shows at another's."""
    other = await cell.tenant()
    for who in (client, other):
        await who("POST", "/v1/accounts", ACCOUNT)
    await other("DELETE", "/v1/accounts/acme")
    await look(cell)
    for who, count in ((client, 1), (other, 2)):
        async with cell_database.inside(who) as connection:
            assert await connection.fetchval("SELECT sum(quantity) FROM cell.usage_minutes") == count
        assert await total(who) == count


async def test_a_tenant_that_is_not_here_is_left_alone(
    client: Client, cell: RunningCell, cell_database: CellDatabase
) -> None:
    """Its records move along with it, as they are."""
    await client("POST", "/v1/accounts", ACCOUNT)
    control = await cell_database.connect("cell_control")
    await control.execute("SELECT cellway.set_fence($1, $2, 'fenced', 'move')", client.tenant_id, next_epoch())
    await control.close()
    await look(cell)
    superuser = await cell_database.connect()
    query = "SELECT count(*) FROM cell.usage_records WHERE tenant_id = $1 AND rolled_at IS NULL"
    assert await superuser.fetchval(query, client.tenant_id) == 1
    await superuser.close()


async def test_more_records_than_a_bite_are_all_added_up(
    client: Client, cell: RunningCell, cell_database: CellDatabase
) -> None:
    """A round goes on until nothing is left."""
    async with cell_database.inside(client) as connection:
        await connection.execute(
            "INSERT INTO cell.usage_records (meter, record_key, quantity) "
            "SELECT 'api_mutations', i::text, 1 FROM generate_series(1, $1::int) i",
            2 * RECORDS_AT_ONCE + 1,
        )
    assert not await look(cell)
    async with cell_database.inside(client) as connection:
        assert await connection.fetchval("SELECT sum(quantity) FROM cell.usage_minutes") == 2 * RECORDS_AT_ONCE + 1


async def test_what_is_old_is_removed_and_nothing_else(
    client: Client, cell: RunningCell, cell_database: CellDatabase
) -> None:
    """Records two days after they were added up, minutes after 400 days; never what was not added up."""
    async with cell_database.inside(client) as connection:
        for key, rolled in (("old", "3 days"), ("young", "1 day"), ("waits", None)):
            await connection.execute(
                "INSERT INTO cell.usage_records (meter, record_key, quantity, at, rolled_at) "
                "VALUES ('api_mutations', $1, 1, now() - interval '5 days', now() - $2::text::interval)",
                *(key, rolled),
            )
        for days in (399, 401):
            await connection.execute(
                "INSERT INTO cell.usage_minutes (meter, minute, quantity) "
                "VALUES ('namespace_hours', now() - make_interval(days => $1), 1)",
                days,
            )
    await look(cell)
    async with cell_database.inside(client) as connection:
        left = await connection.fetchval(
            "SELECT array_agg(record_key ORDER BY record_key DESC) FROM cell.usage_records"
        )
        assert left == ["young", "waits"]
        minutes = "SELECT count(*) FROM cell.usage_minutes WHERE meter = 'namespace_hours'"
        assert await connection.fetchval(minutes) == 1


@pytest.mark.parametrize(
    ("step", "starts"),
    [
        ("minute", {"12:00:00": 3, "12:01:00": 4, "13:59:00": 5}),
        ("hour", {"12:00:00": 7, "13:00:00": 5}),
        ("day", {"00:00:00": 12}),
    ],
)
async def test_use_is_told_by_the_steps_that_were_asked_for(
    client: Client, cell_database: CellDatabase, step: str, starts: dict[str, int]
) -> None:
    """Steps begin at whole minutes, hours and days of UTC; those without any use are left out."""
    async with cell_database.inside(client) as connection:
        for seconds, quantity in ((59, 3), (60, 4), (2 * 3600 - 1, 5), (36 * 3600, 99)):
            await connection.execute(RECORD, f"r{seconds}", quantity, NOON + timedelta(seconds=seconds))
    told = await used(client, start="2026-03-01T13:00:30+01:00", end="2026-03-01T14:00:00Z", step=step)
    assert {bucket["start"][11:19]: bucket["quantity"] for bucket in told["buckets"]} == starts
    assert told["unit"] == METERS["api_mutations"].unit


BAD: list[dict[str, str]] = [
    {},
    {"meter": "secrets"},
    {"meter": "api_mutations", "step": "second"},
    {"meter": "api_mutations", "start": "yesterday"},
    {"meter": "api_mutations", "start": ""},
    {"meter": "api_mutations", "start": "0"},
    {"meter": "api_mutations", "start": "2026-03-01"},
    {"meter": "api_mutations", "start": "2026-03-01T12:00:00"},
    {"meter": "api_mutations", "start": "2026-02-30T12:00:00Z"},
    {"meter": "api_mutations", "start": "0001-01-01T00:00:00+14:00"},
    {"meter": "api_mutations", "end": "9999-12-31T23:59:59-14:00"},
    {"meter": "api_mutations", "start": "2026-03-02T00:00:00Z", "end": "2026-03-01T00:00:00Z"},
    {"meter": "api_mutations", "start": "2026-03-01T00:00:00Z", "end": "2026-03-01T00:00:00Z"},
    {"meter": "api_mutations", "start": "2026-01-01T00:00:00Z", "end": "2026-03-01T00:00:00Z", "step": "minute"},
    {"meter": "api_mutations", "start": "2000-01-01T00:00:00Z", "step": "day"},
    {"meter": "api_mutations", "page_size": "1"},
]


@pytest.mark.parametrize("query", BAD, ids=str)
async def test_a_bad_question_is_refused(client: Client, query: dict[str, str]) -> None:
    """400: an answer has a bounded length, and times are times."""
    answer = await client("GET", "/v1/usage", params=query)
    assert answer.problem == (400, "INVALID_ARGUMENT", False), answer


TIMES = st.datetimes(datetime(2000, 1, 1), datetime(9000, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 made aware


@hypothesis.given(
    TIMES, st.timedeltas(timedelta(microseconds=1), timedelta(days=MOST_STEPS - 1)), st.sampled_from([*STEPS])
)
def test_a_period_holds_what_was_asked_for_in_whole_steps(
    start: datetime, length: timedelta, step: StepName
) -> None:
    """Less than a step is added at either end."""
    if length > (MOST_STEPS - 2) * STEPS[step]:
        return  # see the next test
    whole = period(start, start + length, step, start)
    assert start - STEPS[step] < whole.start <= start
    assert start + length <= whole.end < start + length + STEPS[step]
    assert whole.start.timestamp() % STEPS[step].total_seconds() == 0


@pytest.mark.parametrize("step", STEPS)
def test_an_answer_has_a_bounded_number_of_steps(step: StepName) -> None:
    """As many as are allowed, and not one more."""
    end = NOON.replace(hour=0) + MOST_STEPS * STEPS[step]
    period(NOON.replace(hour=0), end, step, NOON)
    with pytest.raises(ApiError, match="larger step"):
        period(NOON.replace(hour=0), end + timedelta(microseconds=1), step, NOON)


def test_without_times_it_is_the_last_day() -> None:
    """Up to the end of the step that it is now."""
    whole = period(None, None, "hour", NOON + timedelta(minutes=1))
    assert (whole.start, whole.end) == (NOON - timedelta(days=1), NOON + timedelta(hours=1))
