"""How many connections the system lets one process have open, and how they are shared out."""

import contextlib
import resource

RESERVED = 128
"""Files for all else: ports, the admin port's clients, the directory, the table on disk, the log."""
MOST_FILES = 1_048_576
"""What is asked for where the system sets no limit; some refuse to be asked for more."""


def allowed() -> int:
    """How many files may be open, after asking for as many as the system grants (RLIMIT_NOFILE)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
    return MOST_FILES if soft == resource.RLIM_INFINITY else soft


def for_clients(files: int) -> int:
    """How many connections clients may have: a third of what is left.

    Each may need one to a cell, and that a second descriptor (`upstream/remains`).
    """
    return max(1, (files - RESERVED) // 3)
