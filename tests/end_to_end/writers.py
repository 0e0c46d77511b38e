"""Clients that write without pause, and remember what was acknowledged."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from tests.end_to_end.actors import Developer
from tests.waiting import eventually


class Writer:
    """Creates account after account for one tenant. A refusal that is retryable is retried with the same key."""

    def __init__(self, developer: Developer) -> None:
        self.developer = developer
        self.acknowledged: list[str] = []
        self.statuses: Counter[int | str] = Counter()
        self.latest_success = time.monotonic()
        self._number = 0
        self._stopping = False

    async def run(self) -> None:
        """Until `stop`."""
        while not self._stopping:
            self._number += 1
            await self._write(f"a{self._number}")

    async def _write(self, account_id: str) -> None:
        body = {"account_id": account_id, "display_name": account_id}
        while not self._stopping:
            try:
                answer = await self.developer.post("/v1/accounts", body, key=f"key-{account_id}")
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                self.statuses[type(error).__name__] += 1
                continue
            self.statuses[answer.status] += 1
            if answer.status == 201:
                self.acknowledged.append(account_id)
                self.latest_success = time.monotonic()
                return
            assert answer.body["retryable"], answer.body

    def stop(self) -> None:
        """No further write."""
        self._stopping = True

    async def goes_on(self, writes: int = 5) -> None:
        """Wait until so many further writes were acknowledged."""
        wanted = len(self.acknowledged) + writes
        await eventually(lambda: len(self.acknowledged) >= wanted, seconds=30)

    async def lost(self) -> set[str]:
        """What was acknowledged and cannot be read any more."""
        found: set[str] = set()
        token = ""
        while True:
            page = await self.developer.get(f"/v1/accounts?page_size=100&page_token={token}")
            assert page.status == 200, page.body
            found |= {account["name"].removeprefix("accounts/") for account in page.body["accounts"]}
            token = page.body["next_page_token"]
            if not token:
                return set(self.acknowledged) - found


@asynccontextmanager
async def writing(*developers: Developer) -> AsyncIterator[list[Writer]]:
    """A writer for each developer, for as long as the block lasts."""
    writers = [Writer(developer) for developer in developers]
    async with asyncio.TaskGroup() as group:
        for writer in writers:
            group.create_task(writer.run())
        try:
            yield writers
        finally:
            for writer in writers:
                writer.stop()
