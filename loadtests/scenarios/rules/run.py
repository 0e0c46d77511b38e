"""All that is known of a run once it is over, and the figures that goals ask for.

Two kinds of time are compared: *calm*, in which nothing is done to the platform, and *disturbed*, within the spans
of faults. What is neither (the first seconds, and some seconds after a fault, in which what was lost is started
again on the same machine) belongs to no comparison; failures are counted everywhere.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from loadtests.scenarios.rules import samples as read
from loadtests.scenarios.rules.arrivals import OPERATIONS, QUICK
from loadtests.scenarios.rules.samples import Chosen, Samples

WARM_SECONDS = 3.0
"""At the beginning, in which connections are made and statements prepared."""
SETTLE_SECONDS = 3.0
"""After a fault."""
LEAST_SAMPLES = 100
"""With fewer a 99th percentile says nothing."""


@dataclass(frozen=True, slots=True)
class Span:
    """What was done to the platform, from when until when, in seconds of the run.

    `disturbs` is False for what only follows from a fault, such as a cell that is started again.
    """

    from_second: float
    until_second: float
    what: str
    cell: str = ""
    disturbs: bool = True


@dataclass(frozen=True, slots=True)
class Switch:
    """From then on a tenant lives in that cell."""

    second: float
    tenant: int
    cell: str


@dataclass(frozen=True)
class Run:
    """What happened. `facts` are figures that only whoever acted knows, by name."""

    seconds: float
    rate: float
    samples: Samples
    homes: Sequence[str]
    """Each tenant's cell in the beginning, by the tenant's number."""
    spans: Sequence[Span] = ()
    switches: Sequence[Switch] = ()
    noisy: Collection[int] = ()
    """Numbers of the tenants that make the noise, where a scenario has such."""
    facts: Mapping[str, float] = field(default_factory=dict)

    # Who and what

    @cached_property
    def cells(self) -> NDArray[np.str_]:
        """The cell of each request's tenant when it was due."""
        homes = np.asarray([*self.homes, ""])
        found = np.asarray(homes[np.minimum(self.samples["tenant"], len(self.homes))], dtype="U64")
        for switch in sorted(self.switches, key=lambda each: each.second):
            later = (self.samples["tenant"] == switch.tenant) & (self.samples["due"] >= switch.second)
            found[later] = switch.cell
        return found

    @cached_property
    def lost_cells(self) -> frozenset[str]:
        """Those that a fault was of."""
        return frozenset(span.cell for span in self.spans if span.cell)

    @property
    def everybody(self) -> Chosen:
        return np.ones(len(self.samples), dtype=np.bool_)

    @property
    def others(self) -> Chosen:
        """Requests of tenants who are neither in a cell that a fault was of, nor make the noise."""
        return ~np.isin(self.cells, list(self.lost_cells)) & ~np.isin(self.samples["tenant"], list(self.noisy))

    @property
    def quick(self) -> Chosen:
        """Reads and writes, that are answered at once."""
        return self.of(*QUICK)

    def of(self, *operations: str) -> Chosen:
        """Requests of some kinds."""
        return np.isin(self.samples["operation"], [OPERATIONS.index(name) for name in operations])

    # When

    @property
    def disturbed(self) -> Chosen:
        """Due while a fault was there."""
        found = ~self.everybody
        for span in self.spans:
            if span.disturbs:
                found |= self.between(span.from_second, span.until_second)
        return found & self.between(WARM_SECONDS, self.seconds)

    @property
    def calm(self) -> Chosen:
        """Due while nothing was done, nor just had been."""
        found = self.between(WARM_SECONDS, self.seconds)
        for span in self.spans:
            found &= ~self.between(span.from_second, span.until_second + SETTLE_SECONDS)
        return found

    def between(self, begin: float, end: float) -> Chosen:
        """Due within that time."""
        return np.asarray((self.samples["due"] >= begin) & (self.samples["due"] < end))

    # Figures

    def failures(self, whose: Chosen | None = None) -> float:
        """Requests that were not answered with success."""
        chosen = self.everybody if whose is None else whose
        return float((read.failed(self.samples) & chosen).sum())

    def quantile_ms(self, chosen: Chosen, share: float) -> float | None:
        """None of too few."""
        return read.quantile_ms(self.samples["seconds"][chosen], share) if chosen.sum() >= LEAST_SAMPLES else None

    def p99_ratio(self, whose: Chosen) -> float | None:
        """p99 of reads and writes while disturbed, in that of calm."""
        calm = self.quantile_ms(whose & self.quick & self.calm, 0.99)
        disturbed = self.quantile_ms(whose & self.quick & self.disturbed, 0.99)
        return None if not calm or disturbed is None else round(disturbed / calm, 3)

    def longest_ms(self, chosen: Chosen) -> float | None:
        """Of these, the slowest."""
        return read.quantile_ms(self.samples["seconds"][chosen], 1.0)

    def fact(self, name: str) -> float | None:
        """A figure of whoever acted; None when it was not found out."""
        return self.facts.get(name)
