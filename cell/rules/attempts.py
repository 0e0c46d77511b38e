"""When a failed job is tried again, and when it is given up. Pure."""

from runtime.backoff import Backoff

MOST_ATTEMPTS = 8
AGAIN = Backoff(initial_seconds=1.0, cap_seconds=300.0, factor=3.0, floor_seconds=0.2)


def exhausted(attempts: int, most: int = MOST_ATTEMPTS) -> bool:
    """Whether `attempts`, counted before each run, leave no further one."""
    return attempts >= most


def wait_seconds(attempts: int, chance: float) -> float:
    """How long after the failed attempt number `attempts` (from 1) the next may begin."""
    return AGAIN.wait_seconds(max(0, attempts - 1), chance)
