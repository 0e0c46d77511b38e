"""With Consul for real: three servers and an agent. Whatever of them goes, tenants notice nothing."""

import os
import signal
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from console.platform.platform import Platform
from console.platform.settings import SYSTEM_PORTS, UpSettings
from tests.consuls import ConsulCluster
from tests.end_to_end.actors import Operator
from tests.end_to_end.writers import writing
from tests.waiting import START_SECONDS, eventually

pytestmark = pytest.mark.platform

EVERYBODY = [*["cell"] * 3, "mover", "placement", "router", *["worker"] * 3]


@pytest.fixture(scope="module")
async def consul(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ConsulCluster]:
    """Three servers, of which one leads, and an agent."""
    cluster = ConsulCluster(tmp_path_factory.mktemp("consuls"))
    await cluster.start()
    yield cluster
    cluster.stop()


@pytest.fixture(scope="module")
async def platform(tmp_path_factory: pytest.TempPathFactory, consul: ConsulCluster) -> AsyncIterator[Platform]:
    """Three cells, whose processes announce themselves; placement leads by a lock in Consul."""
    root = tmp_path_factory.mktemp("platform") / ".cellway"
    settings = UpSettings(**SYSTEM_PORTS).model_copy(update={"consul": consul.agent.url})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CELLWAY_PLACEMENT_LEADER_SECONDS", "10")
        async with Platform(root, 3, settings) as running:
            yield running


@pytest.fixture
def operator(platform: Platform, session: aiohttp.ClientSession) -> Operator:
    """Whoever runs it."""
    return Operator(session, platform)


async def _registered(operator: Operator) -> list[str]:
    answer = await operator.get("/v1/instances")
    return sorted(one["service"] for one in answer.body["instances"]) if answer.status == 200 else []


async def _everybody(operator: Operator) -> bool:
    return await _registered(operator) == EVERYBODY


async def _leader(operator: Operator) -> dict[str, Any] | None:
    answer = await operator.get("/v1/leaders")
    leaders = answer.body["leaders"] if answer.status == 200 else []
    return next((leader for leader in leaders if leader["leads"]), None)


async def test_a_cluster_that_loses_its_leader_costs_no_request(operator: Operator, consul: ConsulCluster) -> None:
    """kill -9 of the server that leads, while tenants write. Another is chosen; placement leads in the same
    term."""
    await eventually(lambda: _everybody(operator), seconds=START_SECONDS)
    term = await eventually(lambda: _leader(operator), seconds=START_SECONDS)
    developers = [await operator.tenant_in(f"cell-{n}") for n in (1, 2)]
    async with writing(*developers) as writers:
        gone = await consul.leader()
        gone.kill()
        for writer in writers:
            await writer.goes_on()

        async def chosen() -> bool:
            return await consul.leader() is not gone

        await eventually(chosen, seconds=START_SECONDS)
        newcomer = await operator.tenant_in("cell-1")
        assert (await newcomer.account("first")).status == 201
        assert await eventually(lambda: _leader(operator), seconds=START_SECONDS) == term
        consul.start_one(gone)
        await gone.ready()
        for writer in writers:
            await writer.goes_on()
    for writer in writers:
        assert set(writer.statuses) == {201}
        assert await writer.lost() == set()


async def test_routers_compare_what_they_have_with_what_was_published(
    platform: Platform, operator: Operator, session: aiohttp.ClientSession
) -> None:
    """By the pointer in Consul, which placement moves on with each change."""
    await operator.tenant_in("cell-1")

    async def told() -> bool:
        async with session.get(f"{platform.url('router admin')}/health/ready") as response:
            checks = {check["name"]: check for check in (await response.json())["checks"]}
        pointer, table = checks["pointer"], checks["table"]
        number = str(pointer["detail"]).removeprefix("change ").removesuffix(" is published")
        return bool(pointer["ok"]) and f"at change {number}," in str(table["detail"])

    await eventually(told)


async def test_without_consul_everything_goes_on_as_it_was(
    platform: Platform, operator: Operator, consul: ConsulCluster
) -> None:
    """The agent is killed: tenants are served, placed and moved into cells; a placement that starts serves as
    well.

    Only nobody leads, and who runs is not known. When the agent is back, each process is registered again.
    """
    await eventually(lambda: _everybody(operator), seconds=START_SECONDS)
    developers = [await operator.tenant_in(f"cell-{n}") for n in (1, 2)]
    async with writing(*developers) as writers:
        consul.agent.kill()
        pid = platform.part("placement").pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await platform.returned("placement", pid, START_SECONDS)
        newcomer = await operator.tenant_in("cell-2")
        assert (await newcomer.account("first")).status == 201
        assert (await operator.get("/v1/instances")).status == 503
        for writer in writers:
            await writer.goes_on()
        consul.agent.start(tuple(consul.servers))
        await eventually(lambda: _everybody(operator), seconds=START_SECONDS)
        assert await eventually(lambda: _leader(operator), seconds=START_SECONDS)
        for writer in writers:
            await writer.goes_on()
    for writer in writers:
        assert set(writer.statuses) == {201}
        assert await writer.lost() == set()


async def test_a_cell_whose_api_is_gone_is_down_in_the_eyes_of_all(platform: Platform, operator: Operator) -> None:
    """Consul sees none of its processes any more, and it does not answer placement: the doctor says so, until it
    is back."""

    async def found() -> str | None:
        checks = (await operator.get("/v1/checks")).body["checks"]
        line = next(check for check in checks if check["name"].startswith("cells are well"))
        return None if line["ok"] else str(line["detail"])

    async def well() -> bool:
        return await found() is None

    async def is_down() -> bool:
        said = await found() or ""
        return "cell-2 is down" in said and "none of its processes is registered" in said

    await eventually(well, seconds=START_SECONDS)
    await platform.hold("cell-2 api")
    try:
        await eventually(is_down, seconds=START_SECONDS)
    finally:
        await platform.release("cell-2 api")
    await eventually(well, seconds=START_SECONDS)
