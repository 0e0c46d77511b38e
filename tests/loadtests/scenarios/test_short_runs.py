"""Scenarios for real, in short: a whole platform, a few requests a second, every goal that no noise can miss."""

from dataclasses import replace
from pathlib import Path

import pytest

from console.platform.blueprint import PLACEMENT, ROUTER
from loadtests.scenarios.catalogue import BY_NAME
from loadtests.scenarios.conductor import Options, Outcome, run
from loadtests.scenarios.stage import Given, embedded
from tests.programs import require_program

pytestmark = pytest.mark.stack
SECONDS, RATE, TENANTS = 10.0, 20.0, 6


def looked_at(outcome: Outcome) -> None:
    """Every goal is reached, the faults have been there, and the figures are those of what was sent."""
    assert outcome.passed, [str(each) for each in outcome.judged]
    told = outcome.told
    assert told["totals"]["requests"] == pytest.approx(SECONDS * RATE, rel=0.4)
    assert told["faults"]
    assert {"read", "create", "job", "stream"} >= set(told["series"]["operations"]) >= {"read", "create"}
    assert sum(map(sum, (cell["requests"] for cell in told["series"]["cells"].values()))) > 0.6 * SECONDS * RATE


@pytest.mark.parametrize("name", ["directory_outage", "router_rolling_upgrade"])
async def test_a_short_run_reaches_its_goals(name: str, tmp_path: Path) -> None:
    """No request fails while the directory is away, nor while routers are replaced."""
    scenario = replace(BY_NAME[name], tenants=TENANTS)
    if scenario.routers > 1:
        require_program("haproxy", "two routers behind a balancer")
    said: list[str] = []
    looked_at(await run(scenario, Options(seconds=SECONDS, rate=RATE, folder=tmp_path), said.append))
    assert said == [f"{name}: 20 requests a second, as was asked for"]
    assert not (tmp_path / "plan.json").exists(), "it holds keys"


async def test_a_platform_that_runs_elsewhere_is_asked_for_moves_and_left_as_it_was(tmp_path: Path) -> None:
    """By its addresses alone; the tenants that were made for the run are gone afterwards."""
    scenario = replace(BY_NAME["live_move"], tenants=TENANTS)
    async with embedded(replace(scenario, tenants=1), tmp_path / "elsewhere") as stage:
        platform, operator = stage.require_platform(), stage.require_operator()
        given = Given(platform.url(ROUTER), (), platform.url(PLACEMENT), platform.operator_token)
        options = Options(seconds=SECONDS, rate=RATE, folder=tmp_path / "run", given=given)
        outcome = await run(scenario, options, print)
        left = {
            tenant["tenant_id"] for tenant in (await operator.call("GET", "/v1/tenants?state=active"))["tenants"]
        }
    looked_at(outcome)
    assert outcome.told["target"] == platform.url(ROUTER)
    assert left == set(stage.names)
