"""A fleet → the moves that it needs, in waves, with reasons and what they promise. No I/O."""

import time
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from directory.plans import PlannedMove
from directory.rules.planning import MOST_MOVES
from placement.balancing import explaining
from placement.balancing.fleet import Fleet
from placement.balancing.goals import Effort, Goals
from placement.balancing.planning import Plan, rebalance
from placement.balancing.resources import RESOURCES
from placement.balancing.waves import Pace, in_waves
from placement.gathering import as_if_drained, left_to_drains, unheard, untold
from placement.planning.wishes import Wishes
from placement.rules.pacing import Budget, Stretch, seconds_of
from placement.rules.predicting import Measured, predict

MOST_NAMED = 100
"""Tenants without a home that a plan names."""
A_WAVE = 200
A_LOT = 10**12
"""Bytes; how long they take tells how long one takes."""
FEW, MANY, FEW_KICKS = 150, 600, 5
"""Steps of annealing: about a second of them, and some more where somebody waits; ways out of dead ends."""


@dataclass(frozen=True)
class Task:
    """What is to be solved. `drained` names the cell that alone is emptied; None: balance.

    `begun` names cells of which a plan that is carried out has moved somebody, and was to move others.
    """

    fleet: Fleet
    wishes: Wishes
    drained: str | None = None
    begun: Set[str] = frozenset()
    measured: Sequence[Measured] = ()


@dataclass(frozen=True)
class Made:
    """Moves, by wave, the most urgent first; and what all of them promise."""

    moves: Sequence[PlannedMove]
    summary: Mapping[str, Any]


def solve(task: Task) -> Made:
    """The plan. Equal input, equal answer, but for a search that time cut short."""
    began = time.monotonic()

    def expired() -> bool:
        return time.monotonic() - began > task.wishes.seconds

    if task.drained is None:
        fleet = left_to_drains(task.fleet)
        begun = np.isin(fleet.sites.names, list(task.begun))
        plan = rebalance(fleet, task.wishes.ratios(), _effort(task), expired, begun=begun)
    else:
        plan = _drained(task.fleet, task.drained, task.wishes, _effort(task), expired)
    return _told(task, plan, cut_short=expired())


def _effort(task: Task) -> Effort:
    """Somebody waits for the first plan, and reads it; what comes after each wave only has to be good."""
    if not task.wishes.exact:
        return Effort(exact=False, kicks=0, annealing=FEW)
    return Effort(kicks=FEW_KICKS, annealing=FEW) if task.begun else Effort(annealing=MANY)


def _drained(fleet: Fleet, cell_id: str, wishes: Wishes, effort: Effort, expired: Callable[[], bool]) -> Plan:
    """Homes for everybody there, so that others need not be moved afterwards: nobody else is, to level load."""
    return rebalance(as_if_drained(fleet, cell_id), Goals(start=wishes.stop, stop=wishes.stop), effort, expired)


def _told(task: Task, plan: Plan, *, cut_short: bool) -> Made:
    wishes = task.wishes
    kept = _first(plan, MOST_MOVES)
    found = in_waves(kept, Pace(wishes.moves_of_a_wave, wishes.moves_of_a_wave, A_WAVE))
    moves = [_planned(kept, number, move) for number, wave in enumerate(found.waves, 1) for move in wave.tolist()]
    seconds = _seconds(task, moves) * (len(plan.tenants) / max(1, len(kept.tenants)))
    if wishes.bytes_an_hour:
        seconds = max(seconds, plan.bytes / wishes.bytes_an_hour * 3600)
    return Made(moves, _summary(task, plan, kept, len(found.waves), len(found.stuck), seconds, cut_short))


def _planned(plan: Plan, wave: int, move: int) -> PlannedMove:
    told, fleet = explaining.move(plan, move), plan.fleet
    # Of what varies with the hour, as much as at the busiest one.
    takes = np.zeros(len(RESOURCES))
    np.maximum.at(takes, fleet.columns.resource, fleet.demand[plan.tenants[move]])
    offer = fleet.offers[plan.destinations[move]] if fleet.offers else 0
    return PlannedMove(
        *(wave, told.tenant_id, told.source, told.destination, told.bytes, told.reason),
        takes=tuple(takes.tolist()),
        offer=offer,
    )


def _seconds(task: Task, moves: Sequence[PlannedMove]) -> float:
    """By what earlier moves took."""
    rest = predict(0, 0, task.measured, ()).seconds
    a_byte = (predict(0, A_LOT, task.measured, ()).seconds - rest) / A_LOT
    waves: dict[int, list[Stretch]] = {}
    for move in moves:
        stretch = Stretch(move.source, move.destination, rest + a_byte * move.bytes)
        waves.setdefault(move.wave, []).append(stretch)
    return seconds_of(list(waves.values()), Budget(task.wishes.moves_at_once, task.wishes.moves_of_a_cell))


def _summary(
    task: Task, plan: Plan, kept: Plan, waves: int, stuck: int, seconds: float, cut_short: bool
) -> dict[str, Any]:
    fleet = plan.fleet
    remarks = list(plan.remarks) if task.drained is None else []
    if task.drained is not None and fleet.unmeasured:
        remarks.append(f"{len(fleet.unmeasured)} tenants are new: what they took lately counts, else their plans")
    remarks += unheard(fleet) + untold(fleet)
    if stuck:
        remarks.append(f"{stuck} moves find no room on their way yet: they come in a later wave")
    if len(kept.tenants) < len(plan.tenants):
        remarks.append(f"the first {len(kept.tenants):,} of {len(plan.tenants):,} moves are kept: it is made anew")
    if cut_short:
        remarks.append(f"the search was ended after {task.wishes.seconds:g} s: the best that it found")
    left = fleet.home == (fleet.sites.names.index(task.drained) if task.drained else -1)
    return {
        "cells": len(fleet.sites),
        "tenants": len(fleet.tenants),
        "unmeasured": len(fleet.unmeasured),
        "moves": len(plan.tenants),
        "bytes": plan.bytes,
        "waves": waves,
        "seconds": round(float(seconds), 1),
        "measured_moves": len(task.measured),
        "peak_before": _finite(float(np.max(plan.before / plan.ideal, initial=0.0))),
        "peak_after": _finite(plan.peak),
        "gap": _finite(plan.gap) if task.drained is None else None,
        "balances": [
            {"resource": each.resource, "before": each.before, "after": each.after, "use": _finite(each.use)}
            for each in explaining.balances(plan)
            if each.before or each.after
        ],
        "homeless": len(plan.homeless),
        "homeless_why": explaining.homeless(replace(plan, homeless=plan.homeless[:MOST_NAMED])),
        "remarks": remarks,
        "tenants_left": int(left.sum()) if task.drained else None,
        "bytes_left": float(fleet.bytes[left].sum()) if task.drained else None,
    }


def _first(plan: Plan, most: int) -> Plan:
    """The most urgent of its moves."""
    return replace(
        plan, tenants=plan.tenants[:most], sources=plan.sources[:most], destinations=plan.destinations[:most]
    )


def _finite(number: float) -> float | None:
    return number if np.isfinite(number) else None
