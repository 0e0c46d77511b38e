"""Faults, for real: processes are killed and stopped while clients write."""

import asyncio
import os
import signal
import time

import pytest

from console.platform.platform import Platform
from directory import wire
from tests.end_to_end.actors import Operator
from tests.end_to_end.writers import writing
from tests.waiting import eventually

pytestmark = pytest.mark.platform

KINDS = ["control postgres", "directory redis", "placement", "router"]
KINDS += [f"cell-1 {part}" for part in ("postgres", "redis", "api", "worker")]


@pytest.mark.parametrize("victim", KINDS)
async def test_a_killed_process_comes_back_and_no_acknowledged_write_is_lost(
    platform: Platform, operator: Operator, victim: str
) -> None:
    """kill -9 of each kind of process. Tenants of other cells notice nothing, unless it is the only router."""
    at_home, next_door = await operator.tenant_in("cell-1"), await operator.tenant_in("cell-2")
    async with writing(at_home, next_door) as (one, other):
        await one.goes_on()
        pid = platform.part(victim).pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await platform.returned(victim, pid, 30)
        await one.goes_on()
        await other.goes_on()
    assert await one.lost() == set()
    assert await other.lost() == set()
    if victim != "router":
        assert set(other.statuses) == {201}
    if victim not in ("router", "cell-1 postgres", "cell-1 api"):
        assert set(one.statuses) == {201}


async def test_without_the_control_plane_every_known_tenant_is_served(
    platform: Platform, operator: Operator
) -> None:
    """Control Postgres, placement and the directory's Redis are gone; a router that restarts has its snapshot."""
    developers = [await operator.tenant_in(f"cell-{n}") for n in (1, 2, 3)]
    names = {developer.tenant_id for developer in developers}
    snapshot = platform.layout.snapshot

    def saved() -> bool:
        return snapshot.exists() and names <= set(wire.decode_snapshot(snapshot.read_bytes()).tenants)

    await eventually(saved, seconds=30)
    gone = ("control postgres", "directory redis", "placement")
    await platform.hold(*gone)
    try:
        for developer in developers:
            assert (await developer.account("before")).status == 201
        pid = platform.part("router").pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await platform.returned("router", pid, 30)
        for developer in developers:
            assert (await developer.account("after")).status == 201
            assert (await developer.get("/v1/accounts/before")).status == 200
    finally:
        await platform.release(*gone)
    assert (await operator.get("/v1/cells")).status == 200


@pytest.mark.parametrize("how", ["killed", "frozen"])
async def test_tenants_of_a_stopped_cell_are_told_within_a_second(
    platform: Platform, operator: Operator, how: str
) -> None:
    """503 with `retryable: true`, also when the processes are only frozen; other tenants notice nothing."""
    at_home, next_door = await operator.tenant_in("cell-1"), await operator.tenant_in("cell-2")
    parts = [f"cell-1 {part}" for part in ("api", "worker", "redis", "postgres")]
    async with writing(next_door) as (other,):
        await other.goes_on()
        if how == "killed":
            await platform.hold(*parts)
        else:
            for part in parts:
                os.kill(platform.part(part).pid or 0, signal.SIGSTOP)
        try:
            began = time.monotonic()
            refused = await at_home.get("/v1/accounts")
            print(
                f"told after {time.monotonic() - began:.3f} s"
            )  # the figure is read by people, machines are noisy
            again = await at_home.get("/v1/accounts")
            await other.goes_on(20)
        finally:
            if how == "killed":
                await platform.release(*parts)
            else:
                for part in parts:
                    os.kill(platform.part(part).pid or 0, signal.SIGCONT)
    assert (refused.status, refused.body["retryable"]) == (503, True), refused.body
    assert (again.status, again.body["retryable"]) == (503, True), again.body
    assert set(other.statuses) == {201}
    assert await other.lost() == set()

    async def served() -> bool:
        return (await at_home.get("/v1/accounts")).status == 200

    await eventually(served, seconds=30)


async def test_a_job_survives_its_worker_its_queue_and_its_database(
    platform: Platform, operator: Operator
) -> None:
    """Every namespace that was asked for becomes usable exactly once, whatever dies meanwhile."""
    developer = await operator.tenant_in("cell-1", plan="premium")
    assert (await developer.account("main")).status == 201
    operations = []
    for number in range(30):
        body = {"namespace_id": f"ns-{number}", "display_name": f"Namespace {number}"}
        answer = await developer.post("/v1/accounts/main/namespaces", body)
        assert answer.status == 202, answer.body
        operations.append(answer.body["name"])
        if number in (5, 15, 25):
            victim = {5: "cell-1 worker", 15: "cell-1 redis", 25: "cell-1 postgres"}[number]
            pid = platform.part(victim).pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            await platform.returned(victim, pid, 30)

    async def state(operation: str) -> str:
        answer = await developer.get(f"/v1/{operation}")
        return str(answer.body["state"]) if answer.status == 200 else "UNKNOWN"

    async def all_done() -> bool:
        states = await asyncio.gather(*(state(operation) for operation in operations))
        assert set(states) == {"SUCCEEDED"}
        return True

    await eventually(all_done, seconds=60, every=0.2)
    page = await developer.get("/v1/accounts/main/namespaces?page_size=100")
    assert {(n["name"], n["state"]) for n in page.body["namespaces"]} == {
        (f"accounts/main/namespaces/ns-{number}", "ACTIVE") for number in range(30)
    }
    usage = await developer.get("/v1/usage?meter=namespaces_created")
    assert usage.body["total"] == 30
