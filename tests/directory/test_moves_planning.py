"""Planning, asking and looking: the contract of moves, asked of Postgres and its twin in turn."""

import asyncio
from dataclasses import replace

import pytest

from directory.errors import BadMove, NotAllowed, NotFound
from directory.rules.moves import MoveStep
from directory.rules.states import CellEvent
from directory.values import Move, MoveChange, MoveOptions, MovePhase, NewMove, Wish
from tests.directory.examples import new_tenant
from tests.directory.moving import PHASES, Stage

ABORT: tuple[MoveStep, ...] = ("abort", "aborted")
TO_2 = NewMove("acme", "cell-2")


async def test_a_planned_move_says_from_where_to_where_and_waits(stage: Stage) -> None:
    """Nothing about the tenant is different yet, and nobody is told."""
    await stage.prepare("acme")
    home, head = await stage.home(), await stage.truth.head()
    options = MoveOptions(reverse_seconds=60, pause_budget_ms=100, most_pause_ms=500, verify=False, hold=True)
    planned = await stage.desk.plan(NewMove("acme", "cell-2", options, "cell-1 is hot"))
    assert (planned.source, planned.destination, planned.phase, planned.wish) == (
        *("cell-1", "cell-2", "PLANNED", "run"),
    )
    assert (planned.token, planned.owner, planned.attempt, planned.epochs) == (0, "", 1, {})
    assert (planned.options, planned.reason, planned.ended_at) == (options, "cell-1 is hot", None)
    assert planned == await stage.moves.move(planned.move_id)
    assert [(e.number, e.phase, e.text) for e in await stage.desk.events(planned.move_id)] == [
        (1, "PLANNED", "cell-1 is hot")
    ]
    assert (await stage.home(), await stage.truth.head()) == (home, head)


async def test_unfinished_moves_are_counted_by_phase_with_how_long_the_oldest_waits(stage: Stage) -> None:
    """What an operator has wait is no reason to look at it; a move that has ended is in no count."""
    assert await stage.desk.by_phase() == []
    await stage.prepare("acme", "bolt", "carl", "dora")
    ended = await stage.claimed("dora")
    await stage.moves.record(ended.move_id, ended.token, "abort")
    await stage.moves.record(ended.move_id, ended.token, "aborted")
    first = await stage.claimed()
    await stage.moves.renew(first.move_id, first.token, 10_000.0)
    await stage.pass_time(100.0)
    paused = await stage.desk.plan(NewMove("bolt", "cell-2"))
    await stage.pass_time(1000.0)
    await stage.moves.note(first.move_id, first.token, MoveChange(error="cell-2 is away"))
    await stage.desk.ask(paused.move_id, "pause")
    (planned,) = await stage.desk.by_phase()
    assert (planned.phase, planned.moves, planned.obstructed) == ("PLANNED", 2, 1)
    assert planned.oldest_seconds == pytest.approx(1100.0, abs=5.0)
    held = await stage.claimed("carl", options=MoveOptions(hold=True))
    await stage.bring(held, "READY")
    await stage.pass_time(500.0)
    assert {(one.phase, one.oldest_seconds) for one in await stage.desk.by_phase() if one.phase == "READY"} == {
        ("READY", 0.0)
    }
    await stage.desk.ask(held.move_id, "switch")
    (ready,) = [one for one in await stage.desk.by_phase() if one.phase == "READY"]
    assert ready.oldest_seconds == pytest.approx(500.0, abs=5.0)


async def test_a_tenant_has_one_unfinished_move(stage: Stage) -> None:
    """The refusal names it; once it has ended another can be planned."""
    await stage.prepare("acme", "bolt")
    first = await stage.claimed()
    with pytest.raises(NotAllowed, match=first.move_id):
        await stage.desk.plan(NewMove("acme", "cell-3"))
    await stage.desk.plan(NewMove("bolt", "cell-2"))
    await stage.moves.record(first.move_id, first.token, "abort")
    with pytest.raises(NotAllowed, match=first.move_id):
        await stage.desk.plan(TO_2)
    await stage.moves.record(first.move_id, first.token, "aborted")
    assert (await stage.desk.plan(TO_2)).move_id != first.move_id


