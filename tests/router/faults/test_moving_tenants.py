"""A tenant moves while it is asked by many: nobody is refused, and every POST is carried out exactly once."""

import asyncio
import json
from itertools import count

import pytest

from router import metrics
from router.app import Router
from tests.router.faults.cells import reset
from tests.router.faults.moves import Switch, about_to_move
from tests.router.faults.rest import resting
from tests.router.upstreams import Answer, Seen, ask, connected, get
from tests.waiting import eventually


def post(body: bytes) -> bytes:
    return get(method="POST", extra=f"Content-Length: {len(body)}\r\n") + body


def of_beta(data: bytes) -> bytes:
    return data.replace(b"acme", b"beta")


def retryable(answer: Answer) -> bool:
    return bool(json.loads(answer.body)["retryable"])


class Crowd:
    """Clients of acme that ask without a pause, every other time by POST with a body of its own."""

    def __init__(self, router: Router) -> None:
        self._router, self._numbers, self._enough = router, count(), asyncio.Event()
        self.failed: list[Answer] = []
        self.posted: list[bytes] = []
        self.answered = 0

    async def client(self) -> None:
        async with connected(self._router) as client:
            while not self._enough.is_set():
                number = next(self._numbers)
                body = b"%d" % number
                client.send(get(f"/{number}") if number % 2 else post(body))
                answer = await client.answer(b"GET" if number % 2 else b"POST", seconds=20.0)
                if answer.status != 200:
                    self.failed.append(answer)
                elif not number % 2:
                    self.posted.append(body)
                self.answered += 1

    async def goes_on(self, requests: int) -> None:
        """Until so many more were answered."""
        goal = self.answered + requests
        await eventually(lambda: self.answered >= goal, seconds=20.0)

    def leave(self) -> None:
        self._enough.set()


@pytest.mark.parametrize("tells", [True, False], ids=["fence tells", "fence does not tell"])
@pytest.mark.parametrize("published_first", [True, False])
async def test_a_tenant_with_many_clients_moves_and_no_request_fails(tells: bool, published_first: bool) -> None:
    """After the fence nobody serves it for a while: all wait, then go on in the new cell. Others are served."""
    async with about_to_move() as switch, resting(switch.feed) as router, asyncio.TaskGroup() as group:
        switch.tells = tells
        crowd = Crowd(router)
        for _ in range(50):
            group.create_task(crowd.client())
        await crowd.goes_on(200)
        if published_first:
            await switch.publish()
        switch.fence()
        await eventually(lambda: metrics.HELD._value.get() >= 49)
        assert (await ask(router, of_beta(get()))).status == 200
        if not published_first:
            await switch.publish()
        await eventually(lambda: switch.new.refused >= 2)
        switch.activate()
        await crowd.goes_on(200)
        crowd.leave()
    assert not crowd.failed
    done = switch.old.done + switch.new.done
    assert sorted(done) == sorted(crowd.posted)
    assert switch.new.done
    assert switch.old.refused + switch.new.refused < 150  # waiting is no load


async def wait_for(router: Router, number: int) -> None:
    """Until so many requests of acme wait for its pilot."""
    await eventually(lambda: router.lane.holds.counts() == [(b"acme", number)])


async def clients(router: Router, number: int) -> None:
    await eventually(lambda: len(router.lane.clients) == number)


async def held_by(router: Router, switch: Switch, number: int) -> list[asyncio.Task[Answer]]:
    """So many POSTs of acme that wait (and a GET, that is the pilot), after the fence and before the new home."""
    switch.fence()
    pilot = asyncio.ensure_future(ask(router, get("/pilot")))
    await eventually(lambda: router.lane.holds.by_tenant)
    waiting = [asyncio.ensure_future(ask(router, post(b"%d" % each), b"POST")) for each in range(number)]
    await wait_for(router, number)
    return [pilot, *waiting]


async def test_more_than_may_wait_are_told_to_come_again() -> None:
    """By number: 503 at once, nothing was sent; who waits goes on waiting and is served."""
    async with about_to_move() as switch, resting(switch.feed, hold_requests=5) as router:
        waiting = await held_by(router, switch, 5)
        over = await ask(router, post(b"over"), b"POST")
        assert (over.status, retryable(over), over.values(b"retry-after")) == (503, True, [b"1"])
        await switch.publish()
        switch.activate()
        assert [(await each).status for each in waiting] == [200] * 6
        assert sorted(switch.new.done) == [b"0", b"1", b"2", b"3", b"4"]
        assert not switch.old.done


async def test_more_bytes_than_may_wait_are_told_to_come_again() -> None:
    """Bodies count, so a request without one still finds room."""
    async with about_to_move() as switch, resting(switch.feed, hold_bytes=1000) as router:
        waiting = await held_by(router, switch, 1)
        fits = asyncio.ensure_future(ask(router, post(bytes(999)), b"POST"))
        await wait_for(router, 2)
        over = await ask(router, post(b"x"), b"POST")
        assert (over.status, retryable(over), over.values(b"retry-after")) == (503, True, [b"1"])
        small = asyncio.ensure_future(ask(router, get()))
        await wait_for(router, 3)
        await switch.publish()
        switch.activate()
        assert [(await each).status for each in (*waiting, fits, small)] == [200] * 4


async def test_nobody_waits_longer_than_was_said() -> None:
    """A move that takes too long: all are told to come again, and the hold ends with the last of them."""
    async with about_to_move() as switch, resting(switch.feed, hold_seconds=0.5, refresh_seconds=0.2) as router:
        await switch.publish()
        answers = await asyncio.gather(*await held_by(router, switch, 10))
        assert [(each.status, retryable(each), each.values(b"retry-after")) for each in answers] == [
            (503, True, [b"1"])
        ] * 11
        await eventually(lambda: not router.lane.holds.by_tenant)
        switch.activate()
        assert (await ask(router, get())).status == 200
        assert not switch.old.done + switch.new.done


