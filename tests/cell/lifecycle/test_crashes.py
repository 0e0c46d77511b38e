"""A worker dies at every step of every life, before and after the effect: what follows is as if it had not.

To die before a step's effect is to die right after the step before was recorded, since the record and the next
intent are one.
"""

from collections.abc import Awaitable, Callable

import pytest

from cell.orchestrator.actions import Here, There
from cell.rules.workflows import Workflow
from cell.workflows import beginning, offboarding, onboarding, plan_change, suspension, trial
from tests.cell.lifecycle.life import Crash, Life, dying, failing, with_step
from tests.cell.orchestrator.stage import Seen

DEATHS = ("before", "after")
Begin = Callable[[Life], Awaitable[str]]


async def _trial(life: Life) -> str:
    return await life.customer()


async def _plan_change(life: Life) -> str:
    await life.customer()
    return await life.ask(lambda c: beginning.change_plan(c, life.stage.tenant_id, "premium"))


async def _offboarding(life: Life) -> str:
    await life.customer(trial_days=None)
    return await life.ask(lambda c: beginning.offboard(c, 30))


async def _suspension(life: Life) -> str:
    await life.customer(trial_days=None)
    return await life.ask(beginning.suspend)


async def _reactivation(life: Life) -> str:
    await life.finish(await _suspension(life))
    return await life.ask(beginning.resume)


LIVES: dict[str, tuple[Workflow, Begin, str, tuple[str, str]]] = {
    # the workflow, how it begins, and what is there at its end: state, and what billing charges
    "onboarding": (onboarding.WORKFLOW, lambda life: life.onboard(), "TRIAL", ("standard", "TRIAL")),
    "trial": (trial.WORKFLOW, _trial, "SUSPENDED", ("standard", "TRIAL")),
    "plan_change": (plan_change.WORKFLOW, _plan_change, "ACTIVE", ("premium", "ACTIVE")),
    "offboarding": (offboarding.WORKFLOW, _offboarding, "CLOSED", ("standard", "CANCELLED")),
    "suspension": (suspension.SUSPENSION, _suspension, "SUSPENDED", ("standard", "PAUSED")),
    "reactivation": (suspension.REACTIVATION, _reactivation, "ACTIVE", ("standard", "ACTIVE")),
}
STEPS = [(name, step.name) for name, (workflow, *_) in LIVES.items() for step in workflow.steps]


async def until_it_died(life: Life, name: str, *bound: object) -> bool:
    """Whether its worker dies on the way at all: a timer's does not."""
    for _ in range(12):
        try:
            seen = await life.hint(name, *bound)
        except BaseExceptionGroup as group:
            if group.split(Crash)[1] is not None:
                raise
            return True
        if seen.outcome is not None:
            return False
        await life.stage.time_passes(name)
    raise AssertionError("for ever")


@pytest.mark.parametrize(("name", "step"), STEPS)
@pytest.mark.parametrize("moment", DEATHS)
async def test_a_life_goes_on_where_its_worker_died(life: Life, name: str, step: str, moment: str) -> None:
    """Everything happened once: rows, bills, mails, resources."""
    _, begin, state, bill = LIVES[name]
    work = await begin(life)
    bound = with_step(life.bound[name], step, lambda action: dying(action, moment))
    action = bound.actions[step]
    assert await until_it_died(life, work, bound) == isinstance(action, Here | There)
    if (await life.stage.seen(work)).outcome is None:
        await life.stage.time_passes(work)  # the lease of who died
    seen: Seen = await life.finish(work, bound)
    assert (seen.outcome, set(seen.steps.values())) == ("COMPLETED", {"COMPLETED"})
    assert (await life.state(), await life.billed()) == (state, bill)
    subjects = await life.subjects()
    assert len(subjects) == len(set(subjects))
    left = await life.left()
    assert left.get("organisation_users", 0) == left.get("namespaces", 0) == (0 if name == "offboarding" else 1)
    assert left.get("taken_resources", 0) == 2 * left.get("namespaces", 0)
    assert len(await life.rows("invoices")) == (1 if name == "offboarding" else 0)


UNDONE = [step.name for step in onboarding.WORKFLOW.steps if step.undoes]


@pytest.mark.parametrize("step", UNDONE)
@pytest.mark.parametrize("moment", ["before undoing", "after undoing"])
async def test_the_way_back_goes_on_where_its_worker_died(life: Life, step: str, moment: str) -> None:
    """And leaves nothing."""
    work = await life.onboard()
    bound = with_step(life.bound["onboarding"], "trial", failing)
    bound = with_step(bound, step, lambda action: dying(action, moment))
    assert await until_it_died(life, work, bound)
    await life.stage.time_passes(work)
    seen = await life.finish(work, bound)
    assert (seen.outcome, set(seen.steps.values())) == ("ROLLED_BACK", {"UNDONE"})
    assert await life.left() == {}
