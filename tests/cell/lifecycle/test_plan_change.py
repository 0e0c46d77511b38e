"""Another plan: billing first, then what it gives; what does not fit is refused with the reason."""

import pytest

from cell.errors import NotAllowed
from cell.workflows import beginning, plan_change
from tests.cell.lifecycle.life import Away, Life, described, failing, with_step


async def change(life: Life, plan: str) -> str:
    """Asked for, not carried out."""
    return await life.ask(lambda c: beginning.change_plan(c, life.stage.tenant_id, plan))


async def most_users(life: Life) -> int:
    """In the customer's namespace."""
    row, *_ = await life.rows("allocations")
    return int(described(row["settings"])["most_users"])


async def test_an_upgrade_is_there_at_once(life: Life) -> None:
    """At billing, in the limits, and in each namespace that there is."""
    await life.customer(trial_days=None)
    assert (await life.finish(await change(life, "premium"))).outcome == "COMPLETED"
    assert (await life.billed(), await life.state()) == (("premium", "ACTIVE"), "ACTIVE")
    [row] = await life.rows("subscriptions")
    assert (row["plan"], row["changing"], await most_users(life)) == ("premium", None, 10_000)
    assert (await life.subjects())[-1] == "Your plan is now premium"


async def test_a_downgrade_waits_until_it_fits(life: Life) -> None:
    """The reason says how many are too many."""
    await life.customer(trial_days=None, plan="premium")
    await life.namespaces(20)
    with pytest.raises(
        NotAllowed, match="there are 21 namespaces, and standard has room for 20: delete 1 of them"
    ):
        await change(life, "standard")
    async with life.entered() as connection:
        await connection.execute("DELETE FROM cell.namespaces WHERE namespace_id = 'more-1'")
    assert (await life.finish(await change(life, "standard"))).outcome == "COMPLETED"
    assert (await life.billed(), await most_users(life)) == (("standard", "ACTIVE"), 100)


async def test_what_came_after_the_question_is_counted_too(life: Life) -> None:
    """Then billing gets back what it had."""
    await life.customer(trial_days=None, plan="premium")
    name = await change(life, "standard")
    await life.namespaces(20)
    assert (await life.finish(name)).outcome == "ROLLED_BACK"
    assert await life.billed() == ("premium", "ACTIVE")
    [row] = await life.rows("subscriptions")
    assert (row["plan"], row["changing"]) == ("premium", None)


@pytest.mark.parametrize("step", ["claim", "billing", "entitlements"])
async def test_a_change_that_fails_changes_nothing(life: Life, step: str) -> None:
    """Neither at billing nor here, and the next one may begin."""
    await life.customer()
    seen = await life.finish(await change(life, "premium"), with_step(life.bound["plan_change"], step, failing))
    assert seen.outcome == "ROLLED_BACK"
    assert (await life.billed(), await life.state(), await most_users(life)) == (
        *(("standard", "TRIAL"), "TRIAL", 100),
    )
    assert (await life.finish(await change(life, "premium"))).outcome == "COMPLETED"


async def test_one_change_at_a_time(life: Life) -> None:
    """Whoever comes second is told by which."""
    await life.customer()
    name = await change(life, "premium")
    for ask in (lambda c: beginning.change_plan(c, life.stage.tenant_id, "standard"), beginning.suspend):
        with pytest.raises(NotAllowed, match=name):
            await life.ask(ask)
    await life.finish(name)
    await change(life, "standard")


async def test_what_one_has_is_nothing_to_change_to(life: Life) -> None:
    """Unless it is not paid for yet."""
    await life.customer()
    assert (await life.finish(await change(life, "standard"))).outcome == "COMPLETED"
    assert await life.state() == "ACTIVE"
    with pytest.raises(NotAllowed):
        await change(life, "standard")


async def test_a_change_is_cancelled_until_it_holds(life: Life) -> None:
    """While billing is away, say; afterwards it is too late."""
    await life.customer()
    name = await change(life, "premium")
    away = with_step(life.bound["plan_change"], "billing", lambda a: type(a)(Away(a.party)))
    await life.hint(name, away)
    assert await life.stage.cancel(name, life.bound["plan_change"])
    assert (await life.finish(name)).outcome == "ROLLED_BACK"
    assert (await life.billed(), await life.state()) == (("standard", "TRIAL"), "TRIAL")
    name = await change(life, "premium")
    mute = with_step(life.bound["plan_change"], "notify", lambda a: type(a)(Away(a.party)))
    assert (await life.hint(name, mute)).steps["entitlements"] == "COMPLETED"
    with pytest.raises(NotAllowed, match="any more"):
        await life.stage.cancel(name, life.bound["plan_change"])


def test_there_is_a_way_back_from_all_that_comes_before_the_decision() -> None:
    """By declaration."""
    for step in plan_change.WORKFLOW.steps:
        if step.commits:
            break
        assert step.undoes
