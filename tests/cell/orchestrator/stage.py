"""Where orchestrations are played: a tenant in a cell's database, and what is recorded of them."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cell.access import enter_at
from cell.database import transaction
from cell.orchestrator import starting
from cell.orchestrator.registry import Bound, Registry
from cell.orchestrator.runner import Runner
from cell.rules.workflows import Workflow
from runtime.database import Pool
from tests.cell.cells import CellDatabase, next_epoch

LEASE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Seen:
    """What is recorded of one."""

    state: str
    outcome: str | None
    steps: Mapping[str, str]
    attempts: Mapping[str, int]
    outputs: Mapping[str, Any]
    wakes: bool
    """Whether it is ever looked at again by itself."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A tenant and its epoch."""

    pool: Pool
    tenant_id: str
    epoch: int

    async def begin(self, bound: Bound, payload: Mapping[str, Any] | None = None) -> str:
        """Start one; its name."""
        async with transaction(self.pool) as connection:
            await enter_at(connection, self.tenant_id, self.epoch)
            row = await starting.start(connection, bound, f"things/{secrets.token_hex(2)}", payload or {})
            return str(row["orchestration_id"])

    def runner(self, *bound: Bound) -> Runner:
        """A worker that knows these."""
        return Runner(self.pool, Registry(bound), LEASE_SECONDS, chance=lambda: 0.5)

    async def run(self, orchestration_id: str, *bound: Bound) -> Seen:
        """One hint."""
        await self.runner(*bound).run(self.tenant_id, orchestration_id, self.epoch)
        return await self.seen(orchestration_id)

    async def finish(self, orchestration_id: str, *bound: Bound) -> Seen:
        """Hints until it ended or waits for somebody, however long it would wait in between."""
        for _ in range(20):
            seen = await self.run(orchestration_id, *bound)
            if seen.outcome is not None or not seen.wakes:
                return seen
            await self.time_passes(orchestration_id)
        raise AssertionError(f"for ever: {seen}")

    async def time_passes(self, orchestration_id: str) -> None:
        """All that it waits for is over, a lease too."""
        async with transaction(self.pool) as connection:
            await enter_at(connection, self.tenant_id, self.epoch)
            for table in ("orchestrations", "orchestration_steps"):
                await connection.execute(
                    f"UPDATE cell.{table} SET wake_at = now() - interval '1 second' "  # noqa: S608 names of ours
                    "WHERE orchestration_id = $1 AND wake_at IS NOT NULL",
                    orchestration_id,
                )

    async def moved(self, database: CellDatabase) -> "Stage":
        """The same tenant after it went away and came back: rows, leases too, at another epoch."""
        stage = Stage(self.pool, self.tenant_id, next_epoch())
        await _open(database, stage)
        return stage

    async def tell(self, orchestration_id: str, name: str, payload: Mapping[str, Any]) -> bool:
        """Send a signal."""
        async with transaction(self.pool) as connection:
            await enter_at(connection, self.tenant_id, self.epoch)
            return await starting.tell(connection, orchestration_id, name, payload)

    async def cancel(self, orchestration_id: str, bound: Bound | Workflow) -> bool:
        """Whether it could still be asked for."""
        async with transaction(self.pool) as connection:
            await enter_at(connection, self.tenant_id, self.epoch)
            return await starting.cancel(connection, orchestration_id, bound) is not None

    async def seen(self, orchestration_id: str) -> Seen:
        """As Postgres has it."""
        async with transaction(self.pool) as connection:
            await enter_at(connection, self.tenant_id, self.epoch)
            row = await connection.fetchrow(
                "SELECT * FROM cell.orchestrations WHERE orchestration_id = $1", orchestration_id
            )
            steps = await connection.fetch(
                "SELECT * FROM cell.orchestration_steps WHERE orchestration_id = $1", orchestration_id
            )
        assert row is not None
        return Seen(
            row["state"],
            row["outcome"],
            {step["step"]: step["status"] for step in steps},
            {step["step"]: step["attempts"] for step in steps},
            {step["step"]: json.loads(step["output"]) for step in steps if step["output"] is not None},
            row["wake_at"] is not None,
        )


async def new_stage(database: CellDatabase, pool: Pool) -> Stage:
    """A new tenant, served there."""
    stage = Stage(pool, f"t-{secrets.token_hex(4)}", next_epoch())
    await _open(database, stage)
    return stage


async def _open(database: CellDatabase, stage: Stage) -> None:
    control = await database.connect("cell_control")
    try:
        await control.execute("SELECT cellway.set_fence($1, $2, 'active', NULL)", stage.tenant_id, stage.epoch)
    finally:
        await control.close()
