"""Workflows with what their steps do: every version under which an orchestration may still be under way."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cell.errors import CellError
from cell.orchestrator.actions import Action, After, Here, Told
from cell.rules.workflows import Kind, Malformed, Workflow

_KINDS = {After: Kind.TIMER, Told: Kind.SIGNAL}


@dataclass(frozen=True, slots=True)
class Bound:
    """A workflow and its actions by step. Malformed when they do not fit."""

    workflow: Workflow
    actions: Mapping[str, Action]

    def __post_init__(self) -> None:
        if set(self.actions) != set(self.workflow.by_name):
            raise Malformed(f"{self.workflow.name}: steps and actions have different names")
        for name, action in self.actions.items():
            step = self.workflow.by_name[name]
            if step.kind is not _KINDS.get(type(action), Kind.ACTION):
                raise Malformed(
                    f"{self.workflow.name}: {name} is declared as {step.kind.name}, and is something else"
                )
            if isinstance(action, Here) and step.undoes != (action.undo is not None):
                raise Malformed(f"{self.workflow.name}: whether {name} can be undone is said in two ways")


class Unknown(CellError):
    """A workflow, or a version of one, that this program does not have."""


class Registry:
    """(name, version) → what to do."""

    def __init__(self, bound: Sequence[Bound]) -> None:
        self._bound = {(each.workflow.name, each.workflow.version): each for each in bound}
        if len(self._bound) != len(bound):
            raise Malformed("a version of a workflow is declared twice")

    def __repr__(self) -> str:
        return f"<Registry {', '.join(f'{name} {version}' for name, version in sorted(self._bound))}>"

    def get(self, name: str, version: int) -> Bound | None:
        """None when this program is older or newer than the orchestration."""
        return self._bound.get((name, version))

    def latest(self, name: str) -> Bound:
        """What begins now. KeyError."""
        return self._bound[name, max(version for known, version in self._bound if known == name)]
