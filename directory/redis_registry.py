"""The registry in Redis: one key an instance, which expires when the instance falls silent."""

import contextlib
import dataclasses
import json
from collections.abc import Iterator, Sequence
from typing import Any

import redis.asyncio
import redis.exceptions

from directory.errors import Unavailable
from directory.registry import LIVES_SECONDS, Instance, Looking, Sightings

CALL_SECONDS = 2.0
PREFIX = "cellway:instance"
FIELDS = frozenset(Instance.__dataclass_fields__)


@contextlib.contextmanager
def _reaching() -> Iterator[None]:
    try:
        yield
    except (redis.exceptions.RedisError, OSError, TimeoutError) as error:
        raise Unavailable(f"the directory's Redis is away: {type(error).__name__}") from error


class RedisRegistry:
    """`Registry` over the directory's Redis."""

    def __init__(self, url: str) -> None:
        self._redis = redis.asyncio.Redis.from_url(url, socket_timeout=CALL_SECONDS, socket_connect_timeout=1.0)

    async def announce(self, instance: Instance) -> None:
        with _reaching():
            await self._redis.set(_key(instance), json.dumps(_told(instance)), ex=LIVES_SECONDS)

    async def withdraw(self, instance: Instance) -> None:
        with _reaching():
            await self._redis.delete(_key(instance))

    async def instances(self, service: str) -> Sequence[Instance]:
        with _reaching():
            keys = [key async for key in self._redis.scan_iter(f"{PREFIX}:{service}:*", count=1000)]
            values = await self._redis.mget(sorted(keys)) if keys else []
        # One may expire between the two calls.
        return [_instance(json.loads(value)) for value in values if value is not None]

    def watch(self, service: str) -> Sightings:
        return Looking(self, service)

    async def close(self) -> None:
        await self._redis.aclose()


def _told(instance: Instance) -> dict[str, Any]:
    # What is nothing is left out, so that processes of before understand it.
    told = dataclasses.asdict(instance)
    return {name: value for name, value in told.items() if name not in ("trouble", "suspects") or value}


def _instance(told: dict[str, Any]) -> Instance:
    known = {name: value for name, value in told.items() if name in FIELDS}
    return Instance(**{**known, "suspects": tuple(told.get("suspects", ()))})


def _key(instance: Instance) -> str:
    return f"{PREFIX}:{instance.service}:{instance.instance_id}"
