"""One customer: asked for at placement, followed through the router, looked at when it is done."""

import asyncio
import time
from dataclasses import dataclass
from typing import Any

import aiohttp

from console.platform.platform import Platform

CALL_SECONDS = 40.0
GIVE_UP_SECONDS = 120.0
WAIT_SECONDS = 30
AGAIN_SECONDS = 0.02
"""Before a request that was refused for the moment is sent again, as every client should: longer each time."""
MOST_AGAIN_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Came:
    """How it went. Seconds since the request was sent; `fault` is empty when all is as it should be."""

    tenant_id: str
    accepted_seconds: float
    """When placement answered with the first key."""
    active_seconds: float
    """When the router had answered that the operation has succeeded and the namespace is ACTIVE."""
    again: tuple[int, ...] = ()
    """The statuses of answers upon which a request was sent again."""
    fault: str = ""


class Crowd:
    """Brings customers to one platform."""

    def __init__(self, session: aiohttp.ClientSession, platform: Platform) -> None:
        self._session = session
        self._placement, self._router = platform.url("placement"), platform.url("router")
        self._token = platform.operator_token

    async def bring(self, tenant_id: str) -> Came:
        """One, to the end."""
        began = time.perf_counter()
        body = {
            "tenant_id": tenant_id,
            "display_name": tenant_id,
            "customer": {
                "email": f"ann@{tenant_id}.example",
                "display_name": tenant_id,
                "account_id": "main",
                "namespace_id": "prod",
                "trial_days": 14,
            },
        }
        again: list[int] = []
        made = await self._insist(
            again, "POST", f"{self._placement}/v1/tenants", self._token, 201, body, intent=tenant_id
        )
        accepted = time.perf_counter() - began
        base, key = f"{self._router}/t/{tenant_id}/v1", made["api_key"]
        operation: dict[str, Any] = {"poll_after_seconds": 1}
        while operation["poll_after_seconds"]:
            path = f"operations/{made['operation']}:wait?timeout_seconds={WAIT_SECONDS}"
            operation = await self._insist(again, "GET", f"{base}/{path}", key, 200)
        namespace = await self._insist(again, "GET", f"{base}/accounts/main/namespaces/prod", key, 200)
        active = time.perf_counter() - began
        subscription = await self._insist(again, "GET", f"{base}/subscription", key, 200)
        seen = operation["state"], namespace["state"], subscription["plan"], subscription["state"]
        fault = "" if seen == ("SUCCEEDED", "ACTIVE", "standard", "TRIAL") else f"{tenant_id}: {seen}"
        return Came(tenant_id, accepted, active, tuple(again), fault)

    async def _insist(
        self,
        again: list[int],
        method: str,
        url: str,
        token: str,
        wanted: int,
        body: Any = None,
        intent: str | None = None,
    ) -> dict[str, Any]:
        """The answer; `again` notes each that came instead. TimeoutError when it never comes."""
        headers = {"Authorization": f"Bearer {token}"} | ({"Idempotency-Key": intent} if intent else {})
        end, pause = time.perf_counter() + GIVE_UP_SECONDS, AGAIN_SECONDS
        timeout = aiohttp.ClientTimeout(total=CALL_SECONDS)
        while True:
            async with self._session.request(method, url, json=body, headers=headers, timeout=timeout) as response:
                answer: dict[str, Any] = await response.json(content_type=None)
                if response.status == wanted:
                    return answer
            if time.perf_counter() > end:
                raise TimeoutError(f"{method} {url}: {response.status} {answer.get('message')}")
            again.append(response.status)
            await asyncio.sleep(pause)
            pause = min(2 * pause, MOST_AGAIN_SECONDS)
