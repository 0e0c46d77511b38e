"""The page on jobs: what it shows, works."""

import re
from pathlib import Path
from typing import Any

from tests.cell.jobs.test_running import Jobs
from tests.cell.orchestrator.outside import Ledger
from tests.cell.orchestrator.stage import Stage

PAGE = Path(__file__).parents[3] / "docs" / "jobs.md"


async def test_the_example_runs(stage: Stage, ledger: Ledger) -> None:
    """The invoice is written once, and sent once, however often it is asked for."""
    [code] = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    defined: dict[str, Any] = {}
    exec(compile(code, str(PAGE), "exec"), defined)  # noqa: S102 our own page
    kinds = defined["jobs"](ledger)
    jobs = Jobs(stage, *kinds.values())
    await jobs.ask_for(kinds["write"], {"month": "2026-11"})
    await jobs.run()
    await jobs.ask_for(kinds["send"], {"month": "2026-11"}, effect_key="invoice-2026-11")
    await jobs.run()
    assert await jobs.accounts() == ["invoice-2026-11"]
    assert list(ledger.done) == ["invoice-2026-11/send_invoice"]
    assert len(await jobs.states()) == 2
