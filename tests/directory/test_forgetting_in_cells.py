"""What a database keeps of moves: not for ever, and yet nobody comes with a token from long ago."""

import asyncio

import asyncpg
import pytest

from directory.fence import SUPERSEDED
from tests.directory.test_capture import Place, place

__all__ = ["place"]
OLD = "UPDATE cellway.moves SET updated_at = updated_at - interval '91 days' WHERE move_id = ANY ($1)"


async def known(place: Place) -> set[str]:
    """The moves that it knows; `mv-1` was there before."""
    async with place.session("capture_owner") as admin:
        return {row["move_id"] for row in await admin.fetch("SELECT move_id FROM cellway.moves")}


async def age(place: Place, *moves: str) -> None:
    """They were taken up last three months ago."""
    async with place.session("capture_owner") as admin:
        await admin.execute(OLD, list(moves))


async def refused(place: Place, token: int, move: str) -> bool:
    """Whether a mover with this token is too late."""
    try:
        await place.take(token, move=move)
    except asyncpg.PostgresError as error:
        return error.sqlstate == SUPERSEDED
    return False


async def test_moves_that_nobody_takes_up_any_more_make_room_for_new_ones(place: Place) -> None:
    """So there are no more than those of three months, and those that a fence is held for."""
    for number in range(1, 31):
        await place.take(number, move=f"mv-{number}")
    await age(place, *(f"mv-{number}" for number in range(1, 30)))
    await place.take(31, move="mv-31")
    assert len(await known(place)) == 11
    await place.take(32, move="mv-32")
    assert await known(place) == {"mv-30", "mv-31", "mv-32"}


async def test_who_comes_for_a_forgotten_move_with_a_token_of_that_time_is_refused(place: Place) -> None:
    """A mover that slept for so long may not begin anew what others have ended; nor one that never was here."""
    await place.take(7, move="mv-7")
    await age(place, "mv-1", "mv-7")
    await place.take(9, move="mv-9")
    assert await known(place) == {"mv-9"}
    for token, move in ((5, "mv-7"), (7, "mv-7"), (6, "mv-6")):
        assert await refused(place, token, move)
    with pytest.raises(asyncpg.PostgresError) as late:
        async with place.moving(7, "mv-7"):
            pass
    assert late.value.sqlstate == SUPERSEDED
    await place.take(8, move="mv-7")  # whoever was given it since then
    assert await known(place) == {"mv-7", "mv-9"}


async def test_a_move_that_is_known_is_taken_up_however_much_was_forgotten(place: Place) -> None:
    """Others ended with higher tokens meanwhile."""
    await place.take(3, move="mv-3")
    await place.take(100, move="mv-100")
    await age(place, "mv-100")
    await place.take(101, move="mv-101")
    assert not await refused(place, 4, "mv-3")
    assert await refused(place, 99, "mv-99")


@pytest.mark.parametrize("state", ["importing", "moved", "fenced"])
async def test_a_move_that_the_fence_is_held_for_is_never_forgotten(place: Place, state: str) -> None:
    """However long an operator lets it rest: what it noted is what its way back goes on from."""
    await place.take(1, move="mv-1")
    await place.fence("acme", 10, state)
    await age(place, "mv-1")
    await place.take(2, move="mv-2")
    assert await known(place) == {"mv-1", "mv-2"}


async def test_what_a_move_left_is_kept_while_another_may_take_it_over(place: Place) -> None:
    """A reverse holds the fence before it is handed what lies there."""
    await place.take(2, move="mv-2")
    await age(place, "mv-2")
    await place.fence("acme", 10, "importing")
    await place.take(3, move="mv-3")
    assert await known(place) == {"mv-1", "mv-2", "mv-3"}
    await place.fence("acme", 11, "active")
    await place.take(4, tenant="other", move="mv-4")
    assert await known(place) == {"mv-1", "mv-3", "mv-4"}


async def test_nobody_slips_in_while_others_are_forgotten(place: Place) -> None:
    """Many at once: afterwards none is known whose token is not above all that were forgotten."""
    for number in range(1, 21):
        await place.take(number, move=f"mv-{number}")
    await age(place, *(f"mv-{number}" for number in range(1, 21)))
    tried = [place.take(number % 20 + 1, move=f"mv-late-{number}") for number in range(20)]
    done = await asyncio.gather(*tried, *(place.take(n, move=f"mv-{n}") for n in (50, 51)), return_exceptions=True)
    assert done[-2:] == [None, None]
    async with place.session("capture_owner") as admin:
        late = await admin.fetchval("SELECT token FROM cellway.forgotten")
        assert late == 20
        again = await admin.fetch("SELECT move_id FROM cellway.moves WHERE move_id LIKE 'mv-late%'")
    for row in again:  # it came before
        assert done[int(row["move_id"].rpartition("-")[2])] is None
    assert await refused(place, 20, "mv-20")


async def test_a_mover_that_stands_still_while_it_forgets_hinders_no_other(place: Place) -> None:
    """What it holds belongs to moves of long ago; whoever comes for one of these waits, and is then told."""
    await place.take(3, move="mv-3")
    await place.take(4, move="mv-4")
    await age(place, "mv-1", "mv-3", "mv-4")
    async with place.session("capture_mover") as stopped, stopped.transaction():
        await stopped.execute("SELECT cellway.take('mv-5', 'acme', 5)")
        await place.take(6, move="mv-6")
        with pytest.raises(asyncpg.LockNotAvailableError):
            await place.take(2, move="mv-3")
    assert await known(place) == {"mv-5", "mv-6"}
    assert await refused(place, 2, "mv-3")


async def test_a_move_that_is_taken_up_or_carried_just_now_is_not_forgotten(place: Place) -> None:
    """However long nobody had come for it."""
    await place.take(3, move="mv-3")
    await age(place, "mv-1", "mv-3")
    async with place.session("capture_mover") as other, other.transaction():
        await other.execute("SELECT cellway.take('mv-3', 'acme', 4)")
        async with place.moving():  # of mv-1
            await place.take(5, move="mv-5")
    assert await known(place) == {"mv-1", "mv-3", "mv-5"}


async def test_a_look_from_before_the_lock_does_not_count(place: Place) -> None:
    """A snapshot that was there first could miss what was forgotten since."""
    async with place.session("capture_mover") as connection:
        with pytest.raises(asyncpg.PostgresError) as late:
            async with connection.transaction(isolation="repeatable_read"):
                await connection.execute("SELECT cellway.take('mv-8', 'acme', 8)")
        assert late.value.sqlstate == SUPERSEDED
