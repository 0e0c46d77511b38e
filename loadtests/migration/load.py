"""A steady load of writes that waits for nobody: each is sent when its time has come; what it waited is kept."""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp

ACCOUNTS = 20
SECONDS = 30.0
"""After so long a write has failed."""


@dataclass(slots=True)
class Written:
    """One write: when it was due, and what it waited, in seconds of the system's clock."""

    due: float
    seconds: float
    status: int | str


@dataclass(slots=True)
class Load:
    """One tenant's."""

    session: aiohttp.ClientSession
    url: str
    api_key: str
    per_second: float
    written: list[Written] = field(default_factory=list)
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    async def prepare(self) -> None:
        """The accounts that are written to."""
        for number in range(ACCOUNTS):
            body = {"account_id": f"a{number}", "display_name": "new"}
            headers = {"Idempotency-Key": f"make-a{number}"}
            async with self._request("POST", "/v1/accounts", body, headers) as response:
                response.raise_for_status()

    async def write(self, due: float) -> None:
        """One change of an account."""
        number = next(self._numbers)
        status: int | str
        try:
            path, body = f"/v1/accounts/a{number % ACCOUNTS}", {"display_name": f"n{number}"}
            async with self._request("PATCH", path, body, {}) as response:
                await response.read()
                status = response.status
        except (aiohttp.ClientError, TimeoutError) as error:
            status = type(error).__name__
        self.written.append(Written(due, time.time() - due, status))

    def _request(
        self, method: str, path: str, body: dict[str, str], headers: dict[str, str]
    ) -> "aiohttp.client._RequestContextManager":
        return self.session.request(
            method,
            self.url + path,
            json=body,
            headers={"Authorization": f"Bearer {self.api_key}", **headers},
            timeout=aiohttp.ClientTimeout(total=SECONDS),
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`: on time, however late the answers are."""
        async with asyncio.TaskGroup() as group:
            due = time.time()
            while not stop.is_set():
                group.create_task(self.write(due))
                due += 1 / self.per_second
                await asyncio.sleep(max(0.0, due - time.time()))

    def failed(self) -> Counter[int | str]:
        """What was not a success, by what it was."""
        return Counter(each.status for each in self.written if each.status != 200)


@asynccontextmanager
async def running(*loads: Load) -> AsyncIterator[None]:
    """They go on for as long as the block lasts, and all answers have come at its end."""
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for load in loads:
            group.create_task(load.run(stop))
        try:
            yield
        finally:
            stop.set()
