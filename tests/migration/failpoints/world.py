"""Three Postgres servers that may be killed: two cells' and the directory's; movers between them, and tenants."""

import asyncio
import itertools
import os
import secrets
import signal
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import asyncpg

from directory.errors import DirectoryError
from directory.moves import Moves
from directory.truth import Directory
from directory.values import Assignment, Move, MoveOptions, MovePhase, NewMove, Wish
from runtime.database import UNREACHABLE
from runtime.embedded.postgres import PostgresServer
from tests.cell.crashes.points import STOP, WAIT, Points
from tests.directory.examples import new_tenant
from tests.migration.cells import Place
from tests.migration.failpoints.movers import place_of
from tests.migration.failpoints.tenants import TABLES, Client
from tests.servers import ControlDatabase
from tests.waiting import eventually

Part = Literal["mover", "source", "destination", "directory"]
PARTS: tuple[Part, ...] = ("mover", "source", "destination", "directory")
SECONDS = 40.0
"""A move has ended by itself before, whatever was killed."""
MOVERS_CONNECTIONS = """
SELECT pid FROM pg_stat_activity
WHERE application_name LIKE 'cellway-move%' OR application_name = 'cellway-migration'
"""
_COLUMNS = {
    "entries": "stream, number",
    "lines": "stream, number, line",
    "registers": "stream, value",
    "drafts": "stream, number",
    "places": "slot, name",
    "notes": "stream, number",
    "shelves": "item, body",
    "stock": "item, body",
}
_NUMBERS = itertools.count(1)


@dataclass(frozen=True, slots=True)
class State:
    """What a cell's database knows of a tenant."""

    epoch: int | None
    fence: str | None
    captured: bool
    logged: int
    rows: Mapping[str, list[tuple[object, ...]]]

    @property
    def is_empty(self) -> bool:
        return not any(self.rows.values())


