"""One request as a client makes it that will not wait for ever, and what it may believe of the answer."""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp

from loadtests.history.rules.values import Outcome
from loadtests.history.stage import Tenant

CALL_SECONDS = 4.0
INSIST_SECONDS = 12.0
AGAIN_SECONDS = 0.05
MOST_AGAIN_SECONDS = 1.0
NOTHING: Mapping[str, str] = {}
REFUSED = frozenset((400, 401, 403, 404, 412, 422))
"""Statuses by which a cell says that nothing was done, and that the same will not be done later."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; status 0: nothing did."""

    status: int
    body: Any = None
    etag: str = ""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A write with all its repetitions, each with the same Idempotency-Key."""

    answer: Answer
    outcome: Outcome
    began: float
    ended: float
    tries: int


class Calls:
    """Speaks for one tenant through the router."""

    def __init__(self, session: aiohttp.ClientSession, tenant: Tenant) -> None:
        self._session, self.tenant = session, tenant
        self.statuses: Counter[str] = Counter()

    async def once(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Answer:
        """One request; it never raises for what the other side does."""
        sent = {"Authorization": f"Bearer {self.tenant.api_key}", **(headers or {})}
        timeout = aiohttp.ClientTimeout(total=CALL_SECONDS)
        try:
            async with self._session.request(
                method, self.tenant.base + path, json=body, headers=sent, timeout=timeout
            ) as response:
                read = await response.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            self.statuses[type(error).__name__] += 1
            return Answer(0)
        self.statuses[str(response.status)] += 1
        return Answer(response.status, read, response.headers.get("ETag", ""))

    async def write(
        self,
        method: str,
        path: str,
        body: Any,
        key: str,
        wanted: int,
        *,
        insists: bool,
        headers: Mapping[str, str] = NOTHING,
    ) -> Attempt:
        """Done, refused, or nobody knows. Who insists repeats it for a while until somebody knows."""
        began, tries, pause = time.monotonic(), 0, AGAIN_SECONDS
        while True:
            tries += 1
            answer = await self.once(method, path, body, {"Idempotency-Key": key, **headers})
            ended = time.monotonic()
            if answer.status == wanted:
                return Attempt(answer, "acknowledged", began, ended, tries)
            if answer.status in REFUSED or exists(answer):
                return Attempt(answer, "refused", began, ended, tries)
            if not insists or ended - began > INSIST_SECONDS:
                return Attempt(answer, "unknown", began, ended, tries)
            await asyncio.sleep(pause)
            pause = min(2 * pause, MOST_AGAIN_SECONDS)

    async def read(self, path: str, seconds: float) -> Any:
        """Insist on an answer; TimeoutError when none comes for so long."""
        end = time.monotonic() + seconds
        while (answer := await self.once("GET", path)).status != 200:
            if time.monotonic() > end:
                raise TimeoutError(f"{path}: {answer.status} {answer.body}")
            await asyncio.sleep(AGAIN_SECONDS)
        return answer.body

    async def pages(self, path: str, items: str, seconds: float) -> list[dict[str, Any]]:
        """All of a list. TimeoutError."""
        found: list[dict[str, Any]] = []
        token = ""
        joint = "&" if "?" in path else "?"
        while True:
            page = await self.read(f"{path}{joint}page_size=100&page_token={token}", seconds)
            found += page[items]
            token = page["next_page_token"]
            if not token:
                return found


def exists(answer: Answer) -> bool:
    """Somebody has done this before. Any other 409 says that it is still being done, or cannot be done now."""
    return answer.status == 409 and isinstance(answer.body, dict) and answer.body.get("code") == "ALREADY_EXISTS"
