"""The token, the routes and the errors of the control contract, for a service that is not ours.

Keys, customers and work are the service's own business: there is nothing of it here (404), and a customer who
comes with a tenant is refused for good (409), so that nobody tries again.
"""

import hmac
from collections.abc import Awaitable, Callable, Sequence
from importlib.metadata import version
from typing import Annotated

from aiohttp import web
from pydantic import Field, StringConstraints

from directory.control.contract import (
    CapacityReport,
    CellReport,
    CheckList,
    FenceList,
    FenceReport,
    OnboardingOrder,
    SchemaReport,
    TenantOrder,
    TenantReport,
    TenantSize,
    WorkReport,
)
from directory.control.work import DeadJobsList
from directory.rules.names import is_name
from migration.errors import Obstacle
from migration.steward import contents
from migration.steward.checks import examine
from migration.steward.errors import SQL, Stale, Unavailable, transaction
from migration.steward.settings import StewardSettings
from migration.steward.tenants import Tenants
from runtime.api.endpoint import Around, Call, Endpoint, Input, Reply, mount, read
from runtime.api.problem import ApiError, not_found, problems
from runtime.database import Pool

OWN = "the own business of this cell's service"


class DeleteQuery(Input):
    """Which tenancy ends, and the decision that ends it."""

    epoch: int = Field(gt=0, lt=2**63)
    revision: int = Field(gt=0, lt=2**63)


class FencesQuery(Input):
    """A page of fences."""

    after: Annotated[str, StringConstraints(max_length=1000)] = ""
    limit: int = Field(default=1000, ge=1, le=1000)


class DeadQuery(Input):
    """A page of tenants with dead jobs, of whom there are none."""

    after: Annotated[str, StringConstraints(max_length=1000)] = ""
    limit: int = Field(default=100, ge=1, le=10_000)


class Control:
    """The handlers."""

    def __init__(self, pool: Pool, settings: StewardSettings) -> None:
        self._pool, self._settings = pool, settings
        self._tenants = Tenants(pool)

    async def cell(self, _call: Call[None]) -> Reply:
        """200."""
        async with transaction(self._pool) as connection:
            tenants = await connection.fetchval(SQL["count_tenants"])
        return Reply(
            body=CellReport(
                cell_id=self._settings.cell_id,
                region=self._settings.region,
                version=self._settings.service_version or version("cellway"),
                tenants=tenants,
                capacity=CapacityReport.of(
                    self._settings.cpus,
                    self._settings.memory_bytes,
                    self._settings.storage_bytes,
                    self._settings.network_bits,
                ),
            )
        )

    async def put_tenant(self, call: Call[None]) -> Reply:
        """200; 409 when a later decision is known."""
        return Reply(body=await self._tenants.put(_tenant(call), call.body))

    async def delete_tenant(self, call: Call[None]) -> Reply:
        """200; 202 when rows are left to the next call; 404 when never here, 409 when a later one is known."""
        tenant_id = _tenant(call)
        report = await self._tenants.delete(tenant_id, call.query.epoch, call.query.revision)
        if report is None:
            raise not_found("tenant", tenant_id)
        return Reply(202 if report.state == "deleting" else 200, report)

    async def size(self, call: Call[None]) -> Reply:
        """200; 404 when the tenant does not live here."""
        tenant_id = _tenant(call)
        found = await contents.size(self._pool, tenant_id)
        if found is None:
            raise not_found("tenant", tenant_id)
        return Reply(body=found)

    async def schema(self, _call: Call[None]) -> Reply:
        """200; 409 when one of the tables cannot move."""
        return Reply(body=await contents.schema(self._pool))

    async def fences(self, call: Call[None]) -> Reply:
        """200."""
        async with transaction(self._pool) as connection:
            rows = await connection.fetch(SQL["list_fences"], call.query.after, call.query.limit)
        return Reply(body=FenceList(fences=[FenceReport(**dict(row)) for row in rows]))

    async def checks(self, _call: Call[None]) -> Reply:
        """200, whatever was found."""
        return Reply(body=CheckList(checks=await examine(self._pool)))

    async def onboard(self, _call: Call[None]) -> Reply:
        """409: an order that this cell will never carry out, which is not to be repeated."""
        raise ApiError("FAILED_PRECONDITION", f"it is {OWN}")

    async def dead_jobs(self, _call: Call[None]) -> Reply:
        """200."""
        return Reply(body=DeadJobsList(tenants=[]))

    def endpoints(self) -> Sequence[Endpoint[None]]:
        """What there is of the contract; the rest is 404."""
        tenant = "/control/v1/tenants/{tenant}"
        return (
            Endpoint("GET", "/control/v1/cell", self.cell, "Who is it", "getCell", {200: CellReport}),
            Endpoint("PUT", tenant, self.put_tenant, "Decide", "putTenant", {200: TenantReport}, body=TenantOrder),
            Endpoint("DELETE", tenant, self.delete_tenant, "Remove", "deleteTenant",
                     {200: TenantReport, 202: TenantReport}, query=DeleteQuery),
            Endpoint("GET", f"{tenant}/size", self.size, "How much it holds", "getTenantSize", {200: TenantSize}),
            Endpoint("GET", "/control/v1/schema", self.schema, "What tenants' tables are made of", "getSchema",
                     {200: SchemaReport}),
            Endpoint("GET", "/control/v1/fences", self.fences, "Fences", "listFences", {200: FenceList},
                     query=FencesQuery),
            Endpoint("PUT", f"{tenant}/onboarding", self.onboard, "Onboard", "onboard", {200: WorkReport},
                     body=OnboardingOrder),
            Endpoint("GET", "/control/v1/dead-jobs", self.dead_jobs, "Who has dead jobs", "listDeadJobs",
                     {200: DeadJobsList}, query=DeadQuery),
            Endpoint("GET", "/control/v1/checks", self.checks, "Checks", "listChecks", {200: CheckList}),
        )  # fmt: skip


def add_control(app: web.Application, control: Control, token: str) -> None:
    """Mount the contract; every call needs the cell's own token."""
    app.middlewares.append(problems(problem_of))
    around = _guarded(token)
    mount(app, control.endpoints(), around)
    app.router.add_route("*", "/control/v1/{rest:.*}", _nothing(token))


def _guarded(token: str) -> Around[None]:
    async def around(endpoint: Endpoint[None], request: web.Request) -> web.StreamResponse:
        _require(token, request)
        return (await endpoint.handler(await read(endpoint, request, None))).response()

    return around


def _nothing(token: str) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(request: web.Request) -> web.StreamResponse:
        _require(token, request)
        raise ApiError("NOT_FOUND", f"there is nothing of it here: keys, customers and work are {OWN}")

    return handle


def _require(token: str, request: web.Request) -> None:
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    # Bytes: compare_digest refuses text that is not ASCII, and a header may hold anything.
    same = hmac.compare_digest(given.encode("utf-8", "surrogateescape"), token.encode())
    if scheme.lower() != "bearer" or not same:
        raise ApiError("UNAUTHENTICATED", "the control contract needs this cell's control token")


def problem_of(error: Exception) -> ApiError | None:
    """Stale orders are 409 here."""
    match error:
        case Stale():
            return ApiError("FAILED_PRECONDITION", str(error))
        case Unavailable():
            return ApiError("UNAVAILABLE", str(error))
        case Obstacle():
            return ApiError("FAILED_PRECONDITION", str(error))
    return None


def _tenant(call: Call[None]) -> str:
    tenant_id = call.path["tenant"]
    if not is_name(tenant_id):
        raise not_found("tenant", tenant_id)
    return tenant_id
