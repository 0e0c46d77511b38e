"""Plans of moves: the contract of the seam, asked of Postgres and its twin."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from directory.errors import NotAllowed, NotFound, NotLeader, Stale
from directory.plans import NewPlan, Plan
from directory.reservations import Booking, NewReservation, Room
from directory.rules import planning
from directory.rules.planning import PlanEvent, PlanState
from directory.values import Capacity, Caps, CellChange, Move, MoveChange, MoveOptions, NewMove
from tests.directory.examples import new_tenant
from tests.directory.planning import Office, memory_office, planned, postgres_office
from tests.servers import new_control_database

USUAL = MoveOptions()
PATIENCE = 600.0


@pytest.fixture(params=["memory", "postgres"])
async def office(request: pytest.FixtureRequest) -> AsyncIterator[Office]:
    """Three open cells, and three tenants in the first of them."""
    if request.param == "memory":
        made = await memory_office()
        await made.stage.prepare("acme", "bolt", "carl")
        yield made
        return
    async with postgres_office(await new_control_database(request.getfixturevalue("postgres_server"))) as made:
        await made.stage.prepare("acme", "bolt", "carl")
        yield made


async def approved(office: Office, *tenants: str) -> Plan:
    """A plan that moves them in its first wave."""
    moves = [planned(tenant_id) for tenant_id in tenants]
    proposed = await office.plans.propose(NewPlan("balance", goals={"start": 1.15}, summary={"moves": 2}), moves)
    return await office.plans.ask(proposed.plan_id, "approve", "ann")


async def states(office: Office, plan: Plan) -> list[str]:
    """Of its moves."""
    return [step.state for step in await office.steps(plan)]


async def test_a_plan_is_kept_with_its_moves_in_their_order(office: Office) -> None:
    """With goals, summary and reasons; nothing is begun by proposing."""
    new = NewPlan("balance", goals={"start": 1.2}, summary={"gap": 0.01})
    proposed = await office.plans.propose(new, [planned("bolt"), planned("acme", 2, "cell-3", 5.0)])
    assert (proposed.state, proposed.wave, proposed.goals, proposed.summary) == (
        *("PROPOSED", 1, {"start": 1.2}, {"gap": 0.01}),
    )
    assert await office.plans.plan(proposed.plan_id) == proposed
    steps = await office.steps(proposed)
    assert [(step.number, step.wave, step.tenant_id, step.destination, step.bytes) for step in steps] == [
        (1, 1, "bolt", "cell-2", 1e6),
        (2, 2, "acme", "cell-3", 5.0),
    ]
    assert {(step.state, step.move_id, step.reason) for step in steps} == {("waiting", "", "cell-1 is hot")}
    assert await office.plans.moves(proposed.plan_id, after=1, limit=1) == [steps[1]]
    assert await office.plans.moves(proposed.plan_id, states=("begun",)) == []
    assert await office.stage.desk.moves() == []
    with pytest.raises(NotFound):
        await office.plans.plan("pl-nothing")
    with pytest.raises(Stale, match="PROPOSED: nothing is begun"):
        await office.plans.begin(proposed.plan_id, 1, USUAL, office.term)


async def test_plans_are_listed_the_latest_first(office: Office) -> None:
    """Of a kind, of a cell, those that have not ended; page by page."""
    first = await approved(office, "acme")
    second = await office.plans.propose(NewPlan("balance"), [])
    drain = await office.plans.propose(NewPlan("drain", "cell-3", approved_by="ann"), [])
    await office.plans.ask(second.plan_id, "stop", "ann")

    async def listed(**query: object) -> list[str]:
        return [plan.plan_id for plan in await office.plans.plans(**query)]  # type: ignore[arg-type]

    names = sorted([first.plan_id, second.plan_id, drain.plan_id], reverse=True)
    assert await listed() == names
    assert await listed(limit=2) == names[:2]
    assert await listed(before=names[1]) == names[2:]
    assert await listed(kind="drain") == await listed(cell_id="cell-3") == [drain.plan_id]
    assert set(await listed(unfinished=True)) == {first.plan_id, drain.plan_id}
    assert await listed(unfinished=False) == [second.plan_id]


async def test_one_plan_for_the_balance_is_carried_out_at_a_time_and_drains_beside_it(office: Office) -> None:
    """Whoever approves another one is told which is in the way."""
    first = await approved(office, "acme")
    other = await office.plans.propose(NewPlan("balance"), [planned("bolt")])
    with pytest.raises(NotAllowed, match=f"plan {first.plan_id} is APPROVED"):
        await office.plans.ask(other.plan_id, "approve", "ann")
    for cell_id in ("cell-1", "cell-3"):
        await office.plans.propose(NewPlan("drain", cell_id, approved_by="ann"), [], office.term)
    with pytest.raises(NotAllowed, match="one at a time"):
        await office.plans.propose(NewPlan("drain", "cell-1", approved_by="ann"), [], office.term)
    await office.plans.ask(first.plan_id, "stop", "ann")
    await office.plans.end(first.plan_id, "stopped", "", office.term)
    assert (await office.plans.ask(other.plan_id, "approve", "bea")).approved_by == "bea"


async def test_a_move_of_a_plan_and_that_of_the_directory_begin_together(office: Office) -> None:
    """With the reason; what the directory refuses is not begun, and says why."""
    plan = await approved(office, "acme", "bolt", "carl")
    move = await office.plans.begin(plan.plan_id, 1, MoveOptions(reverse_seconds=60), office.term)
    assert (move.tenant_id, move.source, move.destination, move.reason) == (
        *("acme", "cell-1", "cell-2", "cell-1 is hot"),
    )
    assert move.options.reverse_seconds == 60
    with pytest.raises(Stale, match="begun already"):
        await office.plans.begin(plan.plan_id, 1, USUAL, office.term)
    await office.stage.desk.plan(NewMove("bolt", "cell-3"))
    with pytest.raises(NotAllowed, match="unfinished move"):
        await office.plans.begin(plan.plan_id, 2, USUAL, office.term)
    await office.plans.refuse(plan.plan_id, 2, "it moves already", office.term)
    await office.stage.truth.change_cell("cell-2", "cordon")
    with pytest.raises(NotAllowed, match="cordoned"):
        await office.plans.begin(plan.plan_id, 3, USUAL, office.term)
    assert await states(office, plan) == ["begun", "refused", "waiting"]
    assert (await office.steps(plan))[0].move_id == move.move_id
    assert (await office.plans.plan(plan.plan_id)).failed == 1
    assert len(await office.stage.desk.moves()) == 2


async def test_a_tenant_that_lives_elsewhere_by_now_is_not_moved(office: Office) -> None:
    """The reason for its move is gone."""
    plan = await approved(office, "acme")
    await office.stage.truth.reassign("acme", await office.stage.epoch("acme"), "cell-3")
    with pytest.raises(NotAllowed, match="lives in cell cell-3 by now, not in cell-1"):
        await office.plans.begin(plan.plan_id, 1, USUAL, office.term)
    assert await office.stage.desk.moves() == []


async def test_nobody_is_moved_out_of_a_cell_that_was_lost_since(office: Office) -> None:
    """Only that cell has their rows."""
    plan = await approved(office, "acme")
    await office.stage.truth.change_cell("cell-1", "fail")
    with pytest.raises(NotAllowed, match="cell cell-1 has failed"):
        await office.plans.begin(plan.plan_id, 1, USUAL, office.term)
    assert await office.stage.desk.moves() == []


async def test_a_cell_that_is_lost_while_a_move_out_of_it_begins_keeps_its_tenant(office: Office) -> None:
    """Its state is looked at once nobody can change it: whoever begins waits for whoever says that it failed."""
    plan, truth = await approved(office, "acme"), office.stage.truth
    if office.admin is None:  # there each call is one step
        await truth.change_cell("cell-1", "fail")
        begins = asyncio.ensure_future(office.plans.begin(plan.plan_id, 1, USUAL, office.term))
    else:
        async with office.admin.transaction():
            await office.admin.execute("UPDATE directory.cells SET state = 'failed' WHERE cell_id = 'cell-1'")
            begins = asyncio.ensure_future(office.plans.begin(plan.plan_id, 1, USUAL, office.term))
            done, _ = await asyncio.wait({begins}, timeout=0.5)
            assert not done
    with pytest.raises(NotAllowed, match="cell cell-1 has failed"):
        await begins
    assert await office.stage.desk.moves() == []


PREMIUM = (0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0)


async def offer(office: Office, cell_id: str = "cell-2") -> Room:
    """What is so just now."""
    return next(room for room in await office.stage.room.rooms() if room.cell.cell_id == cell_id)


async def test_a_move_of_a_plan_takes_its_room_when_it_begins(office: Office) -> None:
    """Whoever chose the cell before is refused, and each look from then on has it."""
    takes = (0.5, 1e6, 2e6, 3e6, 1.0, 0.0, 0.0)
    moves = [replace(planned("acme"), takes=takes, offer=(await offer(office)).offer)]
    plan = await office.plans.propose(NewPlan("balance", approved_by="ann"), moves)
    assert ((await office.steps(plan))[0].takes, (await office.steps(plan))[0].offer) == (takes, moves[0].offer)
    before = await offer(office)
    await office.plans.begin(plan.plan_id, 1, USUAL, office.term)
    seen = await offer(office)
    assert (seen.promised, seen.placed) == (takes, takes)
    for picture, passes in ((before, False), (seen, True)):
        most = (*picture.promised[:4], picture.promised[4] + 1.0, 0.0, 0.0)
        last = Booking((0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0), most, picture.offer)
        with contextlib.nullcontext() if passes else pytest.raises(Stale):
            await office.stage.truth.create_tenant(new_tenant("late"), "cell-2", last)


async def test_a_move_is_refused_when_its_cell_offers_something_else_than_was_planned_with(office: Office) -> None:
    """Whatever that is: the next wave is planned with what there is."""
    moves = [replace(planned("acme"), offer=(await offer(office)).offer)]
    plan = await office.plans.propose(NewPlan("balance", approved_by="ann"), moves)
    await office.stage.truth.update_cell("cell-2", CellChange(capacity=Capacity(cpus=1.0)))
    with pytest.raises(NotAllowed, match="cell-2 offers something else by now"):
        await office.plans.begin(plan.plan_id, 1, USUAL, office.term)
    assert await office.stage.desk.moves() == []
    assert (await offer(office)).promised == (0.0,) * 7


@pytest.mark.parametrize(
    ("caps", "words"),
    [
        (CellChange(caps=Caps(revenue=10.0)), "11 of 10 revenue"),
        (CellChange(caps=Caps(top_tier=1)), "2 of 1 top tier"),
        (CellChange(capacity_tenants=2), "3 of 2 tenants"),
    ],
)
@pytest.mark.parametrize("by_hand", [False, True])
async def test_no_move_begins_that_would_break_a_cap(
    office: Office, caps: CellChange, words: str, by_hand: bool
) -> None:
    """With who lives there, who moves there and what is reserved; by a plan or by hand."""
    truth, room = office.stage.truth, office.stage.room
    for name in ("dora", "eve"):
        await truth.create_tenant(replace(new_tenant(name), plan="premium", revenue=5.5), "cell-1")
    await truth.update_cell("cell-2", caps)
    takes = (0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0)
    seen = await offer(office)
    kept = await room.reserve(NewReservation("cell-2", 60), Booking(takes, (9.0,) * 7, seen.offer))
    plan = await approved(office, "dora", "eve")
    first = await office.plans.begin(plan.plan_id, 1, USUAL, office.term)

    async def second() -> Move:
        if by_hand:
            return await office.stage.desk.plan(NewMove("eve", "cell-2"))
        return await office.plans.begin(plan.plan_id, 2, USUAL, office.term)

    with pytest.raises(NotAllowed, match=words):
        await second()
    if by_hand:
        [told] = await office.stage.desk.check(NewMove("eve", "cell-2"))
        assert words in told
    assert len(await office.stage.desk.moves()) == 1
    # Who gives up leaves the room again, and so does a reservation.
    await room.cancel(kept.reservation_id)
    claimed = await office.stage.claim(first.move_id)
    await office.stage.moves.record(first.move_id, claimed.token, "abort")
    await office.stage.moves.record(first.move_id, claimed.token, "aborted")
    assert (await second()).tenant_id == "eve"


async def test_who_goes_back_is_compared_with_no_cap(office: Office) -> None:
    """Its rows are still there. Others find its room taken from then on."""
    truth = office.stage.truth
    await truth.create_tenant(replace(new_tenant("dora"), plan="premium"), "cell-2")
    there = await office.stage.bring(await office.stage.claimed("dora", "cell-3"), "REVERSIBLE")
    await truth.update_cell("cell-2", CellChange(caps=Caps(top_tier=0)))
    await office.stage.moves.let_go(there.move_id, there.token, 1.0)
    await office.stage.desk.plan(NewMove("dora", "cell-2", reverses=there.move_id))
    assert (await offer(office)).promised == PREMIUM


async def test_moves_that_begin_at_once_keep_the_caps_together(office: Office) -> None:
    """With tenants that are placed and with reservations: of six that want it three get in."""
    truth, room = office.stage.truth, office.stage.room
    for name in ("dora", "eve"):
        await truth.create_tenant(replace(new_tenant(name), plan="premium"), "cell-1")
    await truth.update_cell("cell-2", CellChange(caps=Caps(top_tier=3)))
    plan = await approved(office, "dora", "eve")
    seen = await offer(office)
    last = Booking(PREMIUM, (*seen.promised[:6], seen.promised[6] + 3.5), seen.offer)
    last = replace(last, most=(*last.most[:4], 10.0, *last.most[5:]))
    results = await asyncio.gather(
        *(office.plans.begin(plan.plan_id, number, USUAL, office.term) for number in (1, 2)),
        *(truth.create_tenant(replace(new_tenant(f"new-{n}"), plan="premium"), "cell-2", last) for n in range(2)),
        *(room.reserve(NewReservation("cell-2", 60, "premium"), last) for _ in range(2)),
        return_exceptions=True,
    )
    assert {type(each) for each in results if isinstance(each, BaseException)} <= {NotAllowed, Stale}
    assert len([each for each in results if not isinstance(each, BaseException)]) == 3


async def test_after_a_pause_nothing_is_begun_and_what_was_goes_on(office: Office) -> None:
    """Until it is resumed. A plan that stops ends when its last move has."""
    plan = await approved(office, "acme", "bolt")
    move = await office.plans.begin(plan.plan_id, 1, USUAL, office.term)
    assert (await office.plans.ask(plan.plan_id, "pause", "ann")).state == "PAUSED"
    with pytest.raises(Stale, match="PAUSED: nothing is begun"):
        await office.plans.begin(plan.plan_id, 2, USUAL, office.term)
    assert (await office.plans.ask(plan.plan_id, "resume", "ann")).state == "APPROVED"
    assert (await office.plans.ask(plan.plan_id, "stop", "ann")).state == "STOPPING"
    with pytest.raises(Stale):
        await office.plans.begin(plan.plan_id, 2, USUAL, office.term)
    with pytest.raises(NotAllowed, match="1 of its moves are under way"):
        await office.plans.end(plan.plan_id, "stopped", "", office.term)
    await office.stage.bring(await office.stage.claim(move.move_id), "REVERSIBLE")
    watched = await office.plans.watch(plan.plan_id, PATIENCE, office.term)
    assert (watched.moved, watched.moved_bytes, watched.failed) == (1, 1e6, 0)
    ended = await office.plans.end(plan.plan_id, "stopped", "", office.term)
    assert (ended.state, ended.ended_at is None) == ("STOPPED", False)
    assert await states(office, plan) == ["moved", "dropped"]


async def test_what_became_of_moves_is_counted_once(office: Office) -> None:
    """Those that arrived, those that were given up with the error, and those that rest for too long."""
    plan = await approved(office, "acme", "bolt", "carl")
    moves = [await office.plans.begin(plan.plan_id, number, USUAL, office.term) for number in (1, 2, 3)]
    assert await office.plans.watch(plan.plan_id, PATIENCE, office.term) == await office.plans.plan(plan.plan_id)
    await office.stage.desk.ask(moves[2].move_id, "pause")
    claimed = [await office.stage.moves.claim("mover-1", 30.0, 100) for _ in range(2)]
    by_id = {move.move_id: move for move in claimed if move is not None}
    await office.stage.bring(by_id[moves[0].move_id], "REVERSIBLE")
    given_up = by_id[moves[1].move_id]
    await office.stage.moves.record(given_up.move_id, given_up.token, "abort")
    await office.stage.moves.record(given_up.move_id, given_up.token, "aborted")
    for _ in range(2):
        watched = await office.plans.watch(plan.plan_id, PATIENCE, office.term)
        assert (watched.moved, watched.failed) == (1, 1)
    await office.pass_time(PATIENCE + 1)
    assert (await office.plans.watch(plan.plan_id, PATIENCE, office.term)).failed == 2
    assert await states(office, plan) == ["moved", "failed", "left"]
    assert (await office.plans.spent(60)).moves == 0
    assert await office.plans.spent(86400, plan.plan_id) == await office.plans.spent(2 * PATIENCE, plan.plan_id)
    assert (await office.plans.spent(86400, plan.plan_id)).bytes == 3e6
    assert (await office.plans.spent(60, plan.plan_id)).moves == 0


@pytest.mark.parametrize(
    ("copied", "counted"),
    [({"bytes_copied": 250_000}, 250_000), ({"bytes_copied": 0}, 0), ({"bytes_copied": None}, 1e6), ({}, 1e6)],
)
async def test_of_moves_that_have_ended_the_bytes_count_that_were_copied(
    office: Office, copied: dict[str, object], counted: float
) -> None:
    """Also of one that was given up, for budgets; as expected before, and where nobody knows."""
    plan = await approved(office, "acme", "bolt", "carl")
    for number, tenant_id in ((1, "acme"), (2, "bolt")):
        begun = await office.plans.begin(plan.plan_id, number, USUAL, office.term)
        move = await office.stage.bring(await office.stage.claim(begun.move_id), "COPYING")
        await office.stage.moves.note(move.move_id, move.token, MoveChange(progress=copied))
        if tenant_id == "acme":
            await office.stage.bring(move, "REVERSIBLE")
            continue
        for event in ("abort", "aborted"):
            await office.stage.moves.record(move.move_id, move.token, event)  # type: ignore[arg-type]
    assert (await office.plans.spent(60)).bytes == 0  # of plans that approved of themselves
    assert (await office.plans.spent(60, plan.plan_id)).bytes == 2e6
    await office.plans.begin(plan.plan_id, 3, USUAL, office.term)
    watched = await office.plans.watch(plan.plan_id, PATIENCE, office.term)
    assert (watched.moved, watched.failed, watched.moved_bytes) == (1, 1, counted)
    assert [step.bytes for step in await office.steps(plan)] == [counted, counted, 1e6]
    assert (await office.plans.spent(60, plan.plan_id)).bytes == 2 * counted + 1e6


async def test_a_plan_that_stops_waits_no_longer_than_its_patience_for_moves_that_nobody_carries(
    office: Office,
) -> None:
    """Without movers it would be in the way of others for ever. One that goes on waits for them; and one that is
    carried is waited for, however long that takes."""
    plan = await approved(office, "acme", "bolt")
    begun = await office.plans.begin(plan.plan_id, 1, USUAL, office.term)
    carried = await office.stage.bring(await office.stage.claim(begun.move_id), "COPYING")
    await office.plans.begin(plan.plan_id, 2, USUAL, office.term)
    await office.pass_time(PATIENCE + 1)
    assert (await office.plans.watch(plan.plan_id, PATIENCE, office.term)).failed == 0
    await office.plans.ask(plan.plan_id, "stop", "ann")
    await office.pass_time(PATIENCE + 1)
    await office.stage.moves.renew(carried.move_id, carried.token, 30.0)
    watched = await office.plans.watch(plan.plan_id, PATIENCE, office.term)
    assert (watched.failed, watched.error) == (1, "nobody has carried it for long")
    assert await states(office, plan) == ["begun", "left"]


async def give_up_the_switch(office: Office, move: Move) -> Move:
    """As a mover whose commit is refused: decided against, the source open again, the error told and cleared."""
    move = await office.stage.bring(move, "FINALIZING")
    move = await office.stage.moves.release(move.move_id, move.token, await office.stage.epoch(move.tenant_id))
    opened = MoveChange(epochs={"opened": move.epochs["released"]}, error="the switch was given up")
    await office.stage.moves.note(move.move_id, move.token, opened)
    await office.stage.moves.record(move.move_id, move.token, "ready", MoveChange(error=""))
    return await office.stage.moves.move(move.move_id)


async def test_a_move_whose_switch_is_given_up_again_and_again_is_left(office: Office) -> None:
    """Each try begins a phase anew and clears the error: that does not make a plan wait for it for ever."""
    plan = await approved(office, "acme")
    begun = await office.plans.begin(plan.plan_id, 1, USUAL, office.term)
    move = await office.stage.claim(begun.move_id)
    for _ in range(4):
        move = await give_up_the_switch(office, move)
        assert (await office.plans.watch(plan.plan_id, PATIENCE, office.term)).failed == 0
        await office.pass_time(PATIENCE / 4 + 1)
    move = await give_up_the_switch(office, move)
    assert (move.phase, move.error) == ("READY", "")
    watched = await office.plans.watch(plan.plan_id, PATIENCE, office.term)
    assert (watched.failed, await states(office, plan)) == (1, ["left"])
    assert "has not come" in watched.error


async def test_a_move_that_copies_for_long_is_not_left(office: Office) -> None:
    """Also when it copies again because of what went wrong: that is how long it takes."""
    plan = await approved(office, "acme")
    begun = await office.plans.begin(plan.plan_id, 1, USUAL, office.term)
    move = await office.stage.bring(await office.stage.claim(begun.move_id), "COPYING")
    await office.pass_time(2 * PATIENCE)
    assert (await office.plans.watch(plan.plan_id, PATIENCE, office.term)).failed == 0
    move = await office.stage.bring(move, "READY")
    for event in ("catch_up", "copy_again"):
        move = await office.stage.moves.record(move.move_id, move.token, event)  # type: ignore[arg-type]
    await office.pass_time(2 * PATIENCE)
    await office.stage.bring(move, "READY")
    assert (await office.plans.watch(plan.plan_id, PATIENCE, office.term)).failed == 0
    assert await states(office, plan) == ["begun"]


async def obstructed(office: Office, plan: Plan) -> dict[str, str]:
    """Why, by tenant."""
    found = await office.plans.obstructed(plan.plan_id, PATIENCE)
    return {each.tenant_id: each.why for each in found}


async def test_moves_that_nothing_comes_of_are_known_and_withdrawn(office: Office) -> None:
    """Their destination was closed, or is nothing for the tenant by now. The plan has failed with them."""
    truth, plan = office.stage.truth, await approved(office, "acme", "bolt", "carl")
    begun = [await office.plans.begin(plan.plan_id, number, USUAL, office.term) for number in (1, 2)]
    assert await obstructed(office, plan) == {}
    await truth.place_tenant("bolt", tags=("pci",))
    assert await obstructed(office, plan) == {"bolt": "tenant bolt may not live there: cell-2 lacks pci"}
    await truth.change_cell("cell-2", "drain")
    assert (await obstructed(office, plan))["acme"] == "cell cell-2 is draining and takes nobody"
    with pytest.raises(Stale, match="is waiting: nothing is to be cancelled"):
        await office.plans.withdraw(plan.plan_id, 3, "closed", office.term)
    with pytest.raises(NotFound):
        await office.plans.withdraw(plan.plan_id, 4, "closed", office.term)
    for number in (1, 2):
        assert (await office.plans.withdraw(plan.plan_id, number, "closed", office.term)).wish == "cancel"
    assert await obstructed(office, plan) == {}
    events = await office.stage.desk.events(begun[0].move_id)
    assert [event.text for event in events][-1] == "asked to cancel: closed"
    for _ in begun:
        move = await office.stage.moves.claim("mover-1", 30.0, 100)
        assert move is not None
        for event in ("abort", "aborted"):
            await office.stage.moves.record(move.move_id, move.token, event)  # type: ignore[arg-type]
    watched = await office.plans.watch(plan.plan_id, PATIENCE, office.term)
    assert (watched.failed, watched.error) == (2, "closed")
    assert await states(office, plan) == ["failed", "failed", "waiting"]
    with pytest.raises(Stale, match="is failed"):
        await office.plans.withdraw(plan.plan_id, 1, "closed", office.term)


async def test_what_is_decided_is_not_withdrawn(office: Office) -> None:
    """It lives there by now."""
    plan = await approved(office, "acme")
    begun = await office.plans.begin(plan.plan_id, 1, USUAL, office.term)
    await office.stage.bring(await office.stage.claim(begun.move_id), "COMMITTED")
    await office.stage.truth.change_cell("cell-2", "cordon")
    assert await obstructed(office, plan) == {}
    with pytest.raises(NotAllowed, match="COMMITTED"):
        await office.plans.withdraw(plan.plan_id, 1, "closed", office.term)


async def test_room_in_a_full_cell_is_waited_for_until_patience_ends(office: Office) -> None:
    """From when the move could switch. Who is being cancelled is not left besides."""
    plan = await approved(office, "acme")
    begun = await office.plans.begin(plan.plan_id, 1, USUAL, office.term)
    for number in range(10):
        await office.stage.truth.create_tenant(new_tenant(f"new-{number}"), "cell-2")
    move = await office.stage.bring(await office.stage.claim(begun.move_id), "VERIFYING")
    await office.pass_time(PATIENCE + 1)
    await office.stage.bring(move, "READY")
    assert await obstructed(office, plan) == {}
    await office.pass_time(PATIENCE + 1)
    assert await obstructed(office, plan) == {"acme": "cell cell-2 is full, and was for long"}
    await office.plans.withdraw(plan.plan_id, 1, "full", office.term)
    await office.plans.watch(plan.plan_id, PATIENCE, office.term)
    assert await states(office, plan) == ["begun"]


async def test_the_rest_is_replaced_by_the_next_wave(office: Office) -> None:
    """Under the same name, with numbers that go on; never while a move is under way, and once for each wave."""
    plan = await approved(office, "acme", "bolt")
    move = await office.plans.begin(plan.plan_id, 1, USUAL, office.term)
    next_moves = [planned("carl"), planned("bolt", 2)]
    with pytest.raises(Stale, match="1 moves of plan"):
        await office.plans.remake(plan.plan_id, 1, {}, next_moves, office.term)
    await office.stage.bring(await office.stage.claim(move.move_id), "REVERSIBLE")
    await office.plans.watch(plan.plan_id, PATIENCE, office.term)
    made = await office.plans.remake(plan.plan_id, 1, {"moves": 2}, next_moves, office.term)
    assert (made.wave, made.vain, made.moved, made.summary) == (2, 0, 1, {"moves": 2})
    assert [(s.number, s.wave, s.tenant_id, s.state) for s in await office.steps(plan)] == [
        (1, 1, "acme", "moved"),
        (3, 2, "carl", "waiting"),
        (4, 3, "bolt", "waiting"),
    ]
    with pytest.raises(Stale, match="in wave 2, not APPROVED in wave 1"):
        await office.plans.remake(plan.plan_id, 1, {}, [], office.term)


async def test_waves_that_move_nobody_are_counted(office: Office) -> None:
    """One that had nothing to do is none of them."""
    plan = await approved(office, "acme")
    for wave, vain in ((1, 1), (2, 2)):
        number = (await office.plans.moves(plan.plan_id, states=("waiting",)))[0].number
        await office.plans.refuse(plan.plan_id, number, "full", office.term)
        plan = await office.plans.remake(plan.plan_id, wave, {}, [planned("acme")], office.term)
        assert plan.vain == vain
    number = (await office.plans.moves(plan.plan_id, states=("waiting",)))[0].number
    move = await office.plans.begin(plan.plan_id, number, USUAL, office.term)
    await office.stage.bring(await office.stage.claim(move.move_id), "REVERSIBLE")
    await office.plans.watch(plan.plan_id, PATIENCE, office.term)
    assert (await office.plans.remake(plan.plan_id, 3, {}, [], office.term)).vain == 0
    assert (await office.plans.remake(plan.plan_id, 4, {}, [], office.term)).vain == 0
    failed = await office.plans.end(plan.plan_id, "fail", "given up", office.term)
    assert (failed.state, failed.error) == ("FAILED", "given up")


async def test_a_drain_is_approved_and_called_off_at_its_cell(office: Office) -> None:
    """It can be paused; the leader stops it when the cell drains no longer."""
    proposed = await office.plans.propose(NewPlan("drain", "cell-1"), [planned("acme")])
    with pytest.raises(NotAllowed, match="cellway cells drain"):
        await office.plans.ask(proposed.plan_id, "approve", "ann")
    await office.plans.ask(proposed.plan_id, "stop", "ann")
    drain = await office.plans.propose(NewPlan("drain", "cell-1", approved_by="ann"), [], office.term)
    assert (drain.wave, drain.state) == (0, "APPROVED")
    with pytest.raises(NotAllowed, match="open or cordon the cell"):
        await office.plans.ask(drain.plan_id, "stop", "ann")
    await office.plans.ask(drain.plan_id, "pause", "ann")
    assert (await office.plans.call_off(drain.plan_id, office.term)).state == "STOPPING"


async def test_what_nobody_approves_expires(office: Office) -> None:
    """In time also for whoever comes before the leader has looked; and only a bounded number is kept."""
    first = await office.plans.propose(NewPlan("balance", expires_seconds=60), [planned("acme")])
    running = await approved(office, "bolt")
    await office.pass_time(3700)
    with pytest.raises(NotAllowed, match="expired"):
        await office.plans.ask(first.plan_id, "approve", "ann")
    assert [plan.plan_id for plan in await office.plans.expire(office.term)] == [first.plan_id]
    assert await office.plans.expire(office.term) == []
    assert (await office.plans.plan(running.plan_id)).state == "APPROVED"
    assert (await states(office, first), await states(office, running)) == (["dropped"], ["waiting"])
    for _ in range(planning.MOST_PROPOSED + 2):
        await office.plans.propose(NewPlan("balance"), [planned("acme")])
    found = await office.plans.plans()
    assert sum(plan.state == "PROPOSED" for plan in found) == planning.MOST_PROPOSED
    assert sum(plan.state == "EXPIRED" for plan in found) == 3
    for plan in found:
        expected = "dropped" if plan.state == "EXPIRED" else "waiting"
        assert await states(office, plan) == [expected]


async def test_old_plans_are_forgotten_with_their_moves(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """The latest that ended are kept, and all that have not."""
    monkeypatch.setattr(planning, "MOST_ENDED", 2)
    monkeypatch.setattr(planning, "MOST_PROPOSED", 2)
    running = await approved(office, "bolt")
    for _ in range(5):
        await office.plans.propose(NewPlan("balance"), [planned("acme")])
    assert await office.plans.forget(office.term) == 1
    left = await office.plans.plans()
    assert running.plan_id in {plan.plan_id for plan in left}
    assert sorted(plan.state for plan in left) == ["APPROVED", "EXPIRED", "EXPIRED", "PROPOSED", "PROPOSED"]


async def test_of_a_long_plan_the_latest_moves_are_kept(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its counts know the others."""
    monkeypatch.setattr(planning, "MOST_MOVES", 3)
    plan = await approved(office, *(f"tenant-{number}" for number in range(5)))
    assert len(await office.steps(plan)) == 3
    for step in await office.steps(plan):
        await office.plans.refuse(plan.plan_id, step.number, "full", office.term)
    plan = await office.plans.remake(plan.plan_id, 1, {}, [planned("acme"), planned("bolt")], office.term)
    assert [step.number for step in await office.steps(plan)] == [3, 4, 5]
    assert plan.failed == 3


