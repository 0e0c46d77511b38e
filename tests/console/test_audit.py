"""Who decided what, from the command line."""

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from placement.rules.roles import Operator, grants
from tests.console.conftest import Cellway
from tests.placement.conftest import TOKENS, Client
from tests.placement.fake_cell import FakeCell
from tests.waiting import eventually


async def test_decisions_from_the_command_line(
    operator: Cellway, placement: Client, cell: FakeCell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Listed by what is asked for; for people and for scripts."""
    await placement.create("acme")
    await placement("POST", "/v1/tenants/acme:suspend", token=TOKENS["operator"])
    await placement("DELETE", "/v1/tenants/acme", token=TOKENS["operator"])
    monkeypatch.setenv("CELLWAY_OPERATOR_TOKEN", TOKENS["viewer"])
    shown = await operator("audit", "--target", "acme", "--since", "5m")
    assert shown.code == 0, shown
    assert [line.split()[2:] for line in shown.out.splitlines()[1:]] == [
        ["olaf", "operator", "deleteTenant", "tenant/acme", "PERMISSION_DENIED"],
        ["olaf", "operator", "suspendTenant", "tenant/acme,", "cell/cell-1", "DONE"],
        ["unnamed-2", "admin", "createTenant", "tenant/acme,", "cell/cell-1", "DONE"],
    ]
    found = (await operator("audit", "--actor", "olaf", "--action", "suspendTenant", "--json")).json
    assert [one["outcome"] for one in found] == ["DONE"]
    assert "Nothing like that" in (await operator("audit", "--until", "1d")).out
    refused = await operator("cells", "cordon", "cell-1")
    assert (refused.code, "needs the role operator: vera is viewer" in refused.err) == (1, True)


async def test_who_one_is_from_the_command_line(operator: Cellway, monkeypatch: pytest.MonkeyPatch) -> None:
    """Name and role."""
    assert (await operator("whoami")).out == "unnamed-2, admin\n"
    monkeypatch.setenv("CELLWAY_OPERATOR_TOKEN", TOKENS["operator"])
    assert (await operator("whoami", "--json")).json == {"name": "olaf", "role": "operator"}


@pytest.mark.parametrize(
    "words",
    [("--since", "yesterday"), ("--until", "2030-02-30"), ("--since", "5w"), ("--follow", "--until", "1h")],
)
async def test_times_that_make_no_sense_are_wrong_usage(cellway: Cellway, words: tuple[str, ...]) -> None:
    """Told before anybody is asked: there is no platform here."""
    assert (await cellway("audit", *words)).code == 2


async def test_the_log_can_be_followed(placement: Client, cell: FakeCell, tmp_path: Path) -> None:
    """What was there, then what comes, each once."""
    environment = {
        **os.environ, "CELLWAY_PLACEMENT_URL": placement.url, "CELLWAY_OPERATOR_TOKEN": TOKENS["viewer"]
    }  # fmt: skip
    told = tmp_path / "told"
    command = [sys.executable, "-m", "console", "audit", "--follow", "--json"]
    with told.open("wb") as out:
        following = await asyncio.create_subprocess_exec(*command, env=environment, stdout=out)
        try:

            async def seen(count: int) -> list[str] | None:
                lines = [json.loads(line) for line in told.read_text().splitlines()]
                found = [one["action"] for one in lines if one["outcome"] is not None]
                return found if len(found) >= count else None

            assert await eventually(lambda: seen(1), seconds=30) == ["registerCell"]
            await placement.create("acme")
            await placement.create("bolt")
            assert await eventually(lambda: seen(3), seconds=30) == [
                "registerCell",
                "createTenant",
                "createTenant",
            ]
            await placement("POST", "/v1/tenants/bolt:suspend")
            assert (await eventually(lambda: seen(4), seconds=30) or [])[3:] == ["suspendTenant"]
        finally:
            following.terminate()
            await following.wait()


async def test_a_token_is_made_with_the_entry_that_placement_reads(cellway: Cellway) -> None:
    """Both are of one secret; what is no name or role is wrong usage."""
    made = (await cellway("bootstrap", "operator", "grace", "--role", "operator", "--json")).json
    entry = made["one more in placement's list"]["CELLWAY_PLACEMENT_OPERATOR_TOKENS"]
    [grant] = grants([entry])
    assert (grant.operator, grant.token) == (
        Operator("grace", "operator"),
        made["grace"]["CELLWAY_OPERATOR_TOKEN"],
    )
    for words in (("Grace",), ("grace", "--role", "root"), ("a:b",)):
        assert (await cellway("bootstrap", "operator", *words)).code == 2
