"""The cache, kept in Redis.

    cellway:identity   whose cache it is
    cellway:seq        number of the last change that was published; absent: the cache is empty
    cellway:changes    stream; the identifier of an item is its change number, so Redis itself refuses doubles
    cellway:tenants    hash tenant → entry, for the look-up of one that a router does not know
    cellway:snapshot   the snapshot as bytes (`wire`)

Publishing is one script, and so is filling: the identity, the stream, the hash and the number never disagree,
whoever publishes and wherever it dies; readers read what belongs together in one transaction. When Redis is away,
every call raises `Unavailable` by its deadline, and readers go on with what they have.
"""

import asyncio
import contextlib
import uuid
from collections.abc import Awaitable, Iterator, Sequence
from dataclasses import replace
from typing import Any, cast

import redis.asyncio
import redis.exceptions

from directory import wire
from directory.errors import Gap, Unavailable
from directory.turns import in_turns
from directory.values import Change, Snapshot, TenantEntry

IDENTITY, SEQ, CHANGES = "cellway:identity", "cellway:seq", "cellway:changes"
TENANTS, SNAPSHOT = "cellway:tenants", "cellway:snapshot"
KEPT_CHANGES = 100_000
READ_AT_MOST = 100
"""Changes a read: they are decoded at once, and a reader has others to serve."""
CALL_SECONDS = 2.0
CONNECT_SECONDS = 1.0
_FILL_BATCH = 5000
_FILL_SECONDS = 300
_MARK_BYTES = 64
"""A snapshot begins with the checksum of a header that holds the checksum of the rest: no two begin alike."""
_SNAPSHOT_TRIES = 3

_PUBLISH = """
local last = tonumber(redis.call('GET', KEYS[1]))
if not last then return -1 end
if redis.call('GET', KEYS[4]) ~= ARGV[2] then return -2 end
for i = 3, #ARGV, 3 do
  local seq, tenant, entry = tonumber(ARGV[i]), ARGV[i + 1], ARGV[i + 2]
  if seq > last then
    if seq ~= last + 1 then return -3 end
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

# What is written before a failed RENAME stays written, in a script as in MULTI: so look first, then write.
_FILL = """
local wanted = tonumber(ARGV[1])
if redis.call('HLEN', KEYS[6]) ~= wanted then
  redis.call('UNLINK', KEYS[6])
  return 0
end
redis.call('UNLINK', KEYS[2], KEYS[3])
if wanted > 0 then
  redis.call('RENAME', KEYS[6], KEYS[3])
  redis.call('PERSIST', KEYS[3])
end
redis.call('SET', KEYS[4], ARGV[2])
redis.call('SET', KEYS[5], ARGV[3])
redis.call('SET', KEYS[1], ARGV[4])
return 1
"""

_PUT_SNAPSHOT = """
local last, seq = tonumber(redis.call('GET', KEYS[1])), tonumber(ARGV[2])
if not last then return -1 end
if redis.call('GET', KEYS[3]) ~= ARGV[1] then return -2 end
local follows = (seq + 1) .. '-0'
if seq < last and #redis.call('XRANGE', KEYS[2], follows, follows) == 0 then return -3 end
redis.call('SET', KEYS[4], ARGV[3])
return 0
"""

# One reply of few strings: a hundred items in Redis' nested replies take the client ten times as long as all else.
_READ = """
local owner, last = redis.call('GET', KEYS[1]), redis.call('GET', KEYS[2])
local numbers, entries = {}, {}
for i, item in ipairs(redis.call('XRANGE', KEYS[3], ARGV[1] .. '-0', '+', 'COUNT', ARGV[2])) do
  numbers[i] = string.match(item[1], '^%d+')
  entries[i] = item[2][2]
