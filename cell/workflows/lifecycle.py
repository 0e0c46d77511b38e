"""The life of a customer: every version of its workflows that may still be under way."""

from collections.abc import Mapping, Sequence

from cell.orchestrator.registry import Bound
from cell.parties.seams import Parties
from cell.rules.workflows import Workflow
from cell.workflows import offboarding, onboarding, plan_change, suspension, trial
from runtime.database import Pool

WORKFLOWS: Mapping[str, Workflow] = {
    workflow.name: workflow
    for workflow in (
        *(onboarding.WORKFLOW, trial.WORKFLOW, plan_change.WORKFLOW, offboarding.WORKFLOW),
        *(suspension.SUSPENSION, suspension.REACTIVATION),
    )
}
"""What begins now, by name: for whoever begins or cancels one, and carries none out."""


def lifecycle(parties: Parties, pool: Pool) -> Sequence[Bound]:
    """For a worker's registry. `pool`: role `cell_app`."""
    return (
        onboarding.onboarding(parties),
        trial.trial(parties),
        plan_change.plan_change(parties),
        offboarding.offboarding(parties, pool),
        suspension.suspension(parties),
        suspension.reactivation(parties),
    )
