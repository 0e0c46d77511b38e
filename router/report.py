"""What an operator is shown of one router process, as values for JSON. Everything listed is bounded.

Counters are absolute, from the start of the process: whoever asks twice makes rates of them.
"""

import os
from collections.abc import Sequence
from itertools import islice
from time import monotonic
from typing import Any

from prometheus_client import Counter, Gauge

from directory.values import TenantEntry
from router import metrics
from router.holds import Hold
from router.lane import Lane
from router.metrics import BOUNDS_SECONDS, CellCounts
from router.upstream.pool import Pool
from runtime.quantiles import quantile

MOST_CELLS = MOST_HOLDS = 1_000
MOST_IN_TOP = 100
"""Of cells, holds and tenants in the document that is asked for again and again."""


class Report:
    """Of one process. `lane.now` is up to a tenth of a second old, so the clock is read anew."""

    def __init__(self, lane: Lane) -> None:
        self._lane, self._began_at = lane, monotonic()

    # --- cells ---

    def cells(self, most: int = MOST_CELLS) -> dict[str, Any]:
        """The cells of the table, those in trouble first; how many more there are."""
        now, pools = monotonic(), {pool.cell_id: pool for pool in self._lane.cells.pools}
        known = self._lane.table.cells
        ordered = sorted(known.values(), key=lambda cell: (_well(pools.get(cell.cell_id)), cell.cell_id))
        shown = [
            {
                "cell": cell.cell_id,
                "address": cell.address,
                "directory_state": cell.state,
                **_seen(pools.get(cell.cell_id), now),
            }
            for cell in ordered[:most]
        ]
        return {"cells": shown, "more": len(ordered) - len(shown), "leaving": len(self._lane.cells.leaving)}

    def breakers(self) -> dict[str, Any]:
        """The cells whose breaker is not closed."""
        now = monotonic()
        pools = self._lane.cells.pools
        found = sorted((pool for pool in pools if not pool.breaker.closed), key=lambda pool: pool.cell_id)
        shown = [{"cell": pool.cell_id, **_breaker(pool, now)} for pool in found[:MOST_CELLS]]
        return {"breakers": shown, "more": len(found) - len(shown), "closed": len(pools) - len(found)}

    # --- tenants ---

    def holds(self, most: int = MOST_HOLDS) -> dict[str, Any]:
        """The tenants whose requests wait for their next assignment, the longest held first."""
        now, holds = monotonic(), self._lane.holds
        shown = [
            {"tenant": name.decode(), **_hold(hold, now)} for name, hold in islice(holds.by_tenant.items(), most)
        ]
        limits = holds.limits
        return {
            "holds": shown,
            "more": len(holds.by_tenant) - len(shown),
            "limits": {"requests": limits.requests, "bytes": limits.body_bytes, "seconds": limits.seconds},
        }

    def tenant(self, entry: TenantEntry) -> dict[str, Any]:
        """What is known here of a tenant of the table, beside its assignment."""
        now, name = monotonic(), entry.tenant_id.encode()
        cell = None if entry.cell_id is None else self._lane.table.cell(entry.cell_id)
        hold = self._lane.holds.by_tenant.get(name)
        rate = entry.rate
        return {
            "address": None if cell is None else cell.address,
            "rate": None if rate is None else {"per_second": rate.per_second, "burst": rate.burst},
            "bucket": self._bucket(name, now),
            "hold": None if hold is None else _hold(hold, now),
        }

    def _bucket(self, name: bytes, now: float) -> dict[str, Any] | None:
        """None while it has no limit, or was not served lately, which is a full bucket."""
        served = name in self._lane.active
        tenant = self._lane.tenants.find(name, now) if served else None
        bucket = None if tenant is None else tenant.bucket
        if bucket is None:
            return None
        return {
            "per_second": bucket.per_second,
            "burst": bucket.burst,
            "remaining": bucket.remaining(now),
            "full_in_seconds": round(bucket.reset_seconds(now), 3),
        }

    def busiest(self, most: int = MOST_IN_TOP) -> dict[str, Any]:
        """The busiest tenants, with what was not counted in yet."""
        active = self._lane.active
        counted = self._lane.busiest.top()
        shown = [
            {
                "tenant": name,
                "requests": count + (tenant.requests if (tenant := active.get(name.encode())) is not None else 0),
            }
            for name, count in counted[:most]
        ]
        return {"tenants": shown, "more": len(counted) - len(shown)}

    # --- all of it ---

    def top(self) -> dict[str, Any]:
        """One document for a display."""
        lane, now = self._lane, monotonic()
        return {
            "pid": os.getpid(),
            "at_seconds": round(now, 6),
            "uptime_seconds": round(now - self._began_at, 3),
            **_totals(metrics.cells()),
            "refusals": [
                {"status": int(status), "reason": reason, "count": count}
                for (status, reason), count in _counted(metrics.REFUSALS)
            ],
            "aborts": {cause: count for (cause,), count in _counted(metrics.ABORTS)},
            "clients_refused": sum(count for _, count in _counted(metrics.CLIENTS_REFUSED)),
            "second_attempts": sum(count for _, count in _counted(metrics.SECOND_ATTEMPTS)),
            "lag_seconds": round(_value(metrics.LAG), 6),
            "draining": lane.leaving,
            "clients": len(lane.clients),
            "pipes": int(_value(metrics.PIPES)),
            "streams": len(lane.streams),
            "cells": self.cells(MOST_IN_TOP),
            "holds": self.holds(MOST_IN_TOP),
            "busiest": self.busiest(),
        }


