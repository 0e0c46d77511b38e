"""The token, the routes and the errors of the control contract."""

import hmac
import re
from collections.abc import Sequence
from importlib.metadata import version
from typing import Annotated

from aiohttp import web
from pydantic import Field, StringConstraints

from cell.api.serving import problem_of
from cell.checks import Checks
from cell.control import contents
from cell.control.customers import Customers
from cell.control.keys import Keys
from cell.control.load import Load
from cell.control.tenants import Tenants, report_fence
from cell.control.work import Work
from cell.database import SQL, transaction
from cell.errors import NotHere, Stale
from directory.control.contract import (
    CapacityReport,
    CellReport,
    CheckList,
    FenceList,
    FenceReport,
    KeyList,
    KeyOrder,
    KeyReport,
    LoadReport,
    OffboardingOrder,
    OnboardingOrder,
    SchemaReport,
    TenantOrder,
    TenantReport,
    TenantSize,
    WorkReport,
)
from directory.rules.names import is_name
from runtime.api.endpoint import Around, Call, Endpoint, Input, Reply, mount, read
from runtime.api.problem import ApiError, not_found, problems
from runtime.api.texts import ID
from runtime.database import Pool

_KEY = re.compile(ID.removesuffix("$") + r"\Z")


class DeleteQuery(Input):
    """Which tenancy ends, and the decision that ends it."""

    epoch: int = Field(gt=0, lt=2**63)
    revision: int = Field(gt=0, lt=2**63)


class PageQuery(Input):
    """A page by tenant name."""

    after: Annotated[str, StringConstraints(max_length=40, pattern=r"^[a-z0-9-]*$")] = ""
    limit: int = Field(default=1000, ge=1, le=1000)


