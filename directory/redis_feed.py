"""The cache, kept in Redis.

    cellway:seq        number of the last change that was published; absent: the cache is empty
    cellway:changes    stream; the identifier of an item is its change number, so Redis itself refuses doubles
    cellway:tenants    hash tenant → entry, for the look-up of one that a router does not know
    cellway:snapshot   the snapshot as bytes (`wire`)

Publishing is one script, so the stream, the hash and the number never disagree, whoever publishes and wherever it
dies. When Redis is away, every call raises `Unavailable` by its deadline, and readers go on with what they have.
"""

import asyncio
import contextlib
import uuid
from collections.abc import Awaitable, Iterator, Sequence
from typing import Any, cast

import redis.asyncio
import redis.exceptions

from directory import wire
from directory.errors import Gap, Unavailable
from directory.values import Change, Snapshot, TenantEntry

SEQ, CHANGES, TENANTS, SNAPSHOT = "cellway:seq", "cellway:changes", "cellway:tenants", "cellway:snapshot"
KEPT_CHANGES = 100_000
READ_AT_MOST = 1000
CALL_SECONDS = 2.0
CONNECT_SECONDS = 1.0
_FILL_BATCH = 5000
_FILL_SECONDS = 300

_PUBLISH = """
local last = tonumber(redis.call('GET', KEYS[1]))
if not last then return -1 end
for i = 2, #ARGV, 3 do
  local seq, tenant, entry = tonumber(ARGV[i]), ARGV[i + 1], ARGV[i + 2]
  if seq > last then
    if seq ~= last + 1 then return -2 end
    redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[1], seq .. '-0', 'e', entry)
    if tenant ~= '' then
      if string.find(entry, '"cell": null', 1, true) then
        redis.call('HDEL', KEYS[3], tenant)
      else
        redis.call('HSET', KEYS[3], tenant, entry)
      end
    end
    last = seq
    redis.call('SET', KEYS[1], last)
  end
end
return last
"""


@contextlib.contextmanager
def _reaching() -> Iterator[None]:
    try:
        yield
    except (redis.exceptions.RedisError, OSError, TimeoutError) as error:
        raise Unavailable(f"the directory's Redis is away: {type(error).__name__}") from error


class RedisFeed:
    """`Cache` over one Redis, with a connection of its own for the read that waits."""

    def __init__(self, url: str) -> None:
        self._redis = _client(url, CALL_SECONDS)
        self._waiting = _client(url, None)
        self._publish = self._redis.register_script(_PUBLISH)

    async def close(self) -> None:
        """Close all connections."""
        await self._redis.aclose()
        await self._waiting.aclose()

    async def ping(self) -> None:
        """Unavailable when Redis does not answer."""
        with _reaching():
            await cast(Awaitable[Any], self._redis.ping())

    async def eviction_policy(self) -> str:
        """What this Redis does when its memory is full; only `noeviction` keeps the cache whole. Unavailable."""
        with _reaching():
            memory: Any = await cast(Awaitable[Any], self._redis.info("memory"))
        return str(memory.get("maxmemory_policy", "unknown"))

    async def snapshot(self) -> Snapshot | None:
        with _reaching():
            data = await self._redis.get(SNAPSHOT)
        return None if data is None else wire.decode_snapshot(cast(bytes, data))

    async def changes(self, after: int, wait_seconds: float) -> Sequence[Change]:
        with _reaching():
            # The server ends the wait; the deadline is for a server that no longer does anything.
            async with asyncio.timeout(wait_seconds + CALL_SECONDS):
                found: Any = await self._waiting.xread(
                    {CHANGES: f"{after}-0"}, count=READ_AT_MOST, block=max(1, int(wait_seconds * 1000))
                )
            if not found:
                await self._refuse_gap(after)
                return []
        items = next(iter(found.values()))[0] if isinstance(found, dict) else found[0][1]
        changes = [wire.decode_change(int(name.split(b"-")[0]), fields[b"e"]) for name, fields in items]
        if changes[0].seq != after + 1:
            raise Gap(f"the changes after {after} are not kept, only from {changes[0].seq} on")
        return changes

    async def _refuse_gap(self, after: int) -> None:
        """Silence is well only while the stream ends where the reader stands."""
        last = await self._redis.get(SEQ)
        if (
            last is not None
            and int(last) != after
            and not await self._redis.xrange(CHANGES, f"{after + 1}-0", count=1)
        ):
            raise Gap(f"the stream ends at {int(last)}, and the reader stands at {after}")

    async def look_up(self, tenant_id: str) -> TenantEntry | None:
        with _reaching():
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.get(SEQ)
                pipe.hget(TENANTS, tenant_id)
                last, entry = await pipe.execute()
        if last is None:
            raise Unavailable("the cache is empty")
        return None if entry is None else cast(TenantEntry, wire.decode_entry(entry))

    async def published(self) -> int | None:
        with _reaching():
            last = await self._redis.get(SEQ)
        return None if last is None else int(last)

    async def publish(self, changes: Sequence[Change]) -> int:
        arguments: list[str | int] = [KEPT_CHANGES]
        for change in changes:
            tenant = change.entry.tenant_id if isinstance(change.entry, TenantEntry) else ""
            arguments += [change.seq, tenant, wire.encode_entry(change.entry)]
        with _reaching():
            last = int(await self._publish(keys=[SEQ, CHANGES, TENANTS], args=arguments))
        if last < 0:
            raise Gap("the cache is empty" if last == -1 else "the changes do not follow the last one there")
        return last

    async def fill(self, snapshot: Snapshot) -> None:
        entries = {entry.tenant_id: wire.encode_entry(entry) for entry in snapshot.tenants.values()}
        names = list(entries)
        # Filled beside the old one and swapped in at once: no reader ever sees half of it, and a filler that dies
        # leaves nothing that lasts.
        beside = f"{TENANTS}:{uuid.uuid4().hex}"
        with _reaching():
            for start in range(0, len(names), _FILL_BATCH):
                batch = {name: entries[name] for name in names[start : start + _FILL_BATCH]}
                await self._redis.hset(beside, mapping=cast(Any, batch))
                await self._redis.expire(beside, _FILL_SECONDS)
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.delete(CHANGES, TENANTS)
                if names:
                    pipe.rename(beside, TENANTS)
                    pipe.persist(TENANTS)
                pipe.set(SNAPSHOT, wire.encode_snapshot(snapshot))
                pipe.set(SEQ, snapshot.seq)
                await pipe.execute()

    async def put_snapshot(self, snapshot: Snapshot) -> None:
        with _reaching():
            await self._redis.set(SNAPSHOT, wire.encode_snapshot(snapshot))


def _client(url: str, call_seconds: float | None) -> "redis.asyncio.Redis":
    return redis.asyncio.Redis.from_url(
        url,
        socket_timeout=call_seconds,
        socket_connect_timeout=CONNECT_SECONDS,
        health_check_interval=0,
        max_connections=50,
    )
