"""One cell for one tenant: hard rules first, then the score, with reasons."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings

from placement.balancing.choosing import Candidate, Cells, Choice, Nowhere, choose
from placement.balancing.fleet import Fleet
from placement.balancing.sites import Needs, Site
from tests.placement.balancing.fleets import fleet, fleets, holds, row


def cells_of(present: Fleet, silent: tuple[int, ...] = ()) -> Cells:
    """The cells of a fleet as its tenants fill them."""
    count = len(present.sites)
    return Cells(
        present.sites,
        present.capacity,
        present.loads(present.home),
        present.held,
        np.isin(np.arange(count), silent),
    )


def some(*sites: Site, cpu: tuple[float, ...], tenants: float = np.inf) -> Cells:
    """Cells of 100 CPUs, of which so many are used."""
    home = list(range(len(sites)))
    return cells_of(fleet(sites, [holds(100, tenants=tenants)] * len(sites), [row(each) for each in cpu], home))


@settings(max_examples=60, deadline=None)
@given(fleets())
def test_the_chosen_cell_keeps_every_rule_limit_and_cap_with_the_tenant_in_it(present: Fleet) -> None:
    """And so does every runner-up; when there is none, every cell has a reason."""
    cells = cells_of(present)
    for needs in present.kinds:
        candidate = Candidate(needs, present.demand[0] if len(present.demand) else row(1))
        found = choose(cells, candidate)
        if isinstance(found, Nowhere):
            assert found.reasons
            continue
        names = [found.cell_id, *(each.cell_id for each in found.runners_up)]
        assert len(set(names)) == len(names)
        for name in names:
            cell = present.sites.names.index(name)
            assert present.sites.broken(needs)[cell] == 0
            takes = candidate.demand > 0
            assert (cells.used[cell] + candidate.demand <= cells.limits[cell])[takes].all()
        assert all(0.0 <= each <= 1.0 for each in (found.score, *(other.score for other in found.runners_up)))


def test_the_reasons_are_words_and_numbers() -> None:
    """An operator reads why a tenant lives where it does, and where it would live otherwise."""
    found = choose(
        some(Site("a", "eu"), Site("b", "eu"), cpu=(30, 10)), Candidate(Needs(frozenset({"eu"})), row(5))
    )
    assert isinstance(found, Choice)
    assert found.cell_id == "b"
    assert found.reasons == (
        "in region eu, as it must be",
        "of its limits it uses cpu 30% with the tenant",
        "score 0.8900, the best of 2 of 2 cells that fit; a, the next, has 0.6873",
    )
    assert found.runners_up[0].reason == "of its limits it uses cpu 70% with the tenant"


def test_half_of_two_cells_stays_free_for_the_loss_of_one() -> None:
    """What is taken beyond would have nowhere to go."""
    found = choose(some(Site("a", "eu"), Site("b", "eu"), cpu=(48, 46)), Candidate(Needs(), row(5)))
    assert isinstance(found, Nowhere)
    assert found.reasons == ("b would be 2% over its limit of cpu", "a would be 6% over its limit of cpu")


def test_a_dead_cell_does_not_swallow_every_new_tenant() -> None:
    """It stays the emptiest for ever, so silence counts before emptiness."""
    cells = some(Site("a", "eu"), Site("b", "eu"), cpu=(0, 30))
    found = choose(replace(cells, silent=np.array([True, False])), Candidate(Needs(), row(5)))
    assert isinstance(found, Choice)
    assert found.cell_id == "b"


def test_what_is_reserved_counts_as_taken() -> None:
    """Tenants on their way are not measured yet, and a burst of them would all choose the same cell."""
    cells = some(Site("a", "eu"), Site("b", "eu"), cpu=(10, 12))
    cells = replace(cells, coming=np.array([row(20), 0 * row()]))
    found = choose(cells, Candidate(Needs(), row(5)))
    assert isinstance(found, Choice)
    assert found.cell_id == "b"


def test_a_near_cell_is_preferred_to_one_that_is_a_little_emptier() -> None:
    """And to one that is much emptier it is not."""
    for cpu, chosen in (((20, 18), "eu-1"), ((85, 0), "us-1")):
        found = choose(some(Site("eu-1", "eu"), Site("us-1", "us"), cpu=cpu), Candidate(Needs(), row(5), ["eu"]))
        assert isinstance(found, Choice)
        assert found.cell_id == chosen


@pytest.mark.parametrize(
    ("site", "needs", "reason"),
    [
        (Site("c", "us"), Needs(frozenset({"eu"})), "c is in region us, not in eu"),
        (Site("c", "eu"), Needs(tags=frozenset({"pci", "hipaa"})), "c lacks hipaa, pci"),
        (Site("c", "eu", dedicated_to="acme"), Needs(), "c is dedicated to acme"),
        (Site("c", "eu"), Needs(dedicated="acme"), "c is not dedicated to acme"),
        (Site("c", "eu", "cordoned"), Needs(), "c is cordoned"),
        (Site("c", "eu", version=(1, 9)), Needs(least_version=(1, 10)), "c runs 1.9, older than 1.10"),
    ],
)
def test_every_hard_rule_is_told(site: Site, needs: Needs, reason: str) -> None:
    """Whoever is refused learns what to change."""
    assert choose(some(site, cpu=(0,)), Candidate(needs, row(1))) == Nowhere(False, (reason,))


def test_a_full_cell_says_how_full() -> None:
    """The cap on tenants is told as a count, a cap on money as a share."""
    found = choose(some(Site("c", "eu"), cpu=(0,), tenants=1), Candidate(Needs(), row(1)))
    assert found == Nowhere(False, ("c is full: 1 of 1 tenants",))
    rich = cells_of(fleet([Site("c", "eu")], [holds(revenue=10)], [row(revenue=8)], [0]))
    assert choose(rich, Candidate(Needs(), row(revenue=4))) == Nowhere(
        False, ("c would be 20% over its cap of revenue",)
    )


def test_a_thousand_full_cells_are_counted_and_not_listed() -> None:
    """An answer stays readable. Waiting helps when a cell is joining."""
    sites = [Site(f"c{n:03}", "eu" if n % 2 else "us", "joining" if n == 1 else "cordoned") for n in range(100)]
    found = choose(some(*sites, cpu=(1,) * 100), Candidate(Needs(frozenset({"eu"})), row(1)))
    assert isinstance(found, Nowhere)
    assert found.passing
    assert found.reasons[-1] == "and 95 more do not fit: 50 by residency, 45 by state"


def test_no_cell_at_all() -> None:
    """A new platform."""
    assert choose(some(cpu=()), Candidate(Needs(), row(1))) == Nowhere(False, ("no cell is registered",))
