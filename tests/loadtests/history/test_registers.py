"""What a register's history may be, and what is found in one into which a fault was planted."""

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.history.rules.registers import check, check_one
from loadtests.history.rules.values import INITIAL, NEVER, Read, Swap


def swap(expected: str, value: str, began: float, ended: float, outcome: str = "acknowledged") -> Swap:
    return Swap("r", expected, value, began, ended, outcome)  # type: ignore[arg-type]


def faults(swaps: list[Swap], reads: list[Read], end: str) -> list[str]:
    return [violation.fault for violation in check_one("r", swaps, reads, end)]


A = swap(INITIAL, "a", 1, 2)
B = swap("a", "b", 3, 4)


def test_a_history_in_which_each_follows_the_other_holds() -> None:
    """Reads that overlap a write may see either value."""
    reads = [
        Read("r", INITIAL, 0.5, 1.5),
        Read("r", "a", 1.2, 1.6),
        Read("r", "a", 3.5, 5),
        Read("r", "b", 3.5, 3.9),
    ]
    assert faults([A, B], reads, "b") == []


def test_an_acknowledged_write_that_nothing_leads_back_to_is_lost() -> None:
    """Two replaced the same value, and both were told that they did."""
    assert faults([A, replace(B, expected=INITIAL)], [], "b") == ["lost"]
    assert faults([A, B], [], "a") == ["lost"]


def test_a_value_that_was_seen_and_is_not_in_the_past_is_lost() -> None:
    """Also when its writer never heard of it: somebody else did."""
    unknown = swap("a", "u", 2.5, 3, "unknown")
    assert faults([A, B, unknown], [Read("r", "u", 2.6, 2.9)], "b") == ["lost"]


def test_a_read_that_began_after_an_answer_and_is_older_is_stale() -> None:
    """What was acknowledged is seen by whoever begins to read later."""
    assert faults([A, B], [Read("r", "a", 4.1, 4.2)], "b") == ["stale"]


def test_reads_do_not_go_backwards() -> None:
    """Though the write was never acknowledged: what one has seen, the next one sees."""
    unknown = swap("a", "u", 3, 9, "unknown")
    reads = [Read("r", "u", 4, 5), Read("r", "a", 6, 7)]
    assert faults([A, unknown], reads, "u") == ["stale"]
    assert faults([A, unknown], [reads[0]], "u") == []


def test_a_write_that_began_after_another_was_acknowledged_comes_after_it() -> None:
    """A chain that is whole may still be in an order that cannot be."""
    late = [swap("b", "a", 1, 2), swap(INITIAL, "b", 3, 4)]
    assert faults(late, [], "a") == ["stale"]


def test_unknown_writes_may_have_happened_or_not() -> None:
    """Either is right, as long as it is one of them."""
    unknown = swap("a", "u", 2.5, 3, "unknown")
    assert faults([A, unknown], [], "u") == []
    assert faults([A, unknown], [], "a") == []
    assert faults([A, unknown, replace(B, expected="u")], [], "b") == []


def test_what_was_refused_or_written_by_nobody_is_a_phantom() -> None:
    """As is what was read before anybody began to write it."""
    assert faults([A, replace(B, outcome="refused")], [], "b") == ["phantom"]
    assert "phantom" in faults([A], [], "x")
    assert faults([A, B], [Read("r", "b", 2.1, 2.5)], "b") == ["phantom", "stale"]
    assert "phantom" in faults([swap("b", "a", 1, 2), swap("a", "b", 3, 4)], [], "a")


def test_a_version_that_grew_twice_tells_of_a_write_that_was_done_twice() -> None:
    """Values alone do not show it."""
    assert faults([replace(A, version=2), replace(B, version=3)], [Read("r", "b", 5, 6, 3)], "b") == []
    assert faults([replace(A, version=2), replace(B, version=4)], [], "b") == ["doubled"]


def test_a_register_that_cannot_be_read_in_the_end_is_undecided() -> None:
    """It is never taken for right."""
    assert [violation.fault for violation in check([A], [], {})] == ["undecided"]


def _history(seed: int, length: int) -> tuple[list[Swap], list[Read], str]:
    """A right one, made by a register that does one thing at a time, and clients that wait before and after."""
    chance = random.Random(seed)  # noqa: S311 histories, not secrets
    value, version, swaps, reads = INITIAL, 1, [], []
    for number in range(1, length + 1):
        began, ended = number - chance.uniform(0, 3), number + chance.uniform(0, 3)
        if chance.random() < 0.5:
            reads.append(Read("r", value, began, ended, version))
            continue
        done, told = chance.random() < 0.8, chance.random() < 0.8
        outcome = ("acknowledged" if done else "refused") if told else "unknown"
        swaps.append(
            Swap(
                "r",
                value,
                f"v{number}",
                began,
                ended if told else NEVER,
                outcome,
                version + 1 if done and told else None,
            )  # type: ignore[arg-type]
        )
        if done:
            value, version = f"v{number}", version + 1
    return swaps, reads, value


@given(st.integers(0, 10**9), st.integers(1, 60))
def test_whatever_a_register_that_works_does_holds(seed: int, length: int) -> None:
    """The checker cries for nothing, however calls overlap."""
    assert faults(*_history(seed, length)) == []


@given(st.integers(0, 10**9), st.integers(20, 60), st.integers(0, 10**6))
@pytest.mark.parametrize("planted", ["lost", "stale", "phantom", "doubled"])
def test_a_planted_fault_is_found(planted: str, seed: int, length: int, which: int) -> None:
    """Wherever it is in an otherwise right history."""
    swaps, reads, end = _history(seed, length)
    told = [index for index, each in enumerate(swaps) if each.outcome == "acknowledged"]
    if len(told) < 3:
        return
    index = told[which % (len(told) - 1)]
    chosen, later = swaps[index], max(each.ended for each in swaps if each.ended < NEVER)
    match planted:
        case "lost":
            # The next one that was done replaced what was there before it.
            swaps = [
                replace(each, expected=chosen.expected) if each.expected == chosen.value else each
                for each in swaps
            ]
        case "stale":
            reads.append(Read("r", chosen.expected, later + 1, later + 2))
        case "phantom":
            swaps[index] = replace(chosen, outcome="refused")
        case _:
            swaps[index] = replace(chosen, version=(chosen.version or 0) + 1)
    assert planted in faults(swaps, reads, end)
