"""The cell's schema: applied by whoever has the owner's address, waited for by everybody else.

The fence's upgrades come first, then the cell's own. While the database is away the program starts all the same,
says so at `/health/ready`, and goes on trying. A schema that does not fit ends the start with the reason.
"""

import asyncio

from cell.database import SQL
from directory import fence
from runtime import database, logs
from runtime.database import CONNECT_SECONDS, Pool
from runtime.errors import SchemaError, StartFailed
from runtime.health import Unhealthy
from runtime.schema import Phases, upgrade, upgrades

log = logs.get("cell.schema")
COMPONENT = "cell"
UPGRADES = upgrades("cell")
AT_START_SECONDS = 3.0
UPGRADE_SECONDS = 60.0


async def upgrade_all(owner_dsn: str, phases: Phases = "all", deadline_seconds: float = AT_START_SECONDS) -> None:
    """Bring fence and cell to this version. StartFailed: the database is away. SchemaError: it cannot be."""
    connection = await database.reach(owner_dsn, deadline_seconds=deadline_seconds)
    try:
        async with asyncio.timeout(UPGRADE_SECONDS):
            await upgrade(connection, fence.COMPONENT, fence.UPGRADES, phases)
            await upgrade(connection, COMPONENT, UPGRADES, phases)
    finally:
        connection.terminate()


class SchemaState:
    """Whether the schema is there. `settle` is a task that ends once it is."""

    def __init__(self, pool: Pool, owner_dsn: str | None, phases: Phases = "all") -> None:
        self._pool, self._owner_dsn, self._phases = pool, owner_dsn, phases
        self.ready = asyncio.Event()
        self._reason = "the schema has not been looked at yet"

    async def start(self) -> None:
        """Try once; a database that is away may come later. SchemaError."""
        try:
            await self._try()
        except (StartFailed, *database.UNREACHABLE) as error:
            log.warning("database_away", error=str(error) or type(error).__name__)

    async def settle(self) -> None:
        """Try until it is there; to be repeated with a backoff. Then it waits for good."""
        if not self.ready.is_set():
            await self._try()
        await asyncio.Event().wait()

    async def _try(self) -> None:
        try:
            if self._owner_dsn is not None:
                await upgrade_all(self._owner_dsn, self._phases)
            async with self._pool.acquire(timeout=CONNECT_SECONDS) as connection:
                present = await connection.fetchval(SQL["schema_present"])
        except SchemaError as error:
            self._reason = str(error)
            raise
        except (StartFailed, *database.UNREACHABLE):
            self._reason = "the database does not answer"
            raise
        if not present:
            self._reason = "the schema is not there yet: the cell's API applies it at its start"
            raise StartFailed(self._reason)
        self.ready.set()
        log.info("schema_ready")

    async def check(self) -> str | None:
        """For health."""
        if not self.ready.is_set():
            raise Unhealthy(self._reason)
        return None
