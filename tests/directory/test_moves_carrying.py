"""Claiming, recording and deciding: the contract of moves, asked of Postgres and its twin in turn."""

import asyncio
import time
from typing import Any

import pytest

from directory.errors import CellFull, NotAllowed, Stale
from directory.values import Move, MoveChange, MoveOptions, MovePhase, NewMove, TenantEntry
from tests.directory.examples import new_tenant
from tests.directory.moving import LEASE_SECONDS, PHASES, Stage

REST_SECONDS = 60.0
"""Also longer than what is asked meanwhile takes."""
MANY = 100


async def test_a_claim_gives_a_fresh_token_and_a_lease(stage: Stage) -> None:
    """Nobody else gets the move while the lease lasts."""
    await stage.prepare("acme")
    planned = await stage.desk.plan(NewMove("acme", "cell-2"))
    before = await stage.moves.fresh_epoch()
    claimed = await stage.moves.claim("mover-1", LEASE_SECONDS, MANY)
    assert claimed is not None
    assert (claimed.move_id, claimed.owner, claimed.phase) == (planned.move_id, "mover-1", "PLANNED")
    assert claimed.token > before
    assert await stage.moves.claim("mover-2", LEASE_SECONDS, MANY) is None
    await stage.pass_time(0.6 * LEASE_SECONDS)
    assert await stage.moves.claim("mover-2", LEASE_SECONDS, MANY) is None
    renewed = await stage.moves.renew(claimed.move_id, claimed.token, LEASE_SECONDS)
    assert (renewed.token, renewed.owner) == (claimed.token, "mover-1")
    await stage.pass_time(0.6 * LEASE_SECONDS)
    assert await stage.moves.claim("mover-2", LEASE_SECONDS, MANY) is None


async def test_a_lease_that_is_over_passes_on_and_the_old_token_is_stale_everywhere(stage: Stage) -> None:
    """A zombie can do nothing, in whichever phase it was, and whatever it does next."""
    await stage.prepare("acme")
    old = await stage.bring(await stage.claimed(), "FINALIZING")
    home = await stage.home()
    await stage.pass_time(LEASE_SECONDS + 1)
    new = await stage.moves.claim("mover-2", LEASE_SECONDS, MANY)
    assert new is not None
    assert (new.phase, new.owner, new.token > old.token) == ("FINALIZING", "mover-2", True)
    for token in (old.token, 0, new.token + 1):
        calls = [
            stage.moves.renew(old.move_id, token, LEASE_SECONDS),
            stage.moves.let_go(old.move_id, token, 0.0),
            stage.moves.record(old.move_id, token, "release"),
            stage.moves.note(old.move_id, token, MoveChange(error="zombie")),
            stage.moves.take_switch(old.move_id, token, 1.0),
            stage.moves.commit(old.move_id, token, home.epoch),
            stage.moves.release(old.move_id, token, home.epoch),
        ]
        for call in calls:
            with pytest.raises(Stale):
                await call
    assert await stage.moves.move(old.move_id) == new
    assert await stage.home() == home
    await stage.moves.commit(new.move_id, new.token, home.epoch)
    with pytest.raises(Stale):
        await stage.moves.commit(old.move_id, old.token, home.epoch)


async def test_a_move_that_nobody_claimed_is_carried_by_nobody(stage: Stage) -> None:
    """Its token is 0, which is no token."""
    await stage.prepare("acme")
    planned = await stage.desk.plan(NewMove("acme", "cell-2"))
    with pytest.raises(Stale):
        await stage.moves.record(planned.move_id, planned.token, "prepare")


async def test_many_claimers_at_once_get_different_moves(stage: Stage) -> None:
    """And nobody waits for another's."""
    await stage.prepare(*(f"tenant-{number}" for number in range(6)))
    for number in range(6):
        await stage.desk.plan(NewMove(f"tenant-{number}", "cell-2"))
    claims = (stage.moves.claim(f"mover-{number}", LEASE_SECONDS, MANY) for number in range(9))
    results = await asyncio.gather(*claims)
    ids = [move.move_id for move in results if move is not None]
    assert len(ids) == len(set(ids)) == 6


