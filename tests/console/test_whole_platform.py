"""The commands of the README against a platform with every process real."""

from pathlib import Path

import pytest

from console.platform.platform import Platform
from console.platform.settings import SYSTEM_PORTS, UpSettings
from tests.console.conftest import Cellway
from tests.waiting import eventually

pytestmark = pytest.mark.platform


async def test_demo_status_and_doctor_on_a_running_platform(cellway: Cellway, tmp_path: Path) -> None:
    """Everything is found in the folder `.cellway` here; nothing has to be said."""
    async with Platform(tmp_path / ".cellway", 2, UpSettings(**SYSTEM_PORTS)):
        shown = await cellway("demo", "--tenants", "2", "--json")
        assert shown.code == 0, shown
        served = shown.json["requests"]
        homes = {tenant["tenant_id"]: tenant["cell_id"] for tenant in shown.json["tenants"]}
        assert set(homes.values()) == {"cell-1", "cell-2"}
        assert all(one["cell"] == homes[one["tenant"]] for one in served)
        assert {one["status"] for one in served} == {200, 201, 202}
        status = await cellway("status")
        assert status.code == 0, status
        assert all(part in status.out for part in ("control postgres", "router", "mover", "cell-2 worker"))

        async def well() -> bool:
            doctor = await cellway("doctor")
            assert doctor.code == 0, doctor
            assert "follows the directory" in doctor.out
            return True

        await eventually(well)
    assert (await cellway("status")).code == 3
