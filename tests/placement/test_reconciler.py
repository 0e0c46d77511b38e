"""One round after another: nobody waits behind one who fails for ever."""

from collections.abc import AsyncIterator

import pytest

from directory.control.client import CellControl
from directory.errors import Unavailable, Unfinished
from directory.memory import MemoryDirectory
from directory.values import CellChange, NewTenant, Tenant
from placement.carrying import Carried, Carrier
from placement.reach import Reach
from placement.reconciler import Reconciler
from runtime.backoff import Backoff
from tests.placement.conftest import StartCell
from tests.placement.fake_cell import CONTROL_KEY, FakeCell

AT_ONCE = Backoff(initial_seconds=0.0, cap_seconds=0.0, floor_seconds=0.0)
NEVER_AGAIN = Backoff(initial_seconds=1000.0, cap_seconds=1000.0, floor_seconds=1000.0)


@pytest.fixture
async def control() -> AsyncIterator[CellControl]:
    """Calls to cells."""
    made = CellControl(CONTROL_KEY)
    yield made
    await made.close()


@pytest.fixture
async def made(start_cell: StartCell) -> FakeCell:
    """A cell."""
    return await start_cell()


@pytest.fixture
async def truth(made: FakeCell) -> MemoryDirectory:
    """A directory in which the cell is open."""
    directory = MemoryDirectory()
    await directory.register_cell(made.new())
    await directory.change_cell("cell-1", "open")
    return directory


async def _unsettled(truth: MemoryDirectory) -> list[str]:
    return [tenant.tenant_id for tenant in await truth.unsettled()]


async def _many(truth: MemoryDirectory, *names: str) -> None:
    for name in names:
        await truth.create_tenant(NewTenant(name, name.title()), "cell-1")


@pytest.mark.parametrize("how", ["failing", "hanging"])
async def test_one_tenant_whose_orders_fail_holds_up_nobody_else_of_its_cell(
    truth: MemoryDirectory, made: FakeCell, control: CellControl, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cell answers when it is asked who it is, so it is not silent, and its other tenants go on."""
    monkeypatch.setattr("placement.carrying.CARRY_SECONDS", 0.2)
    made.broken["poison"] = how  # type: ignore[assignment]
    await _many(truth, "poison", "one", "two", "three")
    reach = Reach()
    await Reconciler(truth, Carrier(truth, control, reach), backoff=NEVER_AGAIN).round()
    assert await _unsettled(truth) == ["poison"]
    assert not reach.silent()


async def test_a_cell_that_does_not_say_who_it_is_either_is_left_alone(
    truth: MemoryDirectory, made: FakeCell, control: CellControl
) -> None:
    """After the first failure, with all its tenants; new tenants avoid it."""
    made.mode = "failing"
    await _many(truth, "one", "two")
    reach = Reach()
    reconciler = Reconciler(truth, Carrier(truth, control, reach), backoff=NEVER_AGAIN)
    await reconciler.round()
    assert reach.silent().keys() == {"cell-1"}
    made.mode = "well"
    await reconciler.round()
    assert made.told == 0


async def test_an_address_where_nobody_listens_makes_the_cell_silent(
    truth: MemoryDirectory, control: CellControl
) -> None:
    """No connection is about the cell, and not about the order."""
    await _many(truth, "one")
    await truth.update_cell("cell-1", CellChange(control_address="http://127.0.0.1:1"))
    reach = Reach()
    await Reconciler(truth, Carrier(truth, control, reach)).round()
    assert reach.silent().keys() == {"cell-1"}


async def test_a_deletion_of_many_rows_lets_others_in_between_its_calls(
    truth: MemoryDirectory, made: FakeCell, control: CellControl
) -> None:
    """The cell says that there is more to do: that is no failure, and is continued in the next round."""
    reach = Reach()
    carrier = Carrier(truth, control, reach)
    reconciler = Reconciler(truth, carrier)
    await _many(truth, "huge")
    await reconciler.round()
    await truth.change_tenant("huge", "suspend")
    deleted = await truth.change_tenant("huge", "delete")
    made.deletions_left = 3
    with pytest.raises(Unfinished):
        await carrier.carry_out(deleted)
    await _many(truth, "small")
    await reconciler.round()
    assert await _unsettled(truth) == ["huge"]
    for _ in range(2):
        await reconciler.round()
    assert await _unsettled(truth) == []
    assert (made.fences["huge"].state, reach.silent()) == ("moved", {})


class _Told(Carrier):
    """Notes who is carried, in which order; what `wrong` names fails."""

    def __init__(self, truth: MemoryDirectory, wrong: dict[str, Exception]) -> None:
        super().__init__(truth, CellControl(CONTROL_KEY), Reach())
        self.wrong, self.order = wrong, list[str]()

    async def carry_out(self, tenant: Tenant, first_key_seed: str | None = None) -> Carried:
        self.order.append(tenant.tenant_id)
        if tenant.tenant_id in self.wrong:
            raise self.wrong[tenant.tenant_id]
        return Carried(tenant)


async def test_who_was_tried_longest_ago_comes_first(
    truth: MemoryDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A turn that ends before everybody was tried is continued with the others, however old a decision is."""
    monkeypatch.setattr("placement.reconciler.TURN_MOST", 1)
    monkeypatch.setattr("placement.reconciler.PAGE", 2)
    await _many(truth, "poison", "one", "two")
    carrier = _Told(truth, {"poison": Unavailable("not now")})
    reconciler = Reconciler(truth, carrier, backoff=AT_ONCE)
    for _ in range(4):
        await reconciler.round()
    assert carrier.order == ["poison", "one", "two", "poison"]


async def test_a_turn_ends_in_time_and_the_round_with_it(
    truth: MemoryDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cell whose orders are slow must not hold up the round of all cells."""
    monkeypatch.setattr("placement.reconciler.TURN_SECONDS", -1.0)
    await _many(truth, "one", "two")
    carrier = _Told(truth, {})
    await Reconciler(truth, carrier).round()
    assert carrier.order == []


async def test_an_error_that_nobody_foresaw_ends_neither_the_round_nor_the_turn(truth: MemoryDirectory) -> None:
    """It is that tenant's, it is logged, and it is left alone for a while."""
    await _many(truth, "broken", "one")
    carrier = _Told(truth, {"broken": RuntimeError("a fault of ours")})
    reconciler = Reconciler(truth, carrier, backoff=NEVER_AGAIN)
    for _ in range(2):
        await reconciler.round()
    assert carrier.order == ["broken", "one", "one"]


class _Meanwhile(CellControl):
    """Somebody else deletes the tenant in between the answer that it is not here and its opening."""

    async def put_tenant(self, cell, tenant_id, order):  # type: ignore[no-untyped-def]
        """Late."""
        await super().put_tenant(cell, tenant_id, order)
        await super().delete_tenant(cell, tenant_id, order.epoch, order.revision)
        return await super().put_tenant(cell, tenant_id, order)


async def test_two_that_delete_a_tenant_which_was_never_opened_do_not_suspect_the_cell(
    truth: MemoryDirectory, made: FakeCell
) -> None:
    """The one who comes second finds the deletion done, which is no later decision that the directory lost."""
    await _many(truth, "acme")
    await truth.change_tenant("acme", "suspend")
    deleted = await truth.change_tenant("acme", "delete")
    control = _Meanwhile(CONTROL_KEY)
    carried = await Carrier(truth, control, Reach()).carry_out(deleted)
    assert (carried.tenant.assignment, made.fences["acme"].state) == (None, "moved")
    await control.close()
