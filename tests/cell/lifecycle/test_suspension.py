"""The operator suspends and resumes: nothing is charged in between, and nothing is half done."""

import pytest

from cell.errors import NotAllowed
from cell.workflows import beginning
from tests.cell.lifecycle.life import Life, failing, with_step


async def test_a_suspended_customer_is_charged_nothing(life: Life) -> None:
    """Until it is resumed; each says so by mail, and asked twice it is done once."""
    await life.customer(trial_days=None)
    name = await life.ask(beginning.suspend)
    assert (await life.finish(name)).outcome == "COMPLETED"
    assert (await life.state(), await life.billed()) == ("SUSPENDED", ("standard", "PAUSED"))
    assert await life.ask(beginning.suspend) == name
    back = await life.ask(beginning.resume)
    assert await life.ask(beginning.resume) == back
    assert (await life.finish(back)).outcome == "COMPLETED"
    assert (await life.state(), await life.billed()) == ("ACTIVE", ("standard", "ACTIVE"))
    assert await life.ask(beginning.resume) == back
    assert (await life.subjects())[1:] == ["Your subscription is suspended", "Your subscription goes on"]


@pytest.mark.parametrize("step", ["block", "billing", "settle"])
async def test_a_suspension_that_fails_suspends_nobody(life: Life, step: str) -> None:
    """And another one may begin."""
    await life.customer(trial_days=None)
    name = await life.ask(beginning.suspend)
    seen = await life.finish(name, with_step(life.bound["suspension"], step, failing))
    assert seen.outcome == "ROLLED_BACK"
    assert (await life.state(), await life.billed()) == ("ACTIVE", ("standard", "ACTIVE"))
    assert await life.ask(beginning.suspend) != name


@pytest.mark.parametrize("step", ["claim", "billing", "release"])
async def test_a_reactivation_that_fails_leaves_it_suspended(life: Life, step: str) -> None:
    """And free of charge."""
    await life.customer(trial_days=None)
    await life.finish(await life.ask(beginning.suspend))
    back = await life.ask(beginning.resume)
    seen = await life.finish(back, with_step(life.bound["reactivation"], step, failing))
    assert seen.outcome == "ROLLED_BACK"
    assert (await life.state(), await life.billed()) == ("SUSPENDED", ("standard", "PAUSED"))
    assert (await life.finish(await life.ask(beginning.resume))).outcome == "COMPLETED"


async def test_who_did_not_pay_may_be_let_in_all_the_same(life: Life) -> None:
    """The operator knows why."""
    name = await life.customer()
    await life.finish(name)
    assert await life.state() == "SUSPENDED"
    assert (await life.finish(await life.ask(beginning.resume))).outcome == "COMPLETED"
    assert await life.state() == "ACTIVE"


async def test_a_customer_cannot_lift_what_the_operator_decided(life: Life) -> None:
    """By paying; and what is not suspended is not resumed."""
    await life.customer(trial_days=None)
    with pytest.raises(NotAllowed, match="not suspended"):
        await life.ask(beginning.resume)
    await life.finish(await life.ask(beginning.suspend))
    with pytest.raises(NotAllowed, match="by the operator"):
        await life.ask(lambda c: beginning.change_plan(c, life.stage.tenant_id, "premium"))


@pytest.mark.parametrize("ask", [beginning.suspend, beginning.resume, beginning.stay])
async def test_without_a_subscription_there_is_nothing_to_change(life: Life, ask: object) -> None:
    """A tenant that was never onboarded."""
    with pytest.raises(beginning.NoSubscription):
        await life.ask(ask)
