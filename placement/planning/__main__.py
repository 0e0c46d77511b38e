"""Solves one task from its input, and writes the answer: `python -m placement.planning`, started by `making`.

A process of its own, so that no request waits for a search, and a search that does not end can be killed.
"""

import os
import pickle
import sys

from placement.planning.solving import Task, solve

NICE = 10
"""Requests go first."""


def main() -> None:
    """From our own parent, who waits for the answer."""
    answers, sys.stdout = sys.stdout.buffer, sys.stderr
    os.nice(NICE)
    task: Task = pickle.loads(sys.stdin.buffer.read())  # noqa: S301 from the process that started this one
    answers.write(pickle.dumps(solve(task)))
    answers.flush()


if __name__ == "__main__":
    main()
