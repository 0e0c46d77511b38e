"""kill -9 at every boundary of every step of every workflow, there and back.

A step's boundaries: before it acts, when its effect is there and not recorded, when it is recorded. Whatever dies
there, the orchestration ends COMPLETED or ROLLED_BACK, every effect is there once or not at all.
"""

import asyncio
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import groupby, islice
from pathlib import Path

import aiohttp
import asyncpg
import pytest

from cell.errors import CellError, NotAllowed
from runtime.database import Pool
from runtime.embedded.postgres import PostgresServer
from runtime.embedded.redis import RedisServer
from tests.cell.cells import Answer, Client, RunningCell, ask
from tests.cell.crashes.api import BEGIN
from tests.cell.crashes.conftest import ALL, DyingApi, Workers
from tests.cell.crashes.points import DIE, MOMENTS, WAIT, WAIT_AND_DIE, Moment, Points, Way, name_of
from tests.cell.crashes.scenes import SCENES, WAYS, Request, Scene, boundaries
from tests.cell.lifecycle.life import Life, life_on
from tests.cell.orchestrator.stage import Stage, new_stage
from tests.waiting import eventually

OF_A_TENANT = 4
"""Deaths that each orchestration goes through."""
EVERY, EVERY_OF_A_SERVER = (1, 1) if ALL else (13, 31)
"""Of the boundaries so many are one that is used. No multiple of three: each step has as many moments."""
EVERY_OF_A_REQUEST = 2
"""Of the moments at which something is begun: so each is one or two of three."""
FIRST = {"workers": 4, "postgres": 0, "redis": 10, "api": 20}
"""Where each begins, so that together they come to more of them."""
MOST_ROUNDS = 6
Kill = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Boundary:
    """Where somebody is to die."""

    scene: Scene
    way: Way
    step: str
    moment: Moment


@dataclass(frozen=True, slots=True)
class Case:
    """A tenant and what it goes through, by the points' names."""

    scene: Scene
    life: Life
    name: str
    deaths: Mapping[str, Boundary]


def boundaries_for(victim: str) -> list[Boundary]:
    """At which it dies: of all scenes, or a part of them."""
    every = EVERY if victim == "workers" else EVERY_OF_A_SERVER
    found = [
        Boundary(scene, way, step, moment)
        for scene in SCENES
        for way in WAYS
        if way == "act" or scene.cancelled_at
        for step, moment in boundaries(scene, way)
    ]
    return found[FIRST[victim] % every :: every]


async def begun(
    crashing: RunningCell, pool: Pool, points: Points, wanted: Sequence[Boundary], what: str
) -> list[Case]:
    """As many tenants as it takes for each boundary to be somebody's, with their deaths laid."""
    found = []
    for (scene, way), group in groupby(wanted, key=lambda each: (each.scene, each.way)):
        chosen = iter(list(group))
        while taken := list(islice(chosen, OF_A_TENANT)):
            life = life_on(await new_stage(crashing.database, pool))
            await scene.prepare(life)
            tenant_id, workflow = life.stage.tenant_id, scene.workflow.name
            name = await scene.begin(life)
            deaths = {name_of(tenant_id, workflow, each.step, way, each.moment): each for each in taken}
            if way == "undo" and scene.cancelled_at is not None:
                points.lay([name_of(tenant_id, workflow, scene.cancelled_at, "act", "effect")], WAIT_AND_DIE)
            points.lay(deaths, what)
            found.append(Case(scene, life, name, deaths))
    return found


async def outcomes(found: Sequence[Case]) -> list[str | None]:
    """Of each, as far as it has ended."""
    return [(await case.life.stage.seen(case.name)).outcome for case in found]


async def time_passes(found: Sequence[Case]) -> None:
    """What would wait for days, waits no more. Rows that somebody has hold of are left to the next time."""
    for case in found:
        async with case.life.entered() as connection:
            for table in ("orchestrations", "orchestration_steps"):
                await connection.execute(
                    f"UPDATE cell.{table} SET wake_at = now() WHERE ctid = ANY (ARRAY("  # noqa: S608 names of ours
                    f"SELECT ctid FROM cell.{table} WHERE orchestration_id = $1 "
                    "AND wake_at > now() + interval '10 seconds' FOR UPDATE SKIP LOCKED))",
                    case.name,
                )