async def test_a_pilot_that_leaves_is_followed_by_another() -> None:
    """Somebody always finds out where the tenant lives, whoever gives up, and in which order."""
    async with about_to_move() as switch, resting(switch.feed) as router:
        switch.fence()
        pilots = []
        for number in range(5):
            reader, writer = await asyncio.open_connection("127.0.0.1", router.site.port)
            writer.write(post(b"left %d" % number))
            pilots.append((reader, writer))
            await wait_for(router, number)
        waiting = asyncio.ensure_future(ask(router, post(b"stays"), b"POST"))
        await wait_for(router, 5)
        for left, (_, writer) in enumerate(pilots):
            reset(writer)
            await clients(router, 5 - left)
        await switch.publish()
        switch.activate()
        assert (await waiting).status == 200
        assert switch.new.done == [b"stays"]


async def test_the_hold_ends_when_all_who_wait_leave() -> None:
    """Nobody is left to find out anything, so the next one begins anew."""
    async with about_to_move() as switch, resting(switch.feed) as router:
        waiting = await held_by(router, switch, 8)
        for each in waiting:
            each.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        await eventually(lambda: not router.lane.holds.by_tenant)
        await switch.publish()
        switch.activate()
        assert (await ask(router, post(b"x"), b"POST")).status == 200


@pytest.mark.parametrize("framing", ["Content-Length: 300000", "Transfer-Encoding: chunked"])
async def test_a_large_body_waits_where_it_is(framing: str) -> None:
    """Not in the router: it is read once there is somebody to take it, however long that takes."""
    async with (
        about_to_move() as switch,
        resting(switch.feed, replay_bytes=1000, body_idle_seconds=0.3) as router,
        connected(router) as client,
    ):
        waiting = await held_by(router, switch, 0)
        piece = bytes(10_000)
        chunked = "chunked" in framing
        data = b"%x\r\n%b\r\n" % (len(piece), piece) * 30 + b"0\r\n\r\n" if chunked else piece * 30
        client.send(get(method="POST", extra=framing + "\r\n") + data)
        await wait_for(router, 1)
        [server_side] = [each for each in router.lane.clients if each.passage and each.passage.body]
        assert server_side._reading_paused
        assert router.lane.holds.by_tenant[b"acme"].body_bytes <= 270_000
        ticks = router.lane.now
        await eventually(lambda: router.lane.now > ticks + 0.6)
        await switch.publish()
        switch.activate()
        assert (await client.answer(b"POST")).status == 200
        assert [(await each).status for each in waiting] == [200]
    assert switch.new.done == [piece * 30]


@pytest.mark.parametrize("fault", [b"zz\r\n", None], ids=["malformed", "late"])
async def test_a_pilot_that_is_refused_lets_the_others_go_on(fault: bytes | None) -> None:
    """It had its turn with a large body that then was malformed, or stopped coming."""
    async with (
        about_to_move() as switch,
        resting(switch.feed, replay_bytes=1000, body_idle_seconds=0.3) as router,
        connected(router) as client,
    ):
        [pilot] = await held_by(router, switch, 0)
        client.send(
            get(method="POST", extra="Transfer-Encoding: chunked\r\n") + b"7d0\r\n" + bytes(2000) + b"\r\n"
        )
        await wait_for(router, 1)
        last = asyncio.ensure_future(ask(router, post(b"last"), b"POST"))
        await wait_for(router, 2)
        await switch.publish()
        pilot.cancel()
        await asyncio.gather(pilot, return_exceptions=True)
        await eventually(lambda: switch.new.cell.open)
        if fault is not None:
            client.send(fault)
        answer = await client.answer(b"POST")
        assert answer.status == (408 if fault is None else 400)
        switch.activate()
        assert (await last).status == 200
    assert switch.new.done == [b"last"]


async def test_a_request_without_a_body_reaches_its_own_target_in_the_new_cell() -> None:
    """With its own method, too: what is usual about it is shared with others, these are not."""
    async with about_to_move() as switch, resting(switch.feed) as router, connected(router) as client:
        client.send(get("/first"))
        assert (await client.answer()).status == 200
        switch.fence()
        await switch.publish()
        switch.activate()
        client.send(get("/v1/things/7?x=1", method="DELETE"))
        assert (await client.answer(b"DELETE")).status == 200
    assert [(seen.method, seen.target) for seen in switch.new.cell.seen] == [(b"DELETE", b"/v1/things/7?x=1")]


async def test_a_cell_that_closes_its_connections_while_its_tenant_moves_fails_no_get() -> None:
    """A restart and a move at once: what went out on a connection that was closed goes again, and then waits."""
    async with about_to_move() as switch, resting(switch.feed) as router, connected(router) as client:
        client.send(get("/first"))
        assert (await client.answer()).status == 200
        [kept] = switch.old.cell.open
        fenced, switch.old.cell.script = switch.old.cell.script, None

        async def restarted(seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if writer is kept:
                reset(writer)
            else:
                await fenced(seen, reader, writer)

        switch.old.cell.script = restarted
        switch.fence()
        client.send(get("/second"))
        await eventually(lambda: router.lane.holds.by_tenant)
        await switch.publish()
        switch.activate()
        answer = await client.answer()
        assert answer.status == 200
    assert [seen.target for seen in switch.new.cell.seen] == [b"/second"]
