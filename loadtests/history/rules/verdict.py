"""A whole history, judged."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from loadtests.history.rules import logs, registers, works
from loadtests.history.rules.values import Fault, History, Violation


@dataclass(frozen=True, slots=True)
class Verdict:
    """How much was noted, and what is wrong with it."""

    acknowledged: int
    unknown: int
    refused: int
    reads: int
    keys: int
    violations: Sequence[Violation]

    @property
    def holds(self) -> bool:
        """Nothing is wrong, and something was there to be judged."""
        return not self.violations and self.acknowledged > 0

    def faults(self) -> dict[str, int]:
        """How often, by kind; those that did not happen are there as 0."""
        found = Counter(violation.fault for violation in self.violations)
        return {fault: found[fault] for fault in get_args(Fault)}


def judge(history: History) -> Verdict:
    """Everything that is wrong with it."""
    outcomes = Counter(swap.outcome for swap in history.swaps)
    outcomes.update(append.outcome for append in history.appends)
    outcomes.update(each.outcome for each in history.provisionings)
    keys = {swap.register for swap in history.swaps} | {read.register for read in history.reads}
    keys |= {append.log for append in history.appends} | {each.tenant for each in history.provisionings}
    violations = (
        *registers.check(history.swaps, history.reads, history.registers or {}),
        *logs.check(history.appends, history.looks, history.counts, history.logs or {}, history.done or {}),
        *works.check(history.provisionings, history.effects or {}),
    )
    return Verdict(
        acknowledged=outcomes["acknowledged"],
        unknown=outcomes["unknown"],
        refused=outcomes["refused"],
        reads=len(history.reads) + len(history.looks) + len(history.counts),
        keys=len(keys),
        violations=violations,
    )