async def all_ended(found: Sequence[Case], points: Points, kill: Kill | None = None) -> bool:
    """Those who wait to be cancelled are, others go on when something was killed, and nobody waits for days."""
    deaths = {name for case in found for name in case.deaths}
    by_tenant = {case.life.stage.tenant_id: case for case in found}
    waiting = points.waiting()
    if kill is not None and (there := waiting & deaths):
        await asyncio.to_thread(kill)
        for place in there:
            points.go_on(place)
    try:
        for place in waiting - deaths:
            case = by_tenant[place.partition(".")[0]]
            # Whoever waited there may have died of it meanwhile, and others have gone past: then in another round.
            with suppress(NotAllowed):
                await case.life.stage.cancel(case.name, case.scene.workflow)
            points.go_on(place)
        await time_passes(found)
        assert None not in await outcomes(found)
    except (CellError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        # The database has just died, or a worker stands still and has hold of a row.
        raise AssertionError(repr(error)) from error
    return True


async def play(
    crashing: RunningCell,
    pool: Pool,
    points: Points,
    workers: Callable[[], AbstractContextManager[Path]],
    wanted: Sequence[Boundary],
    what: str,
    kill: Kill | None = None,
) -> None:
    """Until each of the boundaries was somebody's end, or that of something else."""
    for _ in range(MOST_ROUNDS):
        found = await begun(crashing, pool, points, wanted, what)
        with workers() as log:
            await eventually(partial(all_ended, found, points, kill), seconds=400.0, every=0.1)
        for case, outcome in zip(found, await outcomes(found), strict=True):
            await case.scene.check(case.life, str(outcome))
            subjects = await case.life.subjects()
            assert len(subjects) == len(set(subjects))
        # Who dies beside another may never come to its own point: then somebody else goes there.
        missed = points.left()
        wanted = [death for case in found for name, death in case.deaths.items() if name in missed]
        points.clear()
        if not wanted:
            return
    raise AssertionError(f"nobody came to {wanted}: {log.read_text()[-5000:]}")


async def test_workers_may_die_at_every_boundary(
    crashing: RunningCell, pool: Pool, points: Points, workers: Workers
) -> None:
    """Others carry on, forward or back, and nothing is doubled or left."""
    await play(crashing, pool, points, lambda: workers(4), boundaries_for("workers"), DIE)


@pytest.fixture
def kills(own_postgres: PostgresServer, own_redis: RedisServer) -> Mapping[str, Kill]:
    """What may die beside the workers; it is back at once, Redis without anything in it."""

    def dies(server: PostgresServer | RedisServer) -> Kill:
        def kill() -> None:
            assert server.child is not None
            server.child.signal(signal.SIGKILL)
            server.child.wait(10.0)
            server.start()

        return kill

    return {"postgres": dies(own_postgres), "redis": dies(own_redis)}


@pytest.mark.parametrize("server", ["postgres", "redis"])
async def test_servers_may_die_at_every_boundary(
    crashing: RunningCell,
    pool: Pool,
    points: Points,
    workers: Workers,
    kills: Mapping[str, Kill],
    server: str,
) -> None:
    """While workers are just there: what they were at goes on once the server is back."""
    await play(crashing, pool, points, lambda: workers(6), boundaries_for(server), WAIT, kills[server])


async def test_the_api_may_die_at_every_boundary(
    crashing: RunningCell, pool: Pool, points: Points, workers: Workers, dying_api: DyingApi
) -> None:
    """Workers need nobody who listens; whoever is back tells what has become of it."""
    await play(crashing, pool, points, lambda: workers(6), boundaries_for("api"), WAIT, dying_api.kill)
    await dying_api.answers()


async def asked(api: DyingApi, request: Request, client: Client) -> Answer | None:
    """Once; None where it dies, or is not there."""
    try:
        if request.by_operator:
            headers = {"Authorization": f"Bearer {api.cell.settings.control_token.get_secret_value()}"}
            url = f"{api.admin_url}/control/v1/{request.path.format(tenant=client.tenant_id)}"
            return await ask(client.session, request.method, url, headers=headers, json=request.body)
        return await client(request.method, request.path, request.body, key=f"key-of-{client.tenant_id}")
    except aiohttp.ClientError:
        return None


async def accepted(api: DyingApi, request: Request, client: Client) -> Answer:
    """As clients do: asked again until there is an answer, by the same key."""

    async def answered() -> Answer:
        answer = await asked(api, request, client)
        assert answer is not None
        assert answer.status != 503, answer
        return answer

    return await eventually(answered, seconds=60.0, every=0.1)


async def test_the_api_may_die_while_it_begins_something(
    crashing: RunningCell, pool: Pool, points: Points, workers: Workers, dying_api: DyingApi
) -> None:
    """Before the row, before it is committed, before anybody is told: whoever asks again begins it once."""
    cases = [(scene, scene.request, moment) for scene in SCENES for moment in MOMENTS if scene.request is not None]
    cases = cases if ALL else cases[::EVERY_OF_A_REQUEST]
    found = []
    for scene, request, moment in cases:
        client = await crashing.tenant()
        client.url = dying_api.url
        life = life_on(Stage(pool, client.tenant_id, client.epoch))
        await scene.prepare(life)
        place = name_of(client.tenant_id, scene.workflow.name, BEGIN, "act", moment)
        points.lay([place], DIE)
        assert (await accepted(dying_api, request, client)).status in (200, 202)
        assert place not in points.left()
        of_it = [row for row in await life.rows("orchestrations") if row["workflow"] == scene.workflow.name]
        assert len(of_it) == 1
        found.append(Case(scene, life, of_it[0]["orchestration_id"], {}))
    with workers(2):
        await eventually(partial(all_ended, found, points), seconds=120.0, every=0.1)
    for case in found:
        await case.scene.check(case.life, "COMPLETED")
