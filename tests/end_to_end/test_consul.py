"""With Consul for real: three servers and an agent. Whatever of them goes, tenants notice nothing."""

import asyncio
import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from console.platform.platform import Platform
from console.platform.settings import SYSTEM_PORTS, UpSettings
from directory.announcing import BEAT_SECONDS
from runtime.absences import FIRST_SECONDS
from runtime.embedded import ports
from runtime.tasks import Tasks
from tests.consuls import ConsulCluster
from tests.end_to_end.actors import Developer, Operator
from tests.end_to_end.writers import writing
from tests.waiting import START_SECONDS, eventually

pytestmark = pytest.mark.platform

LEADER_SECONDS = 10
PARTS = ("placement", "router", "mover", "cell-1 api")
LOOK_SECONDS = 0.05
"""Between two looks at who leads: how exactly it is known for how long two did."""
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
        patch.setenv("CELLWAY_PLACEMENT_LEADER_SECONDS", str(LEADER_SECONDS))
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


async def _pointed(platform: Platform, session: aiohttp.ClientSession) -> int | None:
    """The number of the change that is published, as the router's health page knows it from the pointer."""
    async with session.get(f"{platform.url('router admin')}/health/ready") as response:
        checks = {check["name"]: check for check in (await response.json())["checks"]}
    said = str(checks["pointer"]["detail"])
    return int(said.split()[1]) if checks["pointer"]["ok"] and said.startswith("change ") else None


async def _pointer_goes_on(platform: Platform, operator: Operator, session: aiohttp.ClientSession) -> None:
    """The next change is told."""
    before = await eventually(lambda: _pointed(platform, session), seconds=START_SECONDS)
    await operator.tenant_in("cell-3")

    async def told() -> bool:
        return (await _pointed(platform, session) or 0) > (before or 0)

    await eventually(told, seconds=START_SECONDS)


class Leads:
    """Looks again and again which placements believe that they lead, by their metrics."""

    def __init__(self, session: aiohttp.ClientSession, *admin_urls: str) -> None:
        self._session, self._admin_urls = session, admin_urls
        self._two_since: float | None = None
        self.longest_seconds = 0.0
        """That two of them did."""

    async def now(self) -> int:
        """How many."""
        found, now = sum([await self._one(url) for url in self._admin_urls]), time.monotonic()
        self._two_since = None if found < 2 else now if self._two_since is None else self._two_since
        self.longest_seconds = max(self.longest_seconds, 0.0 if self._two_since is None else now - self._two_since)
        return found

    async def one(self) -> bool:
        """Whether it is one."""
        return await self.now() == 1

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            await self.now()
            await asyncio.sleep(LOOK_SECONDS)

    async def _one(self, url: str) -> int:
        try:
            async with self._session.get(f"{url}/metrics") as response:
                return (await response.text()).count('cellway_placement_leads{resource="placement"} 1.0')
        except (aiohttp.ClientError, OSError):
            return 0


def _environment(pid: int | None) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/environ").read_text(encoding="utf-8").split("\0")
    return dict(line.split("=", 1) for line in lines if "=" in line)


@asynccontextmanager
async def _second_placement(platform: Platform) -> AsyncIterator[str]:
    """One more, told the same as the platform's; where its admin page is."""
    told = _environment(platform.part("placement").pid)
    port = ports.free_port("127.0.0.1")
    told |= {"CELLWAY_PLACEMENT_PORT": "0", "CELLWAY_PLACEMENT_ADMIN_PORT": str(port)}
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "placement", env=told)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        await process.wait()


async def test_an_agent_that_is_killed_and_restarted_costs_no_request_and_leaves_one_leader(
    platform: Platform, operator: Operator, consul: ConsulCluster, session: aiohttp.ClientSession
) -> None:
    """kill -9, while tenants write through the router. Registrations come back, and of two placements one leads.

    Consul may take the agent's machine for dead, and let the other lead before the first has noticed: that one
    stops within its lock's life, and until then the directory refuses what it decides.
    """
    await eventually(lambda: _everybody(operator), seconds=START_SECONDS)
    developers = [await operator.tenant_in(f"cell-{n}") for n in (1, 2)]
    async with _second_placement(platform) as second:
        leads, tasks = Leads(session, platform.url("placement admin"), second), Tasks()

        async def both() -> bool:
            return (await _registered(operator)).count("placement") == 2

        await eventually(both, seconds=START_SECONDS)
        await eventually(leads.one, seconds=START_SECONDS)
        looking = tasks.spawn("look who leads", leads.run())
        async with writing(*developers) as writers:
            consul.agent.kill()
            for writer in writers:
                await writer.goes_on(20)
            consul.agent.start(tuple(consul.servers))
            await eventually(both, seconds=START_SECONDS)
            await eventually(leads.one, seconds=START_SECONDS)
            for writer in writers:
                await writer.goes_on()
        assert not looking.done()
        await tasks.close()
        assert leads.longest_seconds < LEADER_SECONDS
        for writer in writers:
            assert set(writer.statuses) == {201}
            assert await writer.lost() == set()
    await eventually(lambda: _everybody(operator), seconds=START_SECONDS)
    await eventually(lambda: _leader(operator), seconds=START_SECONDS)


