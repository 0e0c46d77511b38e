"""Calls to one Consul agent.

py-consul's client is blocking. Each `Agent` has a thread and a connection of its own, and makes one call at a
time: however long Consul hangs, it holds up nobody else's threads; and as the thread is a daemon, a process that
ends does not wait for an answer.
"""

import asyncio
import json
import queue
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

import consul
import requests

from directory.errors import Unavailable
from directory.rules import watching

CALL_SECONDS = 2.0
"""For Consul to accept a connection, and for each piece of its answer."""
MOST_WAITING = 100
"""Calls of one agent that wait for their turn; what comes on top is refused."""
T = TypeVar("T")
_Job = tuple["Future[Any]", Callable[[], Any]]


@dataclass(frozen=True, slots=True)
class Answer:
    """What Consul says.

    `body` None: there is no such thing. `index` 0: it carried none. `led`: whether the server that answered knows
    a leader; it heard of it `age_seconds` ago.
    """

    body: Any
    index: int = 0
    led: bool = True
    age_seconds: float = 0.0


class Agent:
    """The Consul agent at `url` (http://host:port), with an ACL token when one is needed."""

    def __init__(self, url: str, token: str | None, name: str) -> None:
        parts = urlsplit(url)
        self._client = consul.Consul(
            host=parts.hostname or "127.0.0.1",
            port=parts.port or 8500,
            scheme=parts.scheme or "http",
            token=token,
            connections_timeout=CALL_SECONDS,
        )
        if token is not None:
            self._client.token = token  # py-consul prefers what the environment says
        self._line = _Line(name)

    async def read(self, path: str, params: Mapping[str, str] | None = None) -> Answer:
        """GET. Unavailable."""
        return await self._call(lambda: self._get(path, params or {}), CALL_SECONDS * 2)

    async def read_when_changed(self, path: str, index: int, wait_seconds: float, mode: str = "") -> Answer:
        """GET once its index is not `index` any more, or the wait is over; `mode`: stale, or consistent.
        Unavailable.

        With `index` 0 it answers at once.
        """
        params = {mode: ""} if mode else {}
        if index:
            params |= {"index": str(index), "wait": f"{int(wait_seconds * 1000)}ms"}
        seconds = watching.deadline_seconds(wait_seconds if index else 0.0, CALL_SECONDS * 2)
        return await self._call(lambda: self._get(path, params), seconds)

    async def write(self, path: str, body: object = None, params: Mapping[str, str] | None = None) -> Answer:
        """PUT, with `body` as JSON, or as it is when it is a text. Unavailable."""
        data = "" if body is None else body if isinstance(body, str) else json.dumps(body)
        return await self._call(lambda: self._put(path, data, params or {}), CALL_SECONDS * 2)

    def close(self) -> None:
        """Nobody is asked any more. A call that is under way is left to itself."""
        self._line.close()

    def _get(self, path: str, params: Mapping[str, str]) -> Answer:
        headers = self._client.prepare_headers()
        found: Answer = self._client.http.get(_answer, path, params=list(params.items()), headers=headers)
        return found

    def _put(self, path: str, data: str, params: Mapping[str, str]) -> Answer:
        headers = self._client.prepare_headers()
        done: Answer = self._client.http.put(
            _answer, path, params=list(params.items()), data=data, headers=headers
        )
        return done

    async def _call(self, work: Callable[[], T], seconds: float) -> T:
        try:
            async with asyncio.timeout(seconds):
                return await self._line.call(work)
        except consul.ACLPermissionDenied as error:
            raise Unavailable("Consul does not let this token do it") from error
        except (consul.ConsulException, requests.RequestException, OSError, TimeoutError, ValueError) as error:
            raise Unavailable(f"Consul is away: {type(error).__name__}") from error


class _Line:
    """A thread that makes one call after another. It begins with the first, so that nobody forks with threads."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._jobs: queue.Queue[_Job | None] = queue.Queue(MOST_WAITING)
        self._thread: threading.Thread | None = None
        self._closed = False

    async def call(self, work: Callable[[], T]) -> T:
        if self._closed:
            raise ConnectionError
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()
        future: Future[T] = Future()
        try:
            self._jobs.put_nowait((future, work))
        except queue.Full:
            raise TimeoutError from None
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        self._closed = True
        try:
            self._jobs.put_nowait(None)
        except queue.Full:
            return  # all of them have given up by now; the process is about to end

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            future, work = job
            if not future.set_running_or_notify_cancel():
                continue  # whoever asked has stopped waiting
            try:
                future.set_result(work())
            except Exception as error:
                future.set_exception(error)


def _answer(response: Any) -> Answer:
    """By Consul's conventions: 404 is an answer; without a leader it is 500."""
    if response.code == requests.codes.forbidden:
        raise consul.ACLPermissionDenied(response.body)
    if response.code >= requests.codes.bad_request and response.code != requests.codes.not_found:
        raise consul.ConsulException(str(response.code))
    body = None if response.code == requests.codes.not_found else json.loads(response.body or "true")
    headers = response.headers
    return Answer(
        body,
        index=_number(headers.get("X-Consul-Index")),
        led=headers.get("X-Consul-KnownLeader", "true") == "true",
        age_seconds=_number(headers.get("X-Consul-LastContact")) / 1000,
    )


def _number(text: str | None) -> int:
    return int(text) if text is not None and text.isascii() and text.isdigit() else 0