async def test_as_many_moves_of_a_cell_are_carried_as_the_claimer_allows(stage: Stage) -> None:
    """Counted in either direction, also by those who claim at once; what ends or is let go makes room."""
    await stage.prepare(*(f"tenant-{number}" for number in range(6)), cells=4)
    for number in range(6):
        await stage.pass_time(0.01)
        await stage.desk.plan(NewMove(f"tenant-{number}", f"cell-{number % 3 + 2}"))
    claims = (stage.moves.claim(f"mover-{number}", LEASE_SECONDS, 2) for number in range(6))
    claimed = [move for move in await asyncio.gather(*claims) if move is not None]
    assert len(claimed) == 2
    await stage.truth.create_tenant(new_tenant("elsewhere"), "cell-3")
    other = await stage.desk.plan(NewMove("elsewhere", "cell-4"))
    busy = {cell_id for move in claimed for cell_id in (move.source, move.destination)}
    third = await stage.moves.claim("mover-7", LEASE_SECONDS, 2)
    assert third is not None
    assert (third.move_id, "cell-1" in busy) == (other.move_id, True)
    await stage.moves.let_go(claimed[0].move_id, claimed[0].token, 60.0)
    freed = await stage.moves.claim("mover-8", LEASE_SECONDS, 2)
    assert freed is not None
    assert freed.source == "cell-1"
    assert await stage.moves.claim("mover-9", LEASE_SECONDS, 2) is None


async def test_a_move_for_which_a_tenant_waits_is_claimed_however_many_are_carried(stage: Stage) -> None:
    """Its mover died while the tenant could not write: whoever comes next must not wait for a free place."""
    await stage.prepare("acme", "bolt")
    await stage.desk.plan(NewMove("acme", "cell-2"))
    acme = await stage.moves.claim("mover-1", LEASE_SECONDS, 1)
    assert acme is not None
    acme = await stage.bring(acme, "FENCING")
    await stage.moves.let_go(acme.move_id, acme.token, REST_SECONDS)
    bolt = await stage.desk.plan(NewMove("bolt", "cell-2"))
    assert (await stage.claim(bolt.move_id)).move_id == bolt.move_id
    assert await stage.moves.claim("mover-2", LEASE_SECONDS, 1) is None
    await stage.pass_time(REST_SECONDS + 1)
    again = await stage.moves.claim("mover-2", LEASE_SECONDS, 1)
    assert again is not None
    assert again.move_id == acme.move_id


async def test_a_source_that_is_to_be_opened_again_comes_before_everything_else(stage: Stage) -> None:
    """The switch was decided against, and its tenant waits until whoever carries the move says that it is open."""
    await stage.prepare("acme", "bolt", "crux")
    acme = await stage.bring(await stage.claimed("acme"), "FENCING")
    acme = await stage.moves.release(acme.move_id, acme.token, await stage.epoch("acme"))
    await stage.moves.let_go(acme.move_id, acme.token, 0.0)
    bolt = await stage.desk.plan(NewMove("bolt", "cell-2"))
    first = await stage.moves.claim("mover-1", LEASE_SECONDS, 1)
    assert first is not None
    assert first.move_id == acme.move_id
    opened = MoveChange(epochs={"opened": first.epochs["released"]})
    await stage.moves.let_go(first.move_id, first.token, REST_SECONDS)
    assert (await stage.claim(bolt.move_id)).move_id == bolt.move_id
    await stage.pass_time(REST_SECONDS + 1)
    again = await stage.moves.claim("mover-1", LEASE_SECONDS, 1)
    assert again is not None
    assert again.move_id == acme.move_id
    await stage.moves.note(again.move_id, again.token, opened)
    await stage.moves.let_go(again.move_id, again.token, 0.0)
    assert await stage.moves.claim("mover-1", LEASE_SECONDS, 1) is None


async def test_nobody_is_said_to_carry_a_move_whose_lease_is_over(stage: Stage) -> None:
    """Its mover died, or was cut off: whoever looks for what holds the move up is told that nobody has it."""
    await stage.prepare("acme")
    move = await stage.claimed()
    assert (await stage.desk.move(move.move_id)).owner == "mover-1"
    assert [each.owner for each in await stage.desk.moves()] == ["mover-1"]
    await stage.pass_time(LEASE_SECONDS + 1)
    assert (await stage.desk.move(move.move_id)).owner == ""
    assert [each.owner for each in await stage.desk.moves()] == [""]