async def test_many_planners_at_once_plan_one_move(stage: Stage) -> None:
    """Whatever each of them saw."""
    await stage.prepare("acme")
    plans = (stage.desk.plan(NewMove("acme", f"cell-{number % 2 + 2}")) for number in range(8))
    results = await asyncio.gather(*plans, return_exceptions=True)
    assert sum(isinstance(result, NotAllowed) for result in results) == 7
    assert len(await stage.desk.moves()) == 1


async def test_a_move_to_where_nobody_is_taken_is_refused(stage: Stage) -> None:
    """The same cell, one that is unknown, not open or full; and of whom: nobody, and a deleted tenant."""
    await stage.prepare("acme", "bolt", cells=2, capacity_tenants=2)
    await stage.truth.change_cell("cell-2", "cordon")
    for new, error, words in (
        (NewMove("acme", "cell-1"), NotAllowed, "lives in cell cell-1 already"),
        (NewMove("acme", "cell-2"), NotAllowed, "is cordoned"),
        (NewMove("acme", "nowhere"), NotFound, "no cell nowhere"),
        (NewMove("nobody", "cell-2"), NotFound, "no tenant nobody"),
        (NewMove("acme", "cell-2", MoveOptions(reverse_seconds=-1)), BadMove, "way back"),
        (NewMove("acme", "cell-2", reverses="mv-nothing"), NotFound, "no move mv-nothing"),
    ):
        with pytest.raises(error, match=words):
            await stage.desk.plan(new)
    await stage.truth.change_cell("cell-2", "open")
    for tenant_id in ("crux", "dora"):
        await stage.truth.create_tenant(new_tenant(tenant_id), "cell-2")
    with pytest.raises(NotAllowed, match="is full"):
        await stage.desk.plan(TO_2)
    await stage.truth.change_tenant("crux", "suspend")
    await stage.truth.change_tenant("crux", "delete")
    with pytest.raises(NotAllowed, match="is deleted"):
        await stage.desk.plan(NewMove("crux", "cell-1"))
    assert await stage.desk.moves() == []


async def test_what_would_be_refused_is_told_without_planning(stage: Stage) -> None:
    """All of it, in the words of the refusal; nothing is written, and nobody is told."""
    await stage.prepare("acme", cells=3, capacity_tenants=1)
    home, head = await stage.home(), await stage.truth.head()
    assert await stage.desk.check(TO_2) == []
    same = await stage.desk.check(NewMove("acme", "cell-1"))
    assert (len(same), same[0].startswith("tenant acme lives in cell cell-1 already")) == (1, True)
    for new, error in (
        (NewMove("nobody", "cell-2"), NotFound),
        (NewMove("acme", "nowhere"), NotFound),
        (NewMove("acme", "cell-2", reverses="mv-nothing"), NotFound),
        (NewMove("acme", "cell-2", MoveOptions(reverse_seconds=-1)), BadMove),
    ):
        with pytest.raises(error):
            await stage.desk.check(new)
    assert (await stage.home(), await stage.truth.head()) == (home, head)
    assert await stage.desk.moves() == []
    planned = await stage.desk.plan(NewMove("acme", "cell-3"))
    await stage.truth.create_tenant(new_tenant("bolt"), "cell-2")
    changes: tuple[tuple[str, CellEvent], ...] = (
        *(("is full", "cordon"), ("is cordoned", "drain"), ("is draining", "open")),
    )
    for state, event in changes:
        told = await stage.desk.check(TO_2)
        assert [planned.move_id in told[0], state in told[1], len(told)] == [True, True, 2]
        with pytest.raises(NotAllowed) as refused:
            await stage.desk.plan(TO_2)
        assert str(refused.value) == told[0]
        await stage.truth.change_cell("cell-2", event)
    assert [event.number for event in await stage.desk.events(planned.move_id)] == [1]
    assert await stage.desk.moves() == [planned]


async def test_the_way_back_is_checked_without_being_taken(stage: Stage) -> None:
    """The move stays as it was."""
    await stage.prepare("acme")
    move = await stage.claimed()
    back = NewMove("acme", "cell-1", reverses=move.move_id)
    assert any("reverse is not possible while PLANNED" in why for why in await stage.desk.check(back))
    move = await stage.bring(move, "REVERSIBLE")
    assert await stage.desk.check(back) == []
    assert await stage.desk.move(move.move_id) == move


