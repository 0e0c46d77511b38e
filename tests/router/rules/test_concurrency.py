"""How the limit of a cell follows what the cell can do, on simulated cells."""

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.rules.concurrency import Bounds, Concurrency

TICK_SECONDS = 0.1


@dataclass
class Cell:
    """A cell that works at `parallel` requests at once, first come first served, and a router before it."""

    parallel: int = 16
    needs_seconds: Callable[[random.Random], float] = lambda chance: chance.uniform(0.008, 0.012)
    bounds: Bounds = field(default_factory=Bounds)
    now: float = 0.0
    answered: int = 0
    limits: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.chance = random.Random(1)  # noqa: S311 - the same chance each time
        self.rule = Concurrency(self.now, self.bounds)
        self.free_at = [self.now] * self.parallel
        self.under_way: list[tuple[float, float]] = []
        self.ticked_at = self.now

    def under(self, per_second: float, seconds: float) -> "Cell":
        """Let requests arrive for a while. What is above the limit is refused."""
        until = self.now + seconds
        while self.now < until:
            self.now += self.chance.expovariate(per_second)
            self._ended()
            if len(self.under_way) < self.rule.limit:
                begin = max(self.now, heapq.heappop(self.free_at))
                end = begin + self.needs_seconds(self.chance)
                heapq.heappush(self.free_at, end)
                heapq.heappush(self.under_way, (end, self.now))
        return self

    def _ended(self) -> None:
        while self.under_way and self.under_way[0][0] <= self.now:
            self._tick(self.under_way[0][0])
            end, began = self.under_way[0]
            self.rule.sample(end - began, len(self.under_way))
            heapq.heappop(self.under_way)
            self.answered += 1
        self._tick(self.now)

    def _tick(self, now: float) -> None:
        if now - self.ticked_at >= TICK_SECONDS:
            self.ticked_at = now
            self.rule.adapt(now)
            self.limits.append(self.rule.limit)

    def settled(self) -> list[int]:
        """The limits of the last five seconds, but for the moments in which it is halved in order to look."""
        return sorted(self.limits[-50:])[5:]


def constant(seconds: float) -> Callable[[random.Random], float]:
    return lambda chance: chance.uniform(0.8, 1.2) * seconds


@pytest.mark.parametrize("first", [4, 50, 400])
def test_under_overload_the_limit_settles_a_little_above_what_the_cell_can_do(first: int) -> None:
    """16 at once, 10 ms each, ten times the load: from below, from near and from far above."""
    cell = Cell(bounds=Bounds(first=first)).under(16_000, 30)
    assert cell.settled()[0] >= 14
    assert cell.settled()[-1] <= 40


def test_overload_costs_no_throughput() -> None:
    """The looks under pressure included, at least 95 % of what the cell can do is done."""
    cell = Cell().under(16_000, 5)
    before = cell.answered
    cell.under(16_000, 20)
    assert cell.answered - before >= 0.95 * 1600 * 20


def test_a_limit_learnt_from_a_mixed_load_leaves_the_cell_busy() -> None:
    """Service times that scatter widely are no queue."""
    cell = Cell(needs_seconds=lambda chance: min(chance.expovariate(100.0), 0.2)).under(16_000, 20)
    assert cell.settled()[0] >= 14
    assert cell.settled()[-1] <= 60


@pytest.mark.parametrize("per_second", [1.0, 50.0, 300.0])
def test_an_idle_cell_keeps_its_limit(per_second: float) -> None:
    """Where the limit does not bind, nothing is learnt of it."""
    assert set(Cell().under(per_second, 60).limits) == {50}


def test_without_any_samples_nothing_moves() -> None:
    """A cell that nobody asks is as good as it was."""
    rule = Concurrency(0.0)
    assert not any(rule.adapt(float(now)) for now in range(100))
    assert rule.limit == 50


def test_an_idle_cell_that_becomes_slower_keeps_its_limit() -> None:
    """Slow and unloaded is not overloaded."""
    cell = Cell().under(100, 5)
    cell.needs_seconds = constant(0.05)
    assert set(cell.under(100, 60).limits) == {50}
    assert 0.04 < cell.rule.unloaded_seconds < 0.06


@pytest.mark.parametrize("slower", [0.015, 0.03, 0.05, 0.5])
def test_a_cell_that_became_slower_gets_its_limit_back(slower: float) -> None:
    """The limit may dip, since at first slowness looks like a queue, and then sees that there is none."""
    cell = Cell().under(16_000, 15)
    cell.needs_seconds = constant(slower)
    cell.under(1_600, 40 + 200 * slower)
    assert 12 <= cell.settled()[len(cell.settled()) // 2] <= 45
    assert cell.rule.unloaded_seconds == pytest.approx(slower, rel=0.5)


def test_a_cell_that_became_fast_again_is_seen_to_be_fast() -> None:
    """50 ms, then 10 ms: the old measure must not let a queue of five times the length stand."""
    cell = Cell(needs_seconds=constant(0.05)).under(3_200, 30)
    cell.needs_seconds = constant(0.01)
    cell.under(16_000, 30)
    assert cell.settled()[0] >= 14
    assert cell.settled()[-1] <= 40
    assert cell.rule.unloaded_seconds == pytest.approx(0.01, rel=0.5)


def test_a_cell_that_can_do_more_gets_more() -> None:
    """It was given four times the workers: the limit finds them."""
    cell = Cell().under(16_000, 15)
    cell.free_at += [cell.now] * 48
    heapq.heapify(cell.free_at)
    cell.under(16_000, 20)
    assert cell.settled()[0] >= 50


def test_the_limit_grows_only_when_it_was_nearly_used() -> None:
    """A limit that grew unused would protect nothing when it is needed."""
    rule = Concurrency(0.0, Bounds(first=50))
    for window in range(1, 50):
        for _ in range(20):
            rule.sample(0.01, 39)
        assert rule.adapt(window * 0.125)
    assert rule.limit == 50
    for _ in range(20):
        rule.sample(0.01, 40)
    assert rule.adapt(6.25)
    assert rule.limit == 57


def test_flat_latency_never_shrinks_it() -> None:
    """Whatever share of it is used."""
    rule = Concurrency(0.0, Bounds(first=50))
    for window in range(1, 200):
        for _ in range(30):
            rule.sample(0.01 if window % 2 else 0.0145, 30)
        rule.adapt(window * 0.125)
        assert rule.limit == 50


def test_a_window_is_long_enough_and_has_samples_enough() -> None:
    """100 ms, 20 samples, two round trips; or ten seconds, for a cell that answers hardly any more."""
    rule = Concurrency(0.0)
    for _ in range(19):
        rule.sample(0.01, 50)
    assert not rule.adapt(9.9)
    assert rule.adapt(10.0)
    for _ in range(20):
        rule.sample(0.2, 50)
    assert not rule.adapt(10.3)
    assert rule.adapt(10.5)
    for _ in range(1000):
        rule.sample(0.001, 50)
    assert not rule.adapt(10.55)


@given(st.lists(st.tuples(st.floats(0.0, 100.0), st.integers(0, 2000), st.integers(0, 40), st.floats(0, 20))))
def test_the_limit_stays_within_its_bounds(windows: list[tuple[float, int, int, float]]) -> None:
    """Whatever is measured, zeros included."""
    rule, now = Concurrency(0.0, Bounds(least=4, most=100)), 0.0
    for seconds, in_flight, samples, pause in windows:
        now += pause
        for _ in range(samples):
            rule.sample(seconds, in_flight)
        rule.adapt(now)
        assert 4 <= rule.limit <= 100
