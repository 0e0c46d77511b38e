"""Every state that the protocol of a move can come to, and the precautions without which one would be wrong."""

from collections import deque

import pytest

from tests.migration.model.protocol import Mutant, State, steps, violation

MOST_STATES = 400_000


def explored(mutant: Mutant) -> tuple[int, list[str] | None]:
    """How many states there are, and the shortest way to one that is wrong."""
    first = State()
    came: dict[State, tuple[State, str] | None] = {first: None}
    queue = deque([first])
    while queue:
        state = queue.popleft()
        if (wrong := violation(state)) is not None:
            way, at = [wrong], state
            while (before := came[at]) is not None:
                at, said = before
                way.append(said)
            return len(came), way[::-1]
        for said, after in steps(state, mutant):
            if after not in came:
                came[after] = (state, said)
                queue.append(after)
        assert len(came) < MOST_STATES, "the model has grown too large to be looked at as a whole"
    return len(came), None


def test_no_state_of_the_protocol_is_wrong() -> None:
    """Whoever dies, comes late or was succeeded."""
    states, wrong = explored(Mutant())
    assert wrong is None, " -> ".join(wrong)
    assert states > 1000


@pytest.mark.parametrize("precaution", Mutant.__dataclass_fields__)
def test_without_any_one_precaution_something_goes_wrong(precaution: str) -> None:
    """So each is needed, and the model would notice."""
    _, wrong = explored(Mutant(**{precaution: True}))
    assert wrong is not None
