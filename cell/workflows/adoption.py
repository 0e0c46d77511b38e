"""Work that programs of before began as jobs of several steps, carried on as orchestrations.

Its steps find what is there already, so that it does not matter how far it was.
"""

from collections.abc import Mapping
from typing import Any

from cell.jobs.registry import JobType
from cell.orchestrator import starting
from cell.orchestrator.actions import Call, Here
from cell.rules.workflows import Workflow
from cell.workflows.provisioning import PROVISION, RELEASE
from runtime.database import Connection


def _carried_on(workflow: Workflow, first_step: str, domain: str) -> JobType:
    async def carry_on(connection: Connection, call: Call) -> Mapping[str, Any]:
        place = call.payload
        target = f"accounts/{place['account_id']}/namespaces/{place['namespace_id']}"
        await starting.start(connection, workflow, target, {**place, "domain": domain}, done={first_step: {}})
        return {}

    return JobType(workflow.name, Here(carry_on))


def adopted(domain: str) -> tuple[JobType, ...]:
    """The kinds of jobs that there were."""
    return (_carried_on(PROVISION, "reserve", domain), _carried_on(RELEASE, "mark", domain))
