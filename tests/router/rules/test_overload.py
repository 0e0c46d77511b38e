"""What a late loop sheds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.rules.overload import Lag

ROLLS = [number / 1000 for number in range(1000)]


def lag(late_seconds: float) -> Lag:
    """A loop that has been so late for a minute."""
    measured = Lag()
    for beat in range(600):
        measured.beat(late_seconds, beat / 10)
    return measured


@pytest.mark.parametrize(
    ("late_seconds", "share"),
    [(0.0, 0.0), (0.1, 0.0), (0.28, 0.2), (0.55, 0.5), (0.82, 0.8), (1.0, 1.0), (9.0, 1.0), (-0.1, 0.0)],
)
def test_the_share_that_is_shed_grows_in_a_straight_line(late_seconds: float, share: float) -> None:
    """Nothing while calm, everything at a second."""
    measured = lag(late_seconds)
    assert measured.share == pytest.approx(share, abs=1e-6)
    assert sum(measured.sheds(roll) for roll in ROLLS) == pytest.approx(1000 * share, abs=1)


def test_a_loop_that_was_never_measured_sheds_nothing() -> None:
    """Not even the lowest roll."""
    assert not Lag().sheds(0.0)


def test_one_slow_callback_is_no_overload() -> None:
    """A single beat of 200 ms among beats each tenth of a second."""
    measured = lag(0.0)
    measured.beat(0.2, 60.0)
    assert measured.share == 0.0


def test_a_loop_that_stood_still_once_is_no_overload() -> None:
    """Three seconds without a beat, then one that is late by as much, then all is as it was."""
    measured = lag(0.0)
    for late_seconds, now in ((2.9, 62.9), (0.0, 63.0), (0.01, 63.1)):
        measured.beat(late_seconds, now)
        assert measured.share == 0.0


def test_a_loop_that_cannot_keep_up_is_believed_at_the_second_beat() -> None:
    """Though its beats are few."""
    measured = lag(0.0)
    measured.beat(2.9, 62.9)
    measured.beat(1.9, 64.9)
    assert measured.share == 1.0


def test_it_recovers_within_seconds() -> None:
    """Overload that is over costs nobody anything."""
    measured = lag(1.0)
    for beat in range(20):
        measured.beat(0.0, 60.0 + beat / 10)
    assert measured.share == 0.0


def test_the_lowest_roll_goes_first() -> None:
    """So a caller can rank requests."""
    measured = lag(0.15)
    assert measured.sheds(0.0)
    assert not measured.sheds(0.5)


@given(st.lists(st.tuples(st.floats(-1, 100), st.floats(0, 100))))
def test_the_share_is_a_share(beats: list[tuple[float, float]]) -> None:
    """Whatever is reported, two beats at one moment and clocks that step included."""
    measured = Lag()
    for late_seconds, now in beats:
        measured.beat(late_seconds, now)
        assert 0.0 <= measured.share <= 1.0
        assert 0.0 <= measured.late_seconds <= 100.0


@pytest.mark.parametrize(("calm", "most"), [(0.5, 0.5), (0.5, 0.1), (-0.1, 0.5)])
def test_thresholds_that_make_no_line_are_refused(calm: float, most: float) -> None:
    """There must be something between calm and too much."""
    with pytest.raises(ValueError, match="calm"):
        Lag(calm_seconds=calm, most_seconds=most)
