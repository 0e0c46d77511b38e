"""A leader that was frozen for longer than its lock, as real processes: nothing that it decides is accepted."""

import asyncio
import secrets
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from directory.errors import NotLeader
from directory.postgres import PostgresDirectory
from directory.postgres_leadership import PostgresTerms
from runtime import database
from runtime.tasks import Tasks
from tests.consuls import ConsulServer
from tests.directory.examples import open_cell
from tests.servers import ControlDatabase

SECONDS = 30.0
Start = Callable[[], Awaitable[Process]]


async def _says(process: Process) -> str:
    assert process.stdout is not None
    async with asyncio.timeout(SECONDS):
        return (await process.stdout.readline()).decode().strip()


async def _term(process: Process) -> int:
    word, number = (await _says(process)).split()
    assert word == "term"
    return int(number)


async def _decides(process: Process) -> str:
    assert process.stdin is not None
    process.stdin.write(b"go\n")
    await process.stdin.drain()
    return await _says(process)


@pytest.fixture(params=["postgres", "consul"])
async def start(request: pytest.FixtureRequest, control_database: ControlDatabase) -> AsyncIterator[Start]:
    """Starts processes that stand for the same election."""
    arguments = [control_database.writer_dsn, f"frozen/{secrets.token_hex(3)}"]
    if request.param == "consul":
        server: ConsulServer = request.getfixturevalue("consul_server")
        await server.ready()
        arguments.append(server.url)
    started: list[Process] = []

    async def start() -> Process:
        command = (sys.executable, "-m", "tests.directory.deciding", *arguments)
        started.append(await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE))
        return started[-1]

    yield start
    for process in started:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_a_leader_that_was_frozen_decides_nothing_after_it_woke(
    start: Start, control_database: ControlDatabase
) -> None:
    """It has read its term and is about to decide when it is stopped; another leads and decides; it wakes and goes
    on.

    No lock can prevent that, so the directory does. Nothing has changed but what the new leader decided.
    """
    pool = await database.open_pool(control_database.writer_dsn, name="test")
    directory = PostgresDirectory(pool)
    await open_cell(directory)
    one = await start()
    first = await _term(one)
    assert await _decides(one) == "decided"
    assert await _term(one) == first
    one.send_signal(signal.SIGSTOP)
    other = await start()
    second = await _term(other)
    assert second > first
    assert await _decides(other) == "decided"
    head, cell = await directory.head(), await directory.cell("cell-1")
    one.send_signal(signal.SIGCONT)
    assert await _decides(one) == "refused"
    assert (await directory.head(), await directory.cell("cell-1")) == (head, cell)
    # The new leader has lost nothing by it; when it goes, the other leads again with a number that was taken anew.
    assert await _term(other) == second
    assert await _decides(other) == "decided"
    other.kill()
    await other.wait()
    assert await _term(one) > second
    assert await _decides(one) == "decided"
    await directory.close()
    await pool.close()


async def test_no_term_begins_while_an_earlier_one_is_being_decided_in(control_database: ControlDatabase) -> None:
    """So a decision is either before the next leader's first look at the directory, or refused."""
    pool = await database.open_pool(control_database.writer_dsn, name="test")
    terms, tasks = PostgresTerms(pool), Tasks()
    term = await terms.begin("placement", "one")
    directory = PostgresDirectory(pool)
    await open_cell(directory)
    async with directory._transactions.begun(term) as connection:
        beginning = tasks.spawn("begin", terms.begin("placement", "other"))
        done, _ = await asyncio.wait([beginning], timeout=0.3)
        assert not done
        await connection.execute("UPDATE directory.cells SET state = 'cordoned'")
    assert (await beginning).number > term.number
    assert (await directory.cell("cell-1")).state == "cordoned"
    with pytest.raises(NotLeader):
        await directory.change_cell("cell-1", "open", term)
    await tasks.close()
    await pool.close()
