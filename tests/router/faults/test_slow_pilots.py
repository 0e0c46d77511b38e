"""A tenant has moved, and the first request at its new home takes long: the others do not wait for its answer."""

import asyncio

from tests.router.faults.moves import about_to_move
from tests.router.faults.rest import resting
from tests.router.upstreams import Seen, ask, get
from tests.waiting import eventually

BODY = "Content-Length: 4\r\n"


async def test_a_slow_answer_at_the_new_home_holds_nobody_up() -> None:
    """Another one asks as well, and is answered: then all go on."""
    async with about_to_move() as switch, resting(switch.feed, refresh_seconds=60.0, hold_seconds=60.0) as router:
        go_on, asked = asyncio.Event(), asyncio.Event()
        fenced = switch.new.script

        async def script(seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if seen.target == b"/slow":
                asked.set()
                await go_on.wait()
            await fenced(seen, reader, writer)

        switch.new.cell.script = script
        switch.fence()
        pilot = asyncio.ensure_future(ask(router, get("/slow")))
        await eventually(lambda: router.lane.holds.by_tenant)
        waiting = [asyncio.ensure_future(ask(router, get(method="POST", extra=BODY) + b"body")) for _ in range(5)]
        await eventually(lambda: router.lane.holds.counts() == [(b"acme", 5)])
        switch.activate()
        await switch.publish()
        assert [(await each).status for each in waiting] == [200] * 5
        assert asked.is_set()
        assert not pilot.done()
        assert not router.lane.holds.by_tenant
        go_on.set()
        assert (await pilot).status == 200
    assert switch.new.done == [b"body"] * 5


async def test_when_all_answers_are_slow_the_hold_ends_all_the_same() -> None:
    """A cell that does not own the tenant would have said so at once, so one that takes its time owns it."""
    async with about_to_move() as switch, resting(switch.feed, refresh_seconds=0.1, hold_seconds=60.0) as router:
        go_on, asked = asyncio.Event(), list[Seen]()
        fenced = switch.new.script

        async def script(seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            asked.append(seen)
            await go_on.wait()
            await fenced(seen, reader, writer)

        switch.new.cell.script = script
        switch.fence()
        slow = [asyncio.ensure_future(ask(router, get("/slow")))]
        await eventually(lambda: router.lane.holds.by_tenant)
        slow += [asyncio.ensure_future(ask(router, get("/slow"))) for _ in range(20)]
        await eventually(lambda: router.lane.holds.counts() == [(b"acme", 20)])
        switch.activate()
        await switch.publish()
        await eventually(lambda: len(asked) == len(slow))
        assert not router.lane.holds.by_tenant
        assert not any(each.done() for each in slow)
        go_on.set()
        assert [(await each).status for each in slow] == [200] * len(slow)