async def test_a_cluster_that_loses_its_leader_costs_no_request(
    platform: Platform, operator: Operator, consul: ConsulCluster, session: aiohttp.ClientSession
) -> None:
    """kill -9 of the server that leads, while tenants write. Another is chosen; all goes on, without who is gone.

    Placement leads in the same term, and the pointer goes on.
    """
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
        await _pointer_goes_on(platform, operator, session)
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
        number = await _pointed(platform, session)
        async with session.get(f"{platform.url('router admin')}/health/ready") as response:
            checks = {check["name"]: check for check in (await response.json())["checks"]}
        return number is not None and f"at change {number}," in str(checks["table"]["detail"])

    await eventually(told)


async def test_without_consul_everything_goes_on_as_it_was(
    platform: Platform, operator: Operator, consul: ConsulCluster
) -> None:
    """The agent is killed: tenants are served, placed and moved; a placement that starts serves as well.

    It leads as well, by the lock in the control database. Only who runs is not known. No log repeats itself. When
    the agent is back, each process is registered again, and says so once.
    """
    await eventually(lambda: _everybody(operator), seconds=START_SECONDS)
    developers = [await operator.tenant_in(f"cell-{n}") for n in (1, 2)]
    async with writing(*developers) as writers:
        since, began = datetime.now(UTC).isoformat(), time.monotonic()
        consul.agent.kill()
        pid = platform.part("placement").pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await platform.returned("placement", pid, START_SECONDS)
        # By then somebody could have repeated himself, the placement that has just started as well.
        beaten = time.monotonic() + 2 * BEAT_SECONDS
        newcomer = await operator.tenant_in("cell-2")
        assert (await newcomer.account("first")).status == 201
        assert (await operator.get("/v1/instances")).status == 503
        moved = await _moved(operator, newcomer, "cell-3")
        assert (await moved.account("second")).status == 201
        assert await eventually(lambda: _leader(operator), seconds=START_SECONDS)
        await asyncio.sleep(max(0.0, beaten - time.monotonic()))
        for writer in writers:
            await writer.goes_on()
        # Of placement there were two processes.
        most = 2 + int((time.monotonic() - began) / FIRST_SECONDS)
        for part in PARTS:
            lines = _told(platform, part, "away", since)
            told = Counter((line["what"], line.get("service")) for line in lines)
            assert 1 <= max(told.values(), default=0) <= most, (part, told)
            assert len(_told(platform, part, "task_failed", since)) <= 2, part
        consul.agent.start(tuple(consul.servers))
        await eventually(lambda: _everybody(operator), seconds=START_SECONDS)
        assert await eventually(lambda: _leader(operator), seconds=START_SECONDS)
        for part in PARTS:
            await eventually(lambda part=part: _told(platform, part, "back", since))  # type: ignore[misc]
        for writer in writers:
            await writer.goes_on()
    for writer in writers:
        assert set(writer.statuses) == {201}
        assert await writer.lost() == set()


async def _moved(operator: Operator, developer: Developer, destination: str) -> Developer:
    """By a mover, to the end."""
    answer = await operator.post("/v1/moves", {"tenant_id": developer.tenant_id, "destination": destination})
    assert answer.status in (200, 201), answer.body

    async def lives_there() -> bool:
        return bool((await operator.get(f"/v1/tenants/{developer.tenant_id}")).body["cell_id"] == destination)

    await eventually(lives_there, seconds=START_SECONDS)
    return developer


def _told(platform: Platform, part: str, event: str, since: str) -> list[dict[str, Any]]:
    """The lines of a part's log with this event, from that time on."""
    lines = platform.layout.log(part).read_text(encoding="utf-8").splitlines()
    found = [json.loads(line) for line in lines if line.startswith("{")]
    return [line for line in found if line.get("event") == event and line["timestamp"] >= since]


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
