"""The state tables as Markdown, for people. Pure."""

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any, get_args

from cell.rules.operations import ENDED, MEANINGS
from cell.rules.orchestration import STEPS, Event, Status
from cell.rules.states import JOBS, NAMESPACES
from directory.rules.planning import PLANS, PlanWish
from directory.rules.planning import STEPS as STEPS_OF_PLANS
from directory.rules.states import CELL_STATES, CELLS, OF_OPERATORS, TENANTS

HEAD = """# States

Written by `make states` from the tables that the programs decide by; what is not in a table is refused.
"""
NONE = "(none)"
BY_OPERATORS: frozenset[Any] = frozenset({Event.RETRY, Event.SKIP, "revive"})


def document() -> str:
    """The whole page."""
    return "\n".join(
        (
            HEAD,
            "## Steps of an orchestration\n",
            "An operator has *retry* and *skip*; all else is done by workers. How the steps play together is in",
            "[Writing a workflow](workflows.md), what to do about a stuck one in",
            "[Work that is stuck](operations/stuck-work.md).\n",
            *_meanings((status.name, status.value) for status in Status),
            "",
            *_table(STEPS),
            "",
            "## Operations\n",
            "What a tenant sees of an orchestration. The last three are ends.\n",
            *_meanings(sorted(MEANINGS.items(), key=lambda row: row[0] in ENDED)),
            "",
            "## Jobs\n",
            *_table(JOBS),
            "",
            "An operator has *revive*, called retry on the command line. A discarded job is a removed row.",
            "",
            "## Namespaces\n",
            *_table(NAMESPACES),
            "",
            "One that could not be provisioned, and one that was released, is a removed row.",
            "",
            "## Cells\n",
            *_meanings(CELL_STATES.items()),
            "",
            *_table(CELLS, BY_OPERATORS | OF_OPERATORS),
            "",
            "A cell proves itself when it answers as the one that was registered; whoever leads says that it is",
            "empty. That and *retire* need that nobody lives there, *retire* also that no move needs the cell any",
            "more. How to go about it is in [The life of a cell](operations/cells.md).",
            "",
            "## Tenants\n",
            *_table(TENANTS),
            "",
            "## Plans\n",
            *_table(PLANS, frozenset(get_args(PlanWish))),
            "",
            "A drain is approved by draining its cell, and called off by opening or cordoning it. How to go about",
            "plans is in [Levelling the fleet](operations/plans.md). One move of a plan:\n",
            *_table(STEPS_OF_PLANS),
            "",
        )
    )


def _meanings(rows: Iterable[tuple[str, str]]) -> list[str]:
    return ["| state | meaning |", "| --- | --- |", *(f"| {name} | {meaning} |" for name, meaning in rows)]


def _table(table: Mapping[tuple[Any, Any], Any], by_operators: frozenset[Any] = BY_OPERATORS) -> list[str]:
    """A row for each state, a column for each event."""
    states = [*(state for state, _ in table), *table.values()]
    events = _seen(event for _, event in table)
    return [
        f"| state | {' | '.join(_said(event, event in by_operators) for event in events)} |",
        f"| --- |{' --- |' * len(events)}",
        *(
            f"| {_named(state)} | {' | '.join(_cell(table, state, event) for event in events)} |"
            for state in _seen(states)
        ),
    ]


def _cell(table: Mapping[tuple[Any, Any], Any], state: Any, event: Any) -> str:
    return _named(table[state, event]) if (state, event) in table else "–"


def _named(state: Any) -> str:
    return NONE if state is None else state.name if isinstance(state, Enum) else str(state)


def _said(event: Any, is_operators: bool) -> str:
    words = str(event.value if isinstance(event, Enum) else event).replace("_", " ")
    return f"*{words}*" if is_operators else words


def _seen(values: Iterable[Any]) -> list[Any]:
    """Each once, in their order."""
    return list(dict.fromkeys(values))
