"""All that the workers of a cell know how to do: what is here, and what a module of somebody's own adds to it."""

import importlib
from collections.abc import Callable, Iterator
from typing import TypeVar

from cell.jobs.registry import JobType
from cell.jobs.registry import Registry as Jobs
from cell.orchestrator.registry import Bound
from cell.orchestrator.registry import Registry as Workflows
from cell.parties.local import local_parties
from cell.settings import CellSettings
from cell.workflows.adoption import adopted
from cell.workflows.lifecycle import lifecycle
from cell.workflows.provisioning import provisioning
from runtime.database import Pool
from runtime.errors import SettingsError

KindT = TypeVar("KindT", Bound, JobType)
MadeT = TypeVar("MadeT")


def workflows(settings: CellSettings, pool: Pool) -> Workflows:
    """Every version that may still be under way. SettingsError: a module of `WORK` is not what it should be.

    `pool`: of role `cell_app`, for the parties that this cell plays itself.
    """
    parties = local_parties(pool, settings)
    known = (*provisioning(parties.resources), *lifecycle(parties, pool))
    return _made(lambda: Workflows((*known, *_of_modules(settings, "WORKFLOWS", Bound))))


def jobs(settings: CellSettings) -> Jobs:
    """Every kind. SettingsError: a module of `WORK` is not what it should be."""
    return _made(lambda: Jobs((*adopted(settings.namespace_domain), *_of_modules(settings, "JOBS", JobType))))


def _of_modules(settings: CellSettings, name: str, kind: type[KindT]) -> Iterator[KindT]:
    for module_name in filter(None, (part.strip() for part in settings.work.split(","))):
        try:
            module = importlib.import_module(module_name)
        except ImportError as error:
            raise SettingsError(f"CELLWAY_CELL_WORK: {module_name} cannot be imported: {error}") from error
        for each in getattr(module, name, ()):
            if not isinstance(each, kind):
                raise SettingsError(f"CELLWAY_CELL_WORK: {module_name}.{name} holds {each!r}, no {kind.__name__}")
            yield each


def _made(make: Callable[[], MadeT]) -> MadeT:
    try:
        return make()
    except ValueError as error:  # two of one name, or a workflow that could never be carried out
        raise SettingsError(f"CELLWAY_CELL_WORK: {error}") from error