async def test_moves_that_have_switched_are_remembered_the_latest_first(stage: Stage) -> None:
    """For what they measured; others have measured no pause."""
    await stage.prepare("acme", "bolt", "crux")
    for tenant_id, pause_ms in (("acme", 12.5), ("bolt", None), ("crux", 40.0)):
        move = await stage.claimed(tenant_id)
        if pause_ms is not None:
            await stage.moves.note(move.move_id, move.token, MoveChange(pause_ms=pause_ms))
        await stage.pass_time(0.1)
    assert [move.tenant_id for move in await stage.desk.latest()] == ["crux", "acme"]
    assert [move.pause_ms for move in await stage.desk.latest(1)] == [40.0]


async def test_moves_are_listed_in_the_order_of_their_time(stage: Stage) -> None:
    """Page by page; of a tenant, of a cell in either direction, unfinished ones or the others."""
    await stage.prepare("acme", "bolt", "crux")
    made = []
    for tenant_id, destination in (("acme", "cell-2"), ("bolt", "cell-3"), ("crux", "cell-2")):
        await stage.pass_time(0.01)
        made.append(await stage.desk.plan(NewMove(tenant_id, destination)))
    await stage.desk.ask(made[0].move_id, "cancel")
    acme = await stage.claim(made[0].move_id)
    for event in ABORT:
        acme = await stage.moves.record(acme.move_id, acme.token, event)
    ids = sorted(move.move_id for move in made)

    async def listed(**which: object) -> set[str]:
        return {move.tenant_id for move in await stage.desk.moves(**which)}  # type: ignore[arg-type]

    assert [move.move_id for move in await stage.desk.moves()] == ids
    assert [move.move_id for move in await stage.desk.moves(after=ids[0], limit=1)] == ids[1:2]
    assert await listed(tenant_id="bolt") == {"bolt"}
    assert await listed(cell_id="cell-2") == {"acme", "crux"}
    assert await listed(cell_id="cell-1") == {"acme", "bolt", "crux"}
    assert await listed(unfinished=True) == {"bolt", "crux"}
    assert await listed(unfinished=False, cell_id="cell-2") == {"acme"}
    assert await listed(cell_id="nowhere") == set()


async def test_what_is_unknown_is_not_found(stage: Stage) -> None:
    """Every call that names a move answers alike."""
    calls = [
        stage.desk.move("mv-nothing"),
        stage.desk.events("mv-nothing"),
        stage.desk.ask("mv-nothing", "pause"),
        stage.moves.renew("mv-nothing", 1, 1.0),
        stage.moves.let_go("mv-nothing", 1, 1.0),
        stage.moves.record("mv-nothing", 1, "prepare"),
        stage.moves.note("mv-nothing", 1, MoveChange()),
        stage.moves.take_switch("mv-nothing", 1, 1.0),
        stage.moves.commit("mv-nothing", 1, 1),
        stage.moves.release("mv-nothing", 1, 1),
    ]
    for call in calls:
        with pytest.raises(NotFound, match="no move mv-nothing"):
            await call


async def test_a_wish_is_kept_and_told_as_an_event(stage: Stage) -> None:
    """The same wish again is no event, and no mistake."""
    await stage.prepare("acme")
    planned = await stage.desk.plan(TO_2)
    wishes: list[tuple[Wish, bool]] = [("pause", True), ("pause", True), ("run", False), ("switch", False)]
    for wish, paused in wishes:
        asked = await stage.desk.ask(planned.move_id, wish)
        assert (asked.wish, asked.paused, asked.phase) == (wish, paused, "PLANNED")
        assert asked == await stage.moves.move(planned.move_id)
    events = await stage.desk.events(planned.move_id)
    assert [event.text for event in events[1:]] == ["asked to pause", "asked to run", "asked to switch"]
    assert events[1].detail == {"event": "ask", "wish": "pause"}
    assert await stage.desk.events(planned.move_id, after=2, limit=1) == events[2:3]


async def test_a_paused_move_is_claimed_by_nobody_until_it_runs_again(stage: Stage) -> None:
    """Whoever carries it meanwhile sees the flag, and can neither fence nor commit."""
    await stage.prepare("acme")
    move = await stage.bring(await stage.claimed(), "READY")
    assert (await stage.desk.ask(move.move_id, "pause")).paused
    assert (await stage.moves.renew(move.move_id, move.token, 30.0)).paused
    with pytest.raises(NotAllowed, match="is paused"):
        await stage.moves.record(move.move_id, move.token, "fence")
    await stage.moves.let_go(move.move_id, move.token, 0.0)
    assert await stage.moves.claim("mover-2", 30.0, 100) is None
    await stage.desk.ask(move.move_id, "run")
    assert (await stage.moves.record(*_token(await stage.claim(move.move_id)), "fence")).phase == "FENCING"


