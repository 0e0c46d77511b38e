"""`rebalance`: the moves that a fleet needs, by the goals in their strict order.

    settle ──▶ relieve ──▶ level ──▶ trim
      │           │          │         └ who need not move after all stays
      │           │          └ only from `start` on, then down to `stop`
      │           └ no cell above its limits
      └ nobody where it may not be

Each step works within the room that cells have, so none undoes what an earlier one has reached.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from placement.balancing.annealing import anneal, is_small
from placement.balancing.classes import classify, dealt, follow
from placement.balancing.fleet import Fleet, sums
from placement.balancing.goals import Effort, Goals
from placement.balancing.layout import ROUNDING, Layout
from placement.balancing.relaxation import bound
from placement.balancing.resources import Flags, Floats, Integers
from placement.balancing.search import Budget, Search

GIANTS = 64
"""So many of the largest tenants are looked at one by one for the bound."""
MOST_NAMED = 5
"""Tenants that a remark names."""
MARGIN = 0.997
"""Programs aim a little below the ceilings: whole tenants are not as exact as fractions."""
WORTHWHILE = 0.9
"""Share of the excess to which a way out of a dead end must bring it."""


@dataclass(frozen=True)
class Plan:
    """What should be moved, and what it leads to. Arrays of moves have one order, the most urgent first."""

    fleet: Fleet
    tenants: Integers
    sources: Integers
    destinations: Integers
    where: Integers
    """Where everybody lives afterwards."""
    homeless: Integers
    """Who is where it may not be, and has nowhere to go."""
    ideal: Floats
    """cells × columns if the pool were level; inf: not levelled."""
    before: Floats
    after: Floats
    """Loads, cells × columns."""
    bound: float
    """No arrangement has a worst ratio below it."""
    remarks: tuple[str, ...]

    @property
    def bytes(self) -> float:
        """What all moves carry."""
        return float(self.fleet.bytes[self.tenants].sum())

    @property
    def peak(self) -> float:
        """The worst ratio of a load to its ideal, afterwards."""
        return peak(self.after, self.ideal)

    @property
    def gap(self) -> float:
        """By which share the worst ratio is above the bound: it could be so much better at most."""
        return max(0.0, self.peak / self.bound - 1.0) if self.bound else 0.0


def never() -> bool:
    """Time is never over."""
    return False


def rebalance(
    fleet: Fleet,
    goals: Goals | None = None,
    effort: Effort | None = None,
    expired: Callable[[], bool] = never,
    *,
    begun: Flags | None = None,
) -> Plan:
    """The plan. Equal input, equal answer, as long as `expired` does not interrupt it; then the best so far.

    `begun` are cells whose levelling an earlier plan has begun: what is above `goes_on` there is levelled as well.
    """
    goals, effort = goals or Goals(), effort or Effort()
    if not len(fleet.sites) or not len(fleet.tenants):
        return _nothing(fleet, "there is no cell" if not len(fleet.sites) else "there is no tenant")
    rng, budget = np.random.default_rng(effort.seed), Budget(effort.steps, expired)
    layout = Layout(fleet, fleet.home, fleet.limits)
    homeless = settle(layout, fleet.misplaced)
    free = ~(fleet.fixed | fleet.cooling)
    free[fleet.misplaced] = True
    free[homeless] = False
    search = Search(layout, goals, free, rng)
    remarks: list[str] = []
    if layout.excess.any():
        relieve(layout, search, goals, budget)
    ideal = ideals(fleet, layout.load, goals.floor)
    settled = layout.where.copy()
    least = lower_bound(fleet, layout, free, ideal)
    worst = peak(layout.load, ideal)
    hot = layout.load > ideal * beginnings(fleet, goals, begun)[:, None]
    ceilings = wished(fleet, layout.where, ideal, layout.load, goals, hot)
    if (hot & (ceilings < fleet.limits)).any() or worst > goals.start == 1.0:
        before = overhang(layout.load, ideal, goals)
        level(layout, search, ideal, ceilings, max(goals.stop, least), effort, budget)
        # As level as can be: then everything is above `stop`, and the worst ratio alone counts.
        relieved = before - overhang(layout.load, ideal, goals)
        gained = worst - peak(layout.load, ideal) if goals.start == 1.0 else relieved
        if gained < goals.least_gain:
            remarks.append(f"the worst ratio is {worst:.2f}, and levelling would gain too little")
            _return_to(layout, settled)
    else:
        ceilings = fleet.limits
    if not remarks and worst <= goals.start and np.isfinite(ideal).any():
        remarks.append(f"level enough: the worst ratio is {worst:.2f}, and levelling begins above {goals.start:g}")
    trim(layout, np.minimum(ceilings, ideal * max(goals.start, peak(layout.load, ideal))))
    if over := _over_limits(layout):
        remarks.append(f"some cells stay above their limits of {', '.join(over)}: the fleet needs room")
    if fleet.unmeasured:
        named = ", ".join([*fleet.unmeasured[:MOST_NAMED], *(["…"] if len(fleet.unmeasured) > MOST_NAMED else [])])
        remarks.append(
            f"{len(fleet.unmeasured)} tenants are new: what they took lately counts, else their plans: {named}"
        )
    return _plan(fleet, layout, homeless, ideal, least, remarks)


def ideals(fleet: Fleet, load: Floats, floor: float) -> Floats:
    """cells × columns: each cell's share of its pool's load by capacity; inf where nothing is levelled."""
    found = np.full(load.shape, np.inf)
    for pool in range(fleet.sites.pools.max(initial=-1) + 1):
        inside = fleet.sites.pools == pool
        capacity, used = fleet.capacity[inside].sum(axis=0), load[inside].sum(axis=0)
        counts = (
            fleet.columns.levelled
            & np.isfinite(capacity)
            & (capacity > 0)
            & (used > 0)
            & (used >= floor * capacity)
        )
        share = np.divide(used, capacity, out=np.zeros_like(used), where=counts)
        found[inside] = np.where(counts, np.where(counts, fleet.capacity[inside], 0.0) * share, np.inf)
    # A cell that can hold nothing of a resource has no share in levelling it.
    return np.where(found > 0, found, np.inf)


def beginnings(fleet: Fleet, goals: Goals, begun: Flags | None) -> Floats:
    """Each cell's ratio above which it is levelled. One at a time: what is near `start` elsewhere can wait."""
    found = np.full(len(fleet.sites), goals.start)
    if begun is not None:
        found[begun] = min(goals.start, goals.goes_on)
    return found


