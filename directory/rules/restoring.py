"""Where a tenant lives, when the control database or a cell's was restored from a backup. Pure.

The fences say it. A fence is opened after the decision that opens it, and closed before the next one, so at any
time at most one database has a tenant's fence open, at the latest epoch of all. What is restored breaks that in
two ways: a cell's fences are open as they were; and a directory has forgotten decisions that fences remember.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["kept", "moved", "unknown", "opened", "gone", "waits", "lost", "torn"]
"""kept: as the directory says. moved: lives elsewhere, or at a later epoch. unknown: the directory has never heard
of it. opened: it was being switched, and is to be opened where it was. gone: it was deleted. waits: its creation
had not reached its cell. lost: no cell knows it, though one should. torn: open in several cells: look at it."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A fence, as a cell's database has it."""

    cell_id: str
    epoch: int
    state: str


@dataclass(frozen=True, slots=True)
class Home:
    """Where a tenant lives."""

    cell_id: str
    epoch: int


def lived_here(state: str | None) -> bool:
    """Whether a restored cell has all that there was then: not a half of a copy, nor what somebody left behind."""
    return state in ("active", "fenced")


def judge(
    assigned: Home | None, *, is_known: bool, is_settled: bool, seen: Sequence[Seen]
) -> tuple[Verdict, Home | None]:
    """What is so about a tenant of a restored directory, and where it lives; None: nowhere, or as it is."""
    found = [fence for fence in seen if fence.state == "active"]
    if len(found) > 1:
        return "torn", None
    if found:
        home = Home(found[0].cell_id, found[0].epoch)
        if not is_known:
            return "unknown", home
        return ("kept", None) if home == assigned else ("moved", home)
    if closed := [fence for fence in seen if fence.state == "fenced"]:
        latest = max(closed, key=lambda fence: fence.epoch)
        return "opened", Home(latest.cell_id, latest.epoch)
    if assigned is None:
        return "kept", None
    if any(fence.epoch > assigned.epoch for fence in seen):
        return "gone", None
    return ("lost" if is_settled else "waits"), None
