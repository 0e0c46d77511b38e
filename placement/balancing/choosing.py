"""One cell of a thousand for one tenant.

Hard rules first, for all cells at once: residency, compliance, dedication, state, version, room with one cell
lost, caps. Then a score from 0 to 1 of how the cell would be *with* the tenant in it: what stays free of each
resource by its weight, that nothing is much fuller than the rest, that the fullest is not hot, and how near it is.
A cell that has lately not answered comes after all others: an idle cell is the emptiest one, and a dead one idles.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from placement.balancing.fleet import limits
from placement.balancing.resources import LEVELLED, RESOURCES, TENANTS, Flags, Floats
from placement.balancing.sites import Needs, Rule, Sites

WIDE = len(LEVELLED)
MOST_RUNNERS_UP = 5
SHOWN, EXACT = 4, 12
"""Digits of a score. Cells are ranked by all that are exact: in large ones a tenant more or less is little."""
MOST_NAMED = 5
"""Cells that are named one by one when there is no place; the rest are counted."""
MOST_MISSES = 20
"""The same in an explanation."""


@dataclass(frozen=True, slots=True)
class Term:
    """One part of a score: by `weight`, and `share` from 0 to 1 of what it could give."""

    name: str
    weight: float
    share: float
    words: str


@dataclass(frozen=True, slots=True)
class RunnerUp:
    """A cell that would have done; `score` is from 0 to 1, of the cell with the tenant in it."""

    cell_id: str
    score: float
    reason: str


@dataclass(frozen=True, slots=True)
class Choice:
    """Where to, and why there."""

    cell_id: str
    score: float
    reasons: tuple[str, ...]
    runners_up: tuple[RunnerUp, ...]


@dataclass(frozen=True, slots=True)
class Nowhere:
    """No cell will do. `passing`: a cell that would do is just joining, so the same request may soon succeed."""

    passing: bool
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Miss:
    """A cell that does not fit, and the first rule that it breaks."""

    cell_id: str
    rule: str
    reason: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """What was found, and from what: the terms of the scores of the cell that was chosen and of the runners-up, in
    their order; the cells that do not fit, those that come closest first; and how many of them break each rule."""

    found: Choice | Nowhere
    terms: tuple[tuple[Term, ...], ...]
    misses: tuple[Miss, ...]
    broken: Mapping[str, int]
    cells: int
    fitting: int


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

    def but(self, coming: Floats, silent: Flags) -> "Cells":
        """The same with so much on its way, and others silent. Limits stay, and are not reckoned anew."""
        found = replace(self, coming=coming, silent=silent)
        found.__dict__["limits"] = self.limits
        return found


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
    return _chosen(cells, candidate, fitting, *_ranked(cells, candidate, weights or Weights(), fitting))


def explain(cells: Cells, candidate: Candidate, weights: Weights | None = None) -> Explanation:
    """What `choose` finds, and everything that it is made of."""
    broken = _broken(cells, candidate)
    fitting = np.flatnonzero(broken == Rule.FITS)
    if len(fitting):
        order, score, use = _ranked(cells, candidate, weights or Weights(), fitting)
        found: Choice | Nowhere = _chosen(cells, candidate, fitting, order, score, use)
        terms = tuple(
            _told(cells, candidate, weights or Weights(), int(fitting[each]), use[each]) for each in order.tolist()
        )
    else:
        found, terms = _nowhere(cells, candidate, broken), ()
    names = cells.sites.names
    misses = tuple(
        Miss(names[cell], _named(broken[cell]), _why(cells, candidate, Rule(int(broken[cell])), cell))
        for cell in _nearest(cells, candidate, broken)[:MOST_MISSES].tolist()
    )
    counts = np.bincount(broken, minlength=len(Rule)).tolist()
    by_rule = {_named(rule): counts[rule] for rule in Rule if rule is not Rule.FITS and counts[rule]}
    return Explanation(found, terms, misses, by_rule, len(broken), len(fitting))


def _ranked(
    cells: Cells, candidate: Candidate, weights: Weights, fitting: NDArray[np.intp]
) -> tuple[NDArray[np.intp], Floats, Floats]:
    """The best of `fitting` in their order, and of all that fit the score and the use."""
    use = _use(cells, candidate, fitting)
    score = _scores(cells, candidate, weights, fitting, use)
    # The first by name among equals, as everywhere.
    return np.lexsort((fitting, -score, cells.silent[fitting]))[: MOST_RUNNERS_UP + 1], score, use


def _chosen(
    cells: Cells,
    candidate: Candidate,
    fitting: NDArray[np.intp],
    order: NDArray[np.intp],
    score: Floats,
    use: Floats,
) -> Choice:
    best = int(order[0])
    found = [_placed(cells, int(fitting[each]), use[each]) for each in order]
    runners = tuple(
        RunnerUp(cells.sites.names[fitting[each]], round(float(score[each]), SHOWN), told)
        for each, told in zip(order[1:].tolist(), found[1:], strict=True)
    )
    reasons = (
        _where(cells, candidate, int(fitting[best])),
        found[0],
        _compared(cells, len(fitting), round(float(score[best]), SHOWN), runners),
    )
    return Choice(cells.sites.names[fitting[best]], round(float(score[best]), SHOWN), reasons, runners)


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
    terms = _terms(cells, candidate, weights, fitting, use)
    total = sum(weight for weight, _ in terms.values())
    score = sum((weight * share for weight, share in terms.values()), start=np.zeros(len(fitting)))
    return np.round(score / total, EXACT)


def _terms(
    cells: Cells, candidate: Candidate, weights: Weights, fitting: NDArray[np.intp], use: Floats
) -> Mapping[str, tuple[float, Floats]]:
    """By name: what it counts, and of each that fits a share from 0 to 1."""
    fullest = use.max(axis=1)
    terms = {f"free {name}": (weights.free.get(name, 0.0), 1.0 - use[:, n]) for n, name in enumerate(LEVELLED)}
    terms["even"] = weights.even, 1.0 - fullest + use.mean(axis=1)
    terms["cool"] = weights.cool, 1.0 - fullest**2
    if candidate.near:
        near = np.zeros(len(fitting))
        for rank, region in enumerate(reversed(candidate.near), 1):
            near[cells.sites.regions[fitting] == region] = rank / len(candidate.near)
        terms["near"] = weights.near, near
    return terms


def _told(cells: Cells, candidate: Candidate, weights: Weights, cell: int, use: Floats) -> tuple[Term, ...]:
    """The terms of one cell's score, in words."""
    terms = _terms(cells, candidate, weights, np.array([cell]), use[None, :])
    fullest = int(use.argmax())
    words = {
        f"free {name}": f"{use[n]:.0%} of its limit is used with the tenant"
        if np.isfinite(cells.limits[cell, n])
        else "it knows no limit"
        for n, name in enumerate(LEVELLED)
    }
    above = float(use.max() - use.mean())
    words["even"] = f"{LEVELLED[fullest]}, the fullest, is {above * 100:.0f} points above the average"
    words["cool"] = f"the fullest is {LEVELLED[fullest]}, {use[fullest]:.0%}"
    words["near"] = _where(cells, candidate, cell)
    return tuple(
        Term(name, weight, round(float(share[0]), 4), words[name]) for name, (weight, share) in terms.items()
    )


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
    order = _nearest(cells, candidate, broken)
    told = [_why(cells, candidate, Rule(int(broken[cell])), int(cell)) for cell in order[:MOST_NAMED].tolist()]
    if len(order) > MOST_NAMED:
        counts = np.bincount(broken[order[MOST_NAMED:]], minlength=len(Rule))
        rest = ", ".join(f"{count} by {_named(rule)}" for rule, count in zip(Rule, counts, strict=True) if count)
        told.append(f"and {len(order) - MOST_NAMED} more do not fit: {rest}")
    joining = np.array([site.state == "joining" for site in cells.sites.sites])
    return Nowhere(bool((joining & (broken == Rule.STATE)).any()), tuple(told))


def _nearest(cells: Cells, candidate: Candidate, broken: NDArray[np.int8]) -> NDArray[np.intp]:
    """Those that do not fit; first those that come closest: a full cell is nearer than one in another country."""
    missing = np.flatnonzero(broken != Rule.FITS)
    after, most = cells.used[missing] + candidate.demand, cells.limits[missing]
    ratio = np.divide(after, most, out=np.full_like(after, np.inf), where=most > 0)
    excess = np.where(candidate.demand > 0, ratio, 0.0).max(axis=1, initial=0.0)
    full = np.isin(broken[missing], (Rule.ROOM, Rule.CAP))
    return missing[np.lexsort((missing, np.where(full, excess, 0.0), -broken[missing]))]


def _named(rule: int) -> str:
    return Rule(int(rule)).name.lower()


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
