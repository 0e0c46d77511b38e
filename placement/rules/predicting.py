"""How long a move would take, and how long its tenant could not write: by what earlier moves took. Pure.

A move takes some time whatever it moves: both cells are prepared, changes carried over, the tenant is switched.
And its rows take theirs, to be copied and compared, by their number or by their bytes, whichever is longer. All of
it by medians of what was measured, so that one move on a bad day foretells nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from directory.rules.moves import UNDECIDED
from directory.values import Move, MoveEvent, MovePhase

USUAL_ROWS_PER_SECOND = 10_000.0
"""Before any move was measured: about a tenth of what `make bench-migration` finds on two cores."""
USUAL_BYTES_PER_SECOND = 5_000_000.0
USUAL_REST_SECONDS = 10.0
ENOUGH_ROWS = 10_000
ENOUGH_BYTES = 5_000_000
"""A move of less says how long everything else takes, and nothing about rows or bytes a second."""
CARRYING: tuple[MovePhase, ...] = ("COPYING", "VERIFYING")
"""Where all of the tenant's rows are gone through."""
BEFORE_IT_LIVES_THERE: tuple[MovePhase, ...] = (*UNDECIDED, "COMMITTED")
WAY_BACK = "way_back"
"""In a move's progress: not null while the rows that it left are kept fresh."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What an earlier move brought, and how long it took."""

    rows: int
    bytes: int
    carrying_seconds: float
    total_seconds: float


@dataclass(frozen=True, slots=True)
class Prediction:
    """`seconds` until the tenant lives there. A pause of None: none was measured yet."""

    seconds: float
    measured_moves: int
    pause_p50_ms: float | None
    pause_p99_ms: float | None
    measured_pauses: int


def measured(move: Move, events: Sequence[MoveEvent]) -> Measured | None:
    """Without the time for which it waited for a mover, or for an operator. None: it brought no rows."""
    rows, size = move.progress.get("rows_copied"), move.progress.get("bytes_copied", 0)
    if not isinstance(rows, int) or not isinstance(size, int) or not rows:
        return None
    total = carrying = 0.0
    wish = "run"
    for event, later in pairwise(events):
        if event.detail.get("event") == "ask":
            wish = event.detail.get("wish", wish)
        if event.phase not in BEFORE_IT_LIVES_THERE:
            break
        held = event.phase == "READY" and move.options.hold
        if event.phase != "PLANNED" and wish != "pause" and not held:
            seconds = (later.at - event.at).total_seconds()
            total += seconds
            carrying += seconds if event.phase in CARRYING else 0.0
    return Measured(rows, size, carrying, total)


def is_there_already(old: Move | None) -> bool:
    """Whether a reverse of it goes on from the rows that it left, and so copies none."""
    return old is not None and old.progress.get(WAY_BACK) is not None


def predict(rows: int, size_bytes: int, known: Sequence[Measured], pauses_ms: Sequence[float]) -> Prediction:
    """For a tenant with so much, by the moves that were measured lately."""
    many = [each for each in known if each.rows >= ENOUGH_ROWS and each.carrying_seconds > 0]
    large = [each for each in many if each.bytes >= ENOUGH_BYTES]
    by_rows = _median([each.rows / each.carrying_seconds for each in many], USUAL_ROWS_PER_SECOND)
    by_bytes = _median([each.bytes / each.carrying_seconds for each in large], USUAL_BYTES_PER_SECOND)

    def carried(rows: int, size_bytes: int) -> float:
        return max(rows / by_rows, size_bytes / by_bytes)

    rests = [max(0.0, each.total_seconds - carried(each.rows, each.bytes)) for each in known]
    return Prediction(
        seconds=_median(rests, USUAL_REST_SECONDS) + carried(rows, size_bytes),
        measured_moves=len(known),
        pause_p50_ms=_quantile(pauses_ms, 0.5),
        pause_p99_ms=_quantile(pauses_ms, 0.99),
        measured_pauses=len(pauses_ms),
    )


def _median(values: Sequence[float], otherwise: float) -> float:
    return median(values) if values else otherwise


def _quantile(values: Sequence[float], share: float) -> float | None:
    """One of the values: so many are not greater."""
    if not values:
        return None
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(share * len(ranked)))]
