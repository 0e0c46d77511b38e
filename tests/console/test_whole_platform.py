"""The commands of the README against a platform with every process real."""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from console.certificates import Maker
from console.platform.platform import Platform
from console.platform.settings import SYSTEM_PORTS, UpSettings
from tests.console.conftest import Cellway
from tests.programs import require_program
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


async def test_tls_is_one_switch_for_the_whole_platform(cellway: Cellway, tmp_path: Path) -> None:
    """Everything works as without; certificates are replaced under traffic; and the switch can be turned back."""
    require_program("openssl", "certificates")
    root, tenants = tmp_path / ".cellway", ("acme", "bolt")
    async with Platform(root, 2, UpSettings(tls=True, **SYSTEM_PORTS)) as platform:
        shown = await cellway("demo", "--tenants", "2", "--json")
        assert shown.code == 0, shown
        assert {one["cell"] for one in shown.json["requests"]} == {"cell-1", "cell-2"}
        for command in ("status", "doctor"):
            ran = await cellway(command)
            assert ran.code == 0, ran
        assert platform.url("cell-1 api").startswith("https://")
        async with aiohttp.ClientSession() as session:
            async with session.get(platform.url("cell-1 api").replace("https", "http")) as answer:
                assert (answer.status, "speaks TLS" in await answer.text()) == (503, True)
            keys = {name: await key_of(platform, session, name) for name in tenants}
            statuses = await asyncio.wait_for(renewed_under_traffic(platform, session, keys), 120)
            assert set(statuses) == {200}
    async with Platform(root, 2, UpSettings(**SYSTEM_PORTS)) as platform, aiohttp.ClientSession() as session:
        assert platform.url("cell-1 api").startswith("http://")
        for name in tenants:

            async def served(name: str = name) -> bool:
                return await read(platform, session, name, keys[name]) == 200

            # A router begins with the addresses that it knew, and hears of others a moment after placement did.
            await eventually(served)


async def key_of(platform: Platform, session: aiohttp.ClientSession, name: str) -> str:
    """The first API key of a new tenant."""
    headers = {"Authorization": f"Bearer {platform.operator_token}"}
    body = {"tenant_id": name, "display_name": name}
    async with session.post(f"{platform.url('placement')}/v1/tenants", json=body, headers=headers) as answer:
        made: dict[str, Any] = await answer.json()
        assert answer.status == 201, made
        return str(made["api_key"])


async def read(platform: Platform, session: aiohttp.ClientSession, name: str, key: str) -> int:
    headers = {"Authorization": f"Bearer {key}"}
    async with session.get(f"{platform.url('router')}/t/{name}/v1/accounts", headers=headers) as answer:
        await answer.read()
        return answer.status


async def renewed_under_traffic(
    platform: Platform, session: aiohttp.ClientSession, keys: dict[str, str]
) -> list[int]:
    """What clients were answered while everybody got another certificate and took it up."""
    statuses, done = list[int](), False

    async def requests(name: str) -> None:
        while not done:
            statuses.append(await read(platform, session, name, keys[name]))

    def renew() -> None:
        maker = Maker(platform.layout.certificates)
        for cell_id in platform.cells:
            maker.cell(cell_id, ("127.0.0.1", "localhost"), renew=True)
        for program in ("router", "placement"):
            maker.program(program, renew=True)

    def taken_up() -> bool:
        of_cells = (f"{cell_id} {kind}" for cell_id in platform.cells for kind in ("api", "worker"))
        parts = ("router", "placement", *of_cells)
        return all("certificate_renewed" in platform.layout.log(name).read_text() for name in parts)

    async with asyncio.TaskGroup() as group:
        for name in keys:
            group.create_task(requests(name))
        await asyncio.to_thread(renew)
        await eventually(taken_up, seconds=60.0)
        count = len(statuses)
        await eventually(lambda: len(statuses) > count + 20, seconds=60.0)
        done = True
    return statuses
