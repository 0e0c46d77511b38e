"""When the fleet is full, as people and scripts read it."""

import io
from typing import Any

import pytest
from rich.console import Console

from console.capacity import amount, bars, draw, sentences
from tests.console.conftest import Cellway
from tests.placement.fake_cell import FakeCell
from tests.waiting import eventually

NOTHING = {"full_on": None, "full_earliest": None, "full_latest": None, "open_by": None, "cells_needed": 0}


def pool(**told: Any) -> dict[str, Any]:
    """A pool that will be full of storage in two months."""
    return {
        "pool": "eu",
        "resource": "storage",
        "cells": 3,
        "used": 8.3e11,
        "limit": 1e12,
        "share": 0.83,
        "per_week": 1.2e10,
        "outlook": "filling",
        "full_on": "2027-02-03",
        "full_earliest": "2027-01-22",
        "full_latest": "2027-03-01",
        "open_by": "2027-01-20",
        "cells_needed": 2,
        "days_known": 40,
        "why": "83 % of the limit is used, and each week 1.2 % of it more, by the last 40 days",
        "history": [{"day": f"2026-11-{day:02}", "used": 7.5e11 + day * 4e9} for day in range(1, 21)],
        **told,
    }


def told(*pools: dict[str, Any]) -> list[str]:
    """What is said above the table."""
    return list(sentences({"day": "2026-11-22", "lead_days": 14, "pools": pools}))


def test_the_first_sentence_says_what_to_do() -> None:
    """Which pool, of what, when, how sure that is, by when to do something, and why."""
    assert told(pool()) == [
        "eu is full of storage on 2027-02-03 (between 2027-01-22 and 2027-03-01): open a cell by 2027-01-20. "
        "83 % of the limit is used, and each week 1.2 % of it more, by the last 40 days."
    ]
    late = pool(full_latest=None, open_by="2026-11-22", resource="cpu")
    assert told(late)[0].startswith(
        "eu is full of CPU on 2027-02-03 (between 2027-01-22 and more than a year from now): open a cell now. "
    )
    assert told(pool(outlook="full", open_by="2026-11-22"))[0].startswith(
        "eu is full of storage: open a cell now. "
    )


def test_each_pool_is_named_once_by_its_most_urgent_resource() -> None:
    """A cell brings of everything; and a fleet of many regions is no wall of text."""
    many = [pool(pool=name, resource=of) for name in ("eu", "us", "ap", "sa", "af") for of in ("storage", "cpu")]
    said = told(*many)
    assert [line.split(" on ")[0] for line in said[:3]] == [
        f"{name} is full of storage" for name in ("eu", "us", "ap")
    ]
    assert said[3:] == ["2 more pools need a cell."]


@pytest.mark.parametrize(
    ("pools", "said"),
    [
        ([], "There is no open cell that could become full. Register one: cellway cells register --help"),
        (
            [pool(**{**NOTHING, "outlook": "too_little_known", "why": "use is known of 1 day, and 7 are needed"})],
            "Nothing can be foretold yet: use is known of 1 day, and 7 are needed.",
        ),
        ([pool(**{**NOTHING, "outlook": "falling"})], "No pool will be full within a year."),
        (
            [pool(**{**NOTHING, "outlook": "not_within_a_year", "full_earliest": "2027-08-01"})],
            "No pool is expected to be full within a year; eu may be full of storage on 2027-08-01 at the "
            "earliest.",
        ),
    ],
)
def test_when_there_is_nothing_to_do_it_says_so(pools: list[dict[str, Any]], said: str) -> None:
    """And whether that is known."""
    assert told(*pools) == [said]


def test_a_row_tells_numbers_in_their_units() -> None:
    """And how use went, as a share of the limit."""
    drawn = io.StringIO()
    few = {**NOTHING, "outlook": "too_little_known", "days_known": 1, "share": 0.0, "per_week": None}
    pools = [pool(), pool(resource="tenants", used=12, limit=500, **{**few, "cells_needed": None, "history": []})]
    Console(file=drawn, width=250).print(draw({"day": "2026-11-22", "lead_days": 14, "pools": pools}))
    _, _, headings, storage, tenants, *_ = drawn.getvalue().splitlines()
    assert headings.split()[:4] == ["POOL", "RESOURCE", "USED", "LIMIT"]
    assert " ".join(storage.split()) == (
        "eu storage 830.0 GB 1.0 TB 83 % +12.0 GB ▆▆▆▆▇▇▇▇▇▇ 2027-02-03 2027-01-22 – 2027-03-01 2027-01-20 +2"
    )
    assert " ".join(tenants.split()) == "eu tenants 12 500 0 % – too little known (1 day) – – –"


def test_what_has_no_limit_is_told_in_one_line() -> None:
    """It is in no row of the table, and nobody could do anything about it but say how much cells hold."""
    drawn = io.StringIO()
    pools = [pool(), *(pool(resource=of, outlook="no_limit", open_by=None) for of in ("cpu", "memory"))]
    Console(file=drawn, width=250).print(draw({"day": "2026-11-22", "lead_days": 14, "pools": pools}))
    *_, row, empty, line = drawn.getvalue().splitlines()
    assert row.startswith("eu    storage")
    assert (empty, line) == (
        "",
        "No limit is known in eu (CPU, memory): not every cell there says how much it holds.",
    )


def test_bars_are_few_and_of_the_latest_days() -> None:
    """However many days there are; of nothing there are none."""
    assert bars([], 100) == ""
    assert bars([{"used": 0}, {"used": 50}, {"used": 100}], 100) == "▁▅█"
    assert bars([{"used": day} for day in range(56)], 55)[-1] == "█"
    assert len(bars([{"used": day} for day in range(56)], None)) == 14
    assert bars([{"used": 0}], 0) == "▁"


@pytest.mark.parametrize(
    ("resource", "number", "text"),
    [
        ("cpu", 12.34, "12.3"),
        ("memory", -2.5e9, "-2.5 GB"),
        ("network", 950.0, "950 bit/s"),
        ("network", -1.5e9, "-1.5 Gbit/s"),
        ("tenants", 1234.0, "1,234"),
        ("tenants", 2.5, "2.5"),
    ],
)
def test_amounts(resource: str, number: float, text: str) -> None:
    """Each in its unit."""
    assert amount(resource, number) == text


async def test_operators_look_at_it(operator: Cellway, cell: FakeCell) -> None:
    """A table for people, the whole answer for scripts."""

    async def shown() -> bool:
        found = await operator("capacity")
        assert found.code == 0
        assert "Nothing can be foretold yet: use is known of 1 day, and 7 are needed." in found.out
        return "tenants" in found.out

    await eventually(shown)
    found = (await operator("capacity", "--json")).json
    assert [(one["pool"], one["resource"], one["used"]) for one in found["pools"]] == [("eu", "tenants", 0)]
