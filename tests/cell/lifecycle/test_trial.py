"""A trial ends by a payment or by time; a payment wins at any moment."""

import asyncio

import pytest

from cell.workflows import beginning
from tests.cell.lifecycle.life import Away, Life, failing, with_step
from tests.waiting import eventually

OVER, UNPAID = "Your trial is over", "Your subscription is suspended"


async def pay(life: Life, plan: str = "standard") -> str:
    """Asked for, not carried out."""
    return await life.ask(lambda c: beginning.change_plan(c, life.stage.tenant_id, plan))


async def time_passes(life: Life, name: str) -> str:
    """Whatever it waits for now; the subscription's state."""
    await life.hint(name)
    await life.stage.time_passes(name)
    await life.hint(name)
    return await life.state()


async def test_who_does_not_pay_is_warned_and_then_suspended(life: Life) -> None:
    """After the trial, and seven days; nothing was ever charged."""
    name = await life.customer()
    assert await life.state() == "TRIAL"
    assert await time_passes(life, name) == "GRACE"
    assert (await life.subjects())[1:] == [OVER]
    assert await time_passes(life, name) == "SUSPENDED"
    assert (await life.subjects())[1:] == [OVER, UNPAID]
    assert (await life.finish(name)).outcome == "COMPLETED"


@pytest.mark.parametrize(("when", "mails"), [("TRIAL", []), ("GRACE", [OVER]), ("SUSPENDED", [OVER, UNPAID])])
async def test_a_payment_wins_whenever_it_comes(life: Life, when: str, mails: list[str]) -> None:
    """In the trial, in the days after it, and even when it seems too late."""
    name = await life.customer()
    while await life.state() != when:
        await time_passes(life, name)
    assert (await life.finish(await pay(life))).outcome == "COMPLETED"
    assert (await life.state(), await life.billed()) == ("ACTIVE", ("standard", "ACTIVE"))
    assert (await life.hint(name)).outcome == "COMPLETED"  # nothing is waited for any more
    assert await life.state() == "ACTIVE"
    assert [subject for subject in await life.subjects() if subject in (OVER, UNPAID)] == mails


async def test_a_payment_under_way_keeps_the_timer_waiting(life: Life) -> None:
    """Billing is away while the last day ends: the customer has asked in time."""
    name = await life.customer()
    await time_passes(life, name)
    change = await pay(life)
    away = with_step(life.bound["plan_change"], "billing", lambda a: type(a)(Away(a.party)))
    assert (await life.hint(change, away)).state == "BILLING_IN_PROGRESS"
    assert await time_passes(life, name) == "GRACE"
    assert (await life.stage.seen(name)).state == "LAPSE_IN_PROGRESS"
    await life.stage.time_passes(change)
    assert (await life.finish(change)).outcome == "COMPLETED"
    assert (await life.finish(name)).outcome == "COMPLETED"
    assert await life.state() == "ACTIVE"
    assert UNPAID not in await life.subjects()


async def test_a_payment_that_fails_changes_nothing(life: Life) -> None:
    """Then the timer has its way."""
    name = await life.customer()
    await time_passes(life, name)
    change = await pay(life, "premium")
    seen = await life.finish(change, with_step(life.bound["plan_change"], "billing", failing))
    assert seen.outcome == "ROLLED_BACK"
    assert (await life.state(), await life.billed()) == ("GRACE", ("standard", "TRIAL"))
    assert await time_passes(life, name) == "SUSPENDED"


@pytest.mark.parametrize("first", ["timer", "payment"])
async def test_timer_and_payment_at_the_same_moment_end_in_a_payment(life: Life, first: str) -> None:
    """Whichever gets the row first: both orders are played, on the row's own lock."""
    name = await life.customer()
    await time_passes(life, name)
    await life.hint(name)
    await life.stage.time_passes(name)

    async def waiting() -> bool:
        async with life.entered() as connection:
            count = await connection.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
                "AND query LIKE '%cell.subscriptions FOR UPDATE%' AND datname = current_database()"
            )
        return bool(count == len(running))

    running: list[asyncio.Task[object]] = []
    async with life.entered() as connection:
        await connection.fetchrow("SELECT * FROM cell.subscriptions FOR UPDATE")
        for who in (first, "payment" if first == "timer" else "timer"):
            work = life.hint(name) if who == "timer" else pay(life)
            running.append(asyncio.ensure_future(work))
            await eventually(waiting, every=0.005)
    results = await asyncio.gather(*running)
    change = next(result for result in results if isinstance(result, str))
    assert await life.state() == ("SUSPENDED" if first == "timer" else "GRACE")
    assert (await life.finish(change)).outcome == "COMPLETED"
    assert (await life.finish(name)).outcome == "COMPLETED"
    assert await life.state() == "ACTIVE"


async def test_mails_that_cannot_be_sent_keep_no_timer_waiting(life: Life) -> None:
    """The suspension comes in time all the same."""
    name = await life.customer()
    bound = with_step(life.bound["trial"], "warn", lambda a: type(a)(Away(a.party)))
    for _ in range(2):
        await life.hint(name, bound)
        await life.stage.time_passes(name)
    await life.hint(name, bound)
    assert await life.state() == "SUSPENDED"


async def test_a_trial_runs_on_while_the_operator_holds_the_customer(life: Life) -> None:
    """What counts afterwards is what was paid for."""
    name = await life.customer()
    assert (await life.finish(await life.ask(beginning.suspend))).outcome == "COMPLETED"
    assert await time_passes(life, name) == "SUSPENDED"
    [row] = await life.rows("subscriptions")
    assert row["standing"] == "GRACE"
    assert (await life.finish(await life.ask(beginning.resume))).outcome == "COMPLETED"
    assert await life.state() == "GRACE"
