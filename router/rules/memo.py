"""What was found out about bytes that are likely to come again. Pure.

Clients and cells repeat themselves: the header lines of one request mostly are those of the one before, byte for
byte. What they mean follows from the bytes alone, so it is found out once. HPACK (RFC 7541) lives on the same
fact.
"""

from collections.abc import Callable
from typing import Generic, TypeVar

ValueT = TypeVar("ValueT")
MOST_ENTRIES = 12_288
LARGEST_KEY_BYTES = 2048


class Memo(Generic[ValueT]):
    """bytes → what `find_out` says of them, which never is None and depends on nothing else.

    Two generations: when the young one is full it becomes the old one, and what is asked for again moves over. So
    what comes often stays, and what came once is gone after at most twice `most_entries` others.
    """

    __slots__ = ("_find_out", "_most_entries", "_old", "young")

    def __init__(self, find_out: Callable[[bytes], ValueT], most_entries: int = MOST_ENTRIES) -> None:
        self._find_out, self._most_entries = find_out, most_entries
        self.young: dict[bytes, ValueT] = {}
        """For the hot path: ask it first, and `find` when it does not have it."""
        self._old: dict[bytes, ValueT] = {}

    def __len__(self) -> int:
        return len(self.young) + len(self._old)

    def find(self, key: bytes) -> ValueT:
        """What `key` means."""
        found = self.young.get(key)
        if found is not None:
            return found
        found = self._old.get(key)
        if found is None:
            found = self._find_out(key)
            if len(key) > LARGEST_KEY_BYTES:
                return found
        if len(self.young) >= self._most_entries:
            self._old, self.young = self.young, {}
        self.young[key] = found
        return found
