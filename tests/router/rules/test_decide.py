"""What becomes of an attempt without an answer, and when a cell is stopped."""

import pytest

from router.rules.decide import UNSENT, Again, Attempt, GiveUp, Outcome, Refresh, decide
from router.rules.silence import Patience, Verdict, verdict


def attempt(
    method: bytes = b"GET", *, body: bool = False, replayable: bool = True, key: bool = False, number: int = 1
) -> Attempt:
    return Attempt(method, body, replayable, key, number)


@pytest.mark.parametrize("method", [b"GET", b"POST", b"PATCH", b"BREW"])
def test_a_421_is_followed_once_whatever_the_method(method: bytes) -> None:
    """It was said before any effect, so sending again is always safe."""
    assert decide(Outcome.NOT_OURS, attempt(method, body=True)) == Refresh()
    gives_up = GiveUp(503, retryable=True, unknown=False)
    assert decide(Outcome.NOT_OURS, attempt(method, number=2)) == gives_up
    assert decide(Outcome.NOT_OURS, attempt(method, replayable=False)) == gives_up


@pytest.mark.parametrize(
    ("made", "again"),
    [
        (attempt(b"GET"), True),
        (attempt(b"DELETE"), True),
        (attempt(b"GET", number=2), False),
        (attempt(b"PUT", body=True), False),
        (attempt(b"POST"), False),
        (attempt(b"POST", key=True), False),
        (attempt(b"PATCH"), False),
    ],
)
def test_only_what_is_idempotent_and_bodiless_is_sent_again_after_a_stale_connection(
    made: Attempt, again: bool
) -> None:
    """A POST may have been carried out by the cell that then closed."""
    assert isinstance(decide(Outcome.STALE, made), Again) is again


@pytest.mark.parametrize("outcome", sorted(UNSENT, key=lambda outcome: outcome.name))
@pytest.mark.parametrize("method", [b"GET", b"POST"])
def test_what_was_never_sent_may_be_tried_again_by_the_client(outcome: Outcome, method: bytes) -> None:
    """Nothing happened."""
    assert decide(outcome, attempt(method)) == GiveUp(503, retryable=True, unknown=False)


@pytest.mark.parametrize("outcome", [Outcome.SILENT, Outcome.CLOSED, Outcome.LATE, Outcome.MALFORMED])
@pytest.mark.parametrize(
    ("made", "retryable"),
    [
        (attempt(b"GET"), True),
        (attempt(b"PUT", body=True), True),
        (attempt(b"POST"), False),
        (attempt(b"POST", key=True), True),
        (attempt(b"PATCH"), False),
    ],
)
def test_an_unknown_outcome_is_retryable_only_where_that_is_safe(
    outcome: Outcome, made: Attempt, retryable: bool
) -> None:
    """Idempotent methods, and what carries an Idempotency-Key."""
    action = decide(outcome, made)
    assert isinstance(action, GiveUp)
    assert (action.retryable, action.unknown) == (retryable, True)
    assert action.status in (502, 503, 504)


PATIENCE = Patience(probe_seconds=0.2, stopped_seconds=0.6)


@pytest.mark.parametrize(
    ("stopped", "waiting", "silent_seconds", "expected"),
    [
        (False, False, 99.0, Verdict.NOTHING),
        (False, True, 0.1, Verdict.NOTHING),
        (False, True, 0.3, Verdict.PROBE),
        (False, True, 0.6, Verdict.STOPPED),
        (True, True, 0.1, Verdict.PROBE),
        (True, False, 99.0, Verdict.PROBE),
    ],
)
def test_silence_counts_only_while_somebody_waits(
    stopped: bool, waiting: bool, silent_seconds: float, expected: Verdict
) -> None:
    """A stopped cell is probed until it answers."""
    found = verdict(stopped=stopped, waiting=waiting, silent_seconds=silent_seconds, patience=PATIENCE)
    assert found is expected