class Control:
    """The handlers."""

    def __init__(
        self,
        pool: Pool,
        cell_id: str,
        region: str,
        tenants: Tenants,
        keys: Keys,
        checks: Checks,
        customers: Customers,
        work: Work,
        load: Load,
        capacity: CapacityReport | None = None,
    ) -> None:
        self._pool, self._cell_id, self._region = pool, cell_id, region
        self._tenants, self._keys, self._checks = tenants, keys, checks
        self._customers, self._work, self._load = customers, work, load
        self._capacity = capacity

    async def cell(self, _call: Call[None]) -> Reply:
        """200."""
        async with transaction(self._pool) as connection:
            tenants = await connection.fetchval(SQL["count_tenants"])
        return Reply(
            body=CellReport(
                cell_id=self._cell_id,
                region=self._region,
                version=version("cellway"),
                tenants=tenants,
                capacity=self._capacity,
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

    async def list_keys(self, call: Call[None]) -> Reply:
        """200."""
        return Reply(body=await self._keys.list_(_tenant(call)))

    async def create_key(self, call: Call[None]) -> Reply:
        """200."""
        return Reply(body=await self._keys.create(_tenant(call), call.body))

    async def revoke_key(self, call: Call[None]) -> Reply:
        """200."""
        key_id = call.path["key"]
        if _KEY.match(key_id) is None:
            raise not_found("key", key_id)
        return Reply(body=await self._keys.revoke(_tenant(call), key_id))

    async def onboard(self, call: Call[None]) -> Reply:
        """200; 409 when another order was given before."""
        return Reply(body=await self._customers.onboard(_tenant(call), call.body))

    async def offboard(self, call: Call[None]) -> Reply:
        """200; 404 without a subscription, 409 when it is not possible."""
        return Reply(body=await self._customers.offboard(_tenant(call), call.body))

    async def stay(self, call: Call[None]) -> Reply:
        """200; 409 once the deletion has begun."""
        return Reply(body=await self._customers.stay(_tenant(call)))

    async def suspend(self, call: Call[None]) -> Reply:
        """200; 404 without a subscription, 409 while something else changes it."""
        return Reply(body=await self._customers.suspend(_tenant(call)))

    async def resume(self, call: Call[None]) -> Reply:
        """200; 409 when it is not suspended, or while something else changes it."""
        return Reply(body=await self._customers.resume(_tenant(call)))

    async def size(self, call: Call[None]) -> Reply:
        """200; 404 when the tenant does not live here."""
        tenant_id = _tenant(call)
        found = await contents.size(self._pool, tenant_id)
        if found is None:
            raise not_found("tenant", tenant_id)
        return Reply(body=found)

    async def schema(self, _call: Call[None]) -> Reply:
        """200."""
        return Reply(body=await contents.schema(self._pool))

    async def load(self, call: Call[None]) -> Reply:
        """200; 503 while the cell's Redis is away."""
        return Reply(body=await self._load.report(call.query.after, call.query.limit))

    async def fences(self, call: Call[None]) -> Reply:
        """200."""
        async with transaction(self._pool) as connection:
            rows = await connection.fetch(SQL["list_fences"], call.query.after, call.query.limit)
        return Reply(body=FenceList(fences=[FenceReport(**report_fence(row)) for row in rows]))

    async def checks(self, _call: Call[None]) -> Reply:
        """200, whatever was found."""
        return Reply(body=CheckList(checks=await self._checks.all()))

    def endpoints(self) -> Sequence[Endpoint[None]]:
        """The contract, as data."""
        tenant = "/control/v1/tenants/{tenant}"
        return (
            Endpoint("GET", "/control/v1/cell", self.cell, "Who is it", "getCell", {200: CellReport}),
            Endpoint("PUT", tenant, self.put_tenant, "Decide", "putTenant", {200: TenantReport}, body=TenantOrder),
            Endpoint("DELETE", tenant, self.delete_tenant, "Remove", "deleteTenant",
                     {200: TenantReport, 202: TenantReport}, query=DeleteQuery),
            Endpoint("GET", f"{tenant}/keys", self.list_keys, "List keys", "listKeys", {200: KeyList}),
            Endpoint("POST", f"{tenant}/keys", self.create_key, "Make a key", "createKey", {200: KeyReport},
                     body=KeyOrder),
            Endpoint("POST", f"{tenant}/keys/{{key}}:revoke", self.revoke_key, "Revoke", "revokeKey",
                     {200: KeyReport}),
            Endpoint("PUT", f"{tenant}/onboarding", self.onboard, "Onboard", "onboard", {200: WorkReport},
                     body=OnboardingOrder),
            Endpoint("POST", f"{tenant}/offboarding", self.offboard, "Offboard", "offboard", {200: WorkReport},
                     body=OffboardingOrder),
            Endpoint("POST", f"{tenant}/offboarding:cancel", self.stay, "Stay", "cancelOffboarding",
                     {200: WorkReport}),
            Endpoint("POST", f"{tenant}/subscription:suspend", self.suspend, "Suspend", "suspendSubscription",
                     {200: WorkReport}),
            Endpoint("POST", f"{tenant}/subscription:resume", self.resume, "Resume", "resumeSubscription",
                     {200: WorkReport}),
            Endpoint("GET", f"{tenant}/size", self.size, "How much it holds", "getTenantSize", {200: TenantSize}),
            Endpoint("GET", "/control/v1/schema", self.schema, "What tenants' tables are made of", "getSchema",
                     {200: SchemaReport}),
            Endpoint("GET", "/control/v1/load", self.load, "What tenants take", "getLoad", {200: LoadReport},
                     query=PageQuery),
            Endpoint("GET", "/control/v1/fences", self.fences, "Fences", "listFences", {200: FenceList},
                     query=PageQuery),
            Endpoint("GET", "/control/v1/checks", self.checks, "Checks", "listChecks", {200: CheckList}),
            *self._work.endpoints(),
        )  # fmt: skip


def _tenant(call: Call[None]) -> str:
    tenant_id = call.path["tenant"]
    if not is_name(tenant_id):
        raise not_found("tenant", tenant_id)
    return tenant_id


def add_control(app: web.Application, control: Control, token: str) -> None:
    """Mount the contract on the admin application; every call needs the cell's own token."""
    app.middlewares.append(problems(control_problem_of))
    mount(app, control.endpoints(), _guarded(token))


def _guarded(token: str) -> Around[None]:
    async def around(endpoint: Endpoint[None], request: web.Request) -> web.StreamResponse:
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        # Bytes: compare_digest refuses text that is not ASCII, and a header may hold anything.
        same = hmac.compare_digest(given.encode("utf-8", "surrogateescape"), token.encode())
        if scheme.lower() != "bearer" or not same:
            raise ApiError("UNAUTHENTICATED", "the control contract needs this cell's control token")
        return (await endpoint.handler(await read(endpoint, request, None))).response()

    return around


def control_problem_of(error: Exception) -> ApiError | None:
    """Stale orders are 409 here."""
    if isinstance(error, Stale | NotHere):
        return ApiError("FAILED_PRECONDITION", str(error))
    return problem_of(error)
