"""Moves as an operator plans and follows them: through placement's API, which may be away for a while."""

import asyncio
import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import aiohttp

from directory.rules.moves import ENDED

CALL_SECONDS = 10.0
INSIST_SECONDS = 180.0
AGAIN_SECONDS = 0.2
_ERROR, _SERVER_ERROR = 400, 500


@dataclass(frozen=True, slots=True)
class Journey:
    """A move, as far as placement told of it."""

    move_id: str
    tenant_id: str
    source: str
    destination: str
    phase: str
    paused: bool
    attempt: int
    pause_ms: float | None
    error: str
    reverses: str | None

    @property
    def ended(self) -> bool:
        """Nothing becomes of it any more."""
        return self.phase in ENDED


class Refused(Exception):
    """It is not possible, placement says."""


class Desk:
    """Where moves are asked for. Every call insists until it is answered; TimeoutError when it never is."""

    def __init__(self, session: aiohttp.ClientSession, url: str, token: str) -> None:
        self._session, self._url, self._token = session, url, token

    async def plan(self, tenant_id: str, destination: str, *, verify: bool) -> Journey:
        """Refused; the same call that was planned already, when an answer was lost, is refused too."""
        body = {"tenant_id": tenant_id, "destination": destination, "options": {"verify": verify}}
        return _journey(await self._insist("POST", "/v1/moves", body))

    async def reverse(self, move_id: str) -> Journey:
        """Refused."""
        return _journey(await self._insist("POST", f"/v1/moves/{move_id}:reverse", {}))

    async def ask(self, move_id: str, verb: str) -> None:
        """Refused: it is too late for that."""
        await self._insist("POST", f"/v1/moves/{move_id}:{verb}")

    async def move(self, move_id: str) -> Journey:
        """How it is."""
        return _journey(await self._insist("GET", f"/v1/moves/{move_id}"))

    async def unfinished(self, tenant_id: str) -> list[Journey]:
        """A tenant's."""
        found = await self._insist("GET", f"/v1/moves?tenant={tenant_id}&unfinished=true")
        return [_journey(each) for each in found["moves"]]

    async def moments(self, move_id: str) -> Mapping[str, datetime]:
        """When it entered each phase, the last time."""
        found = await self._insist("GET", f"/v1/moves/{move_id}/events?page_size=100")
        return {each["phase"]: datetime.fromisoformat(each["time"]) for each in found["events"]}

    async def _insist(self, method: str, path: str, body: Any = None) -> Any:
        end = time.monotonic() + INSIST_SECONDS
        while True:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
                status, answer = await self._call(method, path, body)
                if status < _ERROR:
                    return answer
                if status < _SERVER_ERROR:
                    raise Refused(f"{method} {path}: {status} {answer}")
            if time.monotonic() > end:
                raise TimeoutError(f"{method} {path}: placement does not answer")
            await asyncio.sleep(AGAIN_SECONDS)

    async def _call(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {self._token}"}
        timeout = aiohttp.ClientTimeout(total=CALL_SECONDS)
        async with self._session.request(
            method, self._url + path, json=body, headers=headers, timeout=timeout
        ) as response:
            return response.status, await response.json(content_type=None)


def _journey(told: Mapping[str, Any]) -> Journey:
    return Journey(**{name: told[name] for name in Journey.__slots__})
