"""Work of somebody's own, for the workers of these tests: it happens at its time, and shows how often."""

from cell.orchestrator.actions import After, Call, Here
from cell.orchestrator.registry import Bound
from cell.rules.turns import Output
from cell.rules.workflows import Kind, Step, Workflow
from runtime.database import Connection


async def fire(connection: Connection, call: Call) -> Output:
    """A second time would find the row there, and fail."""
    await connection.execute(
        "INSERT INTO cell.accounts (account_id, display_name) VALUES ($1, 'fired')", call.orchestration_id
    )
    return {}


TIMED = Bound(
    Workflow("timed", 1, [Step("wait", Kind.TIMER), Step("fire")], lane="bulk"),
    {"wait": After(lambda _call: 90 * 86_400.0), "fire": Here(fire)},
)
WORKFLOWS = [TIMED]
