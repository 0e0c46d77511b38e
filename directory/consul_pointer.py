"""The version pointer in Consul: one key, for however many tenants and changes there are."""

import base64
from typing import Any

from directory.consul_agent import Agent
from directory.consul_watch import Watch
from directory.pointer import Position, decoded, encoded, leads_on
from directory.rules.watching import WAIT_SECONDS

PATH = "/v1/kv/cellway/position"


class ConsulPointer:
    """`Pointer` over the Consul agent at `url`, with an ACL token when one is needed."""

    def __init__(self, url: str, token: str | None = None, path: str = PATH) -> None:
        self._agent = Agent(url, token, "consul pointer")
        self._watching = Agent(url, token, "consul pointer watch")
        self._path, self._watch = path, Watch(self._watching, path)

    async def put(self, position: Position) -> None:
        while True:
            found = (await self._agent.read(self._path)).body
            if not leads_on(_position(found), position):
                return
            known = str(found[0]["ModifyIndex"]) if found else "0"
            if (await self._agent.write(self._path, encoded(position), {"cas": known})).body:
                return
            # Somebody else was quicker; perhaps with a later number.

    async def next(self, seconds: float) -> Position | None:
        return _position(await self._watch.next(min(seconds, WAIT_SECONDS)))

    async def close(self) -> None:
        self._agent.close()
        self._watching.close()


def _position(found: list[dict[str, Any]] | None) -> Position | None:
    return decoded(base64.b64decode(found[0]["Value"] or b"")) if found else None
