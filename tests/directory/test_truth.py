"""The contract of the truth, asked of every implementation (`truth` is Postgres and its twin in turn)."""

import asyncio
from dataclasses import replace

import pytest

from directory.errors import (
    AlreadyExists,
    BadAddress,
    BadName,
    BadRate,
    CellFull,
    Gap,
    NotAllowed,
    NotFound,
    Stale,
)
from directory.truth import Directory
from directory.values import Assignment, CellChange, CellEntry, Customer, Rate, TenantEntry
from runtime.tasks import Tasks
from tests.directory.examples import new_cell, new_tenant, open_cell


async def test_a_registered_cell_is_joining_and_takes_no_tenant(truth: Directory) -> None:
    """A cell must prove itself before anybody is sent to it."""
    cell = await truth.register_cell(new_cell())
    assert cell.state == "joining"
    with pytest.raises(CellFull):
        await truth.create_tenant(new_tenant(), "cell-1")
    assert await truth.tenants() == []


async def test_a_cell_name_is_taken_once(truth: Directory) -> None:
    """Registering again is refused and changes nothing; `update_cell` is for that."""
    await truth.register_cell(new_cell())
    with pytest.raises(AlreadyExists):
        await truth.register_cell(replace(new_cell(), region="us"))
    assert (await truth.cell("cell-1")).region == "eu"


async def test_a_cell_that_comes_back_elsewhere_keeps_its_state_and_tenants(truth: Directory) -> None:
    """Addresses change with ports and hosts; where a cell stands in its life does not."""
    await open_cell(truth)
    await truth.create_tenant(new_tenant(), "cell-1")
    cell = await truth.update_cell("cell-1", CellChange(address="http://127.0.0.1:9100"))
    assert (cell.state, cell.tenants, cell.address) == ("open", 1, "http://127.0.0.1:9100")
    assert (cell.control_address, cell.capacity_tenants) == ("http://127.0.0.1:9001", 10)
    with pytest.raises(BadAddress):
        await truth.update_cell("cell-1", CellChange(control_address="http://169.254.169.254", capacity_tenants=3))
    assert (await truth.cell("cell-1")).capacity_tenants == 10


async def test_two_changes_of_a_cell_at_once_lose_neither(truth: Directory) -> None:
    """A change names what becomes different, and nothing else."""
    await open_cell(truth)
    changes = CellChange(capacity_tenants=7), CellChange(tags=("fast",)), CellChange(version="2.0")
    await asyncio.gather(*(truth.update_cell("cell-1", change) for change in changes))
    cell = await truth.cell("cell-1")
    assert (cell.capacity_tenants, cell.tags, cell.version) == (7, ("fast",), "2.0")


async def test_an_illegal_step_in_a_cells_life_is_refused(truth: Directory) -> None:
    """What is not in the table of transitions does not happen."""
    await truth.register_cell(new_cell())
    with pytest.raises(NotAllowed, match="possible: fail, open, prove, retire"):
        await truth.change_cell("cell-1", "drain")
    assert (await truth.cell("cell-1")).state == "joining"


async def test_a_proof_that_comes_late_undoes_no_decision(truth: Directory) -> None:
    """Proving itself opens a cell that joins, and no other."""
    await truth.register_cell(new_cell())
    assert (await truth.change_cell("cell-1", "prove")).state == "open"
    await truth.change_cell("cell-1", "cordon")
    with pytest.raises(NotAllowed):
        await truth.change_cell("cell-1", "prove")
    assert (await truth.cell("cell-1")).state == "cordoned"


@pytest.mark.parametrize(
    "address", ["http://169.254.169.254", "ftp://10.0.0.1", "http://u:p@10.0.0.1", "http://[ff02::1]"]
)
async def test_an_address_that_leads_elsewhere_is_refused(truth: Directory, address: str) -> None:
    """Whoever registers a cell must not steer the control plane to a metadata service."""
    with pytest.raises(BadAddress):
        await truth.register_cell(replace(new_cell(), address=address))
    assert await truth.cells() == []


async def test_a_new_tenant_has_a_place_an_epoch_and_an_open_decision(truth: Directory) -> None:
    """It is not settled until its cell has opened for it."""
    await open_cell(truth)
    tenant = await truth.create_tenant(new_tenant(), "cell-1")
    assert tenant.assignment is not None
    assert (tenant.assignment.cell_id, tenant.state, tenant.settled) == ("cell-1", "active", False)
    assert await truth.unsettled() == [tenant]
    assert await truth.unsettled(after_revision=tenant.revision) == []
    assert (await truth.cell("cell-1")).tenants == 1
    assert (await truth.applied("acme", tenant.revision)).settled
    assert await truth.unsettled() == []


