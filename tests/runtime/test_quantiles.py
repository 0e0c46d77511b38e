"""Quantiles of a histogram."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.quantiles import quantile

BOUNDS = (1.0, 2.0, 4.0)


@pytest.mark.parametrize(
    ("counts", "share", "expected"),
    [
        ((10, 0, 0, 0), 0.5, 0.5),
        ((10, 10, 0, 0), 0.5, 1.0),
        ((10, 10, 0, 0), 0.75, 1.5),
        ((0, 0, 4, 0), 0.5, 3.0),
        ((0, 0, 0, 7), 0.99, 4.0),
        ((99, 0, 0, 1), 0.995, 4.0),
    ],
)
def test_values_lie_evenly_within_their_bucket(counts: tuple[int, ...], share: float, expected: float) -> None:
    """What lies beyond the last bound is taken for just that."""
    assert quantile(BOUNDS, counts, share) == pytest.approx(expected)


def test_nothing_has_no_quantile() -> None:
    """Nor is it zero."""
    assert quantile(BOUNDS, (0, 0, 0, 0), 0.5) is None


@given(st.lists(st.integers(0, 1000), min_size=4, max_size=4).filter(any), st.floats(0.01, 1.0))
def test_a_quantile_lies_in_the_bucket_of_its_rank(counts: list[int], share: float) -> None:
    """So the error is never more than that bucket's width."""
    found = quantile(BOUNDS, counts, share)
    assert found is not None
    below = sum(count for bound, count in zip(BOUNDS, counts, strict=False) if bound < found)
    assert below <= share * sum(counts) + 1e-6
