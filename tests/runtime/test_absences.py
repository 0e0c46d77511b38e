"""What is away is told at once, then at widening intervals, and once when it is back."""

import itertools
from typing import Any

import pytest
from structlog.testing import capture_logs

from runtime import logs, metrics
from runtime.absences import FIRST_SECONDS, MOST_SECONDS, Absence
from runtime.clock import ManualClock
from runtime.tasks import Tasks
from tests.waiting import eventually

DAY_SECONDS = 86_400
EVERY_SECONDS = 5


@pytest.fixture
def clock() -> ManualClock:
    """Time that passes when told to."""
    return ManualClock()


def _absence(clock: ManualClock) -> Absence:
    return Absence(logs.get("test"), "registry", clock, service="cell")


def _asked(absence: Absence, clock: ManualClock, seconds: float) -> None:
    """Every five seconds, without an answer."""
    for _ in range(int(seconds / EVERY_SECONDS)):
        absence.noted(ConnectionError("refused"))
        clock.advance(EVERY_SECONDS)


def _events(lines: list[Any]) -> list[str]:
    return [line["event"] for line in lines]


def test_an_absence_is_told_at_widening_intervals_and_once_when_it_is_over(clock: ManualClock) -> None:
    """Of a whole day that is some thirty lines, and not seventeen thousand."""
    absence = _absence(clock)
    with capture_logs() as lines:
        absence.over()
        assert not absence.lasts
        _asked(absence, clock, DAY_SECONDS)
        assert absence.lasts
        absence.over()
        absence.over()
    assert _events(lines) == ["away"] * (len(lines) - 1) + ["back"]
    assert len(lines) < 40
    told = [line["seconds"] for line in lines[:-1]]
    gaps = [later - earlier for earlier, later in itertools.pairwise(told)]
    assert gaps == sorted(gaps)
    assert (gaps[0], gaps[-1]) == (FIRST_SECONDS, MOST_SECONDS)
    last = lines[-1]
    assert (last["what"], last["service"], last["seconds"]) == ("registry", "cell", DAY_SECONDS)


def test_what_is_away_is_a_metric(clock: ManualClock) -> None:
    """Of two who need it, each counts once for as long as it gets no answer."""
    gauge = metrics.AWAY.labels("registry")._value
    before = gauge.get()
    one, other = _absence(clock), _absence(clock)
    one.over()
    _asked(one, clock, 60.0)
    other.noted(ConnectionError("refused"))
    assert gauge.get() == before + 2
    one.over()
    one.over()
    other.over()
    assert gauge.get() == before


def test_what_comes_and_goes_is_told_no_more_often_than_what_stays_away(clock: ManualClock) -> None:
    """Its end is told where its beginning was."""
    absence = _absence(clock)
    with capture_logs() as lines:
        for _ in range(DAY_SECONDS // (3 * EVERY_SECONDS)):
            _asked(absence, clock, 2 * EVERY_SECONDS)
            absence.over()
            clock.advance(EVERY_SECONDS)
    assert len(lines) < 80
    assert _events(lines) == ["away", "back"] * (len(lines) // 2)


def test_what_was_there_for_long_is_told_at_once_when_it_goes(clock: ManualClock) -> None:
    """And its intervals begin anew."""
    absence = _absence(clock)
    with capture_logs() as lines:
        _asked(absence, clock, 600)
        absence.over()
        clock.advance(DAY_SECONDS)
        lines.clear()
        _asked(absence, clock, FIRST_SECONDS + EVERY_SECONDS)
    assert _events(lines) == ["away", "away"]


async def test_work_that_goes_on_failing_is_told_at_widening_intervals(clock: ManualClock) -> None:
    """And once when it goes on."""
    tasks, runs = Tasks(clock), []

    async def work() -> None:
        runs.append(True)
        if len(runs) <= 100:
            raise ValueError("not yet")
        await clock.sleep(DAY_SECONDS)

    with capture_logs() as lines:
        tasks.keep("work", work)

        def recovered() -> bool:
            clock.advance(DAY_SECONDS if len(runs) > 100 else EVERY_SECONDS)
            return "task_recovered" in _events(lines)

        await eventually(recovered, every=0)
        await tasks.close()
    told = [line["failures"] for line in lines if line["event"] == "task_failed"]
    assert told == [1, 2, 4, 8, 16, 32, 64]
    assert [line["failures"] for line in lines if line["event"] == "task_recovered"] == [100]
