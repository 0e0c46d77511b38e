"""The operator, as placement is called by whoever measures or disturbs a platform."""

import time
from collections.abc import Mapping
from typing import Any

import aiohttp

from loadtests.router.errors import CannotMeasure

SECONDS = 20.0
"""Placement answers within."""


class Operator:
    """Calls placement with a token."""

    def __init__(self, session: aiohttp.ClientSession, url: str, token: str) -> None:
        self._session, self._url, self._token = session, url.rstrip("/"), token

    def __repr__(self) -> str:
        return f"<Operator at {self._url}>"

    async def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Placement's answer. CannotMeasure when it is a refusal, or none."""
        headers = {"Authorization": f"Bearer {self._token}"}
        if method == "POST":
            headers["Idempotency-Key"] = f"{time.time_ns()}"
        timeout = aiohttp.ClientTimeout(total=SECONDS)
        try:
            async with self._session.request(
                method, self._url + path, json=body, headers=headers, timeout=timeout
            ) as response:
                told = await response.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise CannotMeasure(f"{method} {path} was not answered by placement: {error!r}") from error
        if response.status >= 300:
            raise CannotMeasure(f"{method} {path} was answered {response.status}: {told}")
        return told
