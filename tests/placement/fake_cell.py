"""A cell's control API over dictionaries: the same promises as the real one, and it can be down or hang."""

import asyncio
import hashlib
import hmac
import ssl
from datetime import UTC, datetime
from typing import Any, Literal

from aiohttp import web
from pydantic import BaseModel

from directory.control.contract import (
    CapacityReport,
    CellReport,
    Check,
    CheckList,
    FenceList,
    FenceReport,
    KeyList,
    KeyOrder,
    KeyReport,
    LoadReport,
    OnboardingOrder,
    SchemaReport,
    TableSize,
    TenantLoad,
    TenantOrder,
    TenantReport,
    TenantSize,
    WorkReport,
)
from directory.control.token import control_token
from directory.control.work import DeadJobsList, JobCounts, JobList, JobsOrder, JobsReport, OrchestrationList
from directory.rules.tables import Column, Table
from directory.values import NewCell
from runtime.site import Site

CONTROL_KEY = "control-key-for-tests"
Mode = Literal["well", "failing", "hanging", "redirecting"]
ONBOARDING = ("PENDING", "account", "publish", "COMPLETED")
"""How far it is at the first, second … look."""

NAME = Column("name", "text", "text", "text", True, False, False, False)
ORDERS = Table("shop.orders", "shop", "orders", "tenant_id", True, (NAME,), ("tenant_id", "name"))
"""What a cell's tenants have here."""


