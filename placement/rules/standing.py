"""How a cell is, by all who can tell: the registry, the routers, and placement's own asking. Pure.

None of them alone is believed: a registry may be cut off, a router may be the only one without a way to the cell,
and placement is on another network than tenants. It is evidence for people and for plans; nothing that must be
right rests on it, and no tenant moves because of it.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from directory.registry import Instance

Verdict = Literal["well", "doubtful", "down"]


@dataclass(frozen=True, slots=True)
class Standing:
    """One cell.

    `silent` says why it lately did not answer placement, None when it did. `processes`: those that answer tenants
    and are seen by the registry, None when that cannot tell; `troubles` of those that are not ready.
    `suspected_by` so many of `routers`.
    """

    cell_id: str
    silent: str | None = None
    processes: int | None = None
    troubles: tuple[str, ...] = ()
    suspected_by: int = 0
    routers: int = 0

    @property
    def verdict(self) -> Verdict:
        """Down when two kinds of witnesses agree that nobody is served, doubtful when anybody says anything."""
        against = (
            self.silent is not None,
            self.processes is not None and self.processes == len(self.troubles),
            self.routers > 0 and self.suspected_by == self.routers,
        )
        if sum(against) > 1:
            return "down"
        return "doubtful" if any(against) or self.troubles or self.suspected_by else "well"

    @property
    def reasons(self) -> str:
        """What speaks against it, for people; empty when nothing does."""
        found = [] if self.silent is None else [f"does not answer placement ({self.silent})"]
        if self.processes == 0:
            found.append("none of its processes is registered")
        found += [f"not ready ({trouble})" for trouble in self.troubles]
        if self.suspected_by:
            found.append(f"{self.suspected_by} of {self.routers} routers get no answers from it")
        return ", ".join(found)


@dataclass(frozen=True, slots=True)
class LastSeen:
    """When a cell last `answered` placement, and when the registry last saw a process of it; None: not known."""

    answered: datetime | None = None
    seen: datetime | None = None


def standings(
    cells: Sequence[str],
    silent: Mapping[str, str],
    processes: Sequence[Instance] | None,
    routers: Sequence[Instance] | None,
) -> Mapping[str, Standing]:
    """Each of `cells`. None: the registry cannot tell, or nobody has heard of it for long.

    A registry without any process of any cell is one that cells do not announce themselves in.
    """
    by_cell: dict[str, list[Instance]] = {}
    for process in processes or ():
        by_cell.setdefault(process.about.get("cell", ""), []).append(process)
    suspected = Counter(name for router in routers or () for name in set(router.suspects))
    return {
        cell_id: Standing(
            cell_id,
            silent.get(cell_id),
            len(by_cell.get(cell_id, ())) if by_cell else None,
            tuple(process.trouble for process in by_cell.get(cell_id, ()) if process.trouble),
            suspected[cell_id],
            len(routers or ()),
        )
        for cell_id in cells
    }
