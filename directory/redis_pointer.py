"""The version pointer in the directory's Redis: the embedded default.

Not quite a second witness: a router that follows a replica which was cut off finds an old pointer there, too. It
shows a router that does not get on with what lies before it.
"""

import asyncio
import contextlib
import time
from collections.abc import Iterator

import redis.asyncio
import redis.exceptions

from directory.errors import Unavailable
from directory.pointer import Position, decoded, encoded

KEY = "cellway:position"
CALL_SECONDS = 2.0
LOOK_SECONDS = 1.0
"""Between two looks: it is a hint for people, and no change waits for it."""

_PUT = """
local whole, known = pcall(cjson.decode, redis.call('GET', KEYS[1]) or 'null')
local is_position = whole and type(known) == 'table' and type(known.seq) == 'number'
if is_position and known.identity == ARGV[1] and known.seq >= tonumber(ARGV[2]) then return 0 end
redis.call('SET', KEYS[1], ARGV[3])
return 1
"""


@contextlib.contextmanager
def _reaching() -> Iterator[None]:
    try:
        yield
    except (redis.exceptions.RedisError, OSError, TimeoutError) as error:
        raise Unavailable(f"the directory's Redis is away: {type(error).__name__}") from error


class RedisPointer:
    """`Pointer` over the directory's Redis."""

    def __init__(self, url: str, key: str = KEY) -> None:
        self._redis = redis.asyncio.Redis.from_url(url, socket_timeout=CALL_SECONDS, socket_connect_timeout=1.0)
        self._put = self._redis.register_script(_PUT)
        self._key = key
        self._is_told = False
        self._told: Position | None = None

    async def put(self, position: Position) -> None:
        with _reaching():
            await self._put(keys=[self._key], args=[position.identity, position.seq, encoded(position)])

    async def next(self, seconds: float) -> Position | None:
        end = time.monotonic() + seconds
        while True:
            with _reaching():
                found = decoded(await self._redis.get(self._key))
            rest_seconds = end - time.monotonic()
            if not self._is_told or found != self._told or rest_seconds <= 0:
                self._is_told, self._told = True, found
                return found
            await asyncio.sleep(min(LOOK_SECONDS, rest_seconds))

    async def close(self) -> None:
        await self._redis.aclose()
