"""How Consul's blocking queries are continued. Pure.

A query that names the index of the last answer is held back until there is a later one, or its wait is over.
Indices are not to be trusted blindly: a server that was restored, or begun anew, counts from less; some answers
carry none.
"""

WAIT_SECONDS = 25.0
LATE_SHARE = 1 / 16
"""Consul answers up to so much of the wait later, so that not all who ask come back at once."""
MOST_STALE_SECONDS = 5.0
"""An answer of a server that heard of its leader longer ago than this is not believed."""


def next_index(known: int, answered: int) -> int:
    """What to ask with next; 0 asks for what is there now. An index that goes backwards, or is none, begins
    anew."""
    return answered if answered >= max(known, 1) else 0


def is_believed(led: bool, age_seconds: float) -> bool:
    """Whether a server that need not lead may speak for all: it knows a leader, and heard of it lately."""
    return led and age_seconds <= MOST_STALE_SECONDS


def wait_seconds(most_seconds: float, chance: float) -> float:
    """Between three quarters of it and all, so that those who began together do not stay together."""
    return most_seconds * (0.75 + 0.25 * chance)


def deadline_seconds(wait_seconds: float, slack_seconds: float) -> float:
    """When whoever asked may stop listening: nobody answers later than this."""
    return wait_seconds * (1 + LATE_SHARE) + slack_seconds
