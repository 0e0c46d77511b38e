"""Jobs are done once, whoever dies and however often they are claimed."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from cell.access import enter_at
from cell.database import transaction
from cell.errors import Overfull, Unfit
from cell.jobs import queueing, runner
from cell.jobs.queueing import enqueue
from cell.jobs.registry import JobType, Provider, Registry
from cell.jobs.runner import Claimed, Runner, Whose
from cell.orchestrator.actions import Call, Here, There
from cell.rules.workflows import Retry
from runtime.backoff import Backoff
from runtime.database import Connection
from tests.cell.cells import CellDatabase
from tests.cell.orchestrator.outside import Ledger
from tests.cell.orchestrator.stage import Stage

SOON = Retry(3, Backoff(initial_seconds=1.0, cap_seconds=1.0))


async def open_account(connection: Connection, call: Call) -> Mapping[str, Any]:
    """Its effect can be counted; the name `bad` always fails, `hopeless` for good."""
    name = call.payload["name"]
    if name == "bad":
        raise RuntimeError("it does not want to")
    if name == "hopeless":
        raise Unfit("it never will")
    await connection.execute("INSERT INTO cell.accounts (account_id, display_name) VALUES ($1, 'x')", name)
    return {}


ACCOUNT = JobType("account", Here(open_account), retry=SOON)


def told(ledger: Ledger, provider: Provider | None = None) -> JobType:
    """A job at somebody else's."""
    return JobType("told", There(ledger), retry=SOON, provider=provider)


class Jobs:
    """The jobs of a stage's tenant."""

    def __init__(self, stage: Stage, *kinds: JobType) -> None:
        self.stage, self.whose = stage, Whose(stage.tenant_id, stage.epoch)
        self.runner = Runner(stage.pool, Registry(kinds), 30.0, chance=lambda: 0.5)

    async def ask(self, kind: JobType, name: str = "x", **more: Any) -> str:
        """Enqueue one."""
        return await self.ask_for(kind, {"name": name}, **more)

    async def ask_for(self, kind: JobType, args: Mapping[str, Any], **more: Any) -> str:
        """Likewise."""
        async with transaction(self.stage.pool) as connection:
            await enter_at(connection, self.stage.tenant_id, self.stage.epoch)
            return await enqueue(connection, kind, args, **more)

    async def claim(self, most: int = 50) -> Sequence[Claimed]:
        """Those that are due."""
        async with transaction(self.stage.pool) as connection:
            await enter_at(connection, self.stage.tenant_id, self.stage.epoch)
            return await self.runner.claim(connection, "bulk", self.whose.epoch, most)

    async def run(self) -> float | None:
        """All that are due, once."""
        return await self.runner.carry_out(self.whose, await self.claim())

    async def rows(self, query: str) -> Any:
        """What the tenant has."""
        async with transaction(self.stage.pool) as connection:
            await enter_at(connection, self.stage.tenant_id, self.stage.epoch)
            return [tuple(row) for row in await connection.fetch(query)]

    async def change(self, statement: str) -> None:
        """By somebody who has time in his hands."""
        async with transaction(self.stage.pool) as connection:
            await enter_at(connection, self.stage.tenant_id, self.stage.epoch)
            await connection.execute(statement)

    async def time_passes(self) -> None:
        """Whatever waits is due, and every lease is over."""
        await self.change("UPDATE cell.jobs SET wake_at = now() - interval '1 second' WHERE wake_at IS NOT NULL")

    async def states(self) -> Any:
        """(actor's name, state, attempts) of each, by the name it was asked for."""
        return await self.rows("SELECT args->>'name', state, attempts FROM cell.jobs ORDER BY 1, created_at")

    async def accounts(self) -> list[str]:
        """The effects."""
        return [row[0] for row in await self.rows("SELECT account_id FROM cell.accounts ORDER BY 1")]


async def test_a_job_is_done_once(stage: Stage) -> None:
    """Its effect and its completion are one transaction; afterwards there is nothing to claim."""
    jobs = Jobs(stage, ACCOUNT)
    await jobs.ask(ACCOUNT, "one")
    assert await jobs.run() is None
    assert await jobs.states() == [("one", "done", 1)]
    assert await jobs.accounts() == ["one"]
    await jobs.time_passes()
    assert await jobs.claim() == []


async def test_jobs_that_act_here_share_a_transaction(stage: Stage) -> None:
    """All of a claim at once."""
    jobs = Jobs(stage, ACCOUNT)
    for number in range(5):
        await jobs.ask(ACCOUNT, f"a{number}")
    await jobs.run()
    [(transactions,)] = await jobs.rows("SELECT count(DISTINCT xmin::text) FROM cell.accounts")
    assert (transactions, len(await jobs.accounts())) == (1, 5)


