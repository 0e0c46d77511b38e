"""When requests are due and whose they are: decided before anything is sent."""

import numpy as np
import pytest

from loadtests.scenarios.rules.arrivals import OPERATIONS, poisson, together, zipf
from loadtests.scenarios.scenario import MIX

RATE, SECONDS = 200.0, 200.0


def _chance(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_arrivals_are_a_poisson_process() -> None:
    """The gaps are exponential: as long on the average as they spread, and none depends on the one before."""
    found = poisson(_chance(), RATE, (0.0, SECONDS), [0], zipf(1, 1.1), {"read": 1.0})
    gaps = np.diff(found["due"])
    assert len(found) == pytest.approx(RATE * SECONDS, rel=0.03)
    assert gaps.min() >= 0.0
    assert gaps.mean() == pytest.approx(1 / RATE, rel=0.03)
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.03)
    assert abs(np.corrcoef(gaps[:-1], gaps[1:])[0, 1]) < 0.02


def test_tenants_are_drawn_by_zipfs_law() -> None:
    """The n-th is 1 / n ** exponent as busy as the first."""
    shares = zipf(20, 1.1)
    assert shares.sum() == pytest.approx(1.0)
    assert shares[0] / shares[9] == pytest.approx(10**1.1)
    found = poisson(_chance(), RATE, (0.0, SECONDS), list(range(20)), shares, {"read": 1.0})
    counted = np.bincount(found["tenant"], minlength=20) / len(found)
    assert counted[:5] == pytest.approx(shares[:5], rel=0.1)


def test_operations_are_mixed_as_asked_for() -> None:
    """Shares, by their number in the list of operations."""
    found = poisson(_chance(), RATE, (0.0, SECONDS), [0], zipf(1, 1.1), MIX)
    counted = np.bincount(found["operation"], minlength=len(OPERATIONS)) / len(found)
    for name, share in MIX.items():
        assert counted[OPERATIONS.index(name)] == pytest.approx(share, rel=0.1)
    assert counted[OPERATIONS.index("onboard")] == 0


def test_the_same_seed_draws_the_same() -> None:
    """So a run can be made again."""
    one, same, other = (
        poisson(_chance(seed), 50.0, (0.0, 10.0), [0, 1], zipf(2, 1.1), MIX).tobytes() for seed in (1, 1, 2)
    )
    assert one == same
    assert one != other


def test_a_surge_comes_between_its_moments_and_everything_is_in_order() -> None:
    """Several draws become one schedule."""
    base = poisson(_chance(), 10.0, (0.0, 30.0), [0], zipf(1, 1.1), {"read": 1.0})
    surge = poisson(_chance(2), 100.0, (10.0, 20.0), [1], zipf(1, 1.1), {"read": 1.0})
    found = together(base, surge)
    assert len(found) == len(base) + len(surge)
    assert (np.diff(found["due"]) >= 0).all()
    within = found["due"][found["tenant"] == 1]
    assert (within.min() >= 10.0, within.max() < 20.0) == (True, True)
