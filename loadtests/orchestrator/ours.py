"""The cell's orchestrator: begin a workflow in a transaction, then take its hint, in the way that a worker does.

python -m loadtests.orchestrator.ours --dsn … --form here --workflows … --warm-up … --at-once …
"""

import asyncio
from pathlib import Path

import uvloop

from cell.access import enter_at
from cell.database import COMMAND_SECONDS, transaction
from cell.orchestrator import starting
from cell.orchestrator.actions import Call, Here
from cell.orchestrator.registry import Bound, Registry
from cell.orchestrator.runner import Runner
from cell.rules.turns import Output
from cell.rules.workflows import Step, Workflow
from loadtests.orchestrator.task import STEPS, measure, task, tell
from runtime import logs
from runtime.database import Connection, open_pool

TENANTS, EPOCH = 8, 1
LEASE_SECONDS = 30.0
EFFECT = Path(__file__).with_name("effect.sql").read_text(encoding="utf-8")


def tenant(number: int) -> str:
    """Whose workflow number so-and-so is."""
    return f"bench-{number % TENANTS}"


async def act(connection: Connection, call: Call) -> Output:
    """One row, in the transaction that records the step."""
    await connection.execute(EFFECT, f"{call.step}-{call.payload['number']}", call.step)
    return {"number": call.payload["number"]}


def workflow() -> Bound:
    """Five steps, one after the other."""
    names = [f"step_{number}" for number in range(STEPS)]
    return Bound(Workflow("bench", 1, [Step(name) for name in names]), {name: Here(act) for name in names})


async def run() -> None:
    """All of the task."""
    asked, bound = task(), workflow()
    pool = await open_pool(
        asked.dsn, name="bench", size=asked.at_once, command_seconds=COMMAND_SECONDS, stateless=True
    )
    runner = Runner(pool, Registry([bound]), LEASE_SECONDS)

    async def carry(number: int) -> None:
        async with transaction(pool) as connection:
            await enter_at(connection, tenant(number), EPOCH)
            row = await starting.start(connection, bound, f"things/{number}", {"number": number})
        await runner.run(tenant(number), row["orchestration_id"], EPOCH)

    tell(await measure(asked, carry))
    await pool.close()


if __name__ == "__main__":
    logs.configure("bench", "warning", "json")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
        loop.run(run())
