"""The choice of a cell: hard rules first, then the most free, with reasons."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from directory.values import Cell, CellState
from placement.rules.choose import Choice, Nowhere, Wish, choose, obstacle, score

NOW = datetime(2030, 1, 1, tzinfo=UTC)
STATES: list[CellState] = ["joining", "open", "cordoned", "draining", "empty", "retired", "failed"]


def a_cell(
    cell_id: str = "cell-1", *, tenants: int = 0, capacity: int = 10, region: str = "eu", state: CellState = "open"
) -> Cell:
    """A cell at an address that nobody calls."""
    address = "http://127.0.0.1:1"
    return Cell(cell_id, region, state, address, address, capacity, tenants, "1", (), NOW, NOW)


cells = st.builds(
    a_cell,
    st.sampled_from([f"cell-{n}" for n in range(9)]),
    tenants=st.integers(0, 12),
    capacity=st.integers(0, 12),
    region=st.sampled_from(["eu", "us"]),
    state=st.sampled_from(STATES),
)
fleets = st.lists(cells, unique_by=lambda cell: cell.cell_id, max_size=9)
wishes = st.builds(Wish, st.sampled_from([None, "eu", "us", "mars"]))
silences = st.frozensets(st.sampled_from([f"cell-{n}" for n in range(9)]))


@given(fleets, wishes, silences)
def test_no_hard_rule_is_ever_broken(fleet: list[Cell], wish: Wish, silent: frozenset[str]) -> None:
    """The chosen cell and every runner-up are open, in the region, and have a place."""
    found = choose(fleet, wish, silent)
    by_name = {cell.cell_id: cell for cell in fleet}
    if isinstance(found, Nowhere):
        assert all(obstacle(cell, wish) for cell in fleet)
        assert found.reasons
    else:
        names = [found.cell_id, *(runner.cell_id for runner in found.runners_up)]
        assert len(set(names)) == len(names)
        assert all(obstacle(by_name[name], wish) is None for name in names)


@given(fleets, wishes, silences)
def test_nothing_better_was_passed_over(fleet: list[Cell], wish: Wish, silent: frozenset[str]) -> None:
    """Among cells that answer the freest wins; a silent one wins only when all that fit are silent."""
    found = choose(fleet, wish, silent)
    if isinstance(found, Choice):
        fitting = [cell for cell in fleet if obstacle(cell, wish) is None]
        answering = [cell for cell in fitting if cell.cell_id not in silent] or fitting
        assert found.score == max(score(cell) for cell in answering)
        assert found.cell_id in {cell.cell_id for cell in answering}


@given(fleets, wishes, silences, st.randoms(use_true_random=False))
def test_the_answer_does_not_depend_on_the_order_of_cells(fleet, wish, silent, random) -> None:  # type: ignore[no-untyped-def]
    """Two placements that see the same fleet choose the same cell."""
    shuffled = list(fleet)
    random.shuffle(shuffled)
    first, second = choose(fleet, wish, silent), choose(shuffled, wish, silent)
    assert first == second or isinstance(first, Nowhere)


def test_the_reasons_are_words_and_numbers() -> None:
    """An operator reads why a tenant lives where it does."""
    found = choose([a_cell("cell-1", tenants=4), a_cell("cell-2", tenants=1)], Wish("eu"))
    assert isinstance(found, Choice)
    assert found.reasons == (
        "in region eu, as asked",
        "8 of 10 places stay free (80.00%)",
        "the most free of 2 that fit: cell-1, the next, would keep 50.00%",
    )


def test_cells_of_different_sizes_fill_evenly() -> None:
    """The share decides, not the number."""
    found = choose([a_cell("big", tenants=60, capacity=100), a_cell("small", tenants=2, capacity=10)], Wish())
    assert isinstance(found, Choice)
    assert found.cell_id == "small"


def test_a_dead_cell_does_not_swallow_every_new_tenant() -> None:
    """It stays the emptiest for ever, so silence counts before emptiness."""
    fleet = [a_cell("dead", tenants=0), a_cell("full-ish", tenants=8)]
    found = choose(fleet, Wish(), {"dead"})
    assert isinstance(found, Choice)
    assert found.cell_id == "full-ish"


@pytest.mark.parametrize(("state", "passing"), [("joining", True), ("cordoned", False), ("failed", False)])
def test_waiting_helps_only_while_a_cell_is_joining(state: CellState, passing: bool) -> None:
    """Everything else needs an operator."""
    found = choose([replace(a_cell(), state=state)], Wish())
    assert isinstance(found, Nowhere)
    assert found.passing is passing
