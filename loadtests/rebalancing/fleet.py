"""Three cells and two dozen tenants, all equally busy. Most live in the first cell, so it has most of the load."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from console.platform.blueprint import PLACEMENT, ROUTER
from console.platform.platform import Platform
from console.platform.settings import SYSTEM_PORTS, UpSettings
from loadtests.migration.load import Load
from loadtests.operator import Operator

CELLS = 3
TENANTS = (15, 6, 3)
"""So many live in each cell at first."""
PER_SECOND = 3.0
"""Writes of each."""
CAPACITY = {"capacity_tenants": 40, "capacity": {"cpus": 2.0}}
"""Of each cell."""


@dataclass(frozen=True, slots=True)
class Tenant:
    """One of them, and what it asks."""

    tenant_id: str
    load: Load


class Fleet:
    """A platform, called over HTTP as its operators and tenants do."""

    def __init__(self, platform: Platform, session: aiohttp.ClientSession) -> None:
        self.platform, self._session = platform, session
        self.call = Operator(session, platform.url(PLACEMENT), platform.operator_token).call
        self.tenants: list[Tenant] = []

    async def settle(self) -> None:
        """Create the tenants where they live at first: the other cells are cordoned meanwhile."""
        for cell_id in self.platform.cells:
            await self.call("PATCH", f"/v1/cells/{cell_id}", CAPACITY)
        number = 0
        for home, count in zip(self.platform.cells, TENANTS, strict=True):
            for cell_id in self.platform.cells:
                await self.call("POST", f"/v1/cells/{cell_id}:{'open' if cell_id == home else 'cordon'}")
            for _ in range(count):
                number += 1
                await self._tenant(f"tenant-{number:02}", PER_SECOND)
        for cell_id in self.platform.cells:
            await self.call("POST", f"/v1/cells/{cell_id}:open")

    async def _tenant(self, name: str, per_second: float) -> None:
        made = await self.call("POST", "/v1/tenants", {"tenant_id": name, "display_name": name})
        load = Load(self._session, f"{self.platform.url(ROUTER)}/t/{name}", made["api_key"], per_second)
        await load.prepare()
        self.tenants.append(Tenant(name, load))

    async def homes(self) -> Mapping[str, Sequence[Tenant]]:
        """Who lives in each cell now."""
        cells: dict[str, list[Tenant]] = {cell_id: [] for cell_id in self.platform.cells}
        for tenant in self.tenants:
            cells[(await self.call("GET", f"/v1/tenants/{tenant.tenant_id}"))["cell_id"]].append(tenant)
        return cells

    def failed(self) -> Counter[int | str]:
        """Requests of tenants that were not answered with a success, by what they were answered with."""
        return sum((tenant.load.failed() for tenant in self.tenants), Counter())

    def answered(self) -> int:
        """Requests of tenants, all together."""
        return sum(len(tenant.load.written) for tenant in self.tenants)


@asynccontextmanager
async def uneven(folder: Path) -> AsyncIterator[Fleet]:
    """The fleet, as it is before anybody plans."""
    async with AsyncExitStack() as stack:
        platform = await stack.enter_async_context(
            Platform(folder / "platform", CELLS, UpSettings(**SYSTEM_PORTS))
        )
        connector = aiohttp.TCPConnector(limit=0)
        session = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
        fleet = Fleet(platform, session)
        await fleet.settle()
        yield fleet
