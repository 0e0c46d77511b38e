"""Solves one task from its input, and writes the answer: `python -m placement.planning`, started by `making`.

A process of its own, so that no request waits for a search, and a search that does not end can be killed. Whoever
started it may be dead by then, so it has an alarm as well.
"""

import math
import os
import pickle
import signal
import sys

from placement.planning.solving import Task, solve

NICE = 10
"""Requests go first."""
LATER_SECONDS = 60.0
"""Beyond the search's own deadline, and after `making` has given it up: nobody is left who would end it."""


def main() -> None:
    """From our own parent, who waits for the answer."""
    answers, sys.stdout = sys.stdout.buffer, sys.stderr
    os.nice(NICE)
    task: Task = pickle.loads(sys.stdin.buffer.read())  # noqa: S301 from the process that started this one
    # What nobody handles ends the process at once, wherever it is, also within a solver that does not return.
    signal.alarm(math.ceil(task.wishes.seconds + LATER_SECONDS))
    answers.write(pickle.dumps(solve(task)))
    answers.flush()


if __name__ == "__main__":
    main()
