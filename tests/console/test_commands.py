"""What operators type does what it says, for people and for scripts."""

import os
import signal

import pytest

from directory.control.contract import Check
from directory.redis_registry import RedisRegistry
from directory.registry import Instance
from runtime.embedded.redis import RedisServer
from tests.console.conftest import Cellway
from tests.placement.conftest import TOKEN, StartCell
from tests.placement.fake_cell import FakeCell
from tests.waiting import eventually


async def test_a_tenants_life_from_the_command_line(operator: Cellway, cell: FakeCell) -> None:
    """Created, listed, shown, suspended, resumed, deleted."""
    made = await operator("tenants", "create", "acme", "--display-name", "Acme Ltd", "--json")
    assert (made.code, made.json["cell_id"], made.json["display_name"]) == (0, "cell-1", "Acme Ltd")
    assert made.json["api_key"].startswith("ck_acme_")
    assert [tenant["tenant_id"] for tenant in (await operator("tenants", "list", "--json")).json] == ["acme"]
    for command, state in (("suspend", "suspended"), ("resume", "active"), ("suspend", "suspended")):
        assert (await operator("tenants", command, "acme", "--json")).json["state"] == state
    deleted = await operator("tenants", "delete", "acme", "--yes", "--json")
    assert (deleted.code, deleted.json["state"]) == (0, "deleted")
    assert (await operator("tenants", "show", "acme", "--json")).json["cell_id"] is None


async def test_a_tenants_limit_from_the_command_line(operator: Cellway, cell: FakeCell) -> None:
    """Given, shown, lifted; as often as one likes."""
    await operator("tenants", "create", "acme")
    assert "limit         none" in (await operator("tenants", "show", "acme")).out
    for _ in range(2):
        limited = await operator("tenants", "limit", "acme", "--per-second", "0.5", "--burst", "200", "--json")
        assert (limited.code, limited.json["rate"]) == (0, {"per_second": 0.5, "burst": 200})
    shown = await operator("tenants", "show", "acme")
    assert "0.5 requests a second, 200 at once" in shown.out
    assert (await operator("tenants", "show", "acme", "--json")).json["rate"] == limited.json["rate"]
    most = await operator("tenants", "limit", "acme", "--per-second", "1000000", "--burst", "1000000")
    assert (most.code, "1000000 requests a second, 1000000 at once" in most.out) == (0, True)
    for _ in range(2):
        lifted = await operator("tenants", "limit", "acme", "--none", "--json")
        assert (lifted.code, lifted.json["rate"]) == (0, None)


async def test_load_from_the_command_line(operator: Cellway, cell: FakeCell) -> None:
    """Of a tenant, of a cell, of all cells; what is not known is said to be so."""
    assert (await operator("tenants", "create", "acme")).code == 0
    cell.takes("acme", 1)

    async def known() -> bool:
        return bool((await operator("tenants", "load", "acme", "--json")).json["storage_bytes"] == 5000)

    await eventually(known)
    shown = await operator("tenants", "load", "acme")
    assert shown.code == 0
    assert "4.883 KiB" in shown.out
    assert "parts of the week known" in shown.out
    assert "cpu on days" in shown.out
    for command in (("cells", "load"), ("cells", "load", "cell-1")):
        listed = await operator(*command)
        assert (listed.code, "storage" in listed.out, "1 of 1" in listed.out) == (0, True, True)
    assert (await operator("cells", "load", "cell-1", "--json")).json["cell_id"] == "cell-1"
    assert len((await operator("cells", "load", "--json")).json) == 1


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--per-second", "1"),
        ("--burst", "1"),
        ("--none", "--burst", "1"),
        ("--none", "--per-second", "1", "--burst", "1"),
        *(("--per-second", number, "--burst", "1") for number in ("0", "-1", "nan", "inf", "1000001", "many")),
        *(("--per-second", "1", "--burst", number) for number in ("0", "1.5", "1000001")),
    ],
)
async def test_a_limit_that_makes_no_sense_is_wrong_usage(cellway: Cellway, options: tuple[str, ...]) -> None:
    """Told before anybody is asked: there is no platform here."""
    assert (await cellway("tenants", "limit", "acme", *options)).code == 2


