"""The page about states says what the programs do."""

from pathlib import Path

from cell.rules.orchestration import STEPS
from cell.rules.states import JOBS, NAMESPACES
from cell.rules.tables import document
from directory.rules.planning import PLANS
from directory.rules.planning import STEPS as STEPS_OF_PLANS
from directory.rules.states import CELLS, TENANTS

TABLES = (STEPS, JOBS, NAMESPACES, CELLS, TENANTS, PLANS, STEPS_OF_PLANS)
PAGE = Path(__file__).parents[2] / "docs" / "states.md"


def test_the_page_about_states_is_current() -> None:
    """`make states` writes it anew."""
    assert PAGE.read_text(encoding="utf-8") == document()


def test_the_page_has_every_transition() -> None:
    """As many filled cells as the tables have entries."""
    cells = [
        cell
        for line in document().splitlines()
        if line.startswith("|") and line.count("|") > 4 and not line.startswith(("| state", "| ---"))
        for cell in line.split("|")[2:-1]
    ]
    assert len([cell for cell in cells if cell.strip() != "–"]) == sum(map(len, TABLES))
