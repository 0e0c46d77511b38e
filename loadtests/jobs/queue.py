"""The seam between what is measured and how. It imports nothing of ours, because peers need it too."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

Done = Callable[[int], None]
"""Called with a job's number as soon as its effect is committed."""


class Queue(Protocol):
    """One side. Job number so-and-so writes one row that carries this number.

    Whatever works off the jobs runs in this process or below it, where its CPU time is counted.
    """

    async def defer_many(self, numbers: Sequence[int]) -> None:
        """Put jobs in as fast as it can be done; returns once all are committed."""

    async def defer(self, number: int) -> None:
        """Put one in, as a request would."""

    def working(self, done: Done) -> AbstractAsyncContextManager[None]:
        """Workers, as many jobs at a time as was asked for, until the end of the block."""
