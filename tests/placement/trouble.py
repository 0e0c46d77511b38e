"""A real cell, registered, whose tenant acme has work in trouble; no worker runs that would take it up."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from cell.access import enter_at
from cell.app.api import assemble_api
from cell.database import COMMAND_SECONDS, transaction
from cell.orchestrator import starting
from cell.workflows.provisioning import PROVISION
from directory.control.token import control_token
from runtime.database import Pool, open_pool
from runtime.embedded.postgres import PostgresServer
from runtime.embedded.redis import RedisServer
from tests.cell.cells import new_cell_database, settings_for
from tests.placement.conftest import Client
from tests.placement.fake_cell import CONTROL_KEY

ERROR = {"code": "UNAVAILABLE", "message": "it took too long"}


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is in the cell. `stuck`: an orchestration whose first step could not be undone."""

    pool: Pool
    tenant_id: str
    epoch: int
    stuck: str = ""

    async def begin(self) -> str:
        """An orchestration that waits for a worker."""
        async with transaction(self.pool) as connection:
            await enter_at(connection, self.tenant_id, self.epoch)
            row = await starting.start(connection, PROVISION, "accounts/main/namespaces/shop", {})
            return str(row["orchestration_id"])

    async def get_stuck(self, orchestration_id: str) -> None:
        """As a worker leaves it."""
        async with transaction(self.pool) as connection:
            await enter_at(connection, self.tenant_id, self.epoch)
            await connection.execute(
                "INSERT INTO cell.orchestration_steps "
                "(orchestration_id, step, status, attempts, undo_attempts, output, error, ended_at) VALUES "
                "($1, 'reserve', 'STUCK', 1, 3, '{}', $2, now()), "
                "($1, 'allocate', 'UNDONE', 5, 0, NULL, $2, now())",
                *(orchestration_id, json.dumps(ERROR)),
            )
            await connection.execute(
                "UPDATE cell.orchestrations SET state = 'RESERVE_STUCK', wake_at = NULL, error = $2 "
                "WHERE orchestration_id = $1",
                *(orchestration_id, json.dumps(ERROR)),
            )

    async def dead(self, count: int, actor: str = "robot") -> list[str]:
        """So many dead jobs."""
        async with transaction(self.pool) as connection:
            await enter_at(connection, self.tenant_id, self.epoch)
            rows = await connection.fetch(
                "INSERT INTO cell.jobs (job_id, actor, args, state, wake_at, attempts, last_error) "
                "SELECT 'job-' || $2 || '-' || n, $2, '{}', 'dead', NULL, 8, 'it does not want to' "
                "FROM generate_series(1, $1::integer) n RETURNING job_id",
                *(count, actor),
            )
        return [row["job_id"] for row in rows]


@pytest.fixture
async def trouble(
    placement: Client, postgres_server: PostgresServer, redis_server: RedisServer
) -> AsyncIterator[Trouble]:
    """The cell and its tenant."""
    database = await new_cell_database(postgres_server)
    token = control_token(CONTROL_KEY, "cell-1")
    api = await assemble_api(settings_for(database, redis_server.url, region="eu", control_token=token))
    await api.lifecycle.start()
    body = {
        "cell_id": "cell-1",
        "region": "eu",
        "capacity_tenants": 10,
        "address": api.site.url,
        "control_address": api.admin_site.url,
    }
    assert (await placement("POST", "/v1/cells", body)).body["state"] == "open"
    tenant = (await placement.create("acme")).body
    pool = await open_pool(
        database.dsns["cell_app"], name="test", size=2, command_seconds=COMMAND_SECONDS, stateless=True
    )
    begun = Trouble(pool, "acme", tenant["epoch"])
    stuck = await begun.begin()
    await begun.get_stuck(stuck)
    yield Trouble(pool, "acme", tenant["epoch"], stuck)
    await pool.close()
    await api.lifecycle.stop()
