"""The operator and the tenant's developer, as they really call: over HTTP, with their tokens."""

import secrets
from dataclasses import dataclass
from typing import Any

import aiohttp

from console.platform.platform import Platform

CALL_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Answer:
    """A response, read."""

    status: int
    body: Any
    headers: Any


class Caller:
    """Calls one base URL with one bearer token."""

    def __init__(self, session: aiohttp.ClientSession, base: str, token: str) -> None:
        self._session, self.base, self.token = session, base, token

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """One request; POSTs get an Idempotency-Key unless they bring one."""
        sent = {"Authorization": f"Bearer {self.token}", **(headers or {})}
        if method == "POST":
            sent.setdefault("Idempotency-Key", key or secrets.token_hex(8))
        timeout = aiohttp.ClientTimeout(total=CALL_SECONDS)
        async with self._session.request(
            method, self.base + path, json=body, headers=sent, timeout=timeout
        ) as response:
            text = await response.text()
            found = await response.json(content_type=None) if text else None
            return Answer(response.status, found, response.headers)

    async def get(self, path: str) -> Answer:
        """GET."""
        return await self.call("GET", path)

    async def post(self, path: str, body: Any = None, key: str | None = None) -> Answer:
        """POST."""
        return await self.call("POST", path, body, key=key)


class Operator(Caller):
    """Whoever runs the fleet, calling placement."""

    def __init__(self, session: aiohttp.ClientSession, platform: Platform) -> None:
        super().__init__(session, platform.url("placement"), platform.operator_token)
        self._platform = platform

    async def tenant(self, tenant_id: str | None = None, **more: str) -> "Developer":
        """A new tenant, and its developer."""
        name = tenant_id or f"t-{secrets.token_hex(4)}"
        answer = await self.post("/v1/tenants", {"tenant_id": name, "display_name": name.title(), **more})
        assert answer.status == 201, answer.body
        return Developer(self._session, self._platform, name, answer.body["api_key"], answer.body["cell_id"])

    async def tenant_in(self, cell_id: str, **more: str) -> "Developer":
        """A new tenant in a certain cell: the others are cordoned for a moment."""
        others = [f"cell-{n}" for n in range(1, 4) if f"cell-{n}" != cell_id]
        for other in others:
            assert (await self.post(f"/v1/cells/{other}:cordon")).status == 200
        try:
            return await self.tenant(**more)
        finally:
            for other in others:
                assert (await self.post(f"/v1/cells/{other}:open")).status == 200


class Developer(Caller):
    """A tenant's developer, calling the router by the tenant's path."""

    def __init__(
        self, session: aiohttp.ClientSession, platform: Platform, tenant_id: str, api_key: str, cell_id: str
    ) -> None:
        super().__init__(session, f"{platform.url('router')}/t/{tenant_id}", api_key)
        self.tenant_id, self.cell_id = tenant_id, cell_id

    async def account(self, account_id: str) -> Answer:
        """A new account."""
        return await self.post("/v1/accounts", {"account_id": account_id, "display_name": account_id})
