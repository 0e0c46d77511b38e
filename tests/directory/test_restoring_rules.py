"""Where a tenant lives, by what the cells' fences say."""

import pytest

from directory.rules.restoring import Home, Seen, Verdict, judge, lived_here

HERE = Home("cell-1", 10)
CASES: list[tuple[Home | None, bool, bool, list[Seen], tuple[Verdict, Home | None]]] = [
    (HERE, True, True, [Seen("cell-1", 10, "active")], ("kept", None)),
    (HERE, True, True, [Seen("cell-1", 12, "active")], ("moved", Home("cell-1", 12))),
    (HERE, True, True, [Seen("cell-1", 11, "moved"), Seen("cell-2", 12, "active")], ("moved", Home("cell-2", 12))),
    (HERE, True, True, [Seen("cell-1", 10, "active"), Seen("cell-2", 12, "importing")], ("kept", None)),
    (None, False, True, [Seen("cell-2", 20, "active")], ("unknown", Home("cell-2", 20))),
    # Between two cells: its rows are whole where it was fenced, and opened there at an epoch of its own.
    (
        HERE,
        True,
        True,
        [Seen("cell-1", 11, "fenced"), Seen("cell-2", 9, "importing")],
        ("opened", Home("cell-1", 11)),
    ),
    (None, False, True, [Seen("cell-2", 21, "fenced")], ("opened", Home("cell-2", 21))),
    (HERE, True, True, [Seen("cell-1", 30, "moved")], ("gone", None)),
    (None, True, True, [Seen("cell-1", 30, "moved")], ("kept", None)),
    (HERE, True, False, [], ("waits", None)),
    (HERE, True, True, [], ("lost", None)),
    (HERE, True, True, [Seen("cell-1", 10, "active"), Seen("cell-2", 12, "active")], ("torn", None)),
]


@pytest.mark.parametrize(("assigned", "is_known", "is_settled", "seen", "wanted"), CASES)
def test_the_fences_say_where_a_tenant_lives(
    assigned: Home | None, is_known: bool, is_settled: bool, seen: list[Seen], wanted: tuple[Verdict, Home | None]
) -> None:
    """One open fence is its home, whatever the directory has forgotten; two are for a person to look at."""
    assert judge(assigned, is_known=is_known, is_settled=is_settled, seen=seen) == wanted


@pytest.mark.parametrize(
    ("state", "whole"), [("active", True), ("fenced", True), ("importing", False), ("moved", False), (None, False)]
)
def test_only_who_lived_there_has_whole_rows_in_a_backup(state: str | None, whole: bool) -> None:
    """A half of a copy, and what somebody left behind, is nobody's truth."""
    assert lived_here(state) is whole
