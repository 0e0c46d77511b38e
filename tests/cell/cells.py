"""A whole cell for tests: its database with roles, the API in this process, tenants, and clients for them."""

import contextlib
import io
import itertools
import secrets
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import asyncpg
from yarl import URL

from cell import schema_state
from cell.app.api import Api
from cell.app.worker import Worker, assemble_worker
from cell.settings import CellSettings
from directory.control.contract import TenantOrder
from directory.fence import MOVER_ROLES
from runtime import database
from runtime.embedded.postgres import PostgresServer
from tests.servers import PASSWORD, copy_of

ROLES = ("cell_owner", "cell_app", "cell_control", "cell_relay", "cell_mover")
TOKEN = "control-token-of-the-tests"
_EPOCHS = itertools.count(1)


def next_epoch() -> int:
    """From one sequence, as in the directory."""
    return next(_EPOCHS)


@dataclass(frozen=True, slots=True)
class CellDatabase:
    """A cell's database, and the addresses of its roles."""

    admin: str
    dsns: Mapping[str, str]

    async def connect(self, role: str | None = None) -> "asyncpg.Connection[asyncpg.Record]":
        """As a role, or as superuser."""
        return await asyncpg.connect(self.admin if role is None else self.dsns[role], timeout=30)

    @contextlib.asynccontextmanager
    async def inside(
        self, client: "Client", role: str = "cell_app"
    ) -> "AsyncIterator[asyncpg.Connection[asyncpg.Record]]":
        """A connection in a transaction of the client's tenant, which commits at the end."""
        connection = await self.connect(role)
        try:
            async with connection.transaction():
                await connection.execute("SELECT cellway.enter($1, $2)", client.tenant_id, client.epoch)
                yield connection
        finally:
            await connection.close()


async def new_cell_database(server: PostgresServer, *, schema: bool = True) -> CellDatabase:
    """A fresh one, named at random."""

    async def make(name: str) -> None:
        await database.bootstrap(server.admin_dsn, name, ROLES[0], dict.fromkeys(ROLES, PASSWORD), MOVER_ROLES)
        if schema:
            await schema_state.upgrade_all(server.dsn(name, ROLES[0], PASSWORD))

    name = await copy_of(server, "cell" if schema else "cell_without_schema", make, ROLES)
    return CellDatabase(server.dsn(name), {role: server.dsn(name, role, PASSWORD) for role in ROLES})


def settings_for(made: CellDatabase, redis_url: str, **more: Any) -> CellSettings:
    """Settings of a cell on these servers."""
    values: dict[str, Any] = {
        "cell_id": "cell-1",
        "app_dsn": made.dsns["cell_app"],
        "control_dsn": made.dsns["cell_control"],
        "relay_dsn": made.dsns["cell_relay"],
        "owner_dsn": made.dsns["cell_owner"],
        "redis_url": redis_url,
        "control_token": TOKEN,
        "key_pepper": "pepper-of-the-tests",
        "page_key": "page-key-of-the-tests",
        "drain_seconds": 2.0,
        "lease_seconds": 2.0,
        "sweep_seconds": 0.2,
        "hint_again_seconds": 0.5,
        **more,
    }
    return CellSettings.model_validate(values)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    raw: bytes
    json: Any = None

    @property
    def problem(self) -> tuple[int, str, bool]:
        """Status, code and whether to try again, of a problem+json."""
        assert self.headers["Content-Type"].startswith("application/problem+json"), self
        assert self.json["status"] == self.status
        return self.status, self.json["code"], self.json["retryable"]


@dataclass(slots=True)
class Client:
    """Speaks to the cell as the router does, for one tenant."""

    session: aiohttp.ClientSession
    url: str
    tenant_id: str
    epoch: int
    api_key: str
    revision: int = 0
    extra: dict[str, str] = field(default_factory=dict)

    async def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        raw: bytes | None = None,
        key: str | None = "new",
        headers: Mapping[str, str | None] | None = None,
        params: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request; `key` is the Idempotency-Key, a new one for each POST unless given."""
        sent: dict[str, str | None] = {
            "Cellway-Tenant": self.tenant_id,
            "Cellway-Epoch": str(self.epoch),
            "Authorization": f"Bearer {self.api_key}",
            **self.extra,
        }
        if key == "new":
            key = secrets.token_hex(8) if method == "POST" else None
        if key is not None:
            sent["Idempotency-Key"] = key
        sent.update(headers or {})
        given = {name: value for name, value in sent.items() if value is not None}
        content: dict[str, Any] = {} if body is None else {"json": body}
        if raw is not None:
            content = {"data": io.BytesIO(raw)}
            given.setdefault("Content-Type", "application/json")
        return await ask(self.session, method, self.url + path, headers=given, params=params, **content)


async def ask(session: aiohttp.ClientSession, method: str, url: str, **more: Any) -> Answer:
    """One request with a deadline."""
    async with session.request(
        method, URL(url, encoded=True), timeout=aiohttp.ClientTimeout(total=30), allow_redirects=False, **more
    ) as response:
        raw = await response.read()
        json = (
            await response.json(content_type=None) if "json" in response.headers.get("Content-Type", "") else None
        )
        return Answer(response.status, response.headers, raw, json)


@dataclass(slots=True)
class RunningCell:
    """An API that runs in this process."""

    api: Api
    settings: CellSettings
    database: CellDatabase
    session: aiohttp.ClientSession

    @property
    def url(self) -> str:
        return self.api.site.url

    async def control(self, method: str, path: str, body: Any = None, *, token: str = TOKEN) -> Answer:
        """A call of the control contract."""
        return await ask(
            self.session,
            method,
            f"{self.api.admin_site.url}/control/v1/{path}",
            headers={"Authorization": f"Bearer {token}"},
            json=body,
        )

    async def tenant(self, tenant_id: str | None = None, **more: Any) -> Client:
        """A new tenant, and its client."""
        name = tenant_id or f"t-{secrets.token_hex(4)}"
        epoch, revision = next_epoch(), next_epoch()
        order = TenantOrder(
            **{
                "epoch": epoch,
                "revision": revision,
                "state": "active",
                "display_name": name,
                "plan": "standard",
                "first_key_seed": secrets.token_hex(16),
                **more,
            }
        )
        answer = await self.control("PUT", f"tenants/{name}", order.model_dump())
        assert answer.status == 200, answer
        return Client(self.session, self.url, name, order.epoch, answer.json["api_key"], order.revision)


@contextlib.asynccontextmanager
async def worker_of(settings: CellSettings) -> AsyncIterator[Worker]:
    """A worker in this process."""
    made = await assemble_worker(settings)
    await made.lifecycle.start()
    try:
        yield made
    finally:
        await made.lifecycle.stop()