async def test_a_full_cell_takes_nobody_and_nothing_is_left_behind(truth: Directory) -> None:
    """The reservation and the tenant are one transaction."""
    await open_cell(truth, capacity_tenants=1)
    await truth.create_tenant(new_tenant("one"), "cell-1")
    with pytest.raises(CellFull):
        await truth.create_tenant(new_tenant("two"), "cell-1")
    with pytest.raises(NotFound):
        await truth.tenant("two")


async def test_many_placers_at_once_never_overfill_a_cell(truth: Directory) -> None:
    """The place is taken by compare-and-set, whatever each placer believed."""
    await open_cell(truth, capacity_tenants=3)
    results = await asyncio.gather(
        *(truth.create_tenant(new_tenant(f"tenant-{n}"), "cell-1") for n in range(10)), return_exceptions=True
    )
    assert sum(isinstance(result, CellFull) for result in results) == 7
    assert (await truth.cell("cell-1")).tenants == 3


@pytest.mark.parametrize("name", ["", "a", "A-Corp", "under_score", "-dash", "dash-", "x" * 41, "a\n", "é" * 3])
async def test_a_name_that_fits_no_host_name_is_refused(truth: Directory, name: str) -> None:
    """Names appear in host names and keys."""
    await open_cell(truth)
    with pytest.raises(BadName):
        await truth.create_tenant(new_tenant(name), "cell-1")


async def test_epochs_and_revisions_only_grow(truth: Directory) -> None:
    """Any two decisions about anything can be ordered."""
    await open_cell(truth)
    await open_cell(truth, "cell-2")
    tenant = await truth.create_tenant(new_tenant(), "cell-1")
    assert tenant.assignment is not None
    seen = [tenant.revision, tenant.assignment.epoch]
    seen.append((await truth.reassign("acme", seen[-1], "cell-2")).epoch)
    seen.append((await truth.change_tenant("acme", "suspend")).revision)
    seen.append((await truth.reassign("acme", seen[2], "cell-1")).epoch)
    assert seen == sorted(set(seen))


async def test_only_one_of_two_rivals_can_reassign_from_an_epoch(truth: Directory) -> None:
    """The commit point is one compare-and-set; the loser changes nothing."""
    for name in ("cell-1", "cell-2", "cell-3"):
        await open_cell(truth, name)
    tenant = await truth.create_tenant(new_tenant(), "cell-1")
    assert tenant.assignment is not None
    rivals = [truth.reassign("acme", tenant.assignment.epoch, name) for name in ("cell-2", "cell-3")]
    results = await asyncio.gather(*rivals, return_exceptions=True)
    assert sum(isinstance(result, Stale) for result in results) == 1
    home = (await truth.tenant("acme")).assignment
    assert home in results
    assert {cell.cell_id: cell.tenants for cell in await truth.cells()} == {
        name: int(home is not None and name == home.cell_id) for name in ("cell-1", "cell-2", "cell-3")
    }


async def test_a_tenant_does_not_move_to_a_cell_that_is_unknown_or_takes_nobody(truth: Directory) -> None:
    """All the same refusal, and nothing is different afterwards."""
    await open_cell(truth)
    await truth.register_cell(new_cell("joining"))
    await open_cell(truth, "full", capacity_tenants=0)
    home = (await truth.create_tenant(new_tenant(), "cell-1")).assignment
    assert home is not None
    for name in ("nowhere", "joining", "full"):
        with pytest.raises(CellFull):
            await truth.reassign("acme", home.epoch, name)
        with pytest.raises(CellFull):
            await truth.create_tenant(new_tenant("late"), name)
    assert (await truth.tenant("acme")).assignment == home
    assert (await truth.cell("cell-1")).tenants == 1


async def test_moves_that_cross_and_decisions_at_once_do_not_disturb_each_other(truth: Directory) -> None:
    """Whoever needs several rows takes them in one order, so nobody waits for somebody who waits for him."""
    for name in ("cell-1", "cell-2"):
        await open_cell(truth, name)

    async def life(tenant_id: str, here: str, there: str) -> None:
        home = (await truth.create_tenant(new_tenant(tenant_id), here)).assignment
        assert home is not None
        for cell_id in (there, here, there, here):
            home = await truth.reassign(tenant_id, home.epoch, cell_id)
        await truth.change_tenant(tenant_id, "suspend")
        deleted = await truth.change_tenant(tenant_id, "delete")
        moved, _ = await asyncio.gather(
            truth.reassign(tenant_id, home.epoch, there),
            truth.applied(tenant_id, deleted.revision),
            return_exceptions=True,
        )
        assert isinstance(moved, Assignment | Stale)

    ways = [("cell-1", "cell-2"), ("cell-2", "cell-1")] * 3
    await asyncio.gather(*(life(f"tenant-{n}", *way) for n, way in enumerate(ways)))
    assert [cell.tenants for cell in await truth.cells()] == [0, 0]


