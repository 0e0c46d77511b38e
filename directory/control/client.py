"""The caller's side of the control contract.

A call that fails raises `Unavailable` by its deadline and may be repeated: all of them are idempotent. Only when
not even a connection is made does the error say something about the cell as a whole, and then it is `Silent`.
The address is checked again when it is connected to, after its name was resolved; redirects are not followed.
With `Certificates` a cell that speaks TLS must prove that it is the cell that is called, and so must the caller.
"""

import json
from dataclasses import dataclass
from typing import Any, Literal, TypeVar
from urllib.parse import quote, urlencode

import aiohttp
from pydantic import BaseModel, ValidationError
from yarl import URL

from directory.control.contract import (
    CellReport,
    CheckList,
    FenceList,
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
from directory.control.token import control_token
from directory.control.work import (
    DeadJobsList,
    JobList,
    JobQuery,
    JobsOrder,
    JobsReport,
    OrchestrationList,
    OrchestrationQuery,
    OrchestrationReport,
    StepOrder,
)
from directory.errors import BadAddress, NotFound, NotTrusted, Refused, Silent, Stale, Unavailable
from directory.resolver import CheckedResolver, checked
from directory.rules.addresses import check_encrypted
from directory.values import Cell
from runtime.tls import saying
from runtime.tls.calling import Calling

CONNECT_SECONDS = 1.0
CALL_SECONDS = 10.0
ModelT = TypeVar("ModelT", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Certificates:
    """By which cells and the caller know each other; `only`: a cell without is not called."""

    calling: Calling
    only: bool = True

    def check(self, *addresses: str) -> None:
        """BadAddress for one at which a cell would be called without TLS, and must not be."""
        for address in addresses if self.only else ():
            check_encrypted(address, self.calling.setting)


class CellControl:
    """Calls to any registered cell, with one pool of connections for all of them."""

    def __init__(self, control_key: str, certificates: Certificates | None = None) -> None:
        self._control_key, self._certificates = control_key, certificates
        self._session: aiohttp.ClientSession | None = None

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(resolver=CheckedResolver(), limit=100),
                timeout=aiohttp.ClientTimeout(total=CALL_SECONDS, sock_connect=CONNECT_SECONDS),
            )
        return self._session

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    async def cell(self, cell: Cell) -> CellReport:
        """Who answers there."""
        return await self._call(cell, "GET", "cell", CellReport)

    async def put_tenant(self, cell: Cell, tenant_id: str, order: TenantOrder) -> TenantReport:
        """Carry a decision out: open the fence, set the tenant's state, make its first key. Stale."""
        return await self._call(cell, "PUT", f"tenants/{quote(tenant_id)}", TenantReport, body=order)

    async def delete_tenant(self, cell: Cell, tenant_id: str, epoch: int, revision: int) -> TenantReport:
        """Remove every row of the tenant, and close the fence at `revision` for good. NotFound; Stale.

        A report in state `deleting` says that rows are left: the same call again goes on.
        """
        query = f"?epoch={epoch}&revision={revision}"
        return await self._call(cell, "DELETE", f"tenants/{quote(tenant_id)}{query}", TenantReport)

    async def keys(self, cell: Cell, tenant_id: str) -> KeyList:
        """NotFound when the tenant does not live there."""
        return await self._call(cell, "GET", f"tenants/{quote(tenant_id)}/keys", KeyList)

    async def create_key(self, cell: Cell, tenant_id: str, order: KeyOrder) -> KeyReport:
        """NotFound when the tenant does not live there."""
        return await self._call(cell, "POST", f"tenants/{quote(tenant_id)}/keys", KeyReport, body=order)

    async def revoke_key(self, cell: Cell, tenant_id: str, key_id: str) -> KeyReport:
        """NotFound when there is no such key; revoking again does nothing."""
        path = f"tenants/{quote(tenant_id)}/keys/{quote(key_id)}:revoke"
        return await self._call(cell, "POST", path, KeyReport)

    async def onboard(self, cell: Cell, tenant_id: str, order: OnboardingOrder) -> WorkReport:
        """Begin it, or see how far it is. NotFound; Stale when another order was given before."""
        return await self._call(cell, "PUT", f"tenants/{quote(tenant_id)}/onboarding", WorkReport, body=order)

    async def offboard(self, cell: Cell, tenant_id: str, order: OffboardingOrder) -> WorkReport:
        """Begin it, or see how far it is. NotFound without a subscription; Stale when it is not possible."""
        return await self._call(cell, "POST", f"tenants/{quote(tenant_id)}/offboarding", WorkReport, body=order)

    async def cancel_offboarding(self, cell: Cell, tenant_id: str) -> WorkReport:
        """Stale once the deletion has begun."""
        return await self._call(cell, "POST", f"tenants/{quote(tenant_id)}/offboarding:cancel", WorkReport)

    async def suspend_subscription(self, cell: Cell, tenant_id: str) -> WorkReport:
        """NotFound without a subscription; Stale while something else changes it."""
        return await self._call(cell, "POST", f"tenants/{quote(tenant_id)}/subscription:suspend", WorkReport)

    async def resume_subscription(self, cell: Cell, tenant_id: str) -> WorkReport:
        """Stale when it is not suspended, or while something else changes it."""
        return await self._call(cell, "POST", f"tenants/{quote(tenant_id)}/subscription:resume", WorkReport)

    async def orchestrations(self, cell: Cell, tenant_id: str, query: OrchestrationQuery) -> OrchestrationList:
        """One page. NotFound when the tenant does not live there."""
        return await self._call(
            cell, "GET", f"tenants/{quote(tenant_id)}/orchestrations?{_query(query)}", OrchestrationList
        )

    async def orchestration(self, cell: Cell, tenant_id: str, name: str) -> OrchestrationReport:
        """With its steps. NotFound."""
        path = f"tenants/{quote(tenant_id)}/orchestrations/{quote(name)}"
        return await self._call(cell, "GET", path, OrchestrationReport)

    async def operate(
        self, cell: Cell, tenant_id: str, name: str, verb: Literal["retry", "skip"], step: str | None
    ) -> OrchestrationReport:
        """Have a step tried again or let pass. NotFound; Stale says what would be possible."""
        path = f"tenants/{quote(tenant_id)}/orchestrations/{quote(name)}:{verb}"
        return await self._call(cell, "POST", path, OrchestrationReport, body=StepOrder(step=step))

    async def cancel(self, cell: Cell, tenant_id: str, name: str) -> OrchestrationReport:
        """Ask for the way back. NotFound; Stale when it has ended, or cannot be cancelled."""
        path = f"tenants/{quote(tenant_id)}/orchestrations/{quote(name)}:cancel"
        return await self._call(cell, "POST", path, OrchestrationReport)

    async def jobs(self, cell: Cell, tenant_id: str, query: JobQuery) -> JobList:
        """One page. NotFound when the tenant does not live there."""
        return await self._call(cell, "GET", f"tenants/{quote(tenant_id)}/jobs?{_query(query)}", JobList)

    async def order_jobs(
        self, cell: Cell, tenant_id: str, verb: Literal["retry", "discard"], order: JobsOrder
    ) -> JobsReport:
        """Try again or discard, a bounded number of them. NotFound; Stale says for which it is not possible."""
        return await self._call(cell, "POST", f"tenants/{quote(tenant_id)}/jobs:{verb}", JobsReport, body=order)

    async def dead_jobs(self, cell: Cell, after: str = "", limit: int = 1000) -> DeadJobsList:
        """One page of the tenants that have some."""
        return await self._call(cell, "GET", f"dead-jobs?after={quote(after)}&limit={limit}", DeadJobsList)

    async def size(self, cell: Cell, tenant_id: str) -> TenantSize:
        """How much the tenant holds there; takes seconds when it is much. NotFound when it does not live there."""
        return await self._call(cell, "GET", f"tenants/{quote(tenant_id)}/size", TenantSize)

    async def schema(self, cell: Cell) -> SchemaReport:
        """What tenants' tables are made of. NotFound: a cell of before this call; Stale: one cannot be moved."""
        return await self._call(cell, "GET", "schema", SchemaReport)

    async def load(self, cell: Cell, after: str = "", limit: int = 1000) -> LoadReport:
        """One page. NotFound: what serves there does not measure."""
        return await self._call(cell, "GET", f"load?after={quote(after)}&limit={limit}", LoadReport)

    async def fences(self, cell: Cell, after: str = "", limit: int = 1000) -> FenceList:
        """One page."""
        return await self._call(cell, "GET", f"fences?after={quote(after)}&limit={limit}", FenceList)

    async def checks(self, cell: Cell) -> CheckList:
        """The cell's view of its own invariants."""
        return await self._call(cell, "GET", "checks", CheckList)

    async def _call(
        self, cell: Cell, method: str, path: str, model: type[ModelT], body: BaseModel | None = None
    ) -> ModelT:
        url = f"{checked(cell.control_address)}/control/v1/{path}"
        headers = {"Authorization": f"Bearer {control_token(self._control_key, cell.cell_id)}"}
        content = None if body is None else body.model_dump_json().encode()
        if content is not None:
            headers["Content-Type"] = "application/json"
        try:
            async with self._client().request(
                method,
                URL(url, encoded=True),
                headers=headers,
                data=content,
                allow_redirects=False,
                **self._tls(cell),
            ) as response:
                return _answer(cell, response.status, await response.read(), model)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise _unanswered(cell, error) from error

    def _tls(self, cell: Cell) -> dict[str, Any]:
        """How the call is secured. Silent when it would not be, and must."""
        if (certificates := self._certificates) is None:
            return {}
        try:
            certificates.check(cell.control_address)
        except BadAddress as error:
            raise Silent(f"cell {cell.cell_id} is not called: {error}") from error
        return {"ssl": certificates.calling.context, "server_hostname": cell.cell_id}


def _unanswered(cell: Cell, error: Exception) -> Unavailable:
    if (why := saying.of_called(error)) is not None:
        kind = NotTrusted if saying.is_stranger(error) else Silent
        return kind(f"cell {cell.cell_id} cannot be reached at {cell.control_address}: {why}")
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return Silent(f"cell {cell.cell_id} cannot be reached: {type(error).__name__}")
    return Unavailable(f"cell {cell.cell_id} does not answer: {type(error).__name__}")


def _query(values: BaseModel) -> str:
    return urlencode(values.model_dump(mode="json", exclude_defaults=True))


def _answer(cell: Cell, status: int, body: bytes, model: type[ModelT]) -> ModelT:
    if status >= 500 or status == 429:
        raise Unavailable(f"cell {cell.cell_id} answers {status}: {_message(body)}")
    if status == 404:
        raise NotFound(_message(body))
    if status == 409:
        raise Stale(_message(body))
    if status >= 300:
        raise Refused(f"cell {cell.cell_id} refuses ({status}): {_message(body)}")
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise Unavailable(f"what answers for cell {cell.cell_id} is no cell of this version") from error


def _message(body: bytes) -> str:
    try:
        problem: dict[str, Any] = json.loads(body)
        return str(problem["message"])[:500]
    except (ValueError, KeyError, TypeError):
        return "no reason given"