async def test_one_that_fails_spoils_nothing_for_those_beside_it(stage: Stage) -> None:
    """Those are done, each once; it waits for its next attempt, and is given up after the last."""
    jobs = Jobs(stage, ACCOUNT)
    for name in ("a", "bad", "c"):
        await jobs.ask(ACCOUNT, name)
    assert await jobs.run() == pytest.approx(0.5, abs=0.6)
    assert await jobs.states() == [("a", "done", 1), ("bad", "waiting", 1), ("c", "done", 1)]
    assert await jobs.accounts() == ["a", "c"]
    for _ in range(SOON.attempts - 1):
        await jobs.time_passes()
        await jobs.run()
    [bad] = [row for row in await jobs.states() if row[0] == "bad"]
    assert bad == ("bad", "dead", SOON.attempts)
    [(error,)] = await jobs.rows("SELECT last_error FROM cell.jobs WHERE state = 'dead'")
    assert "it does not want to" in error


async def test_what_no_attempt_can_help_is_given_up_at_once(stage: Stage) -> None:
    """Unfit."""
    jobs = Jobs(stage, ACCOUNT)
    await jobs.ask(ACCOUNT, "hopeless")
    assert await jobs.run() is None
    assert await jobs.states() == [("hopeless", "dead", 1)]


async def test_a_job_that_kills_its_worker_is_given_up(stage: Stage) -> None:
    """Attempts are counted before they begin: whoever never comes back is not asked for ever."""
    jobs = Jobs(stage, ACCOUNT)
    await jobs.ask(ACCOUNT, "deadly")
    for _ in range(SOON.attempts):
        assert len(await jobs.claim()) == 1
        await jobs.time_passes()
    await jobs.run()
    assert await jobs.states() == [("deadly", "dead", SOON.attempts + 1)]
    assert await jobs.accounts() == []


@pytest.mark.parametrize("kind", ["here", "there"])
async def test_who_has_lost_the_lease_changes_nothing(stage: Stage, ledger: Ledger, kind: str) -> None:
    """A worker that was thought dead comes back after another one took over: the effect is there once."""
    job = ACCOUNT if kind == "here" else told(ledger)
    jobs = Jobs(stage, job)
    await jobs.ask(job, "one")
    first = await jobs.claim()
    await jobs.time_passes()
    second = await jobs.claim()
    await jobs.runner.carry_out(jobs.whose, first)
    assert await jobs.states() == [("one", "running", 2)]
    await jobs.runner.carry_out(jobs.whose, second)
    assert await jobs.states() == [("one", "done", 2)]
    assert (await jobs.accounts(), ledger.effects) == ((["one"], []) if kind == "here" else ([], ["told"]))


@pytest.mark.parametrize("kind", ["here", "there"])
async def test_a_lease_of_before_a_move_keeps_nobody_waiting(
    stage: Stage, cell_database: CellDatabase, ledger: Ledger, kind: str
) -> None:
    """Whoever was at a job when its tenant moved can record nothing more: it goes on at once, and is done once."""
    job = ACCOUNT if kind == "here" else told(ledger)
    before = Jobs(stage, job)
    await before.ask(job, "one")
    interrupted = await before.claim()
    after = Jobs(await stage.moved(cell_database), job)
    claimed = await after.claim()
    assert [each.attempts for each in claimed] == [2]
    assert await after.claim() == []
    await before.runner.carry_out(before.whose, interrupted)
    assert await after.states() == [("one", "running", 2)]
    await after.runner.carry_out(after.whose, claimed)
    assert await after.states() == [("one", "done", 2)]
    assert (await after.accounts(), ledger.effects) == ((["one"], []) if kind == "here" else ([], ["told"]))


async def test_many_claims_at_once_get_each_job_once(stage: Stage) -> None:
    """Whoever is at a job is passed over, not waited for."""
    jobs = Jobs(stage, ACCOUNT)
    asked = {await jobs.ask(ACCOUNT, f"a{number}") for number in range(20)}
    claimed = [job.job_id for each in await asyncio.gather(*(jobs.claim(7) for _ in range(8))) for job in each]
    assert (len(claimed), set(claimed)) == (len(asked), asked)


async def test_an_effect_that_is_asked_for_twice_is_brought_about_once(stage: Stage, ledger: Ledger) -> None:
    """By the same job, also when it is done already; the party hears the effect's key."""
    kind = told(ledger)
    jobs = Jobs(stage, kind)
    first = await jobs.ask(kind, effect_key="invoice-7")
    assert await jobs.ask(kind, effect_key="invoice-7") == first
    await jobs.run()
    assert await jobs.ask(kind, effect_key="invoice-7") == first
    assert list(ledger.done) == ["invoice-7/told"]


