"""What is sent at the end of a turn of the event loop, all together.

A turn brings what many clients and cells sent. To answer each at once would wake the other side for every answer,
let it fall asleep again, and have the kernel pay for both: with 64 connections that is a third of all the time a
request costs. So small answers wait for the few microseconds until all of the turn is read.
"""

from collections.abc import Callable
from time import monotonic
from typing import Protocol

from runtime import logs

log = logs.get("router.outbox")


class Sender(Protocol):
    """Who has something to send."""

    def flush(self) -> None:
        """Send it now."""


class Outbox:
    """One event loop's, whose `call_soon` is given."""

    __slots__ = ("_began_at", "_call_soon", "_senders", "turn_seconds")

    def __init__(self, call_soon: Callable[[Callable[[], None]], object]) -> None:
        self._call_soon = call_soon
        self._senders: list[Sender] = []
        self._began_at = 0.0
        self.turn_seconds = 0.0
        """How long the last turn took: so long may what came meanwhile have waited for this process."""

    def add(self, sender: Sender) -> None:
        """Have `sender` flushed once all that came in this turn is read."""
        self._senders.append(sender)
        if len(self._senders) == 1:
            self._began_at = monotonic()
            self._call_soon(self.flush)

    def flush(self) -> None:
        """Send all of it now."""
        senders, self._senders = self._senders, []
        for sender in senders:
            try:
                sender.flush()
            except Exception as error:
                log.error("not_sent", sender=repr(sender), error=repr(error), exc_info=error)
        self.turn_seconds = monotonic() - self._began_at
