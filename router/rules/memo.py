"""What was found out about bytes that are likely to come again. Pure.

Clients and cells repeat themselves: the header lines of one request mostly are those of the one before, byte for
byte. What they mean follows from the bytes alone, so it is found out once. HPACK (RFC 7541) lives on the same
fact.
"""

from collections.abc import Callable
from typing import Final, Generic, TypeVar

ValueT = TypeVar("ValueT")
MOST_ENTRIES: Final = 12_288
LARGEST_KEY_BYTES: Final = 2048
MOST_BYTES: Final = 24 * 1024 * 1024
"""Of a generation, by `cost_bytes`: entries of the usual size come near it when there are `MOST_ENTRIES`."""


def cost_bytes(key: bytes) -> int:
    """What an entry takes, as an estimate: nothing is weighed.

    The key, its parts again as names and as values; an object for each line; and what an entry takes without any.
    Lines of a few bytes cost the most for what they say: so their number counts, not their length alone.
    """
    return len(key) * 3 + 60 * key.count(b"\r\n") + 500


class Memo(Generic[ValueT]):
    """bytes → what `find_out` says of them, which never is None and depends on nothing else.

    Two generations: when the young one is full it becomes the old one, and what is asked for again moves over. So
    what comes often stays, and what came once is gone after at most twice `most_entries` others. A generation is
    full with `most_entries`, or before that when they cost `most_bytes` (`cost_bytes`, an estimate): bytes come
    from outside, and a stranger sends those that cost the most.
    """

    __slots__ = ("_find_out", "_most_bytes", "_most_entries", "_old", "_young_bytes", "young")

    def __init__(
        self,
        find_out: Callable[[bytes], ValueT],
        most_entries: int = MOST_ENTRIES,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self._find_out, self._most_entries, self._most_bytes = find_out, most_entries, most_bytes
        self._young_bytes = 0
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
        cost = cost_bytes(key)
        if len(self.young) >= self._most_entries or self._young_bytes + cost > self._most_bytes:
            self._old, self.young, self._young_bytes = self.young, {}, 0
        self.young[key] = found
        self._young_bytes += cost
        return found
