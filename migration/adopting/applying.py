"""Adopts: what waits for nobody first, then the triggers of all tables in one short transaction.

Whoever writes meanwhile waits for the locks at most; when they are not to be had at once they are given back, so that
nobody waits behind us, and asked for again. Everything can be done twice.
"""

import asyncio
import random
import secrets
from collections.abc import Mapping, Sequence
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
    """What was changed, in words; and the password of a role that was made, which nobody knows but us."""

    steps: Sequence[str] = ()
    password: str | None = field(default=None, repr=False)


async def apply(
    connection: Connection,
    found: Database,
    places: Mapping[str, Standing],
    deeds: Deeds,
    mover: str,
    tenants: Mapping[str, int],
) -> Done:
    """`tenants`: who is there, each with its epoch. Later: writers would not let go of the tables."""
    steps: list[str] = []
    password = None
    async with connection.transaction():
        await connection.execute(f"SET LOCAL lock_timeout = {int(PATIENCE_SECONDS * 1000 / 4)}")
        if deeds.role and found.mover is None:
            password = secrets.token_hex(24)
            await connection.execute(await connection.fetchval(QUERIES["make_role"], mover, password))
        for statement in deeds.role[1:] if password else deeds.role:
            await connection.execute(statement)
        if deeds.role:
            steps.append(f"role {mover} {'was made' if password else 'may now do what a mover does'}")
        await _become(connection, deeds)
        applied = await upgrade(connection, fence.COMPONENT, fence.UPGRADES)
        applied += await upgrade(connection, COMPONENT, UPGRADES)
        if applied:
            steps.append(f"the fence's schema was brought up to date ({applied} upgrades)")
        for statement in deeds.prepare:
            await connection.execute(statement)
        await connection.execute(QUERIES["keep_staying"], [r for r, s in places.items() if s.place == "left"])
        opened = await _open(connection, tenants) if deeds.install else 0
    if deeds.install:
        opened += await _installed(connection, found, places, deeds, tenants)
        steps += [f"{relation} was adopted" for relation in deeds.fresh]
    if opened:
        steps.append(f"{opened} tenants that are here were opened")
    return Done(steps, password)


async def _become(connection: Connection, deeds: Deeds) -> None:
    if deeds.owner is not None:
        await connection.execute(f"SET LOCAL ROLE {quoted(deeds.owner)}")


async def _open(connection: Connection, tenants: Mapping[str, int]) -> int:
    return len(await connection.fetch(QUERIES["open_tenants"], list(tenants), list(tenants.values())))


async def _installed(
    connection: Connection,
    found: Database,
    places: Mapping[str, Standing],
    deeds: Deeds,
    tenants: Mapping[str, int],
) -> int:
    """All triggers, and a fence for whoever came since we looked; how many those were."""
    loop = asyncio.get_running_loop()
    end, attempt = loop.time() + PATIENCE_SECONDS, 0
    while True:
        try:
            async with connection.transaction():
                return await _install(connection, found, places, deeds, tenants)
        except IN_THE_WAY as error:
            if loop.time() > end:
                raise Later(
                    f"writers held the tables for {PATIENCE_SECONDS:g} s; what was done so far stays, and does no "
                    "harm: try again when there is less to do"
                ) from error
        except asyncpg.QueryCanceledError as error:
            raise Later(
                "a table without an index on its tenant column takes too long to be read while its writers wait: "
                "create the index first"
            ) from error
        await asyncio.sleep(_AGAIN.wait_seconds(attempt, random.random()))  # noqa: S311 jitter
        attempt += 1


async def _install(
    connection: Connection,
    found: Database,
    places: Mapping[str, Standing],
    deeds: Deeds,
    tenants: Mapping[str, int],
) -> int:
    await connection.execute(f"SET LOCAL lock_timeout = {int(LOCK_SECONDS * 1000)}")
    await connection.execute(f"SET LOCAL statement_timeout = {int(INSTALL_SECONDS * 1000)}")
    await _become(connection, deeds)
    await connection.execute(deeds.lock)
    came: dict[str, int] = {}
    for relation in deeds.fresh:
        table = found.tables[relation]
        column = table.columns[str(places[relation].tenant)]
        came |= {name: tenants.get(name, 1) for name in await tenants_of(connection, table, column)}
    for statement in deeds.install:
        await connection.execute(statement)
    return await _open(connection, came)
