"""kill -9 at every boundary of every step of every workflow, there and back.

A step's boundaries: before it acts, when its effect is there and not recorded, when it is recorded. Whatever dies
there, the orchestration ends COMPLETED or ROLLED_BACK, every effect is there once or not at all.
"""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby, islice

import asyncpg
import pytest

from cell.database import COMMAND_SECONDS
from cell.errors import CellError, Unavailable
from cell.orchestrator.starting import start
from cell.rules.workflows import Kind, Workflow
from cell.workflows import beginning, offboarding, onboarding, plan_change, suspension, trial
from cell.workflows.provisioning import PROVISION, RELEASE
from runtime.database import Pool, open_pool
from runtime.embedded.postgres import PostgresServer
from runtime.embedded.redis import RedisServer
from tests.cell.cells import RunningCell
from tests.cell.crashes.conftest import ALL, Workers
from tests.cell.crashes.points import DIE, MOMENTS, WAIT, WAIT_AND_DIE, Moment, Points, Way, name_of
from tests.cell.lifecycle.life import Life, life_on
from tests.cell.orchestrator.stage import new_stage
from tests.waiting import eventually

OF_A_TENANT = 4
"""Deaths that each orchestration goes through."""
EVERY = 1 if ALL else 5
"""Of the boundaries so many are one that is used."""
MOST_ROUNDS = 6
WAYS: tuple[Way, Way] = ("act", "undo")
Begin = Callable[[Life], Awaitable[str]]
Check = Callable[[Life, str], Awaitable[None]]


async def _customer(life: Life) -> None:
    await life.customer(trial_days=None)


async def _trial(life: Life) -> str:
    return await life.customer()


async def _plan_change(life: Life) -> str:
    await _customer(life)
    return await life.ask(lambda c: beginning.change_plan(c, life.stage.tenant_id, "premium"))


async def _offboarding(life: Life) -> str:
    await _customer(life)
    return await life.ask(lambda c: beginning.offboard(c, 30))


async def _suspension(life: Life) -> str:
    await _customer(life)
    return await life.ask(beginning.suspend)


async def _reactivation(life: Life) -> str:
    await life.finish(await _suspension(life))
    return await life.ask(beginning.resume)


async def _namespace(life: Life, state: str) -> dict[str, str]:
    place = {"account_id": "own", "namespace_id": "own", "domain": "namespaces.example"}
    async with life.entered() as connection:
        await connection.execute("INSERT INTO cell.accounts (account_id, display_name) VALUES ('own', 'x')")
        await connection.execute(
            "INSERT INTO cell.namespaces (account_id, namespace_id, display_name, state) "
            "VALUES ('own', 'own', 'x', $1)",
            state,
        )
    return place


async def _provision(life: Life) -> str:
    place = await _namespace(life, "PROVISIONING")
    return await life.ask(lambda c: start(c, PROVISION, "own", place, done={"reserve": {}}))


async def _release(life: Life) -> str:
    place = await _namespace(life, "DELETING")
    return await life.ask(lambda c: start(c, RELEASE, "own", place, done={"mark": {}}))


async def _provisioned(life: Life, outcome: str) -> None:
    namespaces, given = await life.rows("namespaces"), await life.rows("allocations")
    counted = [row for row in await life.rows("usage_records") if row["meter"] == "namespaces_created"]
    if outcome == "ROLLED_BACK":
        assert (namespaces, given, counted, await life.rows("taken_resources")) == ([], [], [], [])
        return
    [namespace], [allocation], [_] = namespaces, given, counted
    assert (namespace["state"], allocation["endpoint"].startswith("own.own.")) == ("ACTIVE", True)
    assert len(await life.rows("taken_resources")) == 2


async def _released(life: Life, outcome: str) -> None:
    states = [row["state"] for row in await life.rows("namespaces")]
    assert states == ([] if outcome == "COMPLETED" else ["FAILED"])


def _billed(state: str, plan: str, bill: str) -> Check:
    async def check(life: Life, outcome: str) -> None:
        assert (await life.state(), await life.billed()) == (state, (plan, bill))

    return check


async def _onboarded(life: Life, outcome: str) -> None:
    if outcome == "ROLLED_BACK":
        assert await life.left() == {}
        return
    left = await life.left()
    assert (left["organisation_users"], left["namespaces"], left["taken_resources"]) == (1, 1, 2)
    assert (await life.state(), await life.billed()) == ("TRIAL", ("standard", "TRIAL"))


async def _left(life: Life, outcome: str) -> None:
    if outcome == "ROLLED_BACK":
        assert (await life.state(), await life.billed()) == ("ACTIVE", ("standard", "ACTIVE"))
        return
    assert (await life.state(), await life.billed()) == ("CLOSED", ("standard", "CANCELLED"))
    assert len(await life.rows("invoices")) == 1
    assert not {"namespaces", "taken_resources", "accounts"} & set(await life.left())


async def _changed(life: Life, outcome: str) -> None:
    plan = "premium" if outcome == "COMPLETED" else "standard"
    assert (await life.state(), await life.billed()) == ("ACTIVE", (plan, "ACTIVE"))


@dataclass(frozen=True, slots=True)
class Scene:
    """A workflow, how one is begun, what must hold at its end, and when it is cancelled, if it can be."""

    workflow: Workflow
    begin: Begin
    check: Check
    cancelled_at: str | None = None