class FakeCell:
    """Serves `directory.control.contract`. `mode` is how it behaves (`redirecting`: to `elsewhere`); `told` counts
    effects.

    `broken` are tenants whose orders fail or hang while the cell is well; `deletions_left` is how many calls a
    deletion needs before the last one. `dies_before` an onboarding: the next one is answered 500, and not begun.
    `is_old`: it is of before anybody asked what a tenant holds. `loads` are what tenants took since
    `start_of_loads`, `age_seconds` ago; None: it does not measure. `odd_load`: it tells that instead.
    """

    def __init__(self, cell_id: str, region: str = "eu", tls: ssl.SSLContext | None = None) -> None:
        self.cell_id, self._tls = cell_id, tls
        self.region = region
        self.mode: Mode = "well"
        self.elsewhere = ""
        self.fences: dict[str, FenceReport] = {}
        self.tenants: dict[str, TenantReport] = {}
        self.keys: dict[str, dict[str, KeyReport]] = {}
        self.checks: list[Check] = [Check(name="row security", ok=True)]
        self.tables = [ORDERS]
        self.sizes = [TableSize(relation=ORDERS.relation, rows=3000, bytes=1_234_567)]
        self.is_old = False
        self.loads: dict[str, TenantLoad] | None = None
        self.start_of_loads = "first"
        self.odd_load: dict[str, Any] | None = None
        self.age_seconds = 0.0
        self.memory_bytes: float | None = None
        self.called = asyncio.Event()
        self.told = 0
        self.capacity: CapacityReport | None = None
        self.broken: dict[str, Literal["failing", "hanging"]] = {}
        self.deletions_left = 0
        self.customers: dict[str, list[OnboardingOrder]] = {}
        self.leaving: set[str] = set()
        self.looks: dict[str, int] = {}
        self.dies_before = False
        self.may_prove_itself = asyncio.Event()
        self.may_prove_itself.set()
        self._site = Site(f"fake {cell_id}", self._application(), "127.0.0.1", 0, drain_seconds=0.1, tls=tls)

    async def start(self) -> "FakeCell":
        await self._site.start()
        return self

    async def stop(self) -> None:
        await self._site.drain()
        await self._site.stop()

    async def restart(self) -> None:
        """Again, at the address it had."""
        self._site = Site(
            *(f"fake {self.cell_id}", self._application(), "127.0.0.1", self._site.port),
            drain_seconds=0.1,
            tls=self._tls,
        )
        await self._site.start()

    @property
    def url(self) -> str:
        return self._site.url

    def new(self, capacity_tenants: int = 100) -> NewCell:
        """How it registers."""
        return NewCell(self.cell_id, self.region, self.url, self.url, capacity_tenants)

    def body(self, capacity_tenants: int = 100) -> dict[str, Any]:
        """How it registers, as JSON."""
        return {
            "cell_id": self.cell_id,
            "region": self.region,
            "address": self.url,
            "control_address": self.url,
            "capacity_tenants": capacity_tenants,
        }

    def _application(self) -> web.Application:
        app = web.Application(middlewares=[self._gate])
        tenant = "/control/v1/tenants/{tenant}"
        app.router.add_get("/control/v1/cell", self._cell)
        app.router.add_get("/control/v1/fences", self._fences)
        app.router.add_get("/control/v1/load", self._load)
        app.router.add_get("/control/v1/checks", self._checks)
        app.router.add_get("/control/v1/schema", self._schema)
        app.router.add_get(f"{tenant}/size", self._size)
        app.router.add_put(tenant, self._put)
        app.router.add_delete(tenant, self._delete)
        app.router.add_get(f"{tenant}/keys", self._list_keys)
        app.router.add_post(f"{tenant}/keys", self._create_key)
        app.router.add_post(f"{tenant}/keys/{{key}}:revoke", self._revoke_key)
        app.router.add_put(f"{tenant}/onboarding", self._onboard)
        app.router.add_post(f"{tenant}/offboarding", self._offboard)
        app.router.add_post(f"{tenant}/offboarding:cancel", self._stay)
        app.router.add_get(f"{tenant}/orchestrations", self._no_orchestrations)
        app.router.add_get(f"{tenant}/jobs", self._no_jobs)
        app.router.add_post(f"{tenant}/jobs:{{verb}}", self._about_jobs)
        app.router.add_get("/control/v1/dead-jobs", self._no_dead_jobs)
        return app

    @property
    def _gate(self) -> Any:
        @web.middleware
        async def gate(request: web.Request, handler: Any) -> web.StreamResponse:
            self.called.set()
            if request.headers.get("Authorization") != f"Bearer {control_token(CONTROL_KEY, self.cell_id)}":
                return web.json_response({"message": "wrong control token"}, status=401)
            if self.mode == "failing":
                return web.json_response({"message": "out of order"}, status=500)
            if self.mode == "hanging":
                await asyncio.Event().wait()
            if self.mode == "redirecting":
                return web.Response(status=302, headers={"Location": f"{self.elsewhere}{request.path_qs}"})
            broken = self.broken.get(request.match_info.get("tenant", ""))
            if broken == "failing":
                return web.json_response({"message": "this order fails"}, status=500)
            if broken == "hanging":
                await asyncio.Event().wait()
            answer: web.StreamResponse = await handler(request)
            return answer

        return gate

    async def _cell(self, _request: web.Request) -> web.Response:
        await self.may_prove_itself.wait()
        return _answer(
            CellReport(
                cell_id=self.cell_id,
                region=self.region,
                version="1.2.3",
                tenants=len(self.tenants),
                capacity=self.capacity,
            )
        )

    async def _put(self, request: web.Request) -> web.Response:
        tenant_id = request.match_info["tenant"]
        order = TenantOrder.model_validate_json(await request.read())
        known = self.tenants.get(tenant_id)
        if known is not None and (order.revision, order.epoch) < (known.revision, known.epoch):
            return _stale(known)
        if known is not None and known.state == "deleted":
            return _stale(known)
        if known is None or known.revision != order.revision:
            self.told += 1
        self.fences[tenant_id] = FenceReport(tenant_id=tenant_id, epoch=order.epoch, state="active")
        api_key = None
        if order.first_key_seed:
            api_key = self._key(tenant_id, "first key", order.first_key_seed).api_key
        report = TenantReport(
            tenant_id=tenant_id, epoch=order.epoch, revision=order.revision, state=order.state, api_key=api_key
        )
        self.tenants[tenant_id] = report.model_copy(update={"api_key": None})
        return _answer(report)

    async def _schema(self, _request: web.Request) -> web.Response:
        return _missing() if self.is_old else _answer(SchemaReport(tables=self.tables, encoding="UTF8"))

    async def _size(self, request: web.Request) -> web.Response:
        known = request.match_info["tenant"] in self.tenants and not self.is_old
        return _answer(TenantSize(tables=self.sizes)) if known else _missing()

    async def _delete(self, request: web.Request) -> web.Response:
        tenant_id = request.match_info["tenant"]
        revision = int(request.query["revision"])
        known = self.tenants.get(tenant_id)
        if known is None:
            return _missing()
        if revision < known.revision:
            return _stale(known)
        if self.deletions_left and known.state != "deleted":
            self.deletions_left -= 1
            report = TenantReport(tenant_id=tenant_id, epoch=known.epoch, revision=revision, state="deleting")
            return _answer(report, 202)
        self.keys.pop(tenant_id, None)
        self.fences[tenant_id] = FenceReport(tenant_id=tenant_id, epoch=revision, state="moved")
        report = TenantReport(tenant_id=tenant_id, epoch=revision, revision=revision, state="deleted")
        self.tenants[tenant_id] = report
        return _answer(report)

    def _key(self, tenant_id: str, display_name: str, seed: str) -> KeyReport:
        secret = hmac.new(b"pepper", f"{tenant_id}|{seed}".encode(), hashlib.sha256).hexdigest()[:43]
        keys = self.keys.setdefault(tenant_id, {})
        key = keys.setdefault(
            secret[:10], KeyReport(key_id=secret[:10], display_name=display_name, created_at=datetime.now(UTC))
        )
        return key.model_copy(update={"api_key": None if key.revoked_at else f"ck_{tenant_id}_{secret}"})

    async def _list_keys(self, request: web.Request) -> web.Response:
        tenant_id = request.match_info["tenant"]
        if tenant_id not in self.tenants:
            return _missing()
        return _answer(KeyList(keys=list(self.keys.get(tenant_id, {}).values())))

    async def _create_key(self, request: web.Request) -> web.Response:
        tenant_id = request.match_info["tenant"]
        order = KeyOrder.model_validate_json(await request.read())
        if tenant_id not in self.tenants:
            return _missing()
        return _answer(self._key(tenant_id, order.display_name, order.seed))

    async def _revoke_key(self, request: web.Request) -> web.Response:
        keys = self.keys.get(request.match_info["tenant"], {})
        key = keys.get(request.match_info["key"])
        if key is None:
            return _missing()
        revoked = key.model_copy(update={"revoked_at": key.revoked_at or datetime.now(UTC)})
        keys[key.key_id] = revoked
        return _answer(revoked)

    async def _onboard(self, request: web.Request) -> web.Response:
        tenant_id = request.match_info["tenant"]
        order = OnboardingOrder.model_validate_json(await request.read())
        if tenant_id not in self.tenants:
            return _missing()
        if self.dies_before:
            self.dies_before = False
            return web.json_response({"message": "died"}, status=500)
        begun = self.customers.setdefault(tenant_id, [])
        if any(known.attempt == order.attempt and known != order for known in begun):
            return web.json_response({"message": "it was begun before, with something else"}, status=409)
        if order not in begun:
            begun.append(order)
            self.looks[tenant_id] = 0
        look = self.looks[tenant_id]
        self.looks[tenant_id] = look + 1
        state = ONBOARDING[min(look, len(ONBOARDING) - 1)]
        return _answer(WorkReport(operation=f"op-onboarding-{order.attempt}", state=state))

    async def _offboard(self, request: web.Request) -> web.Response:
        tenant_id = request.match_info["tenant"]
        if tenant_id not in self.customers:
            return _missing()
        self.leaving.add(tenant_id)
        return _answer(WorkReport(operation="op-leaving", state="block"))

    async def _stay(self, request: web.Request) -> web.Response:
        tenant_id = request.match_info["tenant"]
        if tenant_id not in self.customers:
            return _missing()
        if tenant_id not in self.leaving:
            return web.json_response({"message": "there is no offboarding to cancel"}, status=409)
        return _answer(WorkReport(operation="op-leaving", state="block"))

    # Of work it has none, so whatever is named is not there: tests about work have a real cell.

    async def _no_orchestrations(self, request: web.Request) -> web.Response:
        known = request.match_info["tenant"] in self.tenants
        return _answer(OrchestrationList(orchestrations=[])) if known else _missing()

    async def _no_jobs(self, request: web.Request) -> web.Response:
        known = request.match_info["tenant"] in self.tenants
        counts = JobCounts(waiting=0, running=0, done=0, dead=0)
        return _answer(JobList(jobs=[], counts=counts)) if known else _missing()

    async def _about_jobs(self, request: web.Request) -> web.Response:
        order = JobsOrder.model_validate_json(await request.read())
        known = request.match_info["tenant"] in self.tenants and order.jobs is None
        return _answer(JobsReport(jobs=0, left=0)) if known else _missing()

    async def _no_dead_jobs(self, _request: web.Request) -> web.Response:
        return _answer(DeadJobsList(tenants=[]))

    async def _fences(self, request: web.Request) -> web.Response:
        after, limit = request.query["after"], int(request.query["limit"])
        names = [name for name in sorted(self.fences) if name > after][:limit]
        return _answer(FenceList(fences=[self.fences[name] for name in names]))

    def takes(self, tenant_id: str, cpu_seconds: float, network_bytes: float = 0.0) -> None:
        """So much more."""
        self.loads = self.loads or {}
        known = self.loads.get(tenant_id)
        self.loads[tenant_id] = TenantLoad(
            tenant_id=tenant_id,
            cpu_seconds=cpu_seconds + (known.cpu_seconds if known else 0),
            network_bytes=network_bytes + (known.network_bytes if known else 0),
            requests=(known.requests if known else 0) + 1,
            database_seconds=0,
            database_bytes=((known.database_bytes if known else 0) or 0) + 10_000,
            job_seconds=0,
            row_bytes=1000,
            storage_bytes=5000,
        )

    async def _load(self, request: web.Request) -> web.Response:
        if self.odd_load is not None:
            return web.json_response(self.odd_load)
        if self.loads is None:
            return _missing()
        after = request.query["after"]
        names = [name for name in sorted(self.loads) if name > after]
        page = names[:2]
        return _answer(
            LoadReport(
                start=self.start_of_loads,
                age_seconds=self.age_seconds,
                cpu_seconds=sum(load.cpu_seconds for load in self.loads.values()),
                memory_bytes=self.memory_bytes,
                tenants=[self.loads[name] for name in page],
                next_after=page[-1] if len(names) > 2 else None,
            )
        )

    async def _checks(self, _request: web.Request) -> web.Response:
        return _answer(CheckList(checks=self.checks))


def _answer(model: BaseModel, status: int = 200) -> web.Response:
    return web.Response(body=model.model_dump_json().encode(), status=status, content_type="application/json")


def _stale(known: TenantReport) -> web.Response:
    return web.json_response({"message": f"revision {known.revision} is known"}, status=409)


def _missing() -> web.Response:
    return web.json_response({"message": "not here"}, status=404)