async def test_a_late_messenger_cannot_settle_a_newer_decision(truth: Directory) -> None:
    """`applied` names the revision that the cell carried out."""
    await open_cell(truth)
    created = await truth.create_tenant(new_tenant(), "cell-1")
    suspended = await truth.change_tenant("acme", "suspend")
    with pytest.raises(Stale):
        await truth.applied("acme", created.revision)
    assert await truth.unsettled() == [suspended]


async def test_a_customer_is_kept_until_the_cell_has_carried_the_tenant_out(truth: Directory) -> None:
    """Through every decision that comes in between, and no longer; logs do not show whose address it is."""
    await open_cell(truth)
    ann = Customer("ann@acme.example", 'Ünï <Acme> "Ltd"', "main", "prod", "premium", 14)
    for customer in (ann, replace(ann, trial_days=None)):
        name = f"acme-{customer.trial_days}".lower()
        created = await truth.create_tenant(replace(new_tenant(name), customer=customer), "cell-1")
        suspended = await truth.change_tenant(name, "suspend")
        with pytest.raises(Stale):
            await truth.applied(name, created.revision)
        for seen in (created, suspended, (await truth.unsettled())[-1], await truth.tenant(name)):
            assert seen.customer == customer
            assert "ann@" not in repr(seen)
        assert (await truth.applied(name, suspended.revision)).customer is None
    assert {tenant.customer for tenant in await truth.tenants()} == {None}


async def test_a_deleted_tenant_gives_up_its_place_but_never_its_name(truth: Directory) -> None:
    """Nobody may take over what is left of a deleted tenant: links, keys, caches."""
    await open_cell(truth)
    await truth.create_tenant(new_tenant(), "cell-1")
    with pytest.raises(NotAllowed):
        await truth.change_tenant("acme", "delete")
    await truth.change_tenant("acme", "suspend")
    deleted = await truth.change_tenant("acme", "delete")
    assert (await truth.cell("cell-1")).tenants == 1
    gone = await truth.applied("acme", deleted.revision)
    assert (gone.state, gone.assignment, (await truth.cell("cell-1")).tenants) == ("deleted", None, 0)
    await truth.applied("acme", deleted.revision)
    assert (await truth.cell("cell-1")).tenants == 0
    with pytest.raises(AlreadyExists):
        await truth.create_tenant(new_tenant(), "cell-1")


RATE = Rate(0.1, 200)


async def test_a_tenant_has_no_limit_unless_it_is_given_one(truth: Directory) -> None:
    """And one that it is created with travels with its first assignment."""
    await open_cell(truth)
    assert (await truth.create_tenant(new_tenant("free"), "cell-1")).rate is None
    made = await truth.create_tenant(new_tenant(rate=RATE), "cell-1")
    assert made.assignment is not None
    assert (made.rate, await truth.tenant("acme")) == (RATE, made)
    entry = TenantEntry("acme", "cell-1", made.assignment.epoch, RATE)
    assert (await truth.changes(3))[0].entry == entry
    tenants = (await truth.snapshot()).tenants
    assert (tenants["acme"], tenants["free"].rate) == (entry, None)


async def test_a_limit_is_a_change_at_the_same_epoch(truth: Directory) -> None:
    """Routers are told, with the cell and epoch as they are; no cell has anything to carry out."""
    await open_cell(truth)
    created = await truth.create_tenant(new_tenant(), "cell-1")
    assert created.assignment is not None
    await truth.applied("acme", created.revision)
    head = await truth.head()
    for rate in (RATE, Rate(2e5, 1), None):
        limited = await truth.limit_tenant("acme", rate)
        assert (limited.rate, limited.revision, limited.settled) == (rate, created.revision, True)
        assert limited == await truth.tenant("acme")
    entries = [change.entry for change in await truth.changes(head)]
    assert entries == [
        TenantEntry("acme", "cell-1", created.assignment.epoch, rate) for rate in (RATE, Rate(2e5, 1), None)
    ]