def _well(pool: Pool | None) -> bool:
    return pool is None or (pool.state != "stopped" and pool.breaker.closed)


def _seen(pool: Pool | None, now: float) -> dict[str, Any]:
    if pool is None:
        return {"state": "unknown", "evidence": "nobody asked it yet", "connections": 0, "waiting": 0}
    return {
        "state": pool.state,
        "since_seconds": round(now - pool.since, 3),
        "evidence": pool.evidence,
        "connections": pool.open,
        "waiting": pool.waiting,
        "breaker": _breaker(pool, now),
        "concurrency": {"limit": pool.concurrency.limit, "under_way": pool.awaiting},
        "second_attempts_left": max(0, int(pool.budget.left(now))),
        **_answers(pool.counts),
    }


def _breaker(pool: Pool, now: float) -> dict[str, Any]:
    breaker = pool.breaker
    evidence = breaker.evidence
    return {
        "state": breaker.state.name.lower(),
        "requests": evidence.requests,
        "failures": evidence.failures,
        "tenants": evidence.tenants,
        "retry_after_seconds": round(breaker.retry_after_seconds(now), 3),
    }


def _answers(counts: CellCounts) -> dict[str, Any]:
    """By class, and how long they took to begin; quantiles are as near as the buckets allow."""
    timed = sum(counts.buckets)
    return {
        "requests": counts.requests,
        "by_class": _by_class(counts.by_class),
        "mean_seconds": round(counts.seconds / timed, 6) if timed else None,
        "p50_seconds": _rounded(quantile(BOUNDS_SECONDS, counts.buckets, 0.5)),
        "p99_seconds": _rounded(quantile(BOUNDS_SECONDS, counts.buckets, 0.99)),
    }


def _totals(cells: Sequence[CellCounts]) -> dict[str, Any]:
    return {
        "requests": sum(counts.requests for counts in cells),
        "by_class": _by_class(
            [sum(column) for column in zip(*(counts.by_class for counts in cells), strict=True)]
        ),
        "latency": {
            "bounds_seconds": list(BOUNDS_SECONDS),
            "counts": [sum(column) for column in zip(*(counts.buckets for counts in cells), strict=True)]
            or [0] * (len(BOUNDS_SECONDS) + 1),
            "seconds": round(sum(counts.seconds for counts in cells), 6),
        },
    }


def _by_class(numbers: Sequence[int]) -> dict[str, int]:
    return {f"{digit}xx": number for digit, number in enumerate(numbers) if number}


def _hold(hold: Hold, now: float) -> dict[str, Any]:
    return {
        "waiting": len(hold.waiting),
        "bytes": hold.body_bytes,
        "since_seconds": round(now - hold.began_at, 3),
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 6)


def _counted(counter: Counter) -> list[tuple[tuple[str, ...], int]]:
    """(values of the labels, count)."""
    samples = [sample for metric in counter.collect() for sample in metric.samples]
    return [
        (tuple(sample.labels.values()), int(sample.value)) for sample in samples if sample.name.endswith("_total")
    ]


def _value(gauge: Gauge) -> float:
    return next(sample.value for metric in gauge.collect() for sample in metric.samples)
