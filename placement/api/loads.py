"""What tenants take, and what is left of their cells."""

import math
from datetime import datetime
from typing import Literal

from pydantic import Field

from directory.loads import CellLoad, Load, Loads
from directory.truth import Directory
from directory.values import Cell
from placement.api.values import name
from placement.balancing.demand import TIMES
from placement.balancing.resources import LEVELLED, RESOURCES, columns
from placement.demands import expected, of_one
from runtime.api.endpoint import Call, Endpoint, Output, Reply
from runtime.clock import Clock, SystemClock

Resource = Literal["cpus", "memory_bytes", "storage_bytes", "network_bits", "tenants"]


class Expected(Output):
    """What placement reckons with, of a resource at some time of the week (UTC)."""

    what: str = Field(description="such as `cpu on days`; without a time it holds at all of them")
    amount: float


class TenantLoad(Output):
    """What a tenant took lately, and what it is expected to take. null: not known."""

    tenant_id: str
    cell_id: str | None = Field(description="where it lives; null once it is deleted")
    measured_in: str | None = Field(description="the cell that told last")
    measure_time: datetime | None = Field(description="null: no cell has told yet, so its plan is all there is")
    cpus: float | None = Field(description="of processes of its cell; without its database")
    memory_bytes: float | None = Field(description="its share of what those hold, by how busy it keeps them")
    storage_bytes: float | None
    network_bits: float | None = Field(description="per second")
    requests: float | None = Field(description="per second")
    open_transactions: float | None = Field(
        description="of its requests, jobs and workflows, at any moment on average"
    )
    database_bits: float | None = Field(
        description="per second, both ways between its cell and the database; null where the cell cannot count it"
    )
    running_work: float | None = Field(description="jobs and workflows, at any moment on average")
    move_bytes: float | None = Field(
        description="what a move would carry, as far as the planner of Postgres knows"
    )
    parts_known: int = Field(description="of the 42 parts of a week, those that were measured")
    expected: list[Expected]


class Use(Output):
    """How much of a resource a cell's tenants take."""

    resource: Resource
    used: float
    capacity: float | None = Field(description="null: not known")
    share: float | None = Field(description="of the capacity")
    known_tenants: int = Field(description="whose part is in `used`")


class CellUse(Output):
    """What a cell's tenants took lately, all together."""

    cell_id: str
    tenants: int
    measured_tenants: int = Field(description="whose rates are known")
    measure_time: datetime | None
    requests: float = Field(description="per second")
    open_transactions: float = Field(description="of requests, jobs and workflows, at any moment on average")
    database_bits: float | None = Field(
        description="per second, both ways between cell and database; null where the cell cannot count it"
    )
    running_work: float = Field(description="jobs and workflows, at any moment on average")
    resources: list[Use]


class LoadHandlers:
    """The handlers."""

    def __init__(self, directory: Directory, loads: Loads, clock: Clock | None = None) -> None:
        self._directory, self._loads, self._clock = directory, loads, clock or SystemClock()

    def endpoints(self) -> list[Endpoint[None]]:
        """Reading alone."""
        return [
            Endpoint(
                "GET", "/v1/tenants/{tenant}/load", self.tenant, "What a tenant takes, and is expected to take",
                "getTenantLoad", {200: TenantLoad}, tag="load",
            ),
            Endpoint(
                "GET", "/v1/cells/{cell}/load", self.cell, "What a cell's tenants take, beside its capacity",
                "getCellLoad", {200: CellUse}, tag="load",
            ),
        ]  # fmt: skip

    async def tenant(self, call: Call[None]) -> Reply:
        """Also of one that was never measured."""
        tenant = await self._directory.tenant(name(call.path, "tenant"))
        load = await self._loads.load(tenant.tenant_id)
        row = expected(
            *(of_one(load), [tenant.tenant_id], [tenant.plan], self._clock.now()), revenue=[tenant.revenue]
        )[0]
        return Reply(
            body=TenantLoad(
                tenant_id=tenant.tenant_id,
                cell_id=None if tenant.assignment is None else tenant.assignment.cell_id,
                **_told(load),
                expected=[
                    Expected(what=what, amount=round(float(amount), 9))
                    for what, amount, resource in zip(_WIDE.names, row, _WIDE.resource, strict=True)
                    if RESOURCES[resource] in LEVELLED[:4]
                ],
            )
        )

    async def cell(self, call: Call[None]) -> Reply:
        """By what is known of its tenants."""
        cell = await self._directory.cell(name(call.path, "cell"))
        load = await self._loads.cell(cell.cell_id)
        return Reply(
            body=CellUse(
                cell_id=cell.cell_id,
                tenants=cell.tenants,
                measured_tenants=load.measured,
                measure_time=load.measured_at,
                requests=round(load.request_rate, 6),
                open_transactions=round(load.database_share, 6),
                database_bits=_rounded(load.database_bits),
                running_work=round(load.job_share, 6),
                resources=_uses(cell, load),
            )
        )


_WIDE = columns(TIMES)


def _told(load: Load | None) -> dict[str, object]:
    amounts = ("cpus", "memory_bytes", "storage_bytes", "network_bits")
    if load is None:
        names = (*amounts, "requests", "open_transactions", "database_bits", "running_work", "move_bytes")
        return {"measured_in": None, "measure_time": None, "parts_known": 0, **dict.fromkeys(names)}
    known = 0 if load.usual is None else sum(not math.isnan(cpus) for cpus in load.usual[:, 0])
    return {
        "measured_in": load.cell_id,
        "measure_time": load.measured_at,
        **{each: _rounded(getattr(load, each)) for each in amounts},
        "requests": _rounded(load.request_rate),
        "open_transactions": _rounded(load.database_share),
        "database_bits": _rounded(load.database_bits),
        "running_work": _rounded(load.job_share),
        "move_bytes": load.row_bytes,
        "parts_known": known,
    }


def _uses(cell: Cell, load: CellLoad) -> list[Use]:
    holds = cell.capacity
    return [
        _use("cpus", load.cpus, holds.cpus, load.measured),
        _use("memory_bytes", load.memory_bytes, holds.memory_bytes, load.memory_known),
        _use("storage_bytes", load.storage_bytes, holds.storage_bytes, load.storage_known),
        _use("network_bits", load.network_bits, holds.network_bits, load.measured),
        _use("tenants", cell.tenants, cell.capacity_tenants, cell.tenants),
    ]


def _use(resource: Resource, used: float, capacity: float | None, known: int) -> Use:
    share = used / capacity if capacity else None
    return Use(
        resource=resource,
        used=round(used, 6),
        capacity=capacity,
        share=None if share is None else round(share, 6),
        known_tenants=known,
    )


def _rounded(value: float | None) -> float | None:
    """Rates never get to nothing: see `measure_loads`."""
    return None if value is None else round(value, 6)