def wished(fleet: Fleet, where: Integers, ideal: Floats, load: Floats, goals: Goals, hot: Flags) -> Floats:
    """Ceilings: what is `hot` comes down to `stop`, what is between that and `start` only to `most`.

    Where one tenant alone is above it, only the limit counts: emptying the cell around a giant would not cure it,
    and fill all others. Such a tenant needs a cell of its own, which is an operator's decision.
    """
    ratio = load / ideal
    fill = max(goals.stop, goals.fill or goals.stop)
    between = np.clip(ratio, fill, max(fill, goals.most))
    most = ideal * np.where(hot, goals.stop, between)
    largest = np.zeros_like(ideal)
    np.maximum.at(largest, where, fleet.demand)
    return np.where(largest > most, fleet.limits, np.minimum(fleet.limits, most))


def overhang(load: Floats, ideal: Floats, goals: Goals) -> float:
    """By how much cells are above `stop`, each in its fullest resource, added up."""
    return float(np.maximum((load / ideal).max(axis=1) - goals.stop, 0.0).sum())


def peak(load: Floats, ideal: Floats) -> float:
    """The worst ratio; 1 where nothing is levelled."""
    return float((load / ideal).max(initial=0.0)) if np.isfinite(ideal).any() else 1.0


def settle(layout: Layout, misplaced: Integers) -> Integers:
    """A home for everybody who may not be where it is, the largest first. Who got none."""
    fleet = layout.fleet
    largest = (fleet.demand[misplaced] * _per_typical(fleet)).max(axis=1, initial=0.0)
    cells = np.flatnonzero(fleet.sites.open)
    left = []
    for tenant in misplaced[np.argsort(-largest, kind="stable")].tolist():
        fitting = cells[layout.fits(np.array([tenant]), cells)[0]]
        if not len(fitting):
            left.append(tenant)
            continue
        after = (layout.load[fitting] + fleet.demand[tenant]) * layout.scale[fitting]
        # In its region if it can be: nobody likes to be far from home. Then where most is left.
        far = fleet.sites.regions[fitting] != fleet.sites.regions[layout.where[tenant]]
        layout.put(tenant, int(fitting[np.lexsort((after.sum(axis=1), after.max(axis=1).round(2), far))[0]]))
    return np.array(left, dtype=np.int64)


def relieve(layout: Layout, search: Search, goals: Goals, budget: Budget) -> None:
    """No cell above its limits. What would help too little is left as it is: a full fleet is not stirred."""
    before, was = float(layout.excess.sum()), layout.where.copy()
    search.levelling = False
    search.descend(budget)
    search.levelling = True
    if before - layout.excess.sum() < goals.least_gain**2:
        _return_to(layout, was)


