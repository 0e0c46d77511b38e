"""One cell of a thousand for one tenant.

Hard rules first, for all cells at once: residency, compliance, dedication, state, version, room with one cell
lost, caps. Then a score from 0 to 1 of how the cell would be *with* the tenant in it: what stays free of each
resource by its weight, that nothing is much fuller than the rest, that the fullest is not hot, and how near it is.
A cell that has lately not answered comes after all others: an idle cell is the emptiest one, and a dead one idles.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from placement.balancing.fleet import limits
from placement.balancing.resources import LEVELLED, RESOURCES, TENANTS, Flags, Floats
from placement.balancing.sites import Needs, Rule, Sites
from placement.rules.choose import MOST_RUNNERS_UP, Choice, Nowhere, RunnerUp

WIDE = len(LEVELLED)
MOST_NAMED = 5
"""Cells that are named one by one when there is no place; the rest are counted."""


@dataclass(frozen=True, slots=True)
class Weights:
    """What counts how much; only their ratios matter."""

    free: Mapping[str, float] = field(
        default_factory=lambda: {"cpu": 3.0, "memory": 2.0, "storage": 2.0, "network": 1.0, "tenants": 2.0}
    )
    even: float = 2.0
    """That no resource is fuller than the others: what is left of those would be of no use."""
    cool: float = 3.0
    """That the fullest resource is far from its limit."""
    near: float = 2.0
    """That the cell is where the tenant would like it to be."""


@dataclass(frozen=True)
class Cells:
    """All cells as they are now. `coming` is reserved for tenants on their way, and not yet in `load`."""

    sites: Sites
    capacity: Floats
    load: Floats
    coming: Floats
    silent: Flags

    @cached_property
    def limits(self) -> Floats:
        """What each may hold."""
        return limits(self.sites, self.capacity)

    @cached_property
    def used(self) -> Floats:
        """What of it is taken."""
        return self.load + self.coming


@dataclass(frozen=True, slots=True)
class Candidate:
    """A tenant that looks for a cell. `near` names regions that it would like, the best first."""

    needs: Needs
    demand: Floats
    near: Sequence[str] = ()


def choose(cells: Cells, candidate: Candidate, weights: Weights | None = None) -> Choice | Nowhere:
    """The best cell, why, and which would have done as well. Equal input, equal answer."""
    broken = _broken(cells, candidate)
    fitting = np.flatnonzero(broken == Rule.FITS)
    if not len(fitting):
        return _nowhere(cells, candidate, broken)
    use = _use(cells, candidate, fitting)
    score = _scores(cells, candidate, weights or Weights(), fitting, use)
    # The first by name among equals, as everywhere.
    order = np.lexsort((fitting, -score, cells.silent[fitting]))[: MOST_RUNNERS_UP + 1]
    best = int(order[0])
    found = [_placed(cells, int(fitting[each]), use[each]) for each in order]
    runners = tuple(
        RunnerUp(cells.sites.names[fitting[each]], float(score[each]), told)
        for each, told in zip(order[1:].tolist(), found[1:], strict=True)
    )
    reasons = (
        _where(cells, candidate, int(fitting[best])),
        found[0],
        _compared(cells, len(fitting), float(score[best]), runners),
    )
    return Choice(cells.sites.names[fitting[best]], float(score[best]), reasons, runners)


def _broken(cells: Cells, candidate: Candidate) -> NDArray[np.int8]:
    broken = cells.sites.broken(candidate.needs)
    tight = (cells.used + candidate.demand > cells.limits) & (candidate.demand > 0)
    fits = broken == Rule.FITS
    broken[fits & tight[:, WIDE:].any(axis=1)] = Rule.CAP
    broken[fits & tight[:, :WIDE].any(axis=1)] = Rule.ROOM
    return broken


def _use(cells: Cells, candidate: Candidate, fitting: NDArray[np.intp]) -> Floats:
    """fitting × LEVELLED: shares of the limits that are taken with the tenant there."""
    most = cells.limits[fitting, :WIDE]
    after = cells.used[fitting, :WIDE] + candidate.demand[:WIDE]
    return np.divide(after, most, out=np.zeros_like(after), where=most > 0)


def _scores(
    cells: Cells, candidate: Candidate, weights: Weights, fitting: NDArray[np.intp], use: Floats
) -> Floats:
    each = np.array([weights.free.get(name, 0.0) for name in LEVELLED])
    fullest = use.max(axis=1)
    score = (1.0 - use) @ each
    score += weights.even * (1.0 - fullest + use.mean(axis=1)) + weights.cool * (1.0 - fullest**2)
    total = each.sum() + weights.even + weights.cool
    if candidate.near:
        near = np.zeros(len(fitting))
        for rank, region in enumerate(reversed(candidate.near), 1):
            near[cells.sites.regions[fitting] == region] = rank / len(candidate.near)
        score += weights.near * near
        total += weights.near
    return np.round(score / total, 4)  # type: ignore[no-any-return]


def _where(cells: Cells, candidate: Candidate, cell: int) -> str:
    region = str(cells.sites.regions[cell])
    if candidate.needs.regions:
        return f"in region {region}, as it must be"
    if region in candidate.near:
        return f"in region {region}, its choice {list(candidate.near).index(region) + 1} of {len(candidate.near)}"
    return f"no region was asked for; it is in {region}" if not candidate.near else f"in region {region}, not near"


def _placed(cells: Cells, cell: int, use: Floats) -> str:
    parts = [
        f"{name} {share:.0%}"
        for name, share in zip(LEVELLED, use, strict=True)
        if np.isfinite(cells.limits[cell, LEVELLED.index(name)])
    ]
    told = f"of its limits it uses {', '.join(parts)} with the tenant" if parts else "it knows no limits"
    return f"{told}, but it has lately not answered" if cells.silent[cell] else told


def _compared(cells: Cells, fitting: int, score: float, runners: Sequence[RunnerUp]) -> str:
    known = len(cells.sites)
    if not runners:
        return f"score {score:.4f}; the only one of {known} cells that fits"
    other = runners[0]
    best = f"score {score:.4f}, the best of {fitting} of {known} cells that fit"
    return f"{best}; {other.cell_id}, the next, has {other.score:.4f}"


def _nowhere(cells: Cells, candidate: Candidate, broken: NDArray[np.int8]) -> Nowhere:
    if not len(broken):
        return Nowhere(False, ("no cell is registered",))
    # Those that come closest first: a full cell is nearer to fitting than one in another country.
    order = np.argsort(-broken, kind="stable")
    told = [_why(cells, candidate, Rule(int(broken[cell])), int(cell)) for cell in order[:MOST_NAMED].tolist()]
    if len(order) > MOST_NAMED:
        counts = np.bincount(broken[order[MOST_NAMED:]], minlength=len(Rule))
        rest = ", ".join(
            f"{count} by {rule.name.lower()}" for rule, count in zip(Rule, counts, strict=True) if count
        )
        told.append(f"and {len(order) - MOST_NAMED} more do not fit: {rest}")
    joining = np.array([site.state == "joining" for site in cells.sites.sites])
    return Nowhere(bool((joining & (broken == Rule.STATE)).any()), tuple(told))


def _why(cells: Cells, candidate: Candidate, rule: Rule, cell: int) -> str:
    name = cells.sites.names[cell]
    if rule not in (Rule.ROOM, Rule.CAP):
        return cells.sites.why(rule, candidate.needs, cell)
    after, most = cells.used[cell] + candidate.demand, cells.limits[cell]
    part = slice(0, WIDE) if rule is Rule.ROOM else slice(WIDE, None)
    over = np.where((after > most) & (candidate.demand > 0), after / np.maximum(most, 1e-12), 0.0)[part]
    at = int(over.argmax()) + (part.start or 0)
    if at == TENANTS:
        return f"{name} is full: {cells.used[cell, at]:.0f} of {most[at]:.0f} tenants"
    what = "its limit" if rule is Rule.ROOM else "its cap"
    return f"{name} would be {over.max() - 1:.0%} over {what} of {RESOURCES[at]}"
