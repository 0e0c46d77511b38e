"""How many second attempts a cell gets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.rules.budget import Budget


def asked(budget: Budget, requests: int) -> Budget:
    for _ in range(requests):
        budget.request()
    return budget


def taken(budget: Budget, now: float) -> int:
    """All that can be taken at once."""
    count = 0
    while budget.take(now):
        count += 1
    return count


@pytest.mark.parametrize(("requests", "attempts"), [(0, 10), (9, 10), (10, 11), (1000, 110), (10_000, 1010)])
def test_a_tenth_and_a_small_reserve(requests: int, attempts: int) -> None:
    """A quiet cell gets the reserve."""
    assert taken(asked(Budget(0.0), requests), 1.0) == attempts


def test_what_was_spent_comes_back_after_the_window() -> None:
    """Not before: the half in which it was spent counts for another."""
    budget = Budget(0.0)
    assert taken(budget, 4.0) == 10
    assert taken(budget, 5.0) == 0
    assert taken(budget, 9.9) == 0
    assert taken(budget, 10.0) == 10


def test_what_was_asked_long_ago_earns_nothing() -> None:
    """A busy morning is no reason to hammer a cell at night."""
    budget = asked(Budget(0.0), 100_000)
    assert taken(budget, 86_400.0) == 10


def test_a_long_time_without_second_attempts_earns_one_window() -> None:
    """An hour at ten a second is no credit for an hour: half a window's requests are known to be recent."""
    budget = asked(Budget(0.0), 36_000)
    assert taken(budget, 3_600.0) == 10 + 5


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 60), st.floats(0, 12)), max_size=40))
def test_attempts_stay_a_share_of_requests(steps: list[tuple[int, int, float]]) -> None:
    """However they come: a tenth of all requests, and the reserve once for each window that passed."""
    budget, now, requests, attempts = Budget(0.0), 0.0, 0, 0
    for asks, tries, pause in steps:
        now += pause
        asked(budget, asks)
        requests += asks
        attempts += sum(budget.take(now) for _ in range(tries))
        assert attempts <= 0.1 * requests + 10 * (now / 10 + 2)


def test_a_cell_that_fails_every_request_gets_little_more_than_its_due() -> None:
    """A hundred seconds at a hundred a second, each tried again if it may be: at most 10 % and the reserve."""
    budget, attempts = Budget(0.0), 0
    for number in range(10_000):
        budget.request()
        attempts += budget.take(number / 100)
    assert 900 <= attempts <= 1000 + 10 * 10