def lower_bound(fleet: Fleet, layout: Layout, free: Flags, ideal: Floats) -> float:
    """What no arrangement of the levelled cells can be below."""
    cells = np.flatnonzero(np.isfinite(ideal).any(axis=1))
    if not len(cells):
        return 1.0
    inside = np.isin(layout.where, cells)
    moving = inside & free
    fixed = sums(layout.where[inside & ~free], fleet.demand[inside & ~free], len(fleet.sites))[cells]
    amounts = sums(fleet.kind[moving], fleet.demand[moving], len(fleet.kinds))
    here = np.zeros_like(fleet.enters)
    here[fleet.kind[moving], layout.where[moving]] = True
    allowed = (fleet.enters | here)[:, cells]
    least = bound(amounts, allowed, fixed, ideal[cells])
    largest = np.where(moving, (fleet.demand / ideal[cells].min(axis=0)).max(axis=1), 0.0)
    for tenant in np.argsort(-largest, kind="stable")[:GIANTS]:
        if largest[tenant] <= least:
            break
        alone = (fleet.demand[tenant] / ideal[cells]).max(axis=1)
        least = max(least, float(alone[allowed[fleet.kind[tenant]]].min(initial=np.inf)))
    return least


def level(
    layout: Layout, search: Search, ideal: Floats, ceilings: Floats, target: float, effort: Effort, budget: Budget
) -> None:
    """Bring every cell to its ceilings, or as far as the budget goes. The best arrangement stays.

    `target` is a worst ratio that is good enough, and possible as far as is known.
    """
    fleet = layout.fleet
    if effort.exact:
        layout.raise_to(ceilings * MARGIN)
        classes = classify(fleet, ideal.min(axis=0), search.cost)
        pooled = np.flatnonzero(np.isfinite(ideal).any(axis=1))
        for cells in dealt(pooled, layout.excess):
            if budget.expired():
                break
            follow(layout, cells, classes, search.free, search.cost)
    layout.raise_to(ceilings)
    done = search.descend(budget)
    if peak(layout.load, ideal) <= target * (1 + 1e-9):
        return
    for _ in range(effort.anneals):
        found = anneal(layout, ideal, search.free, search.cost, effort.annealing, search.rng, budget.expired)
        if found is not None:
            _return_to(layout, found)
        if peak(layout.load, ideal) <= target * (1 + 1e-9):
            return
    best, least = layout.where.copy(), float(layout.excess.sum())
    for number in range(0 if done or is_small(fleet) else effort.kicks):
        if budget.steps <= 0 or budget.expired():
            break
        search.kick(1 + number % 3)
        if search.descend(budget):
            return
        # A little less is not worth the moves.
        if layout.excess.sum() < least * WORTHWHILE:
            best, least = layout.where.copy(), float(layout.excess.sum())
        else:
            _return_to(layout, best)


def trim(layout: Layout, ceilings: Floats) -> None:
    """Who can live at home with all ceilings kept as they are now stays there; the dearest are asked first."""
    fleet = layout.fleet
    layout.raise_to(ceilings)
    moved = np.flatnonzero(layout.where != fleet.home)
    moved = moved[fleet.stays[fleet.kind[moved], fleet.home[moved]]]
    for tenant in moved[np.argsort(-fleet.bytes[moved], kind="stable")].tolist():
        home = int(fleet.home[tenant])
        after = layout.load[home] + fleet.demand[tenant]
        if (after * layout.scale[home] <= 1.0).all() and (after <= layout.room[home]).all():
            layout.put(tenant, home)


def _over_limits(layout: Layout) -> list[str]:
    fleet = layout.fleet
    over = np.unique(np.nonzero(layout.load > fleet.limits * (1 + ROUNDING))[1])
    return [fleet.columns.names[column] for column in over]


def _return_to(layout: Layout, where: Integers) -> None:
    for tenant in np.flatnonzero(layout.where != where).tolist():
        layout.put(tenant, int(where[tenant]))


def _per_typical(fleet: Fleet) -> Floats:
    with np.errstate(divide="ignore"):
        per = 1.0 / fleet.capacity.max(axis=0, initial=0.0)
    return np.where(np.isfinite(per), per, 0.0)


def _nothing(fleet: Fleet, why: str) -> Plan:
    none = np.zeros(0, dtype=np.int64)
    load = np.zeros_like(fleet.capacity)
    return Plan(fleet, none, none, none, fleet.home, none, np.full(load.shape, np.inf), load, load, 1.0, (why,))


def _plan(
    fleet: Fleet, layout: Layout, homeless: Integers, ideal: Floats, least: float, remarks: list[str]
) -> Plan:
    moved = np.flatnonzero(layout.where != fleet.home)
    before = fleet.loads(fleet.home)
    wrong = ~fleet.stays[fleet.kind[moved], fleet.home[moved]]
    heat = np.maximum(before / ideal, before / np.maximum(fleet.limits, 1e-12)).max(axis=1, initial=0.0)
    moved = moved[np.lexsort((fleet.bytes[moved], -heat[fleet.home[moved]], ~wrong))]
    return Plan(
        fleet=fleet,
        tenants=moved,
        sources=fleet.home[moved],
        destinations=layout.where[moved],
        where=layout.where.copy(),
        homeless=homeless,
        ideal=ideal,
        before=before,
        after=fleet.loads(layout.where),
        bound=least,
        remarks=tuple(remarks),
    )
