"""While an upgrade goes on: programs whose schema is newer than they are, and movers whose schema is older."""

import re
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

import asyncpg

from directory import postgres
from directory.audit import NewAuditEntry
from directory.plans import NewPlan
from directory.postgres_loads import PostgresLoads
from directory.postgres_moves import PostgresMoves
from directory.postgres_uses import PostgresUses
from directory.reservations import Booking, NewReservation
from directory.transactions import SQL
from directory.uses import PoolUse
from directory.values import CellChange, NewMove
from runtime import database, schema
from runtime.embedded.postgres import PostgresServer
from tests.directory.examples import new_tenant, open_cell
from tests.directory.planning import Office, planned, postgres_office
from tests.directory.test_loads import reading
from tests.servers import PASSWORD, ControlDatabase

MONDAY = datetime(2026, 6, 1, 9, tzinfo=UTC)
NOTHING = (0.0,) * 7
ADD_TO_ALL = """
DO $$
DECLARE each regclass;
BEGIN
    FOR each IN SELECT oid FROM pg_class WHERE relnamespace = 'directory'::regnamespace AND relkind = 'r' LOOP
        EXECUTE format('ALTER TABLE %s ADD COLUMN unheard_of integer NOT NULL DEFAULT 1', each);
    END LOOP;
END
$$
"""
OF_PLACEMENT = {
    "take_room",
    "use_reservation",
    "get_reservation",
    "promise_room",
    "get_offer",
    "sum_taken",
    "check_term",
}
"""What no mover does."""


async def write(office: Office, loads: PostgresLoads, uses: PostgresUses, number: int) -> None:
    """All that there are rows of, once more."""
    stage, tenant_id = office.stage, f"tenant-{number}"
    await open_cell(stage.truth, f"cell-{number}")
    await stage.truth.update_cell(f"cell-{number}", CellChange(version="2"))
    created = await stage.truth.create_tenant(new_tenant(tenant_id), "cell-1")
    await stage.truth.applied(tenant_id, created.revision)
    room = (await stage.room.rooms())[0]
    await stage.room.reserve(NewReservation("cell-1", 60), Booking(NOTHING, (1e9,) * 7, room.offer))
    move = await stage.desk.plan(NewMove(tenant_id, "cell-2"))
    await stage.desk.ask(move.move_id, "cancel")
    claimed = await stage.moves.claim("mover-1", 30.0, 100)
    assert claimed is not None
    await stage.moves.renew(move.move_id, claimed.token, 30.0)
    await stage.moves.let_go(move.move_id, claimed.token, 30.0)
    plan = await office.plans.propose(NewPlan("balance"), [planned(tenant_id)])
    await office.plans.ask(plan.plan_id, "stop", "ann")
    await office.terms.begin("another", "me")
    await loads.measure(reading(60.0 * number, [tenant_id]), MONDAY)
    await uses.record([PoolUse("eu", "tenants", 1.0, 10.0, 1)], await office.terms.begin("placement", "me"))
    await office.log.record(NewAuditEntry("ann", "admin", "look"))


async def read(office: Office, loads: PostgresLoads, uses: PostgresUses) -> list[Any]:
    """All of it."""
    stage, plans = office.stage, await office.plans.plans()
    moves = await stage.desk.moves()
    return [
        *(await stage.truth.cell("cell-1"), await stage.truth.cells(), await stage.truth.residents()),
        *(await stage.truth.tenant("tenant-2"), await stage.truth.tenants(), await stage.truth.unsettled()),
        *(await stage.truth.snapshot(), await stage.truth.changes(0)),
        *(await stage.room.rooms(), await stage.room.reservations(), await stage.room.tally()),
        *(moves, await stage.desk.latest(), await stage.desk.recent(1e6), await stage.desk.flights()),
        *(await stage.desk.move(moves[0].move_id), await stage.desk.events(moves[0].move_id)),
        *(plans, await office.plans.plan(plans[0].plan_id), await office.plans.moves(plans[0].plan_id)),
        *(await office.terms.all(), await office.terms.latest("placement"), await office.log.entries()),
        *(await loads.load("tenant-2"), await loads.cell("cell-1"), await uses.latest(10)),
    ]


async def test_columns_that_an_upgrade_adds_change_nothing_for_programs_of_before(
    control_database: ControlDatabase,
) -> None:
    """They go on with statements that are prepared already, read what they know and write it."""
    pool = await database.open_pool(control_database.writer_dsn, name="test")
    loads, uses = PostgresLoads(pool), PostgresUses(pool)
    admin = await database.reach(control_database.admin_dsn)
    async with postgres_office(control_database) as office:
        await open_cell(office.stage.truth, "cell-1")
        for number in (2, 3):
            await write(office, loads, uses, number)
        known = await read(office, loads, uses)
        await admin.execute(ADD_TO_ALL)
        assert await read(office, loads, uses) == known
        await write(office, loads, uses, 4)
        assert len((await read(office, loads, uses))[1]) == len(known[1]) + 1
    await admin.close()
    await pool.close()


async def _owner(server: PostgresServer) -> tuple[database.Connection, Callable[[str], str]]:
    """Of an empty control database, and its address for each role."""
    name = f"directory_{secrets.token_hex(4)}"
    roles = dict.fromkeys(("directory_owner", "directory_writer", "directory_mover"), PASSWORD)
    await database.bootstrap(server.admin_dsn, name, "directory_owner", roles)
    owner = await database.reach(server.dsn(name, "directory_owner", PASSWORD))
    return owner, lambda role: server.dsn(name, role, PASSWORD)


async def test_a_mover_says_which_upgrade_it_needs_until_all_its_statements_fit(
    postgres_server: PostgresServer,
) -> None:
    """Whoever names more columns in them says in `get_missing_upgrade.sql` which upgrade brings these."""
    owner, dsn = await _owner(postgres_server)
    pool = await database.open_pool(dsn("directory_mover"), name="test")
    moves, text = PostgresMoves(pool), files("directory").joinpath("postgres_moves.py").read_text("utf-8")
    text += files("directory").joinpath("transactions.py").read_text("utf-8")
    statements = {name: SQL[name] for name in set(re.findall(r'(?:SQL\[|rows?\()"(\w+)"', text)) - OF_PLACEMENT}
    assert len(statements) > 25
    needed = {}
    for count, step in enumerate(postgres.UPGRADES):
        needed[step.number] = await moves.missing_upgrade()
        if needed[step.number] is None:
            for name, statement in statements.items():
                assert await _is_fit(owner, statement), (name, step.number)
        await schema.upgrade(owner, postgres.COMPONENT, postgres.UPGRADES[: count + 1])
    assert await moves.missing_upgrade() is None
    assert needed == {1: 4, 2: 4, 3: 4, 4: 4} | {5: 8, 7: 8, 8: 8} | {n: None for n in needed if n > 8}
    await pool.close()
    await owner.close()


async def _is_fit(owner: database.Connection, statement: str) -> bool:
    try:
        await owner.prepare(statement)
    except (asyncpg.UndefinedColumnError, asyncpg.UndefinedTableError, asyncpg.UndefinedFunctionError):
        return False
    return True