async def test_those_for_which_a_tenant_waits_come_first_then_those_nearest_to_their_end(stage: Stage) -> None:
    """Then the oldest: what is begun is finished before more is begun."""
    order: list[MovePhase] = ["ACTIVATED", "FENCING", "CLEANING", "DRAINING", "ABORTING", "READY", "COPYING"]
    await stage.prepare(*(f"tenant-{number}" for number in range(len(order) + 2)))
    for number, phase in enumerate(reversed(order)):
        move = await stage.claimed(f"tenant-{number}")
        if phase == "ABORTING":
            await stage.moves.record(move.move_id, move.token, "abort")
        else:
            await stage.bring(move, phase)
    for number in range(2):
        await stage.desk.plan(NewMove(f"tenant-{len(order) + number}", "cell-2"))
    await stage.pass_time(LEASE_SECONDS + 1)
    claimed = [move async for move in _claims(stage)]
    assert [move.phase for move in claimed] == [*order, "PLANNED", "PLANNED"]
    assert claimed[-2].move_id < claimed[-1].move_id


async def _claims(stage: Stage) -> Any:
    while (move := await stage.moves.claim("mover-1", LEASE_SECONDS, MANY)) is not None:
        yield move


async def test_a_move_that_was_let_go_rests_before_it_is_tried_again(stage: Stage) -> None:
    """Unless somebody wishes something: that is acted on at once."""
    await stage.prepare("acme")
    move = await stage.claimed()
    await stage.moves.let_go(move.move_id, move.token, 60.0)
    assert (await stage.moves.move(move.move_id)).owner == ""
    assert await stage.moves.claim("mover-2", LEASE_SECONDS, MANY) is None
    await stage.pass_time(61.0)
    move = await stage.claim(move.move_id)
    await stage.moves.let_go(move.move_id, move.token, 60.0)
    await stage.desk.ask(move.move_id, "run")
    assert (await stage.claim(move.move_id)).token > move.token


async def test_a_rest_is_as_long_as_asked_for_to_the_fraction_of_a_second(stage: Stage) -> None:
    """Most waits are shorter than a second: cut to whole ones, nobody would wait at all."""
    await stage.prepare("acme")
    move = await stage.claimed()
    while True:
        began = time.monotonic()
        await stage.moves.let_go(move.move_id, move.token, 10.95)
        await stage.pass_time(10.0)
        again = await stage.moves.claim("mover-2", LEASE_SECONDS, MANY)
        if again is None:
            break
        # Only a machine so slow that the rest was over by then says nothing, and is asked once more.
        assert time.monotonic() - began >= 0.95
        move = again


async def test_a_wish_that_came_before_a_move_was_let_go_is_acted_on_at_once(stage: Stage) -> None:
    """Whoever carried it had not heard of it, and would let it rest for as long as if nobody wished anything."""
    await stage.prepare("acme")
    move = await stage.claimed()
    await stage.desk.ask(move.move_id, "cancel")
    await stage.moves.let_go(move.move_id, move.token, 60.0, move.wish)
    move = await stage.claim(move.move_id)
    assert move.wish == "cancel"
    await stage.moves.let_go(move.move_id, move.token, 60.0, move.wish)
    assert await stage.moves.claim("mover-2", LEASE_SECONDS, MANY) is None


