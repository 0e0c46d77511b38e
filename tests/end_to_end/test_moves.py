"""A tenant moves while it is written to: nobody is refused, nothing is lost, and there is a way back."""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from console.platform.platform import Platform
from directory.control.client import CellControl
from directory.control.contract import FenceReport
from directory.values import Cell
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


async def test_a_move_is_looked_at_before_it_is_and_leaves_no_trace(
    operator: Operator, desk: Desk, platform: Platform, project_root: Path
) -> None:
    """With the tenant's own rows, of real cells; and no sooner is it said without --plan than it is a move."""
    developer = await operator.tenant_in("cell-1")
    for number in range(5):
        assert (await developer.account(f"account-{number}")).status == 201

    async def seen() -> tuple[object, ...]:
        tenant = (await operator.get(f"/v1/tenants/{developer.tenant_id}")).body
        moves = await desk.moves.moves(tenant_id=developer.tenant_id)
        return moves, tenant, await fences(platform, developer.tenant_id)

    async def planned(*words: str) -> tuple[int | None, str]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "console", "moves", "start", developer.tenant_id, *words, "--plan"),
            *("--root", str(platform.layout.root)), cwd=project_root, stdout=PIPE,
        )  # fmt: skip
        out, _ = await asyncio.wait_for(process.communicate(), 30)
        return process.returncode, out.decode()

    before = await seen()
    assert before[0] == []
    code, out = await planned("--to", "cell-2")
    assert (code, "✓ nothing is in the way" in out, "cell-1 → cell-2" in out) == (0, True, True), out
    assert ["cell.accounts", "5"] in [line.split()[:2] for line in out.splitlines()]
    found = json.loads((await planned("--to", "cell-2", "--json"))[1])
    sizes = {table["relation"]: (table["rows"], table["estimated"]) for table in found["tables"]}
    assert (sizes["cell.accounts"], sizes["cell.exports"]) == ((5, False), (0, False))
    code, out = await planned("--to", "cell-1")
    assert (code, f"{developer.tenant_id} lives in cell cell-1 already" in out) == (1, True), out
    assert await seen() == before
    move = await desk.moved(developer.tenant_id, "cell-2")
    assert (move.proof["rows"].keys(), move.proof["rows"]["cell.accounts"]) == (sizes.keys(), 5)
    measured = json.loads((await planned("--to", "cell-3", "--json"))[1])
    assert measured["measured_moves"] >= 1
    assert measured["pause_p50_ms"] > 0
    assert any(move.move_id in why for why in measured["obstacles"])
    await desk.confirmed(move)


async def fences(platform: Platform, tenant_id: str) -> list[FenceReport]:
    """Of a tenant, in all cells, with the moves that hold them."""
    secrets = json.loads((platform.layout.root / "secrets.json").read_text())["values"]
    control, now, found = CellControl(secrets["control_key"]), datetime.now(UTC), list[FenceReport]()
    for name in ("cell-1", "cell-2", "cell-3"):
        url = platform.url(f"{name} api admin")
        cell = Cell(name, "local", "open", url, url, 10, 0, "", (), now, now)
        found += [each for each in (await control.fences(cell)).fences if each.tenant_id == tenant_id]
    await control.close()
    return found
