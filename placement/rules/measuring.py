"""From what cells tell to what is kept of tenants' loads. Pure."""

import math
from collections.abc import Sequence

import numpy as np

from directory.control.contract import LoadReport
from directory.loads import Ended, Reading, Weeks
from directory.rules.periods import part_of_week
from placement.balancing.demand import Measured

LEAST_SECONDS = 1200.0
"""Of the four hours of a part of the week; of who was measured for less than that it says nothing."""
SETTLED_SECONDS = 3600.0
"""After so long it is known who is busy in a cell, and so whose its memory is."""
DECIMALS = 6
"""Of seconds: smaller numbers are of no use, and databases refuse some of them."""


def reading(cell_id: str, report: LoadReport) -> Reading:
    """A cell's report as it is kept."""
    told = report.tenants
    share = memory_a_cpu_second(report)
    return Reading(
        *(cell_id, report.start, round(report.age_seconds, DECIMALS), [each.tenant_id for each in told]),
        _rounded([each.cpu_seconds for each in told]),
        _rounded([each.network_bytes for each in told]),
        _rounded([each.requests for each in told]),
        _rounded([each.database_seconds for each in told]),
        _rounded([each.job_seconds for each in told]),
        _rounded([each.cpu_seconds * share for each in told]),
        _rounded([_number(each.storage_bytes) for each in told]),
        _rounded([_number(each.row_bytes) for each in told]),
        _rounded([_number(each.database_bytes) for each in told]),
    )


def memory_a_cpu_second(report: LoadReport) -> float:
    """NaN: not known. Whose a process's memory is nobody can say, so it is shared by who keeps the cell busy."""
    if report.memory_bytes is None or report.age_seconds < SETTLED_SECONDS or report.cpu_seconds <= 0:
        return math.nan
    return report.memory_bytes / report.cpu_seconds


def usual(ended: Ended) -> tuple[Weeks, Weeks]:
    """Mean and variance as they are once that part of the week is learnt, for those of whom it is known enough."""
    parts = np.array([part_of_week(period) for period in ended.periods], dtype=np.int64)
    enough = np.array(ended.seconds) >= LEAST_SECONDS
    learnt = Measured(ended.mean.copy(), ended.variance.copy())
    for part in np.unique(parts[enough]).tolist():
        tenants = np.flatnonzero(enough & (parts == part))
        known, wavered = learnt.mean[tenants, part], learnt.variance[tenants, part]
        missing = np.isnan(ended.value[tenants])
        learnt.observe(
            part,
            tenants,
            np.where(missing, known, ended.value[tenants]),
            np.where(missing, wavered, ended.within[tenants]),
        )
    return learnt.mean, learnt.variance


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _rounded(values: Sequence[float]) -> list[float]:
    return [round(value, DECIMALS) for value in values]
