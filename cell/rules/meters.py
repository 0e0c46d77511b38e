"""What is counted of a tenant's use, and the times by which it is asked for. Pure.

A meter only ever grows. What lasts is counted by the hour: each hour of a namespace counts at the moment in which
it begins, with the bytes that are stored then, so that nothing depends on when somebody looked.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from runtime.api.problem import ApiError

MeterName = Literal["api_mutations", "namespaces_created", "namespace_hours", "storage_byte_hours"]
StepName = Literal["minute", "hour", "day"]


@dataclass(frozen=True, slots=True)
class Meter:
    """One meter, and what a quantity of 1 is."""

    name: MeterName
    unit: str


API_MUTATIONS = Meter("api_mutations", "one change through the API; a replay by its Idempotency-Key is none")
NAMESPACES_CREATED = Meter("namespaces_created", "one namespace that was provisioned")
NAMESPACE_HOURS = Meter("namespace_hours", "one hour of one namespace that has begun")
STORAGE_BYTE_HOURS = Meter("storage_byte_hours", "one byte that a namespace holds when an hour of it begins")
METERS: Mapping[MeterName, Meter] = {
    meter.name: meter for meter in (API_MUTATIONS, NAMESPACES_CREATED, NAMESPACE_HOURS, STORAGE_BYTE_HOURS)
}

STEPS: Mapping[StepName, timedelta] = {
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
}
MOST_STEPS = 1500
"""In one answer: a day by minutes, two months by hours, all that is kept by days."""
USUAL_LENGTH = timedelta(days=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Period:
    """From `start` up to but without `end`, both in UTC and at the beginning of a step."""

    start: datetime
    end: datetime


def period(start: datetime | None, end: datetime | None, step: StepName, now: datetime) -> Period:
    """The whole steps that `start` and `end` lie in; by default the day up to `now`. ApiError 400."""
    length = STEPS[step]
    until = now if end is None else end
    since = until - USUAL_LENGTH if start is None else start
    if since >= until:
        raise ApiError("INVALID_ARGUMENT", "start must lie before end", field="start")
    whole = Period(_floor(since, length), _floor(until + length - timedelta.resolution, length))
    steps = (whole.end - whole.start) // length
    if steps > MOST_STEPS:
        message = f"that is {steps} steps of a {step}, and one answer has at most {MOST_STEPS}: take a larger step"
        raise ApiError("INVALID_ARGUMENT", message, field="step")
    return whole


def _floor(moment: datetime, length: timedelta) -> datetime:
    return moment - (moment - _EPOCH) % length
