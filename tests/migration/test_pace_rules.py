"""When copies are held, by how long commits take at their source: decisions on numbers alone."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migration.rules import pace as rules
from migration.rules.pace import LEARNT, MOST_REST_SECONDS, MOST_USUAL, WINDOW, Bounds, Pace

BOUNDS = Bounds(most=8.0)
MANY = 20
"""Windows: enough to come from one end of what is possible to the other."""
latencies = st.floats(0.0, 2.0, allow_nan=False)
samples = st.lists(st.tuples(latencies, st.integers(0, 8)), max_size=300)
bounds = st.builds(
    Bounds, st.floats(1.0, 10.0), st.floats(0.0, 1.0), st.floats(0.001, 1.0), most=st.floats(1.0, 200.0)
)


def learnt(usual: float, given: Bounds = BOUNDS) -> Pace:
    """A source whose commits always took so long."""
    return after(rules.begin(given), [usual] * LEARNT, 0, given)


def after(pace: Pace, taken: list[float], chunks: int, given: Bounds = BOUNDS) -> Pace:
    """What follows from commits that took so long."""
    for seconds in taken:
        pace = rules.sampled(pace, seconds, chunks, given)
    return pace


@given(taken=samples, given=bounds, took=st.floats(-1.0, 10_000.0))
def test_whatever_is_measured_limits_and_rests_are_bounded(
    taken: list[tuple[float, int]], given: Bounds, took: float
) -> None:
    """Never below the floor, never above the most, never a negative or endless rest, nothing that grows."""
    pace = rules.begin(given)
    for seconds, chunks in taken:
        pace = rules.sampled(pace, seconds, chunks, given)
        assert given.least <= pace.limit <= given.most
        assert 1 <= pace.at_once <= given.most
        assert 0 < pace.share <= 1
        assert 0 <= pace.rest_seconds(took) <= MOST_REST_SECONDS
        assert len(pace.usual) <= MOST_USUAL
        assert len(pace.recent) < WINDOW


@given(usual=latencies, wave=st.lists(latencies, min_size=1, max_size=20), chunks=st.integers(1, 8))
def test_steady_commits_hold_nothing(usual: float, wave: list[float], chunks: int) -> None:
    """However slow they are, and whatever their pattern is: it is the same with us as without."""
    pattern = [usual, *wave]
    pace = rules.begin(BOUNDS)
    for number in range(WINDOW * MANY):
        seconds = pattern[number % len(pattern)]
        pace = after(after(pace, [seconds], 0), [seconds], chunks)
    assert pace.limit == BOUNDS.most


@given(usual=latencies, late=st.floats(0.0, 1.0), chunks=st.integers(1, 8))
def test_what_clients_do_not_notice_holds_nothing(usual: float, late: float, chunks: int) -> None:
    """Within the rise and the tolerance a copy may do what it likes."""
    allowed = usual + late * (usual * (BOUNDS.rise - 1) + BOUNDS.tolerance_seconds) * 0.999
    assert after(learnt(usual), [allowed] * (WINDOW * MANY), chunks).limit == BOUNDS.most


@given(usual=st.floats(0.0, 0.5), more=st.floats(0.001, 1.0), chunks=st.integers(1, 8), given=bounds)
def test_constant_overload_leads_to_the_floor_and_stays_there(
    usual: float, more: float, chunks: int, given: Bounds
) -> None:
    """Even where each gap is used to learn again what is usual."""
    pace = learnt(usual, given)
    slow = usual * given.rise + given.tolerance_seconds + more
    for _ in range(MANY):
        pace = after(after(pace, [slow] * WINDOW, chunks, given), [usual] * WINDOW, 0, given)
    assert pace.limit == given.least
    assert pace.rest_seconds(1.0) == pytest.approx(min(MOST_REST_SECONDS, 1 / given.least - 1))


@given(usual=st.floats(0.0, 0.5), chunks=st.integers(1, 8))
def test_a_copy_goes_on_at_full_speed_when_the_overload_is_over(usual: float, chunks: int) -> None:
    """Step by step, never faster than it may."""
    held = after(learnt(usual), [usual + 1.0] * (WINDOW * MANY), chunks)
    assert held.limit == BOUNDS.least
    limits = [held.limit]
    for _ in range(MANY):
        held = after(held, [usual] * WINDOW, chunks)
        limits.append(held.limit)
    assert limits == sorted(limits)
    assert held.limit == BOUNDS.most


@given(usual=st.floats(0.0, 0.5), busy=st.floats(0.6, 2.0))
def test_what_the_sources_own_clients_do_becomes_usual(usual: float, busy: float) -> None:
    """Then it is not the copy that makes it slow, and holding it would help nobody."""
    pace = after(learnt(usual), [busy] * (WINDOW * MANY), 1)
    assert pace.limit == BOUNDS.least
    pace = after(pace, [busy] * MOST_USUAL, 0)
    assert after(pace, [busy] * (WINDOW * MANY), 1).limit == BOUNDS.most


@given(usual=st.floats(0.1, 1.0))
def test_a_source_that_became_faster_is_noticed_while_it_is_copied_from(usual: float) -> None:
    """What was learnt in a busy hour is no measure for a quiet one, though there is no gap to learn anew."""
    pace = after(learnt(usual), [usual / 10] * MOST_USUAL, 2)
    assert after(pace, [usual] * WINDOW, 2).limit == 1.0


def test_nothing_is_held_before_it_is_known_what_is_usual() -> None:
    """One that may not probe copies as it did."""
    assert after(rules.begin(BOUNDS), [2.0] * 500, 4).limit == BOUNDS.most


def test_a_few_outliers_hold_nothing_and_a_slow_tail_does() -> None:
    """One in twenty is noise; every other one is what clients call slow, though the median is as ever."""
    assert after(learnt(0.002), ([0.002] * 19 + [1.0]) * MANY, 2).limit == BOUNDS.most
    assert after(learnt(0.002), [0.002, 0.05] * WINDOW, 2).limit <= 1.0


@pytest.mark.parametrize("spread", [0.1, 0.3, 1.0])
@pytest.mark.parametrize("seed", range(5))
def test_noise_hardly_holds_a_copy(spread: float, seed: int) -> None:
    """Chance alone makes one window in a hundred look slow, without any tolerance."""
    chance, given = random.Random(seed), Bounds(rise=1.1, tolerance_seconds=0.0, most=2.0)  # noqa: S311
    pace, lowered = learnt(0.0, given), 0
    pace = after(pace, [0.01 * math.exp(chance.gauss(0, spread)) for _ in range(MOST_USUAL)], 0, given)
    for _ in range(WINDOW * 200):
        before = pace.limit
        pace = after(pace, [0.01 * math.exp(chance.gauss(0, spread))], 2, given)
        lowered += pace.limit < before
    assert lowered <= 10


def test_the_limit_falls_from_what_there_was_and_not_from_what_might_have_been() -> None:
    """One move with two lanes is held by the first slow window."""
    assert after(learnt(0.001), [0.5] * WINDOW, 2).limit <= 1.0
