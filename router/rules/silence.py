"""When a cell counts as stopped. Pure.

A process that was stopped (SIGSTOP, a frozen host) still has its kernel accept connections, so only silence tells:
somebody waits, and no byte came from the cell on any connection. A cell that is merely slow answers the probe.

    answering ── silent for `probe_seconds` while somebody waits ──▶ probed
    probed ── silent for `stopped_seconds` ──▶ stopped: who waits is told at once, and so is whoever comes
    stopped ── any byte ──▶ answering
"""

from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True, slots=True)
class Patience:
    """For how long silence is bearable."""

    probe_seconds: float = 0.2
    stopped_seconds: float = 0.6


class Verdict(Enum):
    """What to do about a cell now."""

    NOTHING = "it answers, or nobody waits"
    PROBE = "ask it whether it lives"
    STOPPED = "it has been silent for too long"


def verdict(*, stopped: bool, waiting: bool, silent_seconds: float, patience: Patience) -> Verdict:
    """What to do about a cell that has been silent for `silent_seconds` while somebody waited."""
    if stopped:
        return Verdict.PROBE
    if not waiting or silent_seconds < patience.probe_seconds:
        return Verdict.NOTHING
    return Verdict.PROBE if silent_seconds < patience.stopped_seconds else Verdict.STOPPED
