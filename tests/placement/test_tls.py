"""Placement and cells that know each other by certificates of their fleet."""

import dataclasses

import pytest

from directory.control.client import CellControl, Certificates
from directory.errors import NotTrusted, Silent, Unavailable
from directory.memory import MemoryDirectory
from directory.values import Cell
from runtime.errors import StartFailed
from tests.fleets import Fleet
from tests.placement.conftest import StartCell, StartPlacement
from tests.placement.fake_cell import CONTROL_KEY, FakeCell


async def known(cell: FakeCell) -> Cell:
    """As the directory has it."""
    truth = MemoryDirectory()
    await truth.register_cell(cell.new())
    return await truth.cell(cell.cell_id)


async def refusal(control: CellControl, cell: Cell) -> Unavailable:
    """Why it is not called, or does not answer."""
    with pytest.raises(Unavailable) as refused:
        await control.cell(cell)
    await control.close()
    return refused.value


async def test_a_cell_proves_itself_and_takes_tenants_over_tls(
    fleet: Fleet, start_placement: StartPlacement, start_cell: StartCell
) -> None:
    """By its certificate, and by its control token as without."""
    placement = await start_placement(CELL_TLS_FOLDER=str(fleet.program("placement")))
    made = await start_cell("cell-1", tls=fleet.serving().port("control", strangers=True))
    answer = await placement("POST", "/v1/cells", made.body())
    assert (answer.status, answer.body["state"], answer.body["remark"]) == (201, "open", None)
    assert (await placement.create("acme")).status == 201
    ready = (await placement("GET", f"{placement.admin_url}/health/ready")).body
    [check] = [check for check in ready["checks"] if check["name"] == "certificates"]
    assert (check["ok"], check["detail"][:6]) == (True, "until ")


async def test_an_address_without_tls_is_refused_unless_the_fleet_changes_over(
    fleet: Fleet, start_placement: StartPlacement, start_cell: StartCell
) -> None:
    """When it is told, with what to do instead."""
    folder = str(fleet.program("placement"))
    placement, plain = await start_placement(CELL_TLS_FOLDER=folder), await start_cell("cell-1")
    answer = await placement("POST", "/v1/cells", plain.body())
    assert (answer.status, answer.body["field"]) == (400, "address")
    assert "is not encrypted, and CELLWAY_PLACEMENT_CELL_TLS_FOLDER wants TLS" in answer.body["message"]
    meanwhile = await start_placement(CELL_TLS_FOLDER=folder, CELL_TLS_ONLY="false")
    answer = await meanwhile("POST", "/v1/cells", plain.body())
    assert (answer.status, answer.body["state"]) == (201, "open")
    late = await placement("PATCH", "/v1/cells/cell-1", {"address": "http://127.0.0.1:7"})
    assert late.status == 400


async def test_a_cells_address_is_not_changed_to_one_with_another_certificate(
    fleet: Fleet, start_placement: StartPlacement, start_cell: StartCell
) -> None:
    """One that is silent may come back there; one that shows somebody else's certificate is somebody else."""
    placement = await start_placement(CELL_TLS_FOLDER=str(fleet.program("placement")))
    made = await start_cell("cell-1", tls=fleet.serving().port("control", strangers=True))
    assert (await placement("POST", "/v1/cells", made.body())).body["state"] == "open"
    other = await start_cell("cell-2", tls=fleet.serving("cell-2").port("control", strangers=True))
    answer = await placement("PATCH", "/v1/cells/cell-1", {"control_address": other.url})
    assert (answer.status, answer.body["code"]) == (409, "FAILED_PRECONDITION")
    assert "its certificate is another's" in answer.body["message"]
    silent = await placement("PATCH", "/v1/cells/cell-1", {"control_address": "https://127.0.0.1:1"})
    assert silent.status == 200


async def test_whatever_is_wrong_with_tls_is_told_and_may_be_tried_again(
    fleet: Fleet, start_cell: StartCell
) -> None:
    """The decision waits until somebody has mended it."""
    certificates = Certificates(fleet.calling("placement"))
    secure = await start_cell("cell-1", tls=fleet.serving().port("control"))
    plain = await start_cell("cell-1")
    cell, other = await known(secure), await known(plain)
    error = await refusal(CellControl(CONTROL_KEY, certificates), dataclasses.replace(cell, cell_id="cell-2"))
    assert isinstance(error, NotTrusted)
    error = await refusal(CellControl(CONTROL_KEY, certificates), other)
    assert isinstance(error, Silent)
    assert "is not called: http://127.0.0.1" in str(error)
    speaks_none = dataclasses.replace(other, control_address=plain.url.replace("http://", "https://"))
    error = await refusal(CellControl(CONTROL_KEY, certificates), speaks_none)
    assert isinstance(error, Silent)
    assert "it speaks no TLS" in str(error)
    told_none = dataclasses.replace(cell, control_address=secure.url.replace("https://", "http://"))
    assert "this port speaks TLS" in str(await refusal(CellControl(CONTROL_KEY), told_none))
    assert secure.told == plain.told == 0


async def test_a_caller_that_the_cell_does_not_accept_learns_why(
    fleet: Fleet, start_cell: StartCell, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """By the cell's own word for it, not as a connection that broke."""
    other = Fleet(tmp_path_factory.mktemp("other"))
    calling = other.calling("placement")
    calling.context.load_verify_locations(fleet.authority)
    cell = await known(await start_cell("cell-1", tls=fleet.serving().port("control")))
    error = await refusal(CellControl(CONTROL_KEY, Certificates(calling)), cell)
    assert "its ca.pem does not hold the authority that signed our certificate" in str(error)


async def test_a_placement_with_a_broken_folder_does_not_start(start_placement: StartPlacement) -> None:
    """It says which file, and which setting."""
    with pytest.raises(StartFailed, match=r"nowhere/ca\.pem is missing: CELLWAY_PLACEMENT_CELL_TLS_FOLDER"):
        await start_placement(CELL_TLS_FOLDER="nowhere")
