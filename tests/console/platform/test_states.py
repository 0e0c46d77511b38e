"""The states of a part."""

import pytest

from console.platform.states import TABLE, Event, IllegalTransition, State, after


def test_a_part_starts_dies_and_comes_back() -> None:
    """The life that people see in the table."""
    state, seen = State.WAITING, []
    for event in (Event.STARTED, Event.BECAME_READY, Event.ENDED, Event.STARTED, Event.BECAME_READY, Event.STOP):
        state = after(state, event)
        seen.append(state)
    assert seen == ["starting", "ready", "backing off", "starting", "ready", "stopping"]
    assert after(state, Event.STOPPED) is State.STOPPED


@pytest.mark.parametrize("state", [state for state in State if state not in (State.STOPPING, State.STOPPED)])
def test_whatever_a_part_does_it_can_be_stopped(state: State) -> None:
    """Ctrl-C works at any moment."""
    assert after(state, Event.STOP) is State.STOPPING


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("event", Event)
def test_only_what_the_table_says_can_happen(state: State, event: Event) -> None:
    """Everything else is a named error."""
    if event in TABLE[state]:
        assert after(state, event) is TABLE[state][event]
    else:
        with pytest.raises(IllegalTransition, match=f"{event} while {state}"):
            after(state, event)