async def test_what_was_begun_within_a_day_is_counted_however_often_a_plan_is_made_anew(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its numbers go on, and what is kept by number alone would leave budgets to begin anew."""
    monkeypatch.setattr(planning, "MOST_MOVES", 3)
    new = NewPlan("balance", automatic=True, approved_by="automatic")
    plan = await office.plans.propose(new, [planned("acme"), planned("bolt")])
    for number in (1, 2):
        move = await office.plans.begin(plan.plan_id, number, USUAL, office.term)
        await office.stage.bring(await office.stage.claim(move.move_id), "REVERSIBLE")
    await office.plans.watch(plan.plan_id, PATIENCE, office.term)
    many = [planned(f"tenant-{number}") for number in range(3)]
    for wave in (1, 2, 3):
        plan = await office.plans.remake(plan.plan_id, wave, {}, many, office.term)
        for plan_id in (None, plan.plan_id):
            spent = await office.plans.spent(86_400, plan_id)
            assert (spent.moves, spent.bytes) == (2, 2e6)
    await office.pass_time(86_401)
    await office.plans.remake(plan.plan_id, 4, {}, many, office.term)
    assert {step.state for step in await office.steps(plan)} == {"waiting"}


async def test_plans_that_have_begun_moves_within_a_day_are_kept(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many ended since: budgets of a day count them."""
    monkeypatch.setattr(planning, "MOST_ENDED", 0)
    plan = await office.plans.propose(
        NewPlan("balance", automatic=True, approved_by="automatic"), [planned("acme")]
    )
    move = await office.plans.begin(plan.plan_id, 1, USUAL, office.term)
    await office.stage.bring(await office.stage.claim(move.move_id), "REVERSIBLE")
    await office.plans.watch(plan.plan_id, PATIENCE, office.term)
    await office.plans.end(plan.plan_id, "done", "", office.term)
    other = await office.plans.propose(NewPlan("balance"), [planned("bolt")])
    await office.plans.ask(other.plan_id, "stop", "ann")
    assert await office.plans.forget(office.term) == 1
    assert (await office.plans.spent(86_400)).moves == 1
    await office.pass_time(86_401)
    assert await office.plans.forget(office.term) == 1
    assert await office.plans.plans() == []


async def test_whoever_leads_no_longer_decides_nothing(office: Office) -> None:
    """Each decision of a leader carries its term, and changes nothing once another one has begun."""
    plan = await approved(office, "acme", "bolt")
    await office.plans.begin(plan.plan_id, 1, USUAL, office.term)
    old, term = office.term, await office.terms.begin("placement", "another")
    before = await office.plans.plan(plan.plan_id), await office.steps(plan)
    plan_id = plan.plan_id
    for refused in (
        office.plans.begin(plan_id, 2, USUAL, old),
        office.plans.refuse(plan_id, 2, "why", old),
        office.plans.watch(plan_id, PATIENCE, old),
        office.plans.remake(plan_id, 1, {}, [], old),
        office.plans.note(plan_id, {}, "why", old),
        office.plans.end(plan_id, "done", "", old),
        office.plans.call_off(plan_id, old),
        office.plans.withdraw(plan_id, 1, "why", old),
        office.plans.ask(plan_id, "pause", "itself", old),
        office.plans.propose(NewPlan("drain", "cell-1", approved_by="me"), [], old),
        office.plans.expire(old),
        office.plans.forget(old),
    ):
        with pytest.raises(NotLeader):
            await refused
    assert (await office.plans.plan(plan_id), await office.steps(plan)) == before
    assert await office.plans.begin(plan_id, 2, USUAL, term)


async def test_a_fleets_residents_are_read_page_by_page(office: Office) -> None:
    """Everybody who lives somewhere, and nobody else."""
    truth = office.stage.truth
    await truth.place_tenant("bolt", tags=("pci",), revenue=5.0, dedicated_to="")
    for event in ("suspend", "delete"):
        gone = await truth.change_tenant("acme", event)  # type: ignore[arg-type]
    await truth.applied("acme", gone.revision)
    first = await truth.residents(limit=1)
    rest = await truth.residents(after=first[0].tenant_id)
    assert [(r.tenant_id, r.cell_id, r.tags, r.revenue) for r in (*first, *rest)] == [
        ("bolt", "cell-1", ("pci",), 5.0),
        ("carl", "cell-1", (), 0.0),
    ]


async def test_recent_moves_and_flights_are_told_for_the_whole_fleet(office: Office) -> None:
    """What has not ended, and who came lately; a cell takes part in what is in flight."""
    desk = office.stage.desk
    first = await desk.plan(NewMove("acme", "cell-2"))
    await office.stage.bring(await office.stage.claim(first.move_id), "DONE")
    await desk.plan(NewMove("bolt", "cell-3"))
    assert await desk.flights() == {"cell-1": 1, "cell-3": 1}
    found = {(each.tenant_id, each.destination, each.phase, each.ended) for each in await desk.recent(60)}
    assert found == {("acme", "cell-2", "DONE", True), ("bolt", "cell-3", "PLANNED", False)}
    await office.pass_time(61)
    assert [each.tenant_id for each in await desk.recent(60)] == ["bolt"]


@pytest.mark.parametrize("state", sorted(planning.ENDED))
def test_what_has_ended_stays_so(state: PlanState) -> None:
    """No event leads out of it."""
    assert not [event for known, event in planning.PLANS if known == state]


@pytest.mark.parametrize(
    ("state", "event", "words"),
    [("PROPOSED", "pause", "approve, expire, stop"), ("DONE", "approve", "possible: nothing")],
)
def test_what_is_not_in_the_table_is_refused_with_what_is(state: PlanState, event: PlanEvent, words: str) -> None:
    """As everywhere."""
    with pytest.raises(NotAllowed, match=words):
        planning.after(state, event)
