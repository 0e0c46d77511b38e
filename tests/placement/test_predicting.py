"""How long a move would take, by what earlier ones took."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from directory.values import Move, MoveEvent, MoveOptions, MovePhase
from placement.rules import predicting
from placement.rules.predicting import Measured, measured, predict

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
STRAIGHT: tuple[tuple[MovePhase, float], ...] = (
    ("PLANNED", 1), ("PREPARED", 1), ("COPYING", 20), ("CATCHING_UP", 2), ("VERIFYING", 5), ("READY", 30),
    ("FENCING", 0.5), ("COMMITTED", 0.5), ("ACTIVATED", 9), ("REVERSIBLE", 999),
)  # fmt: skip
"""Phases, and for how many seconds."""


def a_move(progress: Mapping[str, Any], *, hold: bool = False) -> Move:
    """One that has switched."""
    return Move(
        *("mv-1", "acme", "cell-1", "cell-2", "REVERSIBLE", False, "run", 7, "mover", 1),
        *({}, MoveOptions(hold=hold), progress, {}, 12.5, "", "", None, NOON, NOON, None),
    )


def happened(
    phases: Sequence[tuple[MovePhase, float]], wishes: Mapping[int, str] | None = None
) -> list[MoveEvent]:
    """Events, each so long before the next; the ones numbered in `wishes` are wishes."""
    events, at = [], NOON
    for number, (phase, seconds) in enumerate(phases):
        wish = (wishes or {}).get(number)
        detail = {"event": "step"} if wish is None else {"event": "ask", "wish": wish}
        events.append(MoveEvent("mv-1", number + 1, at, phase, "", detail))
        at += timedelta(seconds=seconds)
    return events


def test_a_move_is_measured_until_its_tenant_lives_there() -> None:
    """From when a mover has it. Copying and comparing go through all rows; nobody waits for what follows."""
    progress = {"rows_copied": 1000, "bytes_copied": 50_000}
    assert measured(a_move(progress), happened(STRAIGHT)) == Measured(1000, 50_000, 25.0, 59.0)


def test_what_an_operator_had_it_wait_for_is_not_counted() -> None:
    """Neither a hold before the switch nor a pause."""
    assert measured(a_move({"rows_copied": 9}, hold=True), happened(STRAIGHT)) == Measured(9, 0, 25.0, 29.0)
    phases: tuple[tuple[MovePhase, float], ...] = (
        ("COPYING", 3),
        ("COPYING", 500),
        ("COPYING", 4),
        ("READY", 1),
        ("ACTIVATED", 0),
    )
    events = happened(phases, {1: "pause", 2: "run"})
    assert measured(a_move({"rows_copied": 9}), events) == Measured(9, 0, 7.0, 8.0)


@pytest.mark.parametrize(
    "progress", [{}, {"rows_copied": 0}, {"rows_copied": "many"}, {"rows_copied": 1, "bytes_copied": None}]
)
def test_a_move_that_brought_nothing_measures_nothing(progress: dict[str, Any]) -> None:
    """A reverse goes on from rows that were left."""
    assert measured(a_move(progress), happened(STRAIGHT)) is None


def test_before_any_move_what_is_usual_is_said() -> None:
    """And that nothing was measured."""
    prediction = predict(100_000, 1000, [], [])
    assert prediction.seconds == predicting.USUAL_REST_SECONDS + 100_000 / predicting.USUAL_ROWS_PER_SECOND
    assert (prediction.measured_moves, prediction.pause_p50_ms, prediction.pause_p99_ms) == (0, None, None)
    wide = predict(1, 500_000_000, [], []).seconds
    assert wide == predicting.USUAL_REST_SECONDS + 500_000_000 / predicting.USUAL_BYTES_PER_SECOND


def test_small_moves_say_nothing_about_rows_a_second() -> None:
    """Only how long everything else takes; else a large tenant would be said to take days."""
    small = Measured(rows=20, bytes=900, carrying_seconds=0.4, total_seconds=2.0)
    prediction = predict(1_000_000, 1000, [small] * 3, [])
    assert prediction.seconds == pytest.approx(2.0 + 1_000_000 / predicting.USUAL_ROWS_PER_SECOND, rel=0.01)


def test_large_moves_say_how_fast_rows_and_bytes_are() -> None:
    """The median of them; the slower of the two counts."""
    known = [Measured(100_000, 10_000_000, seconds, seconds + 3) for seconds in (1.0, 2.0, 100.0)]
    assert predict(500_000, 0, known, []).seconds == pytest.approx(3.0 + 10.0)
    assert predict(0, 100_000_000, known, []).seconds == pytest.approx(3.0 + 20.0)
    assert predict(0, 0, known, []).measured_moves == 3


@pytest.mark.parametrize(
    ("pauses", "half", "most"),
    [([40.0], 40.0, 40.0), ([30.0, 10.0, 20.0], 20.0, 30.0), ([float(ms) for ms in range(100)], 50.0, 99.0)],
)
def test_pauses_are_those_that_were_measured(pauses: list[float], half: float, most: float) -> None:
    """Not one that nobody had."""
    prediction = predict(1, 1, [], pauses)
    assert (prediction.pause_p50_ms, prediction.pause_p99_ms, prediction.measured_pauses) == (
        half,
        most,
        len(pauses),
    )
