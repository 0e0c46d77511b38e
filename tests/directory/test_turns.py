"""Work in turns: others go on meanwhile, and its end is that of any call."""

import asyncio

import pytest

from directory.turns import Turns, at_once, in_turns


def counting(to: int, done: list[int]) -> Turns[int]:
    """Yields after each number; says in the end how far it came."""
    try:
        for number in range(to):
            done.append(number)
            yield
        return to
    finally:
        done.append(-1)


async def test_others_get_their_turn_while_it_goes_on() -> None:
    """However long it takes: here it ends only because somebody else came."""
    came = asyncio.Event()

    def until_somebody_came() -> Turns[str]:
        while not came.is_set():
            yield
        return "came"

    async def come() -> str:
        came.set()
        return ""

    async with asyncio.timeout(20):
        found, _ = await asyncio.gather(in_turns(until_somebody_came()), come())
    assert found == "came"


async def test_both_ways_give_the_result_of_all_of_it() -> None:
    """At once and in turns."""
    assert at_once(counting(1000, [])) == 1000
    assert await in_turns(counting(1000, [])) == 1000


async def test_an_error_comes_out_as_it_is() -> None:
    """Also after the first turn."""

    def failing() -> Turns[None]:
        yield
        raise LookupError("half-way")

    with pytest.raises(LookupError):
        at_once(failing())
    with pytest.raises(LookupError):
        await in_turns(failing())


async def test_cancelling_ends_it_where_it_is() -> None:
    """And what it has to leave behind is left behind."""
    done: list[int] = []
    work = asyncio.ensure_future(in_turns(counting(10**9, done)))
    await asyncio.sleep(0)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert done[-1] == -1