async def test_people_get_tables_and_the_key_once(operator: Cellway, cell: FakeCell) -> None:
    """The key is in the output of its creation, with the reasons of the placement, and in no other."""
    made = await operator("tenants", "create", "acme")
    assert made.code == 0
    assert "ck_acme_" in made.out
    assert "the only one of 1 cells" in made.out
    assert "It is shown this once" in made.out
    for command in (("tenants", "show", "acme"), ("tenants", "list"), ("keys", "list", "acme"), ("cells", "list")):
        shown = await operator(*command)
        assert (shown.code, "ck_acme_" in shown.out) == (0, False)
        assert "acme" in shown.out or "first key" in shown.out or "cell-1" in shown.out


async def test_markup_in_names_is_only_text(operator: Cellway, cell: FakeCell) -> None:
    """What a tenant calls itself must not colour the operator's terminal."""
    await operator("tenants", "create", "acme", "--display-name", "[red]A[/red] [link=x]")
    assert "[red]A[/red] [link=x]" in (await operator("tenants", "list")).out


async def test_a_retried_creation_with_a_key_of_ones_own_is_one_intent(operator: Cellway, cell: FakeCell) -> None:
    """Scripts that are cut off run again."""
    command = ("tenants", "create", "acme", "--idempotency-key", "intent-1", "--json")
    assert (await operator(*command)).json["api_key"] == (await operator(*command)).json["api_key"]
    other = await operator("tenants", "create", "acme")
    assert (other.code, "exists already" in other.err) == (1, True)


async def test_keys_from_the_command_line(operator: Cellway, cell: FakeCell) -> None:
    """Made, listed, revoked."""
    await operator("tenants", "create", "acme")
    made = (await operator("keys", "create", "acme", "--display-name", "robot", "--json")).json
    assert made["api_key"].startswith("ck_acme_")
    revoked = await operator("keys", "revoke", "acme", made["key_id"], "--json")
    assert revoked.json["revoke_time"]
    assert len((await operator("keys", "list", "acme", "--json")).json) == 2
    only = await operator("keys", "create", "acme", "--secret-only")
    assert (only.out.count("\n"), only.out.startswith("ck_acme_")) == (1, True)
    assert "robot" in (await operator("keys", "list", "acme")).out


async def test_cells_from_the_command_line(operator: Cellway, start_cell: StartCell) -> None:
    """Registered, shown, changed, cordoned, opened."""
    made = await start_cell("cell-7")
    registration = ("--region", "eu", "--address", made.url, "--control-address", made.url, "--capacity", "5")
    registered = await operator(
        "cells", "register", "cell-7", *registration, "--tag", "ssd", "--tag", "new", "--json"
    )
    assert (registered.code, registered.json["state"], registered.json["tags"]) == (0, "open", ["ssd", "new"])
    changed = await operator("cells", "change", "cell-7", "--capacity", "9", "--json")
    assert (changed.json["capacity_tenants"], changed.json["tags"]) == (9, ["ssd", "new"])
    assert (await operator("cells", "change", "cell-7")).code == 2
    assert (await operator("cells", "cordon", "cell-7", "--json")).json["state"] == "cordoned"
    assert (await operator("cells", "open", "cell-7", "--json")).json["state"] == "open"
    assert "cell-7" in (await operator("cells", "list")).out


async def test_a_cell_that_is_not_there_yet_is_told_so(operator: Cellway, start_cell: StartCell) -> None:
    """It is registered all the same, and the command says what goes on."""
    made = await start_cell("cell-7")
    made.mode = "failing"
    registration = ("--region", "eu", "--address", made.url, "--control-address", made.url, "--capacity", "5")
    registered = await operator("cells", "register", "cell-7", *registration)
    assert registered.code == 0
    assert "joining" in registered.out
    assert "does not take tenants yet" in registered.out


async def test_the_doctor_says_what_to_do(operator: Cellway, cell: FakeCell) -> None:
    """0 while all is well, 1 and the remedy when not."""
    well = await operator("doctor")
    assert (well.code, "checks hold" in well.out) == (0, True), well
    cell.checks = [Check(name="row security", ok=False, detail="off on accounts", remedy="turn it on again")]
    ill = await operator("doctor")
    assert (ill.code, "turn it on again" in ill.out) == (1, True)
    assert (await operator("doctor", "--json")).json["ok"] is False


async def test_status_of_a_platform_elsewhere(operator: Cellway, cell: FakeCell) -> None:
    """Placement answers, and tells the cells."""
    found = await operator("status", "--json")
    assert found.code == 0
    assert found.json["parts"][0]["state"] == "ready"
    assert found.json["cells"][0]["cell_id"] == "cell-1"
    assert "cell-1" in (await operator("status")).out