async def test_an_answer_that_was_lost_is_asked_for(stage: Stage, ledger: Ledger) -> None:
    """The next attempt finds what the one before had done."""
    kind = told(ledger)
    jobs = Jobs(stage, kind)
    await jobs.ask(kind)

    def lose() -> None:
        raise ConnectionResetError

    ledger.answer_lost = lose
    await jobs.run()
    await jobs.time_passes()
    await jobs.run()
    assert (await jobs.states(), ledger.effects, ledger.asked) == ([("x", "done", 2)], ["told"], ["told"])


async def test_an_outage_costs_no_attempt(stage: Stage, ledger: Ledger) -> None:
    """However long it is; then the job goes on by itself."""
    kind = told(ledger)
    jobs = Jobs(stage, kind)
    await jobs.ask(kind)
    ledger.away = True
    for _ in range(2 * SOON.attempts):
        assert await jobs.run() == runner.OUTAGE_SECONDS
        await jobs.time_passes()
    ledger.away = False
    await jobs.run()
    [(_, state, _)] = await jobs.states()
    assert (state, ledger.effects) == ("done", ["told"])


async def test_a_job_may_wait_for_its_time(stage: Stage) -> None:
    """A row, and nothing else."""
    jobs = Jobs(stage, ACCOUNT)
    await jobs.ask(ACCOUNT, "later", delay_seconds=90 * 86_400.0)
    assert await jobs.claim() == []
    await jobs.time_passes()
    await jobs.run()
    assert await jobs.accounts() == ["later"]


async def test_a_provider_is_asked_no_faster_than_it_bears(stage: Stage, ledger: Ledger) -> None:
    """By all workers of the cell together: the others get turns, in their order, and use them once they come."""
    kind = told(ledger, Provider(f"slow-{stage.tenant_id}", per_second=0.5, burst=2))
    jobs, others = Jobs(stage, kind), Jobs(stage, kind)
    for _ in range(5):
        await jobs.ask(kind)
    claimed = await jobs.claim()
    await asyncio.gather(
        jobs.runner.carry_out(jobs.whose, claimed[:3]), others.runner.carry_out(others.whose, claimed[3:])
    )
    assert len(ledger.effects) == 2
    waits = await jobs.rows(
        "SELECT round(extract(epoch FROM wake_at - now())) FROM cell.jobs WHERE state = 'waiting' ORDER BY wake_at"
    )
    assert [int(wait) for (wait,) in waits] == pytest.approx([2, 4, 6], abs=1)
    await jobs.time_passes()
    await jobs.run()
    assert len(ledger.effects) == 5


async def test_a_clock_that_went_back_keeps_no_provider_waiting(stage: Stage, ledger: Ledger) -> None:
    """Turns are never given out for an hour from now."""
    name = f"slow-{stage.tenant_id}"
    kind = told(ledger, Provider(name, per_second=100.0))
    jobs = Jobs(stage, kind)
    await jobs.change(f"INSERT INTO cell.providers VALUES ('{name}', now() + interval '1 hour')")  # noqa: S608 ours
    await jobs.ask(kind)
    wait_seconds = await jobs.run()
    assert wait_seconds is not None
    assert wait_seconds <= runner.MOST_AHEAD_SECONDS


async def test_who_asks_for_too_much_is_told(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of what waits for its turn in a lane; what waits for its time, or is being done, does not count."""
    monkeypatch.setattr(queueing, "MOST_WAITING", 3)
    jobs = Jobs(stage, ACCOUNT)
    await jobs.ask(ACCOUNT, "later", delay_seconds=60)
    for number in range(3):
        await jobs.ask(ACCOUNT, f"a{number}")
    with pytest.raises(Overfull):
        await jobs.ask(ACCOUNT, "one too many")
    await jobs.run()
    await jobs.ask(ACCOUNT, "again")


async def test_a_job_of_another_version_is_left_to_a_worker_that_knows_it(stage: Stage) -> None:
    """During an upgrade there are both; that costs no attempt."""
    newer, older = Jobs(stage, ACCOUNT), Jobs(stage)
    await newer.ask(ACCOUNT, "new")
    for _ in range(2 * SOON.attempts):
        await older.run()
        await older.time_passes()
    await newer.run()
    assert await newer.accounts() == ["new"]


async def test_arguments_arrive_as_they_were_given(stage: Stage) -> None:
    """JSON, whatever is in it."""
    heard: list[Mapping[str, Any]] = []

    async def listen(_connection: Connection, call: Call) -> Mapping[str, Any]:
        heard.append(call.payload)
        return {}

    kind = JobType("listen", Here(listen))
    jobs = Jobs(stage, kind)
    await jobs.ask(kind, 'a "b" \\ ü \U0001f600')
    await jobs.run()
    assert json.dumps(heard) == json.dumps([{"name": 'a "b" \\ ü \U0001f600'}])
