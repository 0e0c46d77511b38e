"""Adopts: what waits for nobody first, then all triggers in one short transaction, then the mover's role.

Whoever writes meanwhile waits for the locks at most; when they are not to be had at once they are given back, so
that nobody waits behind us, and asked for again. Everything can be done twice, and goes on where
it was broken off.
"""

import asyncio
import random
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import asyncpg

from directory import fence
from migration.adopting.errors import Later
from migration.adopting.inspecting import QUERIES, tenants_of
from migration.adopting.rules.deeds import Deeds
from migration.adopting.rules.findings import Standing
from migration.adopting.rules.found import Database
from migration.rules.names import quoted
from runtime.backoff import Backoff
from runtime.database import CLASHES, Connection
from runtime.schema import upgrade, upgrades

COMPONENT = "adopting"
UPGRADES = upgrades("migration.adopting")
LOCK_SECONDS = 0.3
INSTALL_SECONDS = 5.0
"""How long writers may wait, beside the lock, while tables without an index are read for tenants."""
PATIENCE_SECONDS = 60.0
_AGAIN = Backoff(initial_seconds=0.2, cap_seconds=2.0, floor_seconds=0.1)
IN_THE_WAY = (asyncpg.LockNotAvailableError, *CLASHES)


@dataclass(frozen=True, slots=True)
class Done:
    """What was changed, in words."""

    steps: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Adoption:
    """Of one database. `tenants`: who is there, each with its epoch."""

    connection: Connection
    found: Database
    places: Mapping[str, Standing]
    deeds: Deeds
    mover: str
    tenants: Mapping[str, int]
    steps: list[str] = field(default_factory=list)

    async def apply(self, keep_password: Callable[[str], None]) -> Done:
        """A password that is made is told before it counts, so none is lost. Later: writers did not let go."""
        opened = await self._prepared()
        if self.deeds.install:
            opened += await self._installed()
            self.steps.extend(f"{relation} was adopted" for relation in self.deeds.fresh)
        if opened:
            self.steps.append(f"{opened} tenants that are here were opened")
        await self._grant(keep_password)
        return Done(self.steps)

    async def _prepared(self) -> int:
        """The fence, open for whoever is here; nobody asks it before there are triggers. How many were opened."""
        async with self.connection.transaction():
            await self._become_owner()
            applied = await upgrade(self.connection, fence.COMPONENT, fence.UPGRADES)
            applied += await upgrade(self.connection, COMPONENT, UPGRADES)
            if applied:
                self.steps.append(f"the fence's schema was brought up to date ({applied} upgrades)")
            staying = [relation for relation, standing in self.places.items() if standing.place == "left"]
            await self.connection.execute(QUERIES["keep_staying"], staying)
            return await self._open(self.tenants) if self.deeds.install else 0

    async def _installed(self) -> int:
        """All triggers, and a fence for whoever came since we looked; how many those were."""
        loop = asyncio.get_running_loop()
        end, attempt = loop.time() + PATIENCE_SECONDS, 0
        while True:
            try:
                async with self.connection.transaction():
                    return await self._install()
            except IN_THE_WAY as error:
                if loop.time() > end:
                    raise Later(
                        f"writers held the tables for {PATIENCE_SECONDS:g} s; what was done so far stays, and "
                        "does no harm: try again when there is less to do"
                    ) from error
            except asyncpg.QueryCanceledError as error:
                raise Later(
                    "a table without an index on its tenant column takes too long to be read while its writers "
                    "wait: create the index first"
                ) from error
            await asyncio.sleep(_AGAIN.wait_seconds(attempt, random.random()))  # noqa: S311 jitter
            attempt += 1

    async def _install(self) -> int:
        await self.connection.execute(f"SET LOCAL lock_timeout = {int(LOCK_SECONDS * 1000)}")
        await self.connection.execute(f"SET LOCAL statement_timeout = {int(INSTALL_SECONDS * 1000)}")
        await self.connection.execute(self.deeds.lock)
        came: dict[str, int] = {}
        # As whoever came: row security could hide tenants from the owner.
        for relation in self.deeds.fresh:
            table = self.found.tables[relation]
            column = table.columns[str(self.places[relation].tenant)]
            names = await tenants_of(self.connection, table, column)
            came |= {name: self.tenants.get(name, 1) for name in names}
        await self._become_owner()
        for statement in self.deeds.install:
            await self.connection.execute(statement)
        return await self._open(came)

    async def _grant(self, keep_password: Callable[[str], None]) -> None:
        """The mover's role, and what it may do here."""
        async with self.connection.transaction():
            password = secrets.token_hex(24) if self.deeds.password else None
            if password is not None:
                query = "make_role" if self.found.mover is None else "change_password"
                await self.connection.execute(await self.connection.fetchval(QUERIES[query], self.mover, password))
            for statement in self.deeds.grants:
                await self.connection.execute(statement)
            if password is not None:
                keep_password(password)
        if self.found.mover is None:
            self.steps.append(f"role {self.mover} was made")
        elif self.deeds.password:
            self.steps.append(f"role {self.mover} was changed")

    async def _become_owner(self) -> None:
        if self.deeds.owner is not None:
            await self.connection.execute(f"SET LOCAL ROLE {quoted(self.deeds.owner)}")

    async def _open(self, tenants: Mapping[str, int]) -> int:
        opened = await self.connection.fetch(QUERIES["open_tenants"], list(tenants), list(tenants.values()))
        return len(opened)
