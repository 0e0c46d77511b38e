"""The registry in Consul: one service an instance, named `cellway-<program>`, with a TTL check.

Each beat registers anew with a passing check, so an agent that was restarted and forgot everything learns it again
within one beat. Consul drops an instance whose check has been critical for a minute.

py-consul's client for asyncio does not go with present aiohttp (it passes `ssl_context` and `verify_ssl`), so its
blocking client is called in threads; a beat every few seconds needs no more.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import urlsplit

import consul
import requests

from directory.errors import Unavailable
from directory.registry import LIVES_SECONDS, Instance

CALL_SECONDS = 2.0
FORGET_AFTER = "60s"  # Consul's minimum
T = TypeVar("T")


class ConsulRegistry:
    """`Registry` over the Consul agent at `url` (http://host:port), with an ACL token when one is needed."""

    def __init__(self, url: str, token: str | None = None) -> None:
        parts = urlsplit(url)
        self._consul = consul.Consul(
            host=parts.hostname or "127.0.0.1",
            port=parts.port or 8500,
            scheme=parts.scheme or "http",
            token=token,
            connections_timeout=CALL_SECONDS,
        )

    async def announce(self, instance: Instance) -> None:
        await self._call(self._register, instance)

    async def withdraw(self, instance: Instance) -> None:
        await self._call(self._consul.agent.service.deregister, instance.instance_id)

    async def instances(self, service: str) -> Sequence[Instance]:
        found = await self._call(self._passing, service)
        return sorted((_instance(service, entry["Service"]) for entry in found), key=lambda i: i.instance_id)

    async def close(self) -> None:
        """The client keeps nothing open that outlives it."""

    def _register(self, instance: Instance) -> None:
        check = {
            "CheckID": f"beat:{instance.instance_id}",
            "Name": "the process says that it lives",
            "TTL": f"{LIVES_SECONDS}s",
            "Status": "passing",
            "DeregisterCriticalServiceAfter": FORGET_AFTER,
        }
        self._consul.agent.service.register(
            f"cellway-{instance.service}",
            service_id=instance.instance_id,
            address=instance.host,
            port=instance.port,
            meta={**instance.about, "admin_port": str(instance.admin_port)},
            check=check,
        )

    def _passing(self, service: str) -> list[dict[str, Any]]:
        _, found = self._consul.health.service(f"cellway-{service}", passing=True)
        entries: list[dict[str, Any]] = found
        return entries

    async def _call(self, work: Callable[..., T], *arguments: object) -> T:
        try:
            async with asyncio.timeout(CALL_SECONDS * 2):
                return await asyncio.to_thread(work, *arguments)
        except (consul.ConsulException, requests.RequestException, OSError, TimeoutError) as error:
            raise Unavailable(f"Consul is away: {type(error).__name__}") from error


def _instance(service: str, entry: dict[str, Any]) -> Instance:
    about = dict(entry["Meta"] or {})
    admin_port = int(about.pop("admin_port"))
    return Instance(service, entry["ID"], entry["Address"], entry["Port"], admin_port, about)
