"""How long clients waited, while a tenant was switched and otherwise."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Served:
    """A write that was acknowledged to a tenant's client."""

    tenant: str
    began: float
    ended: float


@dataclass(frozen=True, slots=True)
class Window:
    """From a tenant's fence to its first moment in the other cell."""

    tenant: str
    began: float
    ended: float


def longest_waits(served: Iterable[Served], windows: Sequence[Window]) -> list[float]:
    """For each window with a client in it, the longest that one of them waited for its answer, in ms."""
    by_tenant: dict[str, list[Served]] = {}
    for each in served:
        by_tenant.setdefault(each.tenant, []).append(each)
    found = []
    for window in windows:
        within = [
            each.ended - each.began
            for each in by_tenant.get(window.tenant, [])
            if each.began < window.ended and each.ended > window.began
        ]
        if within:
            found.append(max(within) * 1000)
    return found


def spread(waits_ms: Sequence[float]) -> dict[str, float]:
    """The nearest ranks, in ms; zeros of nothing."""
    ordered = sorted(waits_ms)
    return {
        name: round(ordered[max(0, math.ceil(share * len(ordered)) - 1)], 1) if ordered else 0.0
        for name, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1.0))
    }