async def test_the_limit_that_a_tenant_has_already_is_no_change(truth: Directory) -> None:
    """Whoever says it again, perhaps because an answer got lost, wakes no router."""
    await open_cell(truth)
    await truth.create_tenant(new_tenant(), "cell-1")
    head = await truth.head()
    await truth.limit_tenant("acme", None)
    assert await truth.head() == head
    first = await truth.limit_tenant("acme", RATE)
    assert (await truth.limit_tenant("acme", RATE), await truth.head()) == (first, head + 1)


async def test_a_limit_goes_where_the_tenant_goes(truth: Directory) -> None:
    """A move, and decisions on the way, leave it as it is."""
    await open_cell(truth)
    await open_cell(truth, "cell-2")
    home = (await truth.create_tenant(new_tenant(), "cell-1")).assignment
    assert home is not None
    await truth.limit_tenant("acme", RATE)
    moved = await truth.reassign("acme", home.epoch, "cell-2")
    entry = TenantEntry("acme", "cell-2", moved.epoch, RATE)
    assert (await truth.changes(await truth.head() - 1))[0].entry == entry
    suspended = await truth.change_tenant("acme", "suspend")
    assert (suspended.rate, (await truth.applied("acme", suspended.revision)).rate) == (RATE, RATE)
    assert (await truth.tenants())[0].rate == RATE
    assert (await truth.snapshot()).tenants["acme"] == entry


async def test_limits_and_moves_at_once_tell_one_story(truth: Directory) -> None:
    """The last change of a tenant says what the directory says, whoever came last."""
    await open_cell(truth)
    await open_cell(truth, "cell-2")
    home = (await truth.create_tenant(new_tenant(), "cell-1")).assignment
    assert home is not None
    await asyncio.gather(
        truth.reassign("acme", home.epoch, "cell-2"),
        *(truth.limit_tenant("acme", Rate(number, number)) for number in range(1, 8)),
    )
    entries = [change.entry for change in await truth.changes(0)]
    told = [entry for entry in entries if isinstance(entry, TenantEntry)]
    assert told[-1] == (await truth.snapshot()).tenants["acme"]
    assert told[-1].rate == (await truth.tenant("acme")).rate
    epochs = [entry.epoch for entry in told]
    assert epochs == sorted(epochs)


async def test_a_deleted_tenant_is_not_limited(truth: Directory) -> None:
    """Also before its cell has carried the deletion out, and with the limit that it has."""
    await open_cell(truth)
    await truth.create_tenant(new_tenant(rate=RATE), "cell-1")
    await truth.change_tenant("acme", "suspend")
    deleted = await truth.change_tenant("acme", "delete")
    for rate in (None, RATE):
        with pytest.raises(NotAllowed, match="while deleted"):
            await truth.limit_tenant("acme", rate)
    await truth.applied("acme", deleted.revision)
    head = await truth.head()
    assert (await truth.changes(head - 1))[0].entry == TenantEntry("acme", None, deleted.revision)
    with pytest.raises(NotAllowed):
        await truth.limit_tenant("acme", None)
    assert await truth.head() == head


@pytest.mark.parametrize(
    "rate",
    [
        *(Rate(per_second, 1) for per_second in (0, -1, 1_000_001, float("inf"), float("nan"))),
        *(Rate(1, burst) for burst in (0, -1, 1_000_001)),
    ],
)
async def test_what_is_no_limit_is_refused(truth: Directory, rate: Rate) -> None:
    """Nothing, less than nothing, and more than a router can serve."""
    await open_cell(truth)
    with pytest.raises(BadRate):
        await truth.create_tenant(new_tenant(rate=rate), "cell-1")
    await truth.create_tenant(new_tenant(), "cell-1")
    with pytest.raises(BadRate):
        await truth.limit_tenant("acme", rate)
    assert (await truth.tenant("acme")).rate is None


@pytest.mark.parametrize("per_second", [5e-324, 0.1, 1 / 3, 1e6])
async def test_a_limit_comes_back_to_the_last_digit(truth: Directory, per_second: float) -> None:
    """Otherwise doctor would see a difference between the directory and what routers read."""
    await open_cell(truth)
    made = await truth.create_tenant(new_tenant(rate=Rate(per_second, 1)), "cell-1")
    entry = (await truth.changes(2))[0].entry
    assert made.rate == Rate(per_second, 1)
    assert (await truth.snapshot()).tenants["acme"] == entry


