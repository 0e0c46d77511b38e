"""Round-robin through the proxies, scenario by scenario."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from loadtests.router import clients, wrk
from loadtests.router.figures import Figures, Summary, summary
from loadtests.router.fleet import write_requests
from loadtests.router.proxies import OURS, Proxy
from loadtests.router.scenarios import BY_NAME, CONNECTIONS, Scenario

HALF_PEERS = ("nginx", OURS)
"""Who is asked at half of our capacity."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How long, how often."""

    rounds: int
    seconds: float
    warm_up_seconds: float


@dataclass
class Run:
    """Measures scenarios and keeps what was found: scenario → proxy → summary."""

    plan: Plan
    proxies: Mapping[str, Proxy]
    folder: Path
    tell: Callable[[str], None]
    found: dict[str, dict[str, Summary]] = field(default_factory=dict)
    half_rate: float = 0.0

    def scenario(self, scenario: Scenario) -> None:
        """All rounds of one scenario."""
        names = list(self.proxies)
        if scenario.kind == "half":
            names = [name for name in names if name in HALF_PEERS]
            self.half_rate = self._capacity() / 2
        requests = self.folder / f"{scenario.name}.requests"
        write_requests(scenario, requests)
        rounds: dict[str, list[Figures]] = {name: [] for name in names}
        for number in range(self.plan.rounds):
            for name in _turned(names, number):
                figures = self._measure(self.proxies[name], scenario, requests)
                rounds[name].append(figures)
                if figures.failures:
                    self.tell(f"FAILED  {scenario.name}, {name}, round {number + 1}: {figures.failures}")
        self.found[scenario.name] = {name: summary(rounds[name], scenario.moved_bytes) for name in names}
        requests.unlink()

    def _capacity(self) -> float:
        if OURS not in self.found.get("small", {}):
            self.scenario(BY_NAME["small"])
        return self.found["small"][OURS].requests_per_second

    def _measure(self, proxy: Proxy, scenario: Scenario, requests: Path) -> Figures:
        proxy.process.require_running()
        seconds, warm_up = self.plan.seconds, self.plan.warm_up_seconds
        if scenario.kind == "closed":
            return wrk.measure(proxy, scenario, requests, seconds, warm_up)
        if scenario.kind == "streams":
            return clients.run("streams", proxy, seconds, warm_up, connections=scenario.connections)
        more = {"rate": self.half_rate, "requests": requests, "connections": CONNECTIONS}
        return clients.run("open_loop", proxy, seconds, warm_up, **more)

    @property
    def failures(self) -> int:
        return sum(each.failures for proxies in self.found.values() for each in proxies.values())


def _turned(names: Sequence[str], number: int) -> list[str]:
    """Begin with another one in each round, so that none always follows the same neighbour."""
    start = number % len(names)
    return [*names[start:], *names[:start]]
