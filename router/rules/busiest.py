"""Which tenants are the busiest, in little memory however many there are. Pure.

The space-saving sketch (Metwally, Agrawal, El Abbadi: Efficient Computation of Frequent and Top-k Elements in Data
Streams, 2005), with weights. A name that is not among the `capacity` counted ones takes the place of the least of
them and inherits its count, which from then on is its possible error. So, with N the weight of all that was added,

- a name with more than N ÷ capacity is always among them,
- what a name really has lies between count - error and count,
- all counts together are N.
"""

from collections.abc import Hashable
from heapq import heappush, heapreplace
from typing import Generic, TypeVar

Name = TypeVar("Name", bound=Hashable)


class Busiest(Generic[Name]):
    """The sketch. Of the same calls in the same order it makes the same, whatever the names hash to."""

    __slots__ = ("_counted", "_heap", "_order", "capacity", "total")

    def __init__(self, capacity: int = 100) -> None:
        if capacity < 1:
            raise ValueError("a sketch counts at least one name")
        self.capacity = capacity
        self.total = 0
        """The weight of all that was added."""
        self._counted: dict[Name, list[int]] = {}  # name → [count, error]
        # (count, order of arrival, name), of each name once. A count may lag behind, and is put right when it is
        # the least: so adding to a name that is counted costs no more than a look into a dict.
        self._heap: list[tuple[int, int, Name]] = []
        self._order = 0

    def add(self, name: Name, weight: int = 1) -> None:
        """Count `weight` more for `name`; nothing for a weight of zero or less."""
        if weight <= 0:
            return
        self.total += weight
        counted = self._counted.get(name)
        if counted is not None:
            counted[0] += weight
            return
        self._order += 1
        if len(self._counted) < self.capacity:
            self._counted[name] = [weight, 0]
            heappush(self._heap, (weight, self._order, name))
            return
        least, _, leaving = self._least()
        del self._counted[leaving]
        self._counted[name] = [least + weight, least]
        heapreplace(self._heap, (least + weight, self._order, name))

    def _least(self) -> tuple[int, int, Name]:
        """The name with the smallest count, at the top of the heap."""
        while True:
            told, order, name = self._heap[0]
            count = self._counted[name][0]
            if count == told:
                return self._heap[0]
            heapreplace(self._heap, (count, order, name))

    def top(self) -> list[tuple[Name, int, int]]:
        """(name, count, error) of all that are counted, the busiest first; of equals the surer one."""
        rows = [(name, count, error) for name, (count, error) in self._counted.items()]
        return sorted(rows, key=lambda row: (-row[1], row[2]))
