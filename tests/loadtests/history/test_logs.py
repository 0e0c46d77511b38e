"""What a log's history may be, and what is found in one into which a fault was planted."""

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.history.rules.logs import check
from loadtests.history.rules.values import Append, Count, Entry, Look

A = Append("l", "a", 1, 2, "acknowledged")
B = Append("l", "b", 3, 4, "acknowledged")
ENDS = [Entry("a", 1.5), Entry("b", 3.5)]


def faults(
    appends: list[Append],
    ends: list[Entry],
    *,
    looks: tuple[Look, ...] = (),
    counts: tuple[Count, ...] = (),
    done: list[str] | None = None,
) -> list[str]:
    made = [entry.entry for entry in ends] if done is None else done
    return [violation.fault for violation in check(appends, looks, counts, {"l": ends}, {"l": made})]


def test_a_log_that_has_what_was_acknowledged_holds() -> None:
    """With or without what nobody knows of."""
    unknown = Append("l", "u", 2, 9, "unknown")
    assert faults([A, B, unknown], ENDS) == []
    assert faults([A, B, unknown], [*ENDS, Entry("u", 8.0)]) == []


def test_what_was_acknowledged_and_is_not_there_is_lost() -> None:
    """In the list, or in the audit log alone."""
    assert faults([A, B], ENDS[:1]) == ["lost", "lost"]
    assert faults([A, B], ENDS, done=["a"]) == ["lost"]


def test_what_is_there_or_was_made_twice_is_doubled() -> None:
    """As is what was repeated with the same key, and done anew."""
    assert faults([A, B], [*ENDS, Entry("b", 3.6)], done=["a", "b"]) == ["doubled"]
    assert faults([A, B], ENDS, done=["a", "b", "b"]) == ["doubled"]
    assert faults([A, replace(B, forgotten=True)], ENDS) == ["doubled"]


def test_what_was_refused_or_added_by_nobody_is_a_phantom() -> None:
    """A refusal is a promise."""
    assert faults([A, replace(B, outcome="refused")], ENDS) == ["phantom"]
    assert faults([A], ENDS) == ["phantom"]


def test_what_began_after_another_was_acknowledged_is_made_after_it() -> None:
    """By the database's own time."""
    assert faults([A, B], [Entry("a", 1.5), Entry("b", 1.4)]) == ["order"]
    assert faults([A, replace(B, began=1.9)], [Entry("a", 1.5), Entry("b", 1.4)]) == []


def test_who_looks_for_what_was_acknowledged_or_seen_finds_it() -> None:
    """Not finding it is right only while it is being added."""
    assert faults([A, B], ENDS, looks=(Look("l", "b", False, 3.5, 5),)) == []
    assert faults([A, B], ENDS, looks=(Look("l", "b", False, 4.1, 5),)) == ["stale"]
    unknown = Append("l", "u", 2, 9, "unknown")
    seen = (Look("l", "u", True, 3, 4), Look("l", "u", False, 5, 6))
    assert faults([A, B, unknown], [*ENDS, Entry("u", 3)], looks=seen) == ["stale"]


def test_who_counts_finds_no_fewer_than_were_known_and_no_more_than_were_begun() -> None:
    """Nor fewer than somebody before him."""
    assert faults([A, B], ENDS, counts=(Count("l", 1, 2.5, 2.6), Count("l", 1, 3.5, 3.6))) == []
    assert faults([A, B], ENDS, counts=(Count("l", 1, 4.5, 4.6),)) == ["stale"]
    assert faults([A, B], ENDS, counts=(Count("l", 2, 2.5, 2.6),)) == ["phantom"]
    assert faults([A, B], ENDS, counts=(Count("l", 2, 3.1, 3.2), Count("l", 1, 3.3, 3.4))) == ["stale"]


def test_a_log_that_cannot_be_read_in_the_end_is_undecided() -> None:
    """It is never taken for right."""
    assert [violation.fault for violation in check([A], [], [], {}, {})] == ["undecided"]


@given(st.integers(0, 10**9), st.integers(3, 40))
@pytest.mark.parametrize("planted", ["", "lost", "doubled", "order"])
def test_a_planted_fault_is_found_and_nothing_else(planted: str, seed: int, length: int) -> None:
    """In a log that does one thing at a time, whatever its clients are told and when."""
    chance = random.Random(seed)  # noqa: S311 histories, not secrets
    appends, ends = [], []
    for number in range(1, length + 1):
        told = chance.random() < 0.8
        outcome = "acknowledged" if told else "unknown"
        appends.append(
            Append("l", f"e{number}", number - chance.uniform(0, 2), number + chance.uniform(0, 2), outcome)  # type: ignore[arg-type]
        )
        if told or chance.random() < 0.5:
            ends.append(Entry(f"e{number}", float(number)))
    known = [each for each in ends if any(a.entry == each.entry and a.outcome == "acknowledged" for a in appends)]
    if not known:
        return
    chosen = chance.choice(known)
    done = [each.entry for each in ends]
    match planted:
        case "lost":
            ends.remove(chosen)
        case "doubled":
            ends.append(chosen)
        case "order":
            appends.append(Append("l", "late", length + 5, length + 6, "acknowledged"))
            ends.append(Entry("late", 0.0))
            done.append("late")
    assert set(faults(appends, ends, done=done)) == ({planted} if planted else set())
