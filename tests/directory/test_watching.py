"""Blocking queries: what Consul's documentation warns of, against a server that does it all."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

from directory.consul_agent import Agent
from directory.consul_watch import LEAST_SECONDS, UNNUMBERED_SECONDS, Watch
from directory.errors import Unavailable
from directory.rules import watching
from tests.waiting import eventually

Handler = Callable[[web.Request], Awaitable[web.Response]]


class Scripted:
    """Answers what it is told, one after another, and keeps what it was asked. The last answer is repeated."""

    def __init__(self) -> None:
        self.asked: list[dict[str, str]] = []
        self.answers: list[Handler] = []
        self.url = ""

    def says(self, body: Any, index: str | None = "1", status: int = 200, **headers: str) -> None:
        """One more answer. `index` None: without one."""
        told = {} if index is None else {"X-Consul-Index": index}
        self.answers.append(lambda _request: _made(body, status, {**told, **headers}))

    async def handle(self, request: web.Request) -> web.Response:
        self.asked.append(dict(request.query))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return await answer(request)


async def _made(body: Any, status: int, headers: dict[str, str]) -> web.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return web.json_response(body, status=status, headers=named)


@pytest.fixture
async def server() -> AsyncIterator[Scripted]:
    """A scripted server."""
    scripted = Scripted()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", scripted.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    scripted.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield scripted
    await runner.cleanup()


@pytest.fixture
async def watch(server: Scripted) -> AsyncIterator[Watch]:
    """A watch of one path there."""
    agent = Agent(server.url, None, "test")
    yield Watch(agent, "/v1/kv/key")
    agent.close()


@pytest.mark.parametrize(
    ("known", "answered", "asked_next"),
    [(0, 7, 7), (7, 7, 7), (7, 9, 9), (9, 7, 0), (7, 0, 0), (0, 0, 0), (1, 1, 1)],
)
def test_an_index_is_followed_unless_it_goes_backwards_or_is_none(
    known: int, answered: int, asked_next: int
) -> None:
    """Zero asks for what is there now."""
    assert watching.next_index(known, answered) == asked_next


def test_waits_differ_and_are_never_longer_than_allowed() -> None:
    """So those who began together do not stay together; the deadline leaves room for Consul's own jitter."""
    waits = [watching.wait_seconds(20, chance) for chance in (0.0, 0.5, 0.999)]
    assert waits == sorted(waits)
    assert waits[0] == 15
    assert waits[-1] <= 20
    assert watching.deadline_seconds(16, 4) == 16 + 1 + 4


async def test_the_first_question_is_answered_at_once_and_the_next_waits(server: Scripted, watch: Watch) -> None:
    """The second names the index of the first answer, and how long it may take."""
    server.says(["a"], "5")
    server.says(["b"], "6")
    assert await watch.next(20) == ["a"]
    assert await watch.next(20) == ["b"]
    assert "index" not in server.asked[0]
    assert server.asked[1]["index"] == "5"
    assert 15_000 <= int(server.asked[1]["wait"].removesuffix("ms")) <= 20_000


async def test_an_index_that_goes_backwards_begins_anew(server: Scripted, watch: Watch) -> None:
    """Whoever went on with the old one would hear of nothing until the server has counted that far again."""
    server.says(["a"], "500")
    server.says(["b"], "3")
    server.says(["c"], "3")
    assert [await watch.next() for _ in range(3)] == [["a"], ["b"], ["c"]]
    assert [asked.get("index") for asked in server.asked] == [None, "500", None]


@pytest.mark.parametrize("index", ["0", None, "-1", "much"])
async def test_an_answer_without_an_index_is_not_asked_for_in_a_hurry(
    server: Scripted, watch: Watch, index: str | None
) -> None:
    """It cannot be waited for; so we rest instead."""
    server.says(["a"], index)
    began = time.monotonic()
    assert [await watch.next() for _ in range(2)] == [["a"], ["a"]]
    assert time.monotonic() - began >= UNNUMBERED_SECONDS
    assert [asked.get("index") for asked in server.asked] == [None, None]


async def test_a_key_that_changes_all_the_time_is_read_some_times_a_second(server: Scripted, watch: Watch) -> None:
    """Not as fast as the network allows."""
    server.says(["a"], "5")
    began = time.monotonic()
    for _ in range(4):
        await watch.next()
    assert time.monotonic() - began >= 3 * LEAST_SECONDS


async def test_without_a_leader_whoever_watches_keeps_what_it_has(server: Scripted, watch: Watch) -> None:
    """500 is `Unavailable`; afterwards what is there now is told at once."""
    server.says(["a"], "5")
    server.says("No cluster leader", None, 500)
    server.says(["b"], "6")
    assert await watch.next() == ["a"]
    with pytest.raises(Unavailable):
        await watch.next()
    assert await watch.next() == ["b"]
    assert "index" not in server.asked[-1]


@pytest.mark.parametrize("headers", [{"X_Consul_LastContact": "60000"}, {"X_Consul_KnownLeader": "false"}])
async def test_an_answer_that_may_be_stale_is_asked_for_from_the_leader(
    server: Scripted, watch: Watch, headers: dict[str, str]
) -> None:
    """Any server may answer, as long as it heard of its leader lately."""
    server.says(["old"], "5", **headers)
    server.says(["new"], "9")
    assert await watch.next() == ["new"]
    assert "stale" in server.asked[0]
    assert "stale" not in server.asked[1]
    await watch.next()
    assert server.asked[-1]["index"] == "9"


async def test_a_key_that_is_not_there_is_waited_for(server: Scripted, watch: Watch) -> None:
    """404 is an answer, with an index."""
    server.says("", "5", 404)
    server.says(["a"], "6")
    assert await watch.next() is None
    assert await watch.next() == ["a"]
    assert server.asked[1]["index"] == "5"


async def test_a_server_that_hangs_is_given_up_and_holds_up_nobody_else(server: Scripted) -> None:
    """By the wait and some seconds; other threads' work goes on, and so does another connection."""
    hanging, other = Agent(server.url, None, "hanging"), Agent(server.url, None, "other")

    async def hang(_request: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")

    server.answers.append(hang)
    server.says(["a"])
    began = time.monotonic()
    asking = asyncio.ensure_future(hanging.read_when_changed("/v1/kv/key", 5, 0.1))
    await eventually(lambda: server.asked)
    assert (await other.read("/v1/kv/key")).body == ["a"]
    with pytest.raises(Unavailable):
        await asking
    assert time.monotonic() - began < 6
    hanging.close()
    other.close()


async def test_calls_that_queue_up_are_refused_beyond_a_bound(server: Scripted) -> None:
    """A Consul that hangs does not fill the memory."""

    async def hang(_request: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")

    server.answers.append(hang)
    agent = Agent(server.url, None, "test")
    results = await asyncio.gather(*(agent.read("/v1/kv/key") for _ in range(150)), return_exceptions=True)
    assert all(isinstance(result, Unavailable) for result in results)
    assert len(server.asked) < 5
    agent.close()


async def test_a_token_that_may_not_is_told_so(server: Scripted) -> None:
    """403 is `Unavailable` with a text that an operator understands; the token is not in it."""
    server.says("Permission denied", None, 403)
    agent = Agent(server.url, "secret-token", "test")
    with pytest.raises(Unavailable, match="token") as refused:
        await agent.read("/v1/kv/key")
    assert "secret-token" not in str(refused.value)
    agent.close()