SCENES: Sequence[Scene] = (
    Scene(onboarding.WORKFLOW, lambda life: life.onboard(), _onboarded, cancelled_at="trial"),
    Scene(trial.WORKFLOW, _trial, _billed("SUSPENDED", "standard", "TRIAL")),
    Scene(plan_change.WORKFLOW, _plan_change, _changed, cancelled_at="billing"),
    Scene(offboarding.WORKFLOW, _offboarding, _left, cancelled_at="export"),
    Scene(suspension.SUSPENSION, _suspension, _billed("SUSPENDED", "standard", "PAUSED")),
    Scene(suspension.REACTIVATION, _reactivation, _billed("ACTIVE", "standard", "ACTIVE")),
    Scene(PROVISION, _provision, _provisioned, cancelled_at="configure"),
    Scene(RELEASE, _release, _released),
)


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


@pytest.fixture
async def pool(crashing: RunningCell) -> AsyncIterator[Pool]:
    """For what a test looks at."""
    made = await open_pool(
        crashing.database.dsns["cell_app"], name="test", size=6, command_seconds=COMMAND_SECONDS, stateless=True
    )
    yield made
    await made.close()


def boundaries(scene: Scene, way: Way) -> Iterator[tuple[str, Moment]]:
    """(step, moment) of all that acts, forward or back."""
    names = [step.name for step in scene.workflow.steps]
    reached = names if way == "act" else names[: names.index(scene.cancelled_at or names[0]) + 1]
    for step in scene.workflow.steps:
        mine = way == "undo" or step.name not in ("reserve", "mark")  # those are done by whoever asks
        if step.kind is Kind.ACTION and mine and step.name in reached and (way == "act" or step.undoes):
            for moment in MOMENTS:
                yield step.name, moment


def all_boundaries() -> list[Boundary]:
    """Of all scenes."""
    every = [
        Boundary(scene, way, step, moment)
        for scene in SCENES
        for way in WAYS
        if way == "act" or scene.cancelled_at
        for step, moment in boundaries(scene, way)
    ]
    return every[::EVERY]


async def begun(crashing: RunningCell, pool: Pool, points: Points, wanted: Sequence[Boundary]) -> list[Case]:
    """As many tenants as it takes for each boundary to be somebody's, with their deaths laid."""
    found = []
    for (scene, way), group in groupby(wanted, key=lambda each: (each.scene, each.way)):
        chosen = iter(list(group))
        while taken := list(islice(chosen, OF_A_TENANT)):
            life = life_on(await new_stage(crashing.database, pool))
            tenant_id, workflow = life.stage.tenant_id, scene.workflow.name
            name = await scene.begin(life)
            deaths = {name_of(tenant_id, workflow, each.step, way, each.moment): each for each in taken}
            points.lay(deaths, DIE)
            if way == "undo" and scene.cancelled_at is not None:
                points.lay([name_of(tenant_id, workflow, scene.cancelled_at, "act", "effect")], WAIT_AND_DIE)
            found.append(Case(scene, life, name, deaths))
    return found


async def outcomes(found: Sequence[Case]) -> list[str | None]:
    """Of each, as far as it has ended."""
    return [(await case.life.stage.seen(case.name)).outcome for case in found]


async def time_passes(found: Sequence[Case]) -> None:
    """What would wait for days, waits no more."""
    for case in found:
        async with case.life.entered() as connection:
            for table in ("orchestrations", "orchestration_steps"):
                await connection.execute(
                    f"UPDATE cell.{table} SET wake_at = now() "  # noqa: S608 names of ours
                    "WHERE orchestration_id = $1 AND wake_at > now() + interval '10 seconds'",
                    case.name,
                )


async def all_ended(found: Sequence[Case], points: Points) -> bool:
    """Those who wait to be cancelled are, and nobody waits for days."""
    by_tenant = {case.life.stage.tenant_id: case for case in found}
    try:
        for place in points.waiting():
            case = by_tenant[place.partition(".")[0]]
            assert await case.life.stage.cancel(case.name, case.scene.workflow)
            points.go_on(place)
        await time_passes(found)
        assert None not in await outcomes(found)
    except Unavailable as error:  # a worker stands still, and has hold of a row
        raise AssertionError from error
    return True


async def test_workers_may_die_at_every_boundary(
    crashing: RunningCell, pool: Pool, points: Points, workers: Workers
) -> None:
    """Others carry on, forward or back, and nothing is doubled or left."""
    wanted = all_boundaries()
    for _ in range(MOST_ROUNDS):
        found = await begun(crashing, pool, points, wanted)
        with workers(4) as log:
            await eventually(partial(all_ended, found, points), seconds=300.0, every=0.1)
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


Kill = Callable[[], None]


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
    """While a worker is just there: a customer's onboarding goes on once they are back."""
    scene = SCENES[0]
    life = life_on(await new_stage(crashing.database, pool))
    name = await life.onboard()
    places = [
        name_of(life.stage.tenant_id, scene.workflow.name, step, "act", moment)
        for number, (step, moment) in enumerate(boundaries(scene, "act"))
        if number % (EVERY * 2 if not ALL else 1) == 0
    ]
    points.lay(places, WAIT)

    async def ended() -> bool:
        for place in points.waiting():
            await asyncio.to_thread(kills[server])
            points.go_on(place)
        try:
            assert (await life.stage.seen(name)).outcome is not None
        except (CellError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise AssertionError("the database has just died") from error
        return True

    with workers(2) as log:
        await eventually(ended, seconds=300.0, every=0.05)
    assert points.left() == set(), log.read_text()[-5000:]
    await _onboarded(life, str((await life.stage.seen(name)).outcome))
