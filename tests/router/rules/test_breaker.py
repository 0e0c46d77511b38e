"""When a cell is left alone, and when it is tried again."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.rules.breaker import TRANSITIONS, Breaker, Event, Evidence, State, Thresholds


def opened(at: float = 0.0) -> Breaker:
    """A breaker that ten failures of three tenants opened."""
    breaker = Breaker()
    for number in range(10):
        breaker.failed(f"t{number % 3}", at)
    return breaker


def fed(breaker: Breaker, successes: int, failures: int, tenants: int, at: float = 0.0) -> Breaker:
    for _ in range(successes):
        breaker.succeeded(at)
    for number in range(failures):
        breaker.failed(number % tenants, at)
    return breaker


@pytest.mark.parametrize(
    ("successes", "failures", "tenants", "state"),
    [
        (0, 10, 3, State.OPEN),
        (10, 10, 3, State.OPEN),
        (11, 10, 3, State.CLOSED),
        (0, 9, 3, State.CLOSED),
        (0, 1000, 2, State.CLOSED),
        (0, 1000, 1, State.CLOSED),
        (0, 1000, 1000, State.OPEN),
        (1000, 999, 100, State.CLOSED),
    ],
)
def test_it_opens_only_on_many_failures_of_many_requests_and_several_tenants(
    successes: int, failures: int, tenants: int, state: State
) -> None:
    """All three are needed."""
    assert fed(Breaker(), successes, failures, tenants).state is state


@given(st.lists(st.tuples(st.sampled_from(["a", "b", None]), st.floats(0, 3)), max_size=80))
def test_one_or_two_tenants_never_take_the_cell_from_anybody(reports: list[tuple[str | None, float]]) -> None:
    """Their requests may be what is wrong."""
    breaker, now = Breaker(), 0.0
    for tenant, pause in reports:
        now += pause
        if tenant is None:
            breaker.succeeded(now)
        else:
            breaker.failed(tenant, now)
        assert breaker.allows(now)


def test_failures_that_lie_apart_do_not_open_it() -> None:
    """One failure in two seconds is five or six in a window."""
    breaker = Breaker()
    for number in range(100):
        breaker.failed(number, 2.0 * number)
        assert breaker.closed


@pytest.mark.parametrize(
    ("pause", "state"), [(0.0, State.OPEN), (4.9, State.OPEN), (9.9, State.OPEN), (10.0, State.CLOSED)]
)
def test_the_window_is_two_halves(pause: float, state: State) -> None:
    """What the half before saw counts, tenants included; what is older does not."""
    breaker = fed(Breaker(), 0, 8, 2)
    breaker.failed("third", pause)
    breaker.failed("third", pause)
    assert breaker.state is state


def test_halves_rotate_when_nobody_reports_for_one() -> None:
    """Old evidence leaves even if no report came exactly when a half ended."""
    breaker = fed(Breaker(), 0, 9, 3)
    breaker.succeeded(9.0)
    breaker.failed("x", 10.5)
    assert breaker.evidence == Evidence(2, 1, 1)


def test_while_open_nothing_goes_through_and_then_one_probe() -> None:
    """The second request waits for what the first finds out."""
    breaker = opened()
    assert [breaker.allows(at) for at in (0.0, 0.5, 0.99)] == [False] * 3
    assert breaker.retry_after_seconds(0.25) == pytest.approx(0.75)
    assert [breaker.allows(at) for at in (1.0, 1.0, 1.5)] == [True, False, False]
    assert breaker.state is State.HALF_OPEN
    assert breaker.retry_after_seconds(1.5) == 1.0


def test_a_probe_that_succeeds_closes_it_and_the_past_is_forgotten() -> None:
    """Else a single failure would open it again."""
    breaker = opened()
    breaker.allows(1.0)
    breaker.succeeded(1.1)
    assert breaker.closed
    assert breaker.evidence == Evidence()
    assert breaker.retry_after_seconds(1.1) == 0.0
    assert fed(breaker, 0, 9, 3, at=1.2).closed
    breaker.failed("x", 1.3)
    assert breaker.open_seconds == 1.0


def test_a_probe_that_fails_doubles_the_time_up_to_a_limit() -> None:
    """1, 2, 4, 5, 5 seconds."""
    breaker, now, told = opened(), 0.0, []
    for _ in range(5):
        told.append(breaker.open_seconds)
        now += breaker.open_seconds
        assert not breaker.allows(now - 0.01)
        assert breaker.allows(now)
        breaker.failed("t0", now)
    assert told == [1.0, 2.0, 4.0, 5.0, 5.0]


def test_a_probe_that_nobody_reports_is_lost_and_another_goes() -> None:
    """A client may leave amid its request, and then nobody learns anything."""
    breaker = opened()
    assert [breaker.allows(at) for at in (1.0, 5.9, 6.0, 6.1, 11.0)] == [True, False, True, False, True]


def test_what_was_sent_before_it_opened_changes_nothing() -> None:
    """Reports of the past neither close it nor make it stay open for longer."""
    breaker = opened()
    breaker.succeeded(0.5)
    breaker.failed("x", 0.5)
    assert breaker.state is State.OPEN
    assert breaker.open_seconds == 1.0
    assert breaker.evidence == Evidence(10, 10, 3)


def test_what_it_remembers_of_tenants_is_bounded() -> None:
    """A thousand failing tenants are no more evidence than three."""
    assert fed(Breaker(Thresholds(failures=10_000)), 0, 5000, 1000).evidence == Evidence(5000, 5000, 3)


def test_only_four_pairs_of_state_and_event_move_it() -> None:
    """Every other pair leaves it where it is."""
    moves = {(state, event): TRANSITIONS.get((state, event), state) for state, event in product(State, Event)}
    assert sum(moves[pair] is not pair[0] for pair in moves) == len(TRANSITIONS) == 4
    assert all(pair[0] is not target for pair, target in TRANSITIONS.items())


@given(st.lists(st.tuples(st.sampled_from(["ask", "ok", "a", "b", "c"]), st.floats(0, 8)), max_size=200))
def test_whatever_happens_it_can_be_asked_again(steps: list[tuple[str, float]]) -> None:
    """It never stays shut for longer than its longest time and a lost probe."""
    breaker, now = Breaker(Thresholds(failures=3)), 0.0
    for step, pause in steps:
        now += pause
        if step == "ask":
            breaker.allows(now)
        elif step == "ok":
            breaker.succeeded(now)
        else:
            breaker.failed(step, now)
        assert breaker.closed == (breaker.state is State.CLOSED)
        assert 0.0 <= breaker.retry_after_seconds(now) <= 30.0
    assert breaker.allows(now + 30.0)
