"""A customer from the operator's command to a namespace that can be used; gone, and back."""

import asyncio
import contextlib
import json
import os
import secrets
import signal
import sys
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from console.platform.platform import Platform
from loadtests.onboarding.effects import faults
from tests.end_to_end.actors import Developer, Operator
from tests.waiting import eventually

pytestmark = pytest.mark.platform


async def _cellway(platform: Platform, project_root: Path, *words: str) -> tuple[int, str, str]:
    """A process of its own, as operators start it."""
    command = (sys.executable, "-m", "console", *words, "--root", str(platform.layout.root))
    process = await asyncio.create_subprocess_exec(*command, cwd=project_root, stdout=PIPE, stderr=PIPE)
    async with asyncio.timeout(90):
        out, complaints = await process.communicate()
    return process.returncode or 0, out.decode(), complaints.decode()


def _wish(name: str) -> dict[str, Any]:
    customer = {
        "email": f"ann@{name}.example",
        "display_name": name,
        "account_id": "main",
        "namespace_id": "prod",
        "trial_days": 14,
    }
    return {"tenant_id": name, "display_name": name, "customer": customer}


async def test_a_customer_comes_leaves_and_comes_back(
    platform: Platform, operator: Operator, session: aiohttp.ClientSession, project_root: Path
) -> None:
    """One command each: served at once, refused while leaving, served again; and what was made is still there."""
    name = f"acme-{secrets.token_hex(3)}"
    words = ("tenants", "onboard", name, "--email", "ann@acme.example", "--plan", "premium", "--json")
    code, out, complaints = await _cellway(platform, project_root, *words)
    assert code == 0, complaints
    made: dict[str, Any] = json.loads(out)
    assert (made["state"], made["operation"]) == ("SUCCEEDED", "op-onboarding-1")
    developer = Developer(session, platform, name, made["api_key"], made["cell_id"])
    namespace = (await developer.get("/v1/accounts/main/namespaces/prod")).body
    assert (namespace["state"], namespace["endpoint"]) == ("ACTIVE", made["endpoint"])
    subscription = (await developer.get("/v1/subscription")).body
    assert (subscription["plan"], subscription["state"]) == ("premium", "TRIAL")
    assert (await developer.account("second")).status == 201

    code, again, complaints = await _cellway(platform, project_root, *words)
    assert (code, json.loads(again)["state"]) == (0, "COMPLETED"), complaints

    async def is_served(status: int) -> bool:
        return (await developer.get("/v1/accounts/second")).status == status

    for _ in range(2):
        code, _out, complaints = await _cellway(platform, project_root, "tenants", "offboard", name)
        assert code == 0, complaints
        await eventually(lambda: is_served(403))
    code, _out, complaints = await _cellway(platform, project_root, "tenants", "offboard", name, "--cancel")
    assert code == 0, complaints
    await eventually(lambda: is_served(200))
    assert (await developer.get("/v1/subscription")).body["state"] == "TRIAL"
    assert (await operator.get(f"/v1/tenants/{name}")).body["settled"]


async def test_a_customer_is_onboarded_although_its_cell_died_while_it_came(
    platform: Platform, operator: Operator, session: aiohttp.ClientSession
) -> None:
    """Placement has recorded both; the tenant is opened and the customer onboarded when the cell is back."""
    name = f"late-{secrets.token_hex(3)}"
    body = _wish(name)
    parts = [f"{cell} api" for cell in platform.cells]
    await platform.hold(*parts)
    try:
        asked = await operator.post("/v1/tenants", body, key=name)
        assert (asked.status, asked.body["retryable"]) == (503, True)
    finally:
        await platform.release(*parts)

    async def is_settled() -> bool:
        return bool((await operator.get(f"/v1/tenants/{name}")).body["settled"])

    await eventually(is_settled, seconds=40)
    made = (await operator.post("/v1/tenants", body, key=name)).body
    developer = Developer(session, platform, name, made["api_key"], made["cell_id"])

    async def is_active() -> bool:
        found = await developer.get("/v1/accounts/main/namespaces/prod")
        return found.status == 200 and found.body["state"] == "ACTIVE"

    await eventually(is_active, seconds=20)
    assert len((await developer.get("/v1/accounts")).body["accounts"]) == 1


@pytest.mark.parametrize(
    "victim", ["placement", "control postgres", "cell-1 api", "cell-1 worker", "cell-1 postgres"]
)
async def test_customers_who_come_while_a_process_is_killed_all_come_once(
    platform: Platform, operator: Operator, victim: str
) -> None:
    """kill -9 in their midst: clients repeat their one request until it is answered; each effect is there once."""
    names = [f"crowd-{secrets.token_hex(4)}" for _ in range(12)]
    homes: dict[str, list[str]] = {}

    async def comes(name: str) -> None:
        async def is_answered() -> bool:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                answer = await operator.post("/v1/tenants", _wish(name), key=name)
                assert answer.status == 201, answer.body
                homes.setdefault(answer.body["cell_id"], []).append(name)
                return True
            return False

        await eventually(is_answered, seconds=40, every=0.1)

    async def killed() -> None:
        pid = platform.part(victim).pid
        assert pid is not None
        await eventually(lambda: homes, seconds=20, every=0.005)
        os.kill(pid, signal.SIGKILL)
        await platform.returned(victim, pid, 30)

    async with asyncio.TaskGroup() as group:
        group.create_task(killed())
        for name in names:
            group.create_task(comes(name))
    assert sorted(name for found in homes.values() for name in found) == sorted(names)

    async def is_whole(cell_id: str) -> bool:
        found = await faults(platform, cell_id, homes[cell_id])
        assert not found
        return True

    for cell_id in homes:
        await eventually(lambda cell_id=cell_id: is_whole(cell_id), seconds=30, every=0.2)
