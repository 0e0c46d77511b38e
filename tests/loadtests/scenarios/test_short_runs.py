"""Scenarios for real, in short: a whole platform, a few requests a second, every goal that no noise can miss."""

from dataclasses import replace
from pathlib import Path

import pytest

from loadtests.scenarios.catalogue import BY_NAME
from loadtests.scenarios.conductor import Options, run
from tests.programs import require_program

pytestmark = pytest.mark.platform
SECONDS, RATE = 10.0, 20.0


@pytest.mark.parametrize("name", ["directory_outage", "live_move", "router_rolling_upgrade"])
async def test_a_short_run_reaches_its_goals(name: str, tmp_path: Path) -> None:
    """No request fails, the faults have been there, and the figures are those of what was sent."""
    scenario = replace(BY_NAME[name], tenants=6)
    if scenario.routers > 1:
        require_program("haproxy", "two routers behind a balancer")
    said: list[str] = []
    options = Options(seconds=SECONDS, rate=RATE, folder=tmp_path)
    outcome = await run(scenario, options, said.append)
    assert outcome.passed, [str(each) for each in outcome.judged]
    assert said == [f"{name}: 20 requests a second, as was asked for"]
    told = outcome.told
    assert told["totals"]["requests"] == pytest.approx(SECONDS * RATE, rel=0.4)
    assert told["faults"]
    assert {"read", "create", "job", "stream"} >= set(told["series"]["operations"]) >= {"read", "create"}
    assert sum(map(sum, (cell["requests"] for cell in told["series"]["cells"].values()))) > 0.8 * SECONDS * RATE
    assert not (tmp_path / "plan.json").exists(), "it holds keys"