async def test_a_record_changes_the_phase_and_what_it_names_and_is_an_event(stage: Stage) -> None:
    """Mappings are merged, the rest replaced, and what is not named stays."""
    await stage.prepare("acme")
    move = await stage.claimed()
    change = MoveChange(epochs={"importing": 5}, progress={"rows_total": 10, "tables": {"t": 1}}, error="oh")
    move = await stage.moves.record(move.move_id, move.token, "prepare", change, "prepared it")
    assert (move.phase, move.epochs, move.error) == ("PREPARED", {"importing": 5}, "oh")
    more = MoveChange(
        epochs={"fenced": 6}, progress={"rows_copied": 3, "tables": {"u": 2}}, error="", pause_ms=9.5
    )
    noted = await stage.moves.note(move.move_id, move.token, more)
    assert (noted.phase, noted.epochs, noted.error) == ("PREPARED", {"importing": 5, "fenced": 6}, "")
    assert noted.progress == {"rows_total": 10, "rows_copied": 3, "tables": {"u": 2}}
    move = await stage.moves.record(move.move_id, move.token, "capture", MoveChange(proof={"equal": True}))
    assert (move.proof, move.pause_ms, move.progress) == ({"equal": True}, 9.5, noted.progress)
    assert move == await stage.desk.move(move.move_id)
    events = await stage.desk.events(move.move_id)
    assert [(event.number, event.phase, event.text) for event in events[1:]] == [
        (2, "PREPARED", "prepared it"),
        (3, "CAPTURING", ""),
    ]
    assert events[1].detail["progress"] == {"rows_total": 10, "tables": {"t": 1}}
    assert events[2].detail == {"event": "capture", "token": move.token, "proof": {"equal": True}}


async def test_an_event_that_the_table_does_not_know_changes_nothing(stage: Stage) -> None:
    """Nor what came along with it."""
    await stage.prepare("acme")
    move = await stage.claimed()
    for event in ("verify", "commit", "release", "reverse", "done"):
        with pytest.raises(NotAllowed):
            await stage.moves.record(move.move_id, move.token, event, MoveChange(error="not so"))  # type: ignore[arg-type]
    assert await stage.moves.move(move.move_id) == move
    assert len(await stage.moves.events(move.move_id)) == 1


async def test_the_whole_way_ends_it(stage: Stage) -> None:
    """Each phase is an event; an ended move is carried by nobody."""
    await stage.prepare("acme")
    move = await stage.bring(await stage.claimed(), "DONE")
    assert move.ended_at is not None
    assert move.owner == ""
    events = await stage.desk.events(move.move_id)
    phases = [event.phase for event in events if event.detail["event"] != "ask"]
    assert phases == list(PHASES[: PHASES.index("DONE") + 1])
    await stage.pass_time(1e6)
    assert await stage.moves.claim("mover-1", LEASE_SECONDS, MANY) is None


async def test_a_commit_moves_the_tenant_and_tells_routers_once(stage: Stage) -> None:
    """The places change hands too, and calling it again changes nothing."""
    await stage.prepare("acme")
    move = await stage.bring(await stage.claimed(), "FINALIZING")
    home, head = await stage.home(), await stage.truth.head()
    fenced = await stage.moves.fresh_epoch()
    committed = await stage.moves.commit(move.move_id, move.token, home.epoch)
    now = await stage.home()
    assert (now.cell_id, now.epoch, now.epoch > fenced) == ("cell-2", committed.epochs["commit"], True)
    assert (committed.phase, committed.attempt) == ("COMMITTED", 1)
    assert await stage.moves.commit(move.move_id, move.token, home.epoch) == committed
    assert [change.entry for change in await stage.truth.changes(head)] == [
        TenantEntry("acme", "cell-2", now.epoch)
    ]
    assert [cell.tenants for cell in await stage.truth.cells()] == [0, 1, 0]
    later = await stage.bring(committed, "CLEANING")
    assert await stage.moves.commit(move.move_id, move.token, home.epoch) == later
    with pytest.raises(Stale, match="COMMIT"):
        await stage.moves.release(move.move_id, move.token, home.epoch)


async def test_a_release_gives_the_tenant_to_the_source_at_a_fresh_epoch(stage: Stage) -> None:
    """A recorded ABORT: the next attempt decides about another epoch, and this one is decided for good."""
    await stage.prepare("acme")
    move = await stage.bring(await stage.claimed(), "FENCING")
    home, head = await stage.home(), await stage.truth.head()
    fenced = await stage.moves.fresh_epoch()
    released = await stage.moves.release(move.move_id, move.token, home.epoch)
    now = await stage.home()
    assert (now.cell_id, now.epoch, now.epoch > fenced) == ("cell-1", released.epochs["released"], True)
    assert (released.phase, released.attempt) == ("CATCHING_UP", 2)
    assert await stage.moves.release(move.move_id, move.token, home.epoch) == released
    assert [change.entry for change in await stage.truth.changes(head)] == [
        TenantEntry("acme", "cell-1", now.epoch)
    ]
    assert [cell.tenants for cell in await stage.truth.cells()] == [1, 0, 0]
    move = await stage.bring(released, "FINALIZING")
    with pytest.raises(Stale, match="ABORT"):
        await stage.moves.commit(move.move_id, move.token, home.epoch)
    assert (await stage.moves.commit(move.move_id, move.token, now.epoch)).epochs["commit"] > now.epoch


