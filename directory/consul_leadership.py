"""Locks in Consul: a key that is locked by a session.

The session ends when it is not renewed for its time to live (Consul may take twice as long, never less), and when
Consul finds the agent's machine dead. It releases the key (behaviour `release`), which stays with its `LockIndex`.
That index is no fencing number: whoever deletes the key sets it back. It only tells one locking from the next
here.
"""

import asyncio
import base64
from contextlib import suppress
from typing import Any

from directory.consul_agent import Agent
from directory.consul_watch import Watch
from directory.errors import Unavailable
from directory.leadership import Lock
from directory.rules.watching import WAIT_SECONDS

PREFIX = "cellway/leaders"
LOCK_DELAY_SECONDS = 1
"""How long Consul keeps a key from others when its session has died. Short, because the number is what counts."""
LEAST_LIVES_SECONDS = 10.0
"""Consul's least time to live of a session, unless it is configured otherwise."""


class ConsulLeadership:
    """`Leadership` over the Consul agent at `url`, with an ACL token when one is needed."""

    def __init__(self, url: str, token: str | None = None, lives_seconds: float = LEAST_LIVES_SECONDS) -> None:
        self.lives_seconds = lives_seconds
        self._agent = Agent(url, token, "consul lock")
        self._waiting = Agent(url, token, "consul lock watch")
        self._watches: dict[str, Watch] = {}

    async def gain(self, resource: str, owner: str) -> Lock | None:
        if _session(await self._entry(resource)) is not None:
            return None
        session = await self._begin_session(resource)
        lock = None
        try:
            lock = await self._lock(resource, owner, session)
        finally:
            if lock is None:
                with suppress(Unavailable):  # then it ends by itself
                    await self._end_session(session)
        return lock

    async def keep(self, lock: Lock) -> bool:
        session = _session_of(lock)
        if (await self._agent.write(f"/v1/session/renew/{session}")).body is None:
            return False
        # That the session lives does not say that it holds the key: somebody may have deleted that.
        return _lock_id(await self._entry(lock.resource)) == lock.lock_id

    async def give_up(self, lock: Lock) -> None:
        session = _session_of(lock)
        # First, because a key whose session ends is kept from others for a while.
        await self._agent.write(_path(lock.resource), "", {"release": session})
        await self._end_session(session)

    async def leader(self, resource: str) -> str | None:
        entry = await self._entry(resource)
        return None if entry is None or _session(entry) is None else _owner(entry)

    async def wait(self, resource: str, seconds: float) -> None:
        if _session(await self._entry(resource)) is None:
            # Free, and kept from everybody for a while, whose end is no change that Consul could tell of.
            await asyncio.sleep(min(seconds, LOCK_DELAY_SECONDS / 2))
            return
        watch = self._watches.setdefault(resource, Watch(self._waiting, _path(resource)))
        await watch.next(min(seconds, WAIT_SECONDS))

    async def close(self) -> None:
        self._agent.close()
        self._waiting.close()

    async def _begin_session(self, resource: str) -> str:
        about = {
            "Name": f"cellway leader {resource}",
            "TTL": f"{self.lives_seconds:g}s",
            "Behavior": "release",
            "LockDelay": f"{LOCK_DELAY_SECONDS}s",
        }
        return str((await self._agent.write("/v1/session/create", about)).body["ID"])

    async def _lock(self, resource: str, owner: str, session: str) -> Lock | None:
        if not (await self._agent.write(_path(resource), owner, {"acquire": session})).body:
            return None
        entry = await self._entry(resource)
        return Lock(resource, owner, _lock_id(entry)) if _session(entry) == session else None

    async def _end_session(self, session: str) -> None:
        await self._agent.write(f"/v1/session/destroy/{session}")

    async def _entry(self, resource: str) -> dict[str, Any] | None:
        """As its leader knows it, who asks the others whether it still leads."""
        found = (await self._agent.read(_path(resource), {"consistent": ""})).body
        entry: dict[str, Any] | None = found[0] if found else None
        return entry


def _path(resource: str) -> str:
    return f"/v1/kv/{PREFIX}/{resource}"


def _session(entry: dict[str, Any] | None) -> str | None:
    return None if entry is None else entry.get("Session")


def _lock_id(entry: dict[str, Any] | None) -> str:
    return f"{_session(entry)}/{entry['LockIndex']}" if entry is not None else ""


def _session_of(lock: Lock) -> str:
    return lock.lock_id.partition("/")[0]


def _owner(entry: dict[str, Any]) -> str:
    return base64.b64decode(entry["Value"] or b"").decode("utf-8", "replace")