async def test_a_paused_move_can_be_cancelled(stage: Stage) -> None:
    """It is carried again then, to be undone."""
    await stage.prepare("acme")
    planned = await stage.desk.plan(TO_2)
    await stage.desk.ask(planned.move_id, "pause")
    assert not (await stage.desk.ask(planned.move_id, "cancel")).paused
    claimed = await stage.claim(planned.move_id)
    assert claimed.wish == "cancel"
    with pytest.raises(NotAllowed, match="is being cancelled"):
        await stage.desk.ask(planned.move_id, "pause")


async def test_a_cancellation_that_was_accepted_is_kept(stage: Stage) -> None:
    """Also in the last moment: nothing is committed after it, and what is left to do is to release and abort."""
    await stage.prepare("acme")
    move = await stage.bring(await stage.claimed(), "FINALIZING")
    home = await stage.home()
    await stage.desk.ask(move.move_id, "cancel")
    with pytest.raises(NotAllowed, match="is being cancelled"):
        await stage.moves.commit(move.move_id, move.token, home.epoch)
    assert await stage.home() == home
    assert (await stage.moves.release(move.move_id, move.token, home.epoch)).wish == "cancel"
    for event in ABORT:
        move = await stage.moves.record(move.move_id, move.token, event)
    assert move.ended_at is not None


@pytest.mark.parametrize("phase", ["COMMITTED", "DRAINING", "REVERSIBLE", "CLEANING", "DONE"])
async def test_what_is_committed_is_not_cancelled(stage: Stage, phase: MovePhase) -> None:
    """The refusal says what there is instead."""
    await stage.prepare("acme")
    move = await stage.bring(await stage.claimed(), phase)
    with pytest.raises(NotAllowed, match=f"cancel is not possible while {phase} .*undone by reversing"):
        await stage.desk.ask(move.move_id, "cancel")
    assert (await stage.moves.move(move.move_id)).wish != "cancel"


@pytest.mark.parametrize("phase", [phase for phase in PHASES[:12] if phase != "PREPARED"])
async def test_a_tenant_is_not_deleted_while_it_is_not_decided_where_it_lives(
    stage: Stage, phase: MovePhase
) -> None:
    """The refusal says which move to cancel; after the commit it can be deleted."""
    await stage.prepare("acme")
    move = await stage.bring(await stage.claimed(), phase)
    await stage.truth.change_tenant("acme", "suspend")
    if PHASES.index(phase) < PHASES.index("COMMITTED"):
        with pytest.raises(NotAllowed, match=f"cancel move {move.move_id} first"):
            await stage.truth.change_tenant("acme", "delete")
        assert (await stage.truth.tenant("acme")).state == "suspended"
    else:
        assert (await stage.truth.change_tenant("acme", "delete")).state == "deleted"


async def test_a_tenant_whose_move_was_aborted_can_be_deleted(stage: Stage) -> None:
    """And not before it was: there are copies to be removed."""
    await stage.prepare("acme")
    move = await stage.bring(await stage.claimed(), "COPYING")
    await stage.truth.change_tenant("acme", "suspend")
    move = await stage.moves.record(move.move_id, move.token, "abort")
    with pytest.raises(NotAllowed, match=move.move_id):
        await stage.truth.change_tenant("acme", "delete")
    await stage.moves.record(move.move_id, move.token, "aborted")
    assert (await stage.truth.change_tenant("acme", "delete")).state == "deleted"


async def test_deleting_and_planning_at_once_agree(stage: Stage) -> None:
    """Either the tenant is deleted, or it has a move."""
    await stage.prepare(*(f"tenant-{number}" for number in range(6)))
    for number in range(6):
        tenant_id = f"tenant-{number}"
        await stage.truth.change_tenant(tenant_id, "suspend")
        results = await asyncio.gather(
            stage.truth.change_tenant(tenant_id, "delete"),
            stage.desk.plan(replace(TO_2, tenant_id=tenant_id)),
            return_exceptions=True,
        )
        assert sum(isinstance(result, NotAllowed) for result in results) == 1


def _token(move: Move) -> tuple[str, int]:
    return move.move_id, move.token
