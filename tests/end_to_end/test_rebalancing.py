"""The whole way of a plan: uneven, measured, planned, approved, moved by movers under load, level."""

from pathlib import Path

import pytest

from loadtests.rebalancing.show import show

pytestmark = pytest.mark.platform


async def test_an_uneven_fleet_is_levelled_while_everybody_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No request fails, every planned tenant moves, and in the end no cell has more than its share."""
    monkeypatch.setenv("CELLWAY_PLACEMENT_LOAD_SECONDS", "2")
    told: list[str] = []
    shown = await show(tmp_path, told.append)
    assert shown.requests > 500
    assert not shown.failed
    assert shown.worst_before > 1.5
    assert shown.worst_after <= 1.15
    assert (shown.plan["state"], shown.plan["failed"], shown.plan["summary"]["moves"]) == ("DONE", 0, 0)
    assert shown.plan["moved"] > 0
    assert all(balance["after"] <= 1.15 for balance in shown.plan["summary"]["balances"])
    assert "of writes, 15 tenants" in told[1]