async def test_deleting_asks_first(operator: Cellway, cell: FakeCell) -> None:
    """Without a terminal there is nobody to ask, so it must be said beforehand; nothing happens until then."""
    await operator("tenants", "create", "acme")
    active = await operator("tenants", "delete", "acme", "--yes")
    assert (active.code, "suspend" in active.err) == (1, True)
    await operator("tenants", "suspend", "acme")
    unasked = await operator("tenants", "delete", "acme")
    assert (unasked.code, "--yes" in unasked.err) == (2, True)
    assert (await operator("tenants", "show", "acme", "--json")).json["state"] == "suspended"


@pytest.mark.parametrize(
    "command",
    [
        ("tenants", "show", "nobody"),
        ("tenants", "suspend", "nobody"),
        ("tenants", "limit", "nobody", "--none"),
        ("tenants", "limit", "nobody", "--per-second", "1", "--burst", "1"),
        ("tenants", "delete", "nobody", "--yes"),
        ("tenants", "show", "../cells"),
        ("cells", "show", "nobody"),
        ("keys", "list", "nobody"),
        ("keys", "revoke", "nobody", "key"),
    ],
)
async def test_what_does_not_exist_is_4(operator: Cellway, command: tuple[str, ...]) -> None:
    """A script can tell "not there" from "refused"."""
    ran = await operator(*command)
    assert (ran.code, ran.out) == (4, "")
    assert ran.err.startswith("cellway: ")
    assert ran.err.count("\n") == 1


async def test_not_now_is_5(operator: Cellway, cell: FakeCell, monkeypatch: pytest.MonkeyPatch) -> None:
    """The decision is recorded; the same command may succeed later."""
    monkeypatch.setattr("console.commands.tenants.PATIENCE_SECONDS", 0.0)
    cell.mode = "failing"
    ran = await operator("tenants", "create", "acme")
    assert (ran.code, "recorded" in ran.err) == (5, True)


async def test_a_fleet_without_room_refuses(operator: Cellway) -> None:
    """1, and what to do."""
    ran = await operator("tenants", "create", "acme")
    assert (ran.code, "register a cell" in ran.err) == (1, True)


@pytest.mark.parametrize("command", [("tenants", "create"), ("tenants", "fly"), ("cells", "list", "--nonsense")])
async def test_wrong_usage_is_2(operator: Cellway, command: tuple[str, ...]) -> None:
    """As every command line does."""
    assert (await operator(*command)).code == 2


async def test_the_token_for_other_programs(operator: Cellway) -> None:
    """One line, to be put into a variable."""
    assert (await operator("token")).out == f"{TOKEN}\n"


async def test_the_status_of_a_platform_elsewhere_shows_who_announced_itself(
    operator: Cellway, redis_url: str
) -> None:
    """There is no folder to look into, so the registry is asked."""
    registry = RedisRegistry(redis_url)
    await registry.announce(Instance("router", "router-1", "10.0.0.9", 8080, 8082))
    await registry.close()
    parts = (await operator("status", "--json")).json["parts"]
    assert [(part["name"], part["state"], part["address"]) for part in parts][1:] == [
        ("router", "announced", "10.0.0.9:8080")
    ]


async def test_the_status_says_which_placement_leads(operator: Cellway) -> None:
    """For people in words, for scripts in JSON."""

    async def led() -> bool:
        leaders = (await operator("status", "--json")).json["leaders"]
        return [(leader["resource"], leader["leads"]) for leader in leaders] == [("placement", True)]

    await eventually(led)
    assert "placement is led by placement-" in (await operator("status")).out


async def test_the_doctor_examines_the_rest_when_the_registry_is_away(
    operator: Cellway, cell: FakeCell, redis_server: RedisServer
) -> None:
    """What was found is shown, and the registry's absence is one more finding."""
    os.kill(redis_server.pid or 0, signal.SIGSTOP)
    try:
        ill = await operator("doctor")
    finally:
        os.kill(redis_server.pid or 0, signal.SIGCONT)
    assert ill.code == 1
    assert "the registry tells which routers run" in ill.out
    assert "cell-1 answers" in ill.out


async def test_a_list_that_is_cut_short_says_so(operator: Cellway, cell: FakeCell) -> None:
    """On stderr, so that a script reads the list and a person the remark."""
    for name in ("acme", "bolt", "crux"):
        await operator("tenants", "create", name)
    cut = await operator("tenants", "list", "--limit", "2", "--json")
    assert [tenant["tenant_id"] for tenant in cut.json] == ["acme", "bolt"]
    assert "there are more" in cut.err
    assert (await operator("tenants", "list", "--limit", "3", "--json")).err == ""
