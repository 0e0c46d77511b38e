"""What came of each request, as the process that sends them writes it down, and what is read off many of them."""

import itertools
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

SAMPLE = np.dtype(
    [
        ("due", "<f8"),
        ("seconds", "<f4"),
        ("late", "<f4"),
        ("tenant", "<u2"),
        ("operation", "u1"),
        ("status", "<u2"),
    ]
)
"""`seconds`: from the moment it was due to its answer. `late`: the part of it before it was sent. `due` counts
from the beginning of the run."""
FORMAT = "<dffHBH"
"""The same, for `struct`."""
Samples = NDArray[np.void]
Chosen = NDArray[np.bool_]

NO_CONNECTION, BROKEN, SILENT, WRONG = 1, 2, 3, 4
"""Statuses of requests that had no answer of the platform: refused or reset before anything was sent on a new
connection; ended without an answer; none in time; an answer that is not what was asked for."""
WORDS = {NO_CONNECTION: "no connection", BROKEN: "broken off", SILENT: "no answer in time", WRONG: "wrong answer"}


def failed(samples: Samples) -> Chosen:
    """Which were not answered with success."""
    return np.asarray((samples["status"] < 200) | (samples["status"] >= 300))


def quantile_ms(seconds: NDArray[Any], share: float) -> float | None:
    """The nearest rank: `share` of them took no longer. None of nothing."""
    if not len(seconds):
        return None
    place = max(0, math.ceil(share * len(seconds)) - 1)
    return round(float(np.partition(seconds, place)[place]) * 1000, 2)


def series(samples: Samples, seconds: float, step_seconds: float) -> dict[str, list[Any]]:
    """Requests, failures, p50 and p99 of each step, by the moment at which requests were due."""
    steps = max(1, math.ceil(seconds / step_seconds))
    place = np.clip((samples["due"] / step_seconds).astype(int), 0, steps - 1)
    order = np.argsort(place, kind="stable")
    ordered, bad = samples["seconds"][order], failed(samples)[order]
    bounds = np.searchsorted(place[order], np.arange(steps + 1))
    told: dict[str, list[Any]] = {"requests": [], "failed": [], "p50_ms": [], "p99_ms": []}
    for begin, end in itertools.pairwise(bounds):
        told["requests"].append(int(end - begin))
        told["failed"].append(int(bad[begin:end].sum()))
        told["p50_ms"].append(quantile_ms(ordered[begin:end], 0.5))
        told["p99_ms"].append(quantile_ms(ordered[begin:end], 0.99))
    return told


def reasons(samples: Samples) -> dict[str, int]:
    """Failures by what clients saw."""
    found, counts = np.unique(samples["status"][failed(samples)], return_counts=True)
    return {WORDS.get(int(status), str(status)): int(count) for status, count in zip(found, counts, strict=True)}
