"""The busiest names, in little memory."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.rules.busiest import Busiest

STREAMS = st.lists(st.tuples(st.integers(0, 30), st.integers(-1, 50)), max_size=200)


def sketched(stream: list[tuple[int, int]], capacity: int) -> tuple[Busiest[int], Counter[int]]:
    """What the sketch makes of a stream, and the truth."""
    sketch: Busiest[int] = Busiest(capacity)
    truth: Counter[int] = Counter()
    for name, weight in stream:
        sketch.add(name, weight)
        if weight > 0:
            truth[name] += weight
    return sketch, truth


@given(STREAMS, st.integers(1, 12))
def test_whoever_is_really_busy_is_always_in_it(stream: list[tuple[int, int]], capacity: int) -> None:
    """More than N ÷ capacity of all weight cannot be missed."""
    sketch, truth = sketched(stream, capacity)
    named = {name for name, _, _ in sketch.top()}
    assert {name for name, weight in truth.items() if weight > sketch.total / capacity} <= named


@given(STREAMS, st.integers(1, 12))
def test_the_truth_lies_between_count_less_error_and_count(stream: list[tuple[int, int]], capacity: int) -> None:
    """And no error is larger than N ÷ capacity."""
    sketch, truth = sketched(stream, capacity)
    for name, count, error in sketch.top():
        assert count - error <= truth[name] <= count
        assert 0 <= error <= sketch.total / capacity


@given(STREAMS, st.integers(1, 12))
def test_nothing_is_lost_and_nothing_grows(stream: list[tuple[int, int]], capacity: int) -> None:
    """All counts together are all that was added, in no more names than there is room for."""
    sketch, truth = sketched(stream, capacity)
    counts = [count for _, count, _ in sketch.top()]
    assert sum(counts) == sketch.total == truth.total()
    assert len(counts) == min(capacity, len(truth))
    assert counts == sorted(counts, reverse=True)


def test_while_there_is_room_it_is_exact() -> None:
    """Errors come only with the first name too many."""
    sketch, _ = sketched([(1, 5), (2, 7), (1, 5), (3, 1)], 3)
    assert sketch.top() == [(1, 10, 0), (2, 7, 0), (3, 1, 0)]


def test_a_newcomer_takes_the_place_of_the_least() -> None:
    """It inherits the count, as its error."""
    sketch, _ = sketched([(1, 5), (2, 7), (2, 1), (1, 5), (3, 2)], 2)
    assert sketch.top() == [(1, 10, 0), (3, 10, 8)]


def test_of_equals_the_one_counted_for_longer_leaves() -> None:
    """Chance has no say, so two routers that see the same tell the same."""
    sketch, _ = sketched([(1, 1), (2, 1), (3, 1), (4, 1)], 2)
    assert sketch.top() == [(3, 2, 1), (4, 2, 1)]


def test_a_hundred_busy_among_a_hundred_thousand_are_found() -> None:
    """Half of the traffic is a few tenants', the rest comes once each."""
    sketch: Busiest[str] = Busiest(100)
    for number in range(100_000):
        sketch.add(f"rare-{number}")
        sketch.add(f"busy-{number % 20}")
    assert {name for name, _, _ in sketch.top()[:20]} == {f"busy-{number}" for number in range(20)}


def test_a_sketch_of_nothing_is_refused() -> None:
    """There must be a name to take the place of."""
    with pytest.raises(ValueError, match="at least one"):
        Busiest(0)
