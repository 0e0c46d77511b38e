"""When the fleet will be full, by pool and resource."""

from datetime import date
from typing import Literal, Self

from pydantic import Field

from directory.uses import DayUse
from placement.forecasts import Forecasts
from placement.rules.filling import Foretold
from runtime.api.endpoint import Call, Endpoint, Output, Reply

Resource = Literal["cpu", "memory", "storage", "network", "tenants"]
Outlook = Literal["full", "filling", "not_within_a_year", "falling", "too_little_known", "no_limit"]
SHARE_DIGITS = 4


class DayOfUse(Output):
    """What a pool used on a day (UTC)."""

    day: date
    used: float


class PoolCapacity(Output):
    """What a pool uses of a resource and may hold, and when that will be full.

    CPUs, bytes of memory and storage, bits a second, or tenants.
    """

    pool: str = Field(description="its region")
    resource: Resource
    cells: int = Field(description="how many open cells it has")
    used: float
    limit: float | None = Field(
        description="what it may hold such that it can lose its largest cell; null: not every cell says"
    )
    share: float | None = Field(description="used, of the limit; 1: all of it")
    per_week: float | None = Field(description="how much use grows in a week; null: too little is known")
    outlook: Outlook
    full_on: date | None = Field(description="the likely day; null: not within a year, or not known")
    full_earliest: date | None
    full_latest: date | None = Field(description="null: perhaps not within a year")
    open_by: date | None = Field(description="when to begin to open a cell; null: nothing has to be done yet")
    cells_needed: int | None = Field(
        description="so many more of the pool's median size until a quarter from now; null: not known"
    )
    days_known: int
    why: str
    history: list[DayOfUse] = Field(description="the last eight weeks, the oldest day first")

    @classmethod
    def of(cls, found: Foretold) -> Self:
        """As operators see it."""
        told, limited = found.forecast, found.forecast.outlook != "no_limit"
        return cls.model_validate(
            {
                "pool": found.pool.region,
                "resource": found.pool.resource,
                "cells": found.pool.cells,
                "used": told.used,
                "limit": told.limit if limited else None,
                "share": round(found.share, SHARE_DIGITS) if limited else None,
                "per_week": told.per_week,
                "outlook": told.outlook,
                "full_on": _day(told.likely),
                "full_earliest": _day(told.earliest),
                "full_latest": _day(told.latest),
                "open_by": _day(told.open_by),
                "cells_needed": told.cells_needed,
                "days_known": told.days_known,
                "why": found.why,
                "history": [_kept(day) for day in found.history],
            }
        )


class FleetCapacity(Output):
    """All pools and resources, the most urgent first."""

    day: date = Field(description="today, in UTC")
    lead_days: int = Field(description="how long it takes until a cell that is wanted can be opened")
    pools: list[PoolCapacity]


class ForecastHandlers:
    """The handler."""

    def __init__(self, forecasts: Forecasts) -> None:
        self._forecasts = forecasts

    def endpoints(self) -> list[Endpoint[None]]:
        """One."""
        summary = "See when the fleet will be full, and by when to open a cell"
        return [
            Endpoint("GET", "/v1/capacity", self.get, summary, "getCapacity", {200: FleetCapacity}, tag="capacity")
        ]

    async def get(self, _call: Call[None]) -> Reply:
        """As many lines as there are regions and resources."""
        found = await self._forecasts.look()
        return Reply(
            body=FleetCapacity(
                day=found.day, lead_days=found.lead_days, pools=[PoolCapacity.of(one) for one in found.pools]
            )
        )


def _day(ordinal: int | None) -> date | None:
    return None if ordinal is None else date.fromordinal(ordinal)


def _kept(found: DayUse) -> DayOfUse:
    return DayOfUse(day=found.day, used=found.use.used)
