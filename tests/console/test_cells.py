"""The life of a cell, what it holds and for whom it is, from the command line."""

from typing import Any

import pytest

from console.amounts import bytes_of, number_of, said
from console.errors import Usage
from directory.redis_registry import RedisRegistry
from directory.registry import Instance
from tests.console.conftest import Cellway
from tests.placement.conftest import Client, StartCell
from tests.placement.fake_cell import FakeCell
from tests.waiting import eventually


def _where(made: FakeCell) -> tuple[str, ...]:
    return ("--region", made.region, "--address", made.url, "--control-address", made.url, "--capacity", "10")


async def test_a_cell_registers_with_what_it_holds(operator: Cellway, start_cell: StartCell) -> None:
    """Said as people say it, shown the same; none takes away."""
    made = await start_cell()
    holds = ("--cpus", "16", "--memory", "64GiB", "--storage", "2TB", "--network", "10Gbit")
    caps = ("--cap-revenue", "250000", "--cap-top-tier", "3", "--tag", "hipaa")
    told = await operator("cells", "register", "cell-1", *_where(made), *holds, *caps, "--json")
    assert (told.code, told.json["state"]) == (0, "open")
    assert told.json["capacity"] == {
        "cpus": 16.0,
        "memory_bytes": 64 * 2**30,
        "storage_bytes": 2 * 10**12,
        "network_bits": 1e10,
    }
    assert told.json["caps"] == {"revenue": 250_000.0, "top_tier": 3}
    shown = (await operator("cells", "show", "cell-1")).out
    assert "CPUs 16, memory 64 GiB, storage 1.819 TiB, network a second 10 Gbit" in shown
    assert "revenue 250,000 a month, 3 tenants of the highest plan" in shown
    assert "0 of 10 (0%)" in shown
    changed = await operator("cells", "update", "cell-1", "--memory", "none", "--cap-top-tier", "none", "--json")
    assert (changed.json["capacity"]["memory_bytes"], changed.json["capacity"]["cpus"]) == (None, 16.0)
    assert changed.json["caps"] == {"revenue": 250_000.0, "top_tier": None}
    as_before = await operator("cells", "change", "cell-1", "--capacity", "11", "--json")
    assert as_before.json["capacity_tenants"] == 11


@pytest.mark.parametrize(
    "options",
    [
        (),
        *(("--cpus", text) for text in ("0", "-1", "nan", "many", "4B", "1e3")),
        *(("--memory", text) for text in ("64Gbit", "0", "64 gigabytes")),
        ("--network", "10GB"),
        ("--cap-top-tier", "1.5"),
        ("--cap-revenue", "inf"),
    ],
)
async def test_a_senseless_amount_is_wrong_usage(cellway: Cellway, options: tuple[str, ...]) -> None:
    """Told before anybody is asked: there is no platform here."""
    assert (await cellway("cells", "update", "cell-1", *options)).code == 2


def test_amounts_are_read_as_they_are_written() -> None:
    """By thousands, or by 1024 with an i."""
    assert [bytes_of(text, "x") for text in ("1", "1kB", "1KiB", "1.5GiB", "2T", "none")] == [
        *(1, 1000, 1024, 1.5 * 2**30, 2 * 10**12, None),
    ]
    assert number_of("2.5", "", "x") == 2.5
    assert [said(None), said(2.5), said(1e10, "bit"), said(2**40, "B"), said(500, "B")] == [
        *("–", "2.5", "10 Gbit", "1 TiB", "500 B"),
    ]
    with pytest.raises(Usage, match="--memory is 64GiB"):
        bytes_of("much", "--memory")


async def test_a_cells_life_from_the_command_line(operator: Cellway, cell: FakeCell) -> None:
    """Drained, opened, cordoned, taken for lost, brought back; what cannot be is refused with the reason."""
    await operator("tenants", "create", "acme")
    for verb, state in (("drain", "draining"), ("open", "open"), ("cordon", "cordoned")):
        assert (await operator("cells", verb, "cell-1", "--json")).json["state"] == state
    asked = await operator("cells", "fail", "cell-1")
    assert (asked.code, "Say --yes" in asked.err) == (2, True)
    failed = await operator("cells", "fail", "cell-1", "--yes")
    assert failed.code == 0
    for words in ("1: acme", "all that its tenants (1) wrote", "cellway cells cordon cell-1"):
        assert words in failed.out
    assert (await operator("cells", "recovery", "cell-1")).out == failed.out
    assert (await operator("cells", "recovery", "cell-1", "--json")).json["state"] == "failed"
    refused = await operator("cells", "retire", "cell-1", "--yes")
    assert (refused.code, "tenants live in cell cell-1 (1)" in refused.err) == (1, True)
    assert (await operator("cells", "open", "cell-1", "--json")).json["state"] == "open"
    assert (await operator("cells", "drain", "cell-9")).code == 4


async def test_a_cell_that_seems_dead_is_told_beside_the_list(
    operator: Cellway, cell: FakeCell, redis_url: str
) -> None:
    """On stderr, where it is in no script's way; the list has a word for it."""
    await operator("tenants", "create", "acme")
    cell.mode = "failing"
    registry = RedisRegistry(redis_url)
    router = Instance("router", "router-1", "127.0.0.1", 1, 2, suspects=("cell-1",))
    await registry.announce(router)

    async def told() -> Any:
        listed = await operator("cells", "list")
        return listed if "cell-1 is believed dead" in listed.err else None

    listed = await eventually(told)
    assert ("down" in listed.out, "cellway cells fail cell-1" in listed.err) == (True, True)
    assert (await operator("cells", "show", "cell-1", "--json")).json["health"]["verdict"] == "down"
    assert (await operator("cells", "show", "cell-1", "--json")).json["state"] == "open"
    await registry.withdraw(router)
    await registry.close()