@pytest.mark.parametrize("phase", ["PLANNED", "READY", "FENCING"])
async def test_nothing_is_committed_before_its_phase(stage: Stage, phase: MovePhase) -> None:
    """Nor about an epoch that is not the tenant's."""
    await stage.prepare("acme")
    move = await stage.bring(await stage.claimed(), phase)
    home = await stage.home()
    with pytest.raises(NotAllowed):
        await stage.moves.commit(move.move_id, move.token, home.epoch)
    move = await stage.bring(move, "FINALIZING")
    for epoch in (home.epoch - 1, home.epoch + 1):
        with pytest.raises(Stale):
            await stage.moves.commit(move.move_id, move.token, epoch)
        with pytest.raises(Stale):
            await stage.moves.release(move.move_id, move.token, epoch)
    assert await stage.home() == home


async def test_a_tenant_that_was_moved_by_hand_is_not_moved_twice(stage: Stage) -> None:
    """The compare-and-set is by epoch, whoever changed it."""
    await stage.prepare("acme")
    move = await stage.bring(await stage.claimed(), "FINALIZING")
    home = await stage.home()
    moved = await stage.truth.reassign("acme", home.epoch, "cell-3")
    with pytest.raises(Stale):
        await stage.moves.commit(move.move_id, move.token, home.epoch)
    assert (await stage.home(), (await stage.moves.move(move.move_id)).phase) == (moved, "FINALIZING")


async def test_a_destination_that_takes_nobody_any_more_gets_nobody(stage: Stage) -> None:
    """It filled up, or was cordoned, since the plan; the switch can then be given up."""
    await stage.prepare("acme", cells=2, capacity_tenants=1)
    move = await stage.bring(await stage.claimed(), "FINALIZING")
    home = await stage.home()
    await stage.truth.create_tenant(new_tenant("bolt"), "cell-2")
    with pytest.raises(CellFull):
        await stage.moves.commit(move.move_id, move.token, home.epoch)
    await stage.truth.change_cell("cell-2", "cordon")
    with pytest.raises(CellFull):
        await stage.moves.commit(move.move_id, move.token, home.epoch)
    assert (await stage.home(), (await stage.moves.move(move.move_id)).phase) == (home, "FINALIZING")
    await stage.truth.change_cell("cell-1", "drain")
    assert (await stage.moves.release(move.move_id, move.token, home.epoch)).phase == "CATCHING_UP"
    assert [cell.tenants for cell in await stage.truth.cells()] == [1, 1]


async def test_one_move_at_a_time_switches_in_a_cell(stage: Stage) -> None:
    """In either of its cells; it is free again by the decision, when it is let go, and by time."""
    await stage.prepare("acme", "bolt", "crux", cells=4)
    acme = await stage.bring(await stage.claimed("acme", "cell-2"), "FINALIZING")
    bolt = await stage.bring(await stage.claimed("bolt", "cell-3"), "READY")
    await stage.truth.create_tenant(new_tenant("dora"), "cell-3")
    dora = await stage.claimed("dora", "cell-4")

    async def takes(move: Move) -> bool:
        return await stage.moves.take_switch(move.move_id, move.token, REST_SECONDS)

    assert [await takes(acme), await takes(acme)] == [True, True]
    assert not await takes(bolt)
    assert await takes(dora)  # bolt, which got only one of its cells, keeps neither
    await stage.moves.let_go(dora.move_id, dora.token, 60.0)
    assert not await takes(bolt)
    await stage.moves.commit(acme.move_id, acme.token, await stage.epoch("acme"))
    assert await takes(bolt)
    crux = await stage.claim((await stage.desk.plan(NewMove("crux", "cell-2"))).move_id)
    assert not await takes(crux)
    await stage.pass_time(REST_SECONDS + 1)
    assert await takes(crux)
    assert not await takes(bolt)


