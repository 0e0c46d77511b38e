"""An operator sees jobs, has dead ones tried again, and discards what nobody wants any more."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from cell.access import enter_at
from cell.database import transaction
from cell.errors import NotAllowed
from cell.jobs import operating
from cell.jobs.operating import Done, NoSuchJob, Wanted, Which
from runtime.database import Connection
from tests.cell.jobs.test_running import ACCOUNT, Jobs
from tests.cell.orchestrator.stage import Stage


class Operator:
    """Somebody who looks at a stage's tenant and helps."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    async def list_(self, **wanted: Any) -> list[str]:
        """Their names."""
        async with self._entered() as connection:
            rows = await operating.listed(connection, Wanted(**{"limit": 10, **wanted}))
            return [row["job_id"] for row in rows]

    async def counts(self) -> tuple[int, ...]:
        """Waiting, running, done, dead."""
        async with self._entered() as connection:
            return tuple((await operating.counted(connection)).values())

    async def retries(self, *names: str, actor: str | None = None) -> Done:
        """Those, or all."""
        async with self._entered() as connection:
            return await operating.retry(connection, Which(names or None, actor))

    async def discards(self, *names: str, actor: str | None = None) -> Done:
        """Those, or all."""
        async with self._entered() as connection:
            return await operating.discard(connection, Which(names or None, actor))

    @asynccontextmanager
    async def _entered(self) -> AsyncIterator[Connection]:
        async with transaction(self._stage.pool) as connection:
            await enter_at(connection, self._stage.tenant_id, self._stage.epoch)
            yield connection


async def test_a_dead_job_is_tried_again_with_new_attempts(stage: Stage) -> None:
    """It is given up only after as many again."""
    jobs, operator = Jobs(stage, ACCOUNT), Operator(stage)
    name = await jobs.ask(ACCOUNT, "hopeless")
    await jobs.run()
    assert await operator.counts() == (0, 0, 0, 1)
    assert await operator.retries(name) == Done(1, 0, frozenset({"bulk"}))
    assert await jobs.rows("SELECT state, attempts, most_attempts FROM cell.jobs") == [("waiting", 1, 9)]
    await jobs.change('UPDATE cell.jobs SET args = \'{"name": "fine"}\'')
    await jobs.run()
    assert await operator.counts() == (0, 0, 1, 0)


async def test_a_job_that_waits_for_its_time_has_it_now(stage: Stage) -> None:
    """Only by name; its attempts stay as they are."""
    jobs, operator = Jobs(stage, ACCOUNT), Operator(stage)
    name = await jobs.ask(ACCOUNT, delay_seconds=3600.0)
    assert not await jobs.claim()
    assert (await operator.retries()).jobs == 0
    for _ in range(2):
        assert (await operator.retries(name)).lanes == {"bulk"}
    await jobs.run()
    assert await operator.counts() == (0, 0, 1, 0)


async def test_what_is_done_or_not_there_is_not_tried_again(stage: Stage) -> None:
    """And of several that are named then none is."""
    jobs, operator = Jobs(stage, ACCOUNT), Operator(stage)
    done = await jobs.ask(ACCOUNT)
    await jobs.run()
    dead = await jobs.ask(ACCOUNT, "hopeless")
    await jobs.run()
    with pytest.raises(NotAllowed, match=f"{done} is done"):
        await operator.retries(dead, done)
    with pytest.raises(NoSuchJob, match="job-nobody"):
        await operator.retries(dead, "job-nobody")
    assert await operator.list_(state="dead") == [dead]


async def test_a_running_job_is_left_to_its_worker(stage: Stage) -> None:
    """To have it tried is what happens anyway; to discard it is refused."""
    jobs, operator = Jobs(stage, ACCOUNT), Operator(stage)
    name = await jobs.ask(ACCOUNT)
    claimed = await jobs.claim()
    assert (await operator.retries(name)).jobs == 0
    with pytest.raises(NotAllowed, match=f"{name} is running: only dead and waiting jobs"):
        await operator.discards(name)
    await jobs.runner.carry_out(jobs.whose, claimed)
    assert await operator.counts() == (0, 0, 1, 0)


async def test_dead_and_waiting_jobs_are_discarded(stage: Stage) -> None:
    """Waiting ones by name alone."""
    jobs, operator = Jobs(stage, ACCOUNT), Operator(stage)
    await jobs.ask(ACCOUNT, "hopeless")
    await jobs.run()
    waiting = await jobs.ask(ACCOUNT, delay_seconds=3600.0)
    assert await operator.discards() == Done(1, 0)
    assert await operator.list_() == [waiting]
    assert await operator.discards(waiting) == Done(1, 0)
    assert await operator.counts() == (0, 0, 0, 0)


async def test_what_is_said_of_all_is_done_in_bites(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer tells how many are left; an actor's alone, if one is said."""
    monkeypatch.setattr(operating, "MOST", 2)
    jobs, operator = Jobs(stage, ACCOUNT), Operator(stage)
    for number in range(5):
        await jobs.ask(ACCOUNT, "hopeless", effect_key=f"effect-{number}")
    await jobs.run()
    assert await operator.retries(actor="other") == Done(0, 0)
    assert (await operator.retries(actor="account")).left == 3
    assert (await operator.discards()).left == 1
    assert await operator.discards() == Done(1, 0)
    assert await operator.counts() == (2, 0, 0, 0)


async def test_lists_are_of_a_state_a_lane_or_an_actor(stage: Stage) -> None:
    """Those first that changed last, page by page."""
    jobs, operator = Jobs(stage, ACCOUNT), Operator(stage)
    names = [await jobs.ask(ACCOUNT, delay_seconds=3600.0) for _ in range(3)]
    assert await operator.list_(lane="bulk", actor="account", state="waiting") == names[::-1]
    for other in ({"lane": "interactive"}, {"actor": "other"}, {"state": "dead"}):
        assert await operator.list_(**other) == []
    [changed] = await jobs.rows(f"SELECT updated_at FROM cell.jobs WHERE job_id = '{names[1]}'")  # noqa: S608
    assert await operator.list_(before=(changed[0], names[1])) == [names[0]]