async def test_a_tenant_gets_a_cell_of_its_own_and_gives_it_back(
    operator: Cellway, cell: FakeCell, placement: Client, start_cell: StartCell
) -> None:
    """An empty one is found; nobody else comes there; nothing moves before somebody says so."""
    await operator("tenants", "create", "acme")
    await operator("tenants", "create", "bolt")
    refused = await operator("tenants", "dedicate", "acme")
    assert (refused.code, "no open cell is empty" in refused.err) == (1, True)
    refused = await operator("tenants", "dedicate", "acme", "--cell", "cell-1")
    assert (refused.code, "others live in cell cell-1 (1)" in refused.err) == (1, True)
    own = await start_cell("cell-2")
    await placement("POST", "/v1/cells", own.body(capacity_tenants=1000))
    given = await operator("tenants", "dedicate", "acme")
    assert (given.code, "cellway moves start acme --to cell-2" in given.out) == (0, True)
    shown = (await operator("tenants", "show", "acme", "--json")).json
    assert (shown["dedicated_to"], shown["cell_id"]) == ("acme", "cell-1")
    assert (await operator("tenants", "create", "zen", "--json")).json["cell_id"] == "cell-1"
    planned = await operator("moves", "start", "acme", "--to", "cell-2", "--plan", "--json")
    assert planned.json["obstacles"] == []
    strange = await operator("moves", "start", "bolt", "--to", "cell-2", "--plan", "--json")
    assert "cell-2 is dedicated to acme" in strange.json["obstacles"][0]
    again = await operator("tenants", "dedicate", "acme", "--json")
    assert [each["cell_id"] for each in again.json["cells"]] == ["cell-2"]
    other = await operator("tenants", "dedicate", "bolt", "--cell", "cell-2")
    assert (other.code, "dedicated to acme already" in other.err) == (1, True)
    for _ in range(2):
        back = await operator("tenants", "dedicate", "acme", "--shared")
        assert (back.code, "acme lives among others" in back.out) == (0, True)
    assert (await operator("cells", "show", "cell-2", "--json")).json["dedicated_to"] is None
    assert (await operator("tenants", "show", "acme", "--json")).json["dedicated_to"] is None
    assert (await operator("tenants", "dedicate", "acme", "--shared", "--cell", "cell-2")).code == 2


async def test_a_tenant_that_lives_alone_keeps_its_cell(operator: Cellway, cell: FakeCell) -> None:
    """Nothing has to move; and the cell stays its own while another of the same name is dedicated."""
    await operator("tenants", "create", "acme")
    given = await operator("tenants", "dedicate", "acme")
    assert (given.code, given.out) == (0, "cell-1 is dedicated to acme: nobody else is placed there.\n")
    sister = await operator("tenants", "create", "sister", "--dedicated-to", "acme", "--json")
    assert sister.json["cell_id"] == "cell-1"
    back = await operator("tenants", "dedicate", "acme", "--shared")
    assert (back.code, "cell-1 stays dedicated to acme" in back.err) == (0, True)
    assert "sister may not live there" in back.err


@pytest.mark.parametrize("wish", [("--region", "us"), ("--tag", "pci")])
async def test_a_cell_in_which_the_tenant_may_not_live_is_not_dedicated(
    operator: Cellway, cell: FakeCell, placement: Client, start_cell: StartCell, wish: tuple[str, str]
) -> None:
    """Neither one that is found nor one that is named."""
    fitting = await start_cell("cell-3", "us")
    await placement("POST", "/v1/cells", fitting.body() | {"tags": ["pci"]})
    made = await operator("tenants", "create", "acme", *wish, "--json")
    assert made.json["cell_id"] == "cell-3"
    await operator("tenants", "create", "bolt", *wish)
    refused = await operator("tenants", "dedicate", "acme")
    assert (refused.code, wish[1] in refused.err) == (1, True)
    named = await operator("tenants", "dedicate", "acme", "--cell", "cell-1")
    assert (named.code, "cell cell-1" in named.err) == (1, True)
    assert (await operator("tenants", "show", "acme", "--json")).json["dedicated_to"] is None


async def test_what_a_tenant_needs_and_pays_from_the_command_line(operator: Cellway, cell: FakeCell) -> None:
    """What is not said stays."""
    await operator("tenants", "create", "acme", "--revenue", "10")
    told = await operator("tenants", "update", "acme", "--tag", "pci", "--tag", "hipaa", "--json")
    assert (told.json["tags"], told.json["revenue"]) == (["hipaa", "pci"], 10.0)
    told = await operator("tenants", "update", "acme", "--no-tags", "--revenue", "12.5", "--json")
    assert (told.json["tags"], told.json["revenue"]) == ([], 12.5)
    assert "12.5 a month" in (await operator("tenants", "show", "acme")).out
    for options in ((), ("--revenue", "nan"), ("--revenue", "-1"), ("--tag", "a", "--no-tags")):
        assert (await operator("tenants", "update", "acme", *options)).code == 2
