"""A customer comes as a whole or not at all."""

import pytest

from cell.errors import NotAllowed
from cell.parties.resources import refill
from cell.workflows import beginning, onboarding
from tests.cell.lifecycle.life import (
    CUSTOMER,
    DOMAIN,
    Away,
    Life,
    Unreachable,
    described,
    failing,
    with_step,
)

STEPS = [step.name for step in onboarding.WORKFLOW.steps]
FATAL = [step.name for step in onboarding.WORKFLOW.steps if not step.best_effort]


async def test_a_customer_gets_all_that_it_needs(life: Life) -> None:
    """People, account, subscription at billing and here, a namespace that answers, and a welcome."""
    seen = await life.finish(await life.onboard())
    assert (seen.outcome, list(seen.steps.values())) == ("COMPLETED", ["COMPLETED"] * len(STEPS))
    assert await life.state() == "TRIAL"
    assert await life.billed() == ("standard", "TRIAL")
    [user], [namespace], [given] = [
        await life.rows(table) for table in ("organisation_users", "namespaces", "allocations")
    ]
    assert (user["email"], user["role"], namespace["state"]) == ("ada@example.com", "ADMIN", "ACTIVE")
    assert {"most_users", "encryption_key", "search_attributes"} <= set(described(given["settings"]))
    assert given["endpoint"].startswith("first.main.")
    assert await life.subjects() == ["Welcome, Analytical Engines"]


async def test_a_customer_who_pays_at_once_has_no_trial(life: Life) -> None:
    """And nothing waits for one."""
    assert await life.customer(trial_days=None, plan="premium") == ""
    assert (await life.state(), await life.billed()) == ("ACTIVE", ("premium", "ACTIVE"))


@pytest.mark.parametrize("step", FATAL)
async def test_when_a_step_is_given_up_nothing_is_left(life: Life, step: str) -> None:
    """Neither here nor at any party; the pool has back what may be used again."""
    await refill(life.stage.pool)
    seen = await life.finish(await life.onboard(), with_step(life.bound["onboarding"], step, failing))
    assert (seen.outcome, set(seen.steps.values())) == ("ROLLED_BACK", {"UNDONE"})
    assert await life.left() == {}
    assert {row["state"] for row in await life.rows("party_effects")} <= {"UNDONE"}


async def test_a_welcome_that_fails_spoils_nothing(life: Life) -> None:
    """Best effort."""
    seen = await life.finish(await life.onboard(), with_step(life.bound["onboarding"], "welcome", failing))
    assert (seen.outcome, seen.steps["welcome"]) == ("COMPLETED", "FAILED")
    assert await life.state() == "TRIAL"


async def test_what_was_there_before_is_not_undone(life: Life) -> None:
    """The account is somebody else's work: the step fails, and leaves it."""
    async with life.entered() as connection:
        await connection.execute("INSERT INTO cell.accounts (account_id, display_name) VALUES ('main', 'mine')")
    seen = await life.finish(await life.onboard())
    assert seen.outcome == "ROLLED_BACK"
    assert await life.left() == {"accounts": 1}


async def test_the_same_order_is_the_same_work(life: Life) -> None:
    """Another one is refused, until the first was rolled back and a further attempt is asked for."""
    name = await life.onboard()
    assert await life.onboard() == name
    with pytest.raises(NotAllowed):
        await life.onboard(plan="premium")
    with pytest.raises(NotAllowed):
        await life.ask(lambda c: beginning.onboard(c, 2, {**CUSTOMER, **DOMAIN}))
    await life.finish(name, with_step(life.bound["onboarding"], "publish", failing))
    assert await life.onboard() == name
    second = await life.ask(lambda c: beginning.onboard(c, 2, {**CUSTOMER, **DOMAIN, "plan": "premium"}))
    assert (await life.finish(second)).outcome == "COMPLETED"
    with pytest.raises(NotAllowed):
        await life.ask(lambda c: beginning.onboard(c, 3, {**CUSTOMER, **DOMAIN}))


async def test_an_onboarding_can_be_cancelled_until_it_has_ended(life: Life) -> None:
    """With its trial, which ends by itself."""
    bound = life.bound["onboarding"]
    name = await life.onboard()
    assert await life.stage.cancel(name, bound)
    assert (await life.finish(name)).outcome == "ROLLED_BACK"
    assert await life.left() == {}


async def test_a_trial_that_was_begun_for_nothing_tells_nobody(life: Life) -> None:
    """It comes to its end before the subscription is undone: no mail says that anything is over."""
    name = await life.onboard()
    mute = with_step(life.bound["onboarding"], "welcome", lambda a: type(a)(Away(a.party)))
    assert (await life.hint(name, mute)).steps["trial"] == "COMPLETED"
    assert await life.stage.cancel(name, mute)
    held = with_step(mute, "take_attributes", lambda a: type(a)(Unreachable(a.party)))
    await life.stage.time_passes(name)
    seen = await life.hint(name, held)
    assert (seen.steps["trial"], seen.steps["take_attributes"]) == ("UNDONE", "UNDOING")
    assert (await life.finish(f"{name}-trial")).outcome == "COMPLETED"
    await life.stage.time_passes(name)
    assert (await life.finish(name)).outcome == "ROLLED_BACK"
    assert await life.left() == {}