async def test_a_switch_is_free_after_a_release_and_after_an_end(stage: Stage) -> None:
    """Whoever cannot switch now does not keep others from it."""
    await stage.prepare("acme", "bolt")
    acme = await stage.bring(await stage.claimed("acme"), "FENCING")
    bolt = await stage.claimed("bolt")
    assert await stage.moves.take_switch(acme.move_id, acme.token, 60.0)
    await stage.moves.release(acme.move_id, acme.token, await stage.epoch("acme"))
    assert await stage.moves.take_switch(bolt.move_id, bolt.token, 60.0)
    for event in ("abort", "aborted"):
        await stage.moves.record(bolt.move_id, bolt.token, event)  # type: ignore[arg-type]
    assert await stage.moves.take_switch(acme.move_id, acme.token, 60.0)


async def test_the_way_back_is_kept_until_its_time_is_over(stage: Stage) -> None:
    """Whoever keeps it fresh meanwhile does not close it."""
    await stage.prepare("acme")
    move = await stage.bring(await stage.claimed(options=MoveOptions(reverse_seconds=36_000)), "REVERSIBLE")
    await stage.moves.let_go(move.move_id, move.token, 35_000.0)
    await stage.pass_time(34_000)
    assert await stage.moves.claim("mover-1", LEASE_SECONDS, MANY) is None
    await stage.pass_time(1001)
    move = await stage.claim(move.move_id)
    with pytest.raises(NotAllowed, match="still kept"):
        await stage.moves.record(move.move_id, move.token, "clean")
    await stage.pass_time(1000)
    assert (await stage.moves.record(*_token(await stage.claim(move.move_id)), "clean")).phase == "CLEANING"


async def test_a_way_back_goes_on_being_kept_after_a_pause(stage: Stage) -> None:
    """And after a mover that stopped, and left it to whoever comes next."""
    await stage.prepare("acme")
    move = await stage.bring(await stage.claimed(options=MoveOptions(reverse_seconds=3600)), "REVERSIBLE")
    await stage.moves.let_go(move.move_id, move.token, 60.0)
    await stage.desk.ask(move.move_id, "pause")
    await stage.pass_time(61)
    assert await stage.moves.claim("mover-1", LEASE_SECONDS, MANY) is None
    await stage.desk.ask(move.move_id, "run")
    move = await stage.claim(move.move_id)
    await stage.moves.let_go(move.move_id, move.token, 0.0)
    assert (await stage.claim(move.move_id)).token > move.token


async def test_what_keeps_the_way_back_fresh_is_claimed_when_it_said(stage: Stage) -> None:
    """Or when it died; and the way back is closed by nobody before its time."""
    await stage.prepare("acme")
    move = await stage.bring(await stage.claimed(options=MoveOptions(reverse_seconds=3600)), "REVERSIBLE")
    await stage.moves.let_go(move.move_id, move.token, 60.0)
    assert await stage.moves.claim("mover-1", LEASE_SECONDS, MANY) is None
    await stage.pass_time(61)
    move = await stage.claim(move.move_id)
    with pytest.raises(NotAllowed, match="still kept"):
        await stage.moves.record(move.move_id, move.token, "clean")
    await stage.pass_time(LEASE_SECONDS + 1)
    assert (await stage.claim(move.move_id)).token > move.token


async def test_confirming_ends_the_way_back_at_once_and_pausing_keeps_it(stage: Stage) -> None:
    """A pause in REVERSIBLE outlasts the time."""
    await stage.prepare("acme")
    move = await stage.bring(await stage.claimed(options=MoveOptions(reverse_seconds=3600)), "REVERSIBLE")
    await stage.moves.let_go(move.move_id, move.token, 0.0)
    await stage.desk.ask(move.move_id, "pause")
    await stage.pass_time(4000)
    assert await stage.moves.claim("mover-1", LEASE_SECONDS, MANY) is None
    await stage.desk.ask(move.move_id, "confirm")
    assert (await stage.claim(move.move_id)).wish == "confirm"


