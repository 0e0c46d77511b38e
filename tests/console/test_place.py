"""What operators type to see where a tenant would be placed, and to keep room for it."""

import io
from typing import Any

from rich.console import Console

from console.places import draw
from tests.console.conftest import Cellway
from tests.placement.carrying import two_cells as two_cells


async def test_a_place_is_shown_and_nothing_is_reserved(operator: Cellway, two_cells: None) -> None:
    """In short, in full, and for scripts."""
    ran = await operator("place", "--plan", "premium", "--region", "eu")
    assert (ran.code, "score 0." in ran.out, "runners-up" in ran.out) == (0, True, True), ran
    ran = await operator("place", "--explain", "--near", "eu", "--near", "us")
    assert (ran.code, "TERM" in ran.out, "free cpu" in ran.out, "near" in ran.out) == (0, True, True, True), ran
    found = (await operator("place", "--explain", "--json")).json
    assert found["fitting"] == found["cells"] == 2
    assert "Nothing is reserved." in (await operator("reservations", "list")).out


async def test_nowhere_says_why_cell_by_cell(operator: Cellway, two_cells: None) -> None:
    """And exits with 1, as for everything that is refused."""
    ran = await operator("place", "--explain", "--tag", "hipaa", "--dedicated-to", "acme")
    assert (ran.code, "none can take it" in ran.out, "cell-1 lacks hipaa" in ran.out) == (1, True, True), ran
    assert (await operator("place", "--tag", "hipaa", "--json")).code == 1


async def test_room_is_reserved_used_and_given_up(operator: Cellway, two_cells: None) -> None:
    """By its name, which the answer says how to use."""
    made = (await operator("place", "--reserve", "10m", "--json")).json
    name = made["reservation_id"]
    assert name in (await operator("reservations", "list")).out
    assert (await operator("reservations", "show", name, "--json")).json["holds"]
    ran = await operator("tenants", "create", "beta", "--reservation", name)
    assert (ran.code, f"reserved for it as {name}" in ran.out) == (0, True), ran
    ran = await operator("place", "--reserve", "90s")
    assert (ran.code, "cellway tenants create NAME --reservation rv-" in ran.out) == (0, True), ran
    (other,) = (await operator("reservations", "list", "--json")).json
    assert (await operator("reservations", "cancel", other["reservation_id"])).code == 0
    assert (await operator("reservations", "cancel", other["reservation_id"])).code != 0


async def test_what_makes_no_sense_is_refused(operator: Cellway, two_cells: None) -> None:
    """Before anything is asked of placement, or by placement."""
    for wrong in (
        ("--explain", "--reserve", "10m"),
        ("--reserve", "soon"),
        ("--reserve", "2h"),
        ("--reserve", "0s"),
    ):
        ran = await operator("place", *wrong)
        assert (ran.code != 0, bool(ran.err)) == (True, True), ran


def scored(cell_id: str, score: float) -> dict[str, Any]:
    """A cell that fits."""
    terms = [
        {"name": "free cpu", "weight": 3.0, "share": score, "reason": "20% of its limit is used with the tenant"},
        {"name": "cool", "weight": 3.0, "share": score, "reason": "the fullest is cpu, 20%"},
    ]
    return {"cell_id": cell_id, "score": score, "reason": "of its limits it uses cpu 20%", "terms": terms}


def test_terms_stand_beside_each_other_and_the_nearest_misses_below() -> None:
    """What is in the way is counted also where it is not listed; brackets are no markup."""
    found = {
        "chosen": scored("cell-7", 0.8),
        "reasons": ["in region [eu], as it must be"],
        "runners_up": [scored("cell-2", 0.7)],
        "misses": [{"cell_id": "cell-9", "rule": "room", "reason": "cell-9 would be 6% over its limit of cpu"}],
        "broken": {"residency": 40, "room": 1},
        "cells": 43,
        "fitting": 2,
        "takes": {"cpus": 0.5, "memory_bytes": 2**30, "storage_bytes": 5e9, "network_bits": 1e7, "tenants": 1.0,
                  "revenue": 1250.0, "top_tier": 1.0},
    }  # fmt: skip
    out = io.StringIO()
    Console(file=out, width=150, highlight=False).print(draw(found))
    drawn = out.getvalue()
    lines = [" ".join(line.split()) for line in drawn.splitlines()]
    assert "cell cell-7, score 0.8000 of 1" in lines
    assert "why in region [eu], as it must be" in lines
    assert "free cpu 3 0.80 0.70 20% of its limit is used with the tenant" in lines
    assert "score 6 0.8000 0.7000 the mean of the shares, by weight" in lines
    assert "41 of 43 cells do not fit: 40 by residency, 1 by room; the nearest 1" in lines
    assert "cell-9 room cell-9 would be 6% over its limit of cpu" in lines
    assert any("a revenue of 1,250, a place of the highest plan" in line for line in lines)
