"""A scenario as data: what it proves, its load, what is done to the platform and when, and its goals."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from loadtests.scenarios.rules.goals import Goal

MIX: Mapping[str, float] = MappingProxyType({"read": 0.70, "create": 0.24, "job": 0.04, "stream": 0.02})
"""Shares of requests by what they ask."""
TENANTS = 30


@dataclass(frozen=True, slots=True)
class Fault:
    """An action of `faults`, by its name. Times are shares of the run, so that it can be longer and shorter."""

    action: str
    at: float
    until: float
    cell: str = ""


@dataclass(frozen=True, slots=True)
class Surge:
    """More requests for a while: `times` the usual rate. `noisy`: all of them of one tenant, that reads."""

    at: float
    until: float
    times: float
    what: str
    noisy: bool = False


@dataclass(frozen=True, slots=True)
class Scenario:
    """`share`: of what the machine can carry, which is found out first. `seconds`: how long it usually lasts."""

    name: str
    title: str
    proves: str
    goals: tuple[Goal, ...]
    seconds: float = 60.0
    share: float = 0.4
    tenants: int = TENANTS
    zipf: float = 1.1
    mix: Mapping[str, float] = field(default_factory=lambda: MIX)
    faults: tuple[Fault, ...] = ()
    surges: tuple[Surge, ...] = ()
    newcomers_per_second: float = 0.0
    """Customers that are onboarded meanwhile."""
    routers: int = 1
    """Two of them stand behind a balancer."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """Environment of the embedded platform's programs, where the usual waits would last longer than the run."""
