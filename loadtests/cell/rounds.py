"""Turn by turn through the servers, kind by kind."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from loadtests.cell.servers import Server
from loadtests.cell.wrk import Client
from loadtests.router.figures import Figures, Summary, summary
from loadtests.router.noise import Noise
from loadtests.router.rounds import QUIET_CORES, Plan

KINDS = ("read", "create")


@dataclass
class Run:
    """Measures, and keeps what was found: kind → server → summary."""

    plan: Plan
    servers: Mapping[str, Server]
    client: Client
    between: Callable[[], object]
    """Before each measurement: nothing that the one before left behind may slow it down."""
    tell: Callable[[str], None]
    found: dict[str, dict[str, Summary]] = field(default_factory=dict)
    disturbed: int = 0
    failures: int = 0

    def kind(self, kind: str) -> None:
        """All rounds of one kind of request."""
        rounds: dict[str, list[Figures]] = {name: [] for name in self.servers}
        for number in range(self.plan.rounds):
            for name in list(self.servers)[:: 1 if number % 2 else -1]:
                rounds[name].append(self._quietest(self.servers[name], kind))
        self.found[kind] = {name: summary(each, 0) for name, each in rounds.items()}

    def _quietest(self, server: Server, kind: str) -> Figures:
        """Chosen by what others did meanwhile, never by the figure itself."""
        tries: list[Figures] = []
        while len(tries) <= self.plan.repeats and all(each.others_cores > QUIET_CORES for each in tries):
            self.between()
            server.process.require_running()
            noise = Noise()
            figures = self.client.measure(server, kind, self.plan.seconds, self.plan.warm_up_seconds)
            tries.append(replace(figures, others_cores=noise.cores()))
            self.failures += figures.failed
            if figures.failures:
                self.tell(f"FAILED  {kind}, {server.name}: {figures.failures}; {server.process.last_words()}")
        chosen = min(tries, key=lambda each: each.others_cores)
        self.disturbed += chosen.others_cores > QUIET_CORES
        return chosen
