"""The page on workflows: what it shows, works."""

import re
from pathlib import Path
from typing import Any

import pytest

from cell.orchestrator.actions import Call
from cell.orchestrator.registry import Bound
from cell.rules.turns import Output
from tests.cell.orchestrator.outside import Ledger
from tests.cell.orchestrator.stage import Stage

PAGE = Path(__file__).parents[3] / "docs" / "workflows.md"


class Mailboxes(Ledger):
    """Gives addresses."""

    async def act(self, call: Call) -> Output:
        return {**await super().act(call), "address": "acme@example.com"}


def example() -> dict[str, Any]:
    """What the page's code defines."""
    [code] = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    defined: dict[str, Any] = {}
    exec(compile(code, str(PAGE), "exec"), defined)  # noqa: S102 our own page
    return defined


@pytest.mark.parametrize("pays", [True, False])
async def test_the_example_runs(stage: Stage, pays: bool) -> None:
    """Fourteen days, unless the customer pays before."""
    mailboxes = Mailboxes()
    trial: Bound = example()["trial"](mailboxes)
    name = await stage.begin(trial, {"plan": "free"})
    seen = await stage.run(name, trial)
    assert (seen.state, seen.outputs["account"]) == ("PAID_IN_PROGRESS", {"account": "main"})
    if pays:
        assert await stage.tell(name, "paid", {"by": "card"})
    else:
        await stage.time_passes(name)
    seen = await stage.run(name, trial)
    assert (seen.outcome, "paid" in seen.outputs) == ("COMPLETED", pays)
    assert mailboxes.effects == ["mailbox"]


async def test_the_example_leaves_nothing_behind_when_it_is_cancelled(stage: Stage) -> None:
    """Neither outside nor here."""
    mailboxes = Mailboxes()
    trial: Bound = example()["trial"](mailboxes)
    name = await stage.begin(trial)
    await stage.run(name, trial)
    assert await stage.cancel(name, trial)
    assert (await stage.run(name, trial)).outcome == "ROLLED_BACK"
    assert mailboxes.effects == ["mailbox", "-mailbox"]


def test_every_state_that_the_page_names_is_one() -> None:
    """Of the example."""
    trial: Bound = example()["trial"](Mailboxes())
    named = set(re.findall(r"`([A-Z]+)_(?:IN_PROGRESS|COMPLETE|FAILED|COMPENSATING)`", PAGE.read_text("utf-8")))
    assert named
    assert named <= {step.state for step in trial.workflow.steps}
