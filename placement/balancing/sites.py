"""Cells as arrays, and the hard rules about who may live in which.

A rule is looked at for all cells at once. The first one that a cell breaks is the one that is told.
"""

from collections.abc import Sequence, Set
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from directory.values import CellState
from placement.balancing.resources import Flags, Integers

SERVING: frozenset[CellState] = frozenset(("open", "cordoned"))
"""In these a cell keeps the tenants that it has."""


class Rule(IntEnum):
    """What can keep a tenant out of a cell, in the order in which it is told. FITS: nothing does."""

    FITS = 0
    RESIDENCY = 1
    COMPLIANCE = 2
    DEDICATION = 3
    STATE = 4
    VERSION = 5
    ROOM = 6
    CAP = 7


@dataclass(frozen=True, slots=True)
class Site:
    """What the hard rules ask of a cell. `dedicated_to` names whose own it is; empty: everybody's."""

    cell_id: str
    region: str
    state: CellState = "open"
    tags: frozenset[str] = frozenset()
    dedicated_to: str = ""
    version: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Needs:
    """What a tenant asks of its cell. Tenants with equal needs are of one kind.

    `regions` empty: any. `tags`: those that the cell must have. `dedicated`: lives in cells of this name alone.
    `least_version`: its data were written by this one, so no older cell can read them.
    """

    regions: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()
    dedicated: str = ""
    least_version: tuple[int, ...] = ()


class Sites:
    """All cells of the fleet, in a fixed order."""

    def __init__(self, sites: Sequence[Site]) -> None:
        self.sites = tuple(sites)
        self.names = tuple(site.cell_id for site in sites)
        self.regions = np.array([site.region for site in sites], dtype=np.str_)
        self.open = np.array([site.state == "open" for site in sites], dtype=np.bool_)
        self.keeping = np.array([site.state in SERVING for site in sites], dtype=np.bool_)
        self.failed = np.array([site.state == "failed" for site in sites], dtype=np.bool_)
        self.owners = np.array([site.dedicated_to for site in sites], dtype=np.str_)
        self._by_tag = {
            tag: np.array([tag in site.tags for site in sites], dtype=np.bool_)
            for tag in sorted(set().union(*(site.tags for site in sites)))
        }
        self._in_region = {region: self.regions == region for region in sorted(set(self.regions.tolist()))}
        self._of_owner = {owner: self.owners == owner for owner in sorted(set(self.owners.tolist()))}
        self._versions: dict[tuple[int, ...], Flags] = {}

    def __len__(self) -> int:
        return len(self.sites)

    @cached_property
    def none(self) -> Flags:
        """No cell."""
        return np.zeros(len(self), dtype=np.bool_)

    @cached_property
    def pools(self) -> Integers:
        """Number of the pool of each cell: among the open cells of a region load is levelled. −1: in none."""
        common = self.open & (self.owners == "")
        _, number = np.unique(self.regions[common], return_inverse=True)
        found = np.full(len(self), -1, dtype=np.int64)
        found[common] = number
        return found

    def broken(self, needs: Needs, *, arriving: bool = True) -> NDArray[np.int8]:
        """The first rule that each cell breaks. A tenant that lives there (not `arriving`) may stay in a
        cordoned one, and has proved that it can be read there."""
        found = np.zeros(len(self), dtype=np.int8)
        if arriving and needs.least_version:
            found[~self._new_enough(needs.least_version)] = Rule.VERSION
        found[~(self.open if arriving else self.keeping)] = Rule.STATE
        found[~self._of_owner.get(needs.dedicated, self.none)] = Rule.DEDICATION
        for tag in needs.tags:
            found[~self._by_tag.get(tag, self.none)] = Rule.COMPLIANCE
        if needs.regions:
            found[~self._within(needs.regions)] = Rule.RESIDENCY
        return found

    def why(self, rule: Rule, needs: Needs, cell: int) -> str:
        """A broken rule in words."""
        site = self.sites[cell]
        match rule:
            case Rule.RESIDENCY:
                return f"{site.cell_id} is in region {site.region}, not in {_any(needs.regions)}"
            case Rule.COMPLIANCE:
                return f"{site.cell_id} lacks {', '.join(sorted(needs.tags - site.tags))}"
            case Rule.DEDICATION if site.dedicated_to:
                return f"{site.cell_id} is dedicated to {site.dedicated_to}"
            case Rule.DEDICATION:
                return f"{site.cell_id} is not dedicated to {needs.dedicated}"
            case Rule.STATE:
                return f"{site.cell_id} is {site.state}"
            case Rule.VERSION:
                return f"{site.cell_id} runs {_dotted(site.version)}, older than {_dotted(needs.least_version)}"
            case _:
                return f"{site.cell_id} would do"

    def _within(self, regions: Set[str]) -> Flags:
        found = self.none
        for region in regions:
            found = found | self._in_region.get(region, self.none)
        return found

    def _new_enough(self, least: tuple[int, ...]) -> Flags:
        if least not in self._versions:
            enough = [not site.version or site.version >= least for site in self.sites]
            self._versions[least] = np.array(enough, dtype=np.bool_)
        return self._versions[least]


def _any(names: Set[str]) -> str:
    return " or ".join(sorted(names))


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
