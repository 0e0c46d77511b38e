"""Round-robin through the proxies, scenario by scenario."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from loadtests.router import clients, wrk
from loadtests.router.figures import Figures, Summary, summary
from loadtests.router.fleet import write_requests
from loadtests.router.noise import Noise
from loadtests.router.proxies import OURS, Proxy
from loadtests.router.scenarios import BY_NAME, CONNECTIONS, Scenario

HALF_PEERS = ("nginx", OURS)
"""Who is asked at half of our capacity."""
QUIET_CORES = 0.1
"""More work of others than this, and a measurement counts as disturbed; a quiet machine shows up to 0.05."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How long, how often; `repeats` is how often a disturbed measurement may be made again."""

    rounds: int
    seconds: float
    warm_up_seconds: float
    repeats: int


@dataclass
class Run:
    """Measures scenarios and keeps what was found: scenario → proxy → summary."""

    plan: Plan
    proxies: Mapping[str, Proxy]
    folder: Path
    tell: Callable[[str], None]
    found: dict[str, dict[str, Summary]] = field(default_factory=dict)
    half_rate: float = 0.0
    disturbed: int = 0
    failures: int = 0

    def scenario(self, scenario: Scenario) -> None:
        """All rounds of one scenario."""
        names = list(self.proxies)
        if scenario.kind == "half":
            names = [name for name in names if name in HALF_PEERS]
            self.half_rate = self._capacity() / 2
        requests = self.folder / f"{scenario.name}.requests"
        write_requests(scenario, requests)
        rounds: dict[str, list[Figures]] = {name: [] for name in names}
        for number in range(self.plan.rounds * scenario.times):
            for name in _turned(names, number):
                rounds[name].append(self._quietest(self.proxies[name], scenario, requests))
        self.found[scenario.name] = {name: summary(rounds[name], scenario.moved_bytes) for name in names}
        requests.unlink()

    def _capacity(self) -> float:
        if OURS not in self.found.get("small", {}):
            self.scenario(BY_NAME["small"])
        return self.found["small"][OURS].requests_per_second

    def _quietest(self, proxy: Proxy, scenario: Scenario, requests: Path) -> Figures:
        """Chosen by what others did meanwhile, never by the figure itself."""
        tries: list[Figures] = []
        while len(tries) <= self.plan.repeats and all(each.others_cores > QUIET_CORES for each in tries):
            noise = Noise()
            figures = replace(self._measure(proxy, scenario, requests), others_cores=noise.cores())
            tries.append(figures)
            self.failures += figures.failed
            if figures.failures:
                self.tell(f"FAILED  {scenario.name}, {proxy.name}: {figures.failures}; its last words:")
                self.tell("\n".join(f"    {line}" for line in proxy.process.last_words()) or "    none")
        chosen = min(tries, key=lambda each: each.others_cores)
        self.disturbed += chosen.others_cores > QUIET_CORES
        return chosen

    def _measure(self, proxy: Proxy, scenario: Scenario, requests: Path) -> Figures:
        proxy.process.require_running()
        seconds, warm_up = self.plan.seconds, self.plan.warm_up_seconds
        if scenario.kind == "closed":
            return wrk.measure(proxy, scenario, requests, seconds, warm_up)
        if scenario.kind == "streams":
            return clients.run("streams", proxy, seconds, warm_up, connections=scenario.connections)
        more = {"rate": self.half_rate, "requests": requests, "connections": CONNECTIONS}
        return clients.run("open_loop", proxy, seconds, warm_up, **more)


def _turned(names: Sequence[str], number: int) -> list[str]:
    """Begin with another one in each round, so that none always follows the same neighbour."""
    start = number % len(names)
    return [*names[start:], *names[:start]]