@dataclass
class World:
    """`servers` by part, `places` by cell."""

    servers: Mapping[str, PostgresServer]
    places: Mapping[str, Place]
    directory: Directory
    moves: Moves
    points: Points
    folder: Path
    """Of the movers' logs."""
    control: ControlDatabase

    async def tenant(self) -> Client:
        """A new one in the source."""
        tenant_id = f"t{next(_NUMBERS)}-{secrets.token_hex(2)}"
        created = await self.directory.create_tenant(new_tenant(tenant_id), "source")
        await self.directory.applied(tenant_id, created.revision)
        assert created.assignment is not None
        client = Client(tenant_id, self.directory, self.places)
        async with self.places["source"].session() as connection, connection.transaction():
            epoch = created.assignment.epoch
            await connection.execute("SELECT cellway.set_fence($1, $2, 'active', NULL)", tenant_id, epoch)
            await connection.execute("SELECT cellway.enter($1, $2)", tenant_id, epoch)
            await connection.execute("SELECT ledger.open($1)", len(client.streams))
        return client

    async def plan(self, client: Client, destination: str = "destination", **options: Any) -> Move:
        """A move of it."""
        chosen = MoveOptions(**options)
        return await self.moves.plan(NewMove(client.tenant_id, destination, chosen))

    async def reverse(self, move: Move, **options: Any) -> Move:
        """Another one that takes its way back."""
        chosen = MoveOptions(**options)
        return await self.moves.plan(NewMove(move.tenant_id, move.source, chosen, reverses=move.move_id))

    async def ask(self, move: Move, wish: Wish) -> None:
        """Until the directory has heard it."""

        async def asked() -> bool:
            try:
                await self.moves.ask(move.move_id, wish)
            except DirectoryError as error:
                raise AssertionError(repr(error)) from error
            return True

        await eventually(asked)

    async def move(self, move: Move) -> Move:
        """As it is now. AssertionError while the directory is away."""
        try:
            return await self.moves.move(move.move_id)
        except DirectoryError as error:
            raise AssertionError(repr(error)) from error

    async def reaches(self, move: Move, *phases: MovePhase, seconds: float = SECONDS) -> Move:
        """By itself."""

        async def reached() -> Move:
            now = await self.move(move)
            assert now.phase in phases, f"{now.phase}: {now.error}\n{self.log()}"
            return now

        return await eventually(reached, seconds=seconds)

    def log(self) -> str:
        """The movers' last words."""
        logs = sorted(self.folder.glob("mover-*.log"), key=lambda path: path.stat().st_mtime)
        return "\n".join(f"{log.name}:\n{log.read_text()[-2500:]}" for log in logs[-3:])

    def lay(self, client: Client, place: str, what: str = WAIT) -> str:
        """Whoever comes there for this tenant dies, or waits; the point's name."""
        name = place_of(client.tenant_id, place)
        self.points.lay([name], what)
        return name

    async def arrives(self, name: str, seconds: float = SECONDS) -> None:
        """Somebody waits there."""

        def there() -> bool:
            assert name in self.points.waiting(), f"nobody came to {name}\n{self.log()}"
            return True

        await eventually(there, seconds=seconds, every=0.01)

    def kill(self, part: str) -> None:
        """At once, and it stays away."""
        child = self.servers[part].child
        assert child is not None
        child.signal(signal.SIGKILL)
        child.wait(10.0)

    def wake(self, log: Path) -> None:
        """The mover that stopped."""
        os.kill(int(log.stem.rpartition("-")[2]), signal.SIGCONT)

    def rouse(self) -> None:
        """Whoever was left asleep by a test that failed dies, and another comes in its place."""
        for reached in self.folder.glob("points/*.reached"):
            if process := self.points.stopped(reached.stem):
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)

    @contextmanager
    def frozen(self, part: str) -> Iterator[None]:
        """All its processes stand still: connections stay, and nothing answers."""
        child = self.servers[part].child
        assert child is not None
        children = Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text().split()
        with _stopped([child.pid, *map(int, children)]):
            yield

    @asynccontextmanager
    async def hanging(self, part: str) -> AsyncIterator[None]:
        """The movers' connections with it stay and answer nothing, as if the network had lost them."""
        connection = await asyncpg.connect(self.servers[part].admin_dsn, timeout=5)
        try:
            rows = await connection.fetch(MOVERS_CONNECTIONS)
        finally:
            await connection.close()
        with _stopped([row["pid"] for row in rows]):
            yield

    async def restart(self, part: str) -> None:
        """Kill it; it is back at once."""
        await asyncio.to_thread(self.kill, part)
        await self.start(part)

    async def start(self, part: str) -> None:
        """It is there again."""
        await asyncio.to_thread(self.servers[part].start)

    async def home(self, client: Client) -> Assignment:
        """Where the directory says that it lives."""
        assignment = (await self.directory.tenant(client.tenant_id)).assignment
        assert assignment is not None
        return assignment

    async def state(self, client: Client, cell_id: str) -> State:
        """All that a cell has of it."""
        async with self.places[cell_id].session() as connection:
            fence = await connection.fetchrow(
                "SELECT epoch, state, captured FROM cellway.fence WHERE tenant_id = $1", client.tenant_id
            )
            logged = await connection.fetchval(
                "SELECT count(*) FROM cellway.log WHERE tenant_id = $1", client.tenant_id
            )
            rows = {
                table: [tuple(row) for row in await connection.fetch(_select(table), client.tenant_id)]
                for table in TABLES
            }
        if fence is None:
            return State(None, None, False, logged, rows)
        return State(fence["epoch"], fence["state"], fence["captured"], logged, rows)

    async def lives(self, client: Client, cell_id: str) -> State:
        """All of it is in the cell that the directory names, which alone may write. Its writers have stopped."""
        home, here = await self.home(client), await self.state(client, cell_id)
        assert (home.cell_id, here.fence, here.epoch) == (cell_id, "active", home.epoch)
        client.check(here.rows)
        for other in self.places.keys() - {cell_id}:
            assert (await self.state(client, other)).fence != "active"
        return here

    async def settled(self, client: Client, cell_id: str) -> None:
        """It lives there, and nothing of a move is left anywhere."""
        here = await self.lives(client, cell_id)
        assert (here.captured, here.logged) == (False, 0)
        for other in self.places.keys() - {cell_id}:
            there = await self.state(client, other)
            assert (there.captured, there.logged, there.is_empty) == (False, 0, True), (other, there)

    async def stops(self, client: Client, place: str) -> Path:
        """A mover there, at the next such moment; its log, called as its process."""
        name = self.lay(client, place, STOP)
        process = await eventually(lambda: self.points.stopped(name), seconds=SECONDS)
        return self.folder / f"mover-{process}.log"


@contextmanager
def _stopped(processes: list[int]) -> Iterator[None]:
    for process in processes:
        os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGCONT)


def _select(table: str) -> str:
    return f"SELECT {_COLUMNS[table]} FROM ledger.{table} WHERE tenant_id = $1"  # noqa: S608 names of ours


AWAY = (DirectoryError, asyncpg.PostgresError, *UNREACHABLE)
"""What is met while something is dead."""
