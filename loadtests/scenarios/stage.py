"""Where a scenario happens: an embedded platform of its own, or the addresses of one that runs elsewhere.

Tenants of an embedded platform are spread evenly over its cells, the busiest as well: while those of one cell are
made, the others are cordoned. Elsewhere placement chooses, or the tenants are given with their keys.
"""

import asyncio
import contextlib
import os
import secrets
import ssl
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp

from console.platform.blueprint import PLACEMENT, ROUTER, Commands
from console.platform.platform import Platform
from console.platform.settings import SYSTEM_PORTS, UpSettings
from loadtests.operator import Operator
from loadtests.router.errors import CannotMeasure
from loadtests.scenarios import events_cell
from loadtests.scenarios.load import Way
from loadtests.scenarios.routers import Pair, pair
from loadtests.scenarios.scenario import Scenario

CELLS = 3
AT_ONCE = 8
"""Tenants that are made together."""
KNOWN_SECONDS = 10.0
CALL_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Given:
    """A platform that runs elsewhere. `keys`: of tenants that are there, by name; else `placement` makes some."""

    url: str
    keys: Sequence[tuple[str, str]] = ()
    placement: str = ""
    operator_token: str = ""
    events_path: str = ""
    ca: str | None = None
    cell: str = ""
    """Where everybody may be taken out of, by a scenario that empties a cell."""


@dataclass(frozen=True, slots=True)
class Stage:
    """What a run has. `homes`: each tenant's cell by its number, empty where nobody tells; `noisy` is the last."""

    way: Way
    homes: Sequence[str]
    target: str
    operator: Operator | None = None
    platform: Platform | None = None
    routers: Pair | None = None
    noisy: int | None = None
    first: str = "load-"
    """What the names of all that is made begin with."""

    @property
    def names(self) -> list[str]:
        """Of the tenants."""
        return [tenant["tenant_id"] for tenant in self.way.tenants]

    def require_platform(self) -> Platform:
        """CannotMeasure where the scenario runs against an address."""
        if self.platform is None:
            raise CannotMeasure("processes can only be killed on the embedded platform")
        return self.platform

    def require_operator(self) -> Operator:
        """CannotMeasure where nobody said how to call placement."""
        if self.operator is None:
            raise CannotMeasure("moves are asked of placement: say --placement and --token-file")
        return self.operator

    def require_routers(self) -> Pair:
        """CannotMeasure where there is only one."""
        if self.routers is None:
            raise CannotMeasure("this takes two routers behind a balancer")
        return self.routers


@contextlib.asynccontextmanager
async def embedded(scenario: Scenario, folder: Path) -> AsyncIterator[Stage]:
    """A platform of three cells, with the scenario's tenants, until the end of the block."""
    cell = (sys.executable, "-m", "loadtests.scenarios.events_cell")
    async with contextlib.AsyncExitStack() as exits:
        exits.enter_context(_told(scenario.settings))
        platform = await exits.enter_async_context(
            Platform(folder / "platform", CELLS, UpSettings(**SYSTEM_PORTS), commands=Commands(cell=cell))
        )
        connector = aiohttp.TCPConnector(limit=0)
        session = await exits.enter_async_context(aiohttp.ClientSession(connector=connector))
        operator = Operator(session, platform.url(PLACEMENT), platform.operator_token)
        two = await exits.enter_async_context(pair(platform, session, folder)) if scenario.routers > 1 else None
        makers = _Makers(session, operator, platform.url(ROUTER), "/t/{}")
        cells = platform.cells
        made: dict[int, tuple[dict[str, str], str]] = {}
        for place, cell_id in enumerate(cells):
            for other in cells:
                await operator.call("POST", f"/v1/cells/{other}:{'open' if other == cell_id else 'cordon'}")
            made |= await makers.make(range(place, scenario.tenants, len(cells)))
        for cell_id in cells:
            await operator.call("POST", f"/v1/cells/{cell_id}:open")
        way = Way(
            router=platform.url(ROUTER) if two is None else two.url,
            tenants=[made[number][0] for number in range(scenario.tenants)],
            placement=platform.url(PLACEMENT),
            operator_token=platform.operator_token,
            events_path=events_cell.PATH,
        )
        homes = [made[number][1] for number in range(scenario.tenants)]
        yield await _with_noise(
            scenario, makers, Stage(way, homes, "embedded", operator, platform, two, first=makers.first)
        )