async def test_tenants_are_listed_by_name_page_by_page(truth: Directory) -> None:
    """A page begins after a name, so rows that come and go shift nobody."""
    await open_cell(truth)
    await open_cell(truth, "cell-2")
    for number, name in enumerate(["b1", "a-1", "a1", "c1"]):
        await truth.create_tenant(new_tenant(name), f"cell-{number % 2 + 1}")
    assert [t.tenant_id for t in await truth.tenants(limit=2)] == ["a-1", "a1"]
    assert [t.tenant_id for t in await truth.tenants(after="a1")] == ["b1", "c1"]
    assert [t.tenant_id for t in await truth.tenants(cell_id="cell-2")] == ["a-1", "c1"]
    assert await truth.tenants(state="suspended") == []


async def test_changes_are_numbered_without_gaps_in_the_order_of_commits(truth: Directory) -> None:
    """Whoever reads "after number n" misses nothing, also while many write at once."""
    await open_cell(truth, capacity_tenants=40)
    await asyncio.gather(*(truth.create_tenant(new_tenant(f"tenant-{n}"), "cell-1") for n in range(30)))
    changes = await truth.changes(0)
    assert [change.seq for change in changes] == list(range(1, 33))
    assert await truth.head() == 32
    names = {change.entry.tenant_id for change in changes if isinstance(change.entry, TenantEntry)}
    assert len(names) == 30


async def test_replaying_changes_over_nothing_gives_the_snapshot(truth: Directory) -> None:
    """Snapshot and stream tell the same story."""
    await open_cell(truth)
    await open_cell(truth, "cell-2")
    tenants = [await truth.create_tenant(new_tenant(name), "cell-1") for name in ("acme", "bolt", "crux")]
    assert tenants[0].assignment is not None
    await truth.limit_tenant("acme", RATE)
    await truth.reassign("acme", tenants[0].assignment.epoch, "cell-2")
    await truth.limit_tenant("crux", Rate(7, 7))
    await truth.change_tenant("bolt", "suspend")
    await truth.applied("bolt", (await truth.change_tenant("bolt", "delete")).revision)
    cells: dict[str, CellEntry] = {}
    homes: dict[str, TenantEntry] = {}
    for change in await truth.changes(0):
        if isinstance(change.entry, CellEntry):
            cells[change.entry.cell_id] = change.entry
        elif change.entry.cell_id is None:
            del homes[change.entry.tenant_id]
        else:
            homes[change.entry.tenant_id] = change.entry
    snapshot = await truth.snapshot()
    assert (snapshot.cells, snapshot.tenants, snapshot.seq) == (cells, homes, await truth.head())


async def test_changes_that_are_no_longer_kept_are_a_gap(truth: Directory) -> None:
    """A reader that is too far behind is told so, and not given a part as if it were all."""
    await open_cell(truth)
    for n in range(5):
        await truth.create_tenant(new_tenant(f"tenant-{n}"), "cell-1")
    assert await truth.forget_changes(keep=2) == 5
    assert [change.seq for change in await truth.changes(5)] == [6, 7]
    assert await truth.changes(7) == []
    for behind_or_ahead in (0, 4, 8):
        with pytest.raises(Gap):
            await truth.changes(behind_or_ahead)


async def test_waiting_ends_when_a_change_comes(truth: Directory) -> None:
    """Nobody polls for changes."""
    await open_cell(truth)
    head = await truth.head()
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        waiting = group.create_task(truth.wait(head, 600.0))
        await asyncio.sleep(0)
        assert not waiting.done()
        await truth.create_tenant(new_tenant(), "cell-1")


async def test_unknown_names_are_not_found(truth: Directory) -> None:
    """Every call that names something answers alike."""
    calls = [
        truth.cell("nobody"),
        truth.tenant("nobody"),
        truth.update_cell("nobody", CellChange(version="2")),
        truth.change_cell("nobody", "open"),
        truth.change_tenant("nobody", "suspend"),
        truth.limit_tenant("nobody", RATE),
        truth.applied("nobody", 1),
        truth.reassign("nobody", 1, "cell-1"),
    ]
    for call in calls:
        with pytest.raises(NotFound):
            await call


async def test_a_waiter_can_be_cancelled_in_the_moment_of_a_change(truth: Directory) -> None:
    """A cancellation that comes together with the event must not get lost: the process would not stop."""
    await open_cell(truth)
    tasks = Tasks()
    for number in range(10):
        waiting = tasks.spawn("wait", truth.wait(await truth.head(), 30.0))
        for _ in range(number):
            await asyncio.sleep(0)
        await truth.create_tenant(new_tenant(f"tenant-{number}"), "cell-1")
        if not waiting.done():
            waiting.cancel()
            await asyncio.wait([waiting], timeout=5.0)
            assert waiting.cancelled()