end
return {owner, last, '[' .. table.concat(numbers, ',') .. ']', '[' .. table.concat(entries, ',') .. ']'}
"""

_GAPS = {
    -1: "the cache is empty",
    -2: "the cache is of another directory",
    -3: "the changes do not follow the last one there",
}


@contextlib.contextmanager
def _reaching() -> Iterator[None]:
    try:
        yield
    except (redis.exceptions.RedisError, OSError, TimeoutError) as error:
        raise Unavailable(f"the directory's Redis is away: {type(error).__name__}") from error


class _Replaced:
    """There is another snapshot by now than the one that was being read."""


class RedisFeed:
    """`Cache` over one Redis, with a connection of its own for the read that waits."""

    def __init__(self, url: str) -> None:
        self._redis = _client(url, CALL_SECONDS)
        self._waiting = _client(url, None)
        self._publish = self._redis.register_script(_PUBLISH)
        self._fill = self._redis.register_script(_FILL)
        self._read = self._redis.register_script(_READ)
        self._put_snapshot = self._redis.register_script(_PUT_SNAPSHOT)

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
        for _ in range(_SNAPSHOT_TRIES):
            found = await self._whole_snapshot()
            if not isinstance(found, _Replaced):
                return found
        raise Unavailable("the snapshot is replaced faster than it can be read")

    async def _whole_snapshot(self) -> "Snapshot | _Replaced | None":
        """Read in pieces: one reply of megabytes would keep the loop from everything else."""
        length, mark, piece = await self._snapshot_piece(0)
        if length is None:
            return None
        unpacking, first = wire.Unpacking(), mark
        unpacking.take(piece)
        for at in range(wire.PIECE_BYTES, length, wire.PIECE_BYTES):
            _, mark, piece = await self._snapshot_piece(at)
            if mark != first:
                return _Replaced()
            unpacking.take(piece)
        return await in_turns(unpacking.end())

    async def _snapshot_piece(self, at: int) -> tuple[int | None, bytes, bytes]:
        """The snapshot's length (None: there is none), its checksum, and its bytes from `at`, at one moment."""
        with _reaching():
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.exists(SEQ)
                pipe.strlen(SNAPSHOT)
                pipe.getrange(SNAPSHOT, 0, _MARK_BYTES - 1)
                pipe.getrange(SNAPSHOT, at, at + wire.PIECE_BYTES - 1)
                filled, length, mark, piece = await pipe.execute()
        return length if filled and length else None, mark, piece

    async def changes(self, identity: str, after: int, wait_seconds: float) -> Sequence[Change]:
        found = await self._kept(identity, after)
        if not found and wait_seconds > 0:
            await self._something_after(after, wait_seconds)
            found = await self._kept(identity, after)
        return found

    async def _kept(self, identity: str, after: int) -> Sequence[Change]:
        """What is there now; read at one moment with whose it is, and where it ends. Gap."""
        with _reaching():
            found = await self._read(keys=[IDENTITY, SEQ, CHANGES], args=[after + 1, READ_AT_MOST])
        owner, last, numbers, entries = found
        _refuse_stranger(owner, last, identity, Gap)
        if after > int(last):
            raise Gap(f"the stream ends at {int(last)}, and the reader stands at {after}")
        changes = wire.decode_changes(numbers, entries)
        if after < int(last) and (not changes or changes[0].seq != after + 1):
            raise Gap(f"the changes after {after} are not kept")
        return changes

    async def _something_after(self, after: int, wait_seconds: float) -> None:
        """Return when the stream goes on, or the time is over. Who waits reads afterwards what is there."""
        with _reaching():
            # The server ends the wait; the deadline is for a server that no longer does anything.
            async with asyncio.timeout(wait_seconds + CALL_SECONDS):
                await self._waiting.xread({CHANGES: f"{after}-0"}, count=1, block=max(1, int(wait_seconds * 1000)))

    async def look_up(self, tenant_id: str, identity: str | None = None) -> TenantEntry | None:
        with _reaching():
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.mget(IDENTITY, SEQ)
                pipe.hget(TENANTS, tenant_id)
                (owner, last), entry = await pipe.execute()
        _refuse_stranger(owner, last, identity, Unavailable)
        return None if entry is None else cast(TenantEntry, wire.decode_entry(entry))

    async def published(self, identity: str) -> int | None:
        with _reaching():
            owner, last = await self._redis.mget(IDENTITY, SEQ)
        return int(last) if last is not None and owner == identity.encode() else None

    async def publish(self, identity: str, changes: Sequence[Change]) -> int:
        arguments: list[str | int] = [KEPT_CHANGES, identity]
        for change in changes:
            tenant = change.entry.tenant_id if isinstance(change.entry, TenantEntry) else ""
            arguments += [change.seq, tenant, wire.encode_entry(change.entry)]
        with _reaching():
            last = int(await self._publish(keys=[SEQ, CHANGES, TENANTS, IDENTITY], args=arguments))
        return _not_a_gap(last)

    async def fill(self, snapshot: Snapshot) -> None:
        # Filled beside the old one and swapped in at once: no reader ever sees half of it, and a filler that dies
        # leaves nothing that lasts.
        beside = f"{TENANTS}:{uuid.uuid4().hex}"
        keys = [SEQ, CHANGES, TENANTS, SNAPSHOT, IDENTITY, beside]
        encoded = await _encoded(snapshot)
        arguments: list[int | str | bytes] = [len(snapshot.tenants), encoded, snapshot.identity, snapshot.seq]
        with _reaching():
            await self._fill_beside(beside, list(snapshot.tenants.values()))
            whole = await self._fill(keys=keys, args=arguments)
        if not whole:
            raise Unavailable("the directory's Redis lost what was being filled in")

    async def _fill_beside(self, beside: str, entries: Sequence[TenantEntry]) -> None:
        for start in range(0, len(entries), _FILL_BATCH):
            batch = {entry.tenant_id: wire.encode_entry(entry) for entry in entries[start : start + _FILL_BATCH]}
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.hset(beside, mapping=cast(Any, batch))
                pipe.expire(beside, _FILL_SECONDS)
                await pipe.execute()

    async def put_snapshot(self, snapshot: Snapshot) -> None:
        arguments: list[int | str | bytes] = [snapshot.identity, snapshot.seq, await _encoded(snapshot)]
        with _reaching():
            found = int(await self._put_snapshot(keys=[SEQ, CHANGES, IDENTITY, SNAPSHOT], args=arguments))
        _not_a_gap(found)

    async def look_up_count(self) -> tuple[int | None, int]:
        """The number of the last change, and how many tenants can be looked up by then. Unavailable."""
        with _reaching():
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.get(SEQ)
                pipe.hlen(TENANTS)
                last, count = await pipe.execute()
        return None if last is None else int(last), int(count)


async def _encoded(snapshot: Snapshot) -> bytes:
    packed = replace(snapshot, tenants=await in_turns(wire.packed(snapshot)))
    return await asyncio.to_thread(wire.encode_snapshot, packed)


def _refuse_stranger(
    owner: bytes | None, last: bytes | None, identity: str | None, error: type[Gap] | type[Unavailable]
) -> None:
    if last is None:
        raise error(_GAPS[-1])
    if identity is not None and owner != identity.encode():
        raise error(_GAPS[-2])


def _not_a_gap(found: int) -> int:
    if found < 0:
        raise Gap(_GAPS[found])
    return found


def _client(url: str, call_seconds: float | None) -> "redis.asyncio.Redis":
    return redis.asyncio.Redis.from_url(
        url,
        socket_timeout=call_seconds,
        socket_connect_timeout=CONNECT_SECONDS,
        health_check_interval=0,
        max_connections=50,
    )
