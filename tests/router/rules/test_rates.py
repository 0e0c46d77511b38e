"""Tenants' token buckets and what clients are told of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.rules.rates import Bucket, limit_header, policy_header, retry_after

RATES = st.floats(0.1, 10_000)
BURSTS = st.integers(1, 200)
PAUSES = st.lists(st.floats(0, 2), max_size=60)
NOWS = st.floats(0, 1e7)


@given(RATES, BURSTS, NOWS)
def test_a_full_bucket_gives_its_burst_and_no_more(per_second: float, burst: int, now: float) -> None:
    """Whatever the clock's origin."""
    bucket = Bucket(per_second, burst)
    assert [bucket.take(now) for _ in range(burst)] == [0.0] * burst
    assert bucket.take(now) > 0.0


@given(RATES, BURSTS, PAUSES)
def test_it_never_gives_more_than_burst_and_rate_allow(per_second: float, burst: int, pauses: list[float]) -> None:
    """The defining bound: in any time t at most burst + rate × t."""
    bucket, now, given_out = Bucket(per_second, burst), 0.0, 0
    for pause in pauses:
        now += pause
        while bucket.take(now) == 0.0:
            given_out += 1
            assert given_out <= burst + per_second * now + 0.01
            if given_out > 500:
                return


@given(RATES, BURSTS, NOWS)
def test_whoever_waits_as_told_is_served(per_second: float, burst: int, now: float) -> None:
    """Neither later than needed nor, by rounding, in vain."""
    bucket = Bucket(per_second, burst)
    for _ in range(burst):
        bucket.take(now)
    for _ in range(5):
        wait = bucket.take(now)
        assert 0.0 < wait <= 1.01 / per_second + 1e-6
        assert bucket.take(now + wait * 0.9) > 0.0
        now += wait
        assert bucket.take(now) == 0.0


@given(RATES, BURSTS, st.lists(st.floats(0.001, 2), max_size=20), st.integers(0, 30))
def test_what_remains_is_what_can_be_taken(per_second: float, burst: int, pauses: list[float], taken: int) -> None:
    """The header is no guess."""
    bucket, now = Bucket(per_second, burst), 0.0
    for pause in [0.0, *pauses]:
        now += pause
        for _ in range(taken):
            bucket.take(now)
    told = bucket.remaining(now)
    count = 0
    while bucket.take(now) == 0.0:
        count += 1
    assert told == count
    assert bucket.remaining(now) == 0


def test_a_refusal_costs_nothing() -> None:
    """Else a client that hammers would never be let in again."""
    bucket = Bucket(1.0, 1)
    bucket.take(0.0)
    assert {bucket.take(0.5) for _ in range(1000)} == {0.5}
    assert bucket.take(1.0) == 0.0


def test_a_bucket_tells_when_it_is_full_again() -> None:
    """Ten used at ten a second: one second."""
    bucket = Bucket(10.0, 20)
    assert bucket.reset_seconds(5.0) == 0.0
    assert bucket.remaining(5.0) == 20
    for _ in range(10):
        bucket.take(5.0)
    assert bucket.reset_seconds(5.0) == pytest.approx(1.0)
    assert bucket.reset_seconds(5.5) == pytest.approx(0.5)
    assert bucket.remaining(5.5) == 15
    assert bucket.reset_seconds(9.0) == 0.0
    assert bucket.remaining(9.0) == 20


@pytest.mark.parametrize(
    ("taken", "per_second", "burst", "remaining"),
    [
        (0, 5.0, 50, 50),
        (0, 5.0, 3, 3),
        (4, 10.0, 10, 6),
        (4, 1000.0, 10, 6),
        (4, 0.1, 10, 6),
        (4, 10.0, 100, 96),
        (10, 10.0, 12, 2),
        (10, 10.0, 5, 0),
    ],
)
def test_a_change_keeps_what_was_used(taken: int, per_second: float, burst: int, remaining: int) -> None:
    """It grants nobody a second burst, and takes from nobody more than the new burst."""
    bucket = Bucket(10.0, 10)
    for _ in range(taken):
        bucket.take(3.0)
    bucket.change(per_second, burst, 3.0)
    assert bucket.remaining(3.0) == remaining
    assert (bucket.per_second, bucket.burst) == (per_second, burst)
    assert bucket.take(3.0 + burst / per_second + 1.0) == 0.0
    assert bucket.remaining(3.0 + 2 * burst / per_second + 2.0) == burst


@pytest.mark.parametrize(("per_second", "burst"), [(0.0, 1), (-1.0, 1), (1.0, 0), (float("nan"), 1)])
def test_a_bucket_that_gives_nothing_is_refused(per_second: float, burst: int) -> None:
    """To block a tenant is another decision."""
    with pytest.raises(ValueError, match="at least one"):
        Bucket(per_second, burst)


@pytest.mark.parametrize(
    ("per_second", "burst", "value"),
    [
        (10.0, 100, b'"requests";q=100;w=10'),
        (100.0, 10, b'"requests";q=10;w=1'),
        (3.0, 10, b'"requests";q=10;w=4'),
        (0.1, 1, b'"requests";q=1;w=10'),
        (0.3, 3, b'"requests";q=3;w=10'),
    ],
)
def test_the_policy_is_told_in_whole_seconds(per_second: float, burst: int, value: bytes) -> None:
    """The draft knows no fractions; the window must be more than nothing."""
    assert policy_header(per_second, burst) == value


@pytest.mark.parametrize(
    ("remaining", "seconds", "value"),
    [(9, 0.0, b'"requests";r=9;t=0'), (0, 0.2, b'"requests";r=0;t=1'), (3, 7.0, b'"requests";r=3;t=7')],
)
def test_the_limit_is_told_in_whole_seconds(remaining: int, seconds: float, value: bytes) -> None:
    """Rounded up: who comes back then is not too early."""
    assert limit_header(remaining, seconds) == value


@pytest.mark.parametrize(("seconds", "whole"), [(0.0, 1), (0.001, 1), (1.0, 1), (1.001, 2), (29.5, 30)])
def test_retry_after_is_never_too_soon(seconds: float, whole: int) -> None:
    """Zero would be an invitation to hammer."""
    assert retry_after(seconds) == whole