async def test_a_reverse_takes_the_way_back_while_the_first_move_waits(stage: Stage) -> None:
    """Also into a cell that takes nobody new and is full; when the reverse has ended, the first one ends too."""
    await stage.prepare("acme", cells=2, capacity_tenants=1)
    first = await stage.bring(await stage.claimed(), "REVERSIBLE")
    await stage.truth.create_tenant(new_tenant("bolt"), "cell-1")
    await stage.truth.change_cell("cell-1", "drain")
    back = await stage.desk.plan(NewMove("acme", "cell-1", reverses=first.move_id, reason="slower there"))
    assert (back.source, back.destination, back.reverses) == ("cell-2", "cell-1", first.move_id)
    assert (await stage.moves.move(first.move_id)).phase == "REVERSING"
    for event in ("clean", "keep", "reversed"):
        with pytest.raises(NotAllowed):
            await stage.moves.record(first.move_id, first.token, event)  # type: ignore[arg-type]
    await stage.moves.let_go(first.move_id, first.token, 0.0)
    back = await stage.bring(await stage.claim(back.move_id), "REVERSIBLE")
    assert (await stage.home()).cell_id == "cell-1"
    assert [cell.tenants for cell in await stage.truth.cells()] == [2, 0]
    await stage.bring(back, "DONE")
    first = await stage.claim(first.move_id)
    assert (await stage.moves.record(first.move_id, first.token, "reversed")).ended_at is not None


async def test_a_reverse_that_came_while_the_way_back_was_kept_fresh_ends_the_first_move_at_once(
    stage: Stage,
) -> None:
    """Whoever kept it fresh had not heard of it, and would let the move rest until the next time."""
    await stage.prepare("acme")
    first = await stage.bring(await stage.claimed(), "REVERSIBLE")
    planned = await stage.desk.plan(NewMove("acme", "cell-1", reverses=first.move_id))
    await stage.moves.let_go(first.move_id, first.token, 3600.0)
    await stage.bring(await stage.claim(planned.move_id), "REVERSIBLE")
    assert (await stage.claim(first.move_id)).phase == "REVERSING"


async def test_a_reverse_that_was_aborted_leaves_the_way_back_open(stage: Stage) -> None:
    """It can be tried again."""
    await stage.prepare("acme")
    first = await stage.bring(await stage.claimed(), "REVERSIBLE")
    await stage.moves.let_go(first.move_id, first.token, 0.0)
    new = NewMove("acme", "cell-1", reverses=first.move_id)
    back = await stage.claim((await stage.desk.plan(new)).move_id)
    with pytest.raises(NotAllowed, match=back.move_id):
        await stage.desk.plan(new)
    for event in ("abort", "aborted"):
        await stage.moves.record(back.move_id, back.token, event)  # type: ignore[arg-type]
    with pytest.raises(NotAllowed, match="REVERSING"):
        await stage.desk.plan(new)
    first = await stage.claim(first.move_id)
    assert (await stage.moves.record(first.move_id, first.token, "keep")).phase == "REVERSIBLE"
    assert (await stage.desk.plan(new)).phase == "PLANNED"


async def test_only_the_way_back_of_a_reversible_move_is_a_reverse(stage: Stage) -> None:
    """Of the same tenant, to the same source, in its phase, and while that cell is there."""
    await stage.prepare("acme", "bolt")
    first = await stage.bring(await stage.claimed(), "DRAINING")
    with pytest.raises(NotAllowed, match="DRAINING"):
        await stage.desk.plan(NewMove("acme", "cell-1", reverses=first.move_id))
    await stage.bring(first, "REVERSIBLE")
    for new in (NewMove("acme", "cell-3"), NewMove("bolt", "cell-2")):
        with pytest.raises(NotAllowed, match="the way back of move"):
            await stage.desk.plan(NewMove(new.tenant_id, new.destination, reverses=first.move_id))
    with pytest.raises(NotAllowed, match=first.move_id):
        await stage.desk.plan(NewMove("acme", "cell-3"))
    await stage.truth.change_cell("cell-1", "fail")
    with pytest.raises(NotAllowed, match="takes nobody back"):
        await stage.desk.plan(NewMove("acme", "cell-1", reverses=first.move_id))
    assert (await stage.moves.move(first.move_id)).phase == "REVERSIBLE"


def _token(move: Move) -> tuple[str, int]:
    return move.move_id, move.token
