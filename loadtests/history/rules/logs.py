"""Logs: what was added stays, once, and in order.

- an acknowledged entry is there in the end, once; one that was refused, or that nobody added, is not
- whatever began after another was acknowledged was made after it, by the database's own time
- who looks for an acknowledged entry finds it; who counts finds at least what was acknowledged before he began,
  and at most what was begun before he ended, and never fewer than somebody before him
- the audit log, written in the same transaction, tells of each entry once; so no repetition was done again
"""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from loadtests.history.rules import values
from loadtests.history.rules.values import NEVER, Append, Entry, Look, Violation

CLOCK_SECONDS = 0.001
"""What clocks of one machine may be read apart."""


@dataclass(slots=True)
class _Log:
    appends: list[Append] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)
    counts: list[values.Count] = field(default_factory=list)


def check(
    appends: Sequence[Append],
    looks: Sequence[Look],
    counts: Sequence[values.Count],
    ends: Mapping[str, Sequence[Entry]],
    done: Mapping[str, Sequence[str]],
) -> Iterator[Violation]:
    """All logs; `ends` and `done` have those that could be read."""
    logs: defaultdict[str, _Log] = defaultdict(_Log)
    for append in appends:
        logs[append.log].appends.append(append)
    for look in looks:
        logs[look.log].looks.append(look)
    for count in counts:
        logs[count.log].counts.append(count)
    for name, log in sorted(logs.items()):
        if name in ends and name in done:
            yield from _entries(name, log.appends, ends[name])
            yield from _order(name, log.appends, ends[name])
            yield from _effects(name, log.appends, done[name])
        else:
            yield Violation("undecided", name, "what is in it in the end could not be read")
        yield from _looks(name, log.appends, log.looks)
        yield from _counts(name, log.appends, log.counts)


def _entries(name: str, appends: Sequence[Append], end: Sequence[Entry]) -> Iterator[Violation]:
    there = Counter(entry.entry for entry in end)
    outcomes = {append.entry: append.outcome for append in appends}
    for append in appends:
        if append.outcome == "acknowledged" and append.entry not in there:
            yield Violation("lost", name, f"{append.entry} was acknowledged at {append.ended:.3f}")
        if append.forgotten:
            yield Violation("doubled", name, f"the Idempotency-Key of {append.entry} was forgotten")
    for entry, times in there.items():
        if times > 1:
            yield Violation("doubled", name, f"{entry} is there {times} times")
        if outcomes.get(entry, "refused") == "refused":
            why = "was refused" if entry in outcomes else "was added by nobody"
            yield Violation("phantom", name, f"{entry} is there, and {why}")


def _order(name: str, appends: Sequence[Append], end: Sequence[Entry]) -> Iterator[Violation]:
    made = {entry.entry: entry.at for entry in end}
    there = [append for append in appends if append.entry in made]
    by_end = sorted((each for each in there if each.outcome == "acknowledged"), key=lambda each: each.ended)
    latest, latest_entry, next_ended = -NEVER, "", 0
    for append in sorted(there, key=lambda each: each.began):
        while next_ended < len(by_end) and by_end[next_ended].ended < append.began:
            entry = by_end[next_ended].entry
            if made[entry] > latest:
                latest, latest_entry = made[entry], entry
            next_ended += 1
        if made[append.entry] < latest - CLOCK_SECONDS:
            yield Violation("order", name, f"{append.entry} was begun after {latest_entry}, and is made before it")


def _effects(name: str, appends: Sequence[Append], done: Sequence[str]) -> Iterator[Violation]:
    times = Counter(done)
    for entry, number in times.items():
        if number > 1:
            yield Violation("doubled", name, f"{entry} was made {number} times, as the audit log has it")
    for append in appends:
        if append.outcome == "acknowledged" and append.entry not in times:
            yield Violation("lost", name, f"the audit log does not know of {append.entry}")


def _looks(name: str, appends: Sequence[Append], looks: Sequence[Look]) -> Iterator[Violation]:
    by_entry = {append.entry: append for append in appends}
    seen_at: dict[str, float] = {}
    for look in sorted(looks, key=lambda each: each.ended):
        if look.seen:
            seen_at.setdefault(look.entry, look.ended)
    for look in looks:
        append = by_entry.get(look.entry)
        known = append.ended if append is not None and append.outcome == "acknowledged" else NEVER
        if not look.seen and look.began > min(known, seen_at.get(look.entry, NEVER)):
            yield Violation("stale", name, f"{look.entry} was not seen by who looked at {look.began:.3f}")


def _counts(name: str, appends: Sequence[Append], counts: Sequence[values.Count]) -> Iterator[Violation]:
    acknowledged = sorted(each.ended for each in appends if each.outcome == "acknowledged")
    begun = sorted(each.began for each in appends if each.outcome != "refused")
    by_end = sorted(counts, key=lambda each: each.ended)
    least, next_acknowledged, next_ended = 0, 0, 0
    for count in sorted(counts, key=lambda each: each.began):
        while next_acknowledged < len(acknowledged) and acknowledged[next_acknowledged] < count.began:
            next_acknowledged += 1
        while next_ended < len(by_end) and by_end[next_ended].ended < count.began:
            least = max(least, by_end[next_ended].entries)
            next_ended += 1
        if count.entries < max(least, next_acknowledged):
            expected = max(least, next_acknowledged)
            yield Violation(
                "stale", name, f"{count.entries} entries at {count.began:.3f}, and {expected} were known"
            )
        if count.entries > bisect_left(begun, count.ended):
            yield Violation("phantom", name, f"{count.entries} entries at {count.ended:.3f}, more than were begun")