@contextlib.asynccontextmanager
async def given(scenario: Scenario, where: Given) -> AsyncIterator[Stage]:
    """The platform that runs there. Tenants that placement had to make are deleted afterwards."""
    tls = ssl.create_default_context(cafile=where.ca)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, ssl=tls)) as session:
        operator = Operator(session, where.placement, where.operator_token) if where.placement else None
        parts = urlsplit(where.url)
        origin, prefix = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
        makers = _Makers(session, operator, origin, prefix + "/t/{}")
        made: dict[int, tuple[dict[str, str], str]]
        if where.keys:
            made = {number: (makers.described(*key), "") for number, key in enumerate(where.keys)}
            await asyncio.gather(*(makers.prepare(tenant) for tenant, _home in made.values()))
        else:
            made = await makers.make(range(scenario.tenants))
        tenants, homes = [made[number][0] for number in made], [made[number][1] for number in made]
        way = Way(origin, tenants, where.placement, where.operator_token, where.events_path, where.ca)
        stage = Stage(way, homes, where.url, operator, first=makers.first)
        stage = await _with_noise(scenario, makers, stage)
        try:
            yield stage
        finally:
            if operator is not None and not where.keys:
                await _cleared(operator, makers.first)


async def _cleared(operator: Operator, first: str) -> None:
    """Delete the tenants that a run has made."""
    token = ""
    while True:
        page = await operator.call("GET", f"/v1/tenants?page_size=100&page_token={token}")
        for tenant in page["tenants"]:
            if tenant["tenant_id"].startswith(first) and tenant["state"] != "deleted":
                path = f"/v1/tenants/{tenant['tenant_id']}"
                await operator.call("POST", f"{path}:suspend")
                await operator.call("DELETE", path)
        token = page["next_page_token"]
        if not token:
            return


@contextlib.contextmanager
def _told(settings: Mapping[str, str]) -> Iterator[None]:
    """The environment of programs within the block; what is set already stays."""
    added = {name: value for name, value in settings.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]


async def _with_noise(scenario: Scenario, makers: "_Makers", stage: Stage) -> Stage:
    """One tenant more, where one is to flood."""
    if not any(surge.noisy for surge in scenario.surges):
        return stage
    number = len(stage.homes)
    if makers.operator is None:
        # Of tenants that were given, the last one makes the noise.
        return replace(stage, noisy=number - 1)
    made = await makers.make([number])
    tenant, home = made[number]
    way = replace(stage.way, tenants=[*stage.way.tenants, tenant])
    return replace(stage, way=way, homes=[*stage.homes, home], noisy=number)


class _Makers:
    """Makes tenants, and what their clients work with."""

    def __init__(self, session: aiohttp.ClientSession, operator: Operator | None, router: str, path: str) -> None:
        self.operator, self.first = operator, f"load-{secrets.token_hex(3)}-"
        self._session, self._router, self._path = session, router, path

    def described(self, tenant_id: str, api_key: str) -> dict[str, str]:
        """As the driver is told."""
        return {"tenant_id": tenant_id, "path": self._path.format(tenant_id), "api_key": api_key}

    async def make(self, numbers: Sequence[int]) -> dict[int, tuple[dict[str, str], str]]:
        """Tenants by number, with their cells."""
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(number: int) -> tuple[dict[str, str], str]:
            async with gate:
                return await self._tenant(f"{self.first}{number:03}")

        return dict(zip(numbers, await asyncio.gather(*map(one, numbers)), strict=True))

    async def _tenant(self, name: str) -> tuple[dict[str, str], str]:
        if self.operator is None:
            raise CannotMeasure("there are no tenants: say --key-file, or --placement and --token-file")
        body = {"tenant_id": name, "display_name": name, "plan": "premium"}
        made = await self.operator.call("POST", "/v1/tenants", body)
        tenant = self.described(name, made["api_key"])
        await self.prepare(tenant)
        return tenant, made["cell_id"]

    async def prepare(self, tenant: dict[str, str]) -> None:
        """The account that is read, and that namespaces are in; there already, or made. CannotMeasure."""
        headers = {"Authorization": f"Bearer {tenant['api_key']}", "Idempotency-Key": "load-main"}
        url = f"{self._router}{tenant['path']}/v1/accounts"
        body = {"account_id": "main", "display_name": "Main account"}
        timeout = aiohttp.ClientTimeout(total=CALL_SECONDS)
        try:
            async with self._session.post(url, json=body, headers=headers, timeout=timeout) as response:
                if response.status not in (201, 409):
                    said = (await response.text())[:200]
                    raise CannotMeasure(f"{tenant['tenant_id']} cannot begin: {response.status} {said}")
        except (aiohttp.ClientError, TimeoutError) as error:
            raise CannotMeasure(f"{url} was not answered: {error!r}") from error
