"""Takes an adoption back: one transaction, after which the catalogue is as it was before."""

import asyncio
import random

import asyncpg

from directory import fence
from migration.adopting.applying import COMPONENT, IN_THE_WAY, LOCK_SECONDS, PATIENCE_SECONDS, Done
from migration.adopting.errors import Later, Refused
from migration.adopting.inspecting import QUERIES, as_owner
from migration.adopting.rules import deeds
from migration.adopting.rules.deeds import Removal
from migration.adopting.rules.found import Database
from migration.rules.names import quoted
from runtime.backoff import Backoff
from runtime.database import Connection

STATEMENT_SECONDS = 30.0
_AGAIN = Backoff(initial_seconds=0.2, cap_seconds=2.0, floor_seconds=0.1)


async def in_the_way(connection: Connection, found: Database) -> list[str]:
    """Why it would do harm: tenants that are on their way, or live elsewhere and still have rows here."""
    async with as_owner(connection, found.fence_owner if found.superuser else None, found.role):
        busy = await connection.fetch(QUERIES["read_busy"])
        moved = [row["tenant_id"] for row in await connection.fetch(QUERIES["read_moved"])]
    said = [
        f"{row['tenant_id']} is being moved (its fence is {row['state']}{', captured' if row['captured'] else ''})"
        for row in busy
    ]
    left: dict[str, None] = {}
    for relation, adopted in found.adopted.items():
        if not moved or relation not in found.tables:
            continue
        column = found.tables[relation].columns[adopted.tenant]
        query = QUERIES["still_here"].format(table=relation, column=quoted(column.name), type=column.type)
        for row in await connection.fetch(query, moved):
            left.setdefault(row["tenant"])
    said += [f"{tenant} lives elsewhere, and its rows here are not removed yet" for tenant in left]
    strangers = [row["relation"] for row in await connection.fetch(QUERIES["read_strangers"])]
    return said + [f"{relation} looks at our tables, and would go with them" for relation in strangers]


async def remove(connection: Connection, found: Database, mover: str, removal: Removal, force: bool) -> Done:
    """Refused: unless forced, when tenants are on their way. Later: writers would not let go of the tables."""
    if found.fence_owner is None:
        return Done()
    if not found.fenced or any(adopted.bound for adopted in found.adopted.values()):
        raise Refused("this database was not adopted: it is left alone")
    loop = asyncio.get_running_loop()
    end, attempt = loop.time() + PATIENCE_SECONDS, 0
    while True:
        try:
            async with connection.transaction():
                return await _remove(connection, found, mover, removal, force)
        except IN_THE_WAY as error:
            if loop.time() > end:
                raise Later(
                    f"writers held the tables for {PATIENCE_SECONDS:g} s, nothing was changed: try again when "
                    "there is less to do"
                ) from error
        await asyncio.sleep(_AGAIN.wait_seconds(attempt, random.random()))  # noqa: S311 jitter
        attempt += 1


async def _remove(connection: Connection, found: Database, mover: str, removal: Removal, force: bool) -> Done:
    await connection.execute(f"SET LOCAL lock_timeout = {int(LOCK_SECONDS * 1000)}")
    await connection.execute(f"SET LOCAL statement_timeout = {int(STATEMENT_SECONDS * 1000)}")
    if removal.lock:
        await connection.execute(removal.lock)  # from here on no move begins
    if not force and (busy := await in_the_way(connection, found)):
        raise Refused(f"{'; '.join(busy)}: end it first, or say --force")
    for statement in removal.revoke:
        await connection.execute(statement)
    async with as_owner(connection, removal.owner, found.role):
        for statement in removal.release:
            await connection.execute(statement)
        row = await connection.fetchrow(QUERIES["forget_upgrades"], [fence.COMPONENT, COMPONENT])
        if row is not None and not row["others"]:
            await connection.execute("DROP SCHEMA upgrades CASCADE")
    steps = [f"{relation} was released" for relation in found.adopted]
    steps.append("the fence, its functions and what they know were removed")
    if found.mover is not None:
        steps.append(await _without_role(connection, found, mover))
    return Done(steps)


async def _without_role(connection: Connection, found: Database, mover: str) -> str:
    if found.mover is None or not found.mover.made:
        return f"role {mover} was there before, and stays"
    if await connection.fetchval(QUERIES["is_needed_elsewhere"], mover):
        return f"role {mover} stays: another database depends on it"
    try:
        async with connection.transaction():
            for statement in deeds.removing_role(mover):
                await connection.execute(statement)
    except (asyncpg.InsufficientPrivilegeError, asyncpg.DependentObjectsStillExistError) as error:
        return f"role {mover} stays: {error}"
    return f"role {mover} was removed"
