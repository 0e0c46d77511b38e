"""A tenant moves while it is written to: nobody is refused, nothing is lost, and there is a way back."""

from collections.abc import AsyncIterator

import pytest

from console.platform.platform import Platform
from tests.end_to_end.actors import Operator
from tests.end_to_end.movers import Desk, desk_of
from tests.end_to_end.writers import writing

pytestmark = pytest.mark.platform


@pytest.fixture
async def desk(platform: Platform) -> AsyncIterator[Desk]:
    """Where moves are asked for."""
    async with desk_of(platform) as made:
        yield made


async def test_a_tenant_moves_to_and_fro_while_it_is_written_to(operator: Operator, desk: Desk) -> None:
    """Every write is answered with success, by whichever cell has the tenant, and found afterwards."""
    developer, bystander = await operator.tenant_in("cell-1"), await operator.tenant_in("cell-1")
    async with writing(developer, bystander) as writers:
        for cell_id in ("cell-2", "cell-3", "cell-1"):
            await writers[0].goes_on(20)
            move = await desk.moved(developer.tenant_id, cell_id)
            assert move.proof["equal"]
            assert move.pause_ms is not None
            await writers[0].goes_on(20)
            await desk.confirmed(move)
            at = await operator.get(f"/v1/tenants/{developer.tenant_id}")
            assert at.body["cell_id"] == cell_id
    for writer in writers:
        assert set(writer.statuses) == {201}
        assert await writer.lost() == set()


async def test_a_reverse_loses_no_write_that_was_made_since(operator: Operator, desk: Desk) -> None:
    """It goes on from the rows that were left, and copies none again."""
    developer = await operator.tenant_in("cell-1")
    async with writing(developer) as [writer]:
        await writer.goes_on(20)
        move = await desk.moved(developer.tenant_id, "cell-2")
        await writer.goes_on(20)
        back = await desk.moved(developer.tenant_id, "cell-1", reverses=move)
        await writer.goes_on(20)
        assert back.progress["rows_copied"] == 0
        await desk.until(move, "REVERSED")
        await desk.confirmed(back)
    assert set(writer.statuses) == {201}
    assert await writer.lost() == set()


async def test_the_operator_goes_on_deciding_about_a_tenant_that_has_moved(operator: Operator, desk: Desk) -> None:
    """Its new cell carries decisions out, and gives it up in the end."""
    developer = await operator.tenant_in("cell-1")
    await desk.confirmed(await desk.moved(developer.tenant_id, "cell-2"))
    path = f"/v1/tenants/{developer.tenant_id}"
    for verb, status in (("suspend", 403), ("resume", 200)):
        assert (await operator.post(f"{path}:{verb}")).status == 200
        assert (await developer.get("/v1/accounts")).status == status
        assert (await operator.get(path)).body["settled"]
    assert (await operator.post(f"{path}:suspend")).status == 200
    assert (await operator.call("DELETE", path)).status in (200, 202)


async def test_what_is_cancelled_before_the_switch_changes_nothing(operator: Operator, desk: Desk) -> None:
    """Also one that waits, ready, for the operator's word."""
    developer = await operator.tenant_in("cell-1")
    before = (await operator.get(f"/v1/tenants/{developer.tenant_id}")).body
    async with writing(developer) as [writer]:
        move = await desk.begin(developer.tenant_id, "cell-2", hold=True)
        await desk.until(move, "READY")
        await writer.goes_on(20)
        await desk.moves.ask(move.move_id, "cancel")
        await desk.until(move, "ABORTED")
        await writer.goes_on(20)
    assert (await operator.get(f"/v1/tenants/{developer.tenant_id}")).body == before
    assert set(writer.statuses) == {201}
    assert await writer.lost() == set()
    assert (await desk.confirmed(await desk.moved(developer.tenant_id, "cell-2"))).phase == "DONE"
