"""Registers that are only changed by compare-and-set: what the changes were is one chain, and it can be read.

Every value is written by one attempt, which knows the value that it replaced. So the last value leads back, value
by value, to the first: that is the order in which the register was changed, and the only one possible. Then

- an acknowledged attempt that is not in the chain is lost: two have replaced the same value, or one was forgotten
- an attempt that was refused must not be in it; an unknown one may be
- who began after something was known (an answer, or a read) must not have taken, or seen, a place before it
- nobody sees a value before anybody began to write it
- versions grow by one with each change, or something was done twice

This is linearizability, decided in n log n, because the order need not be searched for.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

from loadtests.history.rules.values import INITIAL, NEVER, Fault, Read, Swap, Violation

NotedT = TypeVar("NotedT", Swap, Read)


def check(swaps: Sequence[Swap], reads: Sequence[Read], ends: Mapping[str, str]) -> Iterator[Violation]:
    """All registers; `ends` is the last value of each that could be read."""
    swapped, seen = _by_register(swaps), _by_register(reads)
    for register in sorted(swapped.keys() | seen.keys()):
        if register in ends:
            yield from check_one(register, swapped[register], seen[register], ends[register])
        else:
            yield Violation("undecided", register, "what it is in the end could not be read")


def check_one(register: str, swaps: Sequence[Swap], reads: Sequence[Read], end: str) -> Iterator[Violation]:
    """One register."""
    by_value = {swap.value: swap for swap in swaps}
    chain, broken = _chain(by_value, end)
    if broken:
        yield Violation("phantom", register, broken)
    places = {value: place for place, value in enumerate(chain)}
    for swap in swaps:
        if swap.outcome == "acknowledged" and swap.value not in places:
            yield Violation("lost", register, f"{swap.value} (after {swap.expected}) was acknowledged{_at(swap)}")
        elif swap.outcome == "refused" and swap.value in places:
            yield Violation("phantom", register, f"{swap.value} was refused, and is there")
    for read in reads:
        if read.value not in places:
            fault: Fault = "lost" if read.value in by_value else "phantom"
            yield Violation(fault, register, f"{read.value} was read{_at(read)}, and is not in its past")
    yield from _times(register, [swap for swap in swaps if swap.value in places], reads, places, by_value)
    yield from _versions(register, swaps, reads, places)


def _chain(by_value: Mapping[str, Swap], end: str) -> tuple[list[str], str]:
    """The values from the first to the last, and what is wrong with that."""
    chain, value, met = [end], end, {end}
    while value != INITIAL:
        swap = by_value.get(value)
        if swap is None:
            return chain[::-1], f"{value} was written by nobody"
        value = swap.expected
        if value in met:
            return chain[::-1], f"{value} comes after itself"
        met.add(value)
        chain.append(value)
    return chain[::-1], ""


def _times(
    register: str,
    swaps: Sequence[Swap],
    reads: Sequence[Read],
    places: Mapping[str, int],
    by_value: Mapping[str, Swap],
) -> Iterator[Violation]:
    """Nobody is behind what was known before he began; nobody has seen what was not begun."""
    placed: list[tuple[float, float, int, int, str]] = []
    for swap in swaps:
        # A write takes a place of its own: behind everything that was known, not beside it.
        ended = swap.ended if swap.outcome == "acknowledged" else NEVER
        placed.append((swap.began, ended, places[swap.value], 1, f"the write of {swap.value}"))
    for read in reads:
        if read.value in places:
            placed.append((read.began, read.ended, places[read.value], 0, f"a read of {read.value}"))
            writer = by_value.get(read.value)
            if writer is not None and writer.began > read.ended:
                yield Violation("phantom", register, f"{read.value} was read before its write began")
    known = sorted(((ended, place, text) for _, ended, place, _, text in placed if ended < NEVER))
    highest, highest_text, next_known = -1, "", 0
    for began, _ended, place, own, text in sorted(placed):
        while next_known < len(known) and known[next_known][0] < began:
            if known[next_known][1] > highest:
                _, highest, highest_text = known[next_known]
            next_known += 1
        if place < highest + own:
            late = f"{text} began at {began:.3f}, after {highest_text} had ended, and is before it"
            yield Violation("stale", register, late)


def _versions(
    register: str, swaps: Sequence[Swap], reads: Sequence[Read], places: Mapping[str, int]
) -> Iterator[Violation]:
    versions = [(each.value, each.version) for each in swaps] + [(each.value, each.version) for each in reads]
    told = [(places[value], version, value) for value, version in versions if version and value in places]
    ahead = {version - place: (value, version) for place, version, value in told}
    if len(ahead) > 1:
        odd = ", ".join(f"{value} is version {version}" for value, version in list(ahead.values())[:3])
        yield Violation("doubled", register, f"its version does not grow by one with each change: {odd}")


def _by_register(each: Sequence[NotedT]) -> defaultdict[str, list[NotedT]]:
    found: defaultdict[str, list[NotedT]] = defaultdict(list)
    for one in each:
        found[one.register].append(one)
    return found


def _at(each: Swap | Read) -> str:
    return f" between {each.began:.3f} and {each.ended:.3f}"
