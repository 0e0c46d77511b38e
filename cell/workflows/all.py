"""All that the workers of a cell know how to do."""

from cell.jobs.registry import Registry as Jobs
from cell.orchestrator.registry import Registry as Workflows
from cell.workflows.adoption import adopted
from cell.workflows.provisioning import PROVISION, RELEASE


def workflows() -> Workflows:
    """Every version that may still be under way."""
    return Workflows((PROVISION, RELEASE))


def jobs(namespace_domain: str) -> Jobs:
    """Every kind."""
    return Jobs(adopted(namespace_domain))
