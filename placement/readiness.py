"""Upgrades the directory's schema, and says when the directory can be used.

Placement starts while its databases are still away: it answers 503 until the schema is there. A schema that does
not fit this program ends the process when that shows at the start; later it keeps the program from being ready.
"""

import asyncio

import asyncpg

from directory import postgres
from directory.errors import Unavailable
from directory.redis_feed import RedisFeed
from directory.truth import Directory
from runtime import database, logs, schema
from runtime.errors import SchemaError, StartFailed
from runtime.health import Unhealthy

log = logs.get("placement.readiness")

FIRST_TRY_SECONDS = 1.5
"""At the start; a database that needs longer is waited for in the background."""
TRY_SECONDS = 20.0
UPGRADE_SECONDS = 120.0
"""For a whole upgrade under its lock, also when another instance is just at it."""


class Readiness:
    """Whether the directory's schema is there. Nobody asks the directory before `usable` is set."""

    def __init__(self, owner_dsn: str | None, directory: Directory, phases: schema.Phases = "all") -> None:
        self._owner_dsn = owner_dsn
        self._phases = phases
        self._directory = directory
        self._refused: str | None = None
        self.usable = asyncio.Event()

    async def begin(self) -> None:
        """Try once, shortly. SchemaError when the schema is not for this program."""
        try:
            await self._prepare(FIRST_TRY_SECONDS)
        except (StartFailed, Unavailable, OSError, TimeoutError, asyncpg.PostgresError) as error:
            log.warning("directory_awaited", reason=str(error) or type(error).__name__)

    async def step(self) -> None:
        """Try until it is done, then rest for good."""
        if not self.usable.is_set():
            try:
                await self._prepare(TRY_SECONDS)
            except SchemaError as error:
                self._refused = str(error)
                raise
        await asyncio.Event().wait()

    async def check(self) -> str | None:
        """For `/health/ready`."""
        if not self.usable.is_set():
            raise Unhealthy(self._refused or "the schema could not be looked at yet")
        await self._directory.head()
        return None

    async def _prepare(self, reach_seconds: float) -> None:
        if self._owner_dsn is not None:
            connection = await database.reach(self._owner_dsn, deadline_seconds=reach_seconds)
            try:
                async with asyncio.timeout(UPGRADE_SECONDS):
                    await schema.upgrade(connection, postgres.COMPONENT, postgres.UPGRADES, self._phases)
            finally:
                await connection.close(timeout=database.CONNECT_SECONDS)
        await self._directory.head()
        self._refused = None
        self.usable.set()
        log.info("directory_usable")


async def redis_check(feed: RedisFeed) -> str | None:
    """For `/health/ready`, where it is shown only: without Redis, changes wait and everything else goes on."""
    policy = await feed.eviction_policy()
    if policy != "noeviction":
        raise Unhealthy(f"maxmemory-policy is {policy}: set it to noeviction, or tenants vanish from the cache")
    return None
