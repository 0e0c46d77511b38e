"""When each request is due, whose it is, and what it asks. Drawn beforehand, so that no answer changes it.

Arrivals are a Poisson process: the number within the time is drawn first, then each moment evenly (which is the
same process). Tenants are drawn by Zipf's law: the n-th is 1 / n ** exponent as busy as the first.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

OPERATIONS = ("read", "create", "job", "stream", "onboard")
"""By their number in arrays. A stream is one of server-sent events; onboarding is asked of placement."""
QUICK = ("read", "create")
"""Those that are answered at once, so their latency is the platform's own."""
ARRIVAL = np.dtype([("due", "f8"), ("tenant", "u2"), ("operation", "u1")])
"""`due` in seconds since the beginning."""
Arrivals = NDArray[np.void]
Chance = np.random.Generator


def zipf(tenants: int, exponent: float) -> NDArray[np.float64]:
    """The share of each tenant, the busiest first; they add up to 1."""
    weights = 1.0 / np.arange(1, tenants + 1) ** exponent
    return np.asarray(weights / weights.sum(), dtype=np.float64)


def poisson(
    chance: Chance,
    rate: float,
    between: tuple[float, float],
    tenants: Sequence[int],
    shares: NDArray[np.float64],
    mix: Mapping[str, float],
) -> Arrivals:
    """Requests at `rate` a second between two moments, in order; `shares` are those of `tenants`."""
    begin, end = between
    count = int(chance.poisson(rate * max(0.0, end - begin)))
    found = np.zeros(count, ARRIVAL)
    found["due"] = np.sort(chance.uniform(begin, end, count))
    found["tenant"] = chance.choice(np.asarray(tenants), count, p=shares)
    names = [name for name in OPERATIONS if mix.get(name)]
    weights = np.asarray([mix[name] for name in names], dtype=np.float64)
    numbers = np.asarray([OPERATIONS.index(name) for name in names])
    found["operation"] = chance.choice(numbers, count, p=weights / weights.sum())
    return found


def together(*several: Arrivals) -> Arrivals:
    """All of them, in order."""
    found = np.concatenate(several)
    return found[np.argsort(found["due"], kind="stable")]
