"""The contract of the audit log, asked of Postgres and of its twin; and who cannot change it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta

import asyncpg
import pytest

from directory.audit import DONE, SHORTEST_KEPT_SECONDS, AuditLog, NewAuditEntry
from directory.errors import AlreadyExists, NotAllowed, NotLeader
from directory.leadership import Terms
from directory.memory import MemoryDirectory
from directory.memory_audit import MemoryAudit
from directory.memory_leadership import MemoryTerms
from directory.postgres_audit import PostgresAudit
from directory.postgres_leadership import PostgresTerms
from runtime import database
from runtime.clock import ManualClock
from runtime.embedded.postgres import PostgresServer
from tests.servers import ControlDatabase, new_control_database

SUSPEND = NewAuditEntry(
    "grace", "operator", "suspendTenant", ("tenant/acme",), "request-1", detail={"body": {"why": [1, None]}}
)
FAR_TOO_LATE_SECONDS = 400 * 86_400.0


@dataclass(frozen=True, slots=True)
class Book:
    """A log, the terms of the same directory, and a way to let time pass."""

    log: AuditLog
    terms: Terms
    pass_time: Callable[[float], Awaitable[None]]


@pytest.fixture(params=["memory", "postgres"])
async def book(request: pytest.FixtureRequest) -> AsyncIterator[Book]:
    """An empty one of each kind."""
    if request.param == "memory":
        clock = ManualClock()
        directory = MemoryDirectory(clock)

        async def advance(seconds: float) -> None:
            clock.advance(seconds)

        yield Book(MemoryAudit(directory), MemoryTerms(directory), advance)
        return
    control = await new_control_database(request.getfixturevalue("postgres_server"))
    pool = await database.open_pool(control.writer_dsn, name="test", size=3)
    admin = await database.reach(control.admin_dsn)

    async def pass_time(seconds: float) -> None:
        await admin.execute("UPDATE directory.audit SET at = at - $1::interval", timedelta(seconds=seconds))

    yield Book(PostgresAudit(pool), PostgresTerms(pool), pass_time)
    await admin.close()
    await pool.close()


async def test_a_decision_is_read_once_by_its_end(book: Book) -> None:
    """What was written before it stays until then: whoever dies in between leaves it without an outcome."""
    first = await book.log.record(SUSPEND)
    [begun] = await book.log.entries()
    assert (begun.number, begun.outcome, begun.began_at) == (first, None, begun.at)
    assert (begun.actor, begun.targets, begun.detail) == ("grace", ("tenant/acme",), {"body": {"why": [1, None]}})
    await book.pass_time(10)
    last = await book.log.record(replace(SUSPEND, outcome="NOT_FOUND", concludes=first))
    [ended] = await book.log.entries()
    assert (ended.number, ended.outcome, ended.concludes, ended.request_id) == (
        last, "NOT_FOUND", first, "request-1",
    )  # fmt: skip
    assert (ended.at - ended.began_at).total_seconds() >= 10
    with pytest.raises(AlreadyExists):
        await book.log.record(replace(SUSPEND, outcome=DONE, concludes=first))


async def test_entries_are_found_by_whatever_is_asked_for(book: Book) -> None:
    """Actor, action, any of some targets, a span of time; the newest first, page by page."""
    for number in range(3):
        await book.log.record(replace(SUSPEND, actor=f"person-{number}", outcome=DONE))
        await book.pass_time(100)
    await book.log.record(replace(SUSPEND, action="planMove", targets=("tenant/bolt", "cell/c-2"), outcome=DONE))
    every = await book.log.entries()
    assert [entry.actor for entry in every] == ["grace", "person-2", "person-1", "person-0"]
    assert await book.log.entries(limit=2) == every[:2]
    assert await book.log.entries(before=every[1].number) == every[2:]
    assert await book.log.entries(actor="person-1") == every[2:3]
    assert await book.log.entries(action="planMove") == every[:1]
    assert await book.log.entries(targets=["cell/c-2", "cell/c-9"]) == every[:1]
    assert await book.log.entries(targets=["tenant/acme"]) == every[1:]
    assert await book.log.entries(targets=[]) == []
    assert await book.log.entries(since=every[2].at, until=every[1].at) == every[2:3]


async def test_old_entries_are_forgotten_a_few_at_a_time_and_young_ones_by_nobody(book: Book) -> None:
    """The last thirty days stay, whatever placement asks for."""
    for number in range(3):
        await book.log.record(replace(SUSPEND, actor=f"person-{number}", outcome=DONE))
        await book.pass_time(1)
    for kept_seconds in (0, SHORTEST_KEPT_SECONDS - 1, float("nan"), -1):
        with pytest.raises(NotAllowed):
            await book.log.forget(kept_seconds, 100)
    assert await book.log.forget(SHORTEST_KEPT_SECONDS, 100) == 0
    await book.pass_time(FAR_TOO_LATE_SECONDS)
    await book.log.record(SUSPEND)
    assert await book.log.forget(SHORTEST_KEPT_SECONDS, 2) == 2
    assert [entry.actor for entry in await book.log.entries()] == ["grace", "person-2"]
    assert [await book.log.forget(SHORTEST_KEPT_SECONDS, 2) for _ in range(2)] == [1, 0]


async def test_who_leads_no_longer_records_nothing(book: Book) -> None:
    """A decision of a leader carries its term, in the transaction that records it."""
    old = await book.terms.begin("placement", "one")
    await book.log.record(replace(SUSPEND, actor="placement", role="placement"), old)
    await book.terms.begin("placement", "another")
    with pytest.raises(NotLeader):
        await book.log.record(SUSPEND, old)
    assert len(await book.log.entries()) == 1


@pytest.mark.parametrize(
    "statement", ["UPDATE directory.audit SET actor = 'nobody'", "DELETE FROM directory.audit"]
)
@pytest.mark.parametrize("role", ["writer", "mover"])
async def test_neither_placement_nor_a_mover_can_change_what_is_written(
    reused: ControlDatabase, role: str, statement: str
) -> None:
    """Proven in the roles themselves."""
    connection = await database.reach(reused.writer_dsn if role == "writer" else reused.mover_dsn)
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)
    finally:
        await connection.close()


async def test_a_mover_can_neither_read_nor_write_nor_forget_it(reused: ControlDatabase) -> None:
    """It decides nothing of what is written there."""
    connection = await database.reach(reused.mover_dsn)
    try:
        for statement in ("TABLE directory.audit", "SELECT directory.forget_audit(1e9, 1)"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture(scope="module")
async def reused(postgres_server: PostgresServer) -> ControlDatabase:
    """One for the tests that change nothing."""
    return await new_control_database(postgres_server)
