"""A tenant whose clients write without pause wherever the directory says, as a cell's API does for them.

Each of its streams appends entries by number: each is there once or not at all, and a register counts them in the
same transaction. So a write that was lost, doubled, or made on stale rows shows in what is left.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import asyncpg

from directory.errors import DirectoryError
from directory.fence import NOT_HERE
from directory.truth import Directory
from directory.values import Assignment
from runtime.database import UNREACHABLE, Connection
from tests.migration.cells import Place
from tests.waiting import eventually

STREAMS = 3
REST_SECONDS = 0.01
TABLES = ("entries", "lines", "registers", "drafts", "places", "notes", "stock")
STOCK = 300


@dataclass
class Stream:
    """One client's writes."""

    tenant_id: str
    number: int
    directory: Directory
    places: Mapping[str, Place]
    acknowledged: int = 0
    refused: int = 0
    unknown: int = 0
    error: str = ""
    """The last one it met."""
    stopping: bool = False
    stale: list[str] = field(default_factory=list)
    """Where what was read was not what had been written."""

    async def run(self) -> None:
        """Until `stopping`; the one under way is brought to its end."""
        connection: Connection | None = None
        home: Assignment | None = None
        try:
            while not self.stopping:
                try:
                    home = home or (await self.directory.tenant(self.tenant_id)).assignment
                    assert home is not None
                    connection = connection or await self._connect(home)
                    await self._write(connection, home)
                except (DirectoryError, asyncpg.PostgresError, *UNREACHABLE) as error:
                    self.refused += getattr(error, "sqlstate", "") == NOT_HERE
                    self.error = f"{error!r} at {home}"
                    connection, home = await self._closed(connection), None
                await asyncio.sleep(REST_SECONDS)
        finally:
            await self._closed(connection)

    async def _connect(self, home: Assignment) -> Connection:
        dsn = self.places[home.cell_id].dsn("engine_app")
        return await asyncpg.connect(dsn, timeout=2, command_timeout=10)

    async def _closed(self, connection: "Connection | None") -> None:
        if connection is not None:
            with suppress(asyncpg.PostgresError, *UNREACHABLE):
                await connection.close(timeout=1)

    async def _write(self, connection: Connection, home: Assignment) -> None:
        """The next entry. Without an answer to its commit, it is written again, which shows what became of it."""
        number = self.acknowledged + 1
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("SELECT cellway.enter($1, $2)", self.tenant_id, home.epoch)
        try:
            value = await connection.fetchval("SELECT ledger.append($1, $2)", self.number, number)
        except asyncpg.UniqueViolationError as error:
            if error.constraint_name != "entries_pkey":  # type: ignore[attr-defined]
                raise
            await transaction.rollback()
            self.acknowledged = number
            return
        if value != number:
            self.stale.append(f"{self.number}: {value} entries when writing {number} in {home}")
        try:
            await transaction.commit()
        except BaseException:
            self.unknown += 1
            raise
        self.acknowledged = number


class Client:
    """All streams of a tenant."""

    def __init__(self, tenant_id: str, directory: Directory, places: Mapping[str, Place]) -> None:
        self.tenant_id = tenant_id
        self.streams = [Stream(tenant_id, number, directory, places) for number in range(STREAMS)]

    async def goes_on(self, writes: int = 3, seconds: float = 20.0) -> None:
        """Wait until each stream has written so many more."""
        wanted = [stream.acknowledged + writes for stream in self.streams]

        def written() -> bool:
            for stream, most in zip(self.streams, wanted, strict=True):
                assert stream.acknowledged >= most, stream
            return True

        await eventually(written, seconds=seconds)

    def check(self, found: Mapping[str, list[tuple[object, ...]]]) -> None:
        """Everything acknowledged is there once, nothing else but perhaps what had no answer in the end."""
        assert [stream.stale for stream in self.streams if stream.stale] == []
        written = [int(str(value)) for _, value in sorted(found["registers"], key=str)]
        for stream, value in zip(self.streams, written, strict=True):
            assert stream.acknowledged <= value <= stream.acknowledged + 1, (stream.number, stream.acknowledged)
        entries = {(stream, number) for stream, most in enumerate(written) for number in range(1, most + 1)}
        lines = Counter((s, n, line) for s, n in entries for line in range(n % 3 + 1))
        names = ((" a", " b"), (" b", " a"))
        places = {
            (2 * s + side, f"{s}{names[most % 2][side]}") for s, most in enumerate(written) for side in (0, 1)
        }
        assert Counter(found["entries"]) == Counter(entries)
        assert Counter(found["notes"]) == Counter(entries)
        assert Counter(found["lines"]) == lines
        assert Counter(found["drafts"]) == Counter((s, most) for s, most in enumerate(written) if most)
        assert set(found["places"]) == places
        assert len(found["stock"]) == len(set(found["stock"])) == STOCK


@asynccontextmanager
async def writing(client: Client) -> AsyncIterator[Client]:
    """Its streams write as long as the block lasts."""
    async with asyncio.TaskGroup() as group:
        for stream in client.streams:
            stream.stopping = False
            group.create_task(stream.run())
        try:
            yield client
        finally:
            for stream in client.streams:
                stream.stopping = True
