"""The fleet as arrays: who lives where and may live where, what is in flight, and what nobody has told."""

import numpy as np
import pytest

from directory.reservations import Booking, NewReservation
from directory.values import Capacity, Caps, CellChange, MoveOptions, NewMove, NewTenant
from placement import gathering
from placement.balancing.fleet import Fleet
from placement.balancing.planning import rebalance
from placement.balancing.resources import RESOURCES
from placement.gathering import WIDE, as_if_drained, gather, unheard, untold, version_of
from placement.planning.solving import Task, solve
from placement.planning.wishes import Wishes
from tests.placement.planning.world import World


def column(name: str) -> int:
    """The first one that is about the resource."""
    return int(np.flatnonzero(WIDE.resource == RESOURCES.index(name))[0])


async def fleet_of(world: World) -> Fleet:
    """As whoever plans sees it."""
    stage = world.office.stage
    return await gather(stage.truth, stage.room, stage.desk, world.demands, world.clock.now(), avoid=world.silent)


async def test_all_tenants_and_cells_are_read_page_by_page(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what each takes, what each cell holds, and who may live where."""
    monkeypatch.setattr(gathering, "PAGE", 2)
    truth = world.office.stage.truth
    await world.settle("cell-1", "acme", "bolt", "carl")
    await world.settle("cell-2", "dora")
    await truth.update_cell(
        "cell-1", CellChange(capacity=Capacity(cpus=8.0), caps=Caps(revenue=100.0), tags=("pci",))
    )
    await truth.place_tenant("acme", tags=("pci",), revenue=7.0)
    fleet = await fleet_of(world)
    assert list(fleet.tenants) == ["acme", "bolt", "carl", "dora"]
    assert fleet.home.tolist() == [0, 0, 0, 1]
    assert fleet.capacity[:, column("cpu")].tolist() == [8.0, np.inf, np.inf]
    assert fleet.capacity[:, column("tenants")].tolist() == [20.0] * 3
    assert fleet.capacity[0, column("revenue")] == 100.0
    assert fleet.demand[:, column("revenue")].tolist() == [7.0, 0.0, 0.0, 0.0]
    assert fleet.demand[:, column("tenants")].tolist() == [1.0] * 4
    assert fleet.unmeasured == ["acme", "bolt", "carl", "dora"]
    assert (fleet.demand[:, column("cpu")] > 0).all()  # as their plans let expect
    assert fleet.enters[fleet.kind[0]].tolist() == [True, False, False]
    assert fleet.enters[fleet.kind[1]].tolist() == [True, True, True]


async def test_a_tenant_of_the_highest_plan_counts_as_such(small: World) -> None:
    """For what may be lost with one cell."""
    await small.office.stage.truth.create_tenant(NewTenant("acme", "Acme", plan="premium", region="eu"), "cell-1")
    fleet = await fleet_of(small)
    assert fleet.demand[0, column("top_tier")] == 1.0
    assert fleet.kinds[0].regions == {"eu"}


async def test_who_moves_is_at_home_where_it_goes_and_held_at_the_other_end(small: World) -> None:
    """Before the switch and after it; one that is given up stays. Nobody of them is moved again meanwhile."""
    stage, size = small.office.stage, column("storage")
    await small.settle("cell-1", "acme", "bolt", "carl", "dora")
    for tenant_id in ("acme", "bolt", "carl"):
        await stage.desk.plan(NewMove(tenant_id, "cell-2", MoveOptions()))
    moves = {move.tenant_id: move for move in await stage.desk.moves()}
    await stage.desk.ask(moves["bolt"].move_id, "cancel")
    while (claimed := await stage.moves.claim("mover-1", 60.0, 100)) is not None:
        if claimed.tenant_id == "carl":
            await stage.bring(claimed, "REVERSIBLE")
    fleet = await fleet_of(small)
    assert fleet.home.tolist() == [1, 0, 1, 0]
    assert fleet.pinned.tolist() == [True, True, True, False]
    took = fleet.demand[0]
    assert fleet.held[0, column("cpu")] == took[column("cpu")]  # acme; of carl only the rows are there
    assert fleet.held[0, size] == 2 * took[size]
    assert fleet.held[1, column("cpu")] == took[column("cpu")]  # bolt


async def test_what_is_reserved_is_held_until_it_is_over(world: World) -> None:
    """Of everything that it takes."""
    room = world.office.stage.room
    [seen, *_] = await room.rooms()
    takes = (0.5, 1e6, 2e6, 3e6, 1.0, 7.0, 1.0)
    await room.reserve(NewReservation("cell-1", 60), Booking(takes, takes, seen.offer))
    fleet = await fleet_of(world)
    assert np.allclose(fleet.held[0], WIDE.spread(np.array(takes)))
    assert not fleet.held[1:].any()
    assert list(fleet.offers) == [each.offer for each in await room.rooms()]
    await world.office.pass_time(61)
    assert not (await fleet_of(world)).held.any()


async def test_who_moved_lately_cools_down(small: World) -> None:
    """For three days, unless told otherwise."""
    stage = small.office.stage
    await small.settle("cell-1", "acme")
    await stage.desk.plan(NewMove("acme", "cell-2", MoveOptions()))
    await small.carry()
    fleet = await fleet_of(small)
    assert (fleet.cooling.tolist(), fleet.pinned.tolist(), fleet.home.tolist()) == ([True], [False], [1])
    await small.office.pass_time(gathering.COOL_DOWN_SECONDS + 1)
    assert not (await fleet_of(small)).cooling.any()


async def test_nobody_is_sent_to_a_cell_that_does_not_answer(small: World) -> None:
    """Whoever lives there stays."""
    await small.settle("cell-2", "acme")
    small.silent = frozenset({"cell-2"})
    fleet = await fleet_of(small)
    assert fleet.enters[0].tolist() == [True, False, True]
    assert not len(fleet.misplaced)


async def test_a_deleted_tenant_is_not_moved(small: World) -> None:
    """It takes its place until its cell has removed it."""
    await small.settle("cell-1", "acme")
    for event in ("suspend", "delete"):
        await small.office.stage.truth.change_tenant("acme", event)
    assert (await fleet_of(small)).pinned.tolist() == [True]


async def test_with_no_capacity_known_the_number_of_tenants_alone_is_levelled(small: World) -> None:
    """That every cell has told; what is not levelled is said."""
    await small.settle("cell-1", "acme", "bolt", "carl")
    fleet = await fleet_of(small)
    plan = rebalance(fleet)
    levelled = np.isfinite(plan.ideal).any(axis=0)
    assert [fleet.columns.names[at] for at in np.flatnonzero(levelled)] == ["tenants"]
    assert len(plan.tenants) == 2
    assert untold(fleet) == [
        "cpu, memory, storage, network: not levelled in the region of cell-1, cell-2, cell-3, whose capacity is "
        "not known"
    ]


async def test_one_cell_without_a_capacity_keeps_its_pool_from_being_levelled_in_it(small: World) -> None:
    """A share of something unknown has no meaning; once all have told, it is levelled."""
    small.demands.cpus = {"acme": 2.0, "bolt": 2.0, "carl": 2.0}
    await small.settle("cell-1", *small.demands.cpus)
    await small.give_capacity(8.0, "cell-1", "cell-2")
    assert "cpu: not levelled in the region of cell-3, whose capacity is not known" in untold(
        await fleet_of(small)
    )
    await small.give_capacity(8.0, "cell-3")
    fleet = await fleet_of(small)
    assert not [told for told in untold(fleet) if told.startswith("cpu")]
    assert rebalance(fleet).peak == pytest.approx(1.0)


async def test_as_if_drained_only_the_cells_own_tenants_may_move(small: World) -> None:
    """Whatever else would be good for the fleet."""
    await small.settle("cell-1", "acme")
    await small.settle("cell-2", "bolt", "carl", "dora", "eve")
    fleet = as_if_drained(await fleet_of(small), "cell-1")
    assert [fleet.tenants[at] for at in fleet.misplaced] == ["acme"]
    assert fleet.pinned.tolist() == [False, True, True, True, True]


async def test_out_of_a_failed_cell_nobody_is_planned_to_move(small: World) -> None:
    """Not even to see what that would be."""
    await small.settle("cell-1", "acme")
    await small.office.stage.truth.change_cell("cell-1", "fail")
    assert not len(as_if_drained(await fleet_of(small), "cell-1").misplaced)


def test_versions_are_compared_as_numbers() -> None:
    """What is none is compared with nothing."""
    assert version_of("1.10.2") > version_of("v1.9")
    assert version_of("1.10.2-rc1") == (1, 10, 2)
    assert version_of("") == version_of("latest") == ()


async def test_a_cell_of_which_no_load_was_ever_told_is_named_in_the_plan_and_drained_all_the_same(
    small: World,
) -> None:
    """As one whose service is somebody else's program: its tenants count as their plans let expect."""
    small.demands.cpus = {"acme": 1.0, "bolt": 1.0}
    small.demands.heard = {"acme", "late"}
    await small.settle("cell-1", "acme", "late")
    await small.settle("cell-2", "bolt", "carl")
    fleet = await fleet_of(small)
    assert fleet.unheard == ["cell-2"]
    [told] = unheard(fleet)
    assert told.startswith("cell-2: no load was ever told of the 2 tenants there")
    made = solve(Task(fleet, Wishes(exact=False), "cell-2"))
    assert len(made.moves) == 2
    assert told in made.summary["remarks"]
    small.demands.heard = {"acme", "bolt"}
    assert unheard(await fleet_of(small)) == []
