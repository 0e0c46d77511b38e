"""What a client may believe of the answers to a write that it repeats."""

import pytest

from loadtests.history.calls import Answer, Attempt
from loadtests.history.clients import append_outcome
from loadtests.history.rules.values import Outcome


@pytest.mark.parametrize(
    ("code", "tries", "expected"),
    [
        ("ALREADY_EXISTS", 2, ("acknowledged", True)),
        ("ALREADY_EXISTS", 1, ("refused", False)),
        ("FAILED_PRECONDITION", 2, ("unknown", False)),
    ],
)
def test_only_a_repetition_that_is_told_that_it_exists_was_forgotten(
    code: str, tries: int, expected: tuple[Outcome, bool]
) -> None:
    """While the first is still being done, a repetition is told so, and its key is known."""
    outcome: Outcome = "refused" if code == "ALREADY_EXISTS" else "unknown"
    assert append_outcome(Attempt(Answer(409, {"code": code}), outcome, 0.0, 1.0, tries)) == expected
