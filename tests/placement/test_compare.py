"""Fences and assignments are compared without alarms about what is just changing."""

from hypothesis import given
from hypothesis import strategies as st

from directory.control.contract import FenceReport
from placement.rules.compare import CELL_AHEAD, CELL_BEHIND, TWO_HOMES, Home, faults

HOME = {"acme": Home(7, settled=True)}


def fence(epoch: int = 7, state: str = "active", tenant_id: str = "acme") -> FenceReport:
    """One row."""
    return FenceReport.model_validate({"tenant_id": tenant_id, "epoch": epoch, "state": state})


def test_a_fence_at_the_assigned_epoch_is_well() -> None:
    """Nothing to say."""
    assert faults(HOME, [fence()], HOME) == []


def test_a_missing_closed_or_outdated_fence_is_told() -> None:
    """The tenant is assigned here, and could not write."""
    assert "has no fence" in faults(HOME, [], HOME)[0].text
    assert "is fenced at 7" in faults(HOME, [fence(state="fenced")], HOME)[0].text
    assert "is active at 6" in faults(HOME, [fence(epoch=6)], HOME)[0].text


def test_each_kind_of_fault_has_a_remedy_of_its_own() -> None:
    """Telling the cell anew helps a cell that is behind, and nobody else."""
    assert faults(HOME, [], HOME)[0].remedy == CELL_BEHIND
    assert faults(HOME, [fence(epoch=6)], HOME)[0].remedy == CELL_BEHIND
    assert faults(HOME, [fence(state="fenced")], HOME)[0].remedy == CELL_AHEAD
    assert faults(HOME, [fence(epoch=9)], HOME)[0].remedy == CELL_AHEAD
    assert faults({}, [fence()], {})[0].remedy == TWO_HOMES


def test_a_decision_on_its_way_hides_no_cell_that_is_ahead() -> None:
    """It will be refused for ever, so waiting for it would be waiting in vain."""
    waiting = {"acme": Home(7, settled=False)}
    assert faults(waiting, [], waiting) == []
    assert faults(waiting, [fence(epoch=6)], waiting) == []
    assert faults(waiting, [fence(epoch=9)], waiting)[0].remedy == CELL_AHEAD


def test_an_active_fence_of_a_stranger_is_told() -> None:
    """This is how a tenant that may write in two cells shows."""
    assert "not assigned here" in faults({}, [fence()], {})[0].text
    assert faults({}, [fence(state="moved")], {}) == []


homes = st.dictionaries(st.sampled_from("abc"), st.builds(Home, st.integers(1, 3), st.booleans()))


@given(homes, homes, st.lists(st.builds(fence, st.integers(1, 3), tenant_id=st.sampled_from("abc"))))
def test_what_changed_meanwhile_is_never_blamed(
    before: dict[str, Home], after: dict[str, Home], fences: list[FenceReport]
) -> None:
    """Only what both readings agree on says anything about the time between them."""
    for fault in faults(before, fences, after):
        name = fault.text.split()[0]
        assert before.get(name) == after.get(name)
