"""Every operation of placement's API, by the role that it needs; and how to ask for one that can be refused.

Whoever adds an operation decides here, and in `docs/operations/operators.md`, who may call it.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

ROLES = ("viewer", "operator", "admin")
NEEDS: Mapping[str, frozenset[str]] = {
    "viewer": frozenset(
        {
            "listTenants", "getTenant", "listKeys", "listOrchestrations", "getOrchestration", "listJobs",
            "listDeadJobs", "listMoves", "getMove", "listMoveEvents", "previewMove", "previewReverse",
            "listCells", "getCell", "getCellRecovery", "listInstances", "listLeaders", "listChecks",
            "listDecisions", "whoami", "getTenantLoad", "getCellLoad", "listPlans", "getPlan", "listPlanMoves",
            "getDrain",
        }
    ),
    "operator": frozenset(
        {
            "createTenant", "updateTenant", "limitTenant", "unlimitTenant", "suspendTenant", "resumeTenant",
            "onboardCustomer", "offboardCustomer", "cancelOffboarding", "revokeKey", "retryOrchestration",
            "skipOrchestration", "cancelOrchestration", "retryJobs", "discardJobs", "planMove", "pauseMove",
            "resumeMove", "switchMove", "cancelMove", "confirmMove", "reverseMove", "cordonCell", "openCell",
            "drainCell", "makePlan", "approvePlan", "pausePlan", "resumePlan", "stopPlan",
        }
    ),
    "admin": frozenset(
        {
            "registerCell", "updateCell", "failCell", "retireCell", "deleteTenant", "createKey",
        }
    ),
}  # fmt: skip
EXAMPLES = {
    "tenant": "nobody",
    "cell": "nowhere",
    "key": "k",
    "orchestration": "op-1",
    "move": "mv-1",
    "plan": "pl-1",
}
_PARAMETER = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Operation:
    """One, as the served document has it; `path` is one of something that does not exist."""

    name: str
    method: str
    path: str
    role: str
    body: str | None
    parameters: tuple[str, ...]


def operations(document: Any) -> Iterator[Operation]:
    """All of the served document."""
    for path, methods in document["paths"].items():
        for method, told in methods.items():
            content = told.get("requestBody", {}).get("content", {})
            refs = [part["schema"]["$ref"].rpartition("/")[2] for part in content.values()]
            yield Operation(
                name=told["operationId"],
                method=method.upper(),
                path=_PARAMETER.sub(lambda found: EXAMPLES.get(found[1], "none-1"), path),
                role=told["x-role"],
                body=refs[0] if refs else None,
                parameters=tuple(_PARAMETER.findall(path)),
            )
